"""Against published figures: Welch as SciPy has it, and the place of a single number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tenfold.errors import RequestError
from tenfold.stats import against_published, against_single

SCORES = np.array([0.81, 0.83, 0.80, 0.84, 0.82, 0.79, 0.83, 0.82, 0.81, 0.84])


@pytest.mark.parametrize(("mean", "std", "n"), [(0.81, 0.03, 10), (0.7674, 0.013, 10), (0.9, 0.001, 2), (0.8, 0.0, 5)])
def test_equals_scipys_welch(mean: float, std: float, n: int) -> None:
    answer = against_published(SCORES, mean=mean, std=std, n=n)
    scipy_answer = scipy_stats.ttest_ind_from_stats(
        SCORES.mean(), SCORES.std(ddof=1), SCORES.size, mean, std, n, equal_var=False
    )
    assert answer.p == pytest.approx(scipy_answer.pvalue, rel=1e-9)
    assert answer.difference == pytest.approx(SCORES.mean() - mean)
    assert (answer.low <= 0 <= answer.high) == (answer.p > 0.05)


def test_interval_equals_scipys() -> None:
    theirs = np.array([0.78, 0.85, 0.80, 0.83, 0.76])
    answer = against_published(SCORES, mean=theirs.mean(), std=theirs.std(ddof=1), n=5, level=0.9)
    interval = scipy_stats.ttest_ind(SCORES, theirs, equal_var=False).confidence_interval(0.9)
    assert (answer.low, answer.high) == pytest.approx(tuple(interval))


def test_words() -> None:
    same = against_published(SCORES, mean=0.81, std=0.03, n=10, unit="%")
    assert same.sentence.startswith("Measured 81.9 %, published 81.0 %: no difference found (p = 0.42; 95 % interval")
    assert same.outcome == "no difference found"
    higher = against_published(SCORES, mean=0.7674, std=0.013, n=10, unit="%")
    assert higher.outcome == "higher"
    assert "5.2 percentage points higher (p < 0.001; 95 % interval: between 3.8 and 6.6" in higher.sentence
    lower = against_published([0.5, 0.52, 0.48, 0.51], mean=0.7, std=0.02, n=10)
    assert lower.outcome == "lower"
    assert lower.sentence.startswith("Measured 0.502, published 0.7: 0.198 lower (p < 0.001")


def test_no_spread_on_either_side() -> None:
    flat = np.full(4, 0.9)
    assert against_published(flat, mean=0.9, std=0, n=3).p == 1.0
    answer = against_published(flat, mean=0.8, std=0, n=3)
    assert answer.p == 2 / math.comb(7, 4)
    assert answer.notes[-1] == "Neither side has any spread: p is that of splitting the runs at random."


def test_few_measured_runs() -> None:
    one = against_published([0.8, math.nan], mean=0.7, std=0.1, n=10, unit="%")
    assert one.outcome == "cannot tell yet"
    assert math.isnan(one.p)
    assert one.sentence == "Measured 80.0 %, published 70.0 %: one measured run cannot be tested."
    assert "1 of 2 runs have no score and are left out." in one.notes
    none = against_published([math.nan], mean=0.7, std=0.1, n=10, unit="%")
    assert none.sentence == "Nothing measured, published 70.0 %."


def test_shared_training_data_make_the_measured_mean_less_sure() -> None:
    plain = against_published(SCORES, mean=0.80, std=0.01, n=10)
    shared = against_published(SCORES, mean=0.80, std=0.01, n=10, test_over_train=0.5)
    assert plain.p < 0.05 < shared.p


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"mean": 0.8, "std": 0.1, "n": 1}, "Published n: expected 2 repeats or more, got 1.*against_single"),
        ({"mean": 0.8, "std": -0.1, "n": 10}, "std 0 or more, got 0.8 and -0.1"),
        ({"mean": math.nan, "std": 0.1, "n": 10}, "expected finite numbers.*got nan"),
    ],
)
def test_impossible_figures_are_refused(figures: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        against_published(SCORES, **figures)


def test_where_a_single_number_lies() -> None:
    answer = against_single(SCORES, 0.82, unit="%")
    assert (answer.below, answer.equal, answer.above) == (4, 2, 4)
    assert answer.percentile == pytest.approx(scipy_stats.percentileofscore(SCORES, 0.82, kind="mean") / 100)
    assert answer.z == pytest.approx((0.82 - SCORES.mean()) / SCORES.std(ddof=1))
    assert "above 4 of our 10 runs, equal to 2 (mean 81.9 %)" in answer.sentence


@pytest.mark.parametrize(("value", "words"), [(0.9, "above all 10 of our runs"), (0.5, "below all 10 of our runs")])
def test_a_single_number_outside(value: float, words: str) -> None:
    assert words in against_single(SCORES, value).sentence


def test_a_single_number_and_few_or_equal_runs() -> None:
    assert against_single([0.8], 0.9, unit="%").sentence.endswith("one run measured 80.0 %.")
    assert math.isnan(against_single([0.8], 0.9).z)
    assert against_single([math.nan], 0.9).sentence.endswith("nothing measured.")
    assert against_single([0.8, 0.8], 0.9).z == math.inf
    same = against_single([0.1, 0.1, 0.1], 0.1)
    assert (same.z, same.percentile) == (0.0, 0.5)
    assert "the same as all 3 of our runs" in same.sentence
    with pytest.raises(RequestError, match="value: expected the published number, got nan"):
        against_single(SCORES, math.nan)
