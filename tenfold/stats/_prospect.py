"""What more repeats would show for a pair of models that is not called different."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tenfold.stats._compare import Comparison
from tenfold.stats._paired import error_rate, overlap
from tenfold.stats._power import MAX_REPEATS, repeats_needed
from tenfold.stats._sign_flips import minimum_p
from tenfold.stats._student import worth


@dataclass(frozen=True)
class Family:
    """What all pairs that are judged together have in common; names as in ``verdicts``."""

    level: float
    test: str
    correction: str
    n_pairs: int
    test_over_train: float | None

    @property
    def alpha(self) -> float:
        """The allowed rate of false positives."""
        return error_rate(self.level)

    def smallest_p(self, n: int) -> float:
        """The smallest p that n repeats can reach, before the correction; 0 for a test without such a limit."""
        if self.test in ("t", "corrected-t"):
            return 0.0 if n > 1 else 1.0
        return minimum_p(n) if self.test == "permutation" else min(1.0, 2.0 / 2**n)

    def reachable_from(self, n: int) -> int | None:
        """The fewest repeats, at least n, whose smallest corrected p is at most alpha; None if no number reaches it."""
        factor = self.n_pairs if self.correction == "holm" else 1
        return _first(lambda count: self.smallest_p(count) * factor <= self.alpha, max(n, 1))


@dataclass(frozen=True)
class Prospect:
    """Whether more repeats can settle the question.

    Attributes:
        is_open: True if they can, or if no result of the present repeats could have been significant.
        repeats: how many in total; None if no sufficient number is known.
        words: the same as part of a sentence.
        notes: limits to print with the verdict.
    """

    is_open: bool
    repeats: int | None
    words: str
    notes: tuple[str, ...] = ()


def prospect(pair: Comparison, family: Family, *, n_open: int) -> Prospect:
    """The prospect of one pair, assuming that the observed difference is the true one.

    Args:
        pair: a pair that is not called different.
        family: the pairs that it was judged with.
        n_open: pairs of the family that are not called different. Each gets an equal part of the error rate, as in
            Holm's next step; for max-T, which needs a little less, the number of repeats is a little too high.
    """
    least = family.reachable_from(pair.n)
    if least is None:
        return Prospect(True, None, "more repeats cannot settle it with this test", (_never(family),))
    needed = _needed(pair, family, family.alpha / max(n_open, 1))
    if pair.n < least:
        notes = (_out_of_reach(pair.n, least, family),) if pair.n > 1 else ()
        if needed is None or needed <= least:
            return Prospect(True, least, f"at least {least} repeats are needed", notes)
        return Prospect(True, needed, f"about {needed} repeats would", notes)
    if needed is not None:
        needed = max(needed, pair.n + 1)
        return Prospect(True, needed, f"about {needed} repeats would")
    return Prospect(False, None, "", _ceiling(pair, family, family.alpha / max(n_open, 1)))


def _needed(pair: Comparison, family: Family, rate: float, *, independent: bool = False) -> int | None:
    """Repeats that would detect the observed difference with 80 % power at this error rate."""
    if pair.n < 2 or pair.difference == 0:
        return None
    ratio = None if independent else family.test_over_train
    if pair.std == 0:  # power is not defined then; only the signs count
        return _first(lambda count: minimum_p(worth(count, overlap(ratio))) <= rate, pair.n)
    return repeats_needed(pair.difference, pair.std, level=1 - rate, test_over_train=ratio)


def _ceiling(pair: Comparison, family: Family, rate: float) -> tuple[str, ...]:
    """A note if independent repeats would be sufficient, but repeats that share data are not."""
    if family.test_over_train is None or _needed(pair, family, rate, independent=True) is None:
        return ()
    return (
        "Independent repeats could settle a difference of this size, but these share training data, and even "
        f"{MAX_REPEATS} of them would not: only more data can.",
    )


def _never(family: Family) -> str:
    return (
        f"{family.alpha:.2g} is out of reach of this test with Holm over {family.n_pairs} pairs, however many repeats: "
        "use the max-t correction."
    )


def _out_of_reach(n: int, least: int, family: Family) -> str:
    holm = family.correction == "holm"
    over = f" with Holm over {family.n_pairs} pairs" if holm else ""
    before = " before the correction" if holm else ""
    return (
        f"{family.alpha:.2g} is out of reach below {least} repeats{over}: with {n} the smallest possible p is "
        f"{family.smallest_p(n):.2g}{before}."
    )


def _first(holds: Callable[[int], bool], start: int) -> int | None:
    """The first count from ``start`` on for which a condition holds, among ``MAX_REPEATS`` counts; else None."""
    return next((count for count in range(start, MAX_REPEATS + start) if holds(count)), None)
