"""The verdict on every pair of models: better, no difference found, or more repeats needed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tenfold.errors import RequestError, ShapeError, nearest
from tenfold.stats._compare import Comparison, choose_test, compare_pair
from tenfold.stats._holm import holm
from tenfold.stats._max_t import max_t
from tenfold.stats._paired import as_scores, differences
from tenfold.stats._prospect import Family, prospect
from tenfold.stats._verdict_words import Metric, sentence
from tenfold.stats._wording import p_value

CORRECTIONS = ("max-t", "holm")

Outcome = Literal["better", "no difference found", "cannot tell yet"]


@dataclass(frozen=True)
class Verdict:
    """The result for one pair of models on one metric.

    Attributes:
        first, second: names of the two, in the order of the study.
        metric: name of the metric.
        n: repeats in which both have a score.
        difference: mean of first minus second, as a fraction or in the metric's unit; NaN without a common repeat.
        low, high: interval of this pair's mean difference, not widened for the number of pairs.
        level: coverage of the interval, and 1 minus the error rate of the verdict.
        p, p_corrected: before and after the correction for all pairs compared.
        outcome: "better", "no difference found" or "cannot tell yet".
        winner: name of the better model, or None.
        repeats_needed: in total, for an answer; None if there is an answer, or if no realistic number is sufficient.
        effect_size: Cohen's d_z with Hedges' correction, positive where first is higher.
        superiority: fraction of repeats in which first is better; a tie counts half.
        test: name of the paired test.
        correction: "max-t", "holm", or "none" for a single pair.
        n_pairs: pairs compared together, without those that have fewer than 2 common repeats.
        sentence: the verdict in plain words.
        notes: known limits of this verdict.
    """

    first: str
    second: str
    metric: str
    n: int
    difference: float
    low: float
    high: float
    level: float
    p: float
    p_corrected: float
    outcome: Outcome
    winner: str | None
    repeats_needed: int | None
    effect_size: float
    superiority: float
    test: str
    correction: str
    n_pairs: int
    sentence: str
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: a number that is not finite (no common repeat, no spread) becomes None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in dataclasses.asdict(self).items()
        }


def verdicts(
    scores: Mapping[str, ArrayLike],
    *,
    pairs: Iterable[tuple[str, str]] | None = None,
    metric: str = "score",
    higher_is_better: bool = True,
    unit: str = "",
    level: float = 0.95,
    test: str = "auto",
    correction: str = "max-t",
    test_over_train: float | None = None,
    seed: int = 0,
) -> list[Verdict]:
    """Judge every pair of models; the probability of any false positive among all pairs is at most 1 - level.

    A corrected p of 1 - level or less is "better". Otherwise, if at most 100 repeats would detect the observed
    difference with 80 % power, "cannot tell yet", with their number; else "no difference found". If the test cannot
    reach the level with so few repeats, the answer is "cannot tell yet" for any scores.

    Args:
        scores: name -> scores of shape (runs,), same repeats in the same order; NaN where a run has no score.
        pairs: names of the pairs to judge; None for every pair. The correction is for the pairs that are judged.
        metric: name of the metric, for the sentences.
        higher_is_better: False for a loss.
        unit: "%" if scores are fractions that are written in percent; any other unit is written after the numbers.
        level: 1 minus the rate of false positives, strictly between 0 and 1.
        test: as in ``compare_pair``.
        correction: "max-t" (joint sign flips, for the permutation test; other tests have no flips and use Holm's) or
            "holm". The verdict says which was used.
        test_over_train: n_test / n_train of one repeat where repeats share training data, else None.
        seed: for the random sign flips above 15 repeats.
    Returns:
        One verdict per pair, in the given order, by default that of the names; none for fewer than two models.
    Raises:
        ShapeError: if a model's scores are not of shape (runs,), or the models differ in their number of runs.
        RequestError: if test, correction, level or ratio are unknown, out of range or do not fit each other.
    Example:
        >>> small = [0.78, 0.79, 0.80, 0.77, 0.80, 0.79]
        >>> large = [0.81, 0.80, 0.83, 0.79, 0.82, 0.80]
        >>> print(verdicts({"large": large, "small": small}, metric="accuracy", unit="%")[0].sentence)
        large is better than small on accuracy: 2.0 percentage points higher (95 % interval 1.0 to 3.0, p = 0.031).
    """
    test = choose_test(test, test_over_train)
    if correction not in CORRECTIONS:
        raise RequestError(f"Unknown correction '{correction}': {nearest(correction, CORRECTIONS)}")
    arrays = _checked(scores)
    pairs = list(combinations(arrays, 2)) if pairs is None else list(pairs)
    if unknown := [name for pair in pairs for name in pair if name not in arrays]:
        raise RequestError(f"pairs: no scores of '{unknown[0]}': {nearest(unknown[0], arrays)}")
    compared = [
        compare_pair(arrays[a], arrays[b], test=test, test_over_train=test_over_train, level=level, seed=seed)
        for a, b in pairs
    ]
    n_pairs = max(sum(pair.n > 1 for pair in compared), 1)  # a pair with one repeat left cannot be tested
    if n_pairs == 1:
        correction = "none"
    elif test != "permutation":
        correction = "holm"
    family = Family(level, test, correction, n_pairs, test_over_train)
    corrected = _corrected(arrays, pairs, compared, correction, seed)
    told = Metric(metric, unit, higher_is_better)
    n_open = sum(pair.n > 1 and p > family.alpha for pair, p in zip(compared, corrected, strict=True))
    return [
        _verdict(names, comparison, float(p), told, family, n_open)
        for names, comparison, p in zip(pairs, compared, corrected, strict=True)
    ]


def _checked(scores: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float64]]:
    arrays = {name: as_scores(values, name=f"scores of '{name}'") for name, values in scores.items()}
    sizes = {name: array.size for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"'{name}' {size}" for name, size in sizes.items())
        raise ShapeError(
            f"Scores are paired by repeat: expected as many for every model, got {listed}. Put NaN where a run has "
            "no score."
        )
    return arrays


def _corrected(
    arrays: Mapping[str, NDArray[np.float64]],
    pairs: list[tuple[str, str]],
    compared: list[Comparison],
    correction: str,
    seed: int,
) -> NDArray[np.float64]:
    """Corrected p of every pair, shape (pairs,); pairs that cannot be tested keep p = 1 and are not counted."""
    p = np.array([comparison.p for comparison in compared])
    tested = np.array([comparison.n > 1 for comparison in compared], dtype=bool)
    if correction == "none":
        return p
    if correction == "holm":
        p[tested] = holm(p[tested])
        return p
    gaps = [differences(arrays[a], arrays[b]) for (a, b), take in zip(pairs, tested, strict=True) if take]
    # Above 15 repeats the flips of a pair with missing scores differ from those of its own test: take the larger p.
    p[tested] = np.maximum(max_t(np.column_stack(gaps), seed=seed), p[tested])
    return p


def _verdict(
    names: tuple[str, str], pair: Comparison, p: float, metric: Metric, family: Family, n_open: int
) -> Verdict:
    """The verdict on one pair, from its comparison and corrected p."""
    notes, ahead, winner = [*pair.notes], None, None
    outcome: Outcome = "better"
    disagree = pair.low > 0 > pair.difference or pair.high < 0 < pair.difference
    if p > family.alpha or disagree:
        ahead = prospect(pair, family, n_open=n_open)
        outcome = "cannot tell yet" if ahead.is_open else "no difference found"
        notes += ahead.notes
    else:
        winner = names[0] if (pair.difference > 0) == metric.higher_is_better else names[1]
    if disagree:
        notes.append("The mean and the ranks point in different directions: look at the repeats one by one.")
    elif p > family.alpha >= pair.p:
        notes.append(f"This pair alone would be called ({p_value(pair.p)}), but {family.n_pairs} were compared.")
    return Verdict(
        first=names[0],
        second=names[1],
        metric=metric.name,
        n=pair.n,
        difference=pair.difference,
        low=pair.low,
        high=pair.high,
        level=family.level,
        p=pair.p,
        p_corrected=p,
        outcome=outcome,
        winner=winner,
        repeats_needed=ahead.repeats if ahead else None,
        effect_size=pair.effect_size,
        superiority=pair.superiority if metric.higher_is_better else 1 - pair.superiority,
        test=pair.test,
        correction=family.correction,
        n_pairs=family.n_pairs,
        sentence=sentence(names, pair, p, metric, outcome, ahead.words if ahead else "", family.n_pairs),
        notes=tuple(notes),
    )
