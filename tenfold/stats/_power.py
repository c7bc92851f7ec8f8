"""What a number of repeats can detect: the power, the detectable difference, the repeats that a difference needs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, nctdtr, nctdtrinc, stdtrit

from tenfold.errors import RequestError
from tenfold.stats._paired import error_rate, overlap

MAX_REPEATS = 100
"""More repeats than this are not practical: a difference that needs them is treated as not found."""


def paired_power(
    difference: float, std: float, n_repeats: int, *, level: float = 0.95, test_over_train: float | None = None
) -> float:
    """Probability that a paired t test with ``n_repeats`` repeats detects a true difference, in its true direction.

    Args:
        difference: true mean difference, same unit as the scores.
        std: standard deviation of the paired difference between repeats, same unit.
        n_repeats: number of repeats.
        level: 1 minus the error rate of the test.
        test_over_train: n_test / n_train where repeats share training data (corrected resampled t test).
    Returns:
        Between 0 and 1; 0 below 2 repeats, which cannot be tested.
    Raises:
        RequestError: if the deviation is negative, or the level or the ratio is out of range.
    Example:
        >>> round(paired_power(0.01, 0.01, 10), 2)
        0.8

    Source: Cohen 1988, chapter 2; same numbers as R's power.t.test(type = "paired"). The permutation test has nearly
        the same power from 7 repeats on.
    """
    _check(std)
    return float(_powers(difference, std, np.array([n_repeats]), level, overlap(test_over_train))[0])


def detectable_difference(
    std: float, n_repeats: int, *, level: float = 0.95, power: float = 0.8, test_over_train: float | None = None
) -> float:
    """The true difference that ``n_repeats`` repeats detect with the given power.

    Args:
        std: standard deviation of the paired difference between repeats.
        n_repeats: number of repeats.
        level, test_over_train: as in ``paired_power``.
        power: probability of detection, strictly between 0 and 1.
    Returns:
        In the unit of ``std``; infinite below 2 repeats.
    Raises:
        RequestError: as in ``paired_power``, or if the power is not between 0 and 1.
    Example:
        >>> round(detectable_difference(0.01, 10), 4)
        0.01
    """
    _check(std, power)
    extra = overlap(test_over_train)
    if n_repeats < 2:
        return math.inf
    low, high = 0.0, 1.0
    while _powers(high, 1.0, np.array([n_repeats]), level, extra)[0] < power:
        low, high = high, 2 * high
    for _ in range(50):  # bisection: power increases with the difference
        middle = (low + high) / 2
        reached = _powers(middle, 1.0, np.array([n_repeats]), level, extra)[0] >= power
        low, high = (low, middle) if reached else (middle, high)
    return high * std


def repeats_needed(
    difference: float,
    std: float,
    *,
    level: float = 0.95,
    power: float = 0.8,
    test_over_train: float | None = None,
    limit: int = MAX_REPEATS,
) -> int | None:
    """The smallest number of repeats that detects a true difference with the given power.

    Args:
        difference, std, level, test_over_train: as in ``paired_power``.
        power: probability of detection, strictly between 0 and 1.
        limit: the largest number of repeats to try.
    Returns:
        A number of repeats, or None if ``limit`` repeats do not reach the power. With shared training data it is
        possible that no number does: the variance never falls below std^2 times the ratio.
    Raises:
        RequestError: as in ``detectable_difference``.
    Example:
        >>> repeats_needed(0.005, 0.01)
        34
    """
    _check(std, power)
    n = np.arange(2, limit + 1)
    enough = np.flatnonzero(_powers(difference, std, n, level, overlap(test_over_train)) >= power)
    return int(n[enough[0]]) if enough.size else None


def detectable_shift(degrees: NDArray[np.float64], rate: float, power: float = 0.8) -> NDArray[np.float64]:
    """The true difference, in standard errors, that a t test detects at this error rate with this power.

    Args:
        degrees: of freedom, any shape.
    Returns:
        Shape of ``degrees``.
    """
    degrees = np.asarray(degrees, dtype=np.float64)
    critical = stdtrit(degrees, 1 - rate / 2)
    # SciPy's inverse does not end for critical values of some thousands; from 50 on the estimated deviation alone
    # decides (chi-squared), within 1 %.
    far = critical > 50
    shifts = critical * np.sqrt(chdtri(degrees, 1 - power) / degrees)
    shifts[~far] = nctdtrinc(degrees[~far], 1 - power, critical[~far])
    return shifts


def _powers(difference: float, std: float, n: NDArray[np.int64], level: float, extra: float) -> NDArray[np.float64]:
    """Power for each number of repeats, shape of ``n``; Student's noncentral distribution."""
    alpha = error_rate(level)
    if std == 0:
        return np.where(n < 2, 0.0, float(difference != 0))
    degrees = np.maximum(n - 1, 1)
    shift = abs(difference) / (std * np.sqrt(1 / np.maximum(n, 1) + extra))
    power = 1 - nctdtr(degrees, shift, stdtrit(degrees, 1 - alpha / 2))
    return np.where(n < 2, 0.0, power)


def _check(std: float, power: float = 0.5) -> None:
    if not (math.isfinite(std) and std >= 0):
        raise RequestError(f"std: expected the standard deviation of the paired difference, 0 or more, got {std!r}.")
    if not 0 < power < 1:
        raise RequestError(f"power: expected a number strictly between 0 and 1, such as 0.8, got {power!r}.")
