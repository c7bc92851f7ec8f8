"""Schedules against torch.optim.lr_scheduler, and clipping against torch.nn.utils.clip_grad_norm_."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from tenfold.recipe import Recipe
from tenfold.train._schedules import Plateau, factor

BASE = 0.3


def rates_of_torch(make: Callable, n_steps: int, every: int) -> list[float]:
    """The rate in each step under a torch schedule that is stepped every ``every`` steps."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=BASE)
    scheduler = make(optimiser)
    rates = []
    for step in range(n_steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if (step + 1) % every == 0 and step + 1 < n_steps:
            scheduler.step()
    return rates


@given(n_epochs=st.integers(1, 40), steps_per_epoch=st.integers(1, 12), step_epochs=st.integers(1, 12))
@settings(deadline=None, max_examples=40)
def test_factors_are_those_of_torch(n_epochs: int, steps_per_epoch: int, step_epochs: int) -> None:
    n_steps = n_epochs * steps_per_epoch
    schedules: dict[str, tuple[Callable, int]] = {
        "constant": (lambda o: lr_scheduler.ConstantLR(o, factor=1.0), 1),
        "cosine": (lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=n_steps), 1),
        "step": (lambda o: lr_scheduler.StepLR(o, step_size=step_epochs, gamma=0.25), steps_per_epoch),
        "one-cycle": (lambda o: lr_scheduler.OneCycleLR(o, BASE, total_steps=n_steps, cycle_momentum=False), 1),
    }
    for name, (make, every) in schedules.items():
        recipe = Recipe(schedule=name, step_epochs=step_epochs, gamma=0.25)  # type: ignore[arg-type]
        ours = [BASE * factor(step, n_steps, steps_per_epoch, recipe) for step in range(n_steps)]
        assert ours == pytest.approx(rates_of_torch(make, n_steps, every), rel=1e-9, abs=1e-12), name


@given(
    losses=st.lists(st.lists(st.sampled_from([0.5, 0.5001, 0.49, 1.0, 0.4]), min_size=3, max_size=3), max_size=30),
    patience=st.integers(0, 4),
)
@settings(deadline=None, max_examples=60)
def test_plateau_is_torchs_for_each_run_by_itself(losses: list[list[float]], patience: int) -> None:
    plateau = Plateau(3, gamma=0.1, patience=patience)
    optimisers = [torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0) for _ in range(3)]
    # Without torch's floor of 1e-8 under differences of rates.
    torchs = [lr_scheduler.ReduceLROnPlateau(o, factor=0.1, patience=patience, eps=0.0) for o in optimisers]
    for epoch in losses:
        plateau.update(torch.tensor(epoch, dtype=torch.float64))
        for scheduler, loss in zip(torchs, epoch, strict=True):
            scheduler.step(loss)
    rates = [optimiser.param_groups[0]["lr"] for optimiser in optimisers]
    assert plateau.factors.tolist() == pytest.approx(rates, rel=1e-12)


def test_a_plateau_that_sees_nan_waits() -> None:
    plateau = Plateau(2, gamma=0.5, patience=0)
    plateau.update(torch.tensor([1.0, float("nan")], dtype=torch.float64))
    plateau.update(torch.tensor([0.5, float("nan")], dtype=torch.float64))
    assert plateau.factors.tolist() == [1.0, 0.25]


@pytest.mark.parametrize("how", ["vmap", "loop"])
@pytest.mark.parametrize("limits", [[0.05, 100.0], 0.3])
def test_each_run_is_clipped_like_clip_grad_norm(engine: Any, how: Any, limits: Any) -> None:
    """Its own norm, over all of its parameters; a norm below the limit is left alone."""
    from tenfold.train import epoch_batches, gradients, prepare
    from tenfold.train._state import _clip

    task = engine.task()
    job = engine.job(n_runs=2, clip=limits, how=how)
    state = prepare(job, task)
    state.stack.train()
    gradients(state, state.parts["train"].batch(epoch_batches(state)[0]))
    before = state.gradient.clone()
    _clip(state)
    for run in range(len(job.runs)):
        parameter = nn.Parameter(torch.zeros_like(before[run]))
        parameter.grad = before[run].clone()
        limit = job.runs[run].config.recipe.clip
        assert limit is not None
        norm = float(nn.utils.clip_grad_norm_([parameter], limit))
        torch.testing.assert_close(state.gradient[run], parameter.grad, rtol=1e-12, atol=0)
        assert torch.equal(state.gradient[run], before[run]) == (norm < limit)
