"""How good a ranking of references is, under the names that pytorch-metric-learning uses.

Each score looks at one row of references a query, best first, and at which of them are relevant: have its label. R is
the number of relevant references of a query; a query with none is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from tenfold.datasets import as_array
from tenfold.errors import DataError, RequestError, ShapeError
from tenfold.retrieval._arrays import checked_count, embeddings_of, labels_of, refuse_other_lengths
from tenfold.retrieval._search import search

__all__ = [
    "SCORES",
    "RetrievalScore",
    "mean_average_precision",
    "mean_average_precision_at_r",
    "order_of",
    "precision_at_1",
    "r_precision",
    "retrieval_scores",
    "top_k_accuracy",
]


# eq=False: comparing two arrays with == has no single answer.
@dataclass(frozen=True, eq=False)
class RetrievalScore:
    """A score, from 0 to 1.

    Attributes:
        value: mean over the queries that have a relevant reference; NaN where none has.
        per_query: float64, shape (queries,); NaN for a query that was left out.
        n_queries: how many queries the mean is over.
        n_left_out: how many have no relevant reference.
    """

    value: float
    per_query: np.ndarray
    n_queries: int
    n_left_out: int

    def __float__(self) -> float:
        return self.value


def order_of(distances: Any, *, k: int | None = None) -> np.ndarray:
    """The order of references by distance, as the scores take it; among equals the smaller index goes first.

    Args:
        distances: shape (queries, references), smaller is better; pass ``-similarity`` for a similarity.
        k: how many columns to keep; all if None.
    Returns:
        int64, shape (queries, k).
    Raises:
        ShapeError: if there are not two axes.
        DataError: if a distance is NaN or not a real number.
        RequestError: if k is impossible.
    Example:
        >>> order_of([[0.3, 0.1, 0.3]])
        array([[1, 0, 2]])
    """
    array = as_array(distances)
    if array.ndim != 2:
        raise ShapeError(f"expected distances of shape (queries, references); got shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise DataError(f"distances must be real numbers; got {array.dtype}")
    missing = np.isnan(array)
    if missing.any():
        row, column = np.argwhere(missing)[0]
        raise DataError(f"distances must not be NaN; query {row} and reference {column} hold one")
    columns = array.shape[1] if k is None else checked_count(k, name="k")
    if columns > array.shape[1]:
        raise RequestError(f"k must be at most the number of references, {array.shape[1]}; got {k}")
    return np.argsort(array, axis=1, kind="stable")[:, :columns].astype(np.int64)


def precision_at_1(
    order: Any, query_labels: Any, reference_labels: Any = None, *, ref_includes_query: bool = False
) -> RetrievalScore:
    """Whether the first reference is relevant.

    Args:
        order: rows of the references, best first, integers of shape (queries, k): ``search(...).indices`` or
            ``order_of(distances)``.
        query_labels: shape (queries,), integers or text.
        reference_labels: shape (references,), of the same kind; None where the references are the queries, which sets
            ``ref_includes_query``.
        ref_includes_query: the first references are the queries themselves, in their order. A query is then not its
            own reference: it is taken out of its row (or the last column is, where it is not among the k: search for
            one more than is needed).
    Returns:
        RetrievalScore, from 0 to 1.
    Raises:
        ShapeError: if shapes or lengths do not fit.
        DataError: if an index is out of range or twice in a row, or labels are of the wrong kind.
        RequestError: if ``order`` has too few columns.
    Example:
        >>> precision_at_1([[0, 1], [1, 0], [0, 1]], ["a", "a", "c"], ["a", "b"])
        RetrievalScore(value=0.5, per_query=array([ 1.,  0., nan]), n_queries=2, n_left_out=1)
    """
    relevant, counts = _relevance(order, query_labels, reference_labels, ref_includes_query)
    _need_columns(relevant, 1, "precision_at_1")
    return _score(relevant[:, 0].astype(np.float64), counts)


def top_k_accuracy(
    order: Any, query_labels: Any, reference_labels: Any = None, *, k: int, ref_includes_query: bool = False
) -> RetrievalScore:
    """Whether a relevant reference is among the first k; called recall at k in many papers.

    Arguments, result and errors as for ``precision_at_1``, and a RequestError where ``order`` has fewer than k columns.

    Example:
        >>> order, labels, references = [[0, 1], [1, 0]], ["a", "a"], ["a", "b"]
        >>> [top_k_accuracy(order, labels, references, k=k).value for k in (1, 2)]
        [0.5, 1.0]
    """
    relevant, counts = _relevance(order, query_labels, reference_labels, ref_includes_query)
    _need_columns(relevant, checked_count(k, name="k"), f"top_k_accuracy with k={k}")
    return _score(np.any(relevant[:, :k], axis=1).astype(np.float64), counts)


def r_precision(
    order: Any, query_labels: Any, reference_labels: Any = None, *, ref_includes_query: bool = False
) -> RetrievalScore:
    """Share of relevant references among the first R.

    Arguments, result and errors as for ``precision_at_1``, and a RequestError where ``order`` has fewer columns than
    the largest R.

    Example:
        >>> r_precision([[0, 1, 2]], [7], [7, 5, 7]).value  # R is 2
        0.5

    Source: Musgrave, Belongie, Lim 2020, "A Metric Learning Reality Check" (ECCV).
    """
    relevant, counts = _relevance(order, query_labels, reference_labels, ref_includes_query)
    _need_columns(relevant, counts.max(initial=0), "r_precision", "the largest number of relevant references")
    return _score(_at_r(relevant, counts).sum(axis=1) / np.maximum(counts, 1), counts)


def mean_average_precision_at_r(
    order: Any, query_labels: Any, reference_labels: Any = None, *, ref_includes_query: bool = False
) -> RetrievalScore:
    """Precision at each relevant one of the first R references, added up and divided by R.

    Arguments, result and errors as for ``r_precision``.

    Example:
        >>> mean_average_precision_at_r([[0, 1, 2]], [7], [5, 7, 7]).value  # second of two: (0 + 1/2) / 2
        0.25

    Source: Musgrave, Belongie, Lim 2020, "A Metric Learning Reality Check" (ECCV).
    """
    relevant, counts = _relevance(order, query_labels, reference_labels, ref_includes_query)
    name = "mean_average_precision_at_r"
    _need_columns(relevant, counts.max(initial=0), name, "the largest number of relevant references")
    return _score(_summed_precision(_at_r(relevant, counts)) / np.maximum(counts, 1), counts)


def mean_average_precision(
    order: Any, query_labels: Any, reference_labels: Any = None, *, ref_includes_query: bool = False
) -> RetrievalScore:
    """Precision at each relevant reference, added up and divided by R.

    Arguments, result and errors as for ``precision_at_1``. What is not among the columns of ``order`` counts as not
    found: the score is that of information retrieval where ``order`` holds all references, and smaller otherwise.
    pytorch-metric-learning with ``k="max_bin_count"`` looks at as many columns as the largest R.

    Example:
        >>> round(mean_average_precision([[0, 1, 2]], [7], [5, 7, 7]).value, 4)  # (1/2 + 2/3) / 2
        0.5833
    """
    relevant, counts = _relevance(order, query_labels, reference_labels, ref_includes_query)
    _need_columns(relevant, 1, "mean_average_precision")
    return _score(_summed_precision(relevant) / np.maximum(counts, 1), counts)


SCORES: MappingProxyType[str, Callable[..., RetrievalScore]] = MappingProxyType(
    {
        "precision_at_1": precision_at_1,
        "r_precision": r_precision,
        "mean_average_precision_at_r": mean_average_precision_at_r,
        "mean_average_precision": mean_average_precision,
    }
)
"""Every score that needs no further number, by name; ``top_k_accuracy`` needs its k."""


def retrieval_scores(
    queries: Any,
    query_labels: Any,
    references: Any = None,
    reference_labels: Any = None,
    *,
    ref_includes_query: bool = False,
    top_k: Iterable[int] = (),
    similarity: str = "cosine",
    block: int | None = None,
    backend: str = "exact",
) -> dict[str, RetrievalScore]:
    """Search and all scores in one call, as pytorch-metric-learning's AccuracyCalculator with ``k="max_bin_count"``.

    Args:
        queries: embeddings, shape (queries, d).
        query_labels: shape (queries,).
        references, reference_labels: what to search; None for both: the queries, each among all others.
        ref_includes_query: as for ``precision_at_1``.
        top_k: numbers k for which to add "top_<k>_accuracy".
        similarity, block, backend: as for ``search``.
    Returns:
        A dict from name to RetrievalScore.
    Raises:
        As ``search`` and the scores.
    Example:
        >>> scores = retrieval_scores([[0.0], [0.1], [5.0], [5.2]], list("aabb"), similarity="euclidean", top_k=[2])
        >>> {name: float(score) for name, score in scores.items()}["mean_average_precision_at_r"]
        1.0
        >>> list(scores)
        ['precision_at_1', 'r_precision', 'mean_average_precision_at_r', 'mean_average_precision', 'top_2_accuracy']
    """
    if (references is None) != (reference_labels is None):
        raise RequestError("pass references and reference_labels together, or neither to search among the queries")
    queries = embeddings_of(queries, name="queries")
    if references is None:
        references, reference_labels, ref_includes_query = queries, query_labels, True
    references = embeddings_of(references, name="references")
    query_labels = labels_of(query_labels, name="query_labels")
    reference_labels = labels_of(reference_labels, name="reference_labels")
    refuse_other_lengths(queries=queries, query_labels=query_labels)
    refuse_other_lengths(references=references, reference_labels=reference_labels)
    top_k = [checked_count(k, name="top_k") for k in top_k]
    counts = _relevant_counts(query_labels, reference_labels, ref_includes_query)
    # Not more columns than AccuracyCalculator takes for mean_average_precision, which depends on it.
    at_r = max(1, int(counts.max(initial=0)))
    own = int(ref_includes_query)
    n_references = len(references) - own
    if n_references < 1:
        raise RequestError(f"there is nothing to search: {len(references)} references" + ", the query itself" * own)
    if max(top_k, default=1) > n_references:
        raise RequestError(f"top_k must be at most the number of references, {n_references}; got {max(top_k)}")
    found = search(
        queries, references, k=max([at_r, *top_k]) + own, similarity=similarity, block=block, backend=backend
    )

    def columns(k: int) -> np.ndarray:
        return found.indices[:, : k + own]

    labels = (query_labels, reference_labels)
    scores = {
        name: score(columns(at_r), *labels, ref_includes_query=ref_includes_query) for name, score in SCORES.items()
    }
    for k in top_k:
        name = f"top_{k}_accuracy"
        scores[name] = top_k_accuracy(columns(k), *labels, k=k, ref_includes_query=ref_includes_query)
    return scores


def _relevance(
    order: Any, query_labels: Any, reference_labels: Any, ref_includes_query: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Which reference at which place is relevant, booleans (queries, k); and R, shape (queries,)."""
    query_labels = labels_of(query_labels, name="query_labels")
    if reference_labels is None:
        reference_labels, ref_includes_query = query_labels, True
    reference_labels = labels_of(reference_labels, name="reference_labels")
    order = _checked_order(order, len(reference_labels))
    refuse_other_lengths(**{"rows of order": order, "query_labels": query_labels})
    counts = _relevant_counts(query_labels, reference_labels, ref_includes_query)
    if ref_includes_query:
        order = _without_self(order)
    mine, theirs = _codes(query_labels, reference_labels)
    return mine[:, None] == theirs[order], counts


def _checked_order(order: Any, n_references: int) -> np.ndarray:
    array = as_array(order)
    if array.ndim != 2:
        raise ShapeError(f"order: expected rows of references, shape (queries, k); got shape {array.shape}")
    if array.dtype.kind not in "iu":
        raise DataError(f"order: expected integers, as search or order_of give them; got {array.dtype}")
    bad = (array < 0) | (array >= n_references)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"order: there are {n_references} reference labels, so rows end at {n_references - 1}; "
            f"query {row} holds {array[row, column]}"
        )
    in_order = np.sort(array, axis=1)
    twice = (in_order[:, 1:] == in_order[:, :-1]).any(axis=1)
    if twice.any():
        raise DataError(f"order: the row of query {int(np.argmax(twice))} holds a reference twice")
    return array


def _codes(query_labels: np.ndarray, reference_labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of both as numbers from 0."""
    texts = {labels.dtype.kind == "U" for labels in (query_labels, reference_labels) if labels.size}
    if len(texts) > 1:  # NumPy would convert the numbers to text without a warning
        raise DataError("query_labels and reference_labels must be of one kind; got text and numbers")
    _, codes = np.unique(np.concatenate([query_labels, reference_labels]), return_inverse=True)
    return codes[: len(query_labels)], codes[len(query_labels) :]


def _relevant_counts(query_labels: np.ndarray, reference_labels: np.ndarray, ref_includes_query: bool) -> np.ndarray:
    """R of each query, shape (queries,)."""
    mine, theirs = _codes(query_labels, reference_labels)
    if not ref_includes_query:
        own = 0
    elif len(theirs) < len(mine) or (mine != theirs[: len(mine)]).any():
        raise DataError(
            "with ref_includes_query the first references are the queries, in their order; "
            "the first reference_labels differ from the query_labels"
        )
    else:
        own = 1
    return np.bincount(theirs, minlength=max(mine.max(initial=0), theirs.max(initial=0)) + 1)[mine] - own


def _without_self(order: np.ndarray) -> np.ndarray:
    """Rows without the query itself; without their last column where it is not in them. Shape (queries, k - 1)."""
    kept = order != np.arange(len(order))[:, None]
    kept[kept.all(axis=1), -1:] = False
    return order[kept].reshape(len(order), max(order.shape[1] - 1, 0))


def _need_columns(relevant: np.ndarray, needed: int, name: str, what: str = "") -> None:
    if relevant.shape[1] < needed:
        raise RequestError(
            f"{name} needs {needed} references of each query{f' ({what})' if what else ''}, not counting the query "
            f"itself; order has {relevant.shape[1]}: search with a larger k"
        )


def _at_r(relevant: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """``relevant`` with all beyond the first R places set to False."""
    return relevant & (np.arange(relevant.shape[1]) < counts[:, None])


def _summed_precision(relevant: np.ndarray) -> np.ndarray:
    """Precision at each place that is relevant, added up over the places."""
    precision = np.cumsum(relevant, axis=1) / np.arange(1, relevant.shape[1] + 1)
    return np.where(relevant, precision, 0).sum(axis=1)


def _score(values: np.ndarray, counts: np.ndarray) -> RetrievalScore:
    asked = counts > 0
    n_queries = int(asked.sum())
    value = float(values[asked].mean()) if n_queries else float("nan")
    return RetrievalScore(value, np.where(asked, values, np.nan), n_queries, len(counts) - n_queries)
