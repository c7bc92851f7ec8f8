"""What tasks on images share: images brought to one size, and how new images become inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from tenfold import datasets
from tenfold.errors import DataError

__all__ = ["image_inputs", "square_items"]


def square_items(name: str, images: np.ndarray, size: int | None) -> np.ndarray:
    """Images (..., height, width) averaged down to ``size`` as float32 from 0 to 1; as they are where it is None.

    Raises:
        DataError: if they are not square then.
    """
    items = images if size is None else datasets.average_down(images, size)
    if items.shape[-1] != items.shape[-2]:
        raise DataError(f"{name}: images must be square, got {items.shape[-2]} x {items.shape[-1]}; set size in [task]")
    return np.ascontiguousarray(items)


def image_inputs(kind: str, data: datasets.Images | datasets.Pairs, size: int | None) -> dict[str, Any]:
    """``TaskInfo.inputs`` of a task on images: new ones become what these became."""
    return {"kind": kind, "size": size} | datasets.ImageForm.of(data, size).facts()
