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

from tenfold.record import Reader, Variant
from tenfold.wording import significant

__all__ = [
    "COLOURS", "FONT", "HOLLOW", "MOST_PANELS", "NARROW", "SMALL", "WIDE",
    "axes_at", "band", "best_variants", "fit", "legend", "mean_and_std", "new_figure", "panels", "places", "plain",
    "row_label", "scale_of", "tick_label", "title", "wrapped", "write",
]  # fmt: skip

WIDE, NARROW = 760, 360
FONT, SMALL = 12.5, 11

# Okabe and Ito's blue and vermilion, darkened to a contrast of 4.5 on white; distinct for every kind of colour vision.
COLOURS = {
    "ink": "#1b2127",
    "muted": "#59646f",
    "line": "#d3d9df",
    "first": "#1f68a8",
    "second": "#b6501b",
    "third": "#7d8790",
    "paper": "#fefefe",
}

_LINE = 15  # height of a line of a title
HOLLOW = 4.5  # diameter of a small hollow dot

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
    """Text for matplotlib to write unchanged: a dollar sign starts no formula, control characters become spaces."""
    return "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")


def fit(text: str, width: float, size: float = FONT) -> str:
    """Text cut in its middle to about ``width`` pixels: names of models often differ at their end.

    Example:
        >>> fit("Linear Siamese 2", 200), fit("Linear Siamese 2", 80)
        ('Linear Siamese 2', 'Linear…se 2')
    """
    letters = max(int(width / (size * _WIDTH_OF_A_LETTER)), 4)
    if len(text) <= letters:
        return text
    end = (letters - 1) * 2 // 5
    return f"{text[: letters - 1 - end].rstrip()}…{text[len(text) - end :].lstrip()}"


def wrapped(text: str, width: float, size: float) -> list[str]:
    """A name on one line, or on two where it is too long and can be divided; each cut in its middle as by ``fit``.

    Example:
        >>> wrapped("walking upstairs", 80, 11), wrapped("walking", 80, 11)
        (['walking', 'upstairs'], ['walking'])
    """
    if fit(text, width, size) == text:
        return [text]
    gaps = [place for place, letter in enumerate(text) if letter in " _-" and 0 < place < len(text) - 1]
    if not gaps:
        return [fit(text, width, size)]
    gap = min(gaps, key=lambda gap: max(gap, len(text) - gap))
    return [fit(part.strip(" "), width, size) for part in (text[: gap + 1], text[gap + 1 :])]


def write(axes: Axes, x: float, y: float, text: str, *, colour: str = "ink", size: float = FONT, **more: Any) -> None:
    """Text in the axes' units, in one of the colours."""
    axes.text(x, y, plain(text), color=COLOURS[colour], fontsize=size, **more)


def row_label(page: Axes, right: float, y: float, text: str) -> None:
    """The name of a row on axes made by ``whole``, ending at ``right``; in two smaller lines if it is long."""
    room = right - 6  # letters may be wider than most
    lines = [text] if fit(text, room) == text else wrapped(text, room, SMALL)
    size = FONT if len(lines) == 1 and fit(lines[0], room) == lines[0] else SMALL
    for number, line in enumerate(lines):
        middle = y + 13 * (number - (len(lines) - 1) / 2)
        write(page, right, middle, line, size=size, va="center", ha="right")


def title(axes: Axes, text: str, *, left: float, right: str = "") -> None:
    """A panel's name above it, and a value above its right end.

    Args:
        axes: the panel.
        text: on two lines or shortened where there is no room.
        left: pixels by which the name starts left of the axes, above its ticks.
        right: the value.
    """
    box = axes.get_window_extent()
    room = box.width + left - (len(right) + 2) * FONT * _WIDTH_OF_A_LETTER * (right != "")
    place: dict[str, Any] = {"transform": axes.transAxes, "va": "bottom"}
    raised = 1 + 6 / box.height
    lines = wrapped(text, room, FONT)
    for above, line in enumerate(reversed(lines)):
        write(axes, -left / box.width, raised + above * _LINE / box.height, line, **place)
    if right:
        write(axes, 1, raised, right, colour="first", ha="right", weight="bold", **place)


def legend(axes: Axes, entries: Sequence[tuple[str, str, str]], *, left: float, top: float) -> None:
    """One row of marks with their meaning, on axes made by ``whole``.

    Args:
        axes: from ``whole``.
        entries: (mark, colour, words); mark is "dot", "hollow", "line", "thin", "dashed", "band", "bar", "range",
            "tick" or "diamond".
        left, top: where the row starts and its middle lies, in pixels.
    """
    x = left
    for mark, colour, words in entries:
        tone = COLOURS[colour]
        if mark == "dot":
            axes.plot([x + 8], [top], "o", ms=6, color=tone, alpha=0.6, mew=0)
        elif mark == "hollow":
            axes.plot([x + 8], [top], "o", ms=HOLLOW, mfc="none", mec=tone, mew=1)
        elif mark == "range":
            axes.plot([x, x + 18], [top, top], color=tone, lw=2)
            axes.plot([x + 9], [top], "o", ms=7, color=tone, mew=0)
        elif mark == "diamond":
            axes.plot([x, x + 18], [top, top], color=tone, lw=1)
            axes.plot([x + 9], [top], "D", ms=6, color=tone, mew=0)
        elif mark == "bar":
            axes.plot([x, x + 18], [top, top], color=tone, lw=2)
            axes.plot([x + 9, x + 9], [top - 6, top + 6], color=tone, lw=2.5)
        elif mark == "tick":
            axes.plot([x + 9, x + 9], [top - 5, top + 5], color=tone, lw=1.5)
        elif mark == "band":
            axes.fill_between([x, x + 18], [top - 5] * 2, [top + 5] * 2, color=tone, alpha=0.2, lw=0)
        else:
            style = (0, (2, 1.2)) if mark == "dashed" else "-"
            axes.plot([x, x + 18], [top, top], color=tone, lw=0.8 if mark == "thin" else 2, ls=style)
        write(axes, x + 24, top, words, colour="muted", size=SMALL, va="center")
        x += 24 + len(words) * SMALL * _WIDTH_OF_A_LETTER + 16


def panels(
    names: Sequence[str], width: float, height: float, *, wide: int, top: float = 26, left: float = 34,
    bottom: float = 22,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """A grid of equal panels.

    Args:
        names: of the panels, for which room is kept above them; see ``title``.
        width: of the figure.
        height: of one panel's axes.
        wide: columns where there is room; a narrow figure has two.
        top: kept above the first row for a legend. left, bottom: kept beside and below each panel for ticks.
    Returns:
        The figure and its axes in reading order.
    """
    count = len(names)
    columns = min(count, wide if width > (WIDE + NARROW) / 2 else 2)
    rows = math.ceil(count / columns)
    gap = 14
    each_width = width / max(columns, 2 if width < WIDE else 3)
    room = each_width - gap - 8 * FONT * _WIDTH_OF_A_LETTER  # beside a value
    above = 24 + _LINE * any(len(wrapped(name, room, FONT)) > 1 for name in names)
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


def tick_label(value: float, unit: str) -> str:
    """A number at an axis, with the percent sign where the unit is "%"."""
    return f"{significant(value, 6)} %" if unit == "%" else significant(value, 6)


def band(mean: np.ndarray, std: np.ndarray, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """One deviation to each side; no score in percent is below 0 or above 100."""
    std = np.nan_to_num(std)
    ends = mean - std, mean + std
    return (np.clip(ends[0], 0, 100), np.clip(ends[1], 0, 100)) if unit == "%" else ends


def best_variants(results: Reader, among: Sequence[Variant] | None = None) -> list[Variant]:
    """Variants from best to worst on the primary metric, those without a score last; at most 24, the best ones."""
    place = places(results)
    variants = sorted(
        results.variants if among is None else among, key=lambda variant: place.get(variant.label, len(place) + 1)
    )
    return variants[:MOST_PANELS]


def places(results: Reader) -> dict[str, int]:
    """The place of each variant with a score in the ranking on the primary metric, by label; 1 is the best."""
    return {entry.label: entry.place for entry in results.ranking()}


def mean_and_std(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation over runs with finite values: (runs, ...) -> (...), (...). NaN where no run has one."""
    finite = np.isfinite(values)
    count = finite.sum(0)
    mean = np.where(finite, values, 0).sum(0) / np.where(count > 0, count, np.nan)
    squares = np.where(finite, (values - mean) ** 2, 0).sum(0)
    return mean, np.sqrt(squares / np.where(count > 1, count - 1, np.nan))
