"""Queries with their candidates, in the order in which a model ranks them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tenfold.record import Reader
from tenfold.report.figures._canvas import COLOURS, FONT, NARROW, SMALL, WIDE, fit, new_figure, whole, write
from tenfold.report.figures._predictions import MATCH, readable

_MOST = 16
_FIRST = 6  # candidates shown of each query, besides the right one
_TOP, _WORDS, _BETWEEN, _GAP = 56, 24, 28, 5  # heading; below an image; between columns; between images, in pixels
_SPACE = 16  # after the query, and before a right one that stands further down
_CELLS = 1 + _FIRST + 1


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """Each query with its best candidates and the right one, marked; None where none were saved."""
    arrays = readable(results, results.gallery, MATCH)
    if arrays is None or not {"query", "ranked", "right_place"} <= arrays.keys():
        return None
    query, ranked, place = (arrays[name][:_MOST] for name in ("query", "ranked", "right_place"))
    if query.ndim != 3 or ranked.ndim != 4 or not len(query) or not len(query) == len(ranked) == len(place):
        return None
    narrow = width < (WIDE + NARROW) / 2
    columns = 1 if narrow else 2
    rows = -(-len(query) // columns)
    each = (width - _BETWEEN * (columns - 1)) / columns
    side = (each - 2 * _SPACE - (_CELLS - 3) * _GAP - 2) / _CELLS
    high = side * query.shape[1] / query.shape[2]
    height = _TOP + rows * (high + _WORDS)
    figure = new_figure(width, height)
    page = whole(figure)
    _heading(page, results, arrays.get("model"), width, narrow=narrow)
    peak = max(float(query.max()), float(ranked.max()), 1e-9)
    for number in range(len(query)):
        # Down the first column, then down the second.
        left, top = (number // rows) * (each + _BETWEEN) + 1, _TOP + (number % rows) * (high + _WORDS)
        _row(page, query[number] / peak, ranked[number] / peak, int(place[number]), (left, top, side, high))
    page.set_xlim(0, width)
    page.set_ylim(height, 0)
    return figure


def _heading(page: Axes, results: Reader, models: np.ndarray | None, width: float, *, narrow: bool) -> None:
    """Who ranks, and what the marks mean."""
    known = range(len(results.models))
    names = [] if models is None else [results.models[at] for at in np.unique(models).tolist() if at in known]
    if names:
        write(page, 0, 10, fit("As ranked by " + ", ".join(names), width), va="center")
    write(page, 0, 36, "query", colour="muted", size=SMALL, va="center")
    x = 48
    for mark, colour, words in (("✓", "first", "right one"), ("✗", "second", "wrong first choice")):
        style = "-" if mark == "✓" else (0, (2, 1.2))
        page.add_patch(Rectangle((x, 30), 12, 12, fill=False, ec=COLOURS[colour], lw=2, ls=style))
        write(page, x + 18, 36, mark, colour=colour, size=SMALL, va="center", weight="bold")
        write(page, x + 30, 36, words, colour="muted", size=SMALL, va="center")
        x += 30 + len(words) * 6 + 16
    if not narrow:
        write(page, x, 36, "numbers: place among the candidates", colour="muted", size=SMALL, va="center")


def _row(page: Axes, query: np.ndarray, ranked: np.ndarray, place: int, box: tuple[float, float, float, float]) -> None:
    """One query and its candidates; the box is left, top, width and height of the query's image."""
    left, top, side, high = box
    _image(page, query, left, top, side, high)
    shown = list(range(min(_FIRST, len(ranked))))
    if _FIRST <= place < len(ranked):
        shown.append(place)
    left += side + _SPACE
    for at in shown:
        if at >= _FIRST:
            left += _SPACE - _GAP
            if at > _FIRST:
                write(page, left - _SPACE / 2, top + high / 2, "…", colour="muted", ha="center", va="center", size=FONT)
        _image(page, ranked[at], left, top, side, high)
        mark, colour = ("✓ ", "first") if at == place else ("✗ ", "second") if at == 0 else ("", "muted")
        if mark:
            style = "-" if at == place else (0, (2, 1.2))
            frame = Rectangle((left, top), side, high, fill=False, ec=COLOURS[colour], lw=2.5, ls=style, zorder=3)
            page.add_patch(frame)
        write(
            page, left + side / 2, top + high + 9, f"{mark}{at + 1}", colour=colour, size=SMALL if mark else 9.5,
            ha="center", va="center", weight="bold" if mark else "normal",
        )  # fmt: skip
        left += side + _GAP


def _image(page: Axes, image: np.ndarray, left: float, top: float, width: float, height: float) -> None:
    extent = (left, left + width, top + height, top)
    page.imshow(image, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="none", aspect="auto")
    # Dark images need an edge on a dark page, bright ones on a bright page.
    page.add_patch(Rectangle((left, top), width, height, fill=False, ec=COLOURS["line"], lw=1))
