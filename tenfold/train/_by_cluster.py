"""Test scores without each cluster of test examples: what the verdict knows of the examples that repeats share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from tenfold.sampling import MOST_CLUSTERS, Batch
from tenfold.tasks import Task
from tenfold.train._metrics_of import metrics_of
from tenfold.train._state import added

__all__ = ["ByCluster"]


class ByCluster:
    """Adds up the sums of each cluster, batch by batch.

    Args:
        n_runs: of every batch.
    """

    def __init__(self, n_runs: int) -> None:
        self._sums: dict[int, dict[str, Tensor]] = {}
        self._examples = np.zeros((n_runs, MOST_CLUSTERS), dtype=np.int64)

    def add(self, task: Task, outputs: Any, batch: Batch, clusters: Tensor) -> None:
        """Add a batch of test examples; ``clusters`` as ``Split.clusters`` gives them, of these examples."""
        for cluster in clusters.unique().tolist():
            inside = (clusters == cluster).any(-1)
            mine = batch.valid & inside
            if mine.any():
                sums = task.sums(*_of_examples(outputs, batch._replace(valid=mine), inside))
                self._sums[cluster] = added(self._sums.get(cluster, {}), sums)
                self._examples[:, cluster] += mine.sum(1).cpu().numpy()

    def left_out(
        self, task: Task, sums: Mapping[str, Tensor], scores: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Score minus the score without each cluster, 0 where a run was not tested on it; runs first.

        Args:
            sums: of all test examples.
            scores: the metrics that follow from them.
        """
        found = {name: np.zeros(self._examples.shape) for name in scores}
        for cluster, own in self._sums.items():
            others = {name: total - own.get(name, torch.zeros_like(total)) for name, total in sums.items()}
            tested = self._examples[:, cluster] > 0
            for name, without in metrics_of(task, others).items():
                found[name][:, cluster] = np.where(tested, scores[name] - without, 0.0)
        return found | {"examples": self._examples}


def _of_examples(outputs: Any, batch: Batch, inside: Tensor) -> tuple[Any, Batch]:
    """Outputs and batch cut to the examples that are inside, in their order: of each run as many as of the run that
    has most, so some that are not, which ``batch.valid`` leaves out.

    All clusters of a batch are then summed in about the time of the batch, not of a batch each.
    """
    n_runs, n_examples = inside.shape
    most = int(inside.sum(1).max())
    if most == n_examples:
        return outputs, batch
    here = (~inside).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
    of_run = torch.arange(n_runs, device=here.device)[:, None]

    def cut(leaf: Any) -> Any:
        whole = not isinstance(leaf, Tensor) or leaf.shape[:2] != inside.shape
        return leaf if whole else leaf[of_run, here]

    return tree_map(cut, outputs), Batch(*tree_map(cut, tuple(batch)))
