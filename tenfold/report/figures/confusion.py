"""Confusion matrices: of each true class, the share predicted as each."""

from __future__ import annotations

from itertools import islice

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tenfold.record import Reader
from tenfold.report.figures._binary import binary_predictions, class_names
from tenfold.report.figures._canvas import COLOURS, MOST_PANELS, SMALL, WIDE, mean_and_std, panels, title, write
from tenfold.report.figures._matrices import draw_classes


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """A matrix a variant, two by two, or of the classes; None where the record has no predictions of classes."""
    return draw_classes(results, width=width) or _draw_two(results, width)


def _draw_two(results: Reader, width: float) -> Figure | None:
    found = list(islice(binary_predictions(results), MOST_PANELS))
    if not found:
        return None
    names = class_names(results)
    short = [name.replace("first ", "").replace("second", "") for name in names]
    ticks = [f"1st {word.strip()} 2nd" if word != name else name for word, name in zip(short, names, strict=True)]
    figure, axes = panels([variant.label for variant, *_ in found], width, 84, wide=4, top=4, left=62, bottom=34)
    for panel, (variant, probability, target) in zip(axes, found, strict=True):
        means, stds = mean_and_std(shares(probability, target) * 100)
        for actual in (0, 1):
            for predicted in (0, 1):
                colour = "first" if actual == predicted else "second"
                alpha = 0.08 + 0.4 * float(np.nan_to_num(means[actual, predicted])) / 100
                corner = (predicted + 0.02, actual + 0.02)
                panel.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=COLOURS[colour], alpha=alpha, lw=0))
                mean, std = means[actual, predicted], stds[actual, predicted]
                at = (predicted + 0.5, actual)
                write(panel, at[0], at[1] + 0.4, f"{mean:.1f}", ha="center", va="center", weight="bold")
                if np.isfinite(std):
                    write(panel, at[0], at[1] + 0.7, f"± {std:.1f}", ha="center", va="center", size=SMALL)
        panel.set_xlim(0, 2)
        panel.set_ylim(2, 0)
        panel.set_yticks([0.5, 1.5], ticks)
        panel.set_xticks([0.5, 1.5], ticks)
        panel.tick_params(labelsize=9.5)
        panel.set_xlabel("predicted", fontsize=9.5, color=COLOURS["muted"], labelpad=1)
        title(panel, variant.label, left=56)
    return figure


def shares(probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Of each true class, the share predicted as each: (runs, true, predicted); NaN where a run lacks a class."""
    predicted = probability > 0.5
    rows = []
    for actual in (0, 1):
        mine = target == actual
        count = np.where(mine.any(1), mine.sum(1), np.nan)
        rows.append(np.stack([(mine & ~predicted).sum(1) / count, (mine & predicted).sum(1) / count], axis=1))
    return np.stack(rows, axis=1)
