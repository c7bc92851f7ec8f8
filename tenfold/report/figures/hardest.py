"""The pairs that most models got wrong."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._canvas import NARROW, SMALL, WIDE, new_figure, whole, write
from tenfold.report.figures._predictions import PAIRS, readable

_MOST = 24


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """Each pair as two images with what they are and how many models were wrong; None where none were saved."""
    arrays = readable(results, results.gallery, PAIRS)
    if arrays is None or "images" not in arrays or arrays["images"].ndim != 4 or not len(arrays["images"]):
        return None
    images = arrays["images"][:_MOST]  # (pairs, 2, height, width)
    columns = 8 if width > (WIDE + NARROW) / 2 else 4
    gap = 12
    each = (width - gap * (columns - 1)) / columns
    side = (each - 2) / 2
    row = side * images.shape[2] / images.shape[3] + 44
    figure = new_figure(width, row * -(-len(images) // columns))
    page = whole(figure)
    peak = max(float(images.max()), 1e-9)
    for number, pair in enumerate(images):
        left, top = (number % columns) * (each + gap), (number // columns) * row
        bottom = top + row - 44
        for half, image in enumerate(pair):
            start = left + half * (side + 2)
            page.imshow(
                np.asarray(image), cmap="gray", vmin=0, vmax=peak, extent=(start, start + side, bottom, top),
                interpolation="none", aspect="auto",
            )  # fmt: skip
        middle = left + each / 2
        write(page, middle, bottom + 11, _what(arrays, number), ha="center", va="center", weight="bold")
        wrong = arrays.get("wrong_share")
        if wrong is not None:
            words = f"{100 * float(wrong[number]):.0f} % wrong"
            write(page, middle, bottom + 26, words, ha="center", va="center", colour="muted", size=SMALL)
    page.set_xlim(0, width)
    page.set_ylim(row * -(-len(images) // columns), 0)
    return figure


def _what(arrays: dict[str, np.ndarray], number: int) -> str:
    sign = "≤" if arrays["target"][number] else ">"
    if "labels" not in arrays:
        return f"1st {sign} 2nd"
    first, second = arrays["labels"][number].tolist()
    return f"{first} {sign} {second}"
