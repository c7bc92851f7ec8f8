"""Metrics of classifiers, from the confusion counts (runs, true class, predicted class) or from their margins alone.

Counts are additive: those of batches can be summed first. Margins are for many classes, whose confusion counts would
not fit into memory. Where scikit-learn has a metric, the values are equal to its values with ``zero_division=0``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tenfold.errors import DataError, ShapeError

__all__ = [
    "ClassCounts",
    "accuracy",
    "balanced_accuracy",
    "confusion_counts",
    "f1_binary",
    "f1_macro",
    "precision_and_recall",
]


class ClassCounts(NamedTuple):
    """The margins of confusion counts, shape (runs, classes) each.

    Attributes:
        correct: examples of the class that were predicted as it.
        actual: examples of the class.
        predicted: examples predicted as the class.
    """

    correct: np.ndarray
    actual: np.ndarray
    predicted: np.ndarray


def confusion_counts(
    target: np.ndarray, prediction: np.ndarray, n_classes: int, valid: np.ndarray | None = None
) -> np.ndarray:
    """How many examples of each true class were predicted as each class.

    Args:
        target, prediction: class indices, integers of shape (runs, examples). An example whose target or prediction is
            below 0 is not counted.
        n_classes: number of classes; indices go from 0 to n_classes - 1.
        valid: bool, shape (runs, examples): the examples to count; None counts all.
    Returns:
        int64 counts of shape (runs, n_classes, n_classes): run, true class, predicted class.
    Raises:
        ShapeError: if the arrays do not have one shape (runs, examples).
        DataError: if an index that is to be counted is n_classes or more, or the arrays do not hold integers.
    Example:
        >>> confusion_counts(np.array([[0, 0, 1, -1]]), np.array([[0, 1, 1, 1]]), 2).tolist()
        [[[1, 1], [0, 1]]]
    """
    target, prediction = np.asarray(target), np.asarray(prediction)
    counted = np.ones(target.shape, dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
    if target.ndim != 2 or not target.shape == prediction.shape == counted.shape:
        raise ShapeError(
            "target, prediction and valid: expected one shape (runs, examples), "
            f"got {target.shape}, {prediction.shape} and {counted.shape}"
        )
    if target.dtype.kind not in "iu" or prediction.dtype.kind not in "iu":
        raise DataError(f"expected class indices as integers, got {target.dtype} and {prediction.dtype}")
    counted = counted & (target >= 0) & (prediction >= 0)
    largest = max(target.max(initial=0, where=counted), prediction.max(initial=0, where=counted))
    if largest >= n_classes:
        raise DataError(f"class index {largest}: expected 0 to {n_classes - 1} for n_classes = {n_classes}")
    # Unsigned and small integers would overflow; what is not counted falls into one more cell, which is cut off.
    cell = np.where(counted, target.astype(np.int64) * n_classes + prediction.astype(np.int64), n_classes**2)
    counts = np.zeros((len(cell), n_classes**2), dtype=np.int64)
    for run, cells in enumerate(cell):
        counts[run] = np.bincount(cells, minlength=n_classes**2 + 1)[:-1]
    return counts.reshape(-1, n_classes, n_classes)


def accuracy(counts: np.ndarray | ClassCounts) -> np.ndarray:
    """Fraction of the examples that are predicted correctly.

    Args:
        counts: see ``confusion_counts``, or their margins.
    Returns:
        Shape (runs,); NaN where a run has no example.
    Example:
        >>> accuracy(np.array([[[3, 1], [0, 4]]])).tolist()
        [0.875]
    """
    counts = _margins(counts)
    return counts.correct.sum(1) / _or_nan(counts.actual.sum(1))


def precision_and_recall(counts: np.ndarray | ClassCounts) -> tuple[np.ndarray, np.ndarray]:
    """Per class: the fraction that is correct of the examples predicted as it, and of the examples that belong to it.

    Args:
        counts: see ``confusion_counts``, or their margins.
    Returns:
        Precision and recall, shape (runs, classes) each. Precision is NaN where a run never predicted the class, recall
        where a run has no example of it.
    Example:
        >>> precision, recall = precision_and_recall(np.array([[[3, 1], [0, 4]]]))
        >>> precision.tolist(), recall.tolist()
        ([[1.0, 0.8]], [[0.75, 1.0]])
    """
    counts = _margins(counts)
    return counts.correct / _or_nan(counts.predicted), counts.correct / _or_nan(counts.actual)


def f1_macro(counts: np.ndarray | ClassCounts) -> np.ndarray:
    """Harmonic mean of precision and recall of each class, averaged over the classes that occur or are predicted.

    Args:
        counts: see ``confusion_counts``, or their margins.
    Returns:
        Shape (runs,); NaN where a run has no example.
    Example:
        >>> f1_macro(np.array([[[3, 1, 0], [0, 4, 0], [0, 0, 0]]])).round(3).tolist()  # (6/7 + 8/9) / 2
        [0.873]

    Source: scikit-learn's ``f1_score`` with ``average="macro"``.
    """
    counts = _margins(counts)
    return _mean_over_classes(2 * counts.correct / _or_nan(counts.actual + counts.predicted))


def f1_binary(counts: np.ndarray) -> np.ndarray:
    """F1 of class 1, of two classes.

    Args:
        counts: see ``confusion_counts``, shape (runs, 2, 2).
    Returns:
        Shape (runs,); 0 where class 1 neither occurs nor is predicted.
    Raises:
        ShapeError: if there are not two classes.
    Example:
        >>> f1_binary(np.array([[[3, 1], [0, 4]], [[5, 0], [0, 0]]])).round(3).tolist()
        [0.889, 0.0]

    Source: scikit-learn's ``f1_score`` with ``average="binary"``.
    """
    if counts.shape[1:] != (2, 2):
        raise ShapeError(f"f1_binary: expected counts of shape (runs, 2, 2), got {counts.shape}")
    return 2 * counts[:, 1, 1] / np.maximum(2 * counts[:, 1, 1] + counts[:, 0, 1] + counts[:, 1, 0], 1)


def balanced_accuracy(counts: np.ndarray | ClassCounts) -> np.ndarray:
    """Recall of each class, averaged over the classes that occur in a run.

    Args:
        counts: see ``confusion_counts``, or their margins.
    Returns:
        Shape (runs,); NaN where a run has no example.
    Example:
        >>> balanced_accuracy(np.array([[[3, 1], [0, 4]]])).tolist()
        [0.875]

    Source: scikit-learn's ``balanced_accuracy_score``.
    """
    return _mean_over_classes(precision_and_recall(counts)[1])


def _margins(counts: np.ndarray | ClassCounts) -> ClassCounts:
    if isinstance(counts, ClassCounts):
        return counts
    return ClassCounts(np.diagonal(counts, axis1=1, axis2=2), counts.sum(2), counts.sum(1))


def _or_nan(counts: np.ndarray) -> np.ndarray:
    """Counts as divisors: NaN in place of 0, so that the quotient is NaN without a warning."""
    return np.where(counts > 0, counts, np.nan)


def _mean_over_classes(values: np.ndarray) -> np.ndarray:
    """Mean of (runs, classes) over the classes that are not NaN; NaN where all are."""
    return np.nansum(values, axis=1) / _or_nan((~np.isnan(values)).sum(1))
