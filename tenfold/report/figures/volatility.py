"""How much a score jumps from epoch to epoch."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from tenfold.record import Curve, Reader, Variant
from tenfold.report.figures._canvas import COLOURS, FONT, MOST_PANELS, WIDE, fit, legend, mean_and_std, scale_of, write
from tenfold.report.figures._predictions import SEQUENCES, in_order, kind_of
from tenfold.report.figures._rows import LEFT, rows_of, value_at
from tenfold.report.figures.episodes import swarm

_ROW, _DOT = 36, 6.0


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """One row a variant, a dot a repeat; None where the study is of another kind or has no curves of enough epochs."""
    if kind_of(results) != SEQUENCES:
        return None
    metric, (part, found) = results.metric(), _found(results)
    if not found:
        return None
    scale = scale_of(metric["unit"])
    variants = in_order(results, found)[:MOST_PANELS]
    rows = rows_of([variant.label for variant in variants], width=width, top=58, height=_ROW, right=72)
    left = 6 if rows.narrow else LEFT
    unit = "percentage points" if metric["unit"] == "%" else metric["unit"]
    words = f"{metric['label']} in {part}, {unit}".rstrip(", ")
    write(rows.page, left, 10, fit(words, width - left, FONT * 1.15), va="center", weight="bold")
    legend(rows.page, [("dot", "first", "one repeat"), ("bar", "ink", "mean")], left=left, top=34)
    highest = max(float((found[variant] * scale).max()) for variant in variants)
    limit = 1.04 * max(highest, 1e-9)
    rows.axes.set_xlim(-0.02 * limit, limit)
    pixels = rows.axes.get_window_extent().width / (1.02 * limit)
    for number, (variant, y) in enumerate(zip(variants, rows.middles, strict=True)):
        values = found[variant] * scale
        rows.axes.plot(
            values, y + swarm(values * pixels, _DOT, most=2), "o", ms=_DOT, color=COLOURS["first"], alpha=0.5, mew=0
        )
        mean, std = mean_and_std(values)
        rows.axes.plot([mean, mean], [y - 10, y + 10], color=COLOURS["ink"], lw=2.5, solid_capstyle="butt")
        digits = 2 if metric["unit"] == "%" else 3
        under = f"± {std:.{digits}f}" if np.isfinite(std) else ""
        value_at(rows, number, f"{mean:.{digits}f}", under, width=width)
    rows.axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    return rows.figure


def _found(results: Reader) -> tuple[str, dict[Variant, np.ndarray]]:
    """The part that was looked at, and the volatility of each variant's runs that did not diverge."""
    curves = results.curves(results.primary)
    for part in ("validation", "test"):
        found: dict[Variant, np.ndarray] = {}
        for curve in curves:
            if curve.part == part:
                values = _of_runs(results, curve)
                if values.size:
                    found[curve.variant] = values
        if found:
            return part, found
    return "", {}


def _of_runs(results: Reader, curve: Curve) -> np.ndarray:
    diverged = {run.repeat for run in results.runs if run.variant == curve.variant and run.status == "diverged"}
    sound = [repeat not in diverged for repeat in results.repeats]
    values = np.array([volatility(curve.epochs, its) for its in curve.values[sound]])
    return values[np.isfinite(values)]


def volatility(epochs: np.ndarray, values: np.ndarray) -> float:
    """Standard deviation of the changes from one epoch to the next in the second half of one run's training.

    A steady rise or fall adds nothing to it.

    Args:
        epochs: rising, shape (n,), counted from 1. values: shape (n,), NaN where the run has none.
    Returns:
        NaN with fewer than two changes.
    Example:
        >>> volatility(np.arange(1, 7), np.array([0.1, 0.9, 0.5, 0.6, 0.7, 0.8])) < 1e-9
        True
    """
    there = np.isfinite(values)
    epochs, values = epochs[there], values[there]
    if len(epochs) < 3:
        return float("nan")
    changes = np.diff(values)[epochs[1:] > epochs[-1] / 2]
    return float(changes.std(ddof=1)) if len(changes) > 1 else float("nan")
