"""From what users pass to checked NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from tenfold.datasets import as_array
from tenfold.errors import DataError, RequestError, ShapeError

__all__ = ["checked_count", "embeddings_of", "labels_of", "refuse_other_lengths"]

_ROWS_AT_ONCE = 1 << 20
"""Values checked for NaN at once, so that the mask is smaller than the array."""


def embeddings_of(values: Any, *, name: str) -> np.ndarray:
    """Embeddings as an array of real, finite numbers of shape (n, d); not copied where it is an array already.

    Raises:
        ShapeError: if there are not two axes, or d is 0.
        DataError: if the values are not real numbers, or one is NaN or infinite.
    """
    array = as_array(values)
    if array.ndim != 2 or array.shape[1] == 0:
        fix = "; for one vector pass vector[None]" if array.ndim == 1 and array.size else ""
        raise ShapeError(f"{name}: expected embeddings of shape (n, d), d at least 1; got shape {array.shape}{fix}")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name}: embeddings must be real numbers; got {array.dtype}")
    if array.dtype.itemsize > 8:  # 80 bits and more: float64 is what everything is compared in
        with np.errstate(over="ignore"):
            array = array.astype(np.float64)
    if array.dtype.kind == "f":
        step = max(1, _ROWS_AT_ONCE // array.shape[1])
        for start in range(0, len(array), step):
            finite = np.isfinite(array[start : start + step]).all(axis=1)
            if not finite.all():
                row = start + int(np.argmin(finite))
                raise DataError(
                    f"{name}: embeddings must be finite; row {row} holds NaN or infinity "
                    "(a run that diverged, or an image with NaN?)"
                )
    return array


def labels_of(values: Any, *, name: str) -> np.ndarray:
    """Labels as an array of integers or text of shape (n,)."""
    array = as_array(values)
    if array.ndim != 1:
        raise ShapeError(f"{name}: expected one label each, shape (n,); got shape {array.shape}")
    if array.size and array.dtype.kind not in "biuU":
        raise DataError(
            f"{name}: labels must be integers or text; got {array.dtype}; for integers use labels.astype(int)"
        )
    return array


def refuse_other_lengths(**arrays: np.ndarray) -> None:
    """Raise unless all arrays, given by their names, have the same length."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise ShapeError(f"expected the same number of each; got {said}")


def checked_count(value: Any, *, name: str) -> int:
    """An integer from 1."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 1:
        raise RequestError(f"{name} must be an integer from 1; got {value!r}")
    return int(value)
