"""Every repeat of every model as a dot, with mean, interval and the published figure."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._canvas import (
    COLOURS,
    FONT,
    NARROW,
    SMALL,
    WIDE,
    axes_at,
    best_variants,
    fit,
    legend,
    new_figure,
    row_label,
    scale_of,
    whole,
    write,
)

_JITTER = (0.0, -0.16, 0.16, -0.08, 0.08)  # fixed, so that the same record gives the same file


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """One row a variant, the best on top; None where no run has a score."""
    metric = results.metric()
    scores, summaries, against = results.scores(), results.summaries(), results.against()
    if not any(np.isfinite(values).any() for values in scores.values()):
        return None
    variants = best_variants(results)
    narrow = width < (WIDE + NARROW) / 2
    left, right, row, top, bottom = (6, 66, 46, 62, 28) if narrow else (178, 72, 34, 34, 28)
    figure = new_figure(width, top + row * len(variants) + bottom)
    page = whole(figure)
    page.set_zorder(2)  # names lie over the grid lines on a narrow page
    _legend(page, narrow=narrow, published=bool(against))
    axes = axes_at(figure, left, top, width - left - right, row * (len(variants) + 0.1))
    axes.set_ylim(len(variants) + 0.1, 0)
    axes.set_yticks([])
    axes.grid(axis="x", color=COLOURS["line"], lw=1)
    scale = scale_of(metric["unit"])
    for number, variant in enumerate(variants):
        y = number + (0.68 if narrow else 0.5)
        middle = top + row * y
        values, summary = scores[variant.label] * scale, summaries[variant.label]
        figure_there = results.published(variant.model)
        if figure_there is not None:
            _published(axes, figure_there.mean * scale, figure_there.std * scale, y + (0.2 if narrow else 0.3))
        _row(axes, values, (summary.mean * scale, summary.low * scale, summary.high * scale), y)
        if narrow:
            box = {"facecolor": COLOURS["paper"], "lw": 0, "pad": 1}
            write(page, 6, top + row * (number + 0.25), fit(variant.label, width - 12), va="center", bbox=box)
        else:
            row_label(page, left - 12, middle, variant.label)
        _value(page, width, middle, summary.mean * scale, metric["unit"], results.counts(variant))
    axes.margins(x=0.03)
    axes.xaxis.get_major_locator().set_params(nbins=4 if narrow else 7)  # type: ignore[union-attr]
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %" if metric["unit"] == "%" else f"{value:g}")
    return figure


def _legend(page: Axes, *, narrow: bool, published: bool) -> None:
    first = [("dot", "first", "one repeat"), ("bar", "ink", "mean and 95 % interval")]
    second = [("diamond", "second", "published mean ± deviation")] if published else []
    if narrow:
        legend(page, first, left=6, top=12)
        legend(page, second, left=6, top=34)
    else:
        legend(page, first + second, left=178, top=12)


def _row(axes: Axes, values: np.ndarray, summary: tuple[float, float, float], y: float) -> None:
    there = np.isfinite(values)
    shifts = np.array([_JITTER[i % len(_JITTER)] for i in range(len(values))])
    axes.plot(values[there], y + shifts[there], "o", ms=6, color=COLOURS["first"], alpha=0.5, mew=0)
    mean, low, high = summary
    if math.isfinite(low):
        axes.plot([low, high], [y, y], color=COLOURS["ink"], lw=2, solid_capstyle="butt")
    if math.isfinite(mean):
        axes.plot([mean, mean], [y - 0.2, y + 0.2], color=COLOURS["ink"], lw=2.5, solid_capstyle="butt")


def _published(axes: Axes, mean: float, std: float, y: float) -> None:
    if math.isfinite(std):
        axes.plot([mean - std, mean + std], [y, y], color=COLOURS["second"], lw=1)
    axes.plot([mean], [y], "D", ms=6, color=COLOURS["second"], mew=0)


def _value(page: Axes, width: float, y: float, mean: float, unit: str, counts: dict[str, int]) -> None:
    text = "none" if not math.isfinite(mean) else f"{mean:.1f} %" if unit == "%" else f"{mean:.3g}"
    have = counts["ended"] - counts["diverged"]
    complete = have == counts["planned"]
    write(page, width - 4, y - (0 if complete else 8), text, ha="right", va="center", weight="bold", size=FONT)
    if not complete:
        words = f"{have} of {counts['planned']}"
        write(page, width - 4, y + 8, words, ha="right", va="center", colour="second", size=SMALL)
