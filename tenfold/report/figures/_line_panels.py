"""One panel per variant, with its line over the steps of a window and all other lines behind; used by two figures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Variant
from tenfold.report.figures._canvas import COLOURS, NARROW, WIDE, band, legend, panels, title, whole, write

__all__ = ["Line", "draw_lines", "windows_in_words"]


class Line(NamedTuple):
    """One variant: mean and deviation over repeats at each step, shape (steps,) each; NaN where a value is missing.

    ``right`` is the value above the panel; ``note`` is written into it. ``n_windows`` is the least and the largest
    number of windows of a repeat; None where the record does not say.
    """

    variant: Variant
    steps: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    right: str = ""
    note: str = ""
    n_windows: tuple[int, int] | None = None


def draw_lines(
    lines: list[Line],
    *,
    width: float,
    limits: tuple[float, float],
    ticks: list[tuple[float, str]],
    dots: bool = False,
    unit: str = "",
) -> Figure:
    """Mean over repeats with a band of one deviation.

    Args:
        lines: best variant first.
        width: of the figure, in pixels.
        limits: of the values, for all panels.
        ticks: (value, words).
        dots: whether to mark every point.
        unit: of the values.
    """
    narrow = width < (WIDE + NARROW) / 2
    figure, axes = panels([line.variant.label for line in lines], width, 96 if narrow else 110, wide=4, top=28, left=44)
    entries = [("line", "first", "mean"), ("band", "first", "± 1 deviation")]
    others = [("thin", "third", "other models")] if len(lines) > 1 else []
    legend(whole(figure), entries + others, left=4, top=12)
    last = max(int(line.steps.max()) for line in lines)
    for panel, line in zip(axes, lines, strict=True):
        for other in lines:
            if other is not line:
                panel.plot(other.steps, other.mean, color=COLOURS["third"], lw=0.8, alpha=0.6)
        _plot(panel, line, unit, dots=dots)
        panel.set_xlim(0, last)
        panel.set_xticks([0, last], ["0", f"{last} steps"])
        for tick, side in zip(panel.get_xticklabels(), ("left", "right"), strict=True):
            tick.set_horizontalalignment(side)
        panel.set_ylim(*limits)
        panel.set_yticks([value for value, _ in ticks], [words for _, words in ticks])
        panel.grid(axis="y", color=COLOURS["line"], lw=1)
        title(panel, line.variant.label, left=40, right=line.right)
        if line.note:
            write(panel, 0.98, 0.05, line.note, ha="right", size=9.5, colour="second", transform=panel.transAxes)
    return figure


def windows_in_words(lines: list[Line]) -> str:
    """Of how many windows the lines are."""
    known = [count for line in lines for count in line.n_windows or ()]
    if not known:
        return (
            "Only the first test windows of each repeat, at most 300: the record was made before all of them were used."
        )
    return f"On all test windows of each repeat: {listed_range(known)}."


def listed_range(counts: list[int]) -> str:
    """Counts as one number or a range.

    Example:
        >>> listed_range([2947, 2947]), listed_range([300, 312])
        ('2947', '300 to 312')
    """
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _plot(panel: Axes, line: Line, unit: str, *, dots: bool) -> None:
    mean, tone = line.mean, COLOURS["first"]
    panel.fill_between(line.steps, *band(mean, line.std, unit), color=tone, alpha=0.2, lw=0)
    panel.plot(line.steps, mean, color=tone, lw=1.8)
    finite = np.isfinite(mean)
    # A point between two missing ones makes no line, so it gets a dot.
    lone = finite & ~np.append(finite[1:], False) & ~np.insert(finite[:-1], 0, False)
    marked = finite if dots else lone
    panel.plot(line.steps[marked], mean[marked], "o", ms=3.5, color=tone, mew=0, clip_on=False)
