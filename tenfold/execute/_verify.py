"""The certificate: how far runs in a stack are from the same runs trained alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tenfold.execute._estimators import fit_runs
from tenfold.execute._plan import Plan
from tenfold.stack import stack_trees
from tenfold.tasks import Task, carries
from tenfold.train import Job, cpu_numerics, epoch_batches, prepare, step, test, train_alone
from tenfold.train._state import EpochSoFar, RunId

__all__ = ["verify", "verify_fit"]

_STEPS = 20


def verify(
    job: Job, task: Task, plan: Plan, weights: Mapping[str, np.ndarray], scores: Mapping[str, float]
) -> dict[str, Any]:
    """Retrain the first run of a job alone, and compare.

    Args:
        job: all runs of a model.
        task: the study's.
        plan: how the study trained them.
        weights: as recorded, runs first.
        scores: of the first run, as recorded.
    Returns:
        dict: ``weights_float64`` is the largest difference of a weight after ``steps_float64`` steps in double
            precision between the run in its group and the run alone, where only rounding differs. ``weights`` and
            ``scores`` compare the recorded run with the run trained alone to the end in the study's own precision,
            where rounding has grown with every step; None where a rule looks at validation scores.
    """
    group = next(group for group in plan.groups if 0 in group)
    precise = replace(
        job,
        runs=tuple(_in_double(job.runs[at]) for at in group),
        how=plan.how,
        compiled=plan.compiled,
    )
    with cpu_numerics(plan.threads):
        steps, double = _double(precise, task, group.index(0))
        if job.recipe.needs_validation:
            return {"weights_float64": double, "weights": None, "scores": None, "steps_float64": steps}
        alone = train_alone(job, task)
        largest = max(
            (
                _apart(value.detach().cpu(), torch.from_numpy(np.asarray(weights[name][0])))
                for name, value in alone.named_parameters()
            ),
            default=0.0,
        )
        again = _test_alone(alone.eval(), job, task)
    apart = {name: abs(float(again[name][0]) - scores[name]) for name in again if name in scores}
    return {"weights_float64": double, "weights": largest, "scores": apart, "steps_float64": steps}


def verify_fit(
    job: Job, task: Task, predictions: Mapping[str, np.ndarray], scores: Mapping[str, float]
) -> dict[str, Any]:
    """Fit the first run of an estimator again, alone in this process, and compare.

    Args:
        job: all runs of the estimator.
        task: the study's.
        predictions: as recorded, runs first.
        scores: of the first run, as recorded.
    Returns:
        dict: ``predictions`` is the largest difference of a number kept of the test part (a class that differs counts
            as a number), ``scores`` those of the scores.
    """
    with cpu_numerics(1):
        again = fit_runs(replace(job, runs=job.runs[:1], checkpoint=None), task)
    largest = max(
        (
            _apart(*(torch.from_numpy(one[0].astype(np.float64)) for one in (value, predictions[name])))
            for name, value in again.predictions.items()
        ),
        default=0.0,
    )
    apart = {name: abs(float(again.scores[name][0]) - scores[name]) for name in again.scores if name in scores}
    return {"predictions": largest, "scores": apart}


def _apart(one: Tensor, other: Tensor) -> float:
    """Largest difference; 0 where both are NaN (a run that diverged alone too), infinite where one is."""
    same = (one == other) | (one.isnan() & other.isnan())
    return float(torch.where(same, 0.0, (one - other).abs()).nan_to_num(nan=math.inf).max()) if one.numel() else 0.0


def _test_alone(module: Any, job: Job, task: Task) -> dict[str, np.ndarray]:
    """Test scores of the first run of a job, from its module; shape (1,) each."""

    def predict(*inputs: Tensor) -> Any:
        return stack_trees([module(*(value[0] for value in inputs))])

    def carry(batch_size: int) -> tuple[Tensor, ...]:
        return tuple(value[None] for value in module.initial_state(batch_size)) if carries(task) else ()

    splits = task.splits([job.runs[0].repeat], seed=job.seed, configs=[job.runs[0].config])
    device, dtype = torch.device(job.device), getattr(torch, job.recipe.dtype)
    return test(predict, task, {part: split.to(device, dtype) for part, split in splits.items()}, carry=carry).scores


def _in_double(run: RunId) -> RunId:
    config = run.config
    return replace(run, config=replace(config, recipe=config.recipe.changed({"dtype": "float64"})))


def _double(job: Job, task: Task, run: int) -> tuple[int, float]:
    """Steps made, and the largest difference after them."""
    state = prepare(job, task)
    state.stack.train()
    steps = min(_STEPS, state.n_steps)
    while state.steps_done < steps:
        for rows in epoch_batches(state):
            step(state, rows)
            if state.steps_done == steps:
                break
        state.epoch, state.epochs_done = EpochSoFar(), state.epochs_done + 1
    together = dict(state.stack.module(run).named_parameters())
    alone = dict(train_alone(job, task, run, max_steps=steps).named_parameters())
    return steps, max((_apart(alone[name].detach(), together[name].detach()) for name in together), default=0.0)
