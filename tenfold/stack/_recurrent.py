"""RNN, GRU and LSTM that work under ``torch.func.vmap``, where PyTorch's own have no batching rule.

Parameter names, shapes, initial values and results are those of ``torch.nn.RNN``, ``GRU`` and ``LSTM``; only the
loop over steps is
written out. The input products of all steps are one matrix product; the steps are taken apart with ``unbind``, since
slicing
``inputs[t]`` step by step makes the backward pass quadratic in time.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.errors import RequestError, ShapeError

__all__ = ["GRU", "LSTM", "RNN", "from_torch"]


class _Recurrent(nn.Module):
    """Layers x directions of one cell kind. Takes over the parameters of a ``torch.nn`` layer, names included."""

    def __init__(self, like: nn.RNNBase) -> None:
        super().__init__()
        if like.proj_size:
            raise RequestError(
                f"proj_size={like.proj_size} of {type(like).__name__} is not supported in a stack; use 0"
            )
        # Not the class's name, which may be a user's own; the mode is one of RNN_TANH, RNN_RELU, GRU, LSTM.
        self.mode = like.mode
        self.kind = like.mode.split("_")[0]
        self.nonlinearity: str = getattr(like, "nonlinearity", "tanh")
        self.input_size = like.input_size
        self.hidden_size = like.hidden_size
        self.num_layers = like.num_layers
        self.bidirectional = like.bidirectional
        self.batch_first = like.batch_first
        self.bias = like.bias
        self.dropout = like.dropout
        self.proj_size = 0
        for name, parameter in like.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        # Dropout between layers is a child so that its masks follow the same rule as all others.
        self.between = nn.Dropout(like.dropout)

    def flatten_parameters(self) -> None:
        """Nothing: there for modules that call it on ``torch.nn``'s layers in their forward pass."""

    def _weights(self, layer: int, reverse: bool) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        suffix = f"_l{layer}{'_reverse' if reverse else ''}"
        parts = [getattr(self, f"weight_ih{suffix}"), getattr(self, f"weight_hh{suffix}")]
        parts += [getattr(self, f"bias_ih{suffix}"), getattr(self, f"bias_hh{suffix}")] if self.bias else [None, None]
        return parts[0], parts[1], parts[2], parts[3]

    def _scan(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None, layer: int, reverse: bool):
        """One direction of one layer: inputs (steps, batch, features) -> outputs (steps, batch, hidden), last
        states.
        """
        weight_ih, weight_hh, bias_ih, bias_hh = self._weights(layer, reverse)
        if bias_ih is not None and bias_hh is not None and self.kind != "GRU":
            bias_ih, bias_hh = bias_ih + bias_hh, None  # a GRU applies its hidden bias inside the reset gate
        steps = F.linear(inputs, weight_ih, bias_ih).unbind(0)
        weight = weight_hh.t()
        outputs: list[Tensor] = []
        for step in reversed(steps) if reverse else steps:
            hidden, cell = self._cell(step, hidden, cell, weight, bias_hh)
            outputs.append(hidden)
        return torch.stack(outputs[::-1] if reverse else outputs), hidden, cell

    def _cell(
        self, step: Tensor, hidden: Tensor, cell: Tensor | None, weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        if self.kind == "RNN":
            total = step + hidden @ weight
            return (torch.tanh(total) if self.nonlinearity == "tanh" else torch.relu(total)), None
        if self.kind == "LSTM":
            assert cell is not None
            into, forget, new, out = (step + hidden @ weight).chunk(4, -1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(into) * torch.tanh(new)
            return torch.sigmoid(out) * torch.tanh(cell), cell
        product = hidden @ weight if bias is None else hidden @ weight + bias
        reset_in, update_in, new_in = step.chunk(3, -1)
        reset_hidden, update_hidden, new_hidden = product.chunk(3, -1)
        reset, update = torch.sigmoid(reset_in + reset_hidden), torch.sigmoid(update_in + update_hidden)
        new = torch.tanh(new_in + reset * new_hidden)
        return new + update * (hidden - new), None

    def _check(self, inputs: Tensor, hidden: Tensor | None, cell: Tensor | None) -> None:
        """The shapes that torch.nn refuses; broadcasting would compute something from them."""
        if inputs.dim() not in (2, 3) or inputs.shape[-1] != self.input_size:
            batch = "batch, steps" if self.batch_first else "steps, batch"
            raise ShapeError(
                f"{self.kind}: expected inputs ({batch}, {self.input_size} features) or "
                f"(steps, {self.input_size} features), got {tuple(inputs.shape)}"
            )
        expected: tuple[int, ...] = (self.num_layers * (2 if self.bidirectional else 1), self.hidden_size)
        if inputs.dim() == 3:
            expected = (expected[0], inputs.shape[0 if self.batch_first else 1], expected[1])
        for word, state in (("hidden", hidden), ("cell", cell)):
            if state is not None and tuple(state.shape) != expected:
                raise ShapeError(f"{self.kind}: expected a {word} state of shape {expected}, got {tuple(state.shape)}")

    def _run(self, inputs: Tensor, hidden: Tensor | None, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        if not isinstance(inputs, Tensor):
            raise RequestError(f"{self.kind} in a stack takes a padded tensor, got {type(inputs).__name__}")
        single = inputs.dim() == 2  # (steps, features): one sequence, as torch.nn allows
        self._check(inputs, hidden, cell)
        if single:
            inputs = inputs.unsqueeze(1)
            hidden = None if hidden is None else hidden.unsqueeze(1)
            cell = None if cell is None else cell.unsqueeze(1)
        elif self.batch_first:
            inputs = inputs.transpose(0, 1)
        directions = 2 if self.bidirectional else 1
        zeros = inputs.new_zeros(self.num_layers * directions, inputs.shape[1], self.hidden_size)
        hidden_0 = (zeros if hidden is None else hidden).unbind(0)
        cell_0 = (zeros if cell is None else cell).unbind(0)
        last_hidden, last_cell = [], []
        for layer in range(self.num_layers):
            both = []
            for direction in range(directions):
                at = layer * directions + direction
                outputs, h, c = self._scan(
                    inputs, hidden_0[at], cell_0[at] if self.kind == "LSTM" else None, layer, direction == 1
                )
                both.append(outputs)
                last_hidden.append(h)
                last_cell.append(c)
            inputs = both[0] if directions == 1 else torch.cat(both, -1)
            if layer < self.num_layers - 1:
                inputs = self.between(inputs)
        hidden_n = torch.stack(last_hidden)
        cell_n = torch.stack(last_cell) if self.kind == "LSTM" else None
        if single:
            return inputs.squeeze(1), hidden_n.squeeze(1), None if cell_n is None else cell_n.squeeze(1)
        return (inputs.transpose(0, 1) if self.batch_first else inputs), hidden_n, cell_n


class RNN(_Recurrent):
    """Elman network (tanh or ReLU); shapes, names and numbers of ``torch.nn.RNN``. Source: Elman 1990."""

    def forward(self, inputs: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        outputs, hidden_n, _ = self._run(inputs, hidden, None)
        return outputs, hidden_n


class GRU(_Recurrent):
    """Gated recurrent unit; shapes, names and numbers of ``torch.nn.GRU``. Source: Cho et al. 2014."""

    def forward(self, inputs: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        outputs, hidden_n, _ = self._run(inputs, hidden, None)
        return outputs, hidden_n


class LSTM(_Recurrent):
    """Long short-term memory; shapes, names and numbers of ``torch.nn.LSTM``. Source: Hochreiter and Schmidhuber
    1997.
    """

    def forward(
        self, inputs: Tensor, states: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        hidden, cell = states if states is not None else (None, None)
        outputs, hidden_n, cell_n = self._run(inputs, hidden, cell)
        assert cell_n is not None
        return outputs, (hidden_n, cell_n)


def from_torch(layer: nn.RNNBase) -> RNN | GRU | LSTM:
    """The stackable twin of a ``torch.nn`` recurrent layer, with the same parameters (shared, not copied)."""
    kind: Literal["RNN", "GRU", "LSTM"] = layer.mode.split("_")[0]  # type: ignore[assignment]
    return {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}[kind](layer)
