"""Every repeat of every model as a dot, with mean, interval and the published figure."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Reader, Variant
from tenfold.report._tables import shown
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
    tick_label,
    whole,
    write,
)
from tenfold.report.figures._numbers import Row, columns_of

_JITTER = (0.0, -0.16, 0.16, -0.08, 0.08)  # fixed, so that the same record gives the same file


class Scores(NamedTuple):
    """Final test scores of one variant, in the unit they are shown in; NaN where there is none.

    ``values`` has one score per repeat; ``published`` is the mean and the deviation, or None.
    """

    variant: Variant
    values: np.ndarray
    mean: float
    low: float
    high: float
    published: tuple[float, float] | None
    counts: dict[str, int]


class Strips(NamedTuple):
    """The metric as described in the record, the numbers of the repeats, and the variants, best first."""

    metric: dict[str, Any]
    repeats: tuple[int, ...]
    variants: list[Scores]
    any_published: bool


def collect(results: Reader) -> Strips | None:
    """The scores of the best variants; None where no run has a score."""
    metric = results.metric()
    scores, summaries = results.scores(), results.summaries()
    if not any(np.isfinite(values).any() for values in scores.values()):
        return None
    scale = scale_of(metric["unit"])
    variants = []
    for variant in best_variants(results):
        summary, published = summaries[variant.label], results.published(variant.model)
        variants.append(
            Scores(
                variant,
                scores[variant.label] * scale,
                summary.mean * scale,
                summary.low * scale,
                summary.high * scale,
                None if published is None else (published.mean * scale, published.std * scale),
                results.counts(variant),
            )
        )
    return Strips(metric, results.repeats, variants, bool(results.against()))


def numbers(strips: Strips) -> list[Row]:
    """One row per score, and one for each end of an interval."""
    rows: list[Row] = []
    for row in strips.variants:
        values: list[tuple[str, int | None, float]] = [
            ("score", repeat, value) for repeat, value in zip(strips.repeats, row.values.tolist(), strict=True)
        ]
        values += [("mean", None, row.mean), ("interval low", None, row.low), ("interval high", None, row.high)]
        if row.published is not None:
            values += [("published mean", None, row.published[0]), ("published deviation", None, row.published[1])]
        metric = {"metric": strips.metric["name"], "unit": strips.metric["unit"]}
        rows += [
            {**columns_of(row.variant), **metric, "what": what, "repeat": repeat, "value": value}
            for what, repeat, value in values
            if math.isfinite(value)
        ]
    return rows


def draw(strips: Strips, *, width: float = WIDE) -> Figure:
    """One row per variant, the best on top."""
    metric, variants = strips.metric, strips.variants
    narrow = width < (WIDE + NARROW) / 2
    left, right, row, top, bottom = (6, 66, 46, 62, 28) if narrow else (178, 72, 34, 34, 28)
    figure = new_figure(width, top + row * len(variants) + bottom)
    page = whole(figure)
    page.set_zorder(2)  # names lie over the grid lines on a narrow page
    _legend(page, narrow=narrow, published=strips.any_published)
    axes = axes_at(figure, left, top, width - left - right, row * (len(variants) + 0.1))
    axes.set_ylim(len(variants) + 0.1, 0)
    axes.set_yticks([])
    axes.grid(axis="x", color=COLOURS["line"], lw=1)
    for number, scores in enumerate(variants):
        y = number + (0.68 if narrow else 0.5)
        middle = top + row * y
        if scores.published is not None:
            _published(axes, *scores.published, y + (0.2 if narrow else 0.3))
        _row(axes, scores, y)
        if narrow:
            box = {"facecolor": COLOURS["paper"], "lw": 0, "pad": 1}
            write(page, 6, top + row * (number + 0.25), fit(scores.variant.label, width - 12), va="center", bbox=box)
        else:
            row_label(page, left - 12, middle, scores.variant.label)
        _value(page, width, middle, scores.mean, metric["unit"], scores.counts)
    axes.margins(x=0.03)
    axes.xaxis.get_major_locator().set_params(nbins=4 if narrow else 7)  # type: ignore[union-attr]
    axes.xaxis.set_major_formatter(lambda value, _: tick_label(value, metric["unit"]))
    return figure


def _legend(page: Axes, *, narrow: bool, published: bool) -> None:
    first = [("dot", "first", "one repeat"), ("bar", "ink", "mean and 95 % interval")]
    second = [("diamond", "second", "published mean ± deviation")] if published else []
    if narrow:
        legend(page, first, left=6, top=12)
        legend(page, second, left=6, top=34)
    else:
        legend(page, first + second, left=178, top=12)


def _row(axes: Axes, scores: Scores, y: float) -> None:
    scored = np.isfinite(scores.values)
    shifts = np.array([_JITTER[i % len(_JITTER)] for i in range(len(scores.values))])
    axes.plot(scores.values[scored], y + shifts[scored], "o", ms=6, color=COLOURS["first"], alpha=0.5, mew=0)
    mean, low, high = scores.mean, scores.low, scores.high
    if math.isfinite(low):
        axes.plot([low, high], [y, y], color=COLOURS["ink"], lw=2, solid_capstyle="butt")
    if math.isfinite(mean):
        axes.plot([mean, mean], [y - 0.2, y + 0.2], color=COLOURS["ink"], lw=2.5, solid_capstyle="butt")


def _published(axes: Axes, mean: float, std: float, y: float) -> None:
    if math.isfinite(std):
        axes.plot([mean - std, mean + std], [y, y], color=COLOURS["second"], lw=1)
    axes.plot([mean], [y], "D", ms=6, color=COLOURS["second"], mew=0)


def _value(page: Axes, width: float, y: float, mean: float, unit: str, counts: dict[str, int]) -> None:
    text = "none" if not math.isfinite(mean) else f"{mean:.1f} %" if unit == "%" else shown(mean, unit)
    have = counts["ended"] - counts["diverged"]
    complete = have == counts["planned"]
    write(page, width - 4, y - (0 if complete else 8), text, ha="right", va="center", weight="bold", size=FONT)
    if not complete:
        words = f"{have} of {counts['planned']}"
        write(page, width - 4, y + 8, words, ha="right", va="center", colour="second", size=SMALL)
