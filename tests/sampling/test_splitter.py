"""Who is trained on, validated on and tested: amounts, groups and folds, bounds that hold for every seed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tenfold.errors import DataError, RequestError
from tenfold.sampling import (
    MOST_CLUSTERS,
    Splitter,
    Standardise,
    TensorSource,
    check_amount,
    check_folds,
    clusters,
    folds_resampling,
)
from tenfold.sampling._folds import fold_of_groups, fold_of_items, largest_fold

TRAIN, TEST, UNASSIGNED = 0, 1, 2
PARTS = ("train", "validation", "test")


def sets_of(splitter: Splitter, repeat: int, seed: int = 0) -> dict[str, set[int]]:
    return {part: set(rows.tolist()) for part, rows in splitter.rows(repeat, seed).items()}


def sizes_of(splitter: Splitter, repeat: int, seed: int = 0) -> tuple[int, ...]:
    return tuple(len(splitter.rows(repeat, seed)[part]) for part in PARTS)


# -- properties -------------------------------------------------------------------------------------------------------


@st.composite
def splitters(draw: st.DrawFn) -> Splitter:
    """Any splitter that a task could make, with at least two units of everything that is drawn."""
    n = draw(st.integers(8, 60))
    groups = draw(st.one_of(st.none(), st.lists(st.integers(0, 9), min_size=n, max_size=n)))
    part = draw(st.one_of(st.none(), st.lists(st.sampled_from([TRAIN, TEST, UNASSIGNED]), min_size=n, max_size=n)))
    its = None if groups is None else torch.tensor(groups)
    n_units = n if its is None else len(its.unique())
    assume(n_units >= 4)
    folds = draw(st.one_of(st.none(), st.integers(2, n_units)))
    if part is not None and its is not None:  # a group is in one part
        part = [part[groups.index(group)] for group in groups]  # type: ignore[union-attr]
    test = draw(st.one_of(st.floats(0.1, 0.5), st.integers(1, 2))) if its is None else draw(st.floats(0.1, 0.5))
    validation = draw(st.sampled_from([0.0, 0.1, 0.3, 0.5]))
    return Splitter(
        n, test, validation, folds=folds, groups=its, part=None if part is None else torch.tensor(part),
        in_order=draw(st.booleans()),
    )  # fmt: skip


@given(splitters(), st.integers(0, 10**9), st.integers(0, 12))
@settings(deadline=None, max_examples=150)
def test_every_item_is_in_one_part_and_no_group_in_two(splitter: Splitter, seed: int, repeat: int) -> None:
    rows = splitter.rows(repeat, seed)
    assert tuple(rows) == PARTS
    together = torch.cat([rows[part] for part in PARTS])
    assert all(own.dtype == torch.int64 for own in rows.values())
    assert sorted(together.tolist()) == list(range(splitter.n_items))
    if splitter.groups is not None:
        of_parts = [set(splitter.groups[own].tolist()) for own in rows.values()]
        assert sum(map(len, of_parts)) == len(set.union(*of_parts))
    if splitter.part is not None and splitter.folds is None:
        assert set((splitter.part == TEST).nonzero().flatten().tolist()) <= set(rows["test"].tolist())
        assert not set((splitter.part == TRAIN).nonzero().flatten().tolist()) & set(rows["test"].tolist())
    if splitter.in_order:
        assert all(torch.equal(own, own.sort().values) for own in rows.values())


@given(splitters(), st.integers(0, 10**9))
@settings(deadline=None, max_examples=100)
def test_bounds_hold_for_every_seed_and_repeat(splitter: Splitter, seed: int) -> None:
    fewest, most = splitter.test_bounds()
    assert 0 <= fewest <= most <= splitter.n_items
    for repeat in range(6):
        n_train, n_validation, n_test = sizes_of(splitter, repeat, seed)
        assert fewest <= n_test <= most
        assert n_validation <= splitter.validation_bound(n_train + n_validation)


@given(splitters(), st.integers(0, 10**9), st.integers(0, 5))
@settings(deadline=None, max_examples=50)
def test_a_repeat_is_a_pure_function_of_its_number_and_the_seed(splitter: Splitter, seed: int, repeat: int) -> None:
    first, second = splitter.rows(repeat, seed), splitter.rows(repeat, seed)
    assert all(torch.equal(first[part], second[part]) for part in PARTS)


# -- fractions and numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "validation", "expected"),
    [
        (0.25, 0.0, (75, 0, 25)),
        (0.25, 0.2, (60, 15, 25)),
        (7, 0.0, (93, 0, 7)),
        (7, 0.5, (47, 46, 7)),
        (0.0, 0.1, (90, 10, 0)),
    ],
)
def test_fractions_and_numbers_of_items(test: float | int, validation: float, expected: tuple[int, ...]) -> None:
    splitter = Splitter(100, test, validation)
    drawn = [sets_of(splitter, repeat) for repeat in range(4)]
    assert {tuple(len(own[part]) for part in PARTS) for own in drawn} == {expected}
    assert drawn[0] != drawn[1]
    assert sets_of(splitter, 0, seed=1) != drawn[0]


def test_validation_does_not_change_who_is_tested() -> None:
    with_it, without = Splitter(50, 0.2, 0.3), Splitter(50, 0.2)
    for repeat in range(3):
        assert torch.equal(with_it.rows(repeat, 4)["test"], without.rows(repeat, 4)["test"])


def test_items_stand_in_the_drawn_order_unless_asked_for() -> None:
    drawn, ordered = Splitter(40, 0.25), Splitter(40, 0.25, in_order=True)
    rows = drawn.rows(0, 0)["train"]
    assert not torch.equal(rows, rows.sort().values)
    assert torch.equal(ordered.rows(0, 0)["train"], rows.sort().values)


@pytest.mark.parametrize(
    ("at_least", "expected"),
    [
        ({}, (18, 2, 0)),
        ({"validation": 5}, (15, 5, 0)),
        ({"train": 19}, (19, 1, 0)),
        ({"validation": 5, "train": 17}, (17, 3, 0)),
    ],
)
def test_at_least_so_many_where_fractions_are_rounded(at_least: dict[str, int], expected: tuple[int, ...]) -> None:
    assert sizes_of(Splitter(20, 0, 0.1, at_least=at_least), 0) == expected


def test_every_item_is_tested_about_as_often() -> None:
    splitter, counts = Splitter(20, 0.25), torch.zeros(20)
    for repeat in range(400):
        counts[splitter.rows(repeat, 0)["test"]] += 1
    assert float(counts.sum()) == 400 * 5
    assert float((counts / 400 - 0.25).abs().max()) < 4.5 * (0.25 * 0.75 / 400) ** 0.5


# -- official parts ---------------------------------------------------------------------------------------------------


def test_official_parts_are_kept_and_the_rest_is_divided() -> None:
    part = torch.tensor([TRAIN] * 10 + [TEST] * 6 + [UNASSIGNED] * 8)
    splitter = Splitter(24, 0.25, part=part)
    for repeat in range(4):
        own = sets_of(splitter, repeat)
        assert set(range(10)) <= own["train"]
        assert set(range(10, 16)) <= own["test"]
        assert len(own["test"]) == 6 + 2
    assert splitter.test_bounds() == (8, 8)
    assert sets_of(splitter, 0) != sets_of(splitter, 1)


def test_official_parts_alone_are_the_same_in_every_repeat() -> None:
    part = torch.tensor([TRAIN] * 10 + [TEST] * 6)
    splitter = Splitter(16, part=part)
    assert sets_of(splitter, 0) == sets_of(splitter, 5, seed=3)
    assert splitter.test_bounds() == (6, 6)
    held_back = [sets_of(Splitter(16, validation=0.3, part=part), repeat)["validation"] for repeat in range(3)]
    assert all(len(own) == 3 and own <= set(range(10)) for own in held_back)
    assert len(set(map(frozenset, held_back))) > 1


# -- groups -----------------------------------------------------------------------------------------------------------


def test_fractions_of_groups_and_at_least_one() -> None:
    groups = torch.arange(40) // 4
    for fraction, n in ((0.3, 3), (0.01, 1), (0.26, 3)):
        rows = Splitter(40, fraction, groups=groups).rows(0, 0)
        assert len(groups[rows["test"]].unique()) == n
    assert len(groups[Splitter(40, 0.2, 0.25, groups=groups).rows(0, 0)["validation"]].unique()) == 2


def test_bounds_of_groups_are_reached() -> None:
    groups = torch.tensor([0] * 1 + [1] * 2 + [3] * 5 + [4] * 9)
    splitter = Splitter(17, 0.5, groups=groups)
    assert splitter.test_bounds() == (3, 14)
    sizes = {len(splitter.rows(repeat, 0)["test"]) for repeat in range(60)}
    assert {3, 14} <= sizes


# -- folds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [None, torch.arange(23) // 3])
@pytest.mark.parametrize("folds", [2, 5, 8])
def test_the_folds_of_a_round_test_every_item_once(groups: Tensor | None, folds: int) -> None:
    splitter = Splitter(23, folds=folds, groups=groups, validation=0.3)
    for first in (0, folds):
        tested = torch.cat([splitter.rows(repeat, 1)["test"] for repeat in range(first, first + folds)])
        assert sorted(tested.tolist()) == list(range(23))


def test_folds_come_before_official_parts() -> None:
    splitter = Splitter(10, folds=5, part=torch.tensor([TRAIN] * 8 + [TEST] * 2))
    tested = [set(splitter.rows(repeat, 0)["test"].tolist()) for repeat in range(5)]
    assert set.union(*tested) == set(range(10))


# Many lists have fewer groups than folds; how many of them are drawn is chance.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(st.lists(st.integers(0, 7), min_size=1, max_size=60), st.integers(2, 8), st.integers(0, 20))
def test_folds_of_groups_are_whole_even_and_within_their_bound(groups: list[int], n_folds: int, seed: int) -> None:
    occurring, its = len(set(groups)), torch.tensor(groups)
    assume(occurring >= n_folds)
    folds = [fold_of_groups(its, n_folds, repeat=repeat, seed=seed) for repeat in range(n_folds)]
    assert bool((torch.stack(folds).sum(0) == 1).all())
    for fold in folds:
        assert fold.any()
        assert not set(its[fold].tolist()) & set(its[~fold].tolist())
        assert int(fold.sum()) <= largest_fold(its, len(groups), n_folds)


def test_folds_of_items_differ_by_one_at_most_and_change_after_a_round() -> None:
    folds = [fold_of_items(11, 4, repeat=repeat, seed=1) for repeat in range(8)]
    assert sorted(int(fold.sum()) for fold in folds[:4]) == [2, 3, 3, 3]
    assert bool((torch.stack(folds[:4]).sum(0) == 1).all())
    assert not torch.equal(torch.stack(folds[:4]), torch.stack(folds[4:]))


def test_as_many_folds_as_groups_leave_one_group_out() -> None:
    groups = torch.tensor([0, 0, 2, 2, 2, 5])
    tested = [fold_of_groups(groups, 3, repeat=repeat, seed=9) for repeat in range(4)]
    assert [set(groups[fold].tolist()) for fold in tested] == [{0}, {2}, {5}, {0}]


def test_folds_that_cannot_be() -> None:
    check_folds(4, 8)
    with pytest.raises(RequestError, match="repeats = 10 with 4 folds.*use 8 or 12"):
        check_folds(4, 10)
    with pytest.raises(RequestError, match="repeats = 3 with 4 folds.*use 4$"):
        check_folds(4, 3)
    with pytest.raises(RequestError, match="folds = 6: there are 5 images to divide"):
        Splitter(5, folds=6, unit="images")
    with pytest.raises(RequestError, match="folds = 4: there are 3 people to divide"):
        Splitter(9, folds=4, groups=torch.arange(9) // 3, unit="people")


def test_amounts_that_are_not_there() -> None:
    check_amount("digits", "test", 5, 5, "pairs")
    with pytest.raises(DataError, match="digits: test = 6 pairs asked for, 5 there; lower test"):
        check_amount("digits", "test", 6, 5, "pairs")


# -- how repeats relate -----------------------------------------------------------------------------------------------


def test_folds_share_as_many_test_items_as_one_of_them_has() -> None:
    found = Splitter(20, folds=5, unit="images").resampling()
    assert found == folds_resampling(5, "images", 20)
    assert (found.overlap, found.one_pool, found.folds) == (0.2, True, 5)
    assert "cross-validation with 5 folds of images" in found.reason


def test_a_fixed_division_is_about_its_test_items() -> None:
    found = Splitter(20, part=torch.tensor([TRAIN] * 15 + [TEST] * 5), unit="images").resampling()
    assert (found.overlap, found.one_pool, found.folds) == (1.0, False, None)
    assert "the same images and is tested on the same others" in found.reason
    assert (found.tested_on, found.beyond, found.more) == ("these 5 images", "other images than these 5", "images")


def test_draws_from_one_pool_share_some() -> None:
    found = Splitter(20, 0.25, unit="images").resampling()
    assert (found.overlap, found.one_pool, found.folds) == (0.25, True, None)
    assert "draw from the same 20 images" in found.reason
    # Held back for validation is training data of the study all the same.
    assert Splitter(20, 0.25, 0.5).resampling().overlap == found.overlap


def test_groups_are_the_units_where_there_are_any() -> None:
    groups = torch.arange(30) // 3
    found = Splitter(30, 0.2, groups=groups, unit="people").resampling()
    assert (found.tested_on, found.overlap) == ("these 10 people", 0.2)


def test_examples_are_clustered_by_their_group_and_the_same_in_every_repeat() -> None:
    groups = torch.arange(40) // 4
    source = TensorSource(torch.zeros(40, 1))
    splits = Splitter(40, 0.2, groups=groups).splits(source, [0, 1], seed=3)
    test = splits["test"]
    assert torch.equal(test.clusters()[..., 0], groups[test.index])
    plain = Splitter(40, 0.2).splits(source, [0, 1], seed=3)["test"]
    same = plain.index[0][:, None] == plain.index[1][None]
    assert same.any()
    assert (plain.clusters()[0] == plain.clusters()[1].T)[same].all()


def test_many_units_are_spread_over_all_clusters() -> None:
    units = torch.arange(10_000)
    found = clusters(units, 10_000)
    assert (int(found.min()), int(found.max())) == (0, MOST_CLUSTERS - 1)
    assert found.bincount().float().std() < 0.2 * found.bincount().float().mean()
    assert torch.equal(clusters(torch.arange(9), 9), torch.arange(9))


# -- splits of a task whose examples are items ------------------------------------------------------------------------


def splits_of(splitter: Splitter, repeats: list[int], **named: Any) -> dict[str, Any]:
    items = torch.arange(float(splitter.n_items))[:, None]
    targets = {"class": torch.arange(splitter.n_items) % 3}
    return splitter.splits(TensorSource(items), repeats, seed=0, targets=targets, **named)


def test_splits_hold_all_items_of_their_parts_in_order() -> None:
    splitter = Splitter(30, 0.2, 0.25)
    splits = splits_of(splitter, [3, 5])
    assert tuple(splits) == PARTS
    for part, split in splits.items():
        assert split.valid is None
        for run, repeat in enumerate((3, 5)):
            assert split.index[run].tolist() == sorted(splitter.rows(repeat, 0)[part].tolist())
        assert torch.equal(split.targets["class"], split.index % 3)
    assert "validation" not in splits_of(Splitter(30, 0.2), [0])


def test_runs_train_on_equally_many_and_test_on_all_of_theirs() -> None:
    groups = torch.tensor([0] * 2 + [1] * 4 + [2] * 7 + [3] * 12)
    splitter = Splitter(25, folds=4, groups=groups)
    splits = splits_of(splitter, [0, 1, 2, 3])
    assert splits["train"].index.shape == (4, 25 - 12)
    assert splits["train"].valid is None
    assert splits["test"].valid.sum(1).tolist() == [2, 4, 7, 12]
    batch = splits["test"].span(0, 12)
    for run in range(4):
        tested = batch.inputs[0][run, batch.valid[run], 0].long()
        assert groups[tested].tolist() == [run] * len(tested)


@given(splitters(), st.integers(0, 12), st.integers(0, 12))
@settings(deadline=None, max_examples=100)
def test_a_run_has_the_same_data_alone_as_beside_others(splitter: Splitter, repeat: int, other: int) -> None:
    try:
        alone = splits_of(splitter, [repeat])
    except DataError:
        assume(False)
    together = splits_of(splitter, [other, repeat])
    assert alone.keys() == together.keys()
    for part, split in together.items():
        assert torch.equal(split.of_run(1).index, alone[part].index), part
        valid = split.valid if split.valid is None else split.valid[1:]
        full = torch.ones(alone[part].index.shape, dtype=torch.bool)
        assert torch.equal(full if valid is None else valid, full if (own := alone[part].valid) is None else own)
    assert together["train"].valid is None


def test_items_left_out_of_training_are_drawn() -> None:
    groups = torch.tensor([0] * 2 + [1] * 12 + [2] * 12)
    (index,) = splits_of(Splitter(26, folds=3, groups=groups), [0])["train"].index
    assert len(index) == 26 - 12  # of 24, as in the repeats that test a larger group
    assert set(groups[index].tolist()) == {1, 2}
    assert index.tolist() != list(range(2, 16))


def test_a_division_that_may_leave_nothing_to_train_on() -> None:
    groups = torch.tensor([0] * 20 + [1] * 20 + [2])
    with pytest.raises(DataError, match="no item is left to train on, of 41; lower test or validation, or raise folds"):
        splits_of(Splitter(41, validation=0.5, folds=2, groups=groups), [0])


def test_splits_are_preprocessed_as_asked_for() -> None:
    fitted = Standardise(torch.full((2, 1), 3.0), torch.full((2, 1), 0.5))
    splits = splits_of(Splitter(10, 0.2), [0, 1], preprocess=fitted)
    for split in splits.values():
        (inputs,) = split.span(0, 2).inputs
        torch.testing.assert_close(inputs[..., 0], (split.index[:, :2] - 3) * 0.5)
