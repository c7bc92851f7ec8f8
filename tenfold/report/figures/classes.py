"""Precision and recall of each class."""

from __future__ import annotations

from itertools import islice

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._canvas import (
    COLOURS,
    NARROW,
    SMALL,
    WIDE,
    axes_at,
    legend,
    mean_and_std,
    new_figure,
    title,
    whole,
    wrapped,
    write,
)
from tenfold.report.figures._classes import classified, precision_and_recall, widened
from tenfold.report.figures._predictions import names_of

_MOST_CLASSES = 30
_ROW, _ABOVE, _BELOW = 28, 44, 26
# (words, colour, shape, shift): told apart by shape and place too.
_LOOKS = (("precision", "second", "D", -4.5), ("recall", "first", "o", 4.5))


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """One panel for each of the best variants, a row a class; None where the record has no predictions of classes."""
    found = list(islice(classified(results), 4))
    if not found:
        return None
    n_all = max(counts.shape[1] for _, counts in found)
    scores = [precision_and_recall(widened(counts, n_all)) for _, counts in found]
    shown, n_there = _shown(scores)
    narrow = width < (WIDE + NARROW) / 2
    left, gap, most = (92, 14, 2) if narrow else (150, 22, 4)
    columns = min(len(found), most)
    each = (width - left - 10) / (columns if narrow else max(columns, 2)) - gap
    high, top = _ROW * len(shown), 30
    down = _ABOVE + high + _BELOW
    cut = n_there > len(shown)
    figure = new_figure(width, top + down * -(-len(found) // columns) + (18 if cut else 0))
    page = whole(figure)
    entries = [("diamond", "second", "precision"), ("range", "first", "recall"), ("line", "third", "± 1 deviation")]
    legend(page, entries[:2] if narrow else entries, left=left, top=12)
    names = names_of(results, "class", n_all)
    low = _lowest([value[:, shown] for pair in scores for value in pair])
    for number, ((variant, _), pair) in enumerate(zip(found, scores, strict=True)):
        across, start = number % columns, top + down * (number // columns) + _ABOVE
        axes = axes_at(figure, left + across * (each + gap), start, each, high)
        if not across:
            for row, at in enumerate(shown):
                lines = wrapped(names[at], left - 12, SMALL)
                for line, text in enumerate(lines):
                    y = start + _ROW * (row + 0.5) + 12 * (line - (len(lines) - 1) / 2)
                    write(page, left - 10, y, text, ha="right", va="center", size=SMALL)
        for value, (_, colour, shape, shift) in zip(pair, _LOOKS, strict=True):
            _dots(axes, 100 * value[:, shown], colour, shape, shift)
        axes.set_ylim(high, 0)
        axes.set_yticks([])
        axes.set_xlim(low - 0.04 * (100 - low), 100 + 0.04 * (100 - low))  # a dot on the edge is whole
        axes.set_xticks([low, (low + 100) / 2, 100], [f"{low:g}", f"{(low + 100) / 2:g}", "100 %"])
        for tick, side in zip(axes.get_xticklabels(), ("left", "center", "right"), strict=True):
            tick.set_horizontalalignment(side)
        axes.grid(axis="x", color=COLOURS["line"], lw=1)
        title(axes, variant.label, left=0)
    if cut:
        text = f"{len(shown)} of {n_there} classes, those of least recall"
        write(page, 0, top + down * -(-len(found) // columns) + 6, text, colour="muted", size=SMALL, va="center")
    return figure


def _shown(scores: list[tuple[np.ndarray, np.ndarray]]) -> tuple[list[int], int]:
    """Classes that have a score, and how many those are; of many, those that the best variant recalls least."""
    there = np.flatnonzero(np.any([np.isfinite(value).any(0) for pair in scores for value in pair], axis=0))
    if len(there) <= _MOST_CLASSES:
        return there.tolist(), len(there)
    recall = np.nan_to_num(mean_and_std(scores[0][1])[0][there], nan=2.0)
    return sorted(there[np.argsort(recall, kind="stable")[:_MOST_CLASSES]].tolist()), len(there)


def _lowest(values: list[np.ndarray]) -> float:
    """Where the axis starts, a multiple of 20 %."""
    ends = []
    for value in values:
        mean, std = mean_and_std(100 * value)
        ends.append(mean - np.nan_to_num(std))
    least = np.concatenate(ends)
    least = least[np.isfinite(least)]
    return float(np.clip(np.floor((least.min(initial=80) - 2) / 20) * 20, 0, 80))


def _dots(axes: Axes, values: np.ndarray, colour: str, shape: str, shift: float) -> None:
    mean, std = mean_and_std(values)
    y = _ROW * (np.arange(len(mean)) + 0.5) + shift
    for at in np.flatnonzero(np.isfinite(std)):
        ends = [max(mean[at] - std[at], 0), min(mean[at] + std[at], 100)]
        axes.plot(ends, [y[at]] * 2, color=COLOURS[colour], lw=1.5, solid_capstyle="butt", alpha=0.6)
    there = np.isfinite(mean)
    axes.plot(mean[there], y[there], shape, ms=5.5, color=COLOURS[colour], mew=0)
