"""Mean, deviation and interval of one model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tenfold.errors import RequestError, ShapeError
from tenfold.stats import summarise

SCORES = np.random.default_rng(0).normal(0.8, 0.02, 10)


def test_mean_and_deviation_are_numpys() -> None:
    summary = summarise(SCORES)
    assert (summary.n, summary.level, summary.notes) == (10, 0.95, ())
    assert (summary.mean, summary.std) == pytest.approx((SCORES.mean(), SCORES.std(ddof=1)))


def test_the_interval_is_the_slow_studentised_bootstrap() -> None:
    rng = np.random.default_rng(1)
    t = []
    for _ in range(20_000):
        drawn = rng.choice(SCORES, 10)
        t.append((drawn.mean() - SCORES.mean()) / (drawn.std(ddof=1) / math.sqrt(10)))
    low, high = np.quantile(t, [0.025, 0.975])
    error = SCORES.std(ddof=1) / math.sqrt(10)
    summary = summarise(SCORES)
    assert summary.low == pytest.approx(SCORES.mean() - high * error, abs=0.1 * error)
    assert summary.high == pytest.approx(SCORES.mean() - low * error, abs=0.1 * error)


def test_near_students_for_normal_scores() -> None:
    scores = scipy_stats.norm.ppf(np.linspace(0.02, 0.98, 40))
    student = scipy_stats.t.interval(0.95, 39, 0, scipy_stats.sem(scores))
    summary = summarise(scores)
    assert (summary.low, summary.high) == pytest.approx(student, rel=0.06)


def test_skewed_scores_give_a_skewed_interval() -> None:
    scores = np.array([0.1, 0.11, 0.12, 0.12, 0.13, 0.14, 0.16, 0.2, 0.3, 0.5])
    summary = summarise(scores)
    assert summary.high - summary.mean > 1.3 * (summary.mean - summary.low)


def test_the_seed_decides() -> None:
    assert summarise(SCORES, seed=1) == summarise(SCORES, seed=1)
    assert summarise(SCORES, seed=1).low != summarise(SCORES, seed=2).low


def test_shift_scale_and_order() -> None:
    base = summarise(SCORES)
    moved = summarise(100 * SCORES + 5)
    assert (moved.low, moved.high) == pytest.approx((100 * base.low + 5, 100 * base.high + 5))
    mirrored = summarise(-SCORES, level=0.8)
    assert mirrored.high == pytest.approx(-summarise(SCORES, level=0.8).low, abs=1e-4)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_few_runs_get_students_interval(n: int) -> None:
    few = SCORES[:n]
    summary = summarise(few)
    assert (summary.low, summary.high) == pytest.approx(
        scipy_stats.t.interval(0.95, n - 1, few.mean(), scipy_stats.sem(few))
    )


def test_equal_scores_give_no_width_and_one_run_no_interval() -> None:
    same = summarise([0.1] * 10)
    assert (same.mean, same.std, same.low, same.high) == (0.1, 0.0, 0.1, 0.1)
    one = summarise([0.7])
    assert one.mean == 0.7
    assert np.isnan([one.std, one.low, one.high]).all()
    assert one.notes == ("One run has no spread: no interval.",)


def test_nearly_equal_scores_get_a_finite_interval_and_a_note() -> None:
    summary = summarise([0.9] * 9 + [0.8])
    assert np.isfinite([summary.low, summary.high]).all()
    assert "Student's" in summary.notes[0]


def test_missing_scores_are_left_out_and_noted() -> None:
    summary = summarise([*SCORES, math.nan, math.inf])
    assert summary.notes == ("2 of 12 runs have no score and are left out.",)
    assert (summary.n, summary.low) == (10, summarise(SCORES).low)
    none = summarise([math.nan, math.nan])
    assert none.n == 0
    assert math.isnan(none.mean)
    assert none.notes[-1] == "No run has a score."


def test_bounds_cut_only_when_asked() -> None:
    scores = [0.999, 0.998, 1.0, 0.97, 0.99, 1.0, 0.96]
    assert summarise(scores).high > 1
    assert summarise(scores, bounds=(0, 1)).high == 1
    assert summarise(scores, bounds=(0, 1)).low == summarise(scores).low


def test_shared_training_data_widen_the_interval() -> None:
    summary = summarise(SCORES, test_over_train=0.25)
    reach = scipy_stats.t.ppf(0.975, 9) * SCORES.std(ddof=1) * math.sqrt(0.1 + 0.25)
    assert (summary.low, summary.high) == pytest.approx((SCORES.mean() - reach, SCORES.mean() + reach))


@pytest.mark.parametrize(("scores", "got"), [([], r"\(0,\)"), ([[0.1, 0.2]], r"\(1, 2\)"), (0.5, r"\(\)")])
def test_a_wrong_shape_is_refused(scores: object, got: str) -> None:
    with pytest.raises(ShapeError, match=rf"expected one number per run, shape \(runs,\), got shape {got}"):
        summarise(scores)  # pyright: ignore


def test_what_is_no_number_or_level_is_refused() -> None:
    with pytest.raises(ShapeError, match="expected numbers, one per run, got 'high'"):
        summarise("high")  # pyright: ignore
    with pytest.raises(RequestError, match="level: .* got 95"):
        summarise(SCORES, level=95)
