"""Proposals from faiss (Douze et al. 2024, "The Faiss library"), made exact. Used only on request."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import numpy as np

from tenfold.errors import RequestError
from tenfold.retrieval._similarity import pair_scores, prepared

__all__ = ["Proposals", "search_with_faiss"]

_EPS = float(np.finfo(np.float32).eps)
_SMALLEST = float(np.finfo(np.float32).smallest_subnormal)
_QUERIES_AT_ONCE = 1024


class Proposals(NamedTuple):
    """The best k of each query, and whether rounding to float32 cannot have cost a better one.

    Attributes:
        indices, scores: shape (queries, k), as in ``Neighbours``.
        certain: booleans, shape (queries,).
    """

    indices: np.ndarray
    scores: np.ndarray
    certain: np.ndarray


def search_with_faiss(queries: np.ndarray, references: np.ndarray, *, k: int, similarity: str) -> Proposals:
    """faiss' flat index proposes more than k of them; scores and order are those of ``search``.

    Raises:
        RequestError: if faiss is not installed.
    """
    faiss = _faiss()
    n_queries, (n_references, d) = len(queries), references.shape
    # More than k, so that rounding seldom decides which are proposed.
    wide = min(n_references, 2 * k + 16)
    centre = references.mean(axis=0, dtype=np.float64) if similarity == "euclidean" else np.zeros(d)
    narrow = np.empty((n_references, d), np.float32)
    longest = 0.0
    for start in range(0, n_references, _QUERIES_AT_ONCE):
        part = prepared(references[start : start + _QUERIES_AT_ONCE], similarity) - centre
        longest = max(longest, float(np.sqrt(np.square(part).sum(axis=1)).max()))
        narrow[start : start + len(part)] = _float32(part)
    metric = faiss.METRIC_L2 if similarity == "euclidean" else faiss.METRIC_INNER_PRODUCT
    indices, scores = np.empty((n_queries, k), np.int64), np.empty((n_queries, k))
    certain = np.zeros(n_queries, bool)
    for start in range(0, n_queries, _QUERIES_AT_ONCE):
        part = prepared(queries[start : start + _QUERIES_AT_ONCE], similarity)
        rough, proposed = faiss.knn(_float32(part - centre), narrow, wide, metric=metric)  # both (queries, wide)
        # faiss gives -1 where it found nothing, as with distances that overflow.
        valid = (proposed >= 0).all(axis=1) & np.isfinite(rough).all(axis=1)
        proposed = np.where(proposed < 0, 0, proposed).astype(np.int64)
        proposed.sort(axis=1)
        exact = _exact_scores(part, references, proposed, similarity)
        order = np.argsort(-exact, axis=1, kind="stable")[:, :k]  # by index among equals: they are sorted by it
        here = slice(start, start + len(part))
        indices[here], scores[here] = np.take_along_axis(proposed, order, 1), np.take_along_axis(exact, order, 1)
        # A reference not proposed has a rough score no better than the worst proposed one. With the rounding of both,
        # is that still worse than the k-th?
        lengths = np.sqrt(np.square(part - centre).sum(axis=1))
        spread = (lengths + longest) ** 2 if similarity == "euclidean" else lengths * longest
        margin = 8 * (d + 8) * (_EPS * spread + _SMALLEST * (1 + lengths + longest))
        worst = -rough.max(axis=1) if similarity == "euclidean" else rough.min(axis=1)
        kth = scores[here, -1]
        kth = -np.square(kth) if similarity == "euclidean" else kth
        certain[here] = valid & ((wide == n_references) | (kth - margin > worst))
    return Proposals(indices, scores, certain)


def _exact_scores(queries: np.ndarray, references: np.ndarray, proposed: np.ndarray, similarity: str) -> np.ndarray:
    """Scores in float64 of what was proposed, shape as ``proposed``, a few queries at a time."""
    scores = np.empty(proposed.shape)
    step = max(1, (1 << 20) // (proposed.shape[1] * queries.shape[1]))
    for start in range(0, len(proposed), step):
        few = proposed[start : start + step]
        rows = np.repeat(np.arange(len(few)), few.shape[1])
        near = prepared(references[few.ravel()], similarity)
        found = pair_scores(queries[start : start + step], near, rows, np.arange(few.size), similarity=similarity)
        scores[start : start + step] = found.reshape(few.shape)
    return scores


def _float32(vectors: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # infinity: faiss' answer is then not certain
        return np.ascontiguousarray(vectors, np.float32)


def _faiss() -> Any:
    try:
        return importlib.import_module("faiss")
    except ImportError as problem:
        raise RequestError(
            "backend 'faiss' needs the package faiss-cpu, which is not installed: pip install 'tenfold[faiss]', "
            "or leave the backend out (the exact search needs nothing)"
        ) from problem
