"""Accuracy of windows of which only the first steps are seen."""

from __future__ import annotations

from itertools import islice

import numpy as np
from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._canvas import MOST_PANELS, WIDE, mean_and_std
from tenfold.report.figures._line_panels import Line, draw_lines
from tenfold.report.figures._predictions import SEQUENCES, sound_runs


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """One panel a variant; None where the record does not have it."""
    lines = list(islice(_lines(results), MOST_PANELS))
    if not lines:
        return None
    means = np.concatenate([mean_and_std(line.values)[0] for line in lines])
    low = max(float(np.floor(np.nanmin(means) / 20) * 20), 0)
    low -= 20 * (low >= 100)
    ticks = [(value, f"{value:g}") for value in np.linspace(low, 100, 3)]
    return draw_lines(lines, width=width, limits=(low - 2, 104), ticks=ticks, dots=True)


def _lines(results: Reader):
    for variant, arrays in sound_runs(results, SEQUENCES, "seen_steps", "seen_accuracy"):
        steps, accuracy = arrays["seen_steps"], 100 * arrays["seen_accuracy"]
        if steps.ndim != 2 or steps.shape != accuracy.shape or not steps.size or (steps != steps[0]).any():
            continue
        there = np.isfinite(accuracy).any(0)  # a module for windows of one length takes no others
        if there.any():
            at_end = mean_and_std(accuracy[:, -1:])[0][0]
            right = f"{at_end:.1f}" if np.isfinite(at_end) else ""
            yield Line(variant, steps[0][there], accuracy[:, there], right)
