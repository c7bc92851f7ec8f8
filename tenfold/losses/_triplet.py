"""The triplet loss, with several ways to choose negatives."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold.errors import RequestError, ShapeError, nearest
from tenfold.losses._distances import Distance, check, distance_matrix, of_other_classes, paired, positive_distances

__all__ = ["DRAWING", "MININGS", "Mining", "numbers_needed", "triplet_loss", "violating_fraction"]

Mining = Literal["random", "informative", "semi-hard", "hardest", "batch-hard", "all"]
MININGS: tuple[str, ...] = get_args(Mining)
DRAWING = ("random", "informative")  # those that need random numbers


def numbers_needed(classes: int, images: int) -> int:
    """How many random numbers a batch needs with a mining of ``DRAWING``: one for each ordered positive pair."""
    return classes * images * (images - 1)


def triplet_loss(
    embeddings: Tensor, *, margin: float | Tensor, mining: Mining, distance: Distance, numbers: Tensor | None = None
) -> Tensor:
    """Mean of ``max(0, margin + d(anchor, positive) - d(anchor, negative))`` over chosen triplets; for one run.

    The minings, what each chooses, and what the mean is over:

    * "random": for each positive pair a random image of another class; the mean is over all pairs, those with a loss of
      0 included.
    * "informative": for each positive pair a random one of the negatives that violate the margin,
      ``d(a, n) < d(a, p) + margin``; the mean is over the pairs that have one.
    * "semi-hard": for each positive pair the closest of the negatives that violate the margin and are farther than the
      positive; the mean is over the pairs that have one. (TensorFlow Addons uses the farthest negative of all for the
      other pairs.)
    * "hardest": for each positive pair the closest negative; the mean is over all pairs.
    * "batch-hard": for each anchor its farthest positive and closest negative; the mean is over all anchors.
    * "all": every triplet; the mean is over those with a loss above 0, because the many easy ones would make it vanish.

    No gradient passes through a choice. A batch without a triplet (also: one class, one image of each) gives loss 0 and
    gradients 0.

    Args:
        embeddings: (classes, images, dimension), of one run.
        margin: in units of the distance; a float, or a tensor of shape (), which may differ between runs.
        mining: see above.
        distance: "squared-euclidean", "euclidean" or "cosine" (1 - cosine similarity).
        numbers: ``numbers_needed`` uniform random numbers in [0, 1): for the pairs of each image with the other images
            of its class in order, shape (classes, images, images - 1) or flat. Only for "random" and "informative".
    Returns:
        Tensor: shape ().
    Raises:
        RequestError: for an unknown mining or distance, and if ``numbers`` are needed but missing.
        ShapeError: if ``embeddings`` do not have three axes, or there are more or fewer numbers than needed.
    Example:
        >>> from tenfold.seeds import uniform
        >>> embeddings = torch.tensor([[[0.0, 0.0], [0.0, 1.0]], [[3.0, 0.0], [3.0, 1.0]]])
        >>> triplet_loss(embeddings, margin=9.0, mining="hardest", distance="squared-euclidean")
        tensor(1.)
        >>> numbers = uniform(torch.tensor(7), torch.tensor(0), numbers_needed(2, 2))  # of a key and a step
        >>> triplet_loss(embeddings, margin=9.0, mining="informative", distance="squared-euclidean", numbers=numbers)
        tensor(1.)

    Source: Schroff et al. 2015 (FaceNet), eq. 2 to 4; "batch-hard" and the mean over losses above 0: Hermans et al.
        2017, eq. 5 and section 3.2.
    """
    check(embeddings, distance)
    classes, images, _ = embeddings.shape
    if mining not in MININGS:
        raise RequestError(f"unknown mining '{mining}'; {nearest(mining, MININGS)}")
    if mining in DRAWING:
        _check_numbers(numbers, classes, images, mining)
    if classes < 2 or images < 2:
        return embeddings[:0].sum()
    if isinstance(margin, Tensor):
        margin = margin.to(embeddings)
    batch = embeddings.flatten(0, 1)
    positive = positive_distances(embeddings, distance).flatten(0, 1)  # (batch, images - 1)
    other = of_other_classes(classes, images, embeddings.device)
    if mining == "all":
        return _over_all(batch, positive, other, margin, distance)
    if mining == "batch-hard":
        positive = positive.max(1, keepdim=True).values  # (batch, 1)
    if mining == "random":
        assert numbers is not None
        chosen, exists = _any_negative(numbers.reshape(positive.shape), classes, images), None
    else:
        near = distance_matrix(batch.detach(), batch.detach(), distance).masked_fill(~other, math.inf)
        chosen, exists = _mine(near, positive.detach(), margin, mining, numbers)
    # The backward pass of an embedding lookup is deterministic. That of gather is not on a GPU: see the list in
    # torch.use_deterministic_algorithms.
    negatives = F.embedding(chosen, batch)  # (batch, images - 1 or 1, dimension)
    losses = F.relu(positive + margin - paired(batch[:, None], negatives, distance))
    if exists is None:
        return losses.mean()
    # Multiplied by 0 rather than masked: the NaN of a diverged run must remain NaN.
    return (losses * exists).sum() / exists.sum().clamp(min=1)


def violating_fraction(embeddings: Tensor, *, margin: float | Tensor, distance: Distance) -> Tensor:
    """Fraction of all triplets of a batch that violate the margin, for curves: 0 where every loss is 0.

    Args:
        embeddings, margin, distance: see ``triplet_loss``.
    Returns:
        Tensor: shape (), from 0 to 1, without gradient; 0 if there is no triplet.
    Raises:
        RequestError, ShapeError: see ``triplet_loss``.
    """
    check(embeddings, distance)
    embeddings = embeddings.detach()
    classes, images, _ = embeddings.shape
    if classes < 2 or images < 2:
        return embeddings[:0].sum()
    batch = embeddings.flatten(0, 1)
    near = distance_matrix(batch, batch, distance)
    near = near.masked_fill(~of_other_classes(classes, images, batch.device), math.inf)
    positive = positive_distances(embeddings, distance).flatten(0, 1)
    count = _violating(near, positive, margin).sum()
    return count.to(batch.dtype) / (numbers_needed(classes, images) * (classes - 1) * images)


def _check_numbers(numbers: Tensor | None, classes: int, images: int, mining: str) -> None:
    if numbers is None:
        raise RequestError(
            f"mining '{mining}' needs numbers: one uniform random number for each ordered positive pair, shape "
            f"{(classes, images, images - 1)}; see tenfold.seeds.uniform"
        )
    if numbers.numel() != numbers_needed(classes, images):
        raise ShapeError(
            f"expected {numbers_needed(classes, images)} numbers, shape {(classes, images, images - 1)} or flat, "
            f"got {tuple(numbers.shape)}"
        )


def _violating(near: Tensor, positive: Tensor, margin: float | Tensor) -> Tensor:
    """Which negatives violate the margin of which positive pair: bool, (batch, images - 1, batch)."""
    return near[:, None] < (positive + margin)[..., None]


def _count_type(batch: int) -> torch.dtype:
    """The dtype for counts up to the batch size: the largest arrays here hold counts, so a small dtype saves memory."""
    return torch.int16 if batch < 2**15 else torch.int32


def _over_all(batch: Tensor, positive: Tensor, other: Tensor, margin: float | Tensor, distance: str) -> Tensor:
    """The mean over all triplets with a loss above 0.

    How many times each distance occurs is a constant, so the gradient needs (batch, batch) numbers and no triplets.
    """
    every = distance_matrix(batch, batch, distance)
    violating = _violating(every.detach().masked_fill(~other, math.inf), positive.detach(), margin)
    count = _count_type(len(batch))
    violating = violating.to(count)
    as_positive = violating.sum(2, dtype=count)  # (batch, images - 1)
    as_negative = violating.sum(1, dtype=count)  # (batch, batch)
    total = ((positive + margin) * as_positive).sum() - (every * as_negative).sum()
    return total / as_positive.sum().clamp(min=1)


def _any_negative(numbers: Tensor, classes: int, images: int) -> Tensor:
    """An image of another class for each number, int64: [0, 1) is divided equally among the images of other classes."""
    others = (classes - 1) * images
    position = (numbers * others).long().clamp(max=others - 1)
    first = torch.arange(classes, device=numbers.device)[:, None].expand(classes, images).flatten() * images
    return position + images * (position >= first[:, None])  # skips the own class


def _mine(
    near: Tensor, positive: Tensor, margin: float | Tensor, mining: str, numbers: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """The negative for each positive pair, int64 (batch, images - 1 or 1), and whether there is one (None: always).

    Args:
        near: distances to negatives, (batch, batch); infinite within a class.
        positive: (batch, images - 1).
    """
    if mining in ("hardest", "batch-hard"):
        return near.argmin(1, keepdim=True), None
    violating = _violating(near, positive, margin)
    if mining == "semi-hard":
        farther = violating & (near[:, None] > positive[..., None])
        nearest_one = torch.where(farther, near[:, None], math.inf).min(2)
        return nearest_one.indices, nearest_one.values < math.inf
    assert numbers is not None
    # One random number per pair, not per candidate: the k-th violating negative is where the running count exceeds k.
    counts = violating.cumsum(2, dtype=_count_type(len(near)))
    total = counts[..., -1]
    # -1 if there is no violating negative: finds the first position.
    kth = torch.minimum((numbers.reshape(total.shape) * total).to(total.dtype), total - 1)
    return torch.searchsorted(counts, kth[..., None], right=True).squeeze(-1), total > 0
