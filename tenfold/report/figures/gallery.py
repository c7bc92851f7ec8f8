"""Queries with their candidates, in the order of a model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tenfold.record import Reader
from tenfold.report.figures._canvas import COLOURS, FONT, NARROW, SMALL, WIDE, fit, new_figure, whole, write
from tenfold.report.figures._images import are_images, draw_image, size_of_images
from tenfold.report.figures._numbers import Row
from tenfold.report.figures._predictions import models_of

ARRAYS = (("query", "ranked", "right_place"),)

_MOST = 16
_FIRST = 6  # candidates shown per query; the right one is added where it is not among them
_TOP, _WORDS, _BETWEEN, _GAP = 56, 24, 28, 5  # heading; below an image; between columns; between images, in pixels
_SPACE = 16  # after the query, and before a right candidate that is not among the first
_CELLS = 1 + _FIRST + 1


class Queries(NamedTuple):
    """Images of the queries, shape (queries, ...), and of their candidates in the model's order, shape (queries,
    candidates, ...); the place of the right candidate, 0 first; and the models that ranked them."""

    query: np.ndarray
    ranked: np.ndarray
    place: np.ndarray
    models: list[str]


def collect(results: Reader) -> Queries | None:
    """The queries that the study saved to be shown; None where it saved none."""
    arrays = results.gallery()
    if arrays is None or not set(ARRAYS[0]) <= arrays.keys():
        return None
    query, ranked, place = (arrays[name][:_MOST] for name in ARRAYS[0])
    if not are_images(query, leading=1) or not are_images(ranked, leading=2) or ranked.ndim != query.ndim + 1:
        return None
    if not len(query) == len(ranked) == len(place):
        return None
    return Queries(query, ranked, place.astype(int), models_of(results, arrays.get("model")))


def numbers(queries: Queries) -> list[Row]:
    """One row per query and candidate shown; the images themselves are in ``predictions/gallery.npz``."""
    return [
        {"query": number, "candidate_place": candidate + 1, "is_right": int(candidate == place)}
        for number, place in enumerate(queries.place.tolist(), start=1)
        for candidate in _shown(place, queries.ranked.shape[1])
    ]


def draw(queries: Queries, *, width: float = WIDE) -> Figure:
    """Each query with its best candidates and the right one, marked."""
    query, ranked, place, _ = queries
    narrow = width < (WIDE + NARROW) / 2
    columns = 1 if narrow else 2
    rows = -(-len(query) // columns)
    each = (width - _BETWEEN * (columns - 1)) / columns
    side = (each - 2 * _SPACE - (_CELLS - 3) * _GAP - 2) / _CELLS
    image_height, image_width = size_of_images(query)
    high = side * image_height / image_width
    height = _TOP + rows * (high + _WORDS)
    figure = new_figure(width, height)
    page = whole(figure)
    _heading(page, queries.models, width, narrow=narrow)
    peak = max(float(query.max()), float(ranked.max()), 1e-9)
    for number in range(len(query)):
        # Down the first column, then down the second.
        left, top = (number // rows) * (each + _BETWEEN) + 1, _TOP + (number % rows) * (high + _WORDS)
        _row(page, query[number], ranked[number], int(place[number]), (left, top, side, high), peak)
    page.set_xlim(0, width)
    page.set_ylim(height, 0)
    return figure


def _shown(place: int, n_candidates: int) -> list[int]:
    """The candidates drawn of a query: the best, and the right one where it is not among them."""
    first = list(range(min(_FIRST, n_candidates)))
    return [*first, place] if _FIRST <= place < n_candidates else first


def _heading(page: Axes, models: list[str], width: float, *, narrow: bool) -> None:
    """Which model ranked, and what the marks mean."""
    if models:
        write(page, 0, 10, fit("As ranked by " + ", ".join(models), width), va="center")
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


def _row(
    page: Axes, query: np.ndarray, ranked: np.ndarray, place: int, box: tuple[float, float, float, float], peak: float
) -> None:
    """One query and its candidates; the box is left, top, width and height of the query's image."""
    left, top, side, high = box
    draw_image(page, query, left, top, side, high, peak=peak)
    left += side + _SPACE
    for candidate in _shown(place, len(ranked)):
        if candidate >= _FIRST:
            left += _SPACE - _GAP
            if candidate > _FIRST:
                write(page, left - _SPACE / 2, top + high / 2, "…", colour="muted", ha="center", va="center", size=FONT)
        draw_image(page, ranked[candidate], left, top, side, high, peak=peak)
        mark, colour = ("✓ ", "first") if candidate == place else ("✗ ", "second") if candidate == 0 else ("", "muted")
        if mark:
            style = "-" if candidate == place else (0, (2, 1.2))
            frame = Rectangle((left, top), side, high, fill=False, ec=COLOURS[colour], lw=2.5, ls=style, zorder=3)
            page.add_patch(frame)
        write(
            page, left + side / 2, top + high + 9, f"{mark}{candidate + 1}", colour=colour, size=SMALL if mark else 9.5,
            ha="center", va="center", weight="bold" if mark else "normal",
        )  # fmt: skip
        left += side + _GAP
