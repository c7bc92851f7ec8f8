"""Preprocessing fitted per run: the same numbers in training, in testing and on new data. The record keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from tenfold.sampling._sources import Inputs, WindowSource

__all__ = ["Standardise", "WindowSums"]


@dataclass(frozen=True)
class Standardise:
    """The first input becomes (input - shift) * scale; behind the length of a shorter window it becomes 0.

    Args:
        shift, scale: floating point, runs first, then shapes that broadcast over an example: (runs, 1, channels) for
            windows (steps, channels), (runs, 1, 1, 1) for images (channels, height, width).
    """

    shift: Tensor
    scale: Tensor

    def __call__(self, inputs: Inputs) -> Inputs:
        first, *others = inputs
        first = (first - self.shift[:, None]) * self.scale[:, None]
        if others:  # windows of different lengths
            step = torch.arange(first.shape[2], device=first.device)
            first = first * (step < others[0][..., None])[..., None]
        return (first, *others)

    def of_runs(self, runs: Tensor | Sequence[int] | slice) -> Standardise:
        """The numbers of some of the runs."""
        return Standardise(self.shift[runs], self.scale[runs])

    def to(self, device: torch.device, dtype: torch.dtype) -> Standardise:
        return Standardise(self.shift.to(device, dtype), self.scale.to(device, dtype))

    def arrays(self) -> dict[str, np.ndarray]:
        """What the record keeps: float32, runs first."""
        return {name: getattr(self, name).float().cpu().numpy() for name in ("shift", "scale")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """As ``arrays`` gave it."""
        return cls(*(torch.from_numpy(np.array(arrays[name], dtype=np.float32)) for name in ("shift", "scale")))


class WindowSums:
    """Sums over the signals, from which mean and standard deviation over any windows follow.

    Args:
        source: the windows.
    """

    def __init__(self, source: WindowSource) -> None:
        signals = source.signals.numpy()
        summed = np.zeros((2, len(signals) + 1, signals.shape[1]))
        np.cumsum(signals, axis=0, dtype=np.float64, out=summed[0, 1:])
        np.cumsum(np.square(signals, dtype=np.float64), axis=0, out=summed[1, 1:])
        self._sums, self._source = torch.from_numpy(summed), source

    def scaling(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and inverse standard deviation of every channel over these windows: float64, (channels,) each.

        A constant channel is divided by 1.
        """
        starts = self._source.starts[windows]
        lengths = self._source.steps if self._source.lengths is None else self._source.lengths[windows]
        sums = (self._sums[:, starts + lengths] - self._sums[:, starts]).sum(1)  # (2, channels)
        count = lengths * len(windows) if isinstance(lengths, int) else lengths.sum()
        mean, square = sums / count
        deviation = (square - mean**2).clamp(min=0).sqrt()
        return mean, 1 / torch.where(deviation > 1e-6 * (1 + mean.abs()), deviation, 1.0)
