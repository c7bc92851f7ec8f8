"""Which runs of a stack in a loop have a gradient, so that a step of an optimiser that would be wrong is refused.

A stacked parameter has one gradient for all runs. Where a run has none, because it went another way through the module,
its rows are 0; and torch.optim, which would leave a parameter without a gradient as it is, moves them by momentum and
weight decay. (In a study every run has parameters of its own in the optimiser.)
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.weak import WeakTensorKeyDictionary

from tenfold.errors import RequestError

__all__ = ["pass_on_gradient", "watch_optimisers"]

# Stacked parameter -> its name, and the runs that have a gradient since there is one.
_REACHED: Any = WeakTensorKeyDictionary()


def pass_on_gradient(stacked: Tensor, name: str, run: int, parameter: Tensor) -> None:
    """Move the gradient of a view to its row of the stacked parameter's gradient, which the user's optimiser reads."""
    if parameter.grad is None:  # of a torch.autograd.Function that gives none
        return
    if stacked.grad is None:
        stacked.grad = torch.zeros_like(stacked)
        _REACHED[stacked] = (name, set())
    stacked.grad[run] += parameter.grad
    parameter.grad = None
    _REACHED[stacked][1].add(run)


@functools.cache
def watch_optimisers() -> None:
    """Look at every optimiser's parameters before its steps, from now on."""
    register_optimizer_step_pre_hook(_expect_gradients_of_all)


def _expect_gradients_of_all(optimiser: torch.optim.Optimizer, arguments: Any, named: Any) -> None:
    found = [
        (group, *_REACHED[parameter])
        for group in optimiser.param_groups
        for parameter in group["params"]
        if parameter.grad is not None and parameter in _REACHED
    ]
    taking_part = set().union(*(runs for _, _, runs in found))
    for group, name, runs in found:
        plain = isinstance(optimiser, torch.optim.SGD) and not group["momentum"] and not group["weight_decay"]
        if runs != taking_part and not plain:
            raise RequestError(
                f"'{name}' has a gradient in run {min(runs)} of a stack and none in run {min(taking_part - runs)}, "
                f"which went another way through the module; {type(optimiser).__name__} would move it in both; alone "
                "it would stay as it is. Let it take part in all, such as y + 0 * self.unused(x); use torch.optim.SGD "
                "without momentum and weight decay; or train it in a study, where every run has its own parameters"
            )
