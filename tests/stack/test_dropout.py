"""Dropout: rate, scale, masks that are a run's own and the same wherever the run is computed."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tenfold import Stack
from tenfold.stack import Dropout, How, replayable


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_rate_and_scale(rate: float) -> None:
    n = 100_000
    outputs = Dropout(rate, key=11)(torch.ones(n))
    kept = outputs != 0
    assert abs(float(kept.float().mean()) - (1 - rate)) < 5 * (rate * (1 - rate) / n) ** 0.5
    assert torch.allclose(outputs[kept], torch.tensor(1 / (1 - rate)))


def test_a_rate_of_zero_keeps_everything_as_it_is() -> None:
    inputs = torch.randn(50, 7)
    assert torch.equal(Dropout(0.0, key=3)(inputs), inputs)


def test_rates_near_and_at_one() -> None:
    inputs = torch.ones(200_000)
    kept = (Dropout(0.999, key=5)(inputs) != 0).sum()
    assert 120 < int(kept) < 290
    nothing = Dropout(1.0, key=5)(inputs)
    assert torch.equal(nothing, torch.zeros_like(inputs))


def test_evaluation_changes_nothing_and_counts_no_call() -> None:
    layer = Dropout(0.5, key=1).eval()
    inputs = torch.randn(9)
    assert layer(inputs) is inputs
    assert int(layer.calls) == 0


def test_masks_differ_between_runs_steps_and_layers() -> None:
    stack = Stack([nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)) for _ in range(3)], keys=[1, 2, 3])
    first_layer, second_layer = stack.runs
    masks: list[Tensor] = []
    for layer in (first_layer, second_layer):
        single = Stack([layer_of(layer, run) for run in range(3)], keys=[0, 0, 0])
        masks += [single(torch.ones(64), shared=True) != 0 for _ in range(2)]
    flat = torch.cat(masks)
    assert len(flat) == 12  # 2 layers, 2 calls, 3 runs
    assert len(torch.unique(flat, dim=0)) == 12


def layer_of(layer: Dropout, run: int) -> Dropout:
    return Dropout(0.5, key=int(layer.key[run]))


class TwoPlaces(nn.Module):
    """Dropout of several kinds, one of them used twice in a forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.4)
        self.channels = nn.Dropout2d(0.3)
        self.linear = nn.Linear(4, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.drop(self.linear(self.drop(self.channels(inputs))))


@given(n_runs=st.integers(1, 4), n_steps=st.integers(1, 4), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=10)
def test_masks_are_the_same_in_a_stack_in_a_loop_and_alone(n_runs: int, n_steps: int, seed: int) -> None:
    torch.manual_seed(seed)
    modules = [TwoPlaces().double() for _ in range(n_runs)]
    keys = [seed * 10 + run for run in range(n_runs)]
    inputs = torch.randn(n_runs, 3, 5, 4, 4, dtype=torch.float64)
    stack, loop = (Stack(modules, keys=keys, how=how) for how in ("vmap", "loop"))
    alone = [replayable(module, key=key) for module, key in zip(modules, keys, strict=True)]
    for _ in range(n_steps):
        together = stack(inputs)
        looped = loop(inputs)
        singles = torch.stack([module(inputs[run]) for run, module in enumerate(alone)])
        assert torch.equal(together == 0, singles == 0)
        torch.testing.assert_close(together, singles, rtol=0, atol=1e-14)
        torch.testing.assert_close(looped, singles, rtol=0, atol=1e-14)


def test_a_layer_under_two_names_draws_from_one_key() -> None:
    """Both names must be exchanged: the second was once left to PyTorch's global generator."""
    drop = nn.Dropout(0.5)
    module = replayable(nn.Sequential(drop, nn.Linear(3, 3), drop), key=4)
    assert module[0] is module[2]
    assert isinstance(module[2], Dropout)
    again = replayable(nn.Sequential(drop, copy.deepcopy(module[1]), drop), key=4)
    inputs = torch.ones(6, 3)
    torch.manual_seed(0)
    first = module(inputs)
    torch.manual_seed(1)
    assert torch.equal(first, again(inputs))


@pytest.mark.parametrize(
    ("kind", "shape", "kept_axes"),
    [
        (nn.Dropout1d, (50, 40, 3), 2),
        (nn.Dropout1d, (200, 3), 1),
        (nn.Dropout2d, (50, 40, 3, 2), 2),
        (nn.Dropout2d, (50, 40, 3), 2),
        (nn.Dropout3d, (50, 40, 3, 2, 2), 2),
        (nn.Dropout3d, (200, 3, 2, 2), 1),
    ],
)
def test_channel_dropout_zeroes_whole_channels_like_torch(kind: type, shape: tuple, kept_axes: int) -> None:
    outputs = replayable(kind(0.5), key=9)(torch.ones(shape)).flatten(kept_axes)
    assert bool(((outputs == 0).all(-1) | (outputs == 2).all(-1)).all())
    kept = (outputs[..., 0] != 0).float()
    assert abs(float(kept.mean()) - 0.5) < 5 * 0.5 / kept.numel() ** 0.5


def test_rates_may_differ_from_run_to_run() -> None:
    modules = [nn.Sequential(nn.Dropout(rate)) for rate in (0.0, 0.3, 0.8)]
    stack = Stack(modules, keys=[1, 2, 3])
    kept = (stack(torch.ones(20_000), shared=True) != 0).float().mean(1)
    torch.testing.assert_close(kept, torch.tensor([1.0, 0.7, 0.2]), rtol=0, atol=0.02)
    assert [stack.module(run)[0].p for run in range(3)] == [0.0, 0.3, 0.8]  # exactly, not as float32 has them


@pytest.mark.parametrize("how", ["vmap", "loop"])
def test_dropout_that_no_run_uses_draws_nothing(how: How) -> None:
    """Masks of the other layers stay as they are; one run that uses it is enough for all to keep it."""

    def stack_of(*rates: float) -> Stack:
        modules = [nn.Sequential(nn.Dropout(rate), nn.Dropout(0.4)) for rate in rates]
        return Stack(modules, keys=[1, 2], how=how)

    inputs = torch.ones(2, 50)
    idle, used = stack_of(0.0, 0.0), stack_of(0.0, 0.5)
    assert [name for name, layer in idle.runs.named_modules() if isinstance(layer, Dropout)] == ["1"]
    assert [name for name, layer in used.runs.named_modules() if isinstance(layer, Dropout)] == ["0", "1"]
    assert torch.equal(idle(inputs)[0], used(inputs)[0])
    assert torch.equal(idle(inputs)[0], used(inputs)[0])
    assert [type(layer) for layer in idle.module(1)] == [nn.Dropout, nn.Dropout]
    lstm = Stack([nn.LSTM(3, 4, num_layers=2) for _ in range(2)], keys=[1, 2], how=how)
    assert not any(isinstance(layer, Dropout) for layer in lstm.modules())


def test_numbers_do_not_depend_on_the_precision() -> None:
    masks = [
        Dropout(0.3, key=2).to(dtype)(torch.ones(5000, dtype=dtype)) != 0 for dtype in (torch.float32, torch.float64)
    ]
    assert float((masks[0] != masks[1]).float().mean()) < 1e-3


def test_the_global_generator_is_left_alone() -> None:
    stack = Stack([nn.Dropout(0.5) for _ in range(2)], keys=[1, 2])
    before = torch.get_rng_state()
    stack(torch.ones(2, 10))
    assert torch.equal(torch.get_rng_state(), before)
