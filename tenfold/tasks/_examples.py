"""The examples of all runs on one device: shared items, and for each run which of them it uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Examples", "Inputs"]

Inputs = tuple[Tensor, ...]
"""What a module's forward takes, runs first: (runs, batch, ...) each."""


@dataclass(frozen=True)
class Examples:
    """One part (training, validation or test) of the data of several runs.

    Items are stored once, however many runs use them; a batch is a gather on the device.

    Args:
        items: shape (items, ...), whatever an example is made of.
        index: int64, shape (runs, examples) or (runs, examples, items of one example).
        targets: by name, each of shape (runs, examples, ...).
    """

    items: Tensor
    index: Tensor
    targets: dict[str, Tensor]
    _in_order: bool = False

    @property
    def n_runs(self) -> int:
        return self.index.shape[0]

    @property
    def n_examples(self) -> int:
        return self.index.shape[1]

    def batch(self, rows: Tensor) -> tuple[Inputs, dict[str, Tensor]]:
        """Inputs (runs, batch, ...) and targets (runs, batch, ...) of ``rows``, int64 of shape (runs, batch)."""
        run = torch.arange(self.n_runs, device=rows.device)[:, None]
        return self._inputs(self.index[run, rows], rows), self.targets_of(rows)

    def targets_of(self, rows: Tensor) -> dict[str, Tensor]:
        """Targets (runs, batch, ...) of ``rows``, int64 of shape (runs, batch)."""
        run = torch.arange(self.n_runs, device=rows.device)[:, None]
        return {name: value[run, rows] for name, value in self.targets.items()}

    def span(self, start: int, stop: int) -> tuple[Inputs, dict[str, Tensor]]:
        """Inputs and targets of examples ``start`` to ``stop`` of every run, in their own order."""
        targets = {name: value[:, start:stop] for name, value in self.targets.items()}
        if self._in_order:  # nothing to gather
            return (self.items.unflatten(0, self.index.shape)[:, start:stop],), targets
        rows = torch.arange(start, min(stop, self.n_examples), device=self.index.device).expand(self.n_runs, -1)
        return self._inputs(self.index[:, start:stop], rows), targets

    def of_runs(self, runs: Sequence[int]) -> Examples:
        """The same part for some of the runs (or some runs several times)."""
        chosen = torch.as_tensor(list(runs), dtype=torch.int64, device=self.index.device)
        return Examples(self.items, self.index[chosen], {name: value[chosen] for name, value in self.targets.items()})

    def gathered(self) -> Examples:
        """The same examples with the items of every run side by side, in order: (runs * examples, ...).

        Takes memory for each run, and reads it fast: examples scattered over a large data set come from other pages
        of memory each.
        """
        (items,), _ = self.span(0, self.n_examples)
        index = torch.arange(self.n_runs * self.n_examples, device=self.index.device).view(self.index.shape[:2])
        return Examples(items.flatten(0, 1), index, self.targets, True)

    @property
    def gathered_bytes(self) -> int:
        """What the items of ``gathered`` take."""
        return self.index.numel() * self.items[:1].numel() * self.items.element_size()

    def _inputs(self, index: Tensor, rows: Tensor) -> Inputs:
        """Inputs from the ``index`` of examples, (runs, batch, ...), which stand in these ``rows``, (runs, batch)."""
        del rows  # for kinds of examples that keep more than the index
        return (self._take(index),)

    def _take(self, index: Tensor) -> Tensor:
        # Not items[index], which copies number by number: twice as slow for images on a CPU.
        return self.items.index_select(0, index.flatten()).view(*index.shape, *self.items.shape[1:])

    def to(self, device: torch.device, dtype: torch.dtype) -> Examples:
        """On ``device``, floating-point items in ``dtype``."""
        items = self.items.to(device, dtype if self.items.is_floating_point() else None)
        targets = {name: value.to(device) for name, value in self.targets.items()}
        return Examples(items, self.index.to(device), targets, self._in_order)
