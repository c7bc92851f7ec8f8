"""Confusion counts of classifiers with any number of classes, and what follows from them; used by two figures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.metrics import confusion_counts
from tenfold.record import Reader, Variant
from tenfold.report.figures._canvas import FONT, fit, mean_and_std
from tenfold.report.figures._predictions import sound_runs

__all__ = [
    "ARRAYS",
    "classified",
    "confused_pairs",
    "row_shares",
    "taken_for",
    "widened",
]

ARRAYS = ("target", "prediction")


def classified(results: Reader) -> Iterator[tuple[Variant, np.ndarray]]:
    """Variants, best first, each with its confusion counts, shape (runs, true, predicted)."""
    for variant, arrays in sound_runs(results, *ARRAYS):
        target, prediction = arrays["target"], arrays["prediction"]
        if target.ndim != 2 or target.shape != prediction.shape or target.dtype.kind not in "iu":
            continue
        if prediction.dtype.kind in "iu" and (target >= 0).any():
            n_classes = int(max(target.max(initial=0), prediction.max(initial=0))) + 1
            yield variant, confusion_counts(target, prediction, n_classes)


def widened(counts: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts with zeros added for classes that this variant has neither as a target nor as a prediction."""
    more = n_classes - counts.shape[1]
    return np.pad(counts, ((0, 0), (0, more), (0, more)))


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Of each true class, the share predicted as each: (runs, true, predicted); NaN where a run lacks a class."""
    return counts / _or_nan(counts.sum(2))[:, :, None]


def _or_nan(counts: np.ndarray) -> np.ndarray:
    return np.where(counts > 0, counts, np.nan)


def confused_pairs(counts: np.ndarray, most: int) -> list[tuple[int, int, float, float]]:
    """The pairs of classes confused most, the largest share first; no pair whose mean share is 0.

    Args:
        counts: shape (runs, true, predicted).
        most: the number of pairs.
    Returns:
        (true, predicted, mean, deviation): the share of the true class that was predicted as the other, over runs.
    """
    mean, std = mean_and_std(row_shares(counts))
    mean = np.where(np.eye(len(mean), dtype=bool), 0, np.nan_to_num(mean))
    order = np.argsort(-mean, axis=None, kind="stable")[:most]
    found = []
    for actual, predicted in zip(*np.unravel_index(order, mean.shape), strict=True):
        if mean[actual, predicted] > 0:
            found.append((int(actual), int(predicted), float(mean[actual, predicted]), float(std[actual, predicted])))
    return found


def taken_for(actual: str, said: str, end: str, width: float) -> str:
    """A confusion in words; where there is no room, each name is cut on its own.

    Example:
        >>> taken_for("sitting", "standing", ", 98 %", 300)
        'sitting taken for standing, 98 %'
    """
    text = f"{actual} taken for {said}{end}"
    if fit(text, width) == text:
        return text
    letter = FONT * 0.61  # wider than in `fit`: a full line has no room left for wide letters
    room = int(width / letter) - len(f" taken for {end}")
    longer = room - min(len(actual), len(said), room // 2)
    names = [fit(name, longer * FONT * 0.56 + 1) for name in (actual, said)]
    return f"{names[0]} taken for {names[1]}{end}"
