"""What every paired statistic shares: checked scores, their differences, and the result of a paired test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tenfold.errors import RequestError, ShapeError


@dataclass(frozen=True)
class PairedTest:
    """Result of one paired test on one pair of models.

    Attributes:
        p: two-sided p-value, not corrected for other pairs.
        low, high: interval for the mean difference that belongs to the test: it excludes 0 exactly where
            p <= 1 - level, except where ``notes`` say that another interval is given. NaN below 2 repeats.
        notes: what a reader must know about these numbers.
    """

    p: float
    low: float
    high: float
    notes: tuple[str, ...] = ()


def as_scores(values: ArrayLike, *, name: str = "scores") -> NDArray[np.float64]:
    """One score per run as floats; a value that is not finite (of a diverged run) becomes NaN.

    Raises:
        ShapeError: if the values are not numbers or not one-dimensional, or there are none.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{name}: expected numbers, one per run, got {values!r:.80}.") from error
    if array.ndim != 1 or array.size == 0:
        raise ShapeError(
            f"{name}: expected one number per run, shape (runs,), got shape {array.shape}. "
            "Pass the scores of one model and one metric."
        )
    return np.where(np.isfinite(array), array, np.nan)


def as_pair(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The scores of two models, checked to have equally many repeats; shape (runs,) each.

    Raises:
        ShapeError: if either is not of shape (runs,), or the two differ in length.
    """
    first, second = as_scores(first, name="first"), as_scores(second, name="second")
    if first.shape != second.shape:
        raise ShapeError(
            f"Scores are paired by repeat: expected as many for first as for second, got {first.size} and "
            f"{second.size}. Put NaN where a run has no score."
        )
    return first, second


def differences(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """First minus second per repeat, NaN where either is missing; shape (runs,).

    Rounded to the 12th digit of the largest score: 0.81 - 0.80 and 0.79 - 0.78 are not the same floating point
    number, and a tie that is not detected changes ranks, counts and a variance of zero.
    """
    scale = max(np.nanmax(np.abs(array), initial=0.0) for array in (first, second))
    grain = 1e-12 * scale if scale > 0 else 1.0
    return np.round((first - second) / grain) * grain


def present(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values that are not missing."""
    return values[~np.isnan(values)]


def deviation(values: NDArray[np.float64]) -> float:
    """Sample standard deviation (n - 1); exactly 0 for equal values (the formula gives 1e-17), NaN below 2 values."""
    if values.size < 2:
        return math.nan
    return float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0


def error_rate(level: float) -> float:
    """The error rate that a level allows: 1 - level, without the rounding error of 1 - 0.95.

    Raises:
        RequestError: if the level is not strictly between 0 and 1.

    Example:
        >>> error_rate(0.95)
        0.05
    """
    if not 0 < level < 1:
        raise RequestError(f"level: expected a number strictly between 0 and 1, such as 0.95, got {level!r}.")
    return round(1 - level, 12)


def overlap(test_over_train: float | None) -> float:
    """The term that shared training data adds to 1/runs in the variance of a mean; 0 for independent repeats.

    Raises:
        RequestError: if the ratio is not a positive finite number.
    """
    if test_over_train is None:
        return 0.0
    if not (math.isfinite(test_over_train) and test_over_train > 0):
        raise RequestError(
            "test_over_train: expected n_test / n_train, a number above 0, or None for independent repeats, "
            f"got {test_over_train!r}."
        )
    return float(test_over_train)
