"""A job run in this process: trained, fitted, or timed for a few steps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from tenfold.execute._estimators import fit_runs
from tenfold.tasks import Task
from tenfold.train import (
    Epoch,
    Job,
    Outcome,
    State,
    cpu_numerics,
    epoch_batches,
    evaluate_final,
    evaluating,
    prepare,
    restore,
    step,
    train_epochs,
)

__all__ = ["run_job", "time_steps", "try_evaluation"]


def run_job(job: Job, task: Task) -> Iterator[Epoch | Outcome]:
    """Train a job from its start or its checkpoint: every epoch, then the outcome. Estimators have an outcome only.

    Between two of them PyTorch computes as the caller has set it. A caller may also stop asking, after an error say:
    the generator then lives as long as the traceback does.
    """
    if job.factory.is_estimator:
        with cpu_numerics(job.threads):
            outcome = fit_runs(job, task)
        yield outcome
        return
    started = time.monotonic()
    with cpu_numerics(job.threads):
        state = _prepared(job, task)
    epochs = train_epochs(state, checkpoint=job.checkpoint, every_seconds=job.checkpoint_seconds)
    event = None
    while not isinstance(event, Outcome):
        with cpu_numerics(job.threads):
            event = next(epochs, None) or evaluate_final(state, seconds=time.monotonic() - started)
        yield event


def _prepared(job: Job, task: Task) -> State:
    if job.compiled and not _compiles(job, task):
        job = replace(job, compiled=False)
    state = prepare(job, task)
    if job.checkpoint is not None and job.checkpoint.is_file():
        restore(state, job.checkpoint)
    return state


def _compiles(job: Job, task: Task) -> bool:
    """Whether a step can be compiled here: a record may be started on a machine with a compiler and resumed without."""
    state = prepare(job, task)
    state.stack.train()
    try:
        step(state, epoch_batches(state)[0])
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
    with cpu_numerics(job.threads):
        state = prepare(job, task)
        state.stack.train()
        rows = epoch_batches(state)[0]
        if state.stack.how == "vmap":  # recorded or tried in the first step: not part of what a step costs
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


def try_evaluation(job: Job, task: Task) -> None:
    """What training meets beside the steps that are timed: the smallest batch of an epoch, and batches of every size of
    every part that is evaluated, in evaluation mode without gradients. Layers may compute otherwise there, such as
    attention with a padding mask, which vmap has no rule for.

    Raises:
        Exception: whatever the module or the task raises.
    """
    with cpu_numerics(job.threads):
        state = prepare(job, task)
        state.stack.train()
        step(state, min(epoch_batches(state), key=lambda rows: rows.shape[1]))
        with evaluating(state) as carry:
            for part, split in state.parts.items():
                sizes = {stop - start: (start, stop) for start, stop in split.spans()} if part != "train" else {}
                for size, span in sizes.items():
                    batch = split.span(*span)
                    with torch.no_grad():
                        output = state.stack(*batch.inputs, *carry(size))
                    task.sums(output[0] if state.carries else output, batch)
