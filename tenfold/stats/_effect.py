"""The size of a paired difference, independent of its significance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tenfold.stats._paired import as_pair, deviation, differences, present


def effect_size(first: ArrayLike, second: ArrayLike) -> float:
    """Mean difference divided by its standard deviation between repeats (Cohen's d_z), corrected for few repeats.

    Args:
        first, second: scores of two models, shape (runs,), same repeats in the same order; NaN for a missing one.
    Returns:
        Positive where ``first`` is higher; 0 where the two are always equal, infinite where they always differ by
        the same amount, NaN below 3 common repeats (the correction is 0 there).
    Raises:
        ShapeError: if the two differ in length, or either is not of shape (runs,).
    Example:
        >>> round(effect_size([0.9, 0.8, 0.9, 0.8], [0.7, 0.7, 0.8, 0.5]), 2)
        1.32

    Source: Cohen 1988, section 2.3.5 (d_z); Hedges 1981, Journal of Educational Statistics 6, eq. 6e, exact factor.
    """
    d = present(differences(*as_pair(first, second)))
    if d.size < 3:
        return math.nan
    mean = float(d.mean())
    if (std := deviation(d)) == 0:
        return 0.0 if mean == 0 else math.copysign(math.inf, mean)
    degrees = d.size - 1
    factor = math.exp(math.lgamma(degrees / 2) - math.lgamma((degrees - 1) / 2)) / math.sqrt(degrees / 2)
    return mean / std * factor


def superiority(first: ArrayLike, second: ArrayLike) -> float:
    """Fraction of repeats in which ``first`` is higher; a tie counts half.

    Args:
        first, second: scores of two models, shape (runs,), same repeats in the same order; NaN for a missing one.
    Returns:
        Between 0 and 1; NaN without a common repeat. For a loss, where lower is better, use 1 minus this.
    Raises:
        ShapeError: if the two differ in length, or either is not of shape (runs,).
    Example:
        >>> superiority([0.9, 0.8, 0.9, 0.5], [0.7, 0.7, 0.9, 0.8])
        0.625

    Source: McGraw and Wong 1992 (common language effect size), for paired repeats.
    """
    d = present(differences(*as_pair(first, second)))
    if d.size == 0:
        return math.nan
    return float(np.mean((d > 0) + 0.5 * (d == 0)))
