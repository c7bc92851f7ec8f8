"""Some runs of one model as one piece of work, for this process or another."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tenfold.models import ModuleSource
from tenfold.recipe import Lane, Recipe
from tenfold.stack import How
from tenfold.tasks import Task
from tenfold.train._checkpoint import restore
from tenfold.train._estimators import fit_runs
from tenfold.train._fit import Epoch, Outcome, finish, fit
from tenfold.train._state import RunId, State, epoch_order, init, step

__all__ = ["Job", "prepare", "time_steps", "train"]


@dataclass(frozen=True)
class Job:
    """What it takes to train some runs of a model. The task is handed over apart from it, once a study.

    Args:
        model: name in the study.
        source: builds its modules.
        recipe: how to train.
        runs: lane and repeat of each run.
        seed: the study's.
        how, compiled: see Stack.
        recorded: see Stack; None for where it pays.
        threads: for PyTorch's operations.
        device: "cpu" or "cuda".
        checkpoint: file of this job's state; None keeps none.
        checkpoint_seconds: least time between two.
    """

    model: str
    source: ModuleSource
    recipe: Recipe
    runs: tuple[RunId, ...]
    seed: int
    how: How
    threads: int
    device: str = "cpu"
    compiled: bool = False
    recorded: bool | None = None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 10.0

    def of_runs(self, runs: tuple[RunId, ...]) -> Job:
        return replace(self, runs=runs)


def prepare(job: Job, task: Task) -> State:
    """The state at the start of a job."""

    def build(lane: Lane, seed: int) -> nn.Module:
        return job.source.build(seed, **({} if lane.dropout is None else {"dropout": lane.dropout}))

    return init(
        build,
        job.runs,
        task=task,
        recipe=job.recipe,
        model=job.model,
        seed=job.seed,
        how=job.how,
        compiled=job.compiled,
        recorded=job.recorded,
        device=torch.device(job.device),
    )


def train(job: Job, task: Task) -> Iterator[Epoch | Outcome]:
    """Train a job from its start or its checkpoint: every epoch, then the outcome. Estimators have an outcome only."""
    with arithmetic(job.threads):
        if job.source.is_estimator:
            yield fit_runs(job, task)
            return
        started = time.monotonic()
        if job.compiled and not _compiles(job, task):
            job = replace(job, compiled=False)
        state = prepare(job, task)
        if job.checkpoint is not None and job.checkpoint.is_file():
            restore(state, job.checkpoint)
        yield from fit(state, checkpoint=job.checkpoint, every_seconds=job.checkpoint_seconds)
        yield finish(state, seconds=time.monotonic() - started)


def _compiles(job: Job, task: Task) -> bool:
    """Whether a step can be compiled here: a record may have been begun on a machine with a compiler and go on
    without one.
    """
    state = prepare(job, task)
    state.stack.train()
    try:
        step(state, epoch_order(state)[:, : job.recipe.batch_size])
    except Exception:  # a compiler fails in many ways; without it there is nothing to lose but time
        return False
    return True


def time_steps(job: Job, task: Task, *, seconds: float = 0.25, at_least: int = 3, hopeless: float = math.inf) -> float:
    """Median time of a training step of all runs of a job, in seconds, after one that is not counted.

    The state is thrown away: probing leaves no trace in the runs.

    Args:
        job, task: what to time.
        seconds: time about so long.
        at_least: steps.
        hopeless: a first step longer than this is the answer, and no other is made.
    """
    with arithmetic(job.threads):
        state = prepare(job, task)
        state.stack.train()
        rows = epoch_order(state)[:, : job.recipe.batch_size]
        if state.stack.recorded:  # not part of what a step costs
            step(state, rows)

        def timed() -> float:
            started = time.perf_counter()
            step(state, rows)
            if job.device == "cuda":
                torch.cuda.synchronize()
            return time.perf_counter() - started

        first = timed()
        if first > hopeless:
            return first
        times: list[float] = []
        while len(times) < at_least or (sum(times) < seconds and len(times) < 30):
            times.append(timed())
        return sorted(times)[len(times) // 2]


@contextlib.contextmanager
def arithmetic(threads: int) -> Iterator[None]:
    """So many threads for PyTorch's operations; and numbers below 1e-38, where a CPU is slow, taken for zero.

    Vanishing gradients and Adam's squares of small gradients get there: an RNN of 128 steps takes 2.8 times as long
    with them.
    """
    for kind in (np.float32, np.float64):
        np.finfo(kind)  # made now and kept: where such numbers are zero already, NumPy warns of it
    threads_before = torch.get_num_threads()
    flushed_before = float(torch.tensor(torch.finfo(torch.float32).tiny) / 2) == 0
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_flush_denormal(flushed_before)
