"""Windows of long signals as examples: cut out at the moment of use, standardised by each run's own numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tenfold.tasks._examples import Examples, Inputs

__all__ = ["Windows"]

_NEVER = 2**62


@dataclass(frozen=True, kw_only=True)
class Windows(Examples):
    """One part of the data of several runs, each example a stretch of the signals.

    Overlapping windows share their samples in memory. Inputs are windows (runs, batch, steps, channels), standardised,
    and, where windows are of different lengths, these lengths (runs, batch): steps from there on are 0.

    Args:
        items: the signals, shape (samples, channels).
        index: first sample of each window, shape (runs, examples).
        steps: of the longest window.
        shift, scale: shape (runs, channels): inputs are (signal - shift) * scale.
        lengths: shape (runs, examples); None where all windows have ``steps``.
        triads: channels of the x, y and z axes of each sensor, shape (triads, 3), for augmentation.
    """

    steps: int
    shift: Tensor
    scale: Tensor
    triads: Tensor
    lengths: Tensor | None = None

    def _inputs(self, index: Tensor, rows: Tensor) -> Inputs:
        if self._in_order:
            return (self._take(index),)
        step = torch.arange(self.steps, device=index.device)
        # A window at the end may be shorter than the longest: what lies behind it is read from the last sample.
        places = (index[..., None] + step).clamp_(max=len(self.items) - 1)
        windows = self.items.index_select(0, places.flatten()).view(*places.shape, -1)
        windows = (windows - self.shift[:, None, None]) * self.scale[:, None, None]
        if self.lengths is None:
            return (windows,)
        run = torch.arange(self.n_runs, device=rows.device)[:, None]
        lengths = self.lengths[run, rows]
        return windows * (step < lengths[..., None])[..., None], lengths

    def of_runs(self, runs: Sequence[int]) -> Windows:
        chosen = torch.as_tensor(list(runs), dtype=torch.int64, device=self.index.device)
        return replace(
            self,
            index=self.index[chosen],
            targets={name: value[chosen] for name, value in self.targets.items()},
            shift=self.shift[chosen],
            scale=self.scale[chosen],
            lengths=None if self.lengths is None else self.lengths[chosen],
        )

    @property
    def scaling(self) -> dict[str, Tensor]:
        """What windows are standardised by, and which channels belong together."""
        return {"shift": self.shift, "scale": self.scale, "triads": self.triads}

    def gathered(self) -> Windows:
        ((items,), _) = self.span(0, self.n_examples)
        index = torch.arange(self.n_runs * self.n_examples, device=self.index.device).view(self.index.shape)
        return replace(self, items=items.flatten(0, 1), index=index, _in_order=True)

    @property
    def gathered_bytes(self) -> int:
        if self.lengths is not None:  # gathered examples have no lengths
            return _NEVER
        return self.index.numel() * self.steps * self.items[:1].numel() * self.items.element_size()

    def to(self, device: torch.device, dtype: torch.dtype) -> Windows:
        return replace(
            self,
            items=self.items.to(device, dtype),
            index=self.index.to(device),
            targets={name: value.to(device) for name, value in self.targets.items()},
            shift=self.shift.to(device, dtype),
            scale=self.scale.to(device, dtype),
            lengths=None if self.lengths is None else self.lengths.to(device),
            triads=self.triads.to(device),
        )
