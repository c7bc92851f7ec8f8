"""Memory layout of images in loops on a CPU: channels last, from the first convolution to the last gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["channels_last", "channels_last_hooks"]


def channels_last(images: Tensor) -> Tensor:
    """``images`` (batch, channels, height, width) with the channels innermost in memory; values unchanged.

    ``contiguous(memory_format=...)`` does not change single-channel images, for which both layouts are the same. The
    strides still decide which layout the next convolution returns, so they are set explicitly.
    """
    _, channels, height, width = images.shape
    if channels == 1:
        return images.contiguous().as_strided(images.shape, (height * width, 1, width, 1))
    return images.contiguous(memory_format=torch.channels_last)


_CONVERTED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def _before(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    first, *rest = inputs
    return (channels_last(first), *rest) if first.dim() == 4 else inputs


def _after(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
    # The flatten after the last pooling returns a gradient in the slow layout, which the backward pass would keep.
    if isinstance(output, Tensor) and output.dim() == 4 and output.requires_grad:
        output.register_hook(lambda grad: grad.contiguous(memory_format=torch.channels_last))


def channels_last_hooks(module: nn.Module) -> None:
    """Make the 2-d convolutions and poolings of ``module`` compute with channels last.

    Max pooling with channels first is not vectorised on a CPU: 3.0 ms against 0.3 ms for (200, 16, 14, 14) on one core.
    """
    layers = [layer for layer in module.modules() if not list(layer.children())]
    if not any(isinstance(layer, _CONVERTED) for layer in layers):
        return
    for layer in layers:
        if isinstance(layer, _CONVERTED):
            layer.register_forward_pre_hook(_before)
        layer.register_forward_hook(_after)
