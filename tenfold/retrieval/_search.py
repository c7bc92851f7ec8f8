"""Exact nearest neighbours in bounded memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tenfold.errors import RequestError, ShapeError, nearest
from tenfold.retrieval._arrays import checked_count, embeddings_of
from tenfold.retrieval._faiss import search_with_faiss
from tenfold.retrieval._similarity import checked_similarity, pair_scores, prepared, refuse_too_large

__all__ = ["Neighbours", "search"]

_BACKENDS = ("exact", "faiss")
_PAIRS_AT_ONCE = 1 << 20
"""Queries times references whose scores are held at once: 8 MiB of float64."""
_LEAST_QUERIES = 128
"""With fewer at once than these, preparing the references again for each few would take longer than comparing them."""
_DEFAULT_BLOCK = 2048
_VALUES_IN_BLOCK = 1 << 21
"""Numbers in a block of references, 16 MiB of float64: embeddings of many dimensions come in smaller blocks."""
_EPS = float(np.finfo(np.float64).eps)
_TINY = 1e-300
"""Where products underflow, rounding is no longer relative to their size."""


class Neighbours(NamedTuple):
    """What ``search`` found.

    Attributes:
        indices: rows of the references, best first, int64, shape (queries, k).
        scores: how alike each is to its query, higher for more alike, float64, shape (queries, k).
    """

    indices: np.ndarray
    scores: np.ndarray


def search(
    queries: Any,
    references: Any,
    *,
    k: int,
    similarity: str = "cosine",
    block: int | None = None,
    backend: str = "exact",
) -> Neighbours:
    """The k references most alike to each query; among equals, the one with the smaller index goes first.

    Matrix products over blocks of references sort out what cannot be among the best k, with a bound on their rounding
    error; what is left is scored pair by pair in float64. So the answer is that of a loop over all pairs: it depends
    neither on ``block`` nor on the backend. Extra memory is bounded by the block and does not grow with the number of
    references, which may be a ``np.memmap``.

    Args:
        queries: shape (queries, d), finite real numbers; a NumPy array or a torch tensor.
        references: shape (references, d), at least one.
        k: how many to find for each query, from 1 to the number of references.
        similarity: "cosine" (0 with a zero vector), "euclidean" (the score is minus the distance), or "dot".
        block: references compared at once; by default 2048, or fewer where d is above 1024. Larger is not faster.
        backend: "exact", or "faiss" to let that library propose candidates (needs ``pip install 'tenfold[faiss]'``,
            and a float32 copy of the references). Queries it could be wrong about are searched again without it.
    Returns:
        Neighbours(indices, scores), best first, both of shape (queries, k).
    Raises:
        ShapeError: if one is not (n, d), or the two differ in d.
        DataError: if a value is NaN or infinite, or too large to be squared.
        RequestError: if there are no references, k is above their number, a name is unknown, or faiss is missing.
    Example:
        >>> found = search([[1.0, 0.1]], [[0.0, 1.0], [2.0, 0.0], [1.0, 1.0], [3.0, 0.0]], k=3)
        >>> found.indices
        array([[1, 3, 2]])
        >>> found.scores.round(3)
        array([[0.995, 0.995, 0.774]])
        >>> search([[1, 1]], [[4, 5], [1, 2]], k=1, similarity="euclidean").scores
        array([[-1.]])
    """
    checked_similarity(similarity)
    if backend not in _BACKENDS:
        raise RequestError(f"unknown backend {backend!r}; {nearest(str(backend), _BACKENDS)}")
    queries, references = embeddings_of(queries, name="queries"), embeddings_of(references, name="references")
    if queries.shape[1] != references.shape[1]:
        raise ShapeError(
            "queries and references must have the same number of dimensions; "
            f"got {queries.shape[1]} and {references.shape[1]}"
        )
    if len(references) == 0:
        raise RequestError("there is nothing to search: references is empty")
    if checked_count(k, name="k") > len(references):
        raise RequestError(f"k must be at most the number of references, {len(references)}; got {k}")
    for name, vectors in (("queries", queries), ("references", references)):
        refuse_too_large(vectors, similarity, name=name)
    if block is None:
        block = max(1, min(_DEFAULT_BLOCK, _VALUES_IN_BLOCK // queries.shape[1]))
    block = min(checked_count(block, name="block"), len(references))
    indices, scores = np.empty((len(queries), int(k)), np.int64), np.empty((len(queries), int(k)))
    left = np.arange(len(queries))
    if backend == "faiss" and len(queries):
        found = search_with_faiss(queries, references, k=int(k), similarity=similarity)
        left = np.flatnonzero(~found.certain)
        indices[found.certain], scores[found.certain] = found.indices[found.certain], found.scores[found.certain]
    step = max(_LEAST_QUERIES, _PAIRS_AT_ONCE // block)
    step = max(1, min(step, _PAIRS_AT_ONCE // int(k), _VALUES_IN_BLOCK // queries.shape[1]))
    for start in range(0, len(left), step):
        rows = left[start : start + step]
        best = _Best(len(rows), int(k))
        _search_rows(prepared(queries[rows], similarity), references, best, similarity=similarity, block=block)
        indices[rows], scores[rows] = best.indices, best.scores
    return Neighbours(indices, scores)


def _search_rows(queries: np.ndarray, references: np.ndarray, best: _Best, *, similarity: str, block: int) -> None:
    """All references for a few prepared queries, block by block."""
    n_queries, k = best.scores.shape
    for start in range(0, len(references), block):
        part = prepared(references[start : start + block], similarity)
        keys, margin = _rough_keys(queries, part, similarity)  # (queries, block), (queries,)
        floor = _least_key(best.scores[:, -1], similarity) - margin
        possible = keys >= floor[:, None]
        if np.count_nonzero(possible) > 2 * k * n_queries and k < len(part):
            # Little is known yet, or these are better than all before: only the best k of the block can matter.
            kth = np.partition(keys, len(part) - k, axis=1)[:, len(part) - k]
            possible = keys >= np.maximum(floor, kth - 2 * margin)[:, None]
        del keys
        rows, columns = np.divmod(np.flatnonzero(possible), len(part))  # several times faster than nonzero of two axes
        del possible
        best.offer(rows, columns + start, pair_scores(queries, part, rows, columns, similarity=similarity))
    best.settle()


def _rough_keys(queries: np.ndarray, part: np.ndarray, similarity: str) -> tuple[np.ndarray, np.ndarray]:
    """Keys in the order of the scores but for rounding: the score, or minus the squared distance; and the margin.

    The margin, one number per query, bounds the difference between a key and the one that belongs to the exact score.
    A sum of d products is off by at most d * eps / 2 times the lengths, in whichever order it is added up (Higham,
    Accuracy and Stability of Numerical Algorithms, 2002, section 3.1); the factor 4 leaves room for both sides,
    for the square root, and for taking the centre away.
    """
    rounding = 4 * (queries.shape[1] + 8) * _EPS
    if similarity != "euclidean":
        lengths = np.sqrt(np.square(queries).sum(axis=1)), np.sqrt(np.square(part).sum(axis=1))
        return queries @ part.T, rounding * lengths[0] * lengths[1].max() + _TINY
    # About the middle of the block: distances do not change, and embeddings far from 0 keep their digits.
    centre = part.mean(axis=0)
    queries, part = queries - centre, part - centre
    squares = np.square(queries).sum(axis=1), np.square(part).sum(axis=1)
    keys = queries @ part.T
    keys *= 2
    keys -= squares[0][:, None]
    keys -= squares[1]
    return keys, rounding * np.square(np.sqrt(squares[0]) + np.sqrt(squares[1].max())) + _TINY


def _least_key(scores: np.ndarray, similarity: str) -> np.ndarray:
    """The key of a score, rounded down."""
    return scores if similarity != "euclidean" else -np.square(scores) * (1 + 8 * _EPS)


class _Best:
    """The best k so far of each query. Candidates wait until there are enough of them to make sorting worth it."""

    def __init__(self, n_queries: int, k: int) -> None:
        self.scores = np.full((n_queries, k), -np.inf)
        self.indices = np.full((n_queries, k), np.iinfo(np.int64).max)
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def offer(self, rows: np.ndarray, indices: np.ndarray, scores: np.ndarray) -> None:
        """Candidates with indices above all that were offered before: equal to the k-th, they come too late."""
        better = scores > self.scores[rows, -1]
        if better.any():
            self._waiting.append((rows[better], indices[better], scores[better]))
        if sum(len(rows) for rows, _, _ in self._waiting) >= self.scores.size:
            self.settle()

    def settle(self) -> None:
        """Sort in what waits."""
        if not self._waiting:
            return
        n_queries, k = self.scores.shape
        new_rows, new_indices, new_scores = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
        self._waiting.clear()
        rows = np.concatenate([np.repeat(np.arange(n_queries), k), new_rows])
        indices = np.concatenate([self.indices.ravel(), new_indices])
        scores = np.concatenate([self.scores.ravel(), new_scores])
        order = np.lexsort((indices, -scores, rows))
        starts = np.searchsorted(rows[order], np.arange(n_queries))
        kept = order[starts[:, None] + np.arange(k)]  # (queries, k): every query has at least k entries
        self.scores, self.indices = scores[kept], indices[kept]
