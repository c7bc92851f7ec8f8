"""Dropout whose masks are a pure function of (key, call), so that they do not depend on the stack a run is in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tenfold.seeds import uniform

__all__ = ["Dropout"]


class Dropout(nn.Module):
    """``nn.Dropout`` (and its 1d, 2d, 3d kinds) with counter-based masks; for one run.

    The key, the number of calls so far and the rate are buffers: under ``torch.func.vmap`` each run has its own, so
    the rate can differ from run to run in one stack. The buffers are not part of the state dict: a run taken out of
    the stack is the plain PyTorch module that it was.

    Args:
        rate: probability of zeroing an element (or a channel), in [0, 1].
        key: 63-bit seed of the masks.
        whole_channels: zero whole channels (axis 1), as ``nn.Dropout2d`` does.
    """

    rate: Tensor
    key: Tensor
    calls: Tensor

    def __init__(self, rate: float, *, key: int = 0, whole_channels: bool = False) -> None:
        super().__init__()
        self.whole_channels = whole_channels
        self.register_buffer("rate", torch.tensor(rate, dtype=torch.float64), persistent=False)
        self.register_buffer("key", torch.tensor(key, dtype=torch.int64), persistent=False)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return inputs
        shape = inputs.shape
        if self.whole_channels:
            shape = shape[:2] + (1,) * (inputs.dim() - 2)
        count = shape.numel()
        kept = (uniform(self.key, self.calls, count) >= self.rate).reshape(shape).to(inputs.dtype)
        self.calls.add_(1)
        keep_rate = 1 - self.rate.to(inputs.dtype)
        # The clamp only matters at a rate of 1, where nothing is kept and 0 / 0 must be 0.
        return inputs * (kept / keep_rate.clamp(min=1e-12))

    def extra_repr(self) -> str:
        return f"rate={self.rate.tolist()}, whole_channels={self.whole_channels}"
