"""Wilcoxon's signed-rank test, on request."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tenfold.stats._max_t import max_t
from tenfold.stats._paired import PairedTest, error_rate
from tenfold.stats._permutation import STUDENT_INSTEAD
from tenfold.stats._student import NO_INTERVAL, student_test


def wilcoxon_test(differences: NDArray[np.float64], *, level: float = 0.95, seed: int = 0) -> PairedTest:
    """Signed-rank test: sign flips of the ranks of the differences, so that one outlier has little weight.

    Args:
        differences: first minus second, shape (runs,), none missing.
        level: coverage of the interval, strictly between 0 and 1.
        seed: for the random flips if ranks are tied and there are more than 15 repeats.
    Returns:
        p of scipy.stats.wilcoxon; with tied ranks, which SciPy only approximates, of sign flips of the mean ranks.
        Zeros are left out, as Wilcoxon does. The interval is that of the pseudo-median, from the ordered means of all
        pairs of differences; it may exclude the mean if one repeat is an outlier.
    Raises:
        RequestError: if the level is not between 0 and 1.
    Example:
        >>> wilcoxon_test(np.array([0.02, 0.01, 0.03, 0.04, 0.05, -0.06])).p
        0.4375

    Source: Wilcoxon 1945; the interval: Hollander, Wolfe and Chicken 2014, section 3.3.
    """
    from scipy import stats  # takes 0.7 s to import, and this test is rarely used

    alpha = error_rate(level)
    if differences.size < 2:
        return PairedTest(1.0, math.nan, math.nan, (NO_INTERVAL,))
    moved = differences[differences != 0]
    if moved.size == 0:
        return PairedTest(1.0, 0.0, 0.0)
    ranks = stats.rankdata(np.abs(moved))
    if np.unique(ranks).size < ranks.size:
        p = float(max_t((np.sign(moved) * ranks)[:, None], seed=seed)[0])
    else:
        p = float(np.asarray(stats.wilcoxon(moved))[1])
    rank = _last_rejected(differences.size, alpha)
    if rank == 0:
        student = student_test(differences, level=level, extra=0.0)
        return PairedTest(p, student.low, student.high, (STUDENT_INSTEAD,))
    rows, columns = np.triu_indices(differences.size)
    means = np.sort((differences[rows] + differences[columns]) / 2)
    return PairedTest(p, float(means[rank - 1]), float(means[-rank]))


def _last_rejected(n: int, alpha: float) -> int:
    """How many of the smallest rank sums a two-sided test at alpha rejects, out of 0 .. n (n + 1) / 2."""
    probability = np.zeros(n * (n + 1) // 2 + 1)  # of each rank sum
    probability[0] = 1.0
    for rank in range(1, n + 1):  # each rank is in the sum with probability 1/2
        probability[rank:] = (probability[rank:] + probability[:-rank]) / 2
        probability[:rank] /= 2
    return int((np.cumsum(probability) <= alpha / 2 + 1e-12).sum())
