"""The error in each of the episodes that come with the data."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._canvas import (
    COLOURS,
    MOST_PANELS,
    NARROW,
    SMALL,
    WIDE,
    axes_at,
    fit,
    legend,
    mean_and_std,
    new_figure,
    row_label,
    whole,
    write,
)
from tenfold.report.figures._predictions import MATCH, sound_runs

_ROW, _DOT, _LINE = 44, 6.0, 16  # pixels: height of a variant, diameter of a dot, height of a line of names


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """One row a variant, a dot an episode; None where the record has no episodes."""
    found = [
        (variant, episode_errors(arrays["episode_place"]))
        for variant, arrays in sound_runs(results, MATCH, "episode_place")
        if arrays["episode_place"].ndim == 3 and arrays["episode_place"][0].size
    ]
    found = list(islice(found, MOST_PANELS))
    if not found:
        return None
    narrow = width < (WIDE + NARROW) / 2
    left, right, row = (6, 62, _ROW + 18) if narrow else (178, 72, _ROW)
    references = references_of(results)
    highest = max(float(errors.mean(0).max()) for _, errors in found)
    limit = max([highest, *references.values(), 1.0]) * 1.04
    pixels = (width - left - right) / (1.02 * limit)
    lines = [line for line, _ in _places_of_names(references, pixels, width - left - right).values()]
    above = 34 if narrow else 14
    top = above + 14 + _LINE * (max(lines, default=-1) + 1)
    figure = new_figure(width, top + row * len(found) + 28)
    page = whole(figure)
    page.set_zorder(2)  # names lie over the grid lines on a narrow page
    _legend(page, left=left, narrow=narrow, references=bool(references))
    axes = axes_at(figure, left, top, width - left - right, row * len(found))
    axes.set_ylim(row * len(found), 0)
    axes.set_xlim(-0.02 * limit, limit)
    axes.set_yticks([])
    axes.grid(axis="x", color=COLOURS["line"], lw=1)
    _references(page, axes, references, left + 0.02 * limit * pixels, top, pixels)
    for number, (variant, errors) in enumerate(found):
        y = row * number + (row - _ROW) + _ROW / 2
        _strip(axes, errors, y, pixels)
        if narrow:
            box = {"facecolor": COLOURS["paper"], "lw": 0, "pad": 1}
            write(page, 6, top + row * number + 10, fit(variant.label, width - 12), va="center", bbox=box)
        else:
            row_label(page, left - 12, top + y, variant.label)
        mean, std = mean_and_std(errors.mean(1))
        place: dict[str, Any] = {"ha": "right", "va": "center"}
        write(page, width - 4, top + y - (7 if math.isfinite(std) else 0), f"{mean:.1f} %", weight="bold", **place)
        if math.isfinite(std):
            write(page, width - 4, top + y + 8, f"± {std:.1f}", colour="muted", size=SMALL, **place)
    axes.xaxis.get_major_locator().set_params(nbins=4 if narrow else 7)  # type: ignore[union-attr]
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    return figure


def episode_errors(place: np.ndarray) -> np.ndarray:
    """Errors in percent, (runs, episodes), from the places of the right ones, (runs, episodes, queries); 0 is right."""
    return 100 * (place > 0).mean(2)


def references_of(results: Reader) -> dict[str, float]:
    """Errors in percent by name that the study's description gives to compare with, smallest first."""
    given = (results.study.get("task") or {}).get("references")
    if not isinstance(given, dict):
        return {}
    there = [(str(name), float(error)) for name, error in given.items() if type(error) in (int, float)]
    return dict(sorted(((name, error) for name, error in there if 0 <= error <= 100), key=lambda entry: entry[1]))


def _places_of_names(references: dict[str, float], pixels: float, room: float) -> dict[str, tuple[int, float]]:
    """The line of text above the axes on which each name stands, 0 the lowest, and where it starts in pixels.

    Smaller errors stand higher: the dashed lines then end below the names that they would cross.
    """
    places: dict[str, tuple[int, float]] = {}
    for name, error in reversed(references.items()):
        long = len(_words(name, error, room)) * SMALL * 0.56
        start = max(min(error * pixels + 4, room - long), 0)
        under = [line for line, other in places.values() if other < start + long + 10]
        places[name] = (max(under, default=-1) + 1, start)
    return places


def _words(name: str, error: float, room: float) -> str:
    return f"{fit(name, room / 2, SMALL)} {error:g} %"


def _references(page: Axes, axes: Axes, references: dict[str, float], left: float, top: float, pixels: float) -> None:
    """A dashed line for each over all variants, up to its name."""
    room = axes.get_window_extent().width
    look = {"color": COLOURS["second"], "lw": 1.2, "ls": (0, (4, 2))}
    for name, (line, start) in _places_of_names(references, pixels, room).items():
        y = top - 8 - _LINE * line
        axes.axvline(references[name], **look)
        page.plot([left + references[name] * pixels] * 2, [y - 5, top], **look)
        box = {"facecolor": COLOURS["paper"], "lw": 0, "pad": 0.5}
        words = _words(name, references[name], room)
        write(page, left + start, y, words, colour="second", size=SMALL, va="center", bbox=box)


def _legend(page: Axes, *, left: float, narrow: bool, references: bool) -> None:
    entries = [("dot", "first", "one episode"), ("bar", "ink", "mean ± deviation over repeats")]
    published = [("dashed", "second", "published")] if references else []
    legend(page, entries if narrow else entries + published, left=left, top=12)
    if narrow:
        legend(page, published, left=left, top=32)


def _strip(axes: Axes, errors: np.ndarray, y: float, pixels: float) -> None:
    episodes, tone = errors.mean(0), COLOURS["ink"]
    shifts = swarm(episodes * pixels, _DOT, most=3)
    axes.plot(episodes, y + shifts, "o", ms=_DOT, color=COLOURS["first"], alpha=0.6, mew=0)
    mean, std = mean_and_std(errors.mean(1))
    if math.isfinite(std):
        axes.plot([mean - std, mean + std], [y, y], color=tone, lw=2, solid_capstyle="butt")
    axes.plot([mean, mean], [y - 12, y + 12], color=tone, lw=2.5, solid_capstyle="butt")


def swarm(places: np.ndarray, diameter: float, *, most: int) -> np.ndarray:
    """Sideways shifts by which dots at these places hardly cover each other, as multiples of the diameter.

    Args:
        places: along the strip, shape (dots,), in the unit of the diameter.
        most: levels on each side; a dot that finds them all taken lies on the middle one.
    Example:
        >>> swarm(np.array([5.0, 5.0, 20.0, 6.0]), 2.0, most=3).tolist()
        [0.0, 2.0, 0.0, -2.0]
    """
    levels = [0, *(sign * level for level in range(1, most + 1) for sign in (1, -1))]
    shifts = np.zeros(len(places))
    done: list[int] = []
    for dot in np.argsort(places, kind="stable").tolist():
        near = [shifts[other] for other in done if places[dot] - places[other] < diameter]
        shifts[dot] = next((level * diameter for level in levels if level * diameter not in near), 0)
        done.append(dot)
    return shifts
