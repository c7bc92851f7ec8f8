"""Distances between embeddings, with finite gradients everywhere."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from tenfold.errors import RequestError, ShapeError, nearest

__all__ = ["DISTANCES", "Distance", "check", "distance_matrix", "of_other_classes", "paired", "positive_distances"]

Distance = Literal["squared-euclidean", "euclidean", "cosine"]
DISTANCES: tuple[str, ...] = get_args(Distance)


def check(embeddings: Tensor, distance: str) -> None:
    """Check the arguments that all losses have in common; raises as documented there."""
    if distance not in DISTANCES:
        raise RequestError(f"unknown distance '{distance}'; {nearest(distance, DISTANCES)}")
    if embeddings.dim() != 3:
        raise ShapeError(
            "expected embeddings of shape (classes, images, dimension) with equally many images of each class, "
            f"got {tuple(embeddings.shape)}"
        )


def paired(first: Tensor, second: Tensor, distance: str) -> Tensor:
    """Distances between corresponding embeddings: (..., dimension) twice, broadcast, to (...).

    Computed from the differences, so that small distances are accurate. Equal embeddings have distance 0 with gradient
    0.
    """
    if distance == "cosine":
        return 1 - (_unit(first) * _unit(second)).sum(-1)
    difference = first - second
    squares = (difference * difference).sum(-1)
    return squares if distance == "squared-euclidean" else _root(squares)


def distance_matrix(first: Tensor, second: Tensor, distance: str) -> Tensor:
    """All distances between two sets of embeddings by one matrix product: (n, dimension), (m, dimension) to (n, m).

    ``|a|^2 + |b|^2 - 2ab`` cancels digits where the norms are large, so the mean of ``second`` is subtracted first:
    distances do not change, and the norms become as small as the spread of the embeddings. Values below 0, which are
    rounding errors, are set to 0.
    """
    if distance == "cosine":
        return 1 - _unit(first) @ _unit(second).T
    centre = second.detach().mean(0)
    first, second = first - centre, second - centre
    sums = (first * first).sum(-1)[:, None] + (second * second).sum(-1)  # (n, m)
    squares = (sums - 2 * (first @ second.T)).clamp(min=0)
    return squares if distance == "squared-euclidean" else _root(squares)


def positive_distances(embeddings: Tensor, distance: str) -> Tensor:
    """Distances within classes: (classes, images, dimension) to (classes, images, images - 1).

    The last axis is the other images of the class, in their order.
    """
    images = embeddings.shape[1]
    every = paired(embeddings[:, :, None], embeddings[:, None], distance)  # (classes, images, images)
    # From the second number on, in rows of images + 1: every diagonal number is the last of its row and is cut off.
    rows = every.flatten(1)[:, 1:].unflatten(1, (images - 1, images + 1))[..., :-1]
    return rows.reshape(-1, images, images - 1)


def of_other_classes(classes: int, images: int, device: torch.device) -> Tensor:
    """Which images of a batch are of another class: bool, shape (batch, batch)."""
    labels = torch.arange(classes, device=device)[:, None].expand(classes, images).flatten()
    return labels[:, None] != labels


def _root(squares: Tensor) -> Tensor:
    """Square roots with gradient 0 at 0, where autograd would give NaN."""
    zero = squares == 0
    return squares.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)


def _unit(embeddings: Tensor) -> Tensor:
    """Embeddings scaled to length 1. One of length 0 is unchanged: its cosine similarity to all is 0."""
    squares = (embeddings * embeddings).sum(-1, keepdim=True)
    return embeddings / squares.masked_fill(squares == 0, 1).sqrt()
