"""What more repeats, or more data, would show for a pair of models that is not called different."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tenfold.stats._power import MAX_REPEATS, detectable_shift
from tenfold.stats._sign_flips import minimum_p
from tenfold.stats._student import worth

Remedy = Literal["", "more repeats", "more data"]


@dataclass(frozen=True)
class Family:
    """What all pairs that are judged together have in common; names as in ``verdicts``.

    Attributes:
        alpha: the rate of false positives that the present look may have.
    """

    alpha: float
    test: str
    correction: str
    n_pairs: int

    def smallest_p(self, n: int) -> float:
        """The smallest p that n repeats can reach, before the correction; 0 for a test without such a limit."""
        if self.test in ("t", "corrected-t", "clustered-t"):
            return 0.0 if n > 1 else 1.0
        return minimum_p(n) if self.test == "permutation" else min(1.0, 2.0 / 2**n)

    def reachable_from(self, n: int) -> int | None:
        """The fewest repeats, at least n, whose smallest corrected p is at most alpha; None if no number reaches it."""
        factor = self.n_pairs if self.correction == "holm" else 1
        return _first(lambda count: self.smallest_p(count) * factor <= self.alpha, max(n, 1))


@dataclass(frozen=True)
class Spread:
    """What the power of a pair depends on: the variance of its mean is std^2 (1/n + extra) + shared.

    Attributes:
        n: repeats in which both models have a score.
        std: standard deviation of the difference between repeats.
        extra: what shared examples add to 1/n, as ``Design.ratio``.
        shared: what shared examples add, where it was measured.
        shared_degrees: degrees of freedom of that.
    """

    n: int
    std: float
    extra: float = 0.0
    shared: float = 0.0
    shared_degrees: float = math.inf

    def repeats(self, difference: float, rate: float) -> int | None:
        """Repeats that detect a true difference with 80 % power at this error rate; None if 100 do not."""
        if self.n < 2 or difference == 0 or not math.isfinite(difference):
            return None
        if self.std == 0 and self.shared == 0:  # power is not defined then; only the signs count
            return _first(lambda count: minimum_p(worth(count, self.extra)) <= rate, self.n)
        counts = np.arange(2, MAX_REPEATS + 1)
        if self.shared:
            error, degrees = self._error(counts)
            needed = error * detectable_shift(degrees, rate)
        else:
            needed = self._error(counts)[0] * _shifts(rate)
        enough = np.flatnonzero(abs(difference) >= needed)
        return int(counts[enough[0]]) if enough.size else None

    def detectable(self, rate: float) -> float:
        """The smallest true difference that these repeats detect with 80 % power; infinite below 2 repeats."""
        if self.n < 2:
            return math.inf
        if self.std == 0 and self.shared == 0:
            return 0.0
        if not self.shared and self.n <= MAX_REPEATS:
            return float(self._error(np.array([self.n]))[0][0] * _shifts(rate)[self.n - 2])
        error, degrees = self._error(np.array([self.n]))
        return float(error[0] * detectable_shift(degrees, rate)[0])

    def _error(self, n: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Standard error of the mean of n repeats, and its degrees of freedom (Satterthwaite)."""
        repeats = self.std**2 * (1 / n + self.extra)
        total = repeats + self.shared
        return np.sqrt(total), total**2 / (repeats**2 / (n - 1) + self.shared**2 / self.shared_degrees)


@lru_cache(maxsize=64)
def _shifts(rate: float) -> NDArray[np.float64]:
    """``detectable_shift`` of 2 to 100 repeats that share nothing, shape (repeats - 1,)."""
    shifts = detectable_shift(np.arange(1.0, MAX_REPEATS), rate)
    shifts.flags.writeable = False  # shared by all callers
    return shifts


@dataclass(frozen=True)
class Prospect:
    """What could settle an open pair.

    Attributes:
        remedy: what might; "" where nothing is known to.
        fewest, seen: repeats in total that would settle it if the difference were the largest that is possible, and
            if it were the one seen; None where 100 would not.
        words: the same as a sentence, "" where there is nothing to say.
        notes: limits to print with the verdict.
    """

    remedy: Remedy
    fewest: int | None
    seen: int | None
    words: str
    notes: tuple[str, ...] = ()


def prospect(spread: Spread, ends: tuple[float, float, float], family: Family, *, n_open: int, more: str) -> Prospect:
    """What could settle one pair.

    Args:
        spread: of a pair that is not called different.
        ends: the lower end of its interval, its mean difference, and the upper end.
        family: the pairs that it was judged with.
        n_open: pairs of the family that are not called different. Each gets an equal part of the error rate, as in
            Holm's next step; for max-T, which needs a little less, the number of repeats is a little too high.
        more: what more data would be, such as "test images".
    """
    low, difference, high = ends
    if low == high == 0:  # the two never differ: no number of repeats is known to change that
        return Prospect("", None, None, "")
    least = family.reachable_from(spread.n)
    if least is None:
        return Prospect("", None, None, "More repeats cannot settle it with this test.", (_never(family),))
    rate = family.alpha / max(n_open, 1)
    seen = spread.repeats(difference, rate)
    fewest = spread.repeats(max(abs(low), abs(high)), rate) if math.isfinite(low + high) else None
    if spread.n < least:
        notes = (_out_of_reach(spread.n, least, family),) if spread.n > 1 else ()
        fewest = least if fewest is None else max(fewest, least)
        seen = None if seen is None else max(seen, fewest)
        return Prospect("more repeats", fewest, seen, f"At least {least} repeats are needed.", notes)
    floor = spread.n + 1
    if seen is None and (spread.shared or spread.extra):
        return Prospect("more data", None, None, f"Only more {more} can tell: more repeats share what these had.")
    if fewest is None and seen is None:
        return Prospect("more repeats", None, None, f"More than {MAX_REPEATS} repeats might tell.")
    fewest = max(min(count for count in (fewest, seen) if count is not None), floor)
    if seen is None:
        return Prospect("more repeats", fewest, None, f"{fewest} repeats or more might tell, or none would.")
    seen = max(seen, fewest)
    counts = f"{fewest} to {seen}" if fewest < seen else f"About {seen}"
    return Prospect(
        "more repeats", fewest, seen, f"{counts} repeats would, if the true difference is the one seen or larger."
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
