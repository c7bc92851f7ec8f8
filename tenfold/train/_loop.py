"""The training loop: a plain loop over epochs that yields what it measured. Printing and saving are the caller's."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tenfold.errors import attempt
from tenfold.metrics import Metric
from tenfold.train._checkpoint import save_checkpoint
from tenfold.train._diagnose import diagnosed_state
from tenfold.train._evaluate import evaluate, test_state
from tenfold.train._metrics_of import metrics_of
from tenfold.train._state import EpochSoFar, State, epoch_batches, freeze, step

__all__ = ["OBJECTIVE", "Epoch", "Outcome", "evaluate_final", "train_epochs"]

Scores = dict[str, dict[str, list[float]]]  # part -> metric -> runs

OBJECTIVE = Metric("objective", "Training loss", "", higher_is_better=False)
"""What is minimised, on the training part, after every epoch: every task has it beside its own metrics."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave.

    Args:
        epoch: 1 first.
        scores: part -> metric -> one value per run; training scores while the weights change and dropout is on.
        seconds: spent training and evaluating in this process so far.
    """

    epoch: int
    scores: Scores
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """How the runs ended. Arrays have the runs first.

    Args:
        scores: metric -> (runs,), NaN where a run diverged.
        status: "finished", "stopped" (early) or "diverged".
        epochs: trained by each run until it was frozen.
        best_epoch: whose weights a run keeps; None for the last.
        messages: why a run diverged, "" otherwise.
        predictions, clusters, weights, preprocessing: to be kept in the record.
        seconds: of training and evaluating, all runs together.
        peak_bytes: most memory that the process (on a GPU: the device) has held so far; None where the system does
            not say.
        failures: what else could not be made of the trained runs, and why: a sentence each. Scores are not concerned.
        n_parameters: of one run; None where models are fitted.
    """

    scores: dict[str, np.ndarray]
    status: list[Literal["finished", "stopped", "diverged"]]
    epochs: list[int]
    best_epoch: list[int | None]
    messages: list[str]
    predictions: dict[str, np.ndarray]
    clusters: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    preprocessing: dict[str, np.ndarray]
    seconds: float
    peak_bytes: int | None
    failures: tuple[str, ...] = ()
    n_parameters: int | None = None


def train_epochs(state: State, *, checkpoint: Path | None = None, every_seconds: float = 10.0) -> Iterator[Epoch]:
    """Train ``state`` to the end of its budget, an epoch a step of the iterator.

    A state that was restored from a checkpoint first yields the epochs it has behind it, so that whoever keeps
    curves has them all.

    Args:
        state: from ``init``, possibly restored.
        checkpoint: where to save the state, at most every ``every_seconds``, also in the middle of an epoch.
        every_seconds: 0 saves after every epoch.
    """
    for done, scores in enumerate(state.history):
        yield Epoch(done + 1, scores, 0.0)
    started = saved = time.monotonic()

    def save_if_due(*, epoch_done: bool = False) -> None:
        nonlocal saved
        due = time.monotonic() - saved >= every_seconds if every_seconds else epoch_done
        if checkpoint is not None and due:
            save_checkpoint(state, checkpoint)
            saved = time.monotonic()

    while state.epochs_done < state.recipe.epochs and not bool(state.frozen.all()):
        state.stack.train()
        for rows in epoch_batches(state)[state.epoch.steps :]:
            state.epoch.add(*step(state, rows), rows.shape[1])
            save_if_due()
        _end_epoch(state)
        yield Epoch(state.epochs_done, state.history[-1], time.monotonic() - started)
        save_if_due(epoch_done=True)


def _end_epoch(state: State) -> None:
    """Measure all parts, freeze runs that diverged or stop early, and begin anew."""
    losses, sums, examples = state.epoch.losses, state.epoch.sums, state.epoch.examples
    assert losses is not None
    state.epoch, state.epochs_done = EpochSoFar(), state.epochs_done + 1
    # A stopped run goes through the forward pass with the others, which moves its batch-norm statistics.
    _return_to_best(state, state.frozen)
    scores = {"train": metrics_of(state.task, sums) | {OBJECTIVE.name: (losses / examples).double().cpu().numpy()}}
    for part in ("validation", "test"):
        if part in state.parts:
            scores[part] = evaluate(state, part)
    _find_diverged(state, losses)
    if "validation" in scores:
        _look_at_validation(state, torch.from_numpy(scores["validation"][state.task.spec.monitor]))
    state.history.append(
        {part: {name: value.tolist() for name, value in values.items()} for part, values in scores.items()}
    )


def _find_diverged(state: State, losses: Tensor) -> None:
    """Freeze runs whose loss or weights are not finite. No operation mixes runs, so the others are not touched."""
    finite = torch.isfinite(losses) & torch.isfinite(state.stack.flatten_()).all(dim=1)
    found = ~finite.cpu() & ~state.frozen
    for run in found.nonzero().flatten().tolist():
        state.diverged_at[run] = state.epochs_done
    if bool(found.any()):
        freeze(state, found)


def _look_at_validation(state: State, losses: Tensor) -> None:
    """Plateau schedule and early stopping, each run by itself."""
    if state.plateau is not None:
        state.plateau.update(losses)
    if state.recipe.patience is None:
        return
    tensors = dict(state.stack.runs.named_parameters()) | dict(state.stack.runs.named_buffers())
    better = (losses < state.best_loss) & ~state.frozen
    if state.best is None:
        state.best = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    chosen = better.to(state.gradient.device)
    with torch.no_grad():
        for name, tensor in tensors.items():
            state.best[name][chosen] = tensor[chosen]
    state.best_loss = torch.where(better, losses, state.best_loss)
    for run in better.nonzero().flatten().tolist():
        state.best_epoch[run] = state.epochs_done
    waited = state.epochs_done - torch.tensor(state.best_epoch)
    freeze(state, (waited >= state.recipe.patience) & ~state.frozen)
    _return_to_best(state, state.frozen)


def _return_to_best(state: State, which: Tensor) -> None:
    """Give these runs the weights and buffers of their best epoch (batch-norm statistics of a frozen run drift on
    otherwise).
    """
    if state.best is None:
        return
    keep = torch.tensor([at is None for at in state.diverged_at])  # a diverged run stays as it is, to be seen
    chosen = (which & keep).to(state.gradient.device)
    with torch.no_grad():
        for name, tensor in [*state.stack.runs.named_parameters(), *state.stack.runs.named_buffers()]:
            tensor[chosen] = state.best[name][chosen]


def evaluate_final(state: State, *, seconds: float) -> Outcome:
    """Score the runs on the test part, once, with the weights they keep."""
    if state.recipe.patience is not None:
        _return_to_best(state, torch.ones_like(state.frozen))
    tested = test_state(state)
    failures, sound = list(tested.failures), tested.sound
    # Finite weights can still give a NaN, on examples of the test part only or through batch-norm statistics.
    diverged = [at is not None or not bool(fine) for at, fine in zip(state.diverged_at, sound, strict=True)]
    scores = {name: np.where(diverged, math.nan, values) for name, values in tested.scores.items()}
    stopped = [state.recipe.patience is not None and bool(frozen) for frozen in state.frozen]
    status: list[Any] = [
        "diverged" if bad else "stopped" if early else "finished" for bad, early in zip(diverged, stopped, strict=True)
    ]
    patience = state.recipe.patience or 0
    preprocess = state.parts["test"].preprocess
    return Outcome(
        scores=scores,
        status=status,
        epochs=[
            at if at is not None else min(best + patience, state.epochs_done) if early else state.epochs_done
            for at, best, early in zip(state.diverged_at, state.best_epoch, stopped, strict=True)
        ],
        best_epoch=[best if state.recipe.patience is not None and best else None for best in state.best_epoch],
        messages=[_why(at, not bool(fine)) for at, fine in zip(state.diverged_at, sound, strict=True)],
        predictions=tested.predictions | diagnosed_state(state, failures),
        clusters=tested.clusters,
        weights=attempt("a copy of the weights", partial(_persistent, state), {}, failures=failures),
        preprocessing={} if preprocess is None else preprocess.arrays(),
        seconds=seconds,
        peak_bytes=peak_bytes(state.gradient.device),
        failures=tuple(failures),
        n_parameters=sum(parameter[0].numel() for parameter in state.stack.runs.parameters()),
    )


def _why(diverged_at: int | None, lost: bool) -> str:
    if diverged_at is not None:
        return f"loss or weights were no longer finite in epoch {diverged_at}"
    return "outputs on the test part are not finite" if lost else ""


def peak_bytes(device: torch.device) -> int | None:
    """Most memory that the process (on a GPU: the device) has held so far; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    # Not Linux's ru_maxrss, which starts with what the process that started this one held.
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.is_file() else ():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _persistent(state: State) -> dict[str, np.ndarray]:
    """State dicts of the plain modules, stacked: names and shapes that ``load_state_dict`` of one run knows."""
    singles = [state.stack.module(run).state_dict() for run in range(state.n_runs)]
    return {name: torch.stack([single[name] for single in singles]).cpu().numpy() for name in singles[0]}
