"""Trained runs on a part of the data: sums batch by batch, so that memory is that of one batch, whatever the part."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from tenfold.errors import attempt
from tenfold.sampling import Batch, Inputs, Part, Split
from tenfold.tasks import FinalMetrics, Task, carries
from tenfold.train._by_cluster import ByCluster
from tenfold.train._metrics_of import metrics_of
from tenfold.train._state import State, added, initial_carry

__all__ = ["Tested", "evaluate", "evaluating", "test", "test_state"]


@dataclass(frozen=True)
class Tested:
    """What the test sets gave.

    Attributes:
        scores: metric -> float64, shape (runs,).
        predictions: what the record keeps, runs first.
        sound: which runs' outputs are finite throughout: bool, shape (runs,).
        failures: what could not be made, and why: a sentence each.
        clusters: what the record keeps of clusters of test examples, runs first: metric -> score minus the score
            without a cluster, (runs, clusters), of metrics that add up over batches; "examples": how many each has.
    """

    scores: dict[str, np.ndarray]
    predictions: dict[str, np.ndarray]
    sound: Tensor
    failures: tuple[str, ...] = ()
    clusters: dict[str, np.ndarray] = field(default_factory=dict)


def evaluate(state: State, part: Part) -> dict[str, np.ndarray]:
    """Metrics of a part that add up over batches: shape (runs,) each."""
    sums: dict[str, Tensor] = {}
    with evaluating(state) as carry:
        for outputs, batch in _outputs(state.stack, state.task, state.parts[part], carry):
            sums = added(sums, state.task.sums(outputs, batch))
    return metrics_of(state.task, sums)


def test_state(state: State) -> Tested:
    """``test`` of the runs of a state."""
    with evaluating(state) as carry:
        return test(state.stack, state.task, state.parts, carry=carry)


def test(
    predict: Callable[..., Any], task: Task, parts: Mapping[Part, Split], *, carry: Callable[[int], Inputs]
) -> Tested:
    """Scores and predictions on all test sets: every part but training and validation.

    Predictions, and metrics made of them, may fail: what adds up over batches is scored all the same.

    Args:
        predict: inputs of all runs (runs, batch, ...), and the carried state, to outputs.
        task, parts: of the same runs.
        carry: batch size -> carried state before the first batch, empty where none is carried.
    """
    sums: dict[str, Tensor] = {}
    by_cluster = ByCluster(parts["test"].n_runs)
    kept: dict[str, _Kept] = {}
    failures: list[str] = []
    sound = torch.ones(parts["test"].n_runs, dtype=torch.bool)
    for part, split in parts.items():
        if part in ("train", "validation"):
            continue
        found = split.clusters()
        for (start, stop), (outputs, batch) in zip(split.spans(), _outputs(predict, task, split, carry), strict=True):
            sums = added(sums, task.sums(outputs, batch))
            by_cluster.add(task, outputs, batch, found[:, start:stop])
            if not failures:
                keep = partial(_keep, kept, task, outputs, batch, split.n_examples)
                attempt(f"predictions on the {part} part", keep, None, failures=failures)
            for leaf in tree_leaves(outputs):
                if leaf is not None and leaf.is_floating_point() and leaf.numel():
                    # A NaN counts as the largest. A tenth of the time of torch.isfinite of every number.
                    sound &= torch.isfinite(leaf.abs().reshape(split.n_runs, -1).amax(dim=1)).cpu()
    predictions = {} if failures else {name: rows.array() for name, rows in kept.items()}
    if (filled := parts["test"].valid) is not None:  # for whoever reads the record: rows that only fill up a run
        predictions.setdefault("valid", filled.cpu().numpy())
    scores = metrics_of(task, sums)
    left_out = by_cluster.left_out(task, sums, scores)
    if isinstance(task, FinalMetrics):
        make = partial(_final_metrics, task, predictions, split.n_runs)
        scores |= attempt("metrics that need all predictions", make, {}, failures=failures)
    return Tested(scores, predictions, sound, tuple(failures), left_out)


def _keep(kept: dict[str, _Kept], task: Task, outputs: Any, batch: Batch, n_examples: int) -> None:
    for name, value in task.predictions(outputs, batch).items():
        if name not in kept:
            kept[name] = _Kept(value, n_examples)
        kept[name].add(value)


def _final_metrics(task: FinalMetrics, predictions: Mapping[str, np.ndarray], n_runs: int) -> dict[str, np.ndarray]:
    final = task.final_metrics(predictions)
    return {name: np.asarray(values, dtype=np.float64).reshape(n_runs) for name, values in final.items()}


class _Kept:
    """Predictions of one name, copied batch by batch into one array.

    Not a list of pieces: a piece may be a view, which keeps the whole output of its batch; and small pieces that stay
    among large tensors that go leave holes in memory that nothing fits in (a million examples of 10,000 classes took
    22 GB, now 0.5).
    """

    def __init__(self, first: Tensor, capacity: int) -> None:
        self.rows = torch.empty(len(first), capacity, *first.shape[2:], dtype=first.dtype)
        self.count = 0

    def add(self, piece: Tensor) -> None:
        stop = self.count + piece.shape[1]
        if stop > self.rows.shape[1]:
            more = max(stop - self.rows.shape[1], self.rows.shape[1])
            self.rows = torch.cat([self.rows, self.rows.new_empty(len(piece), more, *piece.shape[2:])], dim=1)
        self.rows[:, self.count : stop] = piece
        self.count = stop

    def array(self) -> np.ndarray:
        rows = self.rows[:, : self.count]
        return (rows if rows.shape == self.rows.shape else rows.clone(memory_format=torch.contiguous_format)).numpy()


def _outputs(
    predict: Callable[..., Any], task: Task, split: Split, carry: Callable[[int], Inputs]
) -> Iterator[tuple[Any, Batch]]:
    """Outputs of all runs, runs first, and the batch that they belong to."""
    is_carried, carried = carries(task), None
    for start, stop in split.spans():
        batch = split.span(start, stop)
        carried = carry(stop - start) if carried is None else carried
        with torch.no_grad():
            outputs = predict(*batch.inputs, *carried)
        if is_carried:
            outputs, carried = outputs
        yield outputs, batch


@contextlib.contextmanager
def evaluating(state: State) -> Iterator[Callable[[int], Inputs]]:
    """The stack in evaluation mode; gives the carried state at the beginning. It leaves the runs as they are: a module
    that writes into its buffers in evaluation too, or an embedding with max_norm, must not learn from test data.
    """
    was_training = state.stack.training
    state.stack.eval()
    before = {name: tensor.detach().clone() for name, tensor in _tensors(state)}
    try:
        yield lambda batch_size: initial_carry(state, batch_size)
    finally:
        with torch.no_grad():
            for name, tensor in _tensors(state):
                tensor.copy_(before[name])
        state.stack.train(was_training)


def _tensors(state: State) -> list[tuple[str, Tensor]]:
    return [*state.stack.runs.named_parameters(), *state.stack.runs.named_buffers()]
