"""The stack as an nn.Module in a loop of one's own: each run is the run that it would be alone."""

from __future__ import annotations

import copy
import io
import pickle
import shutil
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tenfold import Stack
from tenfold.errors import RequestError, ShapeError, TrainingError
from tenfold.stack import How, replayable, signature

HOWS: list[How] = ["vmap", "loop"]


class Small(nn.Module):
    """Convolution, normalisation, dropout, a layer used twice, tied weights, integer and boolean buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.normalise = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.3)
        self.middle = nn.Linear(4, 4)
        self.encode = nn.Linear(4, 3, bias=False)
        self.decode = nn.Linear(4, 3, bias=False)
        self.decode.weight = self.encode.weight
        self.register_buffer("seen", torch.zeros(2, dtype=torch.int64))
        self.register_buffer("mask", torch.tensor([True, False, True, True]), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        features = F.max_pool2d(self.normalise(self.convolution(images)), 4).relu().flatten(1)
        features = self.middle(torch.tanh(self.middle(features)))
        self.seen += 1
        return self.encode(self.drop(features)) - 0.5 * self.decode(features * self.mask)


def modules(n_runs: int, make: Callable[[], nn.Module] = Small) -> list[nn.Module]:
    torch.manual_seed(0)
    return [make().double() for _ in range(n_runs)]


def batches(n_runs: int, n_steps: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    inputs = torch.randn(n_steps, n_runs, 8, 1, 4, 4, generator=rng, dtype=torch.float64)
    return inputs, torch.randint(3, (n_steps, n_runs, 8), generator=rng)


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in [*module.named_parameters(), *module.named_buffers()]}


def assert_same(one: nn.Module, other: nn.Module, tolerance: float) -> None:
    first, second = tensors_of(one), tensors_of(other)
    shared = [name for name in first if name in second]
    assert len(shared) >= len(first) - 3  # rate, key and calls of a replayable dropout
    for name in shared:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


OPTIMISERS: dict[str, Callable] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05),
    "SGD momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "SGD Nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.01),
    "Adadelta": lambda p: torch.optim.Adadelta(p),
}


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("how", HOWS)
def test_a_loop_of_ones_own_with_any_optimiser(name: str, how: How) -> None:
    """Nothing of tenfold.train: torch.optim on stack.parameters() against torch.optim on each module's."""
    n_runs, n_steps = 3, 10
    singles = modules(n_runs)
    stack = Stack(singles, keys=[4, 5, 6], how=how)
    optimiser = OPTIMISERS[name](stack.parameters())
    inputs, targets = batches(n_runs, n_steps)
    for step in range(n_steps):
        optimiser.zero_grad()
        outputs = stack(inputs[step])
        loss = sum(F.cross_entropy(outputs[run], targets[step, run]) for run in range(n_runs))
        assert isinstance(loss, Tensor)
        loss.backward()
        optimiser.step()
    for run, single in enumerate(singles):
        alone = replayable(single, key=4 + run)
        optimiser = OPTIMISERS[name](alone.parameters())
        for step in range(n_steps):
            optimiser.zero_grad()
            F.cross_entropy(alone(inputs[step, run]), targets[step, run]).backward()
            optimiser.step()
        assert_same(alone, stack.module(run), 1e-10)
        assert stack.module(run).seen.tolist() == [n_steps, n_steps]
    assert not torch.equal(stack.module(0).middle.weight, stack.module(1).middle.weight)


@given(n_runs=st.integers(1, 4), batch=st.integers(2, 5), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=10)
def test_stack_of_r_is_r_stacks_of_one(n_runs: int, batch: int, seed: int) -> None:
    torch.manual_seed(seed)
    singles = [Small().double() for _ in range(n_runs)]
    inputs = torch.randn(n_runs, batch, 1, 4, 4, dtype=torch.float64)
    keys = list(range(n_runs))
    together = Stack(singles, keys=keys)
    outputs = together(inputs)
    for run in range(n_runs):
        single = Stack(singles[run : run + 1], keys=keys[run : run + 1])
        torch.testing.assert_close(single(inputs[run : run + 1])[0], outputs[run], rtol=0, atol=1e-13)
        assert_same(single.module(0), together.module(run), 1e-13)


@pytest.mark.parametrize("how", HOWS)
def test_the_same_batch_for_every_run(how: How) -> None:
    singles = modules(3)
    stack = Stack(singles, how=how).eval()
    inputs = batches(1, 1)[0][0, 0]
    outputs = stack(inputs, shared=True)
    assert outputs.shape == (3, 8, 3)
    torch.testing.assert_close(outputs, stack(inputs.expand(3, *inputs.shape)), rtol=0, atol=1e-13)
    for run, single in enumerate(singles):
        torch.testing.assert_close(outputs[run], single.eval()(inputs), rtol=0, atol=1e-13)


@pytest.mark.parametrize("how", HOWS)
def test_a_run_is_the_users_own_class_again(how: How) -> None:
    singles = modules(3)
    stack = Stack(singles, keys=[1, 2, 3], how=how)
    stack(batches(3, 1)[0][0])
    run = stack.module(1)
    assert type(run) is Small
    assert [(name, type(layer)) for name, layer in run.named_modules()] == [
        (name, type(layer)) for name, layer in singles[1].named_modules()
    ]
    assert run.decode.weight is run.encode.weight
    assert run.drop.p == 0.3
    assert run.training
    assert list(run.state_dict()) == list(singles[1].state_dict())
    inputs = batches(3, 1)[0][0]
    stack.eval()
    torch.testing.assert_close(stack.module(1)(inputs[1]), stack(inputs)[1], rtol=0, atol=1e-13)
    # A copy: training it further leaves the stack alone.
    with torch.no_grad():
        run.middle.weight.zero_()
    assert float(stack.module(1).middle.weight.detach().abs().max()) > 0


def test_negative_index_and_runs_that_are_not_there() -> None:
    stack = Stack(modules(3))
    assert torch.equal(stack.module(-1).middle.weight, stack.module(2).middle.weight)
    for run in (3, -4):
        with pytest.raises(RequestError, match=f"run {run}: expected 0 to 2"):
            stack.module(run)


@pytest.mark.parametrize("how", HOWS)
def test_frozen_parameters_get_no_gradient_and_do_not_move(how: How) -> None:
    singles = modules(2)
    for single in singles:
        single.middle.weight.requires_grad_(False)
    stack = Stack(singles, how=how)
    assert stack.flatten_().shape == (2, sum(p.numel() for p in singles[0].parameters() if p.requires_grad))
    before = stack.module(0).middle.weight.clone()
    optimiser = torch.optim.AdamW(stack.parameters(), lr=0.1, weight_decay=0.5)
    stack(batches(2, 1)[0][0]).sum().backward()
    optimiser.step()
    assert torch.equal(stack.module(0).middle.weight, before)
    assert not stack.module(0).middle.weight.requires_grad
    assert not torch.equal(stack.module(0).middle.bias, singles[0].middle.bias)


@pytest.mark.parametrize("how", HOWS)
def test_modules_without_parameters(how: How) -> None:
    stack = Stack([nn.Flatten() for _ in range(2)], how=how)
    assert stack(torch.ones(2, 3, 4, 5)).shape == (2, 3, 20)
    assert list(stack.parameters()) == []
    assert type(stack.module(0)) is nn.Flatten


@pytest.mark.parametrize("how", HOWS)
def test_buffers_only_follow_a_change_of_type(how: How) -> None:
    stack = Stack([nn.BatchNorm1d(3, affine=False) for _ in range(2)], how=how)
    stack(torch.randn(2, 5, 3))
    stack.double()
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    assert stack(inputs).dtype == torch.float64
    assert stack.module(0).num_batches_tracked == 2
    assert stack.module(0).num_batches_tracked.dtype == torch.int64


@pytest.mark.parametrize("how", HOWS)
def test_double_and_to_keep_optimiser_and_results(how: How) -> None:
    stack = Stack([module.float() for module in modules(2)], keys=[1, 2], how=how)
    optimiser = torch.optim.SGD(stack.parameters(), lr=0.1)
    inputs = batches(2, 1)[0][0]
    stack(inputs.float())
    stack.double().to("cpu")
    before = stack.module(0).middle.weight.clone()
    assert before.dtype == torch.float64
    stack(inputs).sum().backward()
    optimiser.step()
    assert not torch.equal(stack.module(0).middle.weight, before)
    assert stack.module(0).drop.p == 0.3


@pytest.mark.parametrize("how", HOWS)
def test_state_dict_round_trip(how: How) -> None:
    stack = Stack(modules(2), keys=[1, 2], how=how)
    inputs = batches(2, 2)[0]
    stack(inputs[0])
    torch.manual_seed(99)
    other = Stack([Small().double() for _ in range(2)], keys=[1, 2], how=how)
    other(inputs[1])
    other.load_state_dict(stack.state_dict())
    for run in range(2):
        assert_same(other.module(run), stack.module(run), 0.0)
    stack.eval(), other.eval()
    assert torch.equal(stack(inputs[0]), other(inputs[0]))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("copier", ["deepcopy", "pickle", "torch.save"])
def test_copies_are_whole_and_independent(how: How, copier: str) -> None:
    stack = Stack(modules(2), keys=[1, 2], how=how)
    inputs = batches(2, 3)[0]
    stack(inputs[0]).sum().backward()
    if copier == "deepcopy":
        other = copy.deepcopy(stack)
    elif copier == "pickle":
        other = pickle.loads(pickle.dumps(stack))
    else:
        file = io.BytesIO()
        torch.save(stack, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    assert torch.equal(other(inputs[1]), stack(inputs[1]))  # dropout included: keys and calls are copied
    assert_same(other.module(1), stack.module(1), 0.0)
    optimiser = torch.optim.SGD(other.parameters(), lr=1.0)
    before = stack.module(0).middle.weight.clone()
    optimiser.zero_grad()
    other(inputs[2]).sum().backward()
    optimiser.step()
    assert torch.equal(stack.module(0).middle.weight, before)
    assert not torch.equal(other.module(0).middle.weight, before)


@pytest.mark.parametrize("how", HOWS)
def test_flat_memory_is_the_parameters(how: How) -> None:
    stack = Stack(modules(2), how=how)
    flat = stack.flatten_()
    with torch.no_grad():
        flat[1] = 0
    assert all(not parameter.any() for parameter in stack.module(1).parameters())
    assert any(parameter.any() for parameter in stack.module(0).parameters())
    assert stack.flatten_() is flat
    stack.module(0)
    stack.views()
    assert stack.flatten_() is flat


def test_keys_may_be_given_or_drawn() -> None:
    inputs = torch.ones(100)
    torch.manual_seed(5)
    drawn = [Stack([nn.Dropout(0.5), nn.Dropout(0.5)])(inputs, shared=True) for _ in range(2)]
    torch.manual_seed(5)
    again = Stack([nn.Dropout(0.5), nn.Dropout(0.5)])(inputs, shared=True)
    assert torch.equal(drawn[0], again)
    assert not torch.equal(drawn[0], drawn[1])
    with pytest.raises(RequestError, match="keys: expected one for each of the 2 modules, got 3"):
        Stack([nn.Dropout(0.5), nn.Dropout(0.5)], keys=[1, 2, 3])


@pytest.mark.parametrize("how", HOWS)
def test_eval_of_the_whole_and_of_parts(how: How) -> None:
    singles = modules(2)
    stack = Stack([single.eval() for single in singles], how=how)
    assert not stack.training
    inputs = batches(2, 1)[0][0]
    assert torch.equal(stack(inputs), stack(inputs))
    stack.train()
    stack.runs.normalise.eval()
    before = stack.module(0).normalise.running_mean.clone()
    stack(inputs)
    assert torch.equal(stack.module(0).normalise.running_mean, before)
    assert not stack.module(0).normalise.training
    assert stack.module(0).drop.training
    assert int(stack.module(0).seen[0]) == 3


@pytest.mark.parametrize("how", HOWS)
def test_outputs_of_any_structure_get_the_runs_first(how: How) -> None:
    class Many(nn.Module):
        Pair = namedtuple("Pair", ["first", "second"])

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, inputs: Tensor) -> dict:
            output = self.linear(inputs)
            return {"logits": output, "more": [output.sum(), (output, self.Pair(output, output * 2))]}

    single = Many()
    outputs = Stack([single, copy.deepcopy(single), copy.deepcopy(single)], how=how)(torch.ones(5, 3), shared=True)
    assert outputs["logits"].shape == (3, 5, 2)
    assert outputs["more"][0].shape == (3,)
    assert outputs["more"][1][1].second.shape == (3, 5, 2)
    torch.testing.assert_close(outputs["more"][1][1].second[2], 2 * single(torch.ones(5, 3))["logits"])


class Fields(NamedTuple):
    left: Tensor
    right: Tensor | None


class Tree(nn.Module):
    """Takes a tensor and a nested state, gives a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, inputs: Tensor, state: tuple[Tensor, Tensor | None]) -> dict[str, Any]:
        assert isinstance(state, tuple)
        assert state[1] is None
        return OrderedDict(logits=self.linear(inputs + state[0]), none=None, fields=Fields(inputs, None))


def combined(output: dict[str, Any], extra: Fields, more: list[dict[str, Tensor]]) -> tuple[Tensor, dict[str, Any]]:
    assert isinstance(output, OrderedDict)
    assert isinstance(extra, Fields)
    assert isinstance(more, list)
    assert (output["none"], extra.right) == (None, None)
    loss = (output["logits"] * extra.left).sum() + more[0]["offset"]
    return loss, {"output": output, "extra": extra, "pair": (loss, [loss])}


def tree_arguments(n_runs: int) -> tuple[tuple, tuple]:
    rng = torch.Generator().manual_seed(3)
    inputs, state, weights = (torch.randn(n_runs, 5, size, generator=rng) for size in (3, 3, 2))
    return (inputs, (state, None)), (Fields(weights, None), [{"offset": torch.arange(float(n_runs))}])


@pytest.mark.parametrize("how", HOWS)
def test_inputs_extras_and_outputs_are_trees(how: How) -> None:
    torch.manual_seed(0)
    singles = [Tree() for _ in range(3)]
    inputs, extras = tree_arguments(3)
    losses, rest = Stack(singles, how=how).map(combined, inputs, extras)
    assert (type(rest), type(rest["output"]), type(rest["extra"])) == (dict, OrderedDict, Fields)
    assert (rest["output"]["none"], rest["output"]["fields"].right, rest["extra"].right) == (None, None, None)
    assert (type(rest["pair"]), type(rest["pair"][1])) == (tuple, list)
    for run, single in enumerate(singles):
        expected, _ = combined(
            single(inputs[0][run], (inputs[1][0][run], None)),
            Fields(extras[0].left[run], None),
            [{"offset": extras[1][0]["offset"][run]}],
        )
        for values in (losses, rest["pair"][0], rest["pair"][1][0]):
            torch.testing.assert_close(values[run], expected)
        assert torch.equal(rest["output"]["fields"].left[run], inputs[0][run])
        assert torch.equal(rest["extra"].left[run], extras[0].left[run])


def test_gradients_of_trees_are_those_of_single_modules() -> None:
    torch.manual_seed(0)
    singles = [Tree() for _ in range(3)]
    inputs, extras = tree_arguments(3)
    stack = Stack(singles)
    losses, rest, (weight, bias) = stack.gradients(combined, inputs, extras)
    assert isinstance(rest["extra"], Fields)
    assert (rest["output"]["none"], rest["extra"].right) == (None, None)
    assert not any(leaf.requires_grad for leaf in (losses, rest["output"]["logits"], rest["pair"][1][0]))
    for run, single in enumerate(singles):
        loss, _ = combined(
            single(inputs[0][run], (inputs[1][0][run], None)),
            Fields(extras[0].left[run], None),
            [{"offset": extras[1][0]["offset"][run]}],
        )
        loss.backward()
        torch.testing.assert_close(losses[run], loss.detach())
        torch.testing.assert_close(weight[run], single.linear.weight.grad)
        torch.testing.assert_close(bias[run], single.linear.bias.grad)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # warnings of the compiler
def test_trees_can_be_compiled() -> None:
    torch.manual_seed(0)
    singles = [Tree() for _ in range(3)]
    inputs, extras = tree_arguments(3)
    compiled, plain = (Stack(singles, compiled=each).gradients(combined, inputs, extras) for each in (True, False))
    assert (compiled[1]["output"]["none"], type(compiled[1]["extra"])) == (None, Fields)
    torch.testing.assert_close(compiled[0], plain[0])
    torch.testing.assert_close(compiled[2], plain[2])


@pytest.mark.parametrize("how", HOWS)
def test_shared_inputs_may_be_trees(how: How) -> None:
    torch.manual_seed(0)
    singles = [Tree() for _ in range(2)]
    outputs = Stack(singles, how=how)(torch.ones(5, 3), (torch.ones(3), None), shared=True)
    torch.testing.assert_close(outputs["logits"][1], singles[1].linear(2 * torch.ones(5, 3)))


@pytest.mark.parametrize("how", HOWS)
def test_extras_that_do_not_have_the_runs_first(how: How) -> None:
    stack = Stack([nn.Linear(3, 2) for _ in range(4)], how=how)
    inputs = (torch.ones(4, 5, 3),)
    passes = [stack.map, stack.gradients] if how == "vmap" else [stack.map]
    for compute in passes:
        with pytest.raises(ShapeError, match=r"^extra 1: expected \(4 runs, ...\), got shape \(5,\)$"):
            compute(lambda *values: values, inputs, (torch.ones(4), Fields(torch.ones(4), torch.ones(5))))
        with pytest.raises(RequestError, match="extra 0: expected tensors, got float"):
            compute(lambda *values: values, inputs, ([1.0],))
    with pytest.raises(ShapeError, match=r"^input 0: expected \(4 runs, batch, ...\), got shape \(5, 3\)$"):
        Stack([nn.Linear(3, 2) for _ in range(4)]).gradients(lambda *values: values, (torch.ones(5, 3),), ())


def test_runs_that_return_different_structures_are_refused_in_a_loop() -> None:
    class Moody(nn.Module):
        def forward(self, inputs: Tensor) -> Any:
            return (inputs, None if self.what == "none" and inputs[0] > 1 else inputs)[: 1 if inputs[0] > 2 else 2]

    for what, inputs, message in (("none", [1.0, 2.0], "None for some runs"), ("cut", [1.0, 3.0], "another structure")):
        modules = [Moody(), Moody()]
        for module in modules:
            module.what = what
        with pytest.raises(RequestError, match=message):
            Stack(modules, how="loop")(torch.tensor(inputs)[:, None])


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Embedding(7, 3), "integers"),
        (lambda: nn.GroupNorm(2, 4), (5, 4, 3)),
        (lambda: nn.LayerNorm(4), (5, 4)),
        (lambda: nn.InstanceNorm1d(4, affine=True, track_running_stats=True), (5, 4, 3)),
        (lambda: nn.Conv1d(4, 2, 3), (5, 4, 6)),
        (lambda: nn.Conv3d(1, 2, 2), (3, 1, 4, 4, 4)),
        (lambda: nn.ConvTranspose2d(2, 3, 2), (3, 2, 4, 4)),
        (lambda: nn.Conv2d(4, 4, 3, groups=2), (3, 4, 5, 5)),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), nn.Flatten()), (3, 1, 6, 6)),
        (lambda: nn.PReLU(4), (3, 4)),
        (lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), (3, 5, 4)),
        (lambda: nn.GRUCell(4, 3), (5, 4)),
        (lambda: torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (5, 4)),
    ],
)
@pytest.mark.filterwarnings("ignore:There is a performance drop because we have not yet implemented the batching rule")
def test_layers_of_torch_in_a_stack(make: Callable, shape: tuple | str) -> None:
    torch.manual_seed(0)
    singles = [make().double() for _ in range(2)]
    stack = Stack(singles)
    inputs = torch.randint(7, (2, 5)) if shape == "integers" else torch.randn(2, *shape, dtype=torch.float64)
    outputs = stack(inputs)
    (outputs * torch.linspace(-1, 1, outputs.numel()).view(outputs.shape)).sum().backward()
    weights = torch.linspace(-1, 1, outputs.numel()).view(outputs.shape)
    for run, single in enumerate(singles):
        alone = single(inputs[run])
        torch.testing.assert_close(outputs[run], alone, rtol=0, atol=1e-12)
        (alone * weights[run]).sum().backward()
        for mine, its in zip(stack.parameters(), single.parameters(), strict=True):
            assert mine.grad is not None
            torch.testing.assert_close(mine.grad[run], its.grad, rtol=0, atol=1e-11)


# -- what is refused -------------------------------------------------------------------------------------------------


def test_nothing_and_no_modules() -> None:
    with pytest.raises(RequestError, match="a stack needs at least one module, got none"):
        Stack([])
    with pytest.raises(RequestError, match="module 1: expected an nn.Module, got str"):
        Stack([nn.Linear(1, 1), "Linear"])  # type: ignore[list-item]


def test_modules_that_differ_are_refused_with_what_differs() -> None:
    with pytest.raises(RequestError, match="one class: module 0 is Linear, module 2 is Conv1d"):
        Stack([nn.Linear(3, 2), nn.Linear(3, 2), nn.Conv1d(3, 2, 1)])
    with pytest.raises(ShapeError, match=r"module 1: 'weight' has shape \(2, 4\), in module 0 it is \(2, 3\)"):
        Stack([nn.Linear(3, 2), nn.Linear(4, 2)])
    with pytest.raises(RequestError, match="module 1: 'bias' is missing, in module 0 it is"):
        Stack([nn.Linear(3, 2), nn.Linear(3, 2, bias=False)])
    with pytest.raises(RequestError, match=r"'weight' is .*torch.float64.*, in module 0 it is .*torch.float32"):
        Stack([nn.Linear(3, 2), nn.Linear(3, 2).double()])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (nn.LeakyReLU(0.1), nn.LeakyReLU(0.9), "'1.negative_slope' is 0.9, in module 0 it is 0.1"),
        (nn.ReLU(), nn.Tanh(), "'class of 1' is Tanh, in module 0 it is ReLU"),
        (nn.MaxPool1d(2), nn.MaxPool1d(3), "'1.kernel_size' is 3, in module 0 it is 2"),
    ],
)
def test_settings_that_differ_are_refused(first: nn.Module, second: nn.Module, message: str) -> None:
    """All runs are computed with the settings of the first: silently, once."""
    with pytest.raises(RequestError, match=message):
        Stack([nn.Sequential(nn.Linear(3, 2), first), nn.Sequential(nn.Linear(3, 2), second)])


def test_dropout_rates_are_no_difference() -> None:
    one, other = (nn.LSTM(3, 4, num_layers=2, dropout=rate) for rate in (0.1, 0.5))
    assert signature(one) == signature(other)
    assert signature(nn.Dropout(0.1)) == signature(nn.Dropout(0.2))
    Stack([one, other])


@pytest.mark.parametrize("how", HOWS)
def test_inputs_without_the_runs_axis(how: How) -> None:
    stack = Stack([nn.Linear(3, 2) for _ in range(4)], how=how)
    with pytest.raises(
        ShapeError, match=r"input 0: expected \(4 runs, batch, ...\), got shape \(5, 3\); pass shared=True"
    ):
        stack(torch.ones(5, 3))
    with pytest.raises(ShapeError, match=r"got shape \(\)"):
        stack(torch.tensor(1.0))


class Trouble(nn.Module):
    def __init__(self, what: str) -> None:
        super().__init__()
        self.linear, self.what = nn.Linear(3, 3), what

    def forward(self, inputs: Tensor) -> Tensor:
        output = self.linear(inputs)
        if self.what == "item":
            return output * output.sum().item()
        if self.what == "branch":
            return output if output.sum() > 0 else -output
        if self.what == "dropout":
            return F.dropout(output, 0.5, self.training)
        if self.what == "noise":
            return output + torch.randn_like(output)
        if self.what == "numpy":
            return output + torch.from_numpy(output.detach().numpy())
        if self.what == "in place":
            total = torch.zeros(5, 3)
            total += output
            return total
        if self.what == "number":
            return 3.0  # type: ignore[return-value]
        if self.what == "nothing":
            return None  # type: ignore[return-value]
        raise ValueError("the user's own")


@pytest.mark.parametrize("what", ["item", "branch", "numpy", "in place"])
def test_what_vmap_cannot_do_is_said_with_the_way_out(what: str) -> None:
    inputs = torch.ones(2, 5, 3)
    torch.manual_seed(0)
    singles = [Trouble(what) for _ in range(2)]
    with pytest.raises(TrainingError, match=r"Trouble failed in a stack: .*Stack\(\.\.\., how='loop'\)"):
        Stack(singles)(inputs)
    looped = Stack(singles, how="loop")(inputs)
    torch.testing.assert_close(looped[1], singles[1](inputs[1]))


@pytest.mark.parametrize("what", ["dropout", "noise"])
def test_random_numbers_inside_are_refused_with_the_way_out(what: str) -> None:
    with pytest.raises(RequestError, match="Trouble draws random numbers inside forward.*Use the modules nn.Dropout"):
        Stack([Trouble(what) for _ in range(2)])(torch.ones(2, 5, 3))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(("what", "got"), [("number", "float"), ("nothing", "NoneType")])
def test_outputs_that_are_no_tensors(how: How, what: str, got: str) -> None:
    with pytest.raises(RequestError, match=f"must return tensors .*, got {got}"):
        Stack([Trouble(what) for _ in range(2)], how=how)(torch.ones(2, 5, 3))


@pytest.mark.parametrize("how", HOWS)
def test_the_users_own_error_is_not_reworded(how: How) -> None:
    with pytest.raises(ValueError, match=r"^the user's own$"):
        Stack([Trouble("other") for _ in range(2)], how=how)(torch.ones(2, 5, 3))


def test_a_module_of_two_precisions_is_refused() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3).double())
    with pytest.raises(RequestError, match="all parameters must have one dtype and device"):
        Stack([module])


def test_autocast_around_a_stack_is_refused_and_right_in_a_loop() -> None:
    inputs, singles = torch.ones(2, 5, 3), [nn.Linear(3, 2) for _ in range(2)]
    stacks = Stack(singles), Stack(singles, recorded=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for stack in stacks:
            with pytest.raises(RequestError, match="Linear: torch.autocast .*how='loop'"):
                stack(inputs)
            with pytest.raises(RequestError, match="Linear: torch.autocast"):
                stack.gradients(lambda output: (output.sum(), output), (inputs,), ())
        output = Stack(singles, how="loop")(inputs)
        assert output.dtype == torch.bfloat16
        torch.testing.assert_close(output[1], singles[1](inputs[1]), rtol=0, atol=0)
    assert stacks[0](inputs).dtype == torch.float32


def test_a_checkpoint_around_a_stack_in_a_loop_gives_the_same_gradients() -> None:
    class Own(nn.Linear):
        """With code of its own, so that it is tried in its first pass."""

        def forward(self, inputs: Tensor) -> Tensor:
            return super().forward(inputs).tanh()

    inputs, singles = torch.randn(2, 5, 3), [Own(3, 2) for _ in range(2)]
    stacks = [Stack(singles, how="loop") for _ in range(2)]
    stacks[0](inputs).square().sum().backward()
    checkpoint(stacks[1], inputs, use_reentrant=False).square().sum().backward()
    for one, other in zip(stacks[0].parameters(), stacks[1].parameters(), strict=True):
        assert one.grad is not None
        assert one.grad.abs().sum() > 0
        torch.testing.assert_close(other.grad, one.grad)
