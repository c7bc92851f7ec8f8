"""Our recurrent layers against torch.nn's: outputs, last states, gradients; by themselves and in a stack."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tenfold import Stack
from tenfold.errors import RequestError, ShapeError
from tenfold.stack import GRU, LSTM, RNN, replayable, stackable

KINDS = {
    "rnn tanh": lambda **options: nn.RNN(nonlinearity="tanh", **options),
    "rnn relu": lambda **options: nn.RNN(nonlinearity="relu", **options),
    "gru": lambda **options: nn.GRU(**options),
    "lstm": lambda **options: nn.LSTM(**options),
}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}


def states_of(layer: nn.RNNBase, batch: int | None, generator: torch.Generator) -> Tensor | tuple[Tensor, Tensor]:
    layers = layer.num_layers * (2 if layer.bidirectional else 1)
    shape = (layers, layer.hidden_size) if batch is None else (layers, batch, layer.hidden_size)
    made = [torch.randn(shape, generator=generator, dtype=torch.float64).to(layer.weight_hh_l0.dtype) for _ in range(2)]
    return (made[0], made[1]) if isinstance(layer, nn.LSTM) else made[0]


def flat(outputs: tuple) -> list[Tensor]:
    sequence, last = outputs
    return [sequence, *last] if isinstance(last, tuple) else [sequence, last]


def close(ours: list[Tensor], theirs: list[Tensor], tolerance: float) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def gradients(outputs: list[Tensor], wanted: list[Tensor]) -> list[Tensor]:
    # Every element weighted differently, so that no two errors cancel.
    loss = sum((out * torch.linspace(-1, 1, out.numel()).to(out).view(out.shape)).sum() for out in outputs)
    assert isinstance(loss, Tensor)
    return list(torch.autograd.grad(loss, wanted))


@pytest.mark.parametrize("kind", KINDS)
@given(
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    batch_first=st.booleans(),
    bias=st.booleans(),
    batch=st.sampled_from([None, 1, 4]),
    given_state=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    steps=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=25)
def test_one_layer_is_that_of_torch(
    kind: str,
    layers: int,
    bidirectional: bool,
    batch_first: bool,
    bias: bool,
    batch: int | None,
    given_state: bool,
    dtype: torch.dtype,
    steps: int,
    seed: int,
) -> None:
    numbers = torch.Generator().manual_seed(seed)
    theirs = KINDS[kind](
        input_size=3, hidden_size=4, num_layers=layers, bidirectional=bidirectional, batch_first=batch_first, bias=bias
    ).to(dtype)
    ours = stackable(theirs, key=0)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    shape = (steps, 3) if batch is None else (batch, steps, 3) if batch_first else (steps, batch, 3)
    inputs = torch.randn(shape, generator=numbers, dtype=torch.float64).to(dtype).requires_grad_()
    arguments = (inputs, states_of(theirs, batch, numbers)) if given_state else (inputs,)
    out_ours, out_theirs = flat(ours(*arguments)), flat(theirs(*arguments))
    close(out_ours, out_theirs, TOLERANCE[dtype])
    close(
        gradients(out_ours, [inputs, *ours.parameters()]),
        gradients(out_theirs, [inputs, *theirs.parameters()]),
        # Gradients add up over steps and layers.
        TOLERANCE[dtype] * 10,
    )


@pytest.mark.parametrize(
    ("kind", "bidirectional", "batch_first"), list(itertools.product(KINDS, [False, True], [False, True]))
)
def test_in_a_stack_each_run_is_that_of_torch(kind: str, bidirectional: bool, batch_first: bool) -> None:
    numbers = torch.Generator().manual_seed(1)
    modules = [
        KINDS[kind](input_size=3, hidden_size=4, num_layers=2, bidirectional=bidirectional, batch_first=batch_first)
        for _ in range(3)
    ]
    modules = [module.double() for module in modules]
    stack = Stack(modules)
    inputs = torch.randn(3, 5, 5, 3, generator=numbers, dtype=torch.float64)
    together = flat(stack(inputs))
    gradients_of_all = gradients(together, list(stack.parameters()))
    weights = [torch.linspace(-1, 1, out.numel()).to(out).view(out.shape) for out in together]
    for run, module in enumerate(modules):
        alone = flat(module(inputs[run]))
        close([out[run] for out in together], alone, 1e-12)
        loss = sum((out * weight[run]).sum() for out, weight in zip(alone, weights, strict=True))
        expected = torch.autograd.grad(loss, list(module.parameters()))  # type: ignore[arg-type]
        close([gradient[run] for gradient in gradients_of_all], list(expected), 1e-11)


def test_initial_states_in_a_stack() -> None:
    modules = [nn.LSTM(3, 4).double() for _ in range(2)]

    class WithState(nn.Module):
        def __init__(self, lstm: nn.LSTM) -> None:
            super().__init__()
            self.lstm = lstm

        def forward(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
            return self.lstm(inputs, (hidden, cell))[0]

    inputs, hidden, cell = (torch.randn(2, n, 5, size, dtype=torch.float64) for n, size in ((6, 3), (1, 4), (1, 4)))
    together = Stack([WithState(module) for module in modules])(inputs, hidden, cell)
    for run, module in enumerate(modules):
        alone = module(inputs[run], (hidden[run], cell[run]))[0]
        torch.testing.assert_close(together[run], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_between_layers_replays(kind: str) -> None:
    """The same masks in a stack, in a loop and alone; other masks for another key; none in evaluation."""
    modules = [KINDS[kind](input_size=3, hidden_size=8, num_layers=3, dropout=0.5).double() for _ in range(2)]
    inputs = torch.randn(2, 5, 4, 3, dtype=torch.float64)
    stack, loop = (Stack(modules, keys=[5, 6], how=how) for how in ("vmap", "loop"))
    alone = [replayable(module, key=key) for module, key in zip(modules, (5, 6), strict=True)]
    for _ in range(2):
        outputs = stack(inputs)[0]
        torch.testing.assert_close(outputs, loop(inputs)[0], rtol=0, atol=1e-12)
        for run, module in enumerate(alone):
            torch.testing.assert_close(outputs[run], module(inputs[run])[0], rtol=0, atol=1e-12)
    other = Stack(modules, keys=[7, 8])(inputs)[0]
    assert not torch.allclose(other, outputs)
    stack.eval()
    for run, module in enumerate(modules):
        torch.testing.assert_close(stack(inputs)[0][run], module.eval()(inputs[run])[0], rtol=0, atol=1e-12)


def test_a_layer_without_dropout_stays_pytorchs_in_a_loop() -> None:
    assert type(replayable(nn.GRU(3, 4), key=0)) is nn.GRU
    assert type(replayable(nn.GRU(3, 4, num_layers=2, dropout=0.1), key=0)) is GRU
    assert type(stackable(nn.LSTM(3, 4), key=0)) is LSTM


def test_subclasses_compute_what_their_parent_does() -> None:
    """The kind comes from the layer's mode: by its class's name this was taken for a GRU."""

    class MyLSTM(nn.LSTM):
        pass

    layer = MyLSTM(3, 4).double()
    inputs = torch.randn(5, 2, 3, dtype=torch.float64)
    close(flat(stackable(layer, key=0)(inputs)), flat(layer(inputs)), 1e-12)
    assert type(stackable(nn.RNN(3, 4), key=0)) is RNN


def test_it_has_the_attributes_that_modules_read() -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)

        def forward(self, inputs: Tensor) -> Tensor:
            self.rnn.flatten_parameters()
            directions = 2 if self.rnn.bidirectional else 1
            hidden = inputs.new_zeros(self.rnn.num_layers * directions, inputs.shape[0], self.rnn.hidden_size)
            assert self.rnn.batch_first
            assert self.rnn.input_size == inputs.shape[-1]
            assert self.rnn.dropout == 0.0
            assert self.rnn.mode == "LSTM"
            return self.rnn(inputs, (hidden, hidden))[0][:, -1]

    module = Reads()
    inputs = torch.randn(2, 5, 6, 3)
    outputs = Stack([module, copy.deepcopy(module)])(inputs)
    torch.testing.assert_close(outputs[1], module(inputs[1]))


@pytest.mark.parametrize(
    ("inputs", "state", "message"),
    [
        (
            (5, 2, 7),
            None,
            r"RNN: expected inputs \(steps, batch, 3 features\) or \(steps, 3 features\), got \(5, 2, 7\)",
        ),
        ((5, 2, 7, 3), None, r"got \(5, 2, 7, 3\)"),
        ((5, 2, 3), (1, 4), r"RNN: expected a hidden state of shape \(1, 2, 4\), got \(1, 4\)"),
        ((5, 2, 3), (1, 1, 4), r"expected a hidden state of shape \(1, 2, 4\), got \(1, 1, 4\)"),
        ((5, 3), (1, 1, 4), r"expected a hidden state of shape \(1, 4\), got \(1, 1, 4\)"),
    ],
)
def test_wrong_shapes_are_refused_as_torch_refuses_them(inputs: tuple, state: tuple | None, message: str) -> None:
    theirs = nn.RNN(3, 4)
    arguments = [torch.zeros(inputs)] + ([] if state is None else [torch.zeros(state)])
    with pytest.raises((RuntimeError, ValueError)):
        theirs(*arguments)
    with pytest.raises(ShapeError, match=message):
        stackable(theirs, key=0)(*arguments)


def test_packed_sequences_and_projections_are_refused_in_words() -> None:
    packed = nn.utils.rnn.pack_sequence([torch.zeros(3, 3), torch.zeros(2, 3)])
    with pytest.raises(RequestError, match="GRU in a stack takes a padded tensor and lengths, got PackedSequence"):
        stackable(nn.GRU(3, 4), key=0)(packed)
    with pytest.raises(RequestError, match="proj_size=2 of LSTM is not supported in a stack; use 0"):
        Stack([nn.LSTM(3, 4, proj_size=2)])
