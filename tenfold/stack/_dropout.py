"""Dropout whose masks are a pure function of (key, call), so that they do not depend on the stack a run is in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tenfold.errors import RequestError
from tenfold.seeds import uniform

__all__ = ["Dropout"]


class Dropout(nn.Module):
    """``nn.Dropout`` (and its 1d, 2d, 3d kinds) with counter-based masks; for one run.

    The key, the number of calls so far and the rate are buffers: under ``torch.func.vmap`` each run has its own, so
    the rate can differ between the runs of a stack. The buffers are not part of the state dict: a run taken out of the
    stack is a plain PyTorch module again.

    Args:
        rate: probability of zeroing an element (or a channel), in [0, 1].
        key: 63-bit seed of the masks.
        channel_axes: how many axes one channel has, to zero whole channels as ``nn.Dropout2d`` (2) does; 0 zeroes
            single elements.
    """

    rate: Tensor
    key: Tensor
    calls: Tensor

    def __init__(self, rate: float, *, key: int = 0, channel_axes: int = 0) -> None:
        super().__init__()
        self.channel_axes = channel_axes
        self.register_buffer("rate", torch.tensor(rate, dtype=torch.float64), persistent=False)
        self.register_buffer("key", torch.tensor(key, dtype=torch.int64), persistent=False)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return inputs
        if torch._C._current_graph_task_id() != -1:  # within a backward pass, where another mask would be drawn
            raise RequestError(
                "torch.utils.checkpoint around a dropout layer would draw another mask when it computes the pass "
                "again; leave the dropout layer outside of what is checkpointed"
            )
        shape = inputs.shape
        if self.channel_axes:
            # As in torch.nn: (channels, length) and (channels, depth, height, width) are single examples, but
            # (n, channels, length) is a batch for Dropout2d too.
            single = self.channel_axes != 2 and inputs.dim() == self.channel_axes + 1
            kept_axes = 1 if single else 2
            shape = shape[:kept_axes] + (1,) * (inputs.dim() - kept_axes)
        count = shape.numel()
        kept = (uniform(self.key, self.calls, count) >= self.rate).reshape(shape).to(inputs.dtype)
        self.calls.add_(1)
        keep_rate = 1 - self.rate.to(inputs.dtype)
        # The clamp only matters at a rate of 1, where nothing is kept and 0 / 0 must be 0.
        return inputs * (kept / keep_rate.clamp(min=1e-12))

    def extra_repr(self) -> str:
        return f"rate={self.rate.tolist()}, channel_axes={self.channel_axes}"
