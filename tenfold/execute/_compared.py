"""Arrays of a run, and the same arrays of the run alone: the largest differences, and what is too far apart."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from tenfold.train import RunId

__all__ = ["Compared", "apart"]


class Compared:
    """What was compared so far.

    Attributes:
        largest: kind -> name -> largest difference, of all runs and steps.
        failures: a sentence for each array of a run that is too far from what was expected; the first time only.
    """

    def __init__(self, runs: tuple[RunId, ...]) -> None:
        self._runs = runs
        self._failed: set[tuple[int, str, str]] = set()
        self.largest: dict[str, dict[str, float]] = defaultdict(dict)
        self.failures: list[str] = []

    def add(
        self,
        kind: str,
        name: str,
        run: int,
        got: Any,
        expected: Any,
        *,
        tolerance: float,
        where: str,
        excuse: Callable[[], bool] = lambda: False,
    ) -> None:
        """Compare one array.

        Args:
            kind: such as "weight".
            name: of the array, "" where the kind says it all.
            run: position among all runs.
            got, expected: arrays, tensors or numbers; None for one that is not there.
            tolerance: largest difference, as a part of the largest number that is expected, or of 1 if that is more.
            where: the end of the sentence, such as "after step 3".
            excuse: asked where the difference is larger: whether it is none of the run's.
        """
        got, expected = _array(got), _array(expected)
        difference = apart(got, expected)
        self.largest[kind][name] = max(self.largest[kind].get(name, 0.0), difference)
        if difference <= tolerance * max(1.0, _largest(expected)) or (run, kind, name) in self._failed or excuse():
            return
        self._failed.add((run, kind, name))
        what = f"{kind} '{name}'" if name else kind
        self.fail(run, f"{what} differs by {difference:.1e} {where} (tolerance {tolerance:.0e})")

    def of(self, kind: str) -> float | None:
        """Largest difference of a kind; None where nothing of it was compared."""
        return max(self.largest[kind].values(), default=None)

    def fail(self, run: int, text: str) -> None:
        """Note a sentence about a run."""
        config = self._runs[run].config
        label = f" ({config.label})" if config.label else ""
        self.failures.append(f"repeat {self._runs[run].repeat}{label}: {text}")


def _array(value: Any) -> np.ndarray | None:
    if value is None:
        return None
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _largest(value: np.ndarray | None) -> float:
    if value is None or value.dtype.kind not in "fcui":
        return 0.0
    finite = value[np.isfinite(value)]
    return float(np.abs(finite).max()) if finite.size else 0.0


def apart(one: np.ndarray | None, other: np.ndarray | None) -> float:
    """Largest difference; 0 where both are NaN (a run that diverged alone too), infinite where one is, where shapes
    differ, or text does.

    Example:
        >>> apart(np.array([1.0, np.nan]), np.array([1.5, np.nan])), apart(np.array([np.nan]), np.array([0.0]))
        (0.5, inf)
    """
    if one is None or other is None:
        return 0.0 if one is other else math.inf
    if one.shape != other.shape:
        return math.inf
    if one.dtype.kind not in "fcuib" or other.dtype.kind not in "fcuib":
        return 0.0 if np.array_equal(one, other) else math.inf
    kind = np.complex128 if "c" in (one.dtype.kind, other.dtype.kind) else np.float64
    one, other = one.astype(kind), other.astype(kind)
    with np.errstate(invalid="ignore", over="ignore"):
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        difference = np.where(same, 0.0, np.abs(one - other))
    return float(np.nan_to_num(difference, nan=math.inf, posinf=math.inf).max()) if difference.size else 0.0
