"""Measured scores against a published mean, standard deviation and number of repeats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike
from scipy.special import stdtr

from tenfold.errors import RequestError
from tenfold.stats._paired import as_scores, deviation, error_rate, overlap, present
from tenfold.stats._student import student_interval
from tenfold.stats._wording import gap, p_value, percent, score, span


@dataclass(frozen=True)
class AgainstPublished:
    """Measured against published, where the published figure has a standard deviation.

    Attributes:
        n, mean, std: of the measured runs.
        published_n, published_mean, published_std: of the published ones.
        difference: measured minus published, as a fraction or in the metric's unit.
        low, high: Welch's interval for the difference; NaN below 2 measured runs.
        level: coverage of the interval.
        p: two-sided, not corrected for other comparisons; NaN below 2 measured runs.
        outcome: "higher", "lower", "no difference found", or "cannot tell yet" below 2 measured runs.
        sentence: the same in plain words.
        notes: known limits.
    """

    n: int
    mean: float
    std: float
    published_n: int
    published_mean: float
    published_std: float
    difference: float
    low: float
    high: float
    level: float
    p: float
    outcome: Literal["higher", "lower", "no difference found", "cannot tell yet"]
    sentence: str
    notes: tuple[str, ...] = ()


def against_published(
    scores: ArrayLike,
    *,
    mean: float,
    std: float,
    n: int,
    unit: str = "",
    level: float = 0.95,
    test_over_train: float | None = None,
) -> AgainstPublished:
    """Welch's test of measured scores against a published mean, standard deviation and number of repeats.

    Args:
        scores: measured, shape (runs,), as fractions where ``unit`` is "%"; missing ones are left out.
        mean, std: published, in the unit of the scores (fractions, not percent).
        n: published number of repeats, at least 2.
        unit: "%" or another, for the sentence.
        level: coverage of the interval, strictly between 0 and 1.
        test_over_train: n_test / n_train where the measured repeats share training data: the variance of their mean
            is then std^2 (1/runs + ratio) (Nadeau and Bengio 2003). Nothing is assumed about the published repeats.
    Returns:
        AgainstPublished. If neither side has any spread, p is that of splitting all n1 + n2 runs at random.
    Raises:
        ShapeError: if the scores are not of shape (runs,).
        RequestError: if n is below 2, the deviation negative, a figure not finite, or the level out of range.
    Example:
        >>> answer = against_published([0.80, 0.82, 0.84, 0.81], mean=0.81, std=0.03, n=10, unit="%")
        >>> print(answer.sentence)  # doctest: +NORMALIZE_WHITESPACE
        Measured 81.8 %, published 81.0 %: no difference found
        (p = 0.57; 95 % interval: between 2.1 percentage points lower and 3.6 higher).

    Source: Welch 1947; same p as scipy.stats.ttest_ind_from_stats(equal_var=False).
    """
    _check(mean, std, n)
    alpha, extra = error_rate(level), overlap(test_over_train)
    everything = as_scores(scores)
    values = present(everything)
    size = values.size
    notes = ["The published runs had other seeds and data splits: the comparison is not paired."]
    if size < everything.size:
        notes.append(f"{everything.size - size} of {everything.size} runs have no score and are left out.")
    ours = float(values.mean()) if size else math.nan
    ours_std = deviation(values)
    difference = ours - mean
    if size < 2:
        p = low = high = math.nan
    else:
        p, low, high = _welch(difference, (ours_std, size, extra), (std, n, 0.0), level)
        if ours_std == 0 and std == 0:
            notes.append("Neither side has any spread: p is that of splitting the runs at random.")
    outcome = _outcome(difference, p, alpha)
    sentence = _told(ours, mean, outcome, (difference, low, high), p, level, unit)
    return AgainstPublished(
        size, ours, ours_std, n, mean, std, difference, low, high, level, p, outcome, sentence, tuple(notes)
    )


def _check(mean: float, std: float, n: int) -> None:
    if not (math.isfinite(mean) and math.isfinite(std) and std >= 0):
        raise RequestError(f"Published mean and std: expected finite numbers, std 0 or more, got {mean!r} and {std!r}.")
    if n < 2:
        raise RequestError(
            f"Published n: expected 2 repeats or more, got {n!r}. Where one run was published, use against_single."
        )


def _welch(
    difference: float, ours: tuple[float, int, float], theirs: tuple[float, int, float], level: float
) -> tuple[float, float, float]:
    """p and interval of a difference of means; each side is (std, n, extra), with variance std^2 (1/n + extra)."""
    parts = [std**2 * (1 / n + extra) for std, n, extra in (ours, theirs)]
    n_ours, n_theirs = ours[1], theirs[1]
    variance = sum(parts)
    if variance == 0:
        return (1.0 if difference == 0 else 2 / math.comb(n_ours + n_theirs, n_ours)), difference, difference
    degrees = variance**2 / (parts[0] ** 2 / (n_ours - 1) + parts[1] ** 2 / (n_theirs - 1))
    error = math.sqrt(variance)
    return 2 * float(stdtr(degrees, -abs(difference) / error)), *student_interval(difference, error, degrees, level)


def _outcome(
    difference: float, p: float, alpha: float
) -> Literal["higher", "lower", "no difference found", "cannot tell yet"]:
    if math.isnan(p):
        return "cannot tell yet"
    if p > alpha:
        return "no difference found"
    return "higher" if difference > 0 else "lower"


def _told(
    ours: float, theirs: float, outcome: str, gaps: tuple[float, float, float], p: float, level: float, unit: str
) -> str:
    difference, low, high = gaps
    if math.isnan(ours):
        return f"Nothing measured, published {score(theirs, unit)}."
    both = f"Measured {score(ours, unit)}, published {score(theirs, unit)}"
    if outcome == "cannot tell yet":
        return f"{both}: one measured run cannot be tested."
    interval = f"{percent(level)} interval"
    result = outcome if outcome == "no difference found" else f"{gap(difference, unit)} {outcome}"
    return f"{both}: {result} ({p_value(p)}; {interval}: {span(low, high, unit)})."
