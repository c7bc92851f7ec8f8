"""torch.optim over the rows of a stack: one long vector per run, one parameter group for equal settings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tenfold.recipe import Recipe

__all__ = ["make_optimiser", "set_rates"]


def make_optimiser(rows: Sequence[nn.Parameter], recipes: Sequence[Recipe]) -> torch.optim.Optimizer:
    """PyTorch's own optimiser with a parameter group for all runs of equal settings.

    Elementwise update rules do not care how the parameters of a run are cut into tensors, so a run updated as one
    vector is updated as its separate tensors would be; and PyTorch's fused kernels then do a whole step of a run in one
    pass over memory.

    Args:
        rows: R vectors, views of the stack's memory.
        recipes: R recipes, which name the same optimiser.
    """
    recipe = recipes[0]
    groups: dict[tuple, dict] = {}
    for run, (row, own) in enumerate(zip(rows, recipes, strict=True)):
        # Under a plateau schedule the rates of equal recipes part later on.
        alike = (own.lr, own.momentum, own.weight_decay, run if recipe.schedule == "plateau" else 0)
        group = groups.setdefault(alike, {"params": [], "runs": [], "base_lr": own.lr})
        group["params"].append(row)
        group["runs"].append(run)
        group.update(lr=own.lr, weight_decay=own.weight_decay)
        if recipe.optimizer in ("sgd", "rmsprop"):
            group["momentum"] = own.momentum
    parameters = list(groups.values())
    if recipe.optimizer == "sgd":
        # Its constructor looks at this momentum where Nesterov's is asked for; every group has its own.
        optimiser = torch.optim.SGD(parameters, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=True)
        for group in parameters:
            if group["momentum"]:  # a mean of nothing, as fused SGD fails where some have one and others none
                optimiser.state.update({row: {"momentum_buffer": torch.zeros_like(row)} for row in group["params"]})
        return optimiser
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, fused=True)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(parameters, fused=True)
    return torch.optim.RMSprop(parameters)


def set_rates(optimiser: torch.optim.Optimizer, common: float, own: Tensor | None) -> None:
    """Set every group's rate to its base times ``common``; with a plateau schedule also times its run's ``own``."""
    for group in optimiser.param_groups:
        rate = group["base_lr"] * common
        group["lr"] = rate if own is None else rate * float(own[group["runs"][0]])
