"""The pairs of images that most models answered wrongly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._binary import short_answer
from tenfold.report.figures._canvas import NARROW, SMALL, WIDE, fit, new_figure, whole, write
from tenfold.report.figures._numbers import Row, number
from tenfold.report.figures._predictions import labels_of

ARRAYS = (("images", "target"),)

_MOST = 24


class Pair(NamedTuple):
    """One pair: its images (2, height, width), the right answer, the names of the classes that the images are of, the
    percentage of models that were wrong; None where the record does not say."""

    images: np.ndarray
    target: int
    answer: str
    shown: tuple[str, str] | None
    wrong_percent: float | None


def collect(results: Reader) -> list[Pair] | None:
    """The pairs that the study saved to be shown; None where it saved none."""
    arrays = results.gallery()
    if arrays is None or not set(ARRAYS[0]) <= arrays.keys():
        return None
    images, target, wrong = arrays["images"][:_MOST], arrays["target"], arrays.get("wrong_share")
    if images.ndim != 4 or images.shape[1] != 2 or not len(images):
        return None
    answers = labels_of(results, "answer", 2)
    labels = arrays.get("labels")
    names = [] if labels is None else labels_of(results, "class", int(labels.max()) + 1)
    pairs = []
    for place, pair in enumerate(images):
        shown = None if labels is None else (names[labels[place, 0]], names[labels[place, 1]])
        answer = short_answer(answers[int(target[place] != 0)], *(shown or ()))
        wrong_percent = None if wrong is None else number(100 * wrong[place])
        pairs.append(Pair(np.asarray(pair), int(target[place]), answer, shown, wrong_percent))
    return pairs


def numbers(pairs: list[Pair]) -> list[Row]:
    """One row per pair, in the order of the figure; the images themselves are in ``predictions/gallery.npz``."""
    return [
        {"pair": place, "target": pair.target, "answer": pair.answer, "first": (pair.shown or (None,))[0],
         "second": (pair.shown or (None,))[-1], "wrong_percent": pair.wrong_percent}
        for place, pair in enumerate(pairs, start=1)
    ]  # fmt: skip


def draw(pairs: list[Pair], *, width: float = WIDE) -> Figure:
    """Each pair as two images, with the right answer and the share of models that were wrong below."""
    columns = 8 if width > (WIDE + NARROW) / 2 else 4
    gap = 12
    each = (width - gap * (columns - 1)) / columns
    side = (each - 2) / 2
    rows, cols = pairs[0].images.shape[1:]
    row = side * rows / cols + 44
    figure = new_figure(width, row * -(-len(pairs) // columns))
    page = whole(figure)
    peak = max(max(float(pair.images.max()) for pair in pairs), 1e-9)
    for place, pair in enumerate(pairs):
        left, top = (place % columns) * (each + gap), (place // columns) * row
        bottom = top + row - 44
        for half, image in enumerate(pair.images):
            start = left + half * (side + 2)
            page.imshow(
                image, cmap="gray", vmin=0, vmax=peak, extent=(start, start + side, bottom, top),
                interpolation="none", aspect="auto",
            )  # fmt: skip
        middle = left + each / 2
        write(page, middle, bottom + 11, fit(pair.answer, each + gap / 2), ha="center", va="center", weight="bold")
        if pair.wrong_percent is not None:
            words = f"{pair.wrong_percent:.0f} % wrong"
            write(page, middle, bottom + 26, words, ha="center", va="center", colour="muted", size=SMALL)
    page.set_xlim(0, width)
    page.set_ylim(row * -(-len(pairs) // columns), 0)
    return figure
