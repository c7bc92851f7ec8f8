"""Student's paired t test, and what it shares with the corrected resampled t test."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from tenfold.stats._paired import PairedTest, deviation, error_rate
from tenfold.stats._sign_flips import minimum_p

NO_INTERVAL = "One repeat or none has no spread: no interval and no test."


def student_interval(mean: float, standard_error: float, degrees: float, level: float) -> tuple[float, float]:
    """Mean plus and minus Student's quantile times the standard error."""
    reach = float(stdtrit(degrees, 1 - error_rate(level) / 2)) * standard_error
    return mean - reach, mean + reach


def worth(n: int, extra: float) -> int:
    """How many independent repeats give a mean with the same standard error as n that share training data.

    Example:
        >>> worth(10, 0.0), worth(10, 1 / 9)
        (10, 4)
    """
    return int(1 / (1 / n + extra) + 1e-9)


def student_test(differences: NDArray[np.float64], *, level: float, extra: float) -> PairedTest:
    """Student's test with variance of the mean s^2 (1/n + extra); ``extra`` is 0 for independent repeats.

    If all differences are the same, the variance is 0 and t is 0/0 or infinite. All zero: p = 1. Otherwise Student's p
    would be 0 without evidence for it, so p is the smallest that sign flips can give for the equivalent number of
    independent repeats.
    """
    n = differences.size
    error_rate(level)
    if n < 2:
        return PairedTest(1.0, math.nan, math.nan, (NO_INTERVAL,))
    mean, std = float(differences.mean()), deviation(differences)
    if std == 0:
        if mean == 0:
            return PairedTest(1.0, 0.0, 0.0)
        note = "The difference is the same in every repeat: without any spread, p is that of counting signs."
        return PairedTest(minimum_p(worth(n, extra)), mean, mean, (note,))
    standard_error = std * math.sqrt(1 / n + extra)
    p = 2 * float(stdtr(n - 1, -abs(mean) / standard_error))
    return PairedTest(p, *student_interval(mean, standard_error, n - 1, level))


def paired_t_test(differences: NDArray[np.float64], *, level: float = 0.95, seed: int = 0) -> PairedTest:
    """Student's paired t test, for differences that are nearly normal and independent between repeats.

    Args:
        differences: first minus second, shape (runs,), none missing.
        level: coverage of the interval, strictly between 0 and 1.
        seed: not used; an argument of every paired test.
    Returns:
        p and Student's interval.
    Raises:
        RequestError: if the level is not between 0 and 1.
    Example:
        >>> paired_t_test(np.array([0.02, 0.01, 0.03, 0.00, 0.02])).p < 0.05
        True

    Source: Student 1908; same numbers as scipy.stats.ttest_1samp(differences, 0). Differences without spread: see
        ``student_test``.
    """
    return student_test(differences, level=level, extra=0.0)
