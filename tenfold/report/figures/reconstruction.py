"""Test examples beside their reconstructions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Reader, Variant
from tenfold.report.figures._canvas import (
    COLOURS,
    NARROW,
    SMALL,
    WIDE,
    axes_at,
    fit,
    legend,
    new_figure,
    row_label,
    whole,
    write,
)
from tenfold.report.figures._images import are_images, draw_image, size_of_images
from tenfold.report.figures._numbers import Row, columns_of, number
from tenfold.report.figures._predictions import sound_runs
from tenfold.wording import significant

ARRAYS = (("target", "reconstruction"),)

_MOST_EXAMPLES, _MOST_VARIANTS = 8, 6
_LEFT, _GAP, _WORDS = 178, 6, 18  # pixels: for names on a wide page; between examples; for the error below each
_TOP, _ABOVE = 24, 20  # pixels: for a line of the heading; for a name above its row on a narrow page


class Examples(NamedTuple):
    """Reconstructions by one variant, shape (examples, ...), and their mean squared errors, shape (examples,)."""

    variant: Variant
    reconstruction: np.ndarray
    error: np.ndarray


class Reconstructions(NamedTuple):
    """The first examples of one repeat, shape (examples, ...), and the variants, best first, that reconstruct them."""

    repeat: int
    target: np.ndarray
    variants: list[Examples]

    @property
    def are_images(self) -> bool:
        return are_images(self.target, leading=1)


def collect(results: Reader) -> Reconstructions | None:
    """Examples of the best variant's first usable run, and what other variants make of them; None where there are none.

    A run is usable if it did not diverge and its first examples are finite.
    """
    found: Reconstructions | None = None
    for variant, arrays in sound_runs(results, *ARRAYS[0]):
        for repeat, target, reconstruction in _usable(arrays):
            if found is None:
                found = Reconstructions(repeat, target, [])
            if repeat == found.repeat and np.array_equal(target, found.target):
                found.variants.append(Examples(variant, reconstruction, _errors(target, reconstruction)))
                break
        if found is not None and len(found.variants) == _MOST_VARIANTS:
            break
    return found


def numbers(found: Reconstructions) -> list[Row]:
    """One row per variant and example with its error; for vectors, one row per value.

    Images themselves are in the record's ``predictions/``.
    """
    rows: list[Row] = []
    for examples in found.variants:
        for place, error in enumerate(examples.error):
            common: Row = {
                **columns_of(examples.variant), "repeat": found.repeat, "example": place + 1,
                "mean_squared_error": number(error),
            }  # fmt: skip
            if found.are_images:
                rows.append(common)
                continue
            values = zip(found.target[place], examples.reconstruction[place], strict=True)
            rows += [
                {**common, "position": position, "target": number(target), "reconstruction": number(value)}
                for position, (target, value) in enumerate(values)
            ]
    return rows


def draw(found: Reconstructions, *, width: float = WIDE) -> Figure:
    """Images: one row of inputs, and below it one row per variant. Vectors: one row per variant, two lines a panel."""
    narrow = width < (WIDE + NARROW) / 2
    left = 1 if narrow else _LEFT
    above = _ABOVE if narrow else 0
    side = (width - left - 1 - _GAP * (_MOST_EXAMPLES - 1)) / _MOST_EXAMPLES
    high, wide = size_of_images(found.target) if found.are_images else (1, 1)
    height = side * high / wide
    names = [examples.variant.label for examples in found.variants]
    down = above + height + _WORDS
    inputs = above + height + 8 if found.are_images else 0
    heading = _TOP * (2 if narrow and not found.are_images else 1)
    bottom = heading + inputs + down * len(names)
    figure = new_figure(width, bottom)
    page = whole(figure)
    _heading(page, found, left, narrow=narrow)
    boxes = [(left + place * (side + _GAP), side) for place in range(len(found.target))]
    if found.are_images:
        _name(page, "input", heading, left, above, height, width, narrow=narrow)
        for image, (x, _) in zip(found.target, boxes, strict=True):
            draw_image(page, image, x, heading + above, side, height, peak=_peak(found))
    for row, examples in enumerate(found.variants):
        top = heading + inputs + row * down
        _name(page, names[row], top, left, above, height, width, narrow=narrow)
        for place, (x, _) in enumerate(boxes):
            if found.are_images:
                image = examples.reconstruction[place]
                draw_image(page, image, x, top + above, side, height, peak=_peak(found))
            else:
                _lines(figure, found, examples, place, (x, top + above, side, height))
            words = significant(examples.error[place], 2)
            middle = top + above + height + 9
            write(page, x + side / 2, middle, words, ha="center", va="center", colour="muted", size=9.5)
    page.set_xlim(0, width)
    page.set_ylim(bottom, 0)
    return figure


def _usable(arrays: dict[str, np.ndarray]) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Repeat, first inputs and their reconstructions of every run that can be shown."""
    target, reconstruction = arrays["target"], arrays["reconstruction"]
    if target.shape != reconstruction.shape or not (are_images(target, leading=2) or target.ndim == 3):
        return []
    found = []
    for repeat, inputs, outputs in zip(arrays["repeat"].tolist(), target, reconstruction, strict=True):
        inputs, outputs = (values[:_MOST_EXAMPLES].astype(np.float64) for values in (inputs, outputs))
        if inputs.size and np.isfinite(inputs).all() and np.isfinite(outputs).all():
            found.append((int(repeat), inputs, outputs))
    return found


def _errors(target: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    return ((target - reconstruction) ** 2).reshape(len(target), -1).mean(1)


def _peak(found: Reconstructions) -> float:
    """The value drawn white: the largest input, so that all rows have one scale."""
    return max(float(found.target.max()), 1e-9)


def _heading(page: Axes, found: Reconstructions, left: float, *, narrow: bool) -> None:
    words = f"repeat {found.repeat}; numbers: mean squared error"
    x, y = left, 10
    if not found.are_images:
        legend(page, [("line", "third", "input"), ("line", "first", "reconstruction")], left=left, top=10)
        x, y = (left, 10 + _TOP) if narrow else (left + 190, 10)
    write(page, x, y, words, colour="muted", size=SMALL, va="center")


def _name(
    page: Axes, text: str, top: float, left: float, above: float, height: float, width: float, *, narrow: bool
) -> None:
    if narrow:
        write(page, left, top + above / 2, fit(text, width - left), va="center")
    else:
        row_label(page, left - 12, top + height / 2, text)


def _lines(
    figure: Figure, found: Reconstructions, examples: Examples, place: int, box: tuple[float, float, float, float]
) -> None:
    """One vector and its reconstruction, on a scale common to all."""
    axes = axes_at(figure, *box)
    positions = np.arange(found.target.shape[1])
    marker = "o" if len(positions) == 1 else ""
    axes.plot(positions, found.target[place], color=COLOURS["third"], lw=2, marker=marker)
    axes.plot(positions, examples.reconstruction[place], color=COLOURS["first"], lw=1.2, marker=marker)
    values = [found.target, *(other.reconstruction for other in found.variants)]
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    room = 0.05 * (high - low) or 1.0
    axes.set_ylim(low - room, high + room)
    axes.set_xlim(-0.5, len(positions) - 0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.axhline(low - room, color=COLOURS["line"], lw=1)
