"""Accuracy if the model sees only the first steps of each window."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._canvas import MOST_PANELS, WIDE, band, mean_and_std, tick_label
from tenfold.report.figures._line_panels import Line, draw_lines, windows_in_words
from tenfold.report.figures._numbers import Row, columns_of, number
from tenfold.report.figures._predictions import counted_windows, sound_runs

ARRAYS = (("seen_steps", "seen_accuracy"),)


def collect(results: Reader) -> list[Line] | None:
    """A line for each of the best variants, in percent; None where the record has no such accuracies."""
    return list(islice(_lines(results), MOST_PANELS)) or None


def numbers(lines: list[Line]) -> list[Row]:
    """One row per variant and number of steps."""
    return [
        {
            **columns_of(line.variant),
            "steps": int(steps),
            "mean_percent": number(mean),
            "deviation_percent": number(std),
        }
        for line in lines
        for steps, mean, std in zip(line.steps, line.mean, line.std, strict=True)
    ]


words = windows_in_words


def draw(lines: list[Line], *, width: float = WIDE) -> Figure:
    """One panel per variant."""
    lowest = min(float(np.nanmin(band(line.mean, line.std, "%")[0])) for line in lines)
    low = max(float(np.floor(lowest / 20) * 20), 0)
    low -= 20 * (low >= 100)
    ticks = [(value, tick_label(value, "%")) for value in np.linspace(low, 100, 3)]
    return draw_lines(lines, width=width, limits=(low - 2, 104), ticks=ticks, dots=True, unit="%")


def _lines(results: Reader) -> Iterator[Line]:
    for variant, arrays in sound_runs(results, *ARRAYS[0]):
        steps, accuracy = arrays["seen_steps"], 100 * arrays["seen_accuracy"]
        if steps.ndim != 2 or steps.shape != accuracy.shape or not steps.size or (steps != steps[0]).any():
            continue
        measured = np.isfinite(accuracy).any(0)  # a module for windows of one length takes no shorter ones
        if measured.any():
            mean, std = mean_and_std(accuracy)
            right = f"{mean[-1]:.1f}" if np.isfinite(mean[-1]) else ""
            windows = counted_windows(results, variant)
            yield Line(variant, steps[0][measured], mean[measured], std[measured], right, n_windows=windows)
