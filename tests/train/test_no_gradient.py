"""A parameter without a gradient stays as it is in that step, as in torch.optim, in every run by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tenfold import Stack
from tenfold.errors import RequestError
from tenfold.train import epoch_batches, prepare, restore, save_checkpoint, step, train_alone
from tenfold.train._state import freeze

OPTIMISERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "adam": {"optimizer": "adam", "lr": 0.01, "weight_decay": 0.1},
    "adamw": {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1},
    "rmsprop": {"optimizer": "rmsprop", "lr": 0.01, "momentum": 0.5, "weight_decay": 0.1},
}


class Experts(nn.Module):
    """Three layers, of which the numbers of a batch choose one; a parameter that is never used."""

    def __init__(self, *, size: int = 8) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.ones(3))
        self.experts = nn.ModuleList([nn.Linear(2 * size * size, 2) for _ in range(3)])

    def forward(self, pairs: Tensor) -> Tensor:
        return self.experts[int(pairs.sum() * 10) % 3](pairs.flatten(1))


class InTurn(Experts):
    """The same, by the mode and the size of the batch, which a stack computes too."""

    def forward(self, pairs: Tensor) -> Tensor:
        return self.experts[0 if len(pairs) > 20 else 1](pairs.flatten(1))


@pytest.mark.parametrize(("module", "how"), [(Experts, "loop"), (InTurn, "vmap")])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_run_is_the_run_alone_also_after_a_checkpoint(
    engine: Any, tmp_path: Path, optimiser: str, module: type[nn.Module], how: Any
) -> None:
    task = engine.task(train=56)
    job = engine.job(module, how=how, n_runs=3, epochs=2, batch_size=24, clip=1.0, **OPTIMISERS[optimiser])
    unbroken, broken = prepare(job, task), prepare(job, task)
    batches = epoch_batches(unbroken)
    for at, rows in enumerate(batches):
        if at == len(batches) - 1:
            save_checkpoint(broken, tmp_path / "c.safetensors")
            broken = prepare(job, task)
            restore(broken, tmp_path / "c.safetensors")
        for state in (unbroken, broken):
            state.stack.train()
            step(state, rows)
    for run in range(3):
        alone = dict(train_alone(job, task, run, max_steps=len(batches)).named_parameters())
        torch.testing.assert_close(alone["unused"], torch.ones(3, dtype=torch.float64))
        for name, value in unbroken.stack.module(run).named_parameters():
            torch.testing.assert_close(value, alone[name], rtol=0, atol=1e-10)
            assert torch.equal(value, dict(broken.stack.module(run).named_parameters())[name])


def test_a_frozen_run_stays_frozen_where_others_leave_a_parameter_out(engine: Any) -> None:
    state = prepare(engine.job(InTurn, n_runs=2, **OPTIMISERS["sgd"]), engine.task())
    rows = epoch_batches(state)[0]
    step(state, rows)
    freeze(state, torch.tensor([True, False]))
    before = state.stack.flatten_().clone()
    step(state, rows[:, :21])
    step(state, rows[:, :20])
    moved = (state.stack.flatten_() != before).any(dim=1)
    assert moved.tolist() == [False, True]


@pytest.mark.parametrize(
    ("settings", "refused"), [({}, False), ({"momentum": 0.9}, True), ({"weight_decay": 0.1}, True)]
)
def test_an_optimiser_over_a_stack_in_a_loop_is_refused_where_it_would_be_wrong(
    settings: dict[str, float], refused: bool
) -> None:
    singles = [Experts(size=1) for _ in range(2)]
    stack = Stack(singles, how="loop")
    optimiser = torch.optim.SGD(stack.parameters(), lr=0.1, **settings)
    inputs = torch.tensor([[[0.1, 0.0]], [[0.2, 0.0]]])  # experts 1 and 2
    stack(inputs).sum().backward()
    if refused:
        with pytest.raises(
            RequestError, match=r"experts\..*weight' has a gradient in run . of a stack and none in run"
        ):
            optimiser.step()
        return
    optimiser.step()
    for run, single in enumerate(singles):
        alone = torch.optim.SGD(single.parameters(), lr=0.1)
        single(inputs[run]).sum().backward()
        alone.step()
        torch.testing.assert_close(stack.module(run).state_dict(), single.state_dict())


def test_the_other_runs_may_be_left_out_of_a_loss() -> None:
    stack = Stack([nn.Linear(2, 2) for _ in range(3)], how="loop")
    stack(torch.ones(3, 4, 2))[1].sum().backward()
    torch.optim.Adam(stack.parameters()).step()
