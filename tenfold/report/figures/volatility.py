"""How much a score changes from epoch to epoch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from tenfold.record import Curve, Reader, Variant
from tenfold.report.figures._canvas import COLOURS, FONT, MOST_PANELS, WIDE, fit, legend, mean_and_std, scale_of, write
from tenfold.report.figures._numbers import Row, columns_of
from tenfold.report.figures._predictions import in_order
from tenfold.report.figures._rows import LEFT, rows_of, value_at
from tenfold.report.figures.episodes import swarm
from tenfold.wording import significant

_ROW, _DOT = 36, 6.0


class Runs(NamedTuple):
    """The runs of one variant that have a volatility, in the unit it is shown in; shape (runs,) each."""

    variant: Variant
    repeats: np.ndarray
    values: np.ndarray
    mean: float
    std: float


class Volatility(NamedTuple):
    """The metric as described in the record, the part it was measured on, and the variants, best first."""

    metric: dict[str, Any]
    part: str
    variants: list[Runs]

    @property
    def unit(self) -> str:
        """Of a change: a change of a percentage is in percentage points."""
        return "percentage points" if self.metric["unit"] == "%" else self.metric["unit"]


def collect(results: Reader) -> Volatility | None:
    """The best variants; None where the record has no curves with enough epochs."""
    curves = results.curves(results.primary)
    for part in ("validation", "test"):
        runs = {curve.variant: _of_runs(results, curve) for curve in curves if curve.part == part}
        variants = in_order(results, [variant for variant, (_, values) in runs.items() if values.size])
        if variants:
            scale = scale_of(results.metric()["unit"])
            return Volatility(results.metric(), part, [_row(v, *runs[v], scale) for v in variants[:MOST_PANELS]])
    return None


def numbers(found: Volatility) -> list[Row]:
    """One row per run, and the mean and the deviation of each variant."""
    rows: list[Row] = []
    for row in found.variants:
        values: list[tuple[str, int | None, float]] = [
            ("volatility", int(repeat), float(value)) for repeat, value in zip(row.repeats, row.values, strict=True)
        ]
        values += [("mean", None, row.mean), ("deviation", None, row.std)]
        metric = {"metric": found.metric["name"], "part": found.part, "unit": found.unit}
        rows += [
            {**columns_of(row.variant), **metric, "what": what, "repeat": repeat, "value": value}
            for what, repeat, value in values
            if np.isfinite(value)
        ]
    return rows


def draw(found: Volatility, *, width: float = WIDE) -> Figure:
    """One row per variant, one dot per repeat."""
    metric, variants = found.metric, found.variants
    rows = rows_of([row.variant.label for row in variants], width=width, top=58, height=_ROW, right=72)
    left = 6 if rows.narrow else LEFT
    words = f"{metric['label']} in {found.part}, {found.unit}".rstrip(", ")
    write(rows.page, left, 10, fit(words, width - left, FONT * 1.15), va="center", weight="bold")
    legend(rows.page, [("dot", "first", "one repeat"), ("bar", "ink", "mean")], left=left, top=34)
    limit = 1.04 * max(max(float(row.values.max()) for row in variants), 1e-9)
    rows.axes.set_xlim(-0.02 * limit, limit)
    pixels = rows.axes.get_window_extent().width / (1.02 * limit)
    for number, (row, y) in enumerate(zip(variants, rows.middles, strict=True)):
        shifts = swarm(row.values * pixels, _DOT, most=2)
        rows.axes.plot(row.values, y + shifts, "o", ms=_DOT, color=COLOURS["first"], alpha=0.5, mew=0)
        rows.axes.plot([row.mean, row.mean], [y - 10, y + 10], color=COLOURS["ink"], lw=2.5, solid_capstyle="butt")
        digits = 2 if metric["unit"] == "%" else 3
        under = f"± {row.std:.{digits}f}" if np.isfinite(row.std) else ""
        value_at(rows, number, f"{row.mean:.{digits}f}", under, width=width)
    rows.axes.xaxis.set_major_formatter(lambda value, _: significant(value, 6))
    return rows.figure


def _row(variant: Variant, repeats: np.ndarray, values: np.ndarray, scale: float) -> Runs:
    mean, std = mean_and_std(values * scale)
    return Runs(variant, repeats, values * scale, float(mean), float(std))


def _of_runs(results: Reader, curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Repeats and volatilities of a variant's runs, without those that diverged or trained for too few epochs."""
    diverged = {run.repeat for run in results.runs if run.variant == curve.variant and run.status == "diverged"}
    values = np.array([volatility(curve.epochs, run) for run in curve.values])
    usable = np.isfinite(values) & ~np.isin(results.repeats, list(diverged))
    return np.array(results.repeats)[usable], values[usable]


def volatility(epochs: np.ndarray, values: np.ndarray) -> float:
    """Standard deviation of the changes from one epoch to the next in the second half of one run's training.

    A steady rise or fall adds nothing to it.

    Args:
        epochs: rising, counted from 1, shape (n,).
        values: one score per epoch, NaN where the run has none, shape (n,).
    Returns:
        NaN with fewer than two changes.
    Example:
        >>> volatility(np.arange(1, 7), np.array([0.1, 0.9, 0.5, 0.6, 0.7, 0.8])) < 1e-9
        True
    """
    scored = np.isfinite(values)
    epochs, values = epochs[scored], values[scored]
    if len(epochs) < 3:
        return float("nan")
    changes = np.diff(values)[epochs[1:] > epochs[-1] / 2]
    return float(changes.std(ddof=1)) if len(changes) > 1 else float("nan")
