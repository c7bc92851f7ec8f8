"""A task's metrics from its sums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from tenfold.tasks import Task

__all__ = ["metrics_of"]


def metrics_of(task: Task, sums: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """The task's metrics from its sums: float64, shape (runs,) each."""
    arrays = {name: value.cpu().numpy() for name, value in sums.items()}
    with np.errstate(divide="ignore", invalid="ignore"):  # a part may have no example of some kind
        found = task.metrics_of(arrays)
    return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}
