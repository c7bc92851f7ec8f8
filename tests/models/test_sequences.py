"""Classifiers of sequences: against packed sequences, against each window by itself, and in a stack."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from tenfold import Stack
from tenfold.errors import RequestError
from tenfold.models import ConvClassifier, DeepConvLSTM, ModelFactory, RecurrentClassifier
from tenfold.models.sequences import _mean_and_deviation

SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("recurrent-classifier", {"cell": "rnn", "units": 5, "layers": 1, "hidden": []}),
    "lstm": ("recurrent-classifier", {"cell": "lstm", "units": 5, "hidden": [4], "bidirectional": True}),
    "gru": ("recurrent-classifier", {"cell": "gru", "units": 5, "hidden": [7, 4], "bidirectional": True}),
    "lstm, truncated": ("recurrent-classifier", {"cell": "lstm", "units": 5, "hidden": [4], "truncate": 7}),
    "rnn, truncated": ("recurrent-classifier", {"cell": "rnn", "units": 5, "layers": 1, "hidden": [], "truncate": 7}),
    "deep-conv-lstm": ("deep-conv-lstm", {"kernels": 3, "units": 5, "dropout": None}),
    "deep-conv-lstm, mixing": ("deep-conv-lstm", {"kernels": 3, "units": 5, "mixing": True, "dropout": None}),
    "conv": ("conv-classifier", {"channels": [4, 6], "blocks": 2}),
    "conv, wide": ("conv-classifier", {"channels": [4, 4, 6], "kernel": 9}),
}
LENGTHS = [24, 1, 17, 18, 23, 22]


def build(name: str, seed: int = 0, **more: Any) -> nn.Module:
    """In evaluation and float64, with running statistics of batch norm that are not those of the start."""
    reference, options = SMALL[name]
    module = ModelFactory(reference, options | more).build(seed, n_channels=3, n_classes=4).double()
    module.train()
    with torch.no_grad():
        module(windows(8, seed=seed + 1))
    return module.eval()


def windows(batch: int = 6, steps: int = 24, *, seed: int = 0) -> Tensor:
    return torch.randn(batch, steps, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def padded(lengths: Tensor, *, seed: int = 0) -> Tensor:
    values = windows(len(lengths), seed=seed)
    return values * (torch.arange(values.shape[1]) < lengths[:, None])[..., None]


def weighted(logits: Tensor) -> Tensor:
    """A sum in which every logit has another weight, so that no two errors cancel."""
    return (logits * torch.linspace(-1, 1, logits.numel()).to(logits).view(logits.shape)).sum()


# -- lengths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_padding_changes_nothing(name: str) -> None:
    """Logits and gradients of padded windows are those of each window by itself, unpadded."""
    module, lengths = build(name), torch.tensor(LENGTHS)
    inputs = padded(lengths).requires_grad_()
    together = module(inputs, lengths)
    gradients = torch.autograd.grad(weighted(together), [inputs, *module.parameters()])
    # A window of 16 steps or less has no unpadded result where four convolutions take 16 off.
    shortest = 17 if "deep" in name else 1
    alone = torch.cat([module(inputs[row : row + 1, : max(n, shortest)]) for row, n in enumerate(LENGTHS)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)
    expected = torch.autograd.grad(weighted(alone), [inputs, *module.parameters()])
    own = (torch.arange(24) < lengths[:, None])[..., None]  # a convolution reads the zeros after the end too
    for mine, other in zip([gradients[0] * own, *gradients[1:]], [expected[0] * own, *expected[1:]], strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-11)
    assert bool(gradients[0].any())


@pytest.mark.parametrize("name", SMALL)
def test_full_lengths_are_none(name: str) -> None:
    module, inputs = build(name), windows()
    torch.testing.assert_close(module(inputs, torch.full((6,), 24)), module(inputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "deep-conv-lstm"])
def test_what_comes_after_the_end_is_not_read(name: str) -> None:
    module, lengths = build(name), torch.tensor([24, 17, 18, 23, 22, 20])
    inputs = padded(lengths)
    other = inputs + 1e3 * (torch.arange(24) >= lengths[:, None])[..., None]
    assert torch.equal(module(inputs, lengths), module(other, lengths))


@pytest.mark.parametrize(
    ("cell", "layers", "bidirectional"), list(itertools.product(["rnn", "lstm", "gru"], [1, 3], [False, True]))
)
def test_the_last_state_is_that_of_packed_sequences(cell: Any, layers: int, bidirectional: bool) -> None:
    torch.manual_seed(0)
    module = RecurrentClassifier(n_channels=3, cell=cell, units=4, layers=layers, bidirectional=bidirectional).double()
    lengths = torch.tensor(LENGTHS)
    inputs = padded(lengths)
    logits = module(inputs, lengths)
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    states = module.recurrent(packed)[1]
    hidden = states[0] if cell == "lstm" else states  # (layers x directions, batch, units), in the order given
    last = torch.cat([hidden[-2], hidden[-1]], dim=1) if bidirectional else hidden[-1]
    expected = module.head(last)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
    gradients = [torch.autograd.grad(weighted(out), list(module.parameters())) for out in (logits, expected)]
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-11)


@pytest.mark.parametrize("given", ["lengths", "full"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_truncated_gradients_end_before_the_last_steps(cell: Any, given: str) -> None:
    """The same logits; gradients of each window are those of its last steps, begun from a state held fast."""
    torch.manual_seed(0)
    whole = RecurrentClassifier(n_channels=3, cell=cell, units=4, hidden=[]).double()
    cut = RecurrentClassifier(n_channels=3, cell=cell, units=4, hidden=[], truncate=5).double()
    cut.load_state_dict(whole.state_dict())
    lengths = torch.tensor(LENGTHS if given == "lengths" else [24] * 6)
    inputs = padded(lengths).requires_grad_()
    more = (lengths,) if given == "lengths" else ()
    logits = cut(inputs, *more)
    torch.testing.assert_close(logits, whole(inputs, *more), rtol=0, atol=1e-12)
    gradients = torch.autograd.grad(weighted(logits), [inputs, *cut.parameters()])
    for row, n in enumerate(lengths.tolist()):
        at = max(0, n - 5)
        assert not gradients[0][row, :at].any()
        assert gradients[0][row, at:n].any(1).all()
    states = []
    for row, n in enumerate(lengths.tolist()):
        first = None
        if n > 5:
            first = whole.recurrent(inputs[row : row + 1, : n - 5])[1]
            first = tuple(state.detach() for state in first) if cell == "lstm" else first.detach()
        last = whole.recurrent(inputs[row : row + 1, max(0, n - 5) : n], first)[1]
        states.append((last[0] if cell == "lstm" else last)[-1])
    expected = torch.autograd.grad(weighted(whole.head(torch.cat(states))), [inputs, *whole.parameters()])
    for mine, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-11)


def test_truncation_at_or_after_the_start_is_none() -> None:
    whole, cut = build("lstm", bidirectional=False), build("lstm", bidirectional=False, truncate=24)
    inputs = windows()
    results = [torch.autograd.grad(weighted(module(inputs)), list(module.parameters())) for module in (whole, cut)]
    assert all(torch.equal(mine, other) for mine, other in zip(*results, strict=True))


# -- stacks -----------------------------------------------------------------------------------------------------------


def loss(logits: Tensor) -> tuple[Tensor, Tensor]:
    return weighted(logits), logits


@pytest.mark.parametrize("given", ["lengths", "full"])
@pytest.mark.parametrize("name", SMALL)
def test_a_stack_is_the_single_ones(name: str, given: str) -> None:
    """Logits, gradients and running statistics in float64, each run with lengths of its own."""
    singles = [build(name, seed=run).train() for run in range(3)]
    lengths = torch.tensor([LENGTHS, LENGTHS[::-1], [24, 24, 21, 3, 2, 1]])
    inputs = (torch.stack([padded(its, seed=run) for run, its in enumerate(lengths)]), lengths)
    inputs = inputs if given == "lengths" else inputs[:1]
    kind = "recorded" if given == "lengths" else "vmap"  # recording is what takes most of this test's time
    stacks = {kind: Stack(singles, recorded=kind == "recorded")}
    assert stacks[kind].recorded == (kind == "recorded")
    results = {kind: stack.gradients(loss, inputs, ()) for kind, stack in stacks.items()}
    stacks["loop"] = Stack(singles, how="loop")
    losses, logits = stacks["loop"].map(loss, inputs, ())
    losses.sum().backward()
    gradients = tuple(parameter.grad for parameter in stacks["loop"].trainable())
    results["loop"] = (losses.detach(), logits.detach(), gradients)  # type: ignore[assignment]
    for run, module in enumerate(singles):
        alone, its_logits = loss(module(*(part[run] for part in inputs)))
        expected = torch.autograd.grad(alone, list(module.parameters()))
        for kind, (losses, logits, gradients) in results.items():
            torch.testing.assert_close(losses[run], alone.detach(), rtol=1e-11, atol=1e-11, msg=kind)
            torch.testing.assert_close(logits[run], its_logits.detach(), rtol=0, atol=1e-11, msg=kind)
            for mine, other in zip(gradients, expected, strict=True):
                torch.testing.assert_close(mine[run], other, rtol=1e-9, atol=1e-11, msg=kind)
            for mine, other in zip(stacks[kind].module(run).buffers(), module.buffers(), strict=True):
                torch.testing.assert_close(mine, other, rtol=0, atol=1e-12, msg=kind)


# -- what each is said to be ------------------------------------------------------------------------------------------


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def count(module: nn.Module, kind: type) -> int:
    return sum(isinstance(layer, kind) for layer in module.modules())


@pytest.mark.parametrize(("units", "hidden", "bidirectional"), [(64, 256, False), (128, 512, False), (128, 256, True)])
def test_the_published_recurrent_networks(units: int, hidden: int, bidirectional: bool) -> None:
    """Two LSTM layers of so many units, a dense layer, ReLU, dropout 0.2, a second dense layer."""
    module = RecurrentClassifier(units=units, hidden=[hidden], bidirectional=bidirectional, dropout=0.2)
    directions = 2 if bidirectional else 1
    layer = [directions * 4 * units * (size + units + 2) for size in (9, directions * units)]
    assert n_parameters(module) == sum(layer) + (directions * units + 1) * hidden + (hidden + 1) * 6
    assert [type(part) for part in module.head] == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert module.head[2].p == 0.2


def test_dropout_is_there_where_asked_for_and_nowhere_else() -> None:
    for make in (RecurrentClassifier, ConvClassifier, DeepConvLSTM):
        assert count(make(dropout=None), nn.Dropout) == 0
        module = make(dropout=0.5).train()
        assert count(module, nn.Dropout) == 1
        inputs = torch.randn(4, 128, 9)
        assert not torch.equal(module(inputs), module(inputs))


def test_deep_conv_lstm_is_the_published_one() -> None:
    """Weights of the convolutions as in table 3 of Ordonez and Roggen, and the forward pass written out channel by
    channel.
    """
    module = DeepConvLSTM(n_channels=3, n_steps=24).double().eval()
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.weight.numel() for layer in convolutions] == [320, 20480, 20480, 20480]
    assert (module.recurrent.input_size, module.recurrent.hidden_size, module.recurrent.num_layers) == (3 * 64, 128, 2)
    inputs = windows()
    maps = []
    for channel in range(3):
        map_ = inputs[:, None, :, channel]
        for layer in convolutions:
            map_ = F.conv1d(map_, layer.weight.squeeze(3), layer.bias).relu()
        maps.append(map_)  # (batch, 64, 8)
    values = torch.stack(maps, dim=2).flatten(1, 2).transpose(1, 2)  # (batch, 8, 64 x channels)
    expected = module.head(module.recurrent(values)[0][:, -1])
    torch.testing.assert_close(module(inputs), expected, rtol=0, atol=1e-12)


def test_a_window_too_short_for_deep_conv_lstm_is_read_with_zeros_after_it() -> None:
    module = build("deep-conv-lstm")
    lengths = torch.tensor([3, 16, 17])
    inputs = padded(lengths)
    torch.testing.assert_close(module(inputs, lengths), module(inputs[:, :17]), rtol=0, atol=1e-12)


def test_the_convolutional_one_takes_mean_and_deviation_over_its_own_steps() -> None:
    """A window that is the same at all steps, with kernels that see one step, has the same maps at any length."""
    module = ConvClassifier(n_channels=3, kernel=1, channels=[4, 6]).double().eval()
    inputs = windows(1, 1).expand(5, 24, 3)
    lengths = torch.tensor([24, 1, 2, 7, 8])
    logits = module(inputs * (torch.arange(24) < lengths[:, None])[..., None], lengths)
    torch.testing.assert_close(logits, module(inputs), rtol=0, atol=1e-12)


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(RequestError, match="unknown cell 'lstn'; did you mean 'lstm'"):
        RecurrentClassifier(cell="lstn")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"truncate: expected at least 1 step, got 0"):
        RecurrentClassifier(truncate=0)
    with pytest.raises(RequestError, match=r"truncate cannot be used with bidirectional"):
        RecurrentClassifier(truncate=5, bidirectional=True)
    with pytest.raises(
        RequestError, match="n_steps: expected at least 17, because four convolutions remove 16 steps, got 16"
    ):
        DeepConvLSTM(n_steps=16)
    with pytest.raises(RequestError, match="kernel: expected an odd number of steps, got 4"):
        ConvClassifier(kernel=4)


def test_mean_and_deviation_are_those_of_the_maps() -> None:
    maps = torch.randn(3, 4, 9, dtype=torch.float64)
    lengths = torch.tensor([9, 1, 5])
    maps = maps * (torch.arange(9) < lengths[:, None])[:, None]
    got = _mean_and_deviation(maps, lengths)
    for row, n in enumerate(lengths.tolist()):
        own = maps[row, :, :n]
        expected = torch.cat([own.mean(1), (own.var(1, correction=0) + 1e-5).sqrt()])
        torch.testing.assert_close(got[row], expected, rtol=0, atol=1e-14)
    torch.testing.assert_close(_mean_and_deviation(maps[:1], None), got[:1], rtol=0, atol=1e-14)
