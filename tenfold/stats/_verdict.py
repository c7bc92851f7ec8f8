"""The verdict on every pair of models: better, practically equal, or cannot tell, and what could."""

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
from tenfold.stats._design import INDEPENDENT, Clusters, Design
from tenfold.stats._family import CORRECTIONS, Judged, judge
from tenfold.stats._looks import Looks
from tenfold.stats._paired import as_scores
from tenfold.stats._prospect import Family, Remedy, prospect
from tenfold.stats._verdict_words import Metric, Told, collapse_notes, failures, here_sentence, sentence
from tenfold.stats._wording import p_value

__all__ = ["CORRECTIONS", "Verdict", "verdicts"]

Outcome = Literal["better", "practically equal", "cannot tell"]


@dataclass(frozen=True)
class Verdict:
    """The result for one pair of models on one metric.

    Attributes:
        first, second: names of the two, in the order of the study.
        metric: name of the metric.
        n: repeats in which both have a score.
        difference: mean of first minus second, as a fraction or in the metric's unit; NaN without a common repeat.
        low, high: interval of the mean difference. The intervals of all pairs hold together; none excludes 0 for a
            pair that is not called, or includes it for one that is.
        alone_low, alone_high: interval of this pair alone, not widened for the number of pairs.
        level: coverage of the intervals, and 1 minus the error rate of the verdict.
        p, p_corrected: before and after the correction for all pairs, looks and metrics.
        outcome: "better", "practically equal" (within the margin) or "cannot tell".
        winner: name of the better model, or None.
        beyond: what the verdict is meant for, as ``Design.beyond``; "" for any data like these.
        here: name of the model that is better in new training runs on the same test examples; None where neither is
            called, or every repeat has its own.
        equal_within: the margin, in the unit of the scores; None where there is none.
        remedy: for an open pair, what might settle it: "more repeats", "more data" or "".
        repeats_fewest, repeats_needed: repeats in total that would settle it if the true difference were the largest
            that the interval allows, and if it were the one seen; None if there is an answer or no realistic number.
        detectable: the smallest true difference that this study would have called, with 80 % power.
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
    alone_low: float
    alone_high: float
    level: float
    p: float
    p_corrected: float
    outcome: Outcome
    winner: str | None
    beyond: str
    here: str | None
    equal_within: float | None
    remedy: Remedy
    repeats_fewest: int | None
    repeats_needed: int | None
    detectable: float
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
    design: Design = INDEPENDENT,
    clusters: Clusters | None = None,
    failed: Mapping[str, ArrayLike] | None = None,
    failed_score: float | None = None,
    pairs: Iterable[tuple[str, str]] | None = None,
    metric: str = "score",
    higher_is_better: bool = True,
    unit: str = "",
    level: float = 0.95,
    equal_within: float | None = None,
    test: str = "auto",
    correction: str = "max-t",
    looks: Looks | None = None,
    n_metrics: int = 1,
    seed: int = 0,
) -> list[Verdict]:
    """Judge every pair of models; the probability of any false positive among all pairs is at most 1 - level.

    - **better**: the corrected p is 1 - level or less.
    - **practically equal**: the interval lies within the margin ``equal_within``. Without a margin no pair is.
    - **cannot tell**: anything else, with what is still possible and what might settle it.

    Args:
        scores: name -> scores of shape (runs,), same repeats in the same order; NaN where a run has no score.
        design: how the repeats share test examples; by default they share none.
        clusters: what each cluster of test examples adds to the scores. Needed for a verdict beyond one test set.
        failed: name -> which runs failed (diverged), bool of shape (runs,). They count with ``failed_score``.
        failed_score: score of a failed run, such as chance level; None for the worst of all models.
        pairs: names of the pairs to judge; None for every pair. The correction is for the pairs that are judged.
        metric: name of the metric, for the sentences.
        higher_is_better: False for a loss.
        unit: "%" if scores are fractions that are written in percent; any other unit is written after the numbers.
        level: 1 minus the rate of false positives, strictly between 0 and 1.
        equal_within: differences up to this are of no importance, in the unit of the scores, above 0; None for no
            such margin.
        test: as in ``compare_pair``, for independent repeats. "auto" follows the design: sign flips if repeats are
            independent, the corrected resampled t test if they draw from one pool, and Student's with the variance
            between repeats and clusters if test examples are shared but never trained on.
        correction: "max-t" (joint sign flips, for the permutation test; other tests have no flips and use Holm's) or
            "holm". The verdict says which was used.
        looks: after how many repeats the verdicts were looked at: all looks together keep the error rate, and the
            intervals hold over all of them. None for one look only, after which nobody goes on.
        n_metrics: metrics on which the models are compared, this one included; each gets an equal part of the error
            rate (Bonferroni).
        seed: for the random sign flips above 15 repeats.
    Returns:
        One verdict per pair, in the given order, by default that of the names; none for fewer than two models.
    Raises:
        ShapeError: if a model's scores are not of shape (runs,), or the models differ in their number of runs.
        RequestError: if test, correction, level or margin are unknown, out of range or do not fit each other.
    Example:
        >>> small = [0.78, 0.79, 0.80, 0.77, 0.80, 0.79]
        >>> large = [0.81, 0.80, 0.83, 0.79, 0.82, 0.80]
        >>> print(verdicts({"large": large, "small": small}, metric="accuracy", unit="%")[0].sentence)
        large is better than small on accuracy: 2.0 percentage points higher (95 % interval 1.0 to 3.0, p = 0.031).

    Source: two one-sided tests for equality: Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15.
        The rest: docs/statistics.md.
    """
    if isinstance(n_metrics, bool) or n_metrics < 1:
        raise RequestError(f"n_metrics: expected the number of metrics, 1 or more, got {n_metrics!r}.")
    if equal_within is not None and not (math.isfinite(equal_within) and equal_within > 0):
        raise RequestError(f"equal_within: expected a number above 0 in the unit of the scores, got {equal_within!r}.")
    arrays = _checked(scores)
    lost = {name: np.asarray(flags, dtype=bool) for name, flags in (failed or {}).items() if np.any(flags)}
    arrays = _with_failures(arrays, lost, failed_score, higher_is_better)
    pairs = list(combinations(arrays, 2)) if pairs is None else list(pairs)
    if unknown := [name for pair in pairs for name in pair if name not in arrays]:
        raise RequestError(f"pairs: no scores of '{unknown[0]}': {nearest(unknown[0], arrays)}")
    if not pairs:
        return []
    judged, family = judge(
        arrays,
        pairs,
        design=design,
        clusters=clusters,
        level=level,
        test=test,
        correction=correction,
        seed=seed,
        looks=looks,
        n_metrics=n_metrics,
        for_equality=equal_within is not None,
    )
    words = Metric(metric, unit, higher_is_better)
    n_open = sum(pair.n > 1 and not pair.called for pair in judged)
    return [
        _verdict(names, pair, words, design, family, n_open, equal_within, _Runs(arrays, lost))
        for names, pair in zip(pairs, judged, strict=True)
    ]


@dataclass(frozen=True)
class _Runs:
    """Scores by model, and which of them failed."""

    scores: Mapping[str, NDArray[np.float64]]
    failed: Mapping[str, NDArray[np.bool_]]


def _verdict(
    names: tuple[str, str],
    pair: Judged,
    metric: Metric,
    design: Design,
    family: Family,
    n_open: int,
    equal_within: float | None,
    runs: _Runs,
) -> Verdict:
    """The verdict on one pair that has been judged with the others."""

    def better(called: bool) -> str | None:
        return names[(pair.difference > 0) != metric.higher_is_better] if called else None

    ahead, outcome = None, _outcome(pair, equal_within)
    if outcome == "cannot tell":
        ends = (pair.low, pair.difference, pair.high)
        ahead = prospect(pair.spread, ends, family, n_open=n_open, more=design.more)
    here = better(pair.here_called)
    told = Told(outcome, ahead.words if ahead else "", design.beyond, equal_within, family.n_pairs)
    said = [sentence(names, pair, metric, told)]
    if outcome == "cannot tell" and here:
        said.append(here_sentence(here, pair, metric, design.tested_on))
    said.append(failures(names, runs.failed))
    notes = [*pair.notes, *(ahead.notes if ahead else ()), *collapse_notes(names, runs.scores, metric)]
    if not pair.called and family.n_pairs > 1 and pair.p_corrected > family.alpha >= pair.p:
        notes.append(f"This pair alone would be called ({p_value(pair.p)}), but {family.n_pairs} were compared.")
    return Verdict(
        first=names[0],
        second=names[1],
        metric=metric.name,
        n=pair.n,
        difference=pair.difference,
        low=pair.low,
        high=pair.high,
        alone_low=pair.alone_low,
        alone_high=pair.alone_high,
        level=pair.level,
        p=pair.p,
        p_corrected=pair.p_corrected,
        outcome=outcome,
        winner=better(outcome == "better"),
        beyond=design.beyond,
        here=here,
        equal_within=equal_within,
        remedy=ahead.remedy if ahead else "",
        repeats_fewest=ahead.fewest if ahead else None,
        repeats_needed=ahead.seen if ahead else None,
        detectable=pair.detectable,
        effect_size=pair.effect_size,
        superiority=pair.superiority if metric.higher_is_better else 1 - pair.superiority,
        test=pair.test,
        correction=family.correction,
        n_pairs=family.n_pairs,
        sentence=" ".join(part for part in said if part),
        notes=tuple(notes),
    )


def _outcome(pair: Judged, equal_within: float | None) -> Outcome:
    if equal_within is not None and -equal_within < pair.equal_low and pair.equal_high < equal_within:
        return "practically equal"
    return "better" if pair.called else "cannot tell"


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


def _with_failures(
    arrays: dict[str, NDArray[np.float64]],
    failed: Mapping[str, NDArray[np.bool_]],
    score: float | None,
    higher_is_better: bool,
) -> dict[str, NDArray[np.float64]]:
    """Scores in which a failed run has one: leaving it out would favour a model that fails."""
    if not failed:
        return arrays
    if score is None:
        every = np.concatenate([np.where(failed.get(name, False), np.nan, values) for name, values in arrays.items()])
        every = every[~np.isnan(every)]
        score = math.nan if not every.size else float(every.min() if higher_is_better else every.max())
    return {
        name: np.where(failed[name], score, values) if name in failed else values for name, values in arrays.items()
    }
