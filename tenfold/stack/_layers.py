"""Layers of PyTorch whose own forward pass is wrong, or does not work, under ``torch.func.vmap``."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

__all__ = ["SpectralNorm", "mend"]


def mend(layer: nn.Module) -> None:
    """Give a copy of a layer, in place, a forward pass that works under vmap; its class and tensors stay."""
    if (
        isinstance(layer, nn.Embedding)
        and layer.padding_idx is not None
        and type(layer).forward is nn.Embedding.forward
    ):
        # In the instance, so that a class of the user's own that inherits from nn.Embedding stays what it is.
        setattr(layer, "forward", partial(_look_up, layer))  # noqa: B010 - a method, for type checkers
    elif isinstance(layer, nn.LSTMCell) and type(layer).forward is nn.LSTMCell.forward:
        setattr(layer, "forward", partial(_lstm_step, layer))  # noqa: B010
    elif type(layer) is parametrizations._SpectralNorm:
        layer.__class__ = SpectralNorm


def _look_up(layer: nn.Embedding, indices: Tensor) -> Tensor:
    """Rows of the table, that of the padding index without a gradient.

    PyTorch's backward pass compares the padding index with indices into the tables of all runs, one behind the other,
    and so leaves out the row of the first run only.
    """
    rows = F.embedding(
        indices, layer.weight, None, layer.max_norm, layer.norm_type, layer.scale_grad_by_freq, layer.sparse
    )
    return torch.where((indices == layer.padding_idx).unsqueeze(-1), rows.detach(), rows)


def _lstm_step(cell: nn.LSTMCell, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """One step of ``nn.LSTMCell``, which has no batching rule."""
    zeros = inputs.new_zeros(*inputs.shape[:-1], cell.hidden_size)
    hidden, memory = (zeros, zeros) if state is None else state
    gates = F.linear(inputs, cell.weight_ih, cell.bias_ih) + F.linear(hidden, cell.weight_hh, cell.bias_hh)
    into, forget, new, out = gates.chunk(4, -1)
    memory = forget.sigmoid() * memory + into.sigmoid() * new.tanh()
    return out.sigmoid() * memory.tanh(), memory


class SpectralNorm(parametrizations._SpectralNorm):
    """Spectral normalisation without ``out=``, which vmap does not allow; the same numbers. Source: Miyato 2018."""

    @torch.autograd.no_grad()
    def _power_method(self, weight_mat: Tensor, n_power_iterations: int) -> None:
        for _ in range(n_power_iterations):
            self._u.copy_(F.normalize(torch.mv(weight_mat, self._v), dim=0, eps=self.eps))
            self._v.copy_(F.normalize(torch.mv(weight_mat.H, self._u), dim=0, eps=self.eps))
