"""The signed-rank test against SciPy, a published example and slow reference code."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tenfold.stats import wilcoxon_test

# Hollander and Wolfe, table 3.1: depression factor before and after therapy, nine patients.
BEFORE = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
AFTER = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])


@pytest.mark.parametrize("n", [5, 10, 30, 60])
def test_equals_scipy_without_ties(n: int) -> None:
    d = np.random.default_rng(n).normal(0.3, 1, n)
    assert wilcoxon_test(d).p == pytest.approx(scipy_stats.wilcoxon(d).pvalue)


def test_the_published_example() -> None:
    answer = wilcoxon_test(BEFORE - AFTER)
    assert answer.p == pytest.approx(0.03906, abs=5e-6)  # V = 40, two-sided (the book: 0.0195 on one side)
    assert (answer.low, answer.high) == pytest.approx((0.010, 0.786), abs=5e-4)  # R: wilcox.test(conf.int = TRUE)


@pytest.mark.parametrize("seed", range(5))
def test_tied_ranks_equal_the_slow_count(seed: int) -> None:
    d = np.round(np.random.default_rng(seed).normal(1, 2, 9))
    moved = d[d != 0]
    ranks = scipy_stats.rankdata(np.abs(moved)) * np.sign(moved)
    totals = [abs((np.array(signs) * ranks).sum()) for signs in product([1, -1], repeat=moved.size)]
    assert wilcoxon_test(d).p == pytest.approx(np.mean(np.array(totals) >= abs(ranks.sum()) - 1e-9))


def test_one_wild_repeat_weighs_little() -> None:
    d = np.array([0.02, 0.01, 0.03, 0.02, 0.015, 0.025, 0.012, 0.018, 0.022, -0.9])
    assert wilcoxon_test(d).low > -0.45
    assert wilcoxon_test(d).p < 0.11
    assert scipy_stats.ttest_1samp(d, 0).pvalue > 0.4


def test_too_few_repeats_for_its_own_interval() -> None:
    assert "Student's" in wilcoxon_test(np.array([0.1, 0.2, 0.3])).notes[0]
