"""The certificate: whether the runs of a record are the runs that they would be alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tenfold.execute._compared import Compared
from tenfold.execute._estimators import fit_runs
from tenfold.execute._plan import Plan
from tenfold.execute._verify_scores import compare_scores, scores_alone
from tenfold.execute._verify_steps import TOLERANCE, compare_steps
from tenfold.tasks import Task
from tenfold.train import Job, cpu_numerics, epoch_batches, of_run, prepare, train_alone

__all__ = ["verify", "verify_fit"]

# All runs are trained alone to the end where that takes no more steps than these; else the first one is.
_ALL_STEPS = 2000
# In double precision rounding has not grown to this within so few steps; in single precision it may have.
_TO_THE_END = 1e-3
_FITTED = 1e-6
# Recorded weights are those of another run if they are nearer to it, trained alone, by more than this factor.
_NEARER = 10


def verify(
    job: Job,
    task: Task,
    plan: Plan,
    weights: Sequence[Mapping[str, np.ndarray]],
    scores: Sequence[Mapping[str, float]],
) -> dict[str, Any]:
    """Compare every run of a job with the run alone.

    1. The first steps of every run in double precision, in its group and alone: loss and gradients of each step,
       parameters and buffers after the last. Only rounding may differ.
    2. Recorded weights of every run in a plain module: its test scores against those of the record.
    3. The runs trained alone to the end in the study's own precision, where rounding has grown with every step: all
       runs of a small study, else the first. Nothing here where a rule looks at validation scores. Weights that are
       far nearer to another run of the same settings than to their own are a failure in any precision.

    Args:
        job: all runs of a model.
        task: the study's.
        plan: how the study trained them.
        weights: of each run, as recorded, by name.
        scores: of each run, as recorded, by name; empty for a run that diverged, whose scores are not compared.
    Returns:
        dict: what was compared, as docs/record.md says; ``failures`` has a sentence for each difference above its
            tolerance.
    """
    compared, to_the_end = Compared(job.runs), Compared(job.runs)
    with cpu_numerics(plan.threads):
        counts = compare_steps(job, task, plan, compared)
        for run, (own, expected) in enumerate(zip(weights, scores, strict=True)):
            if expected:
                compare_scores(job, task, run, own, expected, compared)
        retrained = range(_retrained(job, task))
        alone = [_compare_to_the_end(job, task, run, weights[run], scores[run], to_the_end) for run in retrained]
        _compare_with_others(job, weights, alone, to_the_end)
    return {
        "runs": len(job.runs),
        "diverged": sum(not own for own in scores),
        "parameters": len(compared.largest["weight"]),
        "buffers": len(compared.largest["buffer"]),
        **counts,
        "tolerance": TOLERANCE,
        "weights_float64": compared.of("weight") or 0.0,
        "buffers_float64": compared.of("buffer"),
        "gradients_float64": compared.of("gradient") or 0.0,
        "losses_float64": compared.of("loss") or 0.0,
        "recorded_scores": compared.largest["score"],
        "retrained": len(retrained),
        "weights": to_the_end.of("weight"),
        "scores": to_the_end.largest["score"] if retrained else None,
        "failures": compared.failures + to_the_end.failures,
    }


def _retrained(job: Job, task: Task) -> int:
    """How many runs are trained alone to the end."""
    if job.recipe.needs_validation:
        return 0
    one = prepare(replace(job, runs=job.runs[:1], how="loop"), task)
    steps = job.recipe.epochs * len(epoch_batches(one))
    return len(job.runs) if steps * len(job.runs) <= _ALL_STEPS else 1


def _compare_to_the_end(
    job: Job, task: Task, run: int, weights: Mapping[str, np.ndarray], scores: Mapping[str, float], compared: Compared
) -> np.ndarray:
    """Compare one run; all its weights when trained alone, in one row."""
    tolerance = _TO_THE_END if job.recipe.dtype == "float64" and scores else np.inf
    where = "from the run trained alone to the end"
    alone = train_alone(job, task, run)
    for name, value in alone.named_parameters():
        compared.add("weight", name, run, weights.get(name), value, tolerance=tolerance, where=where)
    again = scores_alone(alone.eval(), job, task, run)
    for name, value in scores.items():
        compared.add("score", name, run, value, again.get(name), tolerance=np.inf, where=where)
    return _row({name: value.detach().cpu().numpy() for name, value in alone.named_parameters()})


def _row(weights: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *(weights[name].ravel() for name in sorted(weights))])


def _compare_with_others(
    job: Job, weights: Sequence[Mapping[str, np.ndarray]], alone: Sequence[np.ndarray], compared: Compared
) -> None:
    """Find recorded weights of another run. Of diverged runs, whose distances are no numbers, nothing is said."""
    for run, own in enumerate(alone):
        names = [name for name in weights[run] if name in compared.largest["weight"]]
        recorded = _row({name: weights[run][name] for name in names})
        if recorded.shape != own.shape:
            continue
        distance = float(np.linalg.norm(recorded - own))
        if not distance > _TO_THE_END * max(1.0, float(np.linalg.norm(own))):
            continue
        for other, row in enumerate(alone):
            if job.runs[other].config != job.runs[run].config or row.shape != own.shape:
                continue
            if _NEARER * float(np.linalg.norm(recorded - row)) < distance:
                repeat = job.runs[other].repeat
                compared.fail(run, f"its recorded weights are those of repeat {repeat} trained alone, not its own")


def verify_fit(
    job: Job, task: Task, predictions: Sequence[Mapping[str, np.ndarray]], scores: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """Fit every run of an estimator again, in this process, and compare.

    Args:
        job: all runs of the estimator.
        task: the study's.
        predictions: of each run, as recorded, by name.
        scores: of each run, as recorded, by name; empty for a run that diverged.
    Returns:
        dict: what was compared, as docs/record.md says; ``failures`` has a sentence for each difference above its
            tolerance.
    """
    compared = Compared(job.runs)
    where = "from the run fitted again, alone"
    with cpu_numerics(1):
        again = fit_runs(replace(job, checkpoint=None), task)
    for run, (own, expected) in enumerate(zip(predictions, scores, strict=True)):
        for name, value in of_run(again.predictions, run).items():
            compared.add("prediction", name, run, own.get(name), value, tolerance=_FITTED, where=where)
        for name, score in expected.items():
            values = again.scores.get(name)
            value = None if values is None else values[run]
            compared.add("score", name, run, score, value, tolerance=_FITTED, where=where)
    return {
        "runs": len(job.runs),
        "diverged": sum(not own for own in scores),
        "tolerance": _FITTED,
        "predictions": compared.of("prediction") or 0.0,
        "scores": compared.largest["score"],
        "failures": compared.failures,
    }
