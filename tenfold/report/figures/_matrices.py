"""Confusion matrices of any number of classes, with the most confused pairs in words."""

from __future__ import annotations

import math
from itertools import islice
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tenfold.record import Reader, Variant
from tenfold.report.figures._canvas import (
    COLOURS,
    FONT,
    NARROW,
    SMALL,
    WIDE,
    fit,
    mean_and_std,
    new_figure,
    whole,
    wrapped,
    write,
)
from tenfold.report.figures._classes import classified, confused_pairs, row_shares, taken_for, widened
from tenfold.report.figures._numbers import Row, columns_of, number
from tenfold.report.figures._predictions import labels_of

__all__ = ["Matrices", "class_numbers", "collect_classes", "draw_classes"]

_MOST_CLASSES, _CLASSES_OF_MANY = 20, 12
_BESIDE = 8  # most classes for two matrices side by side on a wide page
_PAIRS = 6
_TOP, _UNDER, _LINE = 46, 22, 20  # pixels: above a matrix for its name and the columns; below it; a line of words


class _Layout(NamedTuple):
    """Of one matrix, in pixels: its outer width, where its cells start, and their width and height."""

    columns: int
    outer: float
    left: float
    cell: float
    high: float
    named: bool  # whether the rows are named; else the names stand in a list below

    @property
    def with_deviation(self) -> bool:
        return self.cell >= 29


class Matrix(NamedTuple):
    """One variant: mean and deviation over runs of the share of each true class predicted as each, in percent, shape
    (true, predicted), NaN where no run has the class; and the mean accuracy in percent."""

    variant: Variant
    mean: np.ndarray
    std: np.ndarray
    accuracy: float


class Matrices(NamedTuple):
    """What the figure shows.

    Attributes:
        matrices: of the variants, best first, over all classes.
        labels: of all classes.
        shown: the classes shown.
        n_classes: how many classes occur.
        pairs: those that the best variant confuses most, as given by ``confused_pairs``.
    """

    matrices: list[Matrix]
    labels: list[str]
    shown: list[int]
    n_classes: int
    pairs: list[tuple[int, int, float, float]]


def collect_classes(results: Reader) -> Matrices | None:
    """The matrices of the best variants; None where the record has no predictions of classes."""
    found = list(islice(classified(results), 4))
    if not found:
        return None
    n_all = max(counts.shape[1] for _, counts in found)
    counts = [widened(counts, n_all) for _, counts in found]
    shown, n_classes = _shown_classes(counts)
    most = 4 if len(shown) <= _BESIDE else 2
    matrices = [_matrix_of(variant, own) for (variant, _), own in zip(found[:most], counts[:most], strict=True)]
    labels = labels_of(results, "class", n_all)
    return Matrices(matrices, labels, shown, n_classes, confused_pairs(counts[0], _PAIRS))


def class_numbers(found: Matrices) -> list[Row]:
    """One row per variant, true class and predicted class, of the classes shown and the pairs confused most."""
    cells = dict.fromkeys((true, predicted) for true in found.shown for predicted in found.shown)
    rows: list[Row] = []
    for matrix in found.matrices:
        named = [pair[:2] for pair in found.pairs] if matrix is found.matrices[0] else []
        for true, predicted in [*cells, *(pair for pair in named if pair not in cells)]:
            rows.append(
                {
                    **columns_of(matrix.variant),
                    "true": true, "true_label": found.labels[true],
                    "predicted": predicted, "predicted_label": found.labels[predicted],
                    "mean_percent": number(matrix.mean[true, predicted]),
                    "deviation_percent": number(matrix.std[true, predicted]),
                    "accuracy_percent": number(matrix.accuracy),
                }
            )  # fmt: skip
    return rows


def draw_classes(found: Matrices, *, width: float = WIDE) -> Figure:
    """One matrix per variant."""
    matrices, shown, labels = found.matrices, found.shown, found.labels
    narrow = width < (WIDE + NARROW) / 2
    plan = _layout(len(shown), len(matrices), width, narrow=narrow)
    block = _TOP + plan.high * len(shown) + _UNDER
    rows = math.ceil(len(matrices) / plan.columns)
    key_columns = 2 if narrow else 4
    key_lines = 0 if plan.named else math.ceil(len(shown) / key_columns)
    words_top = rows * block + key_lines * 16 + (10 if key_lines else 0)
    line = 2 * _LINE - 2 if narrow else _LINE
    cut = found.n_classes > len(shown)
    figure = new_figure(width, words_top + (18 if cut else 0) + 24 + line * max(len(found.pairs), 1))
    page = whole(figure)
    for place, matrix in enumerate(matrices):
        across, down = place % plan.columns, place // plan.columns
        _matrix(page, matrix, shown, labels, plan, across * (width - plan.outer), down * block)
    if not plan.named:
        for place, class_number in enumerate(shown):
            x, y = width / key_columns * (place // key_lines), rows * block + 16 * (place % key_lines) + 8
            text = fit(f"{place + 1} {labels[class_number]}", width / key_columns - 8, SMALL)
            write(page, x, y, text, size=SMALL, va="center", colour="muted")
    if cut:
        text = f"{len(shown)} of {found.n_classes} classes, those most confused"
        write(page, 0, words_top + 8, text, colour="muted", size=SMALL, va="center")
        words_top += 18
    _in_words(page, found, width, words_top, narrow=narrow)
    return figure


def _matrix_of(variant: Variant, counts: np.ndarray) -> Matrix:
    mean, std = mean_and_std(100 * row_shares(counts))
    accuracy = np.diagonal(counts, axis1=1, axis2=2).sum(1) / counts.sum((1, 2))
    return Matrix(variant, mean, std, float(100 * accuracy.mean()))


def _shown_classes(variants: list[np.ndarray]) -> tuple[list[int], int]:
    """The classes to show, and the number of classes that occur; of many, those that the best variant confuses most."""
    occurring = np.flatnonzero(sum(counts.sum((0, 1)) + counts.sum((0, 2)) for counts in variants))
    if len(occurring) <= _MOST_CLASSES:
        return occurring.tolist(), len(occurring)
    mean = np.nan_to_num(mean_and_std(row_shares(variants[0]))[0])
    np.fill_diagonal(mean, 0)
    confused = mean.sum(0) + mean.sum(1)
    order = np.argsort(-confused[occurring], kind="stable")
    return sorted(occurring[order[:_CLASSES_OF_MANY]].tolist()), len(occurring)


def _layout(n_classes: int, n_variants: int, width: float, *, narrow: bool) -> _Layout:
    named = not narrow or n_classes <= _BESIDE
    columns = 2 if not narrow and n_classes <= _BESIDE and n_variants > 1 else 1
    outer = (width - 28) / 2 if columns == 2 else min(width, 40 + 148 + 56 * n_classes)
    left = (112 if columns == 2 else 96 if narrow else 150) if named else 22
    cell = min((outer - left) / n_classes, 56)
    # A matrix of few classes is no wider than it has to be.
    return _Layout(columns, outer, left, cell, min(max(cell, 16), 38), named)


def _matrix(page: Axes, matrix: Matrix, shown: list[int], labels: list[str], plan: _Layout, x: float, y: float) -> None:
    value = f"{matrix.accuracy:.1f} %"
    right = x + plan.left + plan.cell * len(shown)
    room = right - x - (len(value) + 1) * FONT * 0.56
    write(page, x, y + 12, fit(matrix.variant.label, room), va="center")
    write(page, right, y + 12, value, va="center", ha="right", colour="first", weight="bold")
    for row, actual in enumerate(shown):
        top, start = y + _TOP + row * plan.high, x + plan.left
        number = {"va": "center", "colour": "muted", "size": SMALL if plan.cell > 20 else 9.5}
        write(page, start - 6, top + plan.high / 2, str(row + 1), ha="right", **number)
        write(page, start + (row + 0.5) * plan.cell, y + _TOP - 8, str(row + 1), ha="center", **number)
        if plan.named:
            lines = wrapped(labels[actual], plan.left - 28, SMALL) if plan.high >= 28 else [labels[actual]]
            for line, text in enumerate(lines):
                middle = top + plan.high / 2 + 13 * (line - (len(lines) - 1) / 2)
                text = fit(text, plan.left - 28, SMALL)
                write(page, start - 24, middle, text, va="center", ha="right", size=SMALL)
        for column, predicted in enumerate(shown):
            colour = "first" if row == column else "second"
            share = (matrix.mean[actual, predicted], matrix.std[actual, predicted])
            _cell(page, start + column * plan.cell, top, plan, share, colour)
    middle = x + plan.left + plan.cell * len(shown) / 2
    bottom = y + _TOP + plan.high * len(shown) + 9
    write(page, middle, bottom, "predicted, % of row", ha="center", va="center", colour="muted", size=9.5)


def _cell(page: Axes, left: float, top: float, plan: _Layout, value: tuple[float, float], colour: str) -> None:
    mean, std = value
    share = float(np.nan_to_num(mean)) / 100
    box = Rectangle(
        (left + 0.75, top + 0.75), plan.cell - 1.5, plan.high - 1.5, facecolor=COLOURS[colour],
        alpha=0.06 + 0.42 * share, lw=0,
    )  # fmt: skip
    page.add_patch(box)
    text = "" if not np.isfinite(mean) else f"{mean:.1f}" if plan.with_deviation else f"{mean:.0f}"
    if not text.strip("0."):
        return
    middle, centre = left + plan.cell / 2, top + plan.high / 2
    with_deviation = plan.with_deviation and np.isfinite(std)
    size = min(SMALL, plan.cell / 2.9 if plan.with_deviation else plan.cell / 1.9)
    raised = plan.high * 0.16 if with_deviation else 0
    write(page, middle, centre - raised, text, ha="center", va="center", size=size, weight="bold")
    if with_deviation:
        small = min(9.5, plan.cell / 3.9)
        write(page, middle, centre + plan.high * 0.24, f"± {std:.1f}", ha="center", va="center", size=small)


def _in_words(page: Axes, found: Matrices, width: float, top: float, *, narrow: bool) -> None:
    head = "Most confused by " if found.pairs else "No class was taken for another by "
    bold = FONT * 1.15  # bold letters are wider
    name = fit(found.matrices[0].variant.label, width - len(head) * bold * 0.56, bold)
    write(page, 0, top + 12, head + name, va="center", weight="bold")
    for place, (actual, predicted, mean, std) in enumerate(found.pairs):
        true, other = found.labels[actual], found.labels[predicted]
        deviation = f" ± {100 * std:.1f}" if np.isfinite(std) else ""
        share = f"{100 * mean:.1f} %{deviation} of "
        y = top + 34 + place * (2 * _LINE - 2 if narrow else _LINE)
        letter = FONT * 0.56
        if narrow:
            write(page, 0, y, taken_for(true, other, "", width), va="center")
            text = share + fit(true, width - len(share) * letter, SMALL)
            write(page, 0, y + 16, text, va="center", colour="muted", size=SMALL)
        else:
            each = (width - (len(share) + 13) * letter) / 3
            true, other = fit(true, each), fit(other, each)
            write(page, 0, y, f"{true} taken for {other}: {share}{true}", va="center")
