"""Which examples each step takes: shuffled, balanced over classes, streams that go on."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tenfold.errors import RequestError
from tenfold.recipe import Recipe
from tenfold.sampling import Split, TokenSource, balanced, shuffled, streams


def split_of(n: int, blocks: tuple[int, ...] | None = None) -> Split:
    return Split(TokenSource(torch.arange(100), 4), torch.arange(n)[None], blocks=blocks)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(n=st.integers(1, 60), size=st.integers(1, 70), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_shuffled_takes_every_example_once(n: int, size: int, seed: int) -> None:
    batches = list(shuffled(split_of(n), Recipe(batch_size=size), rng(seed)))
    assert sorted(torch.cat(batches).tolist()) == list(range(n))
    assert [len(rows) for rows in batches[:-1]] == [size] * (len(batches) - 1)
    assert 1 <= len(batches[-1]) <= size


def test_shuffled_is_another_order_with_other_numbers() -> None:
    first, again, other = (torch.cat(list(shuffled(split_of(30), Recipe(), rng(seed)))) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, torch.arange(30))


def test_streams_are_the_blocks_in_their_order() -> None:
    batches = streams(split_of(10, (4, 4, 2)), Recipe(batch_size=3), rng())
    assert [rows.tolist() for rows in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@given(
    counts=st.lists(st.integers(0, 9), min_size=2, max_size=8),
    n_classes=st.integers(2, 5),
    n_each=st.integers(1, 4),
    n_filled=st.integers(0, 5),
    seed=st.integers(0, 1000),
)
@settings(deadline=None)
def test_balanced_batches_have_as_many_of_each_class(
    counts: list[int], n_classes: int, n_each: int, n_filled: int, seed: int
) -> None:
    present = [count for count in counts if count]
    assume(len(present) >= n_classes and min(present) >= n_each)
    classes = torch.cat(
        [torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts)), torch.full((n_filled,), -1)]
    )
    classes = classes[torch.randperm(len(classes), generator=rng(seed))]
    batches = balanced(classes, n_classes, n_each, rng(seed))
    assert len(batches) == -(-len(classes) // (n_classes * n_each))
    for rows in batches:
        of_class = classes[rows].view(n_classes, n_each)
        assert bool((of_class == of_class[:, :1]).all())  # class by class
        assert bool((of_class >= 0).all())
        assert len(of_class[:, 0].unique()) == n_classes
        assert len(rows.unique()) == n_classes * n_each


def test_all_classes_and_all_examples_come_up() -> None:
    classes = torch.arange(5).repeat_interleave(torch.tensor([3, 4, 5, 6, 7]))
    taken = torch.cat([rows for seed in range(40) for rows in balanced(classes, 2, 3, rng(seed))])
    assert sorted(taken.unique().tolist()) == list(range(25))
    of_class = classes[taken].bincount(minlength=5).double()
    assert float((of_class / of_class.sum() - 0.2).abs().max()) < 0.06  # classes alike, whatever their size
    assert not torch.equal(
        torch.cat(list(balanced(classes, 2, 3, rng(0)))), torch.cat(list(balanced(classes, 2, 3, rng(1))))
    )


def test_what_fills_up_is_not_taken_for_a_class_that_is_too_small() -> None:
    classes = torch.tensor([-1, 0, 0, 1, 1])  # all classes are as large as the largest
    assert all(classes[rows].tolist() in ([0, 0, 1, 1], [1, 1, 0, 0]) for rows in balanced(classes, 2, 2, rng()))


def test_what_a_balanced_batch_lacks_is_said() -> None:
    classes = torch.tensor([0, 0, 0, 4, 4, 7, 7, 7, -1, -1, -1, -1])
    with pytest.raises(RequestError, match="a batch has 4 classes, and 3 are there"):
        balanced(classes, 4, 1, rng())
    with pytest.raises(RequestError, match="a batch has 3 examples of each class, and class 4 has 2"):
        balanced(classes, 2, 3, rng())
