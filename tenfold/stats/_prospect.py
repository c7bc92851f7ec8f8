"""What more repeats would do for a pair of models that is not called different."""

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
    """What all pairs judged together have in common; names as in ``verdicts``."""

    level: float
    test: str
    correction: str
    n_pairs: int
    test_over_train: float | None

    @property
    def alpha(self) -> float:
        """The rate of false calls allowed."""
        return error_rate(self.level)

    def smallest_p(self, n: int) -> float:
        """What n repeats can reach at best, before the correction; 0 for a test that has no such limit."""
        if self.test in ("t", "corrected-t"):
            return 0.0 if n > 1 else 1.0
        return minimum_p(n) if self.test == "permutation" else min(1.0, 2.0 / 2**n)

    def reachable_from(self, n: int) -> int | None:
        """The fewest repeats, n or more, whose smallest corrected p is small enough; None if no number's is."""
        factor = self.n_pairs if self.correction == "holm" else 1
        return _first(lambda count: self.smallest_p(count) * factor <= self.alpha, max(n, 1))


@dataclass(frozen=True)
class Prospect:
    """Whether more repeats are worth it.

    Attributes:
        is_open: True where they are, or where these repeats could not have called anything.
        repeats: how many in all; None where no number is known to do.
        words: the same for a sentence.
        notes: limits to print with the verdict.
    """

    is_open: bool
    repeats: int | None
    words: str
    notes: tuple[str, ...] = ()


def prospect(pair: Comparison, family: Family, *, n_open: int) -> Prospect:
    """Look ahead for one pair, taking the difference seen for the true one.

    Args:
        pair: the pair, not called different.
        family: what it was judged with.
        n_open: pairs of the family that are not called. Each gets that share of the error rate, as in Holm's next
            step; for max-T, which asks a little less, the number of repeats comes out a little high.
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
    """Repeats that would call the difference seen with 80 % power at this error rate."""
    if pair.n < 2 or pair.difference == 0:
        return None
    ratio = None if independent else family.test_over_train
    if pair.std == 0:  # power is no question then, only the counting of signs
        return _first(lambda count: minimum_p(worth(count, overlap(ratio))) <= rate, pair.n)
    return repeats_needed(pair.difference, pair.std, level=1 - rate, test_over_train=ratio)


def _ceiling(pair: Comparison, family: Family, rate: float) -> tuple[str, ...]:
    """A note where repeats would have done, were it not for the data they share."""
    if family.test_over_train is None or _needed(pair, family, rate, independent=True) is None:
        return ()
    return (
        "Independent repeats could settle a difference of this size, but these share training data, and no "
        f"{MAX_REPEATS} of them would: only more data can.",
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
    """The first count from ``start`` on for which a condition holds, within what is a realistic plan."""
    return next((count for count in range(start, MAX_REPEATS + start) if holds(count)), None)
