"""What all figures share: colours, sizes in pixels, panels, small legends. Matplotlib's objects only, never pyplot.

Each colour below is also a CSS variable of the report: the inlined SVG takes the variable, which light and dark pages
set differently, while PDF and PNG keep the colour itself. One unit of length is one CSS pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.results import Arm, Results

__all__ = [
    "COLOURS", "FONT", "NARROW", "SMALL", "WIDE",
    "axes_at", "best_arms", "fit", "legend", "new_figure", "panels", "plain", "scale_of", "title", "write",
]  # fmt: skip

WIDE, NARROW = 760, 360
FONT, SMALL = 12.5, 11

# Okabe and Ito's blue and vermilion, darkened to a contrast of 4.5 on white; told apart with every colour vision.
COLOURS = {
    "ink": "#1b2127",
    "muted": "#59646f",
    "line": "#d3d9df",
    "first": "#1f68a8",
    "second": "#b6501b",
    "third": "#7d8790",
    "paper": "#fefefe",
}

_PER_INCH = 72
_WIDTH_OF_A_LETTER = 0.56
MOST_PANELS = 24


def new_figure(width: float, height: float) -> Figure:
    """An empty transparent figure, width and height in pixels."""
    return Figure(figsize=(width / _PER_INCH, height / _PER_INCH), dpi=_PER_INCH, facecolor="none")


def size_of(figure: Figure) -> tuple[float, float]:
    """Width and height in pixels."""
    width, height = figure.get_size_inches() * _PER_INCH
    return float(width), float(height)


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Bare axes at a place in pixels from the figure's top left corner; no frame, ticks in the muted colour."""
    whole_width, whole_height = size_of(figure)
    place = (left / whole_width, 1 - (top + height) / whole_height, width / whole_width, height / whole_height)
    axes = figure.add_axes(place, facecolor="none")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, pad=4, labelsize=SMALL, labelcolor=COLOURS["muted"])
    axes.set_axisbelow(True)
    return axes


def whole(figure: Figure) -> Axes:
    """Axes over the whole figure that count in pixels from the top left corner; for text and marks placed by hand."""
    width, height = size_of(figure)
    axes = axes_at(figure, 0, 0, width, height)
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    return axes


def plain(text: str) -> str:
    """Text as it stands: a dollar sign is no formula, a line break or control character is a space."""
    return "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")


def fit(text: str, width: float, size: float = FONT) -> str:
    """Text cut in its middle to about a width in pixels: names of models often differ at their end.

    Example:
        >>> fit("Linear Siamese 2", 200), fit("Linear Siamese 2", 80)
        ('Linear Siamese 2', 'Linear…se 2')
    """
    letters = max(int(width / (size * _WIDTH_OF_A_LETTER)), 4)
    if len(text) <= letters:
        return text
    end = (letters - 1) * 2 // 5
    return f"{text[: letters - 1 - end].rstrip()}…{text[len(text) - end :].lstrip()}"


def write(axes: Axes, x: float, y: float, text: str, *, colour: str = "ink", size: float = FONT, **more: Any) -> None:
    """Text in the axes' units, in one of the colours."""
    axes.text(x, y, plain(text), color=COLOURS[colour], fontsize=size, **more)


def title(axes: Axes, text: str, *, left: float, right: str = "") -> None:
    """A panel's name above it, and a value above its right end.

    Args:
        axes: the panel.
        text: shortened where there is no room.
        left: pixels by which the name starts left of the axes, above its ticks.
        right: the value.
    """
    box = axes.get_window_extent()
    room = box.width + left - (len(right) + 1) * FONT * _WIDTH_OF_A_LETTER * (right != "")
    place: dict[str, Any] = {"transform": axes.transAxes, "va": "bottom"}
    raised = 1 + 6 / box.height
    write(axes, -left / box.width, raised, fit(text, room), **place)
    if right:
        write(axes, 1, raised, right, colour="first", ha="right", weight="bold", **place)


def legend(axes: Axes, entries: Sequence[tuple[str, str, str]], *, left: float, top: float) -> None:
    """One row of marks with their meaning, on axes made by ``whole``.

    Args:
        axes: from ``whole``.
        entries: (mark, colour, words); mark is "dot", "line", "dashed", "band", "bar" or "diamond".
        left, top: where the row starts and its middle lies, in pixels.
    """
    x = left
    for mark, colour, words in entries:
        tone = COLOURS[colour]
        if mark == "dot":
            axes.plot([x + 8], [top], "o", ms=6, color=tone, alpha=0.6, mew=0)
        elif mark == "diamond":
            axes.plot([x, x + 18], [top, top], color=tone, lw=1)
            axes.plot([x + 9], [top], "D", ms=6, color=tone, mew=0)
        elif mark == "bar":
            axes.plot([x, x + 18], [top, top], color=tone, lw=2)
            axes.plot([x + 9, x + 9], [top - 6, top + 6], color=tone, lw=2.5)
        elif mark == "band":
            axes.fill_between([x, x + 18], [top - 5] * 2, [top + 5] * 2, color=tone, alpha=0.2, lw=0)
        else:
            axes.plot([x, x + 18], [top, top], color=tone, lw=2, ls="-" if mark == "line" else (0, (2, 1.2)))
        write(axes, x + 24, top, words, colour="muted", size=SMALL, va="center")
        x += 24 + len(words) * SMALL * _WIDTH_OF_A_LETTER + 16


def panels(
    count: int, width: float, height: float, *, wide: int, top: float = 26, left: float = 34, bottom: float = 22
) -> tuple[Figure, list[Axes]]:
    """A grid of equal panels.

    Args:
        count: how many.
        width: of the figure.
        height: of one panel's axes.
        wide: columns where there is room; a narrow figure has two.
        top: kept above the first row for a legend. left, bottom: kept beside and below each panel for ticks.
    Returns:
        The figure and its axes in reading order.
    """
    columns = min(count, wide if width > (WIDE + NARROW) / 2 else 2)
    rows = math.ceil(count / columns)
    above, gap = 24, 14
    each_width = width / max(columns, 2 if width < WIDE else 3)
    each_height = above + height + bottom + gap
    figure = new_figure(width, top + rows * each_height)
    places = [(index % columns, index // columns) for index in range(count)]
    return figure, [
        axes_at(figure, column * each_width + left, top + row * each_height + above, each_width - left - gap, height)
        for column, row in places
    ]


def scale_of(unit: str) -> float:
    """What scores are multiplied by to be shown: 100 where the unit is "%"."""
    return 100.0 if unit == "%" else 1.0


def best_arms(results: Results, among: Sequence[Arm] | None = None) -> list[Arm]:
    """Arms from best to worst on the primary metric, those without a score last; at most 24, the best ones."""
    place = {entry.label: entry.place for entry in results.ranking()}
    arms = sorted(results.arms if among is None else among, key=lambda arm: place.get(arm.label, len(place) + 1))
    return arms[:MOST_PANELS]


def mean_and_std(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation over runs, NaN left out: (runs, ...) -> (...), (...). Quiet where nothing is left."""
    there = np.isfinite(values)
    count = there.sum(0)
    mean = np.where(there, values, 0).sum(0) / np.where(count > 0, count, np.nan)
    squares = np.where(there, (values - mean) ** 2, 0).sum(0)
    return mean, np.sqrt(squares / np.where(count > 1, count - 1, np.nan))
