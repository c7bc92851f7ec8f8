"""What was taken for what, of classifiers of any number of classes; used by two figures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.record import Reader, Variant
from tenfold.report.figures._canvas import FONT, fit, mean_and_std
from tenfold.report.figures._predictions import SEQUENCES, sound_runs

__all__ = [
    "classified",
    "confused_pairs",
    "confusion_counts",
    "precision_and_recall",
    "row_shares",
    "taken_for",
    "widened",
]


def classified(results: Reader) -> Iterator[tuple[Variant, np.ndarray]]:
    """Arms, best first, each with how often each class was taken for each: (runs, true, predicted)."""
    for variant, arrays in sound_runs(results, SEQUENCES, "target", "prediction"):
        target, prediction = arrays["target"], arrays["prediction"]
        if target.ndim != 2 or target.shape != prediction.shape or target.dtype.kind not in "iu":
            continue
        if prediction.dtype.kind in "iu" and (target >= 0).any():
            yield variant, confusion_counts(target, prediction)


def confusion_counts(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """How often each class was taken for each.

    Args:
        target, prediction: numbers of classes, shape (runs, examples); below 0 is no example.
    Returns:
        Counts of shape (runs, true, predicted), for classes up to the largest number that occurs.
    """
    n_classes = int(max(target.max(initial=0), prediction.max(initial=0))) + 1
    there = (target >= 0) & (prediction >= 0)
    place = np.where(there, target.astype(np.int64) * n_classes + prediction, n_classes**2)
    counts = np.stack([np.bincount(its, minlength=n_classes**2 + 1)[:-1] for its in place])
    return counts.reshape(-1, n_classes, n_classes)


def widened(counts: np.ndarray, n_classes: int) -> np.ndarray:
    """With zeros for classes that this variant never saw or said."""
    more = n_classes - counts.shape[1]
    return np.pad(counts, ((0, 0), (0, more), (0, more)))


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Of each true class, the share taken for each: (runs, true, predicted); NaN where a run lacks a class."""
    return counts / _or_nan(counts.sum(2))[:, :, None]


def precision_and_recall(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of what was said to be a class, and of what is one, the share that is right; (runs, classes) each.

    NaN where a run never said a class, or has none of it.
    """
    right = np.diagonal(counts, axis1=1, axis2=2)
    return right / _or_nan(counts.sum(1)), right / _or_nan(counts.sum(2))


def _or_nan(counts: np.ndarray) -> np.ndarray:
    return np.where(counts > 0, counts, np.nan)


def confused_pairs(counts: np.ndarray, most: int) -> list[tuple[int, int, float, float]]:
    """The pairs of classes confused most: (true, predicted, mean and deviation over runs of the share of the true one),
    the largest mean first; none whose mean is 0."""
    mean, std = mean_and_std(row_shares(counts))
    mean = np.where(np.eye(len(mean), dtype=bool), 0, np.nan_to_num(mean))
    order = np.argsort(-mean, axis=None, kind="stable")[:most]
    found = []
    for actual, predicted in zip(*np.unravel_index(order, mean.shape), strict=True):
        if mean[actual, predicted] > 0:
            found.append((int(actual), int(predicted), float(mean[actual, predicted]), float(std[actual, predicted])))
    return found


def taken_for(actual: str, said: str, end: str, width: float) -> str:
    """A confusion in words, each name cut by itself where there is no room.

    Example:
        >>> taken_for("sitting", "standing", ", 98 %", 300)
        'sitting taken for standing, 98 %'
    """
    text = f"{actual} taken for {said}{end}"
    if fit(text, width) == text:
        return text
    letter = FONT * 0.61  # a line that is full has no slack for wide letters
    room = int(width / letter) - len(f" taken for {end}")
    longer = room - min(len(actual), len(said), room // 2)
    names = [fit(name, longer * FONT * 0.56 + 1) for name in (actual, said)]
    return f"{names[0]} taken for {names[1]}{end}"
