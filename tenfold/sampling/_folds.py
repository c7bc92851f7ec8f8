"""Folds of cross-validation, and groups drawn for a part: a division of items in which no group is cut."""

from __future__ import annotations

import torch
from torch import Tensor

from tenfold.seeds import generator

__all__ = ["draw_groups", "drawn_bounds", "fold_of_groups", "fold_of_items", "groups_drawn", "largest_fold"]


def fold_of_items(n_items: int, n_folds: int, *, repeat: int, seed: int) -> Tensor:
    """Which items are tested in this repeat: bool, shape (n_items,). N-fold cross-validation.

    Repeats 0 to N - 1 are the folds of one division, N to 2 N - 1 those of the next.
    """
    order = torch.randperm(n_items, generator=generator(seed, repeat // n_folds, "folds"))
    tested = torch.zeros(n_items, dtype=torch.bool)
    tested[order[repeat % n_folds :: n_folds]] = True
    return tested


def fold_of_groups(groups: Tensor, n_folds: int, *, repeat: int, seed: int) -> Tensor:
    """As ``fold_of_items``, but no group is divided: each in turn, the order drawn, joins the fold that is smallest by
    then. With as many folds as groups it is leave-one-group-out, in the order of the groups.

    Args:
        groups: of each item, int64, shape (items,), from 0.
    """
    sizes = groups.bincount()
    there = sizes.nonzero().flatten()
    if n_folds == len(there):
        return groups == there[repeat % n_folds]
    order = there[torch.randperm(len(there), generator=generator(seed, repeat // n_folds, "folds"))]
    fold = torch.zeros(len(sizes), dtype=torch.int64)
    filled = [0] * n_folds
    for group in order.tolist():
        at = min(range(n_folds), key=filled.__getitem__)
        fold[group] = at
        filled[at] += int(sizes[group])
    return fold[groups] == repeat % n_folds


def draw_groups(groups: Tensor, fraction: float, *, rng: torch.Generator) -> Tensor:
    """The items of a fraction of the groups, at least one group, drawn: bool, shape (items,)."""
    there = groups.unique()
    return torch.isin(groups, there[torch.randperm(len(there), generator=rng)[: groups_drawn(len(there), fraction)]])


def drawn_bounds(groups: Tensor, fraction: float) -> tuple[int, int]:
    """``draw_groups`` draws at least and at most so many items, whatever ``rng`` gives."""
    sizes = groups.bincount()
    sizes = sizes[sizes > 0].sort().values
    count = groups_drawn(len(sizes), fraction)
    return int(sizes[:count].sum()), int(sizes[-count:].sum())


def groups_drawn(n_groups: int, fraction: float) -> int:
    """How many groups ``draw_groups`` draws."""
    return max(1, round(n_groups * fraction))


def largest_fold(groups: Tensor | None, n_items: int, n_folds: int) -> int:
    """No fold has more items than this, whatever the seed."""
    if groups is None:
        return -(-n_items // n_folds)
    sizes = groups.bincount()
    if n_folds == int((sizes > 0).sum()):
        return int(sizes.max())
    # A fold takes a group while it is the smallest one, so it has at most the mean of the others by then.
    largest = int(sizes.max())
    return min(n_items, (n_items - largest) // n_folds + largest)
