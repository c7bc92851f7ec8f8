"""The first steps of every run, made in its group and made alone, in double precision: only rounding may differ."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tenfold.execute._compared import Compared
from tenfold.execute._plan import Plan
from tenfold.tasks import Task
from tenfold.train import Job, RunId, State, epoch_batches, prepare, step, steps_alone
from tenfold.train._state import EpochSoFar

__all__ = ["TOLERANCE", "compare_steps"]

TOLERANCE = 1e-8
_STEPS = 20
# Gradients of so many bytes are kept of a group; where those of all steps are more, they are compared in fewer steps.
_GRADIENT_BYTES = 2**30


class _Together(NamedTuple):
    """What a group gave.

    Attributes:
        state: after the steps.
        losses: of every step, (runs,) each.
        gradients: step, counted from 1 -> (runs, numbers of one run).
    """

    state: State
    losses: list[Tensor]
    gradients: dict[int, Tensor]


def compare_steps(job: Job, task: Task, plan: Plan, compared: Compared) -> dict[str, int]:
    """Compare losses and gradients of the steps, and parameters and buffers after them, of every run of every group.

    Returns:
        dict: "steps_float64", and "gradient_steps": in how many of them gradients were compared.
    """
    steps, of_gradients = 0, _STEPS
    for group in plan.groups:
        own = replace(job, runs=tuple(_in_double(job.runs[at]) for at in group), how=plan.how, compiled=plan.compiled)
        together = _in_group(own, task)
        for place, run in enumerate(group):
            _compare_run(own, task, together, place, run, compared)
        steps, of_gradients = max(steps, len(together.losses)), min(of_gradients, len(together.gradients))
    return {"steps_float64": steps, "gradient_steps": of_gradients}


def _in_double(run: RunId) -> RunId:
    config = run.config
    return replace(run, config=replace(config, recipe=config.recipe.changed({"dtype": "float64"})))


def _in_group(job: Job, task: Task) -> _Together:
    state = prepare(job, task)
    state.stack.train()
    steps = min(_STEPS, state.n_steps)
    every = max(1, math.ceil(steps * state.gradient.nbytes / _GRADIENT_BYTES))
    losses: list[Tensor] = []
    gradients: dict[int, Tensor] = {}
    for rows in _batches(state):
        losses.append(step(state, rows)[0])
        if state.steps_done % every == 0 or state.steps_done in (1, steps):
            gradients[state.steps_done] = state.gradient.clone()
        if state.steps_done == steps:
            break
    return _Together(state, losses, gradients)


def _batches(state: State) -> Iterator[Tensor]:
    """Batches of one epoch after the other."""
    while True:
        yield from epoch_batches(state)
        state.epoch, state.epochs_done = EpochSoFar(), state.epochs_done + 1


def _compare_run(job: Job, task: Task, together: _Together, place: int, run: int, compared: Compared) -> None:
    """Compare one run. What it gives after a loss that is no finite number, alone as well, is not looked at."""
    module: Any = None
    for done, ((module, loss), losses) in enumerate(
        zip(steps_alone(job, task, place), together.losses, strict=False), start=1
    ):
        where = f"from the run alone in step {done}, in double precision"
        if not (loss.isfinite() or losses[place].isfinite()):
            return
        compared.add("loss", "", run, losses[place], loss, tolerance=TOLERANCE, where=where)
        if done in together.gradients:
            for name, gradient in _gradients(together, done, place):
                expected = _gradient(module, name)
                compared.add("gradient", name, run, gradient, expected, tolerance=TOLERANCE, where=where)
        if done == len(together.losses):
            break
    where = f"from the run alone after {len(together.losses)} steps in double precision"
    plain = together.state.stack.module(place)
    alone = dict(module.named_parameters()) | dict(module.named_buffers())
    for kind, named in (("weight", plain.named_parameters()), ("buffer", plain.named_buffers())):
        for name, tensor in named:
            compared.add(kind, name, run, tensor, alone.get(name), tolerance=TOLERANCE, where=where)


def _gradients(together: _Together, done: int, place: int) -> Iterator[tuple[str, Tensor]]:
    """Gradients of one run by name of the parameter, out of the row that holds them side by side."""
    row, start = together.gradients[done][place], 0
    for name, parameter in together.state.stack.runs.named_parameters():
        if parameter.requires_grad:
            size = parameter[0].numel()
            yield name, row[start : start + size].view(parameter.shape[1:])
            start += size


def _gradient(module: nn.Module, name: str) -> Tensor | None:
    """Of a plain module; zeros for a parameter that took no part in the step, None where there is no such parameter."""
    parameter = dict(module.named_parameters()).get(name)
    if parameter is None:
        return None
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
