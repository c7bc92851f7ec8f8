"""The contrastive loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from tenfold.losses._distances import Distance, check, distance_matrix, of_other_classes, positive_distances

__all__ = ["contrastive_loss"]


def contrastive_loss(
    embeddings: Tensor, *, positive_margin: float | Tensor, margin: float | Tensor, distance: Distance
) -> Tensor:
    """Pairs of one class closer than ``positive_margin``, pairs of two classes farther than ``margin``; for one run.

    ``mean of max(0, d - positive_margin)`` over positive pairs plus ``mean of max(0, margin - d)`` over negative pairs,
    each over the pairs with a loss above 0; 0 if there is no such pair.

    Args:
        embeddings: (classes, images, dimension), of one run.
        positive_margin, margin: in units of the distance; floats or tensors of shape ().
        distance: "squared-euclidean", "euclidean" or "cosine" (1 - cosine similarity).
    Returns:
        Tensor: shape ().
    Raises:
        RequestError: for an unknown distance.
        ShapeError: if ``embeddings`` do not have three axes.
    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[[0.0], [2.0]], [[3.0], [3.0]]])
        >>> contrastive_loss(embeddings, positive_margin=0.5, margin=2.0, distance="euclidean")  # 1.5 + 1.0
        tensor(2.5000)

    Source: Hadsell et al. 2006, eq. 4, in the form of pytorch-metric-learning's ContrastiveLoss: hinges instead of
        their squares, and means over the pairs with a loss above 0.
    """
    check(embeddings, distance)
    classes, images, _ = embeddings.shape
    total = embeddings[:0].sum()
    if images > 1:
        positive = positive_distances(embeddings, distance)
        total = total + _mean_above_zero(F.relu(positive - _as(positive_margin, embeddings)))
    if classes > 1 and images > 0:
        batch = embeddings.flatten(0, 1)
        negative = F.relu(_as(margin, embeddings) - distance_matrix(batch, batch, distance))
        total = total + _mean_above_zero(negative * of_other_classes(classes, images, embeddings.device))
    return total


def _as(margin: float | Tensor, embeddings: Tensor) -> float | Tensor:
    return margin.to(embeddings) if isinstance(margin, Tensor) else margin


def _mean_above_zero(losses: Tensor) -> Tensor:
    return losses.sum() / (losses > 0).sum().clamp(min=1)
