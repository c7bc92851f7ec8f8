"""Axes with labelled rows; the labels stand beside the rows, or above them on a narrow page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.report.figures._canvas import (
    COLOURS,
    NARROW,
    SMALL,
    WIDE,
    axes_at,
    fit,
    new_figure,
    row_label,
    whole,
    write,
)

__all__ = ["Rows", "rows_of", "value_at"]

LEFT = 178


class Rows(NamedTuple):
    """Axes with rows, and where they are.

    Attributes:
        figure: the figure.
        page: axes over the whole figure, in pixels from its top left corner.
        axes: the axes of the rows; y is in pixels from their top.
        top: where the axes start on the page, in pixels.
        middles: y of the middle of each row.
        narrow: whether the page is narrow.
    """

    figure: Figure
    page: Axes
    axes: Axes
    top: float
    middles: list[float]
    narrow: bool


def rows_of(labels: Sequence[str], *, width: float, top: float, height: float, right: float) -> Rows:
    """Empty axes with a row for each label.

    Args:
        labels: of the rows; cut in their middle where there is no room.
        width: of the figure, in pixels.
        top: pixels above the axes.
        height: of a row whose label stands beside it, in pixels.
        right: pixels kept at the right of the axes for values.
    """
    narrow = width < (WIDE + NARROW) / 2
    left, row = (6, height + 18) if narrow else (LEFT, height)
    figure = new_figure(width, top + row * len(labels) + 28)
    page = whole(figure)
    page.set_zorder(2)  # names lie over the grid lines on a narrow page
    axes = axes_at(figure, left, top, width - left - right, row * len(labels))
    axes.set_ylim(row * len(labels), 0)
    axes.set_yticks([])
    axes.grid(axis="x", color=COLOURS["line"], lw=1)
    axes.xaxis.get_major_locator().set_params(nbins=4 if narrow else 7)  # type: ignore[union-attr]
    middles = [row * number + (row - height) + height / 2 for number in range(len(labels))]
    for number, (label, middle) in enumerate(zip(labels, middles, strict=True)):
        if narrow:
            box = {"facecolor": COLOURS["paper"], "lw": 0, "pad": 1}
            write(page, 6, top + row * number + 10, fit(label, width - 12), va="center", bbox=box)
        else:
            row_label(page, LEFT - 12, top + middle, label)
    return Rows(figure, page, axes, top, middles, narrow)


def value_at(rows: Rows, number: int, value: str, under: str, *, width: float, colour: str = "muted") -> None:
    """A value at the right end of a row, and a small text below it."""
    middle = rows.top + rows.middles[number]
    write(rows.page, width - 4, middle - (7 if under else 0), value, ha="right", va="center", weight="bold")
    if under:
        write(rows.page, width - 4, middle + 8, under, colour=colour, size=SMALL, ha="right", va="center")
