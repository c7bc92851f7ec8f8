"""Learning-rate schedules as pure functions: step -> factor on the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tenfold.recipe import Recipe

__all__ = ["Plateau", "factor"]


def _constant(step: int, n_steps: int, steps_per_epoch: int, recipe: Recipe) -> float:
    return 1.0


def _cosine(step: int, n_steps: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """Loshchilov and Hutter 2017, one half period; torch's CosineAnnealingLR with T_max = n_steps."""
    return 0.5 * (1 + math.cos(math.pi * step / n_steps))


def _step(step: int, n_steps: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """torch's StepLR, stepped once an epoch."""
    return recipe.gamma ** (step // steps_per_epoch // recipe.step_epochs)


def _one_cycle(step: int, n_steps: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """torch's OneCycleLR with its defaults: up from 1/25 in the first 30 %, down to 1/250,000, both along a cosine."""
    start, end = 1 / 25, 1 / 25e4
    top = 0.3 * n_steps - 1
    if step <= top:
        low, high, share = start, 1.0, step / max(top, 1e-12)
    else:
        low, high, share = 1.0, end, (step - top) / max(n_steps - 1 - top, 1e-12)
    return high + (low - high) / 2 * (1 + math.cos(math.pi * share))


_FACTORS: dict[str, Callable[[int, int, int, Recipe], float]] = {
    "constant": _constant,
    "plateau": _constant,
    "cosine": _cosine,
    "step": _step,
    "one-cycle": _one_cycle,
}


def factor(step: int, n_steps: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """What the learning rate is multiplied by in ``step`` (0 first) of ``n_steps``."""
    return _FACTORS[recipe.schedule](step, n_steps, steps_per_epoch, recipe)


class Plateau:
    """Reduce the rate of each run whose validation loss has stopped improving; torch's ReduceLROnPlateau per run.

    Args:
        n_runs: runs.
        gamma: factor.
        patience: epochs without improvement before it is applied.
    """

    # As torch: an improvement is a loss below (1 - threshold) times the best.
    threshold = 1e-4

    def __init__(self, n_runs: int, *, gamma: float, patience: int) -> None:
        self.gamma, self.patience = gamma, patience
        self.factors = torch.ones(n_runs, dtype=torch.float64)
        self.best = torch.full((n_runs,), math.inf, dtype=torch.float64)
        self.waited = torch.zeros(n_runs, dtype=torch.int64)

    def update(self, losses: Tensor) -> None:
        """``losses``: validation loss of every run after an epoch, float64, shape (runs,)."""
        better = losses < self.best * (1 - self.threshold)
        self.best = torch.where(better, losses, self.best)
        self.waited = torch.where(better, 0, self.waited + 1)
        due = self.waited > self.patience
        self.factors = torch.where(due, self.factors * self.gamma, self.factors)
        self.waited = torch.where(due, 0, self.waited)
