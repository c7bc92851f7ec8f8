"""Learning curves of one metric, a panel for each model; used by two figures."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Curve, Reader
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

# Told apart by colour and by kind of line.
_LOOKS = {"train": ("third", "dashed"), "validation": ("second", "line"), "test": ("first", "line")}


def draw_curves(results: Reader, metric: str, *, width: float) -> Figure | None:
    """Mean over repeats with a band of one deviation, for each part; None where no curve was saved."""
    curves = results.curves(metric)
    if not curves:
        return None
    described = results.metric(metric)
    scale = scale_of(described["unit"])
    variants = best_variants(
        results, [variant for variant in results.variants if any(curve.variant == variant for curve in curves)]
    )
    parts = [part for part in _LOOKS if any(curve.part == part for curve in curves)]
    high = 110 if width > (WIDE + NARROW) / 2 else 96
    figure, axes = panels([variant.label for variant in variants], width, high, wide=4, top=28)
    entries = [(_LOOKS[part][1], _LOOKS[part][0], part) for part in parts]
    legend(whole(figure), [*entries, ("band", "third", "± 1 deviation")], left=4, top=12)
    low, high = _limits([curve for curve in curves if curve.variant in variants], scale)
    for panel, variant in zip(axes, variants, strict=True):
        mine = {curve.part: curve for curve in curves if curve.variant == variant}
        for part in parts:
            if part in mine:
                _line(panel, mine[part], scale, *_LOOKS[part])
        epochs = max(int(curve.epochs.max()) for curve in mine.values())
        panel.set_xlim(0, epochs)
        panel.set_xticks([0, epochs], ["0", f"{epochs} epochs"])
        for tick, side in zip(panel.get_xticklabels(), ("left", "right"), strict=True):
            tick.set_horizontalalignment(side)
        panel.set_ylim(low, high)
        panel.yaxis.get_major_locator().set_params(nbins=4)  # type: ignore[union-attr]
        panel.grid(axis="y", color=COLOURS["line"], lw=1)
        title(panel, variant.label, left=30, right=_last(mine.get("test"), scale, described["unit"]))
    return figure


def _line(panel: Axes, curve: Curve, scale: float, colour: str, kind: str) -> None:
    mean, std = mean_and_std(curve.values * scale)
    std = np.nan_to_num(std)
    tone = COLOURS[colour]
    panel.fill_between(curve.epochs, mean - std, mean + std, color=tone, alpha=0.2, lw=0)
    panel.plot(curve.epochs, mean, color=tone, lw=1.8, ls="-" if kind == "line" else (0, (2, 1.2)))
    if len(curve.epochs) == 1:
        panel.plot(curve.epochs, mean, "o", ms=4, color=tone, clip_on=False)


def _limits(curves: list[Curve], scale: float) -> tuple[float, float]:
    """Common limits that one run's explosion does not stretch: 1st to 99th percentile of all means."""
    means = np.concatenate([mean_and_std(curve.values * scale)[0] for curve in curves])
    means = means[np.isfinite(means)]
    if not means.size:
        return 0.0, 1.0
    low, high = np.percentile(means, [0.5, 99.5])
    room = max(0.06 * (high - low), 1e-6)
    return float(low - room), float(high + room)


def _last(curve: Curve | None, scale: float, unit: str) -> str:
    if curve is None:
        return ""
    mean = mean_and_std(curve.values * scale)[0][-1]
    return "" if not np.isfinite(mean) else f"{mean:.1f}" if unit == "%" else f"{mean:.2f}"
