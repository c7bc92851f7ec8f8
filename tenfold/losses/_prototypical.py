"""The loss of prototypical networks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold.errors import RequestError
from tenfold.losses._distances import Distance, check, distance_matrix

__all__ = ["prototypical_loss"]


def prototypical_loss(embeddings: Tensor, *, n_support: int, distance: Distance, scale: float | Tensor = 1.0) -> Tensor:
    """Cross-entropy of queries over ``-scale * distance`` to the mean embedding of each class; for one run.

    Args:
        embeddings: (classes, images, dimension), of one run: the mean of the first ``n_support`` images of each class
            is its prototype, the others are queries.
        n_support: shots of an episode, from 1 to images - 1.
        distance: "squared-euclidean" (as published), "euclidean" or "cosine" (1 - cosine similarity).
        scale: how fast the probability decreases with the distance; a float or a tensor of shape ().
    Returns:
        Tensor: shape (), in nats, mean over queries; 0 with a single class.
    Raises:
        RequestError: for an unknown distance, or an ``n_support`` that leaves no prototype or no query.
        ShapeError: if ``embeddings`` do not have three axes.
    Example:
        >>> embeddings = torch.tensor([[[0.0], [0.0]], [[1.0], [1.0]]])
        >>> prototypical_loss(embeddings, n_support=1, distance="squared-euclidean")  # log(1 + 1/e)
        tensor(0.3133)

    Source: Snell et al. 2017, eq. 1 and 2, algorithm 1.
    """
    check(embeddings, distance)
    classes, images, _ = embeddings.shape
    if not 1 <= n_support < images:
        raise RequestError(
            f"n_support: expected 1 to {images - 1}, so that a query is left of the {images} images of each class, "
            f"got {n_support}"
        )
    if isinstance(scale, Tensor):
        scale = scale.to(embeddings)
    prototypes = embeddings[:, :n_support].mean(1)
    queries = embeddings[:, n_support:].flatten(0, 1)  # (classes * queries, dimension)
    labels = torch.arange(classes, device=embeddings.device)[:, None].expand(classes, images - n_support).flatten()
    return F.cross_entropy(-scale * distance_matrix(queries, prototypes, distance), labels)
