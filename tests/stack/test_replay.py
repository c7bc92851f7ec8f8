"""Recorded passes give the numbers of unrecorded ones, and only what can be recorded is."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from tenfold.stack import Stack
from tenfold.stack._replay import why_not_recorded


def loss_and_output(output: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    return nn.functional.cross_entropy(output, targets), output


class Rows(nn.Sequential):
    """The last hidden state of a recurrent layer over the rows of an image; a class of somebody's own."""

    def forward(self, images: Tensor) -> Tensor:
        return self[1](self[0](images.squeeze(1))[0][:, -1])


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "dense": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3)),
    "convolution, batch norm, pooling, dropout": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Dropout(0.4),
        nn.Flatten(),
        nn.Linear(64, 3),
    ),
    "a layer that is not trained": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16).requires_grad_(False), nn.Tanh(), nn.Linear(16, 3)
    ),
    "one layer twice": lambda: (lambda layer: nn.Sequential(nn.Flatten(), layer, nn.Tanh(), layer, nn.Linear(64, 3)))(
        nn.Linear(64, 64)
    ),
    "nothing to train": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).requires_grad_(False),
}


def stacks(make: Callable[[], nn.Module], *, n_runs: int = 3) -> tuple[Stack, Stack]:
    torch.manual_seed(0)
    plain = Stack([make().double() for _ in range(n_runs)], keys=range(n_runs))
    recorded = Stack([plain.module(run) for run in range(n_runs)], keys=range(n_runs), recorded=True)
    return plain, recorded


def batch(size: int = 10, *, n_runs: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n_runs, size, 1, 8, 8, generator=rng, dtype=torch.float64)
    return inputs, torch.randint(3, (n_runs, size), generator=rng)


def recordings(stack: Stack) -> list[Any]:
    return list(stack._recordings._graphs.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_recorded_gradients_are_the_unrecorded_ones(name: str) -> None:
    plain, recorded = stacks(NETWORKS[name])
    assert recorded.recorded
    # Batches of two sizes, by turns: the second time each is a replay, with other numbers.
    for number, size in enumerate((10, 4, 10, 4)):
        inputs, targets = batch(size, seed=number)
        expected = plain.gradients(loss_and_output, (inputs,), (targets,))
        got = recorded.gradients(loss_and_output, (inputs,), (targets,))
        torch.testing.assert_close(got[0], expected[0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(got[1], expected[1], rtol=1e-12, atol=1e-12)
        assert len(got[2]) == len(expected[2]) == len(plain.trainable())
        for mine, other in zip(got[2], expected[2], strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)
    assert len(recordings(recorded)) == 2
    assert all(recording is not None for recording in recordings(recorded))
    # Running statistics and the counters of dropout moved as often.
    for (key, mine), other in zip(recorded.state_dict().items(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12, msg=key)
    calls = [value for key, value in recorded.runs.named_buffers() if key.endswith("calls")]
    assert all(value.tolist() == [4, 4, 4] for value in calls)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_autograd_on_single_modules(name: str) -> None:
    plain, recorded = stacks(NETWORKS[name])
    singles = [copy.deepcopy(plain.module(run)).eval() for run in range(3)]
    recorded.eval()  # without masks
    inputs, targets = batch()
    _, _, grads = recorded.gradients(loss_and_output, (inputs,), (targets,))
    for run, single in enumerate(singles):
        nn.functional.cross_entropy(single(inputs[run]), targets[run]).requires_grad_().backward()
        own = [parameter.grad for parameter in single.parameters() if parameter.requires_grad]
        for mine, other in zip(grads, own, strict=True):
            torch.testing.assert_close(mine[run], other, rtol=1e-10, atol=1e-12)


def test_evaluation_is_recorded_apart_from_training() -> None:
    plain, recorded = stacks(NETWORKS["convolution, batch norm, pooling, dropout"])
    inputs, targets = batch()
    for stack in (plain, recorded):
        stack.gradients(loss_and_output, (inputs,), (targets,))
        stack.eval()
    with torch.no_grad():
        for seed in (1, 2):
            inputs, _ = batch(seed=seed)
            torch.testing.assert_close(recorded(inputs), plain(inputs), rtol=1e-12, atol=1e-12)
    assert len(recordings(recorded)) == 2
    # With gradients wanted, a pass is what it always was.
    assert recorded(inputs).requires_grad
    assert len(recordings(recorded)) == 2


def test_a_layer_frozen_later_is_not_taken_from_the_old_recording() -> None:
    _, recorded = stacks(NETWORKS["dense"])
    inputs, targets = batch()
    assert len(recorded.gradients(loss_and_output, (inputs,), (targets,))[2]) == 4
    recorded.runs.get_parameter("1.weight").requires_grad_(False)
    assert len(recorded.gradients(loss_and_output, (inputs,), (targets,))[2]) == 3


def test_weights_are_read_anew_at_every_replay() -> None:
    plain, recorded = stacks(NETWORKS["dense"])
    inputs, targets = batch()
    before = recorded.gradients(loss_and_output, (inputs,), (targets,))[0]
    for stack in (plain, recorded):
        stack.flatten_().mul_(2.0)
    after = recorded.gradients(loss_and_output, (inputs,), (targets,))[0]
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, plain.gradients(loss_and_output, (inputs,), (targets,))[0])


class Whimsical(nn.Module):
    """Does something else from time to time, which a recording would not."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(64, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.dense(images.flatten(1)) * (1 if random.random() < 0.5 else 2)


def test_modules_of_ones_own_are_not_recorded() -> None:
    for module in (Whimsical(), nn.Sequential(nn.Identity(), Whimsical())):
        assert why_not_recorded(module).startswith("its module has layers of its own ('Whimsical'), whose Python")
    both = nn.Sequential(Whimsical(), Rows(nn.RNN(8, 4), nn.Linear(4, 3)), Whimsical())
    assert "('Whimsical', 'Rows')" in why_not_recorded(both)
    stack = Stack([Whimsical() for _ in range(2)], recorded=True)
    assert not stack.recorded
    assert stack.not_recorded == why_not_recorded(Whimsical())


def test_modules_with_hooks_are_not_recorded() -> None:
    seen = []
    module = NETWORKS["dense"]()
    assert why_not_recorded(module) == ""
    module[1].register_forward_hook(lambda layer, inputs, output: seen.append(1))
    assert why_not_recorded(module) == "it has hooks"
    stack = Stack([module], recorded=True)
    assert (stack.recorded, stack.not_recorded) == (False, "it has hooks")
    with torch.no_grad():
        for _ in range(3):
            stack(torch.zeros(1, 2, 1, 8, 8))
    assert len(seen) == 3


def test_loops_and_compiled_stacks_are_not_recorded() -> None:
    modules = [NETWORKS["dense"]() for _ in range(2)]
    for stack, reason in (
        (Stack(modules, how="loop", recorded=True), "how is 'loop'"),
        (Stack(modules, compiled=True, recorded=True), "it is compiled"),
        (Stack(modules), "not asked for"),
        (Stack(modules, recorded=True), ""),
    ):
        assert stack.not_recorded == reason
        assert stack.recorded == (not reason)
        assert copy.deepcopy(stack).not_recorded == reason


def test_many_shapes_are_not_all_kept() -> None:
    plain, recorded = stacks(NETWORKS["dense"])
    for size in range(1, 21):
        inputs, targets = batch(size)
        got, expected = (stack.gradients(loss_and_output, (inputs,), (targets,))[0] for stack in (recorded, plain))
        torch.testing.assert_close(got, expected)
    assert sum(recording is not None for recording in recordings(recorded)) == 8


def test_a_loss_that_cannot_be_recorded_is_computed_all_the_same() -> None:
    plain, recorded = stacks(NETWORKS["dense"])

    def with_a_constant(output: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        loss = nn.functional.cross_entropy(output, targets)
        return loss * torch.tensor([2.0], dtype=torch.float64).sum(), output * constant

    constant = torch.full((3,), 2.0, dtype=torch.float64)  # a real tensor from outside
    inputs, targets = batch()
    for _ in range(2):
        got, expected = (stack.gradients(with_a_constant, (inputs,), (targets,)) for stack in (recorded, plain))
        torch.testing.assert_close(got[0], expected[0])
        torch.testing.assert_close(got[1], expected[1])


class Extras(NamedTuple):
    targets: Tensor
    weights: dict[str, Tensor | None]


def loss_and_tree(output: Tensor, extras: Extras) -> tuple[Tensor, dict[str, Any]]:
    assert isinstance(extras, Extras)
    assert extras.weights["none"] is None
    loss = extras.weights["scale"] * nn.functional.cross_entropy(output, extras.targets)
    return loss, {"output": output, "none": None, "extras": extras}


def test_trees_are_recorded() -> None:
    plain, recorded = stacks(NETWORKS["dense"])
    for seed in range(3):
        inputs, targets = batch(seed=seed)
        extras = Extras(targets, {"scale": torch.arange(3.0, dtype=torch.float64) + seed, "none": None})
        got, expected = (stack.gradients(loss_and_tree, (inputs,), (extras,)) for stack in (recorded, plain))
        for losses, rest, grads in (got, expected):
            assert (rest["none"], rest["extras"].weights["none"]) == (None, None)
            assert isinstance(rest["extras"], Extras)
            torch.testing.assert_close(losses, expected[0])
            torch.testing.assert_close(rest["output"], expected[1]["output"])
            assert torch.equal(rest["extras"].targets, targets)
            torch.testing.assert_close(grads, expected[2])
    assert [recording is not None for recording in recordings(recorded)] == [True]


def test_errors_are_those_of_the_module() -> None:
    plain, recorded = stacks(NETWORKS["dense"])
    inputs, targets = torch.zeros(3, 2, 1, 7, 7, dtype=torch.float64), torch.zeros(3, 2, dtype=torch.int64)
    messages = []
    for stack in (plain, recorded):
        with pytest.raises(Exception, match="failed in a stack") as caught:
            stack.gradients(loss_and_output, (inputs,), (targets,))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_copies_record_anew() -> None:
    _, recorded = stacks(NETWORKS["dense"])
    inputs, targets = batch()
    recorded.gradients(loss_and_output, (inputs,), (targets,))
    for other in (copy.deepcopy(recorded), pickle.loads(pickle.dumps(recorded))):
        assert recordings(other) == []
        other.flatten_().zero_()
        losses = other.gradients(loss_and_output, (inputs,), (targets,))[0]
        torch.testing.assert_close(losses, torch.full((3,), 3.0, dtype=torch.float64).log())
