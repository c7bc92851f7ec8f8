"""Our recurrent layers against torch.nn's: outputs, last states, gradients; by themselves and in a stack."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tenfold import Stack
from tenfold.errors import RequestError, ShapeError
from tenfold.stack import GRU, LSTM, RNN, replayable, stackable
from tenfold.stack._scan import _plain, scan

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_128_steps_are_those_of_torch(kind: str, dtype: torch.dtype) -> None:
    """Long enough for many products of a few steps each, and for rounding to add up; gradients relative to their
    largest.
    """
    numbers = torch.Generator().manual_seed(2)
    torch.manual_seed(2)
    theirs = KINDS[kind](input_size=9, hidden_size=16, num_layers=2, bidirectional=True).to(dtype)
    ours = stackable(theirs, key=0)
    inputs = torch.randn(128, 5, 9, generator=numbers, dtype=torch.float64).to(dtype).requires_grad_()
    out_ours, out_theirs = flat(ours(inputs)), flat(theirs(inputs))
    close(out_ours, out_theirs, TOLERANCE[dtype])
    mine, other = (
        torch.autograd.grad((outputs[0] ** 2).mean(), [inputs, *layer.parameters()])
        for layer, outputs in ((ours, out_ours), (theirs, out_theirs))
    )
    for one, its in zip(mine, other, strict=True):
        assert float((one - its).abs().max() / its.abs().max()) < TOLERANCE[dtype]


@pytest.mark.parametrize("reads", ["outputs", "last states", "last cell"])
@pytest.mark.parametrize(("kind", "batch_first"), list(itertools.product(KINDS, [False, True])))
def test_lengths_are_packed_sequences(kind: str, batch_first: bool, reads: str) -> None:
    """Outputs, last states and gradients, also of the initial states; each run of a stack with lengths of its own."""
    numbers = torch.Generator().manual_seed(3)
    modules = [
        KINDS[kind](input_size=3, hidden_size=4, num_layers=2, bidirectional=True, batch_first=batch_first).double()
        for _ in range(2)
    ]
    lengths = torch.tensor([[9, 1, 4, 5], [3, 8, 9, 2]])
    inputs = torch.randn(2, 9, 4, 3, generator=numbers, dtype=torch.float64)
    inputs = inputs * (torch.arange(9)[:, None] < lengths[:, None])[..., None]
    inputs = (inputs.transpose(1, 2) if batch_first else inputs).contiguous().requires_grad_()
    hidden, cell = (torch.randn(2, 4, 4, 4, generator=numbers, dtype=torch.float64).requires_grad_() for _ in range(2))
    states = (hidden, cell) if kind == "lstm" else (hidden,)
    part = {"outputs": slice(0, 1), "last states": slice(1, 3), "last cell": slice(-1, None)}[reads]

    class Reads(nn.Module):
        def __init__(self, layer: nn.RNNBase) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, inputs: Tensor, lengths: Tensor, *states: Tensor) -> list[Tensor]:
            return flat(self.layer(inputs, states if len(states) == 2 else states[0], lengths=lengths))

    stack = Stack([Reads(module) for module in modules])
    together = stack(inputs, lengths, *states)
    wanted = [*stack.parameters(), inputs, *states]
    mine = torch.autograd.grad(
        sum((out * torch.linspace(-1, 1, out[0].numel()).to(out).view(out[0].shape)).sum() for out in together[part]),  # type: ignore[arg-type]
        wanted,
        allow_unused=True,
        materialize_grads=True,
    )
    for run, module in enumerate(modules):
        packed = pack_padded_sequence(inputs[run], lengths[run], batch_first=batch_first, enforce_sorted=False)
        given = tuple(state[run] for state in states)
        outputs, *last = flat(module(packed, given if kind == "lstm" else given[0]))
        alone = [pad_packed_sequence(outputs, batch_first=batch_first, total_length=9)[0], *last]  # type: ignore[arg-type]
        close([out[run] for out in together], alone, 1e-12)
        loss = sum((out * torch.linspace(-1, 1, out.numel()).to(out).view(out.shape)).sum() for out in alone[part])
        expected = torch.autograd.grad(
            loss,  # type: ignore[arg-type]
            [*module.parameters(), inputs, *states],
            allow_unused=True,
            materialize_grads=True,
        )
        n_own = len(list(module.parameters()))
        for one, its in zip(mine[:n_own], expected[:n_own], strict=True):
            torch.testing.assert_close(one[run], its, rtol=0, atol=1e-11)
        for one, its in zip(mine[n_own:], expected[n_own:], strict=True):
            torch.testing.assert_close(one[run], its[run], rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_overflows_does_so_by_itself(kind: str) -> None:
    """Weights that no number can hold the states or the gradients of: NaN or infinite in that run, to the last bit the
    same as ever in the others.
    """
    torch.manual_seed(4)
    modules = [nn.Sequential(KINDS[kind](input_size=3, hidden_size=4, bidirectional=True)) for _ in range(3)]
    inputs, targets = torch.randn(3, 9, 5, 3), torch.randn(3, 9, 5, 8)

    def loss(outputs: tuple, targets: Tensor) -> tuple[Tensor, Tensor]:
        return ((outputs[0] - targets) ** 2).mean(), outputs[0]

    for recorded in (False, True):
        sound = Stack(modules, recorded=recorded).gradients(loss, (inputs,), (targets,))
        exploding = Stack(modules, recorded=recorded)
        with torch.no_grad():
            for name, parameter in exploding.runs.named_parameters():
                if "weight" in name:
                    parameter[1] *= 1e30
                    parameter[1, 0] = float("inf")
        losses, outputs, grads = exploding.gradients(loss, (inputs,), (targets,))
        assert not all(bool(part[1].isfinite().all()) for part in (losses, outputs, *grads))
        for mine, other in zip((losses, outputs, *grads), (sound[0], sound[1], *sound[2]), strict=True):
            assert torch.equal(mine[::2], other[::2])
            assert bool(mine[::2].isfinite().all())


def mean_of_squares(outputs: tuple) -> tuple[Tensor, Tensor]:
    return (outputs[0] ** 2).mean(), outputs[0]


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_passes_are_the_unrecorded_ones(kind: str) -> None:
    modules = [KINDS[kind](input_size=3, hidden_size=4, num_layers=2, bidirectional=True).double() for _ in range(3)]
    plain, recorded = Stack(modules), Stack(modules, recorded=True)
    assert recorded.recorded
    for _ in range(2):
        inputs = torch.randn(3, 9, 4, 3, dtype=torch.float64)
        expected = plain.gradients(mean_of_squares, (inputs,), ())
        got = recorded.gradients(mean_of_squares, (inputs,), ())
        close([got[0], got[1], *got[2]], [expected[0], expected[1], *expected[2]], 1e-13)
    assert all(recording is not None for recording in recorded._recordings._graphs.values())


def test_gradients_inside_of_vmap() -> None:
    """As others write stacks: vmap of grad, where the backward pass is vmapped too."""
    modules = [stackable(nn.GRU(3, 4), key=0).double() for _ in range(3)]
    inputs = torch.randn(3, 6, 5, 3, dtype=torch.float64)
    parameters, _ = stack_module_state(modules)

    def loss(own: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return (functional_call(modules[0], own, (inputs,))[0] ** 2).mean()

    got = vmap(grad(loss))(parameters, inputs)
    for run, module in enumerate(modules):
        expected = torch.autograd.grad((module(inputs[run])[0] ** 2).mean(), list(module.parameters()))
        close([value[run] for value in got.values()], list(expected), 1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_the_steps_for_compilers_are_the_same(kind: str, reverse: bool) -> None:
    layer = KINDS[kind](input_size=3, hidden_size=4).double()
    weights = tuple(parameter.detach() for parameter in layer.parameters())
    inputs, hidden, cell = (torch.randn(*shape, dtype=torch.float64) for shape in ((7, 5, 3), (5, 4), (5, 4)))
    valid = torch.arange(7)[:, None] < torch.tensor([7, 1, 3, 6, 2])
    for state, mask in itertools.product([(None, None), (hidden, cell if kind == "lstm" else None)], [None, valid]):
        one = scan(layer.mode, inputs, weights, *state, mask, reverse=reverse)  # type: ignore[arg-type]
        wide = None if mask is None else mask[..., None]
        other = _plain(layer.mode, inputs, *weights, *state, wide, reverse=reverse)  # type: ignore[arg-type]
        close([part for part in one if part is not None], [part for part in other if part is not None], 1e-13)


def test_second_derivatives_are_refused_in_words() -> None:
    layer = stackable(nn.LSTM(3, 4), key=0)
    first = torch.autograd.grad(layer(torch.randn(5, 2, 3))[0].sum(), list(layer.parameters()), create_graph=True)
    with pytest.raises(RequestError, match="a recurrent layer in a stack has first derivatives only"):
        first[0].sum().backward()


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


@pytest.mark.parametrize("shape", [(4,), (5, 1), ()])
def test_wrong_lengths_are_refused(shape: tuple) -> None:
    layer = stackable(nn.RNN(3, 4), key=0)
    with pytest.raises(ShapeError, match=r"RNN: expected lengths of shape \(batch,\) for inputs \(6, 5, 3\), got \("):
        layer(torch.zeros(6, 5, 3), lengths=torch.ones(shape, dtype=torch.int64))
    with pytest.raises(ShapeError, match=r"expected lengths of shape \(batch,\) for inputs \(5, 3\)"):
        layer(torch.zeros(5, 3), lengths=torch.ones(3, dtype=torch.int64))


def test_no_steps_are_refused() -> None:
    for layer, shape in ((nn.RNN(3, 4), (0, 5, 3)), (nn.RNN(3, 4, batch_first=True), (5, 0, 3))):
        with pytest.raises(ShapeError, match="RNN: expected at least one step, got inputs"):
            stackable(layer, key=0)(torch.zeros(shape))


def test_packed_sequences_and_projections_are_refused_in_words() -> None:
    packed = nn.utils.rnn.pack_sequence([torch.zeros(3, 3), torch.zeros(2, 3)])
    with pytest.raises(RequestError, match="GRU in a stack takes a padded tensor and lengths, got PackedSequence"):
        stackable(nn.GRU(3, 4), key=0)(packed)
    with pytest.raises(RequestError, match="proj_size=2 of LSTM is not supported in a stack; use 0"):
        Stack([nn.LSTM(3, 4, proj_size=2)])
