"""Paired t and corrected resampled t against SciPy and the formula of the paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tenfold.errors import RequestError
from tenfold.stats import corrected_t_test, paired_t_test, shared_pool_ratio


@pytest.mark.parametrize("n", [2, 5, 10, 40])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_paired_t_equals_scipy(n: int, level: float) -> None:
    d = np.random.default_rng(n).normal(0.3, 1, n)
    scipy_answer = scipy_stats.ttest_1samp(d, 0)
    answer = paired_t_test(d, level=level)
    assert answer.p == pytest.approx(scipy_answer.pvalue)
    assert (answer.low, answer.high) == pytest.approx(tuple(scipy_answer.confidence_interval(level)))


def test_paired_t_on_darwins_maize() -> None:
    d = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)
    assert paired_t_test(d).p == pytest.approx(0.0497, abs=5e-5)  # Fisher 1935: t = 2.148


@pytest.mark.parametrize("ratio", [1 / 9, 0.5, 2.0])
@pytest.mark.parametrize("n", [5, 10])
def test_corrected_t_is_the_formula_of_the_paper(ratio: float, n: int) -> None:
    d = np.random.default_rng(n).normal(1, 1, n)
    t = d.mean() / math.sqrt((1 / n + ratio) * d.var(ddof=1))
    answer = corrected_t_test(d, test_over_train=ratio)
    assert answer.p == pytest.approx(2 * scipy_stats.t.sf(abs(t), n - 1))
    reach = scipy_stats.t.ppf(0.975, n - 1) * math.sqrt((1 / n + ratio) * d.var(ddof=1))
    assert (answer.low, answer.high) == pytest.approx((d.mean() - reach, d.mean() + reach))


def test_the_correction_widens_and_vanishes_with_the_ratio() -> None:
    d = np.random.default_rng(0).normal(1, 1, 10)
    p = [corrected_t_test(d, test_over_train=ratio).p for ratio in (1e-12, 0.1, 0.5, 1)]
    assert p == sorted(p)
    assert p[0] == pytest.approx(paired_t_test(d).p)


def test_differences_without_spread_count_signs_of_as_many_repeats_as_they_are_worth() -> None:
    d = np.full(10, 0.1)
    assert paired_t_test(d).p == 2 / 2**10
    assert corrected_t_test(d, test_over_train=1 / 9).p == 2 / 2**4  # 1 / (1/10 + 1/9) = 4.7 repeats
    assert corrected_t_test(d, test_over_train=1.0).p == 1.0
    assert "without any spread" in paired_t_test(d).notes[0]


@pytest.mark.parametrize("ratio", [0, -1.0, math.inf, math.nan])
def test_a_ratio_out_of_range_is_refused(ratio: float) -> None:
    with pytest.raises(RequestError, match=f"test_over_train: expected n_test / n_train.*got {ratio!r}"):
        corrected_t_test(np.ones(5), test_over_train=ratio)


def test_a_missing_ratio_is_refused() -> None:
    with pytest.raises(RequestError, match="needs test_over_train"):
        corrected_t_test(np.ones(5), test_over_train=None)


def test_a_pool_used_up_gives_nadeau_and_bengios_ratio() -> None:
    assert shared_pool_ratio(n_test=20, n_pool=200) == 20 / 180
    assert shared_pool_ratio(n_test=40, n_pool=400) < 40 / 80


@pytest.mark.parametrize(("n_test", "n_pool"), [(0, 10), (10, 10), (11, 10), (-1, 10)])
def test_an_impossible_pool_is_refused(n_test: int, n_pool: int) -> None:
    with pytest.raises(RequestError, match=f"got n_test={n_test}, n_pool={n_pool}"):
        shared_pool_ratio(n_test=n_test, n_pool=n_pool)
