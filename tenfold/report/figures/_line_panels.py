"""One panel per variant, with its line over the steps of a window and all other lines behind; used by two figures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Variant
from tenfold.report.figures._canvas import COLOURS, NARROW, WIDE, legend, panels, title, whole, write

__all__ = ["Line", "draw_lines"]


class Line(NamedTuple):
    """One variant: mean and deviation over repeats at each step, shape (steps,) each; NaN where a value is missing.

    ``right`` is the value above the panel; ``note`` is written into it.
    """

    variant: Variant
    steps: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    right: str = ""
    note: str = ""


def draw_lines(
    lines: list[Line], *, width: float, limits: tuple[float, float], ticks: list[tuple[float, str]], dots: bool = False
) -> Figure:
    """Mean over repeats with a band of one deviation.

    Args:
        lines: best variant first.
        width: of the figure, in pixels.
        limits: of the values, for all panels.
        ticks: (value, words).
        dots: whether to mark every point.
    """
    narrow = width < (WIDE + NARROW) / 2
    figure, axes = panels([line.variant.label for line in lines], width, 96 if narrow else 110, wide=4, top=28, left=36)
    entries = [("line", "first", "mean"), ("band", "first", "± 1 deviation")]
    others = [("thin", "third", "other models")] if len(lines) > 1 else []
    legend(whole(figure), entries + others, left=4, top=12)
    last = max(int(line.steps.max()) for line in lines)
    for panel, line in zip(axes, lines, strict=True):
        for other in lines:
            if other is not line:
                _plot(panel, other, alone=False, dots=False)
        _plot(panel, line, alone=True, dots=dots)
        panel.set_xlim(0, last)
        panel.set_xticks([0, last], ["0", f"{last} steps"])
        for tick, side in zip(panel.get_xticklabels(), ("left", "right"), strict=True):
            tick.set_horizontalalignment(side)
        panel.set_ylim(*limits)
        panel.set_yticks([value for value, _ in ticks], [words for _, words in ticks])
        panel.grid(axis="y", color=COLOURS["line"], lw=1)
        title(panel, line.variant.label, left=32, right=line.right)
        if line.note:
            write(panel, 0.98, 0.05, line.note, ha="right", size=9.5, colour="second", transform=panel.transAxes)
    return figure


def _plot(panel: Axes, line: Line, *, alone: bool, dots: bool) -> None:
    mean = line.mean
    if not alone:
        panel.plot(line.steps, mean, color=COLOURS["third"], lw=0.8, alpha=0.6)
        return
    std, tone = np.nan_to_num(line.std), COLOURS["first"]
    panel.fill_between(line.steps, mean - std, mean + std, color=tone, alpha=0.2, lw=0)
    panel.plot(line.steps, mean, color=tone, lw=1.8)
    finite = np.isfinite(mean)
    # A point between two missing ones makes no line, so it gets a dot.
    lone = finite & ~np.append(finite[1:], False) & ~np.insert(finite[:-1], 0, False)
    marked = finite if dots else lone
    panel.plot(line.steps[marked], mean[marked], "o", ms=3.5, color=tone, mew=0, clip_on=False)
