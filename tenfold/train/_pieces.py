"""The numbers of every run as parameters of the optimiser: one vector, cut where a parameter has no gradient.

torch.optim leaves a parameter without a gradient as it is in that step: no momentum, no weight decay, and Adam does not
count the step for it. So a vector of many parameters is cut, where some of them take no part in a step, into pieces
that can be left out. Elementwise update rules do not care how a run is cut.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Pieces", "Span", "spans_without"]

Span = tuple[int, int]
"""First and last but one place in the vector of a run."""


def spans_without(gradients: Sequence[Tensor | None], sizes: Sequence[int]) -> list[Span]:
    """Where the parameters without a gradient are in the vector of a run, neighbours as one.

    Args:
        gradients: one for each parameter.
        sizes: numbers in each parameter.
    Example:
        >>> spans_without([torch.ones(2), None, None, torch.ones(1), None], [2, 3, 1, 1, 4])
        [(2, 6), (7, 11)]
    """
    spans: list[Span] = []
    start = 0
    for gradient, size in zip(gradients, sizes, strict=True):
        stop = start + size
        if gradient is None and size:
            first = spans.pop()[0] if spans and spans[-1][1] == start else start
            spans.append((first, stop))
        start = stop
    return spans


class Pieces:
    """The vectors of R runs, each in one piece at the beginning.

    Args:
        flat: the trainable numbers, (runs, numbers of one run); the pieces are views of it.
        gradient: of the same shape; what the optimiser reads, as far as it is not left out.
        sizes: numbers in each parameter of one run.
    Attributes:
        starts: of every run, where its pieces begin.
    """

    def __init__(self, flat: Tensor, gradient: Tensor, sizes: Sequence[int]) -> None:
        self.sizes = list(sizes)
        self._flat, self._gradient = flat.detach(), gradient
        self._stopped: set[int] = set()
        self._out: list[list[Span]] = [[] for _ in flat]
        self._of_runs = [[nn.Parameter(row)] for row in self._flat]
        self.starts = [[0] for _ in flat]
        for run in range(len(flat)):
            self._give(run)

    @property
    def whole(self) -> list[nn.Parameter]:
        """One vector for each run, before any is cut."""
        return [first for first, *_ in self._of_runs]

    def leave_out(self, optimiser: torch.optim.Optimizer, run: int, spans: list[Span]) -> None:
        """Update all of a run but these spans from now on; it is cut where it has to be. Of a stopped run nothing."""
        if spans == self._out[run] or run in self._stopped:
            return
        for place in {place for span in spans for place in span}:
            self.cut(optimiser, run, place)
        self._out[run] = spans
        self._give(run)

    def stop(self, run: int) -> None:
        """Update nothing of a run from now on."""
        self._stopped.add(run)
        self._give(run)

    def cut(self, optimiser: torch.optim.Optimizer, run: int, at: int) -> None:
        """Cut a run before place ``at``, if it is not; each piece takes its part of what the optimiser keeps."""
        starts = self.starts[run]
        if at in starts or at == self._flat.shape[1]:
            return
        index = bisect_right(starts, at) - 1
        whole, size = self._of_runs[run][index], at - starts[index]
        pieces = [nn.Parameter(whole.data[:size]), nn.Parameter(whole.data[size:])]
        for group in optimiser.param_groups:
            places = [place for place, parameter in enumerate(group["params"]) if parameter is whole]
            for place in places:
                group["params"][place : place + 1] = pieces
        kept = optimiser.state.pop(whole, {})
        for piece, part in zip(pieces, (slice(0, size), slice(size, None)), strict=True):
            if kept:
                optimiser.state[piece] = {name: _part(value, whole, part) for name, value in kept.items()}
        self._of_runs[run][index : index + 1] = pieces
        starts.insert(index + 1, at)
        self._give(run)

    def _give(self, run: int) -> None:
        """Give every piece its gradient, or none."""
        for start, piece in zip(self.starts[run], self._of_runs[run], strict=True):
            stop = start + len(piece)
            out = any(first <= start and stop <= last for first, last in self._out[run])
            piece.grad = None if out or run in self._stopped else self._gradient[run, start:stop]


def _part(value: Any, whole: Tensor, part: slice) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value[part].clone() if value.shape == whole.shape else value.clone()
