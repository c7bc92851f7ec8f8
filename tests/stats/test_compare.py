"""One pair: what the parts add up to, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tenfold.errors import RequestError, ShapeError
from tenfold.stats import compare_pair, effect_size, permutation_test, superiority

RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.normal(0.82, 0.02, 10), RNG.normal(0.80, 0.02, 10)


def test_it_is_its_parts() -> None:
    answer = compare_pair(FIRST, SECOND)
    d = FIRST - SECOND
    assert (answer.n, answer.test, answer.level, answer.notes) == (10, "permutation", 0.95, ())
    assert (answer.difference, answer.std) == pytest.approx((d.mean(), d.std(ddof=1)))
    plain = permutation_test(d)
    assert (answer.p, answer.low, answer.high) == pytest.approx((plain.p, plain.low, plain.high))
    assert answer.effect_size == effect_size(FIRST, SECOND)
    assert answer.superiority == superiority(FIRST, SECOND)


def test_swapping_flips_every_sign() -> None:
    one, other = compare_pair(FIRST, SECOND), compare_pair(SECOND, FIRST)
    assert one.difference == -other.difference
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert (one.p, one.effect_size, one.superiority) == (other.p, -other.effect_size, 1 - other.superiority)


def test_permuting_the_repeats_of_both_alike_changes_nothing() -> None:
    order = np.random.default_rng(1).permutation(10)
    one, other = compare_pair(FIRST, SECOND), compare_pair(FIRST[order], SECOND[order])
    assert (one.p, one.difference, one.low, one.high) == pytest.approx(
        (other.p, other.difference, other.low, other.high)
    )


def test_missing_scores_are_dropped_in_pairs_and_noted() -> None:
    first, second = FIRST.copy(), SECOND.copy()
    first[2], second[[2, 7]] = math.nan, math.inf
    answer = compare_pair(first, second)
    kept = compare_pair(np.delete(FIRST, [2, 7]), np.delete(SECOND, [2, 7]))
    assert (answer.n, answer.p) == (8, kept.p)
    assert answer.notes[0].startswith(
        "2 of 10 repeats lack a score of one or both models and are left out. This favours"
    )


def test_nothing_in_common() -> None:
    answer = compare_pair([math.nan, 1.0], [1.0, math.nan])
    assert (answer.n, answer.p) == (0, 1.0)
    assert np.isnan([answer.difference, answer.std, answer.low, answer.high, answer.superiority]).all()


def test_the_design_chooses_the_test() -> None:
    assert compare_pair(FIRST, SECOND, test_over_train=0.1).test == "corrected-t"
    assert compare_pair(FIRST, SECOND, test="corrected-t", test_over_train=0.1).test == "corrected-t"
    assert compare_pair(FIRST, SECOND, test="wilcoxon").test == "wilcoxon"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": "permutatoin"}, "Unknown test 'permutatoin': did you mean 'permutation'"),
        ({"test": "t", "test_over_train": 0.1}, "test='t' assumes independent repeats, but test_over_train=0.1"),
        ({"test": "corrected-t"}, "test='corrected-t' needs test_over_train"),
        ({"test_over_train": -1}, "test_over_train: expected n_test / n_train.*got -1"),
        ({"level": 95}, "level: .* got 95"),
    ],
)
def test_wrong_requests(options: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        compare_pair(FIRST, SECOND, **options)


def test_wrong_shapes() -> None:
    with pytest.raises(ShapeError, match="expected as many for first as for second, got 10 and 9"):
        compare_pair(FIRST, SECOND[:9])
    with pytest.raises(ShapeError, match=r"second: expected one number per run, shape \(runs,\), got shape \(10, 1\)"):
        compare_pair(FIRST, SECOND[:, None])
