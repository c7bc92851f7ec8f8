"""Precision and recall of each class."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.metrics import precision_and_recall
from tenfold.record import Reader, Variant
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
from tenfold.report.figures._classes import ARRAYS as CLASSES
from tenfold.report.figures._classes import classified, widened
from tenfold.report.figures._numbers import Row, columns_of, number
from tenfold.report.figures._predictions import labels_of

ARRAYS = (CLASSES,)

_MOST_CLASSES = 30
_ROW, _ABOVE, _BELOW = 28, 44, 26
# (words, colour, shape, shift): they differ in shape and place too, not in colour alone.
_LOOKS = (("precision", "second", "D", -4.5), ("recall", "first", "o", 4.5))


class ClassScores(NamedTuple):
    """One variant and one measure of the classes shown, in percent: mean and deviation over runs, shape (classes,)."""

    variant: Variant
    measure: str
    mean: np.ndarray
    std: np.ndarray


class Classes(NamedTuple):
    """The classes shown, by number and label, how many classes there are, and precision and recall of each variant."""

    classes: list[int]
    labels: list[str]
    n_classes: int
    scores: list[ClassScores]

    @property
    def variants(self) -> list[Variant]:
        return list(dict.fromkeys(scores.variant for scores in self.scores))


def collect(results: Reader) -> Classes | None:
    """The best variants; None where the record has no predictions of classes."""
    found = list(islice(classified(results), 4))
    if not found:
        return None
    n_all = max(counts.shape[1] for _, counts in found)
    runs = [precision_and_recall(widened(counts, n_all)) for _, counts in found]
    shown, n_classes = _shown(runs)
    labels = labels_of(results, "class", n_all)
    scores = [
        ClassScores(variant, measure, *mean_and_std(100 * values[:, shown]))
        for (variant, _), pair in zip(found, runs, strict=True)
        for (measure, *_), values in zip(_LOOKS, pair, strict=True)
    ]
    return Classes(shown, [labels[number] for number in shown], n_classes, scores)


def numbers(found: Classes) -> list[Row]:
    """One row per variant, class and measure."""
    return [
        {**columns_of(scores.variant), "class": class_number, "class_label": label, "measure": scores.measure,
         "mean_percent": number(mean), "deviation_percent": number(std)}
        for scores in found.scores
        for class_number, label, mean, std in zip(found.classes, found.labels, scores.mean, scores.std, strict=True)
    ]  # fmt: skip


def draw(found: Classes, *, width: float = WIDE) -> Figure:
    """One panel per variant, one row per class."""
    variants = found.variants
    narrow = width < (WIDE + NARROW) / 2
    left, gap, most = (92, 14, 2) if narrow else (150, 22, 4)
    columns = min(len(variants), most)
    each = (width - left - 10) / (columns if narrow else max(columns, 2)) - gap
    high, top = _ROW * len(found.classes), 30
    down = _ABOVE + high + _BELOW
    bottom = top + down * -(-len(variants) // columns)
    cut = found.n_classes > len(found.classes)
    figure = new_figure(width, bottom + (18 if cut else 0))
    page = whole(figure)
    entries = [("diamond", "second", "precision"), ("range", "first", "recall"), ("line", "third", "± 1 deviation")]
    legend(page, entries[:2] if narrow else entries, left=left, top=12)
    low = _lowest(found.scores)
    for place, variant in enumerate(variants):
        across, start = place % columns, top + down * (place // columns) + _ABOVE
        axes = axes_at(figure, left + across * (each + gap), start, each, high)
        if not across:
            for row, label in enumerate(found.labels):
                lines = wrapped(label, left - 12, SMALL)
                for line, text in enumerate(lines):
                    y = start + _ROW * (row + 0.5) + 12 * (line - (len(lines) - 1) / 2)
                    write(page, left - 10, y, text, ha="right", va="center", size=SMALL)
        for scores, (_, colour, shape, shift) in zip(found.scores[2 * place :], _LOOKS, strict=False):
            _dots(axes, scores, colour, shape, shift)
        axes.set_ylim(high, 0)
        axes.set_yticks([])
        axes.set_xlim(low - 0.04 * (100 - low), 100 + 0.04 * (100 - low))  # so that a dot on the edge is not cut
        axes.set_xticks([low, (low + 100) / 2, 100], [f"{low:g}", f"{(low + 100) / 2:g}", "100 %"])
        for tick, side in zip(axes.get_xticklabels(), ("left", "center", "right"), strict=True):
            tick.set_horizontalalignment(side)
        axes.grid(axis="x", color=COLOURS["line"], lw=1)
        title(axes, variant.label, left=0)
    if cut:
        text = f"{len(found.classes)} of {found.n_classes} classes, those of least recall"
        write(page, 0, bottom + 6, text, colour="muted", size=SMALL, va="center")
    return figure


def _shown(scores: list[tuple[np.ndarray, np.ndarray]]) -> tuple[list[int], int]:
    """The classes to show, and the number of classes that have a score; of many, those of least recall."""
    scored = np.flatnonzero(np.any([np.isfinite(value).any(0) for pair in scores for value in pair], axis=0))
    if len(scored) <= _MOST_CLASSES:
        return scored.tolist(), len(scored)
    recall = np.nan_to_num(mean_and_std(scores[0][1])[0][scored], nan=2.0)  # of the best variant
    return sorted(scored[np.argsort(recall, kind="stable")[:_MOST_CLASSES]].tolist()), len(scored)


def _lowest(scores: list[ClassScores]) -> float:
    """Where the axis starts, a multiple of 20 %."""
    ends = np.concatenate([values.mean - np.nan_to_num(values.std) for values in scores])
    ends = ends[np.isfinite(ends)]
    return float(np.clip(np.floor((ends.min(initial=80) - 2) / 20) * 20, 0, 80))


def _dots(axes: Axes, scores: ClassScores, colour: str, shape: str, shift: float) -> None:
    mean, std = scores.mean, scores.std
    y = _ROW * (np.arange(len(mean)) + 0.5) + shift
    for row in np.flatnonzero(np.isfinite(std)):
        ends = [max(mean[row] - std[row], 0), min(mean[row] + std[row], 100)]
        axes.plot(ends, [y[row]] * 2, color=COLOURS[colour], lw=1.5, solid_capstyle="butt", alpha=0.6)
    scored = np.isfinite(mean)
    axes.plot(mean[scored], y[scored], shape, ms=5.5, color=COLOURS[colour], mew=0)
