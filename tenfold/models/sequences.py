"""Classifiers of sequences, such as windows of sensor readings: recurrent, convolutional, and both. For one run.

All take ``forward(windows, lengths)``: windows (batch, steps, channels), and the length of each window in steps, int64
of shape (batch,), at least 1; the steps after it are zero padding. Without ``lengths`` all windows have full length. In
evaluation the logits (batch, classes) of a window do not depend on the padding or on the other windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from tenfold.errors import RequestError, nearest

__all__ = ["ConvClassifier", "DeepConvLSTM", "RecurrentClassifier"]

_CELLS: dict[str, type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentClassifier(nn.Module):
    """Recurrent layers, their last hidden state, dense layers with ReLU: (batch, steps, channels) -> (batch, classes).

    With two directions, the last states of both: of the forward one after the last step, of the backward one after the
    first. Source: Elman 1990 (rnn), Hochreiter and Schmidhuber 1997 (lstm), Cho et al. 2014 (gru), Schuster and Paliwal
    1997 (two directions).

    Args:
        n_channels: readings at each step.
        n_classes: number of logits.
        cell: "rnn" (with tanh), "lstm" or "gru".
        units: of each layer and direction.
        layers: number of recurrent layers.
        bidirectional: also read from the last step to the first.
        hidden: units of the dense layers between the last state and the logits.
        dropout: rate before the layer of the logits; None for no dropout layer.
        truncate: number of last steps of a window through which the gradient passes; the state at their start comes
            from all steps before (truncated backpropagation through time, Williams and Peng 1990). None for all steps.
    Raises:
        RequestError: if the cell is unknown, or if truncate is below 1 or used with two directions.
    """

    def __init__(
        self,
        *,
        n_channels: int = 9,
        n_classes: int = 6,
        cell: Literal["rnn", "lstm", "gru"] = "lstm",
        units: int = 64,
        layers: int = 2,
        bidirectional: bool = False,
        hidden: Sequence[int] = (256,),
        dropout: float | None = None,
        truncate: int | None = None,
    ) -> None:
        super().__init__()
        if cell not in _CELLS:
            raise RequestError(f"unknown cell '{cell}'; {nearest(cell, _CELLS)}")
        if truncate is not None and truncate < 1:
            raise RequestError(f"truncate: expected at least 1 step, got {truncate}")
        if truncate is not None and bidirectional:
            raise RequestError(
                "truncate cannot be used with bidirectional: the backward direction starts at the last step; drop one"
            )
        self.truncate = truncate
        self.recurrent = _CELLS[cell](
            n_channels, units, num_layers=layers, bidirectional=bidirectional, batch_first=True
        )
        size = units * (2 if bidirectional else 1)
        dense: list[nn.Module] = []
        for width in hidden:
            dense += [nn.Linear(size, width), nn.ReLU()]
            size = width
        self.head = nn.Sequential(*dense, *_dropout(dropout), nn.Linear(size, n_classes))

    def forward(self, windows: Tensor, lengths: Tensor | None = None) -> Tensor:
        first = None
        if self.truncate is not None and self.truncate < windows.shape[1]:
            windows, lengths, first = _cut(self.recurrent, windows, lengths, self.truncate)
        return self.head(_last_state(self.recurrent, windows, lengths, first))


class DeepConvLSTM(nn.Module):
    """Four convolutions over time, two LSTMs, the last hidden state: (batch, steps, channels) -> (batch, classes).

    Source: Ordonez and Roggen 2016, figure 3 and table 3: 64 kernels of 5 steps with ReLU, 128 units, dropout 0.5. As
    published, a kernel sees one channel at a time, with the same kernels for all, and the first LSTM reads 64 values
    per channel. There is no padding, so each convolution shortens the sequence by 4 steps, 16 in total. The maps that
    reach over the end of a shorter window are not read; a window of at most 16 steps is read as one of 17 that ends
    with zeros.

    Args:
        n_channels: readings at each step.
        n_steps: of the longest window; at least 17.
        n_classes: number of logits.
        kernels: of each convolution.
        units: of each LSTM.
        mixing: kernels over all channels instead of one at a time: a seventh of the multiplications with 9 channels.
            Not in the publication.
        dropout: rate before the layer of the logits; None for no dropout layer.
    Raises:
        RequestError: if windows have 16 steps or less.
    """

    def __init__(
        self,
        *,
        n_channels: int = 9,
        n_steps: int = 128,
        n_classes: int = 6,
        kernels: int = 64,
        units: int = 128,
        mixing: bool = False,
        dropout: float | None = 0.5,
    ) -> None:
        super().__init__()
        if n_steps <= _TAKEN_OFF:
            raise RequestError(
                f"n_steps: expected at least {_TAKEN_OFF + 1}, because four convolutions remove {_TAKEN_OFF} steps, "
                f"got {n_steps}"
            )
        layers: list[nn.Module] = []
        before = n_channels if mixing else 1
        for _ in range(4):
            # The last axis is the channels; with mixing it has length 1.
            layers += [nn.Conv2d(before, kernels, (5, 1)), nn.ReLU()]
            before = kernels
        self.mixing = mixing
        self.maps = nn.Sequential(*layers)
        self.recurrent = nn.LSTM(kernels * (1 if mixing else n_channels), units, num_layers=2, batch_first=True)
        self.head = nn.Sequential(*_dropout(dropout), nn.Linear(units, n_classes))

    def forward(self, windows: Tensor, lengths: Tensor | None = None) -> Tensor:
        images = windows.transpose(1, 2).unsqueeze(3) if self.mixing else windows.unsqueeze(1)
        maps = self.maps(images)  # (batch, kernels, steps - 16, channels or 1)
        inputs = maps.transpose(1, 2).flatten(2)
        left = None if lengths is None else (lengths - _TAKEN_OFF).clamp(min=1)
        return self.head(_last_state(self.recurrent, inputs, left))


_TAKEN_OFF = 16  # four times 5 - 1


class ConvClassifier(nn.Module):
    """Residual convolutions over time, then mean and standard deviation: (batch, steps, channels) -> (batch, classes).

    Our own arrangement of the blocks of He et al. 2016, in one dimension: a strided first convolution, then one stage
    of ``blocks`` for each of ``channels``, strided too from the second stage on, so that little is computed at the full
    rate. The standard deviation of a map over time shows how strong a movement is, the mean which movement it is: one
    point of accuracy more than the mean alone, on windows of 9 channels x 128 steps of new people. A third stage, wider
    kernels and the maximum did not improve it.

    Between the layers the steps after the end of a window are set to zero, and mean and standard deviation exclude
    them. Batch norm includes them in training: they are zeros in every window, and its running statistics, which are
    used in evaluation, include as many.

    Args:
        n_channels: readings at each step.
        n_classes: number of logits.
        channels: of the stages.
        kernel: length of a kernel in steps; odd.
        blocks: residual blocks in every stage.
        dropout: rate before the layer of the logits; None for no dropout layer.
    Raises:
        RequestError: if the kernel is even.
    """

    def __init__(
        self,
        *,
        n_channels: int = 9,
        n_classes: int = 6,
        channels: Sequence[int] = (32, 64),
        kernel: int = 5,
        blocks: int = 1,
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise RequestError(f"kernel: expected an odd number of steps, got {kernel}")
        before = channels[0]
        self.first = _Normalised(n_channels, before, kernel, stride=2)
        stages = []
        for stage, after in enumerate(channels):
            for block in range(blocks):
                stages.append(_Residual(before, after, kernel, stride=2 if stage > 0 and block == 0 else 1))
                before = after
        self.blocks = nn.ModuleList(stages)
        self.head = nn.Sequential(*_dropout(dropout), nn.Linear(2 * before, n_classes))

    def forward(self, windows: Tensor, lengths: Tensor | None = None) -> Tensor:
        maps, lengths = self.first(windows.transpose(1, 2), lengths)
        maps = maps.relu()
        for block in self.blocks:
            maps, lengths = block(maps, lengths)
        return self.head(_mean_and_deviation(maps, lengths))


def _mean_and_deviation(maps: Tensor, lengths: Tensor | None) -> Tensor:
    """(batch, channels, steps) -> (batch, 2 x channels), over the steps before the end; the maps after it are zero."""
    if lengths is None:
        mean = maps.mean(2, keepdim=True)
        variance = (maps - mean).square().mean(2)
    else:
        n_valid = lengths[:, None, None].to(maps.dtype)
        mean = maps.sum(2, keepdim=True) / n_valid
        valid = torch.arange(maps.shape[2], device=maps.device) < n_valid
        variance = ((maps - mean) * valid).square().sum(2) / n_valid.squeeze(2)
    return torch.cat([mean.squeeze(2), (variance + 1e-5).sqrt()], dim=1)  # the gradient of a root at 0 is infinite


class _Normalised(nn.Module):
    """Convolution without bias, batch norm, zeros after the end: (batch, channels, steps) and lengths to the same."""

    def __init__(self, before: int, after: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.convolution = nn.Conv1d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm1d(after)

    def forward(self, maps: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        maps = self.norm(self.convolution(maps))
        if lengths is None:
            return maps, None
        lengths = (lengths - 1) // self.stride + 1
        valid = torch.arange(maps.shape[2], device=maps.device) < lengths.unsqueeze(1)
        return maps * valid.unsqueeze(1), lengths


class _Residual(nn.Module):
    """ReLU(change(x) + x); change is two convolutions. If the shapes differ, x gets a 1 x 1 convolution."""

    def __init__(self, before: int, after: int, kernel: int, *, stride: int) -> None:
        super().__init__()
        self.change = nn.ModuleList(
            [_Normalised(before, after, kernel, stride=stride), _Normalised(after, after, kernel)]
        )
        self.keep = None if stride == 1 and before == after else _Normalised(before, after, 1, stride=stride)

    def forward(self, maps: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        kept = maps if self.keep is None else self.keep(maps, lengths)[0]
        first, second = self.change
        changed, lengths = first(maps, lengths)
        changed, lengths = second(changed.relu(), lengths)
        return (changed + kept).relu(), lengths


def _dropout(rate: float | None) -> list[nn.Module]:
    return [] if rate is None else [nn.Dropout(rate)]


# -- recurrent layers and lengths -------------------------------------------------------------------------------------


# States of a layer in PyTorch's form: hidden, or (hidden, cell) for an LSTM.
_States = Tensor | tuple[Tensor, Tensor]


def _last_state(layer: nn.RNNBase, inputs: Tensor, lengths: Tensor | None, first: _States | None = None) -> Tensor:
    """Last hidden state of the last layer, both directions concatenated: shape (batch, directions x units)."""
    if lengths is None:
        states = layer(inputs, first)[1]
    elif isinstance(layer, nn.RNNBase):
        return _last_state_within(layer, inputs, lengths, first)
    else:
        states = layer(inputs, first, lengths=lengths)[1]  # its counterpart in a stack
    hidden = states[0] if isinstance(states, tuple) else states
    return torch.cat(hidden[-2:].unbind(0), dim=1) if layer.bidirectional else hidden[-1]


def _cut(
    layer: nn.RNNBase, inputs: Tensor, lengths: Tensor | None, n_last: int
) -> tuple[Tensor, Tensor | None, _States]:
    """The last steps of every window, the lengths within them, and the states before them, without gradient."""
    before = inputs[:, :-n_last]
    if lengths is None:
        with torch.no_grad():
            first = layer(before)[1]
        return inputs[:, -n_last:], None, first
    n_before = (lengths - n_last).clamp(min=0)
    with torch.no_grad():
        if isinstance(layer, nn.RNNBase):
            # Packed sequences: PyTorch's faster kernels return no cell states of intermediate steps.
            counts = n_before.clamp(min=1).cpu()  # a packed sequence has at least one step
            packed = nn.utils.rnn.pack_padded_sequence(before, counts, batch_first=True, enforce_sorted=False)
            states = layer(packed)[1]
            has_steps = (n_before > 0).unsqueeze(1)
            first = tuple(state * has_steps for state in states) if isinstance(states, tuple) else states * has_steps
        else:
            first = layer(before, lengths=n_before)[1]
    steps = n_before.unsqueeze(1) + torch.arange(n_last, device=inputs.device)
    return inputs.take_along_dim(steps.unsqueeze(2), 1), lengths.clamp(max=n_last), first


_ONE_DIRECTION = {"RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu, "LSTM": torch.lstm, "GRU": torch.gru}


def _last_state_within(layer: nn.RNNBase, inputs: Tensor, lengths: Tensor, first: _States | None) -> Tensor:
    """The same for padded windows with PyTorch's kernels, each direction of each layer separately.

    The backward direction reads each window reversed within its length. So the padding always comes last, and what is
    computed from it is not used. Packed sequences give the same numbers, but PyTorch has no fused kernels for them on a
    CPU: they take 5 to 9 times as long (LSTM of 64 units, 128 steps, batches of 100).
    """
    n_steps = inputs.shape[1]
    steps = torch.arange(n_steps, device=inputs.device)
    ends = lengths.unsqueeze(1)
    reversed_steps = torch.where(steps < ends, ends - 1 - steps, steps).unsqueeze(2)  # (batch, steps, 1)
    if first is None:
        n_states = layer.num_layers * (2 if layer.bidirectional else 1)
        zeros = inputs.new_zeros(n_states, len(inputs), layer.hidden_size)
        first = (zeros, zeros) if layer.mode == "LSTM" else zeros
    last = (ends - 1).unsqueeze(2)
    states: list[Tensor] = []
    n_done = 0
    for depth in range(layer.num_layers):
        both, states = [], []
        for suffix in ("", "_reverse") if layer.bidirectional else ("",):
            names = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if layer.bias else ()))
            weights = [getattr(layer, f"{name}_l{depth}{suffix}") for name in names]
            given = inputs.take_along_dim(reversed_steps, 1) if suffix else inputs
            row = slice(n_done, n_done + 1)
            initial = (first[0][row], first[1][row]) if isinstance(first, tuple) else first[row]
            run = _ONE_DIRECTION[layer.mode]
            outputs = run(given, initial, weights, layer.bias, 1, 0.0, layer.training, False, True)[0]  # type: ignore[arg-type]
            states.append(outputs.take_along_dim(last, 1).squeeze(1))
            both.append(outputs.take_along_dim(reversed_steps, 1) if suffix else outputs)
            n_done += 1
        inputs = torch.cat(both, dim=2)
    return torch.cat(states, dim=1)
