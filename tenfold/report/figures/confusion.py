"""Confusion matrices: of each true class, the share predicted as each."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tenfold.record import Reader, Variant
from tenfold.report.figures._binary import ARRAYS as BINARY
from tenfold.report.figures._binary import binary_predictions, short_answer
from tenfold.report.figures._canvas import (
    COLOURS,
    MOST_PANELS,
    SMALL,
    WIDE,
    mean_and_std,
    panels,
    title,
    wrapped,
    write,
)
from tenfold.report.figures._classes import ARRAYS as CLASSES
from tenfold.report.figures._matrices import Matrices, class_numbers, collect_classes, draw_classes
from tenfold.report.figures._numbers import Row, columns_of, number
from tenfold.report.figures._predictions import labels_of

ARRAYS = (CLASSES, BINARY)


class TwoByTwo(NamedTuple):
    """One variant with two answers: mean and deviation over runs of the shares in percent, shape (true, predicted)."""

    variant: Variant
    labels: list[str]
    mean: np.ndarray
    std: np.ndarray


def collect(results: Reader) -> Matrices | list[TwoByTwo] | None:
    """The matrices of the best variants; None where the record has no predictions of classes."""
    return collect_classes(results) or _two_by_two(results) or None


def numbers(matrices: Matrices | list[TwoByTwo]) -> list[Row]:
    """One row per variant, true class and predicted class."""
    if isinstance(matrices, Matrices):
        return class_numbers(matrices)
    return [
        {**columns_of(matrix.variant), "true": true, "true_label": matrix.labels[true], "predicted": predicted,
         "predicted_label": matrix.labels[predicted], "mean_percent": number(matrix.mean[true, predicted]),
         "deviation_percent": number(matrix.std[true, predicted])}
        for matrix in matrices
        for true in (0, 1)
        for predicted in (0, 1)
    ]  # fmt: skip


def draw(matrices: Matrices | list[TwoByTwo], *, width: float = WIDE) -> Figure:
    """One matrix per variant."""
    if isinstance(matrices, Matrices):
        return draw_classes(matrices, width=width)
    names = [matrix.variant.label for matrix in matrices]
    words = [short_answer(label) for label in matrices[0].labels]  # the same question for all
    two_lines = any(len(wrapped(word, 56, 9.5)) > 1 for word in words)
    figure, axes = panels(names, width, 84, wide=4, top=4, left=62, bottom=46 if two_lines else 34)
    for panel, matrix in zip(axes, matrices, strict=True):
        for actual in (0, 1):
            for predicted in (0, 1):
                mean, std = matrix.mean[actual, predicted], matrix.std[actual, predicted]
                colour = "first" if actual == predicted else "second"
                alpha = 0.08 + 0.4 * float(np.nan_to_num(mean)) / 100
                corner = (predicted + 0.02, actual + 0.02)
                panel.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=COLOURS[colour], alpha=alpha, lw=0))
                x = predicted + 0.5
                text = f"{mean:.1f}" if np.isfinite(mean) else ""
                write(panel, x, actual + 0.4, text, ha="center", va="center", weight="bold")
                if np.isfinite(std):
                    write(panel, x, actual + 0.7, f"± {std:.1f}", ha="center", va="center", size=SMALL)
        panel.set_xlim(0, 2)
        panel.set_ylim(2, 0)
        cell = panel.get_window_extent().width / 2
        ticks = ["\n".join(wrapped(word, min(cell, 56), 9.5)) for word in words]
        panel.set_yticks([0.5, 1.5], ticks)
        panel.set_xticks([0.5, 1.5], ticks)
        panel.tick_params(labelsize=9.5)
        panel.set_xlabel("predicted, % of row", fontsize=9.5, color=COLOURS["muted"], labelpad=1)
        title(panel, matrix.variant.label, left=56)
    return figure


def _two_by_two(results: Reader) -> list[TwoByTwo]:
    labels = labels_of(results, "answer", 2)
    return [
        TwoByTwo(variant, labels, *mean_and_std(100 * shares(probability, target)))
        for variant, probability, target in islice(binary_predictions(results), MOST_PANELS)
    ]


def shares(probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Of each true class, the share predicted as each: (runs, true, predicted); NaN where a run lacks a class."""
    predicted = probability > 0.5
    rows = []
    for actual in (0, 1):
        mine = target == actual
        count = np.where(mine.any(1), mine.sum(1), np.nan)
        rows.append(np.stack([(mine & ~predicted).sum(1) / count, (mine & predicted).sum(1) / count], axis=1))
    return np.stack(rows, axis=1)
