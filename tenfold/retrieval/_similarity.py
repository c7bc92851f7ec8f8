"""How similar two embeddings are. For every similarity, a higher score means more similar."""

from __future__ import annotations

import numpy as np

from tenfold.errors import DataError, RequestError, nearest

__all__ = ["SIMILARITIES", "checked_similarity", "pair_scores", "prepared", "refuse_too_large"]

SIMILARITIES = ("cosine", "euclidean", "dot")
"""cosine of the angle (0 with a zero vector), minus the Euclidean distance, or the inner product."""

_LARGEST = 1e140
"""Squares of larger values, added up, could leave the range of float64."""

_VALUES_AT_ONCE = 1 << 18


def checked_similarity(similarity: str) -> str:
    """The name, or a RequestError with the nearest known one."""
    if similarity not in SIMILARITIES:
        raise RequestError(f"unknown similarity {similarity!r}; {nearest(str(similarity), SIMILARITIES)}")
    return similarity


def refuse_too_large(vectors: np.ndarray, similarity: str, *, name: str) -> None:
    """Raise where a square could overflow. A cosine cannot: vectors are scaled by their largest value first."""
    if similarity != "cosine" and vectors.dtype.kind == "f" and vectors.dtype.itemsize >= 8 and vectors.size:
        largest = max(float(vectors.max()), -float(vectors.min()))
        if largest > _LARGEST:
            raise DataError(f"{name}: values up to {_LARGEST:g} can be compared by '{similarity}'; got {largest:g}")


def prepared(vectors: np.ndarray, similarity: str) -> np.ndarray:
    """Vectors as ``pair_scores`` wants them: float64, and of length 1 for the cosine (a zero vector stays zero)."""
    vectors = np.ascontiguousarray(vectors, np.float64)
    if similarity != "cosine":
        return vectors
    # By the largest value first: neither 1e200 nor 1e-200 can then be squared into infinity or zero.
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    vectors = vectors / np.where(largest > 0, largest, 1)
    length = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    return vectors / np.where(length > 0, length, 1)


def pair_scores(
    queries: np.ndarray, references: np.ndarray, rows: np.ndarray, columns: np.ndarray, *, similarity: str
) -> np.ndarray:
    """Score of query ``rows[i]`` with reference ``columns[i]``, for every i.

    Each score is computed by itself, in the same order of additions: equal vectors have equal scores, to the last bit.
    A matrix product does not promise that; it adds up in another order at the edge of a block.

    Args:
        queries, references: as ``prepared`` gives them, shapes (queries, d) and (references, d).
        rows, columns: integers, shape (pairs,).
    Returns:
        float64, shape (pairs,).
    """
    scores = np.empty(len(rows))
    step = max(1, _VALUES_AT_ONCE // queries.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        first, second = queries[rows[part]], references[columns[part]]
        if similarity == "euclidean":
            scores[part] = 0.0 - np.sqrt(np.square(first - second).sum(axis=1))  # not -0.0
        else:
            scores[part] = (first * second).sum(axis=1)
    return scores.clip(-1, 1) if similarity == "cosine" else scores
