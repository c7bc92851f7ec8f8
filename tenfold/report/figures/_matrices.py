"""Confusion matrices of any number of classes, and what they say in words."""

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
from tenfold.report.figures._predictions import names_of

_MOST_CLASSES, _CLASSES_OF_MANY = 20, 12
_BESIDE = 8  # classes of which two matrices stand side by side on a wide page
_PAIRS = 6
_TOP, _UNDER, _LINE = 46, 22, 20  # pixels: above a matrix for its name and the columns; below it; a line of words


class _Layout(NamedTuple):
    """Of one matrix, in pixels: its outer width, where its cells start, their width and height."""

    columns: int
    outer: float
    left: float
    cell: float
    high: float
    named: bool  # whether rows have their class's name; else the names stand in a list below

    @property
    def with_deviation(self) -> bool:
        return self.cell >= 29


def draw_classes(results: Reader, *, width: float = WIDE) -> Figure | None:
    """A matrix for each of the best variants; None where the record has no predictions of classes."""
    found = list(islice(classified(results), 4))
    if not found:
        return None
    n_all = max(counts.shape[1] for _, counts in found)
    variants = [(variant, widened(counts, n_all)) for variant, counts in found]
    shown, n_there = _shown_classes([counts for _, counts in variants])
    names = names_of(results, "class", n_all)
    narrow = width < (WIDE + NARROW) / 2
    variants = variants[: 4 if len(shown) <= _BESIDE else 2]
    plan = _layout(len(shown), len(variants), width, narrow=narrow)
    block = _TOP + plan.high * len(shown) + _UNDER
    rows = math.ceil(len(variants) / plan.columns)
    pairs = confused_pairs(variants[0][1], _PAIRS)
    key_columns = 2 if narrow else 4
    key_lines = 0 if plan.named else math.ceil(len(shown) / key_columns)
    words_top = rows * block + key_lines * 16 + (10 if key_lines else 0)
    line = 2 * _LINE - 2 if narrow else _LINE
    cut = n_there > len(shown)
    figure = new_figure(width, words_top + (18 if cut else 0) + 24 + line * max(len(pairs), 1))
    page = whole(figure)
    for number, (variant, counts) in enumerate(variants):
        across, down = number % plan.columns, number // plan.columns
        _matrix(page, variant, counts, shown, names, plan, across * (width - plan.outer), down * block)
    if not plan.named:
        for place, at in enumerate(shown):
            x, y = width / key_columns * (place // key_lines), rows * block + 16 * (place % key_lines) + 8
            text = fit(f"{place + 1} {names[at]}", width / key_columns - 8, SMALL)
            write(page, x, y, text, size=SMALL, va="center", colour="muted")
    if cut:
        text = f"{len(shown)} of {n_there} classes, those most confused"
        write(page, 0, words_top + 8, text, colour="muted", size=SMALL, va="center")
        words_top += 18
    _in_words(page, variants[0][0], pairs, names, width, words_top, narrow=narrow)
    return figure


def _shown_classes(variants: list[np.ndarray]) -> tuple[list[int], int]:
    """Classes that occur, and how many those are; of many only the most confused ones of the best variant."""
    there = np.flatnonzero(sum(counts.sum((0, 1)) + counts.sum((0, 2)) for counts in variants))
    if len(there) <= _MOST_CLASSES:
        return there.tolist(), len(there)
    mean = np.nan_to_num(mean_and_std(row_shares(variants[0]))[0])
    np.fill_diagonal(mean, 0)
    confused = mean.sum(0) + mean.sum(1)
    return sorted(there[np.argsort(-confused[there], kind="stable")[:_CLASSES_OF_MANY]].tolist()), len(there)


def _layout(n_classes: int, n_arms: int, width: float, *, narrow: bool) -> _Layout:
    named = not narrow or n_classes <= _BESIDE
    columns = 2 if not narrow and n_classes <= _BESIDE and n_arms > 1 else 1
    outer = (width - 28) / 2 if columns == 2 else min(width, 40 + 148 + 56 * n_classes)
    left = (112 if columns == 2 else 96 if narrow else 150) if named else 22
    cell = min((outer - left) / n_classes, 56)
    # A matrix of few classes is no wider than it needs.
    return _Layout(columns, outer, left, cell, min(max(cell, 16), 38), named)


def _matrix(
    page: Axes,
    variant: Variant,
    counts: np.ndarray,
    shown: list[int],
    names: list[str],
    plan: _Layout,
    x: float,
    y: float,
) -> None:
    mean, std = mean_and_std(100 * row_shares(counts))
    accuracy = np.diagonal(counts, axis1=1, axis2=2).sum(1) / counts.sum((1, 2))
    value = f"{100 * accuracy.mean():.1f} %"
    right = x + plan.left + plan.cell * len(shown)
    room = right - x - (len(value) + 1) * FONT * 0.56
    write(page, x, y + 12, fit(variant.label, room), va="center")
    write(page, right, y + 12, value, va="center", ha="right", colour="first", weight="bold")
    for row, actual in enumerate(shown):
        top, start = y + _TOP + row * plan.high, x + plan.left
        number = {"va": "center", "colour": "muted", "size": SMALL if plan.cell > 20 else 9.5}
        write(page, start - 6, top + plan.high / 2, str(row + 1), ha="right", **number)
        write(page, start + (row + 0.5) * plan.cell, y + _TOP - 8, str(row + 1), ha="center", **number)
        if plan.named:
            lines = wrapped(names[actual], plan.left - 28, SMALL) if plan.high >= 28 else [names[actual]]
            for line, text in enumerate(lines):
                middle = top + plan.high / 2 + 13 * (line - (len(lines) - 1) / 2)
                text = fit(text, plan.left - 28, SMALL)
                write(page, start - 24, middle, text, va="center", ha="right", size=SMALL)
        for column, predicted in enumerate(shown):
            colour = "first" if row == column else "second"
            its = (mean[actual, predicted], std[actual, predicted])
            _cell(page, start + column * plan.cell, top, plan, its, colour)
    middle = x + plan.left + plan.cell * len(shown) / 2
    bottom = y + _TOP + plan.high * len(shown) + 9
    write(page, middle, bottom, "predicted", ha="center", va="center", colour="muted", size=9.5)


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


def _in_words(
    page: Axes, variant: Variant, pairs: list[tuple[int, int, float, float]], names: list[str], width: float, top: float,
    *, narrow: bool,
) -> None:  # fmt: skip
    head = "Most confused by " if pairs else "No class was taken for another by "
    bold = FONT * 1.15  # whose letters are wider
    write(
        page, 0, top + 12, head + fit(variant.label, width - len(head) * bold * 0.56, bold), va="center", weight="bold"
    )
    for number, (actual, predicted, mean, std) in enumerate(pairs):
        deviation = f" ± {100 * std:.1f}" if np.isfinite(std) else ""
        share = f"{100 * mean:.1f} %{deviation} of "
        y = top + 34 + number * (2 * _LINE - 2 if narrow else _LINE)
        letter = FONT * 0.56
        if narrow:
            write(page, 0, y, taken_for(names[actual], names[predicted], "", width), va="center")
            text = share + fit(names[actual], width - len(share) * letter, SMALL)
            write(page, 0, y + 16, text, va="center", colour="muted", size=SMALL)
        else:
            each = (width - (len(share) + 13) * letter) / 3
            true, said = fit(names[actual], each), fit(names[predicted], each)
            write(page, 0, y, f"{true} taken for {said}: {share}{true}", va="center")
