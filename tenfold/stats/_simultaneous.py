"""Intervals of several pairs that hold together, from the same sign flips as their test."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tenfold.stats._paired import error_rate
from tenfold.stats._sign_flips import sign_flips

_BLOCK = 2_000_000  # numbers held at once


def joint_reach(differences: NDArray[np.float64], *, level: float = 0.95, seed: int = 0) -> NDArray[np.float64]:
    """How far the intervals of all pairs reach from their means, so that all hold together at this level.

    The reach is c s / sqrt(n) with one c for all pairs: the level's quantile, over sign flips, of the largest |t| of
    any pair. It is taken twice, of the differences and of their deviations from the mean, and the larger one is used:
    the first is the critical value of the test, the second does not become too small where most models differ.

    Args:
        differences: first minus second, shape (runs, pairs); NaN where a pair has no score in that run.
        level: probability that all intervals hold, strictly between 0 and 1.
        seed: for the random flips above 15 repeats.
    Returns:
        Shape (pairs,); infinite where the flips of so few repeats cannot reject any value, NaN below 2 repeats.
    Example:
        >>> noise = np.array([0.010, -0.012, 0.004, -0.003, 0.008, -0.006, 0.001, -0.002])
        >>> one, two = joint_reach(noise[:, None]), joint_reach(np.column_stack([noise, noise[::-1]]))
        >>> bool(one[0] < two[0])
        True

    Source: single-step max-T, Westfall and Young 1993, section 2.5; checked in tests/stats/test_calibration.py.
    """
    alpha, n_runs = error_rate(level), len(differences)
    counts = (~np.isnan(differences)).sum(axis=0)
    means = np.nansum(differences, axis=0) / np.maximum(counts, 1)
    deviations = np.nan_to_num(differences - means)
    spread = np.sqrt((deviations**2).sum(axis=0) / np.maximum(counts - 1, 1))
    flips = sign_flips(n_runs, seed)
    largest = np.maximum(
        _critical(np.nan_to_num(differences), counts, flips, alpha), _critical(deviations, counts, flips, alpha)
    )
    t = math.sqrt(largest / (1 - largest)) if largest < 1 - 1e-12 else math.inf
    with np.errstate(invalid="ignore"):
        reach = np.where(spread > 0, t * spread / np.sqrt(np.maximum(counts, 1)), 0.0 if math.isfinite(t) else math.inf)
    return np.where(counts > 1, reach, math.nan)


def _critical(values: NDArray[np.float64], counts: NDArray[np.int64], flips: NDArray[np.int8], alpha: float) -> float:
    """The value that the largest statistic of any pair exceeds in at most alpha of the flips.

    The statistic is t^2 / (1 + t^2), between 0 and 1: it increases with |t| and never divides by 0.
    """
    squares = (values**2).sum(axis=0)
    usable = (squares > 0) & (counts > 1)
    values, squares, counts = values[:, usable], squares[usable], counts[usable]
    if not values.shape[1]:
        return 0.0
    largest = []
    for block in np.array_split(flips, -(-flips.shape[0] * values.shape[1] // _BLOCK)):
        share = (block.astype(np.float64) @ values) ** 2 / squares  # (flips, pairs), between 0 and n
        statistic = (counts - 1) * share / (counts - share + (counts - 1) * share)
        largest.append(statistic.max(axis=1))
    ordered = np.sort(np.concatenate(largest))[::-1]
    return float(ordered[math.floor(alpha * ordered.size + 1e-9)])
