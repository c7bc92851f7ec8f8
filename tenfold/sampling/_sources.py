"""Where inputs come from: data that all runs share, and how an index becomes the inputs of a module."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

__all__ = ["Inputs", "Source", "TensorSource", "TokenSource", "WindowSource"]

Inputs = tuple[Tensor, ...]
"""What a module's forward takes, runs first: (runs, batch, ...) each."""


class Source(Protocol):
    """Data in memory once, however many runs use them. Sources are wrapped, not subclassed."""

    def take(self, index: Tensor) -> Inputs:
        """Inputs of the examples in ``index``, int64 (runs, batch, ...): each (runs, batch, ...)."""
        ...

    def targets(self, index: Tensor) -> dict[str, Tensor]:
        """Targets that the data themselves hold, such as the next token; empty where there are none."""
        ...

    def example_bytes(self, index: Tensor) -> int:
        """Memory of the inputs of one example of ``index``."""
        ...

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        """On ``device``; ``take`` gives floating-point inputs in ``dtype``."""
        ...


@dataclass(frozen=True)
class TensorSource:
    """Items of equal shape, such as images or rows of a table; an example is one item or several.

    Args:
        items: shape (items, ...). Bytes (uint8) stay bytes in memory and are scaled to 0..1 when they are used;
            integers of another type are given as they are.
        dtype: of floating-point inputs.
    """

    items: Tensor
    dtype: torch.dtype = torch.float32

    def take(self, index: Tensor) -> Inputs:
        # Not items[index], which copies number by number: twice as slow for images on a CPU.
        taken = self.items.index_select(0, index.flatten()).view(*index.shape, *self.items.shape[1:])
        return (taken.to(self.dtype) / 255 if taken.dtype == torch.uint8 else taken,)

    def targets(self, index: Tensor) -> dict[str, Tensor]:
        return {}

    def example_bytes(self, index: Tensor) -> int:
        size = self.dtype.itemsize if self.items.dtype == torch.uint8 else self.items.element_size()
        return index[:1, :1].numel() * self.items[:1].numel() * size

    def to(self, device: torch.device, dtype: torch.dtype) -> TensorSource:
        items = self.items.to(device, dtype if self.items.is_floating_point() else None)
        return TensorSource(items, dtype)


@dataclass(frozen=True)
class WindowSource:
    """Windows of long signals, cut out when they are used: overlapping windows share their samples in memory.

    Inputs are windows (runs, batch, steps, channels) and, where windows differ in length, these lengths (runs, batch).
    Behind the end of a shorter window stand samples that do not belong to it: preprocessing sets them to 0.

    Args:
        signals: shape (samples, channels).
        starts: first sample of each window, int64, shape (windows,).
        steps: of the longest window.
        lengths: of each window, int64, shape (windows,); None where all windows have ``steps``.
        triads: channels of the x, y and z axes of each sensor, int64, shape (triads, 3), for augmentation.
    """

    signals: Tensor
    starts: Tensor
    steps: int
    lengths: Tensor | None = None
    triads: Tensor | None = None

    def take(self, index: Tensor) -> Inputs:
        step = torch.arange(self.steps, device=index.device)
        # A window at the end may be shorter than the longest: what lies behind it is read from the last sample.
        places = (self.starts[index][..., None] + step).clamp_(max=len(self.signals) - 1)
        windows = self.signals.index_select(0, places.flatten()).view(*places.shape, -1)
        return (windows,) if self.lengths is None else (windows, self.lengths[index])

    def targets(self, index: Tensor) -> dict[str, Tensor]:
        return {}

    def example_bytes(self, index: Tensor) -> int:
        return self.steps * self.signals[:1].numel() * self.signals.element_size()

    def to(self, device: torch.device, dtype: torch.dtype) -> WindowSource:
        return replace(
            self,
            signals=self.signals.to(device, dtype),
            starts=self.starts.to(device),
            lengths=None if self.lengths is None else self.lengths.to(device),
            triads=None if self.triads is None else self.triads.to(device),
        )


@dataclass(frozen=True)
class TokenSource:
    """Stretches of a long sequence of tokens; the target of each place is the token that follows.

    Args:
        tokens: int64 or smaller, shape (tokens,). An index is the first token of a stretch, from 0 to
            len(tokens) - steps - 1: the last target has to be there too.
        steps: tokens of a stretch.
    """

    tokens: Tensor
    steps: int

    def take(self, index: Tensor) -> Inputs:
        return (self._stretch(index),)

    def targets(self, index: Tensor) -> dict[str, Tensor]:
        return {"next": self._stretch(index + 1)}

    def example_bytes(self, index: Tensor) -> int:
        return self.steps * 8

    def to(self, device: torch.device, dtype: torch.dtype) -> TokenSource:
        return replace(self, tokens=self.tokens.to(device))

    def _stretch(self, index: Tensor) -> Tensor:
        places = index[..., None] + torch.arange(self.steps, device=index.device)
        return self.tokens.index_select(0, places.clamp_(max=len(self.tokens) - 1).flatten()).view(places.shape).long()
