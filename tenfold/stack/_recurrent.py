"""RNN, GRU and LSTM that work under ``torch.func.vmap``, where PyTorch's own have no batching rule.

Parameter names, shapes, initial values and results are those of ``torch.nn.RNN``, ``GRU`` and ``LSTM``. Sequences of
unequal lengths, which PyTorch's layers take as packed sequences, are a padded tensor and ``lengths`` here: how many
sequences of a batch have not yet ended at a step is not the same in every run of a stack.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from tenfold.errors import RequestError, ShapeError
from tenfold.stack._scan import scan

__all__ = ["GRU", "LSTM", "RNN", "from_torch"]


class _Recurrent(nn.Module):
    """Layers x directions of one kind of cell. Uses the parameters of a ``torch.nn`` layer under the same names."""

    def __init__(self, like: nn.RNNBase) -> None:
        super().__init__()
        if like.proj_size:
            raise RequestError(
                f"proj_size={like.proj_size} of {type(like).__name__} is not supported in a stack; use 0"
            )
        # Not the name of the class, which may be the user's own; the mode is RNN_TANH, RNN_RELU, GRU or LSTM.
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
        # Dropout between layers is a submodule, so that its masks follow the same rule as all others.
        self.between = nn.Dropout(like.dropout)

    def flatten_parameters(self) -> None:
        """Does nothing. It exists for modules that call it on ``torch.nn``'s layers in their forward pass."""

    def _weights(self, layer: int, reverse: bool) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        suffix = f"_l{layer}{'_reverse' if reverse else ''}"
        parts = [getattr(self, f"weight_ih{suffix}"), getattr(self, f"weight_hh{suffix}")]
        parts += [getattr(self, f"bias_ih{suffix}"), getattr(self, f"bias_hh{suffix}")] if self.bias else [None, None]
        return parts[0], parts[1], parts[2], parts[3]

    def _check(self, inputs: Tensor, hidden: Tensor | None, cell: Tensor | None, lengths: Tensor | None) -> None:
        """Refuse the shapes that torch.nn refuses; broadcasting would compute wrong results from them."""
        if inputs.dim() not in (2, 3) or inputs.shape[-1] != self.input_size:
            batch = "batch, steps" if self.batch_first else "steps, batch"
            raise ShapeError(
                f"{self.kind}: expected inputs ({batch}, {self.input_size} features) or "
                f"(steps, {self.input_size} features), got {tuple(inputs.shape)}"
            )
        if inputs.shape[1 if inputs.dim() == 3 and self.batch_first else 0] == 0:
            raise ShapeError(f"{self.kind}: expected at least one step, got inputs {tuple(inputs.shape)}")
        expected: tuple[int, ...] = (self.num_layers * (2 if self.bidirectional else 1), self.hidden_size)
        if inputs.dim() == 3:
            expected = (expected[0], inputs.shape[0 if self.batch_first else 1], expected[1])
        for word, state in (("hidden", hidden), ("cell", cell)):
            if state is not None and tuple(state.shape) != expected:
                raise ShapeError(f"{self.kind}: expected a {word} state of shape {expected}, got {tuple(state.shape)}")
        if lengths is not None and (inputs.dim() != 3 or tuple(lengths.shape) != expected[1:2]):
            raise ShapeError(
                f"{self.kind}: expected lengths of shape (batch,) for inputs {tuple(inputs.shape)}, "
                f"got {tuple(lengths.shape)}"
            )

    def _run(
        self, inputs: Tensor, hidden: Tensor | None, cell: Tensor | None, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        if not isinstance(inputs, Tensor):
            raise RequestError(f"{self.kind} in a stack takes a padded tensor and lengths, got {type(inputs).__name__}")
        single = inputs.dim() == 2  # (steps, features): one sequence, as torch.nn allows
        self._check(inputs, hidden, cell, lengths)
        if single:
            inputs = inputs.unsqueeze(1)
            hidden = None if hidden is None else hidden.unsqueeze(1)
            cell = None if cell is None else cell.unsqueeze(1)
        elif self.batch_first:
            inputs = inputs.transpose(0, 1)
        valid = None if lengths is None else torch.arange(len(inputs), device=inputs.device).unsqueeze(1) < lengths
        directions = 2 if self.bidirectional else 1
        last_hidden, last_cell = [], []
        for layer in range(self.num_layers):
            both = []
            for direction in range(directions):
                index = layer * directions + direction
                outputs, h, c = scan(
                    self.mode,
                    inputs,
                    self._weights(layer, direction == 1),
                    None if hidden is None else hidden[index],
                    None if cell is None else cell[index],
                    valid,
                    reverse=direction == 1,
                )
                both.append(outputs)
                last_hidden.append(h)
                last_cell.append(c)
            # Concatenated in the memory order in which the scan writes and reads them.
            inputs = both[0] if directions == 1 else torch.cat([outputs.mT for outputs in both], -2).mT
            if valid is not None:
                inputs = inputs * valid.unsqueeze(-1)  # zeros, as torch.nn.utils.rnn pads
            if layer < self.num_layers - 1:
                inputs = self.between(inputs)
        hidden_n = torch.stack(last_hidden)
        cell_n = torch.stack(last_cell) if self.kind == "LSTM" else None
        if single:
            return inputs.squeeze(1), hidden_n.squeeze(1), None if cell_n is None else cell_n.squeeze(1)
        return (inputs.transpose(0, 1) if self.batch_first else inputs), hidden_n, cell_n


class RNN(_Recurrent):
    """Elman network (tanh or ReLU); shapes, names and values of ``torch.nn.RNN``. Source: Elman 1990."""

    def forward(
        self, inputs: Tensor, hidden: Tensor | None = None, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        outputs, hidden_n, _ = self._run(inputs, hidden, None, lengths)
        return outputs, hidden_n


class GRU(_Recurrent):
    """Gated recurrent unit; shapes, names and values of ``torch.nn.GRU``. Source: Cho et al. 2014."""

    def forward(
        self, inputs: Tensor, hidden: Tensor | None = None, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        outputs, hidden_n, _ = self._run(inputs, hidden, None, lengths)
        return outputs, hidden_n


class LSTM(_Recurrent):
    """Long short-term memory; shapes, names and values of ``torch.nn.LSTM``.

    Source: Hochreiter and Schmidhuber 1997.
    """

    def forward(
        self, inputs: Tensor, states: tuple[Tensor, Tensor] | None = None, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        hidden, cell = states if states is not None else (None, None)
        outputs, hidden_n, cell_n = self._run(inputs, hidden, cell, lengths)
        assert cell_n is not None
        return outputs, (hidden_n, cell_n)


def from_torch(layer: nn.RNNBase) -> RNN | GRU | LSTM:
    """The stackable counterpart of a ``torch.nn`` recurrent layer, with the same parameters (shared, not copied)."""
    kind: Literal["RNN", "GRU", "LSTM"] = layer.mode.split("_")[0]  # type: ignore[assignment]
    return {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}[kind](layer)
