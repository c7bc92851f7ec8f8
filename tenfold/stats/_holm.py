"""Holm's correction of several p-values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tenfold.errors import ShapeError


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down correction: the smallest p times m, the next times m - 1, and so on, never decreasing.

    Valid for any dependence between the tests, without using it: with 45 pairs the smallest p must be 0.0011 or less.

    Args:
        p: p-values, shape (tests,).
    Returns:
        Corrected p-values in the same order, shape (tests,).
    Raises:
        ShapeError: if not of shape (tests,), or a value lies outside 0..1.
    Example:
        >>> holm([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
        [0.03, 0.06, 0.06, 0.02]

    Source: Holm 1979, Scandinavian Journal of Statistics 6; same numbers as R's p.adjust(p, "holm").
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ShapeError(f"p: expected p-values between 0 and 1, shape (tests,), got {p!r:.80}.")
    order = np.argsort(values, kind="stable")
    factors = np.arange(values.size, 0, -1)
    corrected = np.empty(values.size)
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return corrected
