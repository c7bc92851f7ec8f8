"""Which examples each training step takes: rows of one run's training part, one tensor per step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tenfold.errors import RequestError
from tenfold.recipe import Recipe
from tenfold.sampling._split import Split

__all__ = ["balanced", "shuffled", "streams"]


def shuffled(split: Split, recipe: Recipe, rng: torch.Generator) -> Sequence[Tensor]:
    """All examples of one run in random order, ``recipe.batch_size`` a step; the last batch may be smaller."""
    return torch.randperm(split.n_examples, generator=rng).split(recipe.batch_size)


def streams(split: Split, recipe: Recipe, rng: torch.Generator) -> Sequence[Tensor]:
    """The blocks of a split in their own order, for streams of which a state is carried from step to step."""
    assert split.blocks is not None
    return torch.arange(split.n_examples).split(split.blocks)


def balanced(classes: Tensor, n_classes: int, n_each: int, rng: torch.Generator) -> Sequence[Tensor]:
    """Batches of ``n_classes`` classes with ``n_each`` examples of each, class by class.

    As many batches as go through the examples once, about (where classes are of different sizes: through those of the
    largest classes).

    Args:
        classes: of the examples of one run, int64, shape (examples,); below 0 for what only fills up.
        n_classes, n_each: of a batch.
        rng: draws classes and examples.
    Raises:
        RequestError: if there are fewer classes, or a class has fewer examples, than a batch needs.
    """
    present, inverse, counts = classes.unique(return_inverse=True, return_counts=True)
    real = present >= 0
    counts = torch.where(real, counts, 0)
    if int(real.sum()) < n_classes:
        raise RequestError(f"a batch has {n_classes} classes, and {int(real.sum())} are there")
    candidates = real.nonzero().flatten()
    fewest = int(candidates[counts[candidates].argmin()])
    if int(counts[fewest]) < n_each:
        raise RequestError(
            f"a batch has {n_each} examples of each class, and class {int(present[fewest])} has {int(counts[fewest])}"
        )
    # Rows of each class side by side, padded: (classes, most examples of a class).
    table = torch.full((len(present), int(counts.max())), -1)
    place = _place_in_class(inverse)
    keep = real[inverse]
    table[inverse[keep], place[keep]] = torch.arange(len(classes))[keep]
    batches = []
    for _ in range(-(-len(classes) // (n_classes * n_each))):
        chosen = candidates[torch.randperm(len(candidates), generator=rng)[:n_classes]]
        rows = table[chosen]
        rank = torch.rand(rows.shape, generator=rng).masked_fill(rows < 0, 2.0).argsort(dim=1)
        batches.append(rows.gather(1, rank[:, :n_each]).flatten())
    return batches


def _place_in_class(inverse: Tensor) -> Tensor:
    """For each example, how many of its class come before it."""
    order = inverse.argsort(stable=True)
    ordered = inverse[order]
    first = torch.searchsorted(ordered, ordered)
    place = torch.empty_like(inverse)
    place[order] = torch.arange(len(inverse)) - first
    return place
