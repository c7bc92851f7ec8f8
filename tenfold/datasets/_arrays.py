"""From anything array-like to a NumPy array."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tenfold.errors import ShapeError

__all__ = ["as_array"]


def as_array(values: Any) -> np.ndarray:
    """A NumPy array of anything array-like; a torch tensor is detached and copied to the CPU."""
    # Whoever passes a tensor has imported torch. Looked up, not imported: NumPy users do not need it.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()  # NumPy has no bfloat16
    try:
        return np.asarray(values)
    except ValueError as problem:  # lists of unequal length
        raise ShapeError(f"expected an array, got rows of different lengths ({problem})") from problem
