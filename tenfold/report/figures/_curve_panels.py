"""Learning curves of one metric, one panel per variant; used by two figures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Reader, Variant
from tenfold.report._tables import shown
from tenfold.report.figures._canvas import (
    COLOURS,
    NARROW,
    WIDE,
    band,
    best_variants,
    legend,
    mean_and_std,
    panels,
    scale_of,
    tick_label,
    title,
    whole,
)
from tenfold.report.figures._numbers import Row, columns_of, number

__all__ = ["Curves", "collect_curves", "curve_numbers", "curves_in_words", "draw_curves"]

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
    """What the figure shows.

    Attributes:
        metric: as described in the record.
        variants: best first.
        curves: of the variants.
        final: the mean of the final test scores of each variant with any, as in the tables.
        tested: of each variant, the epoch whose weights were tested, for each run that kept the best epoch.
        stopped: whether a run ended before its last epoch.
    """

    metric: dict[str, Any]
    variants: list[Variant]
    curves: list[MeanCurve]
    final: dict[Variant, float]
    tested: dict[Variant, list[int]]
    stopped: bool


def collect_curves(results: Reader, metric: str) -> Curves | None:
    """The learning curves of a metric; None where no curve was saved."""
    curves = results.curves(metric)
    if not curves:
        return None
    described = results.metric(metric)
    recorded = {curve.variant for curve in curves}
    variants = best_variants(results, [variant for variant in results.variants if variant in recorded])
    scale = scale_of(described["unit"])
    means = [
        MeanCurve(curve.variant, curve.part, curve.epochs, *mean_and_std(curve.values * scale))
        for curve in curves
        if curve.variant in variants
    ]
    summaries = results.summaries(metric)
    final = {variant: summaries[variant.label].mean for variant in variants if variant.label in summaries}
    runs = [run for run in results.runs if run.status != "diverged"]
    tested = {
        variant: [run.best_epoch for run in runs if run.variant == variant and run.best_epoch is not None]
        for variant in variants
    }
    return Curves(described, variants, means, final, tested, any(run.status == "stopped" for run in runs))


def curve_numbers(curves: Curves) -> list[Row]:
    """One row per variant, part and epoch; "tested_runs" kept the weights of this epoch by early stopping."""
    metric = {"metric": curves.metric["name"], "unit": curves.metric["unit"]}
    return [
        {**columns_of(curve.variant), **metric, "part": curve.part, "epoch": int(epoch), "mean": number(mean),
         "deviation": number(std), "tested_runs": curves.tested[curve.variant].count(int(epoch))}
        for curve in curves.curves
        for epoch, mean, std in zip(curve.epochs, curve.mean, curve.std, strict=True)
    ]  # fmt: skip


def curves_in_words(curves: Curves) -> str:
    """The unit of the axis, what early stopping means for the curves, and bands that are cut."""
    sentences = []
    unit = curves.metric["unit"]
    if unit and unit != "%":
        sentences.append(f"The vertical axis is in {unit}.")
    if any(curves.tested.values()):
        sentences.append(
            "Runs with early stopping keep the weights of their best epoch on the validation part. A mark at the "
            "bottom for each run says which epoch that is; the number is the score of these weights, not the last."
        )
        if curves.stopped:
            sentences.append("A run that has stopped goes on in the mean with the score of its best weights.")
    if _limits(curves)[2]:
        sentences.append("A few deviations are so large that their bands are cut at the axis.")
    return " ".join(sentences)


def draw_curves(curves: Curves, *, width: float) -> Figure:
    """Mean over repeats with a band of one deviation, for each part."""
    parts = [part for part in _LOOKS if any(curve.part == part for curve in curves.curves)]
    height = 110 if width > (WIDE + NARROW) / 2 else 96
    figure, axes = panels([variant.label for variant in curves.variants], width, height, wide=4, top=28, left=42)
    entries = [(_LOOKS[part][1], _LOOKS[part][0], part) for part in parts]
    entries.append(("band", "third", "± 1 deviation"))
    if any(curves.tested.values()):
        entries.append(("tick", "ink", "epoch tested"))
    legend(whole(figure), entries, left=4, top=12)
    low, high, _ = _limits(curves)
    unit = curves.metric["unit"]
    for panel, variant in zip(axes, curves.variants, strict=True):
        mine = {curve.part: curve for curve in curves.curves if curve.variant == variant}
        for part in parts:
            if part in mine:
                _line(panel, mine[part], unit, *_LOOKS[part])
        epochs = max(int(curve.epochs.max()) for curve in mine.values())
        panel.set_xlim(0, epochs)
        panel.set_xticks([0, epochs], ["0", f"{epochs} epochs"])
        for tick, side in zip(panel.get_xticklabels(), ("left", "right"), strict=True):
            tick.set_horizontalalignment(side)
        panel.set_ylim(low, high)
        panel.yaxis.get_major_locator().set_params(nbins=4)  # type: ignore[union-attr]
        panel.yaxis.set_major_formatter(lambda value, _: tick_label(value, unit))
        for epoch in curves.tested[variant]:
            panel.axvline(epoch, ymax=0.1, color=COLOURS["ink"], lw=1.5, alpha=0.6)
        panel.grid(axis="y", color=COLOURS["line"], lw=1)
        title(panel, variant.label, left=38, right=_final(curves, variant))
    return figure


def _line(panel: Axes, curve: MeanCurve, unit: str, colour: str, kind: str) -> None:
    tone = COLOURS[colour]
    panel.fill_between(curve.epochs, *band(curve.mean, curve.std, unit), color=tone, alpha=0.2, lw=0)
    panel.plot(curve.epochs, curve.mean, color=tone, lw=1.8, ls="-" if kind == "line" else (0, (2, 1.2)))
    if len(curve.epochs) == 1:
        panel.plot(curve.epochs, curve.mean, "o", ms=4, color=tone, clip_on=False)


def _limits(curves: Curves) -> tuple[float, float, bool]:
    """Limits common to all panels, and whether they cut a band.

    They hold all means and bands. Only where an exploding run would flatten all others, they end at twice the range of
    the means (of their 0.5th to 99.5th percentile).
    """
    means = np.concatenate([curve.mean for curve in curves.curves])
    unit = curves.metric["unit"]
    ends = np.concatenate([end for curve in curves.curves for end in band(curve.mean, curve.std, unit)])
    means, ends = means[np.isfinite(means)], ends[np.isfinite(ends)]
    if not means.size:
        return 0.0, 1.0, False
    low, high = np.percentile(means, [0.5, 99.5])
    std = np.concatenate([np.nan_to_num(curve.std) for curve in curves.curves])
    reach = max(2 * (high - low), 4 * float(np.median(std)))
    least, most = max(ends.min(), low - reach), min(ends.max(), high + reach)
    room = max(0.04 * (most - least), 1e-6)
    return float(least - room), float(most + room), bool(ends.min() < least - room or ends.max() > most + room)


def _final(curves: Curves, variant: Variant) -> str:
    mean, unit = curves.final.get(variant, np.nan), curves.metric["unit"]
    return shown(mean, unit) if np.isfinite(mean) else ""
