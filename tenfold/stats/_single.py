"""Measured scores and one published number without a standard deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tenfold.errors import RequestError
from tenfold.stats._paired import as_scores, deviation, present
from tenfold.stats._wording import score


@dataclass(frozen=True)
class AgainstSingle:
    """The position of one published number among the measured runs.

    Attributes:
        value: the published number, in the unit of the scores.
        n, mean, std: of the measured runs; std is NaN below 2.
        below, equal, above: how many measured runs are below it, equal to it, above it.
        percentile: fraction of runs below it, an equal run counts half; NaN without a run.
        z: its distance from our mean in our standard deviations, positive where the published number is higher;
            infinite where our runs are all equal and differ from it, NaN below 2 runs.
        sentence: the same in plain words.
    """

    value: float
    n: int
    mean: float
    std: float
    below: int
    equal: int
    above: int
    percentile: float
    z: float
    sentence: str


def against_single(scores: ArrayLike, value: float, *, unit: str = "") -> AgainstSingle:
    """Position of one published number in the distribution of our runs. No test: the spread of one number is unknown.

    Args:
        scores: measured, shape (runs,), as fractions where ``unit`` is "%"; missing ones are left out.
        value: the published number, in the unit of the scores (a fraction, not percent).
        unit: "%" or another, for the sentence.
    Returns:
        AgainstSingle.
    Raises:
        ShapeError: if the scores are not of shape (runs,).
        RequestError: if the value is not a finite number.
    Example:
        >>> answer = against_single([0.80, 0.82, 0.84, 0.81], 0.83, unit="%")
        >>> print(answer.sentence)  # doctest: +NORMALIZE_WHITESPACE
        Published 83.0 %, one figure without a deviation: above 3 of our 4 runs (mean 81.8 %),
        0.7 deviations above our mean. One number cannot be tested.
    """
    if not math.isfinite(value):
        raise RequestError(f"value: expected the published number, got {value!r}.")
    runs = present(as_scores(scores))
    grain = 1e-12 * max(abs(value), 1e-300)
    equal = int((np.abs(runs - value) <= grain).sum())
    below = int((runs < value - grain).sum())
    mean = float(runs.mean()) if runs.size else math.nan
    std, z = deviation(runs), math.nan
    if runs.size > 1:
        away = 0.0 if equal == runs.size else value - mean
        z = away / std if std > 0 else math.copysign(math.inf, away) if away else 0.0
    percentile = (below + equal / 2) / runs.size if runs.size else math.nan
    told = _told(value, unit, (below, equal, runs.size), mean, z)
    return AgainstSingle(value, runs.size, mean, std, below, equal, runs.size - below - equal, percentile, z, told)


def _told(value: float, unit: str, counts: tuple[int, int, int], mean: float, z: float) -> str:
    below, equal, n = counts
    head = f"Published {score(value, unit)}, one figure without a deviation"
    if n == 0:
        return f"{head}; nothing measured."
    if n == 1:
        return f"{head}; one run measured {score(mean, unit)}."
    if equal == n:
        where = f"the same as all {n} of our runs"
    elif below == n:
        where = f"above all {n} of our runs"
    elif below + equal == 0:
        where = f"below all {n} of our runs"
    else:
        where = f"above {below} of our {n} runs" + (f", equal to {equal}" if equal else "")
    away = (
        "" if not math.isfinite(z) or z == 0 else f", {abs(z):.1f} deviations {'above' if z > 0 else 'below'} our mean"
    )
    return f"{head}: {where} (mean {score(mean, unit)}){away}. One number cannot be tested."
