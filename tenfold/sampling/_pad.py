"""Rows of runs that have different numbers of examples, as one table."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["padded"]


def padded(rows: Sequence[Tensor], length: int) -> tuple[Tensor, Tensor | None]:
    """Rows of every run, filled up with row 0 to equal length, and which of them are real.

    Args:
        rows: one tensor per run, int64, shape (examples of the run, ...).
        length: of the table; at least that of the longest run.
    Returns:
        (Tensor, Tensor | None): int64 (runs, length, ...); bool (runs, length), None where nothing was filled up.
    Example:
        >>> padded([torch.tensor([4, 5]), torch.tensor([6])], 2)
        (tensor([[4, 5],
                [6, 0]]), tensor([[ True,  True],
                [ True, False]]))
    """
    index = torch.zeros(len(rows), length, *rows[0].shape[1:], dtype=torch.int64)
    valid = torch.zeros(len(rows), length, dtype=torch.bool)
    for run, own in enumerate(rows):
        index[run, : len(own)] = own
        valid[run, : len(own)] = True
    return index, None if bool(valid.all()) else valid
