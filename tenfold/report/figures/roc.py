"""ROC curves: mean over repeats with a band."""

from __future__ import annotations

from itertools import islice

import numpy as np
from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._binary import binary_predictions
from tenfold.report.figures._canvas import COLOURS, MOST_PANELS, WIDE, mean_and_std, panels, title, write

_GRID = np.linspace(0, 1, 101)


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """One panel a variant; None where the record has no two-class predictions."""
    found = list(islice(binary_predictions(results), MOST_PANELS))
    if not found:
        return None
    figure, axes = panels([variant.label for variant, *_ in found], width, 118, wide=4, top=4, bottom=32)
    for panel, (variant, probability, target) in zip(axes, found, strict=True):
        curves = np.stack([roc(p, t) for p, t in zip(probability, target, strict=True)])  # (runs, grid)
        mean, std = mean_and_std(curves)
        std = np.nan_to_num(std)
        panel.plot([0, 1], [0, 1], color=COLOURS["line"], lw=1)
        low, high = np.clip(mean - std, 0, 1), np.clip(mean + std, 0, 1)
        panel.fill_between(_GRID, low, high, color=COLOURS["first"], alpha=0.2, lw=0)
        panel.plot(_GRID, mean, color=COLOURS["first"], lw=1.8)
        panel.set_xlim(-0.01, 1.01)
        panel.set_ylim(-0.01, 1.01)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_ticks([0, 0.5, 1], ["0", "50", "100"])
        panel.grid(color=COLOURS["line"], lw=0.6)
        panel.set_xlabel("false positives, %", fontsize=9.5, color=COLOURS["muted"], labelpad=1)
        areas, deviation = mean_and_std(np.array([area(p, t) for p, t in zip(probability, target, strict=True)]))
        words = f"{areas:.3f}" + (f" ± {deviation:.3f}" if np.isfinite(deviation) else "")
        write(panel, 0.97, 0.08, f"AUC {words}", ha="right", size=10.5)
        title(panel, variant.label, left=30)
    return figure


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


def area(probability: np.ndarray, target: np.ndarray) -> float:
    """Area under the curve of one run, ties counting half; NaN where it has one class only.

    Source: Mann and Whitney 1947; same number as sklearn.metrics.roc_auc_score.
    """
    positive, negative = np.sort(probability[target == 1]), probability[target == 0]
    if not (positive.size and negative.size):
        return float("nan")
    below = np.searchsorted(positive, negative, "left") + np.searchsorted(positive, negative, "right")
    return float(1 - below.mean() / (2 * positive.size))
