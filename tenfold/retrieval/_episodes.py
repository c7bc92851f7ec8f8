"""Many small searches at once: in each episode, the examples by similarity to a query, and where the right one is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tenfold.errors import DataError, ShapeError
from tenfold.retrieval._similarity import checked_similarity

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EpisodeRanks", "episode_ranks"]

_VALUES_AT_ONCE = 1 << 21
"""Products held at once: 16 MiB of float64."""


class EpisodeRanks(NamedTuple):
    """What ``episode_ranks`` found; int64, NumPy for NumPy and a tensor on the same device for a tensor.

    Attributes:
        order: examples best first, shape (..., queries, examples).
        right_place: place of the right example in ``order``, 0 for the best, shape (..., queries).
    """

    order: Any
    right_place: Any


def episode_ranks(
    query_embeddings: Any, example_embeddings: Any, right: Any, *, similarity: str = "cosine"
) -> EpisodeRanks:
    """The order of the examples of an episode for each of its queries, and the place of the right one.

    Ties never favour a network: the right example goes after all that score the same, and an example whose score is
    NaN or infinite goes last, after the others if it is the right one. A run whose embeddings are constant or NaN has
    every right example in the last place. Scores are computed in float64, pair by pair, so that equal embeddings have
    equal scores; among other equals the smaller index goes first.

    Args:
        query_embeddings: shape (..., queries, d), any leading axes, such as (runs, episodes); a tensor or an array.
        example_embeddings: shape (..., examples, d), the same leading axes.
        right: index of the right example of each query, from 0, shape (..., queries); leading axes of the embeddings
            may be left out or of length 1, as where all runs see the same episodes.
        similarity: "cosine" (0 with a zero vector), "euclidean" or "dot".
    Returns:
        EpisodeRanks(order, right_place); ``(right_place == 0)`` averaged over queries is the accuracy. Tensors if the
        queries are one. Nothing of it is differentiable.
    Raises:
        ShapeError: if shapes do not fit, or there is no example.
        DataError: if ``right`` holds no integers or an index out of range, or embeddings are not real numbers.
        RequestError: for an unknown similarity.
    Example:
        >>> examples = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> ranks = episode_ranks(np.array([[0.9, 0.1], [0.1, 0.8]]), examples, np.array([0, 2]))
        >>> ranks.order
        array([[0, 2, 1],
               [1, 2, 0]])
        >>> ranks.right_place
        array([0, 1])
    """
    import torch  # on first use: searching and matching need only NumPy

    checked_similarity(similarity)
    as_tensors = isinstance(query_embeddings, torch.Tensor)
    with torch.no_grad():
        queries = _tensor(query_embeddings, "query_embeddings")
        examples = _tensor(example_embeddings, "example_embeddings").to(queries.device)
        wanted = _checked_right(right, queries, examples)
        scores = _scores(_prepared(queries, similarity), _prepared(examples, similarity), similarity)
        scores = torch.where(scores.isfinite(), scores, -torch.inf)  # (..., queries, examples)
        is_right = torch.arange(scores.shape[-1], device=scores.device) == wanted[..., None]
        # Two stable sorts: the right one to the end, then by score, which keeps it behind its equals.
        behind = is_right.to(torch.uint8).argsort(dim=-1, stable=True)
        best_first = scores.gather(-1, behind).argsort(dim=-1, descending=True, stable=True)
        order = behind.gather(-1, best_first)
        right_place = (scores >= scores.gather(-1, wanted[..., None])).sum(dim=-1) - 1
    return EpisodeRanks(order, right_place) if as_tensors else EpisodeRanks(order.numpy(), right_place.numpy())


def _tensor(values: Any, name: str) -> Tensor:
    import torch

    if not isinstance(values, torch.Tensor):
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise DataError(f"{name}: embeddings must be real numbers; got {array.dtype}")
        values = torch.from_numpy(array.astype(np.float64))
    if values.is_complex():
        raise DataError(f"{name}: embeddings must be real numbers; got {values.dtype}")
    return values.to(torch.float64)


def _checked_right(right: Any, queries: Tensor, examples: Tensor) -> Tensor:
    """The index of the right example of every query, shape (..., queries), after a check of all shapes."""
    import torch

    shapes = f"{tuple(queries.shape)} and {tuple(examples.shape)}"
    fits = queries.ndim >= 2 and examples.ndim == queries.ndim
    if not fits or queries.shape[:-2] != examples.shape[:-2] or queries.shape[-1] != examples.shape[-1]:
        raise ShapeError(
            "expected query_embeddings (..., queries, d) and example_embeddings (..., examples, d) with the same "
            f"leading axes and the same d; got {shapes}"
        )
    if 0 in (examples.shape[-2], examples.shape[-1]):
        raise ShapeError(f"an episode needs an example, and an embedding a dimension; got {shapes}")
    wanted = right if isinstance(right, torch.Tensor) else torch.as_tensor(np.asarray(right))
    if wanted.is_floating_point() or wanted.is_complex() or wanted.dtype == torch.bool:
        raise DataError(f"right: expected integers, the index of the right example; got {wanted.dtype}")
    try:
        wanted = wanted.to(queries.device, torch.int64).expand(queries.shape[:-1])
    except RuntimeError as problem:
        raise ShapeError(
            f"right: expected the shape of the queries without d, {tuple(queries.shape[:-1])}, or fewer leading axes; "
            f"got {tuple(wanted.shape)}"
        ) from problem
    if wanted.numel() and not 0 <= int(wanted.min()) <= int(wanted.max()) < examples.shape[-2]:
        low, high = int(wanted.min()), int(wanted.max())
        raise DataError(f"right: must lie in 0..{examples.shape[-2] - 1}, the examples; got {low} to {high}")
    return wanted


def _prepared(vectors: Tensor, similarity: str) -> Tensor:
    """Of length 1 for the cosine; a zero vector stays zero, NaN stays NaN."""
    if similarity != "cosine":
        return vectors
    largest = vectors.abs().amax(dim=-1, keepdim=True)
    vectors = vectors / largest.where(largest != 0, 1)
    length = vectors.square().sum(dim=-1, keepdim=True).sqrt()
    return vectors / length.where(length != 0, 1)


def _scores(queries: Tensor, examples: Tensor, similarity: str) -> Tensor:
    """Score of every query with every example of its episode, shape (..., queries, examples).

    No matrix product: it adds up in another order at the edge of a block, and equal examples would differ in the last
    bit. A few episodes or queries at a time, since each pair takes d products.
    """
    n_queries, n_examples, d = *queries.shape[-2:-1], *examples.shape[-2:]
    n_episodes = math.prod(queries.shape[:-2])
    scores = queries.new_empty(*queries.shape[:-1], n_examples)
    queries, examples = queries.reshape(n_episodes, n_queries, d), examples.reshape(n_episodes, n_examples, d)
    flat = scores.view(n_episodes, n_queries, n_examples)
    few_queries = max(1, _VALUES_AT_ONCE // (n_examples * d))
    few_episodes = max(1, few_queries // max(1, n_queries))
    for episode in range(0, n_episodes, few_episodes):
        second = examples[episode : episode + few_episodes, None]  # (episodes, 1, examples, d)
        for query in range(0, n_queries, few_queries):
            here = slice(episode, episode + few_episodes), slice(query, query + few_queries)
            first = queries[here][:, :, None]  # (episodes, queries, 1, d)
            if similarity == "euclidean":
                flat[here] = -(first - second).square_().sum(dim=-1).sqrt_()
            else:
                flat[here] = (first * second).sum(dim=-1)
    return scores.clamp_(-1, 1) if similarity == "cosine" else scores
