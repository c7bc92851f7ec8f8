"""All pairs of a study judged together: tests, corrected p, and intervals that hold together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tenfold.errors import RequestError, nearest
from tenfold.stats._compare import PAIRED_TESTS, Comparison, compare_pair
from tenfold.stats._design import Clusters, Design
from tenfold.stats._holm import holm
from tenfold.stats._looks import Looks
from tenfold.stats._max_t import max_t
from tenfold.stats._paired import PairedTest, differences, error_rate, present
from tenfold.stats._prospect import Family, Spread
from tenfold.stats._shared_variance import MeanVariance, shared_variance
from tenfold.stats._simultaneous import joint_reach

CORRECTIONS = ("max-t", "holm")

_LEAST = 1e-9  # of the error rate of one look: intervals stay finite
_EVEN = 1 + 1e-12  # p = 2 / 64 and 5/8 of 0.05 are equal but for rounding

NO_REPLICATION = (
    "Each of the two has the same score in all repeats on one test set: identical repeats are no replication, however "
    "many there are."
)
SAME_EVERYWHERE = "Each of the two has the same score in all repeats: make sure that the repeats are independent."
ONLY_HERE = (
    "All repeats have one test set, and scores by cluster of test examples are not known: nothing can be said of other "
    "data."
)


@dataclass(frozen=True)
class Judged:
    """One pair, judged with the others; names as in ``Verdict``.

    Attributes:
        called: whether one of the two is called better.
        here_called: the same for new training runs on the same test examples.
        here_low, here_high, here_p: interval and corrected p of that; NaN where it is not another question.
        equal_low, equal_high: the interval for the test of equality, two one-sided tests at the error rate each;
            NaN where it was not asked for.
        spread: what the power depends on.
    """

    n: int
    difference: float
    std: float
    level: float
    p: float
    p_corrected: float
    low: float
    high: float
    alone_low: float
    alone_high: float
    equal_low: float
    equal_high: float
    called: bool
    here_called: bool
    here_low: float
    here_high: float
    here_p: float
    spread: Spread
    detectable: float
    effect_size: float
    superiority: float
    test: str
    notes: tuple[str, ...]


def judge(
    arrays: Mapping[str, NDArray[np.float64]],
    pairs: Sequence[tuple[str, str]],
    *,
    design: Design,
    clusters: Clusters | None,
    level: float,
    test: str,
    correction: str,
    seed: int,
    looks: Looks | None = None,
    n_metrics: int = 1,
    for_equality: bool = False,
) -> tuple[list[Judged], Family]:
    """Every pair judged together with the others; arguments as in ``verdicts``.

    ``for_equality`` asks for the intervals of the test of equality too.
    """
    if correction not in CORRECTIONS:
        raise RequestError(f"Unknown correction '{correction}': {nearest(correction, CORRECTIONS)}")
    test = _test(test, design, clusters)
    found = [_Pair(arrays, names, design, clusters, test, level, seed) for names in pairs]
    n_pairs = max(sum(pair.n > 1 for pair in found), 1)  # a pair with one repeat left cannot be tested
    if n_pairs == 1:
        correction = "none"
    elif test != "permutation":
        correction = "holm"
    looks = Looks((1,), planned=(1,)) if looks is None else looks  # one look, which has the whole error rate
    alpha = max(looks.nominal(error_rate(level) / n_metrics, n_pairs), _LEAST)
    family, said = Family(alpha, test, correction, n_pairs), level
    level = 1 - alpha  # intervals at the level of the look hold over all looks, and over the metrics
    p = _corrected([pair.alone.p for pair in found], found, correction, seed)
    ends = _joint(found, correction, level, n_pairs, seed)
    equal = (
        _joint(found, correction, 1 - 2 * alpha, n_pairs, seed) if for_equality else [(math.nan, math.nan)] * len(found)
    )
    here_p, here = [math.nan] * len(found), [(math.nan, math.nan)] * len(found)
    if not design.independent and test != "permutation":
        here_p = _corrected([pair.here.p for pair in found], found, "none" if n_pairs == 1 else "max-t", seed)
        here = _flipped(found, level, n_pairs, seed)
    judged = []
    for at, pair in enumerate(found):
        called = bool(p[at] <= alpha * _EVEN) and not pair.contradictory and pair.may_be_called
        here_called = (
            bool(here_p[at] <= alpha * _EVEN) or (test == "permutation" and bool(p[at] <= alpha * _EVEN))
        ) and not (design.independent or pair.no_replication)
        low, high = _fitting(ends[at], called, pair.difference)
        here_low, here_high = _fitting(here[at] if test != "permutation" else ends[at], here_called, pair.difference)
        judged.append(
            Judged(
                n=pair.n,
                difference=pair.difference,
                std=pair.comparison.std,
                level=said,
                p=pair.alone.p,
                p_corrected=min(n_metrics * looks.p(float(p[at]), n_pairs), 1.0),
                low=low,
                high=high,
                alone_low=pair.alone.low,
                alone_high=pair.alone.high,
                equal_low=equal[at][0],
                equal_high=equal[at][1],
                called=called,
                here_called=here_called,
                here_low=here_low,
                here_high=here_high,
                here_p=min(n_metrics * looks.p(float((here_p if test != "permutation" else p)[at]), n_pairs), 1.0),
                spread=pair.spread,
                detectable=pair.spread.detectable(alpha / n_pairs),
                effect_size=pair.comparison.effect_size,
                superiority=pair.comparison.superiority,
                test=test,
                notes=pair.notes,
            )
        )
    return judged, family


def _test(test: str, design: Design, clusters: Clusters | None) -> str:
    """The name of the test that the design asks for."""
    if test not in (*PAIRED_TESTS, "auto"):
        raise RequestError(f"Unknown test '{test}': {nearest(test, [*PAIRED_TESTS, 'auto'])}")
    if design.independent:
        if test == "corrected-t":
            raise RequestError("test='corrected-t' needs a design in which repeats share test examples.")
        return "permutation" if test == "auto" else test
    if test not in ("auto", "corrected-t"):
        raise RequestError(
            f"test='{test}' assumes independent repeats, but they share {100 * design.overlap:.3g} % of their test "
            "examples: use 'auto'."
        )
    if clusters is not None and not design.one_pool:
        return "clustered-t"
    return "permutation" if design.fixed else "corrected-t"


class _Pair:
    """One pair: its differences, and how its test and interval are found at any level."""

    def __init__(
        self,
        arrays: Mapping[str, NDArray[np.float64]],
        names: tuple[str, str],
        design: Design,
        clusters: Clusters | None,
        test: str,
        level: float,
        seed: int,
    ) -> None:
        first, second = (arrays[name] for name in names)
        self.test, self.seed = test, seed
        self.gaps = differences(first, second)  # (runs,), NaN where either is missing
        values = present(self.gaps)
        self.values, self.n = values, values.size
        self.ratio = design.ratio if test == "corrected-t" else None
        plain = "permutation" if test == "clustered-t" else test
        self.comparison: Comparison = compare_pair(
            first, second, test=plain, test_over_train=self.ratio, level=level, seed=seed
        )
        self.difference = self.comparison.difference
        self.variance: MeanVariance | None = None
        if test == "clustered-t" and clusters is not None and self.n > 1:
            rows = ~np.isnan(self.gaps)
            parts = clusters.parts[names[0]][rows] - clusters.parts[names[1]][rows]
            self.variance = shared_variance(values, parts, effective=clusters.effective, overlap=design.overlap)
        std = 0.0 if math.isnan(self.comparison.std) else self.comparison.std
        if self.variance is None:
            self.spread = Spread(self.n, std, self.ratio or 0.0)
        else:
            self.spread = Spread(
                self.n,
                std,
                shared=self.variance.shared,
                shared_degrees=max((clusters.effective if clusters else 2) - 1, 1),
            )
        plainly = self.comparison
        clustered = self.variance is not None
        self.alone = self.tested(level) if clustered else PairedTest(plainly.p, plainly.low, plainly.high)
        self.here = self.alone if test == "permutation" else _flip_test(values, level, seed)
        disagree = self.alone.low > 0 > self.difference or self.alone.high < 0 < self.difference
        self.contradictory = disagree
        self.no_replication = self.n > 1 and not design.independent and not design.one_pool and _flat(first, second)
        self.may_be_called = not (design.fixed and test == "permutation")
        self.notes = self._notes(design, first, second)

    def tested(self, level: float) -> PairedTest:
        """p and interval at this level."""
        if self.variance is None:
            extra = {"test_over_train": self.ratio} if self.test == "corrected-t" else {}
            name = "permutation" if self.test == "clustered-t" else self.test
            return PAIRED_TESTS[name](self.values, level=level, seed=self.seed, **extra)
        if self.variance.total == 0:
            return PairedTest(1.0, self.difference, self.difference)
        return PairedTest(*self.variance.test(self.difference, level))

    def _notes(self, design: Design, first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[str, ...]:
        notes = () if self.variance is not None else self.comparison.notes
        if self.contradictory:
            notes += ("The mean and the ranks point in different directions: look at the repeats one by one.",)
        if self.n > 1 and self.no_replication:
            notes += (NO_REPLICATION,)
        elif self.n > 1 and design.independent and self.difference != 0 and _flat(first, second):
            notes += (SAME_EVERYWHERE,)
        if not self.may_be_called:
            notes += (ONLY_HERE,)
        return notes


def _flip_test(values: NDArray[np.float64], level: float, seed: int) -> PairedTest:
    return PAIRED_TESTS["permutation"](values, level=level, seed=seed)


def _flat(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Whether each of the two has one score throughout."""
    return all(np.ptp(present(values)) == 0 for values in (first, second))


def _corrected(alone: Sequence[float], pairs: Sequence[_Pair], correction: str, seed: int) -> NDArray[np.float64]:
    """Corrected p of every pair, shape (pairs,); pairs that cannot be tested keep p = 1 and are not counted."""
    p = np.array(alone, dtype=np.float64)
    tested = np.array([pair.n > 1 for pair in pairs], dtype=bool)
    if correction == "none" or not tested.any():
        return p
    if correction == "holm":
        p[tested] = holm(p[tested])
        return p
    gaps = [pair.gaps for pair in pairs if pair.n > 1]
    # Above 15 repeats the flips of a pair with missing scores differ from those of its own test: take the larger p.
    p[tested] = np.maximum(max_t(np.column_stack(gaps), seed=seed), p[tested])
    return p


def _joint(pairs: Sequence[_Pair], correction: str, level: float, n_pairs: int, seed: int) -> list[tuple[float, float]]:
    """The interval of every pair; all hold together at this level."""
    if correction == "max-t":
        return _flipped(pairs, level, n_pairs, seed)
    alone = [pair.tested(1 - error_rate(level) / n_pairs) for pair in pairs]  # Bonferroni
    return [(test.low, test.high) for test in alone]


def _flipped(pairs: Sequence[_Pair], level: float, n_pairs: int, seed: int) -> list[tuple[float, float]]:
    """The same by joint sign flips; Student's where there are too few repeats for a finite interval."""
    if n_pairs == 1:
        return [(test.low, test.high) for test in (_flip_test(pair.values, level, seed) for pair in pairs)]
    reach = joint_reach(np.column_stack([pair.gaps for pair in pairs]), level=level, seed=seed)
    found = []
    for pair, far in zip(pairs, reach, strict=True):
        if math.isinf(far):
            student = PAIRED_TESTS["t"](pair.values, level=1 - error_rate(level) / n_pairs)
            found.append((student.low, student.high))
        else:
            found.append((pair.difference - far, pair.difference + far))
    return found


def _fitting(ends: tuple[float, float], called: bool, difference: float) -> tuple[float, float]:
    """An interval that fits its verdict: 0 is outside where a difference is called, and inside where none is.

    The test steps down and calls a little more than intervals that hold together exclude: there the interval ends at 0.
    """
    low, high = ends
    if math.isnan(low):
        return ends
    if not called:
        return min(low, 0.0), max(high, 0.0)
    return (max(low, 0.0), high) if difference > 0 else (low, min(high, 0.0))
