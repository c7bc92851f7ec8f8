"""Learning curves of one metric, one panel per variant; used by two figures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Reader, Variant
from tenfold.report.figures._canvas import (
    COLOURS,
    NARROW,
    WIDE,
    best_variants,
    legend,
    mean_and_std,
    panels,
    scale_of,
    title,
    whole,
)
from tenfold.report.figures._numbers import Row, columns_of, number

__all__ = ["Curves", "collect_curves", "curve_numbers", "draw_curves"]

# The parts differ in colour and in the kind of line.
_LOOKS = {"train": ("third", "dashed"), "validation": ("second", "line"), "test": ("first", "line")}


class MeanCurve(NamedTuple):
    """Mean and deviation over repeats after each epoch, in the unit they are shown in; shape (epochs,) each."""

    variant: Variant
    part: str
    epochs: np.ndarray
    mean: np.ndarray
    std: np.ndarray


class Curves(NamedTuple):
    """The metric as described in the record, the variants, best first, and their curves."""

    metric: dict[str, Any]
    variants: list[Variant]
    curves: list[MeanCurve]


def collect_curves(results: Reader, metric: str) -> Curves | None:
    """The learning curves of a metric; None where no curve was saved."""
    curves = results.curves(metric)
    if not curves:
        return None
    described = results.metric(metric)
    recorded = {curve.variant for curve in curves}
    variants = best_variants(results, [variant for variant in results.variants if variant in recorded])
    scale = scale_of(described["unit"])
    shown = [
        MeanCurve(curve.variant, curve.part, curve.epochs, *mean_and_std(curve.values * scale))
        for curve in curves
        if curve.variant in variants
    ]
    return Curves(described, variants, shown)


def curve_numbers(curves: Curves) -> list[Row]:
    """One row per variant, part and epoch."""
    metric = {"metric": curves.metric["name"], "unit": curves.metric["unit"]}
    return [
        {**columns_of(curve.variant), **metric, "part": curve.part, "epoch": int(epoch), "mean": number(mean),
         "deviation": number(std)}
        for curve in curves.curves
        for epoch, mean, std in zip(curve.epochs, curve.mean, curve.std, strict=True)
    ]  # fmt: skip


def draw_curves(curves: Curves, *, width: float) -> Figure:
    """Mean over repeats with a band of one deviation, for each part."""
    parts = [part for part in _LOOKS if any(curve.part == part for curve in curves.curves)]
    height = 110 if width > (WIDE + NARROW) / 2 else 96
    figure, axes = panels([variant.label for variant in curves.variants], width, height, wide=4, top=28)
    entries = [(_LOOKS[part][1], _LOOKS[part][0], part) for part in parts]
    legend(whole(figure), [*entries, ("band", "third", "± 1 deviation")], left=4, top=12)
    limits = _limits(curves.curves)
    for panel, variant in zip(axes, curves.variants, strict=True):
        mine = {curve.part: curve for curve in curves.curves if curve.variant == variant}
        for part in parts:
            if part in mine:
                _line(panel, mine[part], *_LOOKS[part])
        epochs = max(int(curve.epochs.max()) for curve in mine.values())
        panel.set_xlim(0, epochs)
        panel.set_xticks([0, epochs], ["0", f"{epochs} epochs"])
        for tick, side in zip(panel.get_xticklabels(), ("left", "right"), strict=True):
            tick.set_horizontalalignment(side)
        panel.set_ylim(*limits)
        panel.yaxis.get_major_locator().set_params(nbins=4)  # type: ignore[union-attr]
        panel.grid(axis="y", color=COLOURS["line"], lw=1)
        title(panel, variant.label, left=30, right=_last(mine.get("test"), curves.metric["unit"]))
    return figure


def _line(panel: Axes, curve: MeanCurve, colour: str, kind: str) -> None:
    std = np.nan_to_num(curve.std)
    tone = COLOURS[colour]
    panel.fill_between(curve.epochs, curve.mean - std, curve.mean + std, color=tone, alpha=0.2, lw=0)
    panel.plot(curve.epochs, curve.mean, color=tone, lw=1.8, ls="-" if kind == "line" else (0, (2, 1.2)))
    if len(curve.epochs) == 1:
        panel.plot(curve.epochs, curve.mean, "o", ms=4, color=tone, clip_on=False)


def _limits(curves: list[MeanCurve]) -> tuple[float, float]:
    """Limits common to all panels: 0.5th to 99.5th percentile of all means, so that one exploding run does not
    stretch them."""
    means = np.concatenate([curve.mean for curve in curves])
    means = means[np.isfinite(means)]
    if not means.size:
        return 0.0, 1.0
    low, high = np.percentile(means, [0.5, 99.5])
    room = max(0.06 * (high - low), 1e-6)
    return float(low - room), float(high + room)


def _last(curve: MeanCurve | None, unit: str) -> str:
    if curve is None:
        return ""
    mean = curve.mean[-1]
    return "" if not np.isfinite(mean) else f"{mean:.1f}" if unit == "%" else f"{mean:.2f}"
