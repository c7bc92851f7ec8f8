"""torch.optim over the rows of a stack: one long vector a run, one parameter group a config."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tenfold.recipe import Config, Recipe

__all__ = ["make_optimiser", "set_rates"]


def make_optimiser(rows: Sequence[nn.Parameter], configs: Sequence[Config], recipe: Recipe) -> torch.optim.Optimizer:
    """PyTorch's own optimiser with a parameter group for each different config.

    Elementwise update rules do not care how a run's parameters are cut into tensors, so a run updated as one vector
    is updated as
    its separate tensors would be; and PyTorch's fused kernels then do a whole step of a run in one pass over memory.

    Args:
        rows: R vectors, views of the stack's memory.
        configs: R configs.
        recipe: names the optimiser.
    """
    groups: dict[tuple, dict] = {}
    for run, (row, config) in enumerate(zip(rows, configs, strict=True)):
        # Under a plateau schedule the rates of equal configs part later on.
        alike = (config.lr, config.momentum, config.weight_decay, run if recipe.schedule == "plateau" else 0)
        group = groups.setdefault(alike, {"params": [], "runs": [], "base_lr": config.lr})
        group["params"].append(row)
        group["runs"].append(run)
        group.update(lr=config.lr, weight_decay=config.weight_decay)
        if recipe.optimizer in ("sgd", "rmsprop"):
            group["momentum"] = config.momentum
    parameters = list(groups.values())
    if recipe.optimizer == "sgd":
        # Its constructor looks at this momentum where Nesterov's is asked for; every group has its own.
        return torch.optim.SGD(parameters, momentum=configs[0].momentum, nesterov=recipe.nesterov, fused=True)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, fused=True)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(parameters, fused=True)
    return torch.optim.RMSprop(parameters)


def set_rates(optimiser: torch.optim.Optimizer, common: float, own: Tensor | None) -> None:
    """Set every group's learning rate to its base times ``common`` times, with a plateau schedule, its run's
    ``own``.
    """
    for group in optimiser.param_groups:
        rate = group["base_lr"] * common
        group["lr"] = rate if own is None else rate * float(own[group["runs"][0]])
