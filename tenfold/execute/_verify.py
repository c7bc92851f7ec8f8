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
from tenfold.tasks import Task
from tenfold.train import Job, cpu_numerics, prepare
from tenfold.train._reference import train_alone
from tenfold.train._state import epoch_order, step

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
        dict: ``weights_float64`` is the largest difference of a weight after 20 steps in double precision between
            the run in its group and
        the run alone, where only rounding differs; ``weights`` and ``scores`` compare the recorded run with the run
        trained alone to the
        end in the study's own precision, where rounding has grown with every step. None where a rule looks at
        validation scores.
    """
    group = next(group for group in plan.groups if 0 in group)
    precise = replace(
        job,
        recipe=job.recipe.model_copy(update={"dtype": "float64"}),
        runs=tuple(job.runs[at] for at in group),
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
        alone.eval()
        examples = task.examples([job.runs[0].repeat], seed=job.seed, settings=[job.runs[0].config.data])["test"]
        examples = examples.to(torch.device(job.device), getattr(torch, job.recipe.dtype))
        inputs, targets = examples.span(0, examples.n_examples)
        with torch.no_grad():
            output = alone(*(value[0] for value in inputs))
        outputs = output[None] if isinstance(output, Tensor) else tuple(part[None] for part in output)
        again = task.score(outputs, targets)
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
    kept = {name: value for name, value in again.predictions.items() if name not in ("setting", "repeat")}
    largest = max(
        _apart(torch.from_numpy(value[0].astype(np.float64)), torch.from_numpy(predictions[name][0].astype(np.float64)))
        for name, value in kept.items()
    )
    apart = {name: abs(float(again.scores[name][0]) - scores[name]) for name in again.scores if name in scores}
    return {"predictions": largest, "scores": apart}


def _apart(one: Tensor, other: Tensor) -> float:
    """Largest difference; 0 where both are NaN (a run that diverged alone too), infinite where one is."""
    same = (one == other) | (one.isnan() & other.isnan())
    return float(torch.where(same, 0.0, (one - other).abs()).nan_to_num(nan=math.inf).max()) if one.numel() else 0.0


def _double(job: Job, task: Task, run: int) -> tuple[int, float]:
    """Steps made, and the largest difference after them."""
    state = prepare(job, task)
    state.stack.train()
    steps = min(_STEPS, state.n_steps)
    while state.steps_done < steps:
        order = epoch_order(state)
        for start in range(0, order.shape[1], job.recipe.batch_size):
            step(state, order[:, start : start + job.recipe.batch_size])
            if state.steps_done == steps:
                break
        state.epochs_done += 1
    together = dict(state.stack.module(run).named_parameters())
    alone = dict(train_alone(job, task, run, max_steps=steps).named_parameters())
    return steps, max((_apart(alone[name].detach(), together[name].detach()) for name in together), default=0.0)
