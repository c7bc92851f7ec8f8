"""Test scores of a plain module with the weights of the record, against the scores of the record."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from tenfold.execute._compared import Compared
from tenfold.seeds import derive
from tenfold.stack import stack_trees
from tenfold.tasks import Task, carries
from tenfold.train import Job, test

__all__ = ["compare_scores", "scores_alone"]

_TOLERANCE = {"float32": 1e-5, "float64": 1e-8}
# Scores of outputs that are moved by rounding, so often: what comes and goes with it, such as a tie, is no difference.
_DRAWS = 3
# Rounding of an output, as a multiple of the precision of its type.
_ROUNDINGS = 8


def compare_scores(
    job: Job, task: Task, run: int, weights: Mapping[str, np.ndarray], scores: Mapping[str, float], compared: Compared
) -> None:
    """Put recorded weights of one run in a plain module, test it, and compare with the recorded scores.

    Args:
        job, task: of all runs of the model.
        run: position in ``job.runs``.
        weights: of this run, as ``state_dict`` gives them.
        scores: of this run.
        compared: takes the differences.
    """
    id_, dtype = job.runs[run], getattr(torch, job.recipe.dtype)
    plain = job.factory.build(derive(job.seed, job.model, id_.repeat, "weights"), **id_.config.options)
    module = plain.to(device=job.device, dtype=dtype)
    module.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    again = scores_alone(module.eval(), job, task, run)

    @cache
    def moved() -> list[dict[str, float]]:
        return [scores_alone(module, job, task, run, moved_by=draw) for draw in range(1, _DRAWS + 1)]

    tolerance = _TOLERANCE[job.recipe.dtype]
    for name, recorded in scores.items():
        if np.isnan(recorded) and name not in again:  # it could not be computed then either
            continue

        def by_rounding(name: str = name, recorded: float = recorded) -> bool:
            found = [each.get(name, np.nan) for each in (again, *moved())]
            slack = tolerance * max(1.0, abs(recorded))
            return bool(min(found) - slack <= recorded <= max(found) + slack)

        where = "from that of the recorded weights in a plain module"
        compared.add(
            "score", name, run, recorded, again.get(name), tolerance=tolerance, where=where, excuse=by_rounding
        )


def scores_alone(module: nn.Module, job: Job, task: Task, run: int, *, moved_by: int = 0) -> dict[str, float]:
    """Test scores of one run of a job from its module in evaluation mode; it is left as it is.

    Args:
        module: plain.
        job, task, run: whose.
        moved_by: seed of small random changes, by about their rounding, of weights and outputs; 0 for none.
    """
    module = copy.deepcopy(module)  # a module may change its buffers in evaluation
    random = torch.Generator(device=job.device).manual_seed(moved_by)
    if moved_by:
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.copy_(_moved(tensor, random))

    def predict(*inputs: Tensor) -> Any:
        output: Any = module(*(value[0] for value in inputs))
        return stack_trees([tree_map(lambda value: _moved(value, random), output) if moved_by else output])

    def carry(batch_size: int) -> tuple[Tensor, ...]:
        view: Any = module
        return tuple(value[None] for value in view.initial_state(batch_size)) if carries(task) else ()

    own, device, dtype = job.runs[run], torch.device(job.device), getattr(torch, job.recipe.dtype)
    splits = task.splits([own.repeat], seed=job.seed, configs=[own.config])
    parts = {part: split.to(device, dtype) for part, split in splits.items()}
    return {name: float(values[0]) for name, values in test(predict, task, parts, carry=carry).scores.items()}


def _moved(value: Any, random: torch.Generator) -> Any:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return value
    by = torch.randn(value.shape, generator=random, device=value.device, dtype=value.dtype)
    return value + value * by * (_ROUNDINGS * torch.finfo(value.dtype).eps)
