"""The sign-flip permutation test of a paired difference, and the interval that belongs to it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tenfold.stats._max_t import max_t
from tenfold.stats._paired import PairedTest, error_rate
from tenfold.stats._sign_flips import minimum_p, sign_flips
from tenfold.stats._student import NO_INTERVAL, student_test

STUDENT_INSTEAD = (
    "Too few repeats for an interval from the test itself: Student's interval is given, which assumes a normal "
    "distribution and may exclude 0 where the test cannot."
)


def permutation_test(differences: NDArray[np.float64], *, level: float = 0.95, seed: int = 0) -> PairedTest:
    """Fraction of sign flips whose mean difference is at least as far from 0: exact up to 15 repeats, random above.

    If two models are equal, swapping their scores in a repeat changes only the sign of the difference.

    Args:
        differences: first minus second, shape (runs,), none missing.
        level: coverage of the interval, strictly between 0 and 1.
        seed: for the 10,000 random flips above 15 repeats.
    Returns:
        p, and the interval of all shifts that the same test would not reject. Below 6 repeats (at level 0.95) no shift
        can be rejected; then Student's interval is given, with a note.
    Raises:
        RequestError: if the level is not between 0 and 1.
    Example:
        >>> permutation_test(np.array([0.02, 0.01, 0.03, 0.01, 0.02, 0.02])).p
        0.03125

    Source: Fisher 1935, The Resampling of Experiments, section 21; Phipson and Smyth 2010 for the +1. Same p as
        scipy.stats.permutation_test(permutation_type="samples").
    """
    alpha, n = error_rate(level), differences.size
    if n < 2:
        return PairedTest(1.0, math.nan, math.nan, (NO_INTERVAL,))
    p = float(max_t(differences[:, None], seed=seed)[0])
    moved = int(np.count_nonzero(differences))
    notes: tuple[str, ...] = ()
    if moved and minimum_p(n) <= alpha < minimum_p(moved):
        least = minimum_p(moved)
        notes = (f"The two are equal in {n - moved} of {n} repeats: the smallest possible p is {least:.2g}.",)
    ends = _inverted(differences, alpha, sign_flips(n, seed))
    if ends is None:
        student = student_test(differences, level=level, extra=0.0)
        return PairedTest(p, student.low, student.high, (STUDENT_INSTEAD,))
    return PairedTest(p, *ends, notes)


def _inverted(differences: NDArray[np.float64], alpha: float, flips: NDArray[np.int8]) -> tuple[float, float] | None:
    """All shifts with p above alpha, computed without a search; None if that is every shift.

    Let X be the sum over runs of d - shift, and Y its part over the flipped runs. A flip reaches the observed sum if
    |X - 2Y| >= |X|, that is Y (Y - X) >= 0: if the shift lies between the mean of the flipped runs and the mean of the
    other runs. So p counts the intervals that contain the shift. All of them contain the mean, and the ends of the
    result are order statistics of their ends.
    """
    if np.ptp(differences) == 0 and 1 / flips.shape[0] <= alpha:
        return float(differences[0]), float(differences[0])  # their sums and means could differ in the last digit
    rank = math.floor(alpha * flips.shape[0] + 1e-9)
    if rank == 0:
        return None
    minus = flips[1:] < 0  # (flips, runs); the pattern without a flip contains every shift
    n_minus = minus.sum(axis=1)
    minus = minus[(n_minus > 0) & (n_minus < differences.size)]
    n_minus = minus.sum(axis=1)
    sum_minus = minus @ differences
    mean_minus = sum_minus / n_minus
    mean_plus = (differences.sum() - sum_minus) / (differences.size - n_minus)
    always = flips.shape[0] - 1 - minus.shape[0]  # random patterns that flip all or no runs contain every shift too
    if rank <= always:
        return None
    index = rank - always - 1
    low = np.partition(np.minimum(mean_minus, mean_plus), index)[index]
    high = -np.partition(-np.maximum(mean_minus, mean_plus), index)[index]
    rounding = 1e-9 * np.abs(differences).max()  # an end of 1e-19 would be on one side of 0 by rounding alone
    low, high = (0.0 if abs(end) <= rounding else float(end) for end in (low, high))
    return low, high
