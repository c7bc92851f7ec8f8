"""Looking at the verdicts again after more repeats, without more false positives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from tenfold.errors import RequestError, nearest

__all__ = ["Looks", "Spending"]

Spending = Literal["obrien-fleming", "pocock"]

_FIRST = 5 / 8  # of the error rate at the first look: 6 repeats, whose smallest p is 2 / 64, can still decide at 0.05
_NODES = 64
_NEVER = 9.0  # standard errors that stand for a look at which nothing is spent
_RATES = np.exp(np.linspace(math.log(1e-9), 0, 31))  # at which a p-value is looked up


@dataclass(frozen=True)
class Looks:
    """After how many repeats the verdicts were looked at, and so which part of the error rate is for the present look.

    Without a plan, 5/8 of the error rate belong to the first look and 1 - 3/(8x) to all looks up to x times its
    repeats: a study may be extended as often as one likes, planned or not. With a plan the whole rate is spent at its
    last look, in the way of ``spending``; nothing is left after it.

    Args:
        taken: repeats at each look so far, rising; the last is the present look.
        planned: repeats at each look of the plan, rising; () for none.
        spending: of a plan: "obrien-fleming" keeps almost all for the last look, "pocock" gives to all alike.
    Raises:
        RequestError: if the numbers do not rise, or the spending is not known.
    Example:
        >>> Looks((10,)).nominal(0.05), Looks((10,), planned=(10,)).nominal(0.05)
        (0.03125, 0.05)
        >>> round(Looks((10, 20)).nominal(0.05), 4)
        0.0153

    Source: Lan and DeMets 1983, Biometrika 70:659 (spending functions; the two named ones are theirs); Armitage,
        McPherson and Rowe 1969, JRSS A 132:235 (the integration); Jennison and Turnbull 1989, JRSS B 51:305 (intervals
        at the level of the look hold over all looks).
    """

    taken: tuple[int, ...]
    planned: tuple[int, ...] = ()
    spending: Spending = "obrien-fleming"

    def __post_init__(self) -> None:
        for name, numbers in (("taken", self.taken), ("planned", self.planned)):
            if (name == "taken" and not numbers) or list(numbers) != sorted({n for n in numbers if n > 0}):
                raise RequestError(f"looks: expected rising numbers of repeats, got {name} = {list(numbers)}")
        if self.spending not in get_args(Spending):
            raise RequestError(f"spending: no '{self.spending}'; {nearest(str(self.spending), get_args(Spending))}")

    def spent(self, rate: float, repeats: int) -> float:
        """How much of the error rate is spent up to a look after so many repeats."""
        if not self.planned:
            return rate * (1 - (1 - _FIRST) / max(repeats / self.taken[0], 1.0))
        time = min(repeats / self.planned[-1], 1.0)
        if time == 1 or rate >= 1:
            return rate
        if self.spending == "pocock":
            return rate * math.log1p((math.e - 1) * time)
        return float(min(4 * ndtr(ndtri(rate / 4) / math.sqrt(time)), rate))  # half of the rate on either side

    def nominal(self, rate: float, n_tests: int = 1) -> float:
        """The p, corrected for ``n_tests``, up to which a difference is called at the present look.

        All looks together then have at most this error rate. It is worked out for tests that are independent of each
        other, which is a little careful where they are not.
        """
        return min(n_tests * _nominal(self, rate / n_tests), rate)

    def p(self, p: float, n_tests: int = 1) -> float:
        """The p of the present look as one of all looks together: the lowest error rate at which it is called.

        Example:
            >>> Looks((10,)).p(0.02), Looks((10,), planned=(10,)).p(0.02)
            (0.032, 0.02)
        """
        if math.isnan(p) or self.planned[-1:] == self.taken == self.planned:
            return p
        if len(self.taken) == 1 and not self.planned:
            return min(p / _FIRST, 1.0)
        rates, nominal = _inverse(self, n_tests)
        if p <= nominal[0]:
            return float(p * rates[0] / nominal[0]) if nominal[0] > 0 else 1.0
        return 1.0 if p >= nominal[-1] else float(np.exp(np.interp(math.log(p), np.log(nominal), np.log(rates))))


@lru_cache(maxsize=4096)
def _nominal(looks: Looks, rate: float) -> float:
    """The two-sided level of the present look for one normal mean, with this error rate over all looks."""
    density, spent = None, 0.0
    last = len(looks.taken) - 1
    for at, repeats in enumerate(looks.taken):
        due = max(looks.spent(rate, repeats) - spent, 0.0)
        spent += due
        if density is None:
            level = due
        else:
            reach = _reach(density, repeats - looks.taken[at - 1], due, repeats)
            level = 2 * ndtr(-reach / math.sqrt(repeats)) if due > 0 else 0.0
        if at == last:
            return float(level)
        bound = (min(-ndtri(level / 2), _NEVER) if level > 0 else _NEVER) * math.sqrt(repeats)
        density = _going_on(density, repeats, repeats - (looks.taken[at - 1] if at else 0), bound)
    return 0.0


_Density = tuple[np.ndarray, np.ndarray]  # sums that have not crossed, and their probability at each node


def _going_on(before: _Density | None, repeats: int, more: int, bound: float) -> _Density:
    """The distribution of the sum of all repeats where no look so far has called it, up to ``bound``."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    sums, weights = nodes * bound, weights * bound
    if before is None:
        return sums, weights * _normal(sums / math.sqrt(repeats)) / math.sqrt(repeats)
    step = math.sqrt(more)
    kernel = _normal((sums[:, None] - before[0][None, :]) / step) / step
    return sums, weights * (kernel @ before[1])


def _reach(density: _Density, more: int, due: float, repeats: int) -> float:
    """The sum at which the probability to go beyond it now, for the first time, is ``due``."""
    sums, mass = density
    step = math.sqrt(more)

    def beyond(reach: float) -> float:
        return float(mass @ (ndtr((-reach - sums) / step) + ndtr((sums - reach) / step)))

    top = _NEVER * math.sqrt(repeats)
    if beyond(0.0) <= due:
        return 0.0
    if beyond(top) >= due:
        return top
    root: Any = brentq(lambda reach: beyond(reach) - due, 0.0, top, xtol=1e-9)
    return float(root)


def _normal(z: np.ndarray) -> np.ndarray:
    return np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


@lru_cache(maxsize=64)
def _inverse(looks: Looks, n_tests: int) -> tuple[np.ndarray, np.ndarray]:
    """Error rates, and the p up to which a difference is called at each, both rising."""
    nominal = np.array([looks.nominal(float(rate), n_tests) for rate in _RATES])
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(nominal)) > 0]) & (nominal > 0)
    if not rising.any():
        return _RATES[:1], np.zeros(1)
    return _RATES[rising], nominal[rising]
