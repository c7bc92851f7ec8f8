"""Preprocessing fitted per run: the same numbers in training, in testing and on new data. The record keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from tenfold.sampling._sources import Inputs, WindowSource

__all__ = ["Standardise", "window_scaling"]


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


def window_scaling(source: WindowSource, windows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and inverse standard deviation of every channel over some windows: float64, (channels,) each.

    A constant channel is divided by 1. No sample outside these windows has a say, not even in the rounding: every
    sample counts as often as there are windows that hold it.
    """
    starts = source.starts[windows]
    stops = starts + (source.steps if source.lengths is None else source.lengths[windows])
    n_samples = len(source.signals)
    change = starts.bincount(minlength=n_samples + 1) - stops.bincount(minlength=n_samples + 1)
    times = change.cumsum(0)[:-1]
    used = times.nonzero().flatten()
    weights, samples = times[used].double(), source.signals[used].double()
    mean, square = (weights @ values / weights.sum() for values in (samples, samples.square()))
    deviation = (square - mean**2).clamp(min=0).sqrt()
    return mean, 1 / torch.where(deviation > 1e-6 * (1 + mean.abs()), deviation, 1.0)
