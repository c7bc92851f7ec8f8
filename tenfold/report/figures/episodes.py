"""The error in each of the episodes that come with the data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Reader, Variant
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
from tenfold.report.figures._numbers import Row, columns_of
from tenfold.report.figures._predictions import sound_runs

ARRAYS = (("episode_place",),)

_ROW, _DOT, _LINE = 44, 6.0, 16  # pixels: height of a variant, diameter of a dot, height of a line of names


class Errors(NamedTuple):
    """Errors of one variant in percent: each episode's mean over runs (episodes,), and the mean over episodes with its
    deviation over runs."""

    variant: Variant
    episodes: np.ndarray
    mean: float
    std: float


class Episodes(NamedTuple):
    """The variants, best first, and published errors in percent by name."""

    variants: list[Errors]
    references: dict[str, float]


def collect(results: Reader) -> Episodes | None:
    """The errors of the best variants; None where the record has no episodes."""
    variants = list(islice(_errors(results), MOST_PANELS))
    return Episodes(variants, references_of(results)) if variants else None


def numbers(episodes: Episodes) -> list[Row]:
    """One row per variant and episode, the mean and the deviation of each variant, and one row per published error."""
    rows: list[Row] = []
    for row in episodes.variants:
        values: list[tuple[str, int | None, float]] = [
            ("error", place, float(error)) for place, error in enumerate(row.episodes, start=1)
        ]
        values += [("mean", None, row.mean), ("deviation", None, row.std)]
        rows += [
            {**columns_of(row.variant), "what": what, "episode": episode, "value_percent": value}
            for what, episode, value in values
            if math.isfinite(value)
        ]
    return rows + [
        {"model": None, "variant": None, "label": name, "what": "published", "episode": None, "value_percent": error}
        for name, error in episodes.references.items()
    ]


def draw(episodes: Episodes, *, width: float = WIDE) -> Figure:
    """One row per variant, one dot per episode, one dashed line per published error."""
    variants, references = episodes
    narrow = width < (WIDE + NARROW) / 2
    left, right, row = (6, 62, _ROW + 18) if narrow else (178, 72, _ROW)
    highest = max(float(errors.episodes.max()) for errors in variants)
    limit = max([highest, *references.values(), 1.0]) * 1.04
    pixels = (width - left - right) / (1.02 * limit)
    lines = [line for line, _ in _places_of_names(references, pixels, width - left - right).values()]
    above = 34 if narrow else 14
    top = above + 14 + _LINE * (max(lines, default=-1) + 1)
    figure = new_figure(width, top + row * len(variants) + 28)
    page = whole(figure)
    page.set_zorder(2)  # names lie over the grid lines on a narrow page
    _legend(page, left=left, narrow=narrow, references=bool(references))
    axes = axes_at(figure, left, top, width - left - right, row * len(variants))
    axes.set_ylim(row * len(variants), 0)
    axes.set_xlim(-0.02 * limit, limit)
    axes.set_yticks([])
    axes.grid(axis="x", color=COLOURS["line"], lw=1)
    _references(page, axes, references, left + 0.02 * limit * pixels, top, pixels)
    for number, errors in enumerate(variants):
        y = row * number + (row - _ROW) + _ROW / 2
        _strip(axes, errors, y, pixels)
        if narrow:
            box = {"facecolor": COLOURS["paper"], "lw": 0, "pad": 1}
            write(page, 6, top + row * number + 10, fit(errors.variant.label, width - 12), va="center", bbox=box)
        else:
            row_label(page, left - 12, top + y, errors.variant.label)
        has_std = math.isfinite(errors.std)
        place: dict[str, Any] = {"ha": "right", "va": "center"}
        write(page, width - 4, top + y - (7 if has_std else 0), f"{errors.mean:.1f} %", weight="bold", **place)
        if has_std:
            write(page, width - 4, top + y + 8, f"± {errors.std:.1f}", colour="muted", size=SMALL, **place)
    axes.xaxis.get_major_locator().set_params(nbins=4 if narrow else 7)  # type: ignore[union-attr]
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    return figure


def _errors(results: Reader) -> Iterator[Errors]:
    for variant, arrays in sound_runs(results, *ARRAYS[0]):
        place = arrays["episode_place"]
        if place.ndim == 3 and place[0].size:
            errors = episode_errors(place)
            mean, std = mean_and_std(errors.mean(1))
            yield Errors(variant, errors.mean(0), float(mean), float(std))


def episode_errors(place: np.ndarray) -> np.ndarray:
    """Errors in percent, shape (runs, episodes).

    Args:
        place: of the right candidate in the model's order, shape (runs, episodes, queries); 0 is a right answer.
    """
    return 100 * (place > 0).mean(2)


def references_of(results: Reader) -> dict[str, float]:
    """Published errors in percent by name, as the study file gives them, smallest first."""
    given = results.study.get("references")
    if not isinstance(given, dict):
        return {}
    errors = [(str(name), float(error)) for name, error in given.items() if type(error) in (int, float)]
    return dict(sorted(((name, error) for name, error in errors if 0 <= error <= 100), key=lambda entry: entry[1]))


def _places_of_names(references: dict[str, float], pixels: float, room: float) -> dict[str, tuple[int, float]]:
    """For each name its line of text above the axes, 0 the lowest, and where the name starts, in pixels.

    Names of smaller errors stand higher, so that their dashed lines cross no other name.
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
    """A dashed line for each published error, across all variants and up to its name."""
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


def _strip(axes: Axes, errors: Errors, y: float, pixels: float) -> None:
    mean, std, tone = errors.mean, errors.std, COLOURS["ink"]
    shifts = swarm(errors.episodes * pixels, _DOT, most=3)
    axes.plot(errors.episodes, y + shifts, "o", ms=_DOT, color=COLOURS["first"], alpha=0.6, mew=0)
    if math.isfinite(std):
        axes.plot([mean - std, mean + std], [y, y], color=tone, lw=2, solid_capstyle="butt")
    axes.plot([mean, mean], [y - 12, y + 12], color=tone, lw=2.5, solid_capstyle="butt")


def swarm(places: np.ndarray, diameter: float, *, most: int) -> np.ndarray:
    """Sideways shifts that keep dots at these places apart, as multiples of the diameter.

    Args:
        places: of the dots along the strip, shape (dots,), in the unit of the diameter.
        diameter: of a dot.
        most: levels on each side; where all are taken, a dot lies on the middle one and covers another.
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
