"""Scores of one model over its repeats: mean, standard deviation, and an interval for the mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tenfold.stats._paired import as_scores, deviation, error_rate, overlap, present
from tenfold.stats._student import student_interval

RESAMPLES = 9_999
FEWEST_FOR_BOOTSTRAP = 5


@dataclass(frozen=True)
class Summary:
    """One model, one metric.

    Attributes:
        n: runs with a score.
        mean, std: over those runs (std with n - 1); NaN if n is too small.
        low, high: interval for the mean; NaN below 2 runs.
        level: coverage of the interval.
        notes: what a reader must know, such as runs without a score.
    """

    n: int
    mean: float
    std: float
    low: float
    high: float
    level: float
    notes: tuple[str, ...] = ()


def summarise(
    scores: ArrayLike,
    *,
    level: float = 0.95,
    seed: int = 0,
    test_over_train: float | None = None,
    bounds: tuple[float, float] | None = None,
) -> Summary:
    """Mean and standard deviation over runs, with the studentised bootstrap interval of the mean.

    Runs are drawn with replacement 9,999 times, t = (mean* - mean) / (std* / sqrt n) is computed each time, and its
    quantiles replace Student's. The plain percentile bootstrap covers only 90 % instead of 95 % at 10 runs.

    Args:
        scores: shape (runs,); a run without a score (NaN, infinite) is left out and noted.
        level: coverage, strictly between 0 and 1.
        seed: of the bootstrap; the same seed gives the same interval.
        test_over_train: n_test / n_train where runs share training data. The interval is then Student's with the
            corrected variance std^2 (1/n + ratio): a bootstrap cannot detect what all runs have in common.
        bounds: limits at which the interval is cut off, such as (0, 1) for an accuracy; None for no limits.
    Returns:
        Summary. Below 5 runs, or if so many scores are equal that resamples have no spread, the interval is Student's.
        Equal scores give an interval of width 0, one run gives NaN.
    Raises:
        ShapeError: if the scores are not of shape (runs,).
        RequestError: if the level or the ratio is out of range.
    Example:
        >>> summary = summarise([0.79, 0.82, 0.80, 0.83, 0.81, 0.80, 0.82, 0.81, 0.79, 0.83])
        >>> f"{summary.mean:.2f} ({summary.low:.3f} to {summary.high:.3f})"
        '0.81 (0.799 to 0.821)'

    Source: Efron 1981; Davison and Hinkley 1997, chapter 5; Nadeau and Bengio 2003 for shared training data.
    """
    everything = as_scores(scores)
    values, extra = present(everything), overlap(test_over_train)
    error_rate(level)
    n, missing = values.size, everything.size - values.size
    notes = (f"{missing} of {everything.size} runs have no score and are left out.",) if missing else ()
    if n < 2:
        notes += ("One run has no spread: no interval." if n else "No run has a score.",)
        mean = float(values[0]) if n else math.nan
        return Summary(n, mean, math.nan, math.nan, math.nan, level, notes)
    if (std := deviation(values)) == 0:
        same = float(values[0])  # not the mean, which may differ in the last digit
        return Summary(n, same, 0.0, same, same, level, notes)
    mean = float(values.mean())
    ends = None
    if extra == 0 and n >= FEWEST_FOR_BOOTSTRAP:
        ends = _studentised(values - mean, std, level, seed)
        if ends is None:
            notes += ("Most scores are equal, too few to resample: the interval is Student's.",)
    if ends is None:
        ends = student_interval(0.0, std * math.sqrt(1 / n + extra), n - 1, level)
    low, high = mean + ends[0], mean + ends[1]
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Summary(n, mean, std, low, high, level, notes)


@lru_cache(maxsize=4)
def _draws(n: int, seed: int) -> NDArray[np.float64]:
    """How often each run is drawn, shape (resamples, runs)."""
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)
    draws.flags.writeable = False  # shared by all callers
    return draws


def _studentised(centred: NDArray[np.float64], std: float, level: float, seed: int) -> tuple[float, float] | None:
    """Ends of the interval relative to the mean; None if the quantiles are not finite."""
    n = centred.size
    draws = _draws(n, seed)
    means = draws @ centred / n  # (resamples,)
    variances = (draws @ centred**2 / n - means**2) * n / (n - 1)
    flat = variances <= 1e-12 * std**2  # one value drawn n times: no spread to divide by
    t = means / np.sqrt(np.where(flat, 1.0, variances) / n)
    t[flat] = np.copysign(np.inf, means[flat])
    t.sort()
    cut = error_rate(level) / 2 * (RESAMPLES + 1)
    least, most = t[max(math.floor(cut), 1) - 1], t[min(math.ceil(RESAMPLES + 1 - cut), RESAMPLES) - 1]
    if not (np.isfinite(least) and np.isfinite(most)):
        return None
    return -float(most) * std / math.sqrt(n), -float(least) * std / math.sqrt(n)
