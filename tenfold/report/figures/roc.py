"""ROC curves: mean over repeats with a band."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from tenfold.metrics import roc_auc
from tenfold.record import Reader, Variant
from tenfold.report.figures._binary import ARRAYS as BINARY
from tenfold.report.figures._binary import binary_predictions
from tenfold.report.figures._canvas import COLOURS, MOST_PANELS, WIDE, mean_and_std, panels, title, write
from tenfold.report.figures._numbers import Row, columns_of, number

ARRAYS = (BINARY,)

_GRID = np.linspace(0, 1, 101)


class Roc(NamedTuple):
    """One variant: mean and deviation over runs of the true positive rate, shape (101,), and of the area."""

    variant: Variant
    mean: np.ndarray
    std: np.ndarray
    area: float
    area_std: float


def collect(results: Reader) -> list[Roc] | None:
    """A curve for each of the best variants; None where the record has no predictions of two classes."""
    return list(islice(_curves(results), MOST_PANELS)) or None


def numbers(curves: list[Roc]) -> list[Row]:
    """One row per variant and point of its curve; rates and areas are fractions."""
    return [
        {**columns_of(curve.variant), "false_positive_rate": float(rate), "true_positive_rate": number(mean),
         "deviation": number(std), "auc": number(curve.area), "auc_deviation": number(curve.area_std)}
        for curve in curves
        for rate, mean, std in zip(_GRID, curve.mean, curve.std, strict=True)
    ]  # fmt: skip


def draw(curves: list[Roc], *, width: float = WIDE) -> Figure:
    """One panel per variant."""
    figure, axes = panels([curve.variant.label for curve in curves], width, 118, wide=4, top=4, left=44, bottom=32)
    for panel, curve in zip(axes, curves, strict=True):
        std = np.nan_to_num(curve.std)
        panel.plot([0, 1], [0, 1], color=COLOURS["line"], lw=1)
        low, high = np.clip(curve.mean - std, 0, 1), np.clip(curve.mean + std, 0, 1)
        panel.fill_between(_GRID, low, high, color=COLOURS["first"], alpha=0.2, lw=0)
        panel.plot(_GRID, curve.mean, color=COLOURS["first"], lw=1.8)
        panel.set_xlim(-0.01, 1.01)
        panel.set_ylim(-0.01, 1.01)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_ticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
        for tick, side in zip(panel.get_xticklabels(), ("left", "center", "right"), strict=True):
            tick.set_horizontalalignment(side)
        panel.grid(color=COLOURS["line"], lw=0.6)
        panel.set_xlabel("false positives", fontsize=9.5, color=COLOURS["muted"], labelpad=1)
        words = f"{curve.area:.3f}" + (f" ± {curve.area_std:.3f}" if np.isfinite(curve.area_std) else "")
        write(panel, 0.97, 0.08, f"AUC {words}", ha="right", size=10.5)
        title(panel, curve.variant.label, left=40)
    return figure


def _curves(results: Reader) -> Iterator[Roc]:
    for variant, probability, target in binary_predictions(results):
        runs = list(zip(probability, target, strict=True))
        mean, std = mean_and_std(np.stack([roc(*run) for run in runs]))  # (runs, grid)
        if np.isfinite(mean).any():  # else no run has both classes
            area_mean, area_std = mean_and_std(roc_auc(probability, target))
            yield Roc(variant, mean, std, float(area_mean), float(area_std))


def roc(probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """True positive rate of one run at false positive rates 0, 0.01 ... 1; NaN where it has one class only."""
    order = np.argsort(-probability, kind="stable")
    positive = target[order] == 1
    n_positive, n_negative = positive.sum(), (~positive).sum()
    if not (n_positive and n_negative):
        return np.full(_GRID.shape, np.nan)
    # Only the last of equal probabilities is a point: a threshold cannot pass between them.
    last = np.append(np.diff(probability[order]) != 0, True)
    true_rate = np.append(0, np.cumsum(positive)[last] / n_positive)
    false_rate = np.append(0, np.cumsum(~positive)[last] / n_negative)
    return np.interp(_GRID, false_rate, true_rate)
