"""How much the loss depends on the signal at each step: shows whether gradients vanish over time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._canvas import MOST_PANELS, WIDE, band, mean_and_std
from tenfold.report.figures._line_panels import Line, draw_lines, windows_in_words
from tenfold.report.figures._numbers import Row, columns_of, number
from tenfold.report.figures._predictions import counted_windows, sound_runs
from tenfold.wording import significant

ARRAYS = (("gradient_norm",),)

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def collect(results: Reader) -> list[Line] | None:
    """A line of decimal logarithms for each of the best variants; None where the record has no gradients."""
    return list(islice(_lines(results), MOST_PANELS)) or None


def numbers(lines: list[Line]) -> list[Row]:
    """One row per variant and step; "log10_norm_mean" is what is drawn, empty where every norm is 0."""
    return [
        {**columns_of(line.variant), "step": int(step), "log10_norm_mean": number(mean),
         "log10_norm_deviation": number(std)}
        for line in lines
        for step, mean, std in zip(line.steps, line.mean, line.std, strict=True)
    ]  # fmt: skip


words = windows_in_words


def draw(lines: list[Line], *, width: float = WIDE) -> Figure:
    """One panel per variant."""
    ends = np.concatenate([end for line in lines for end in band(line.mean, line.std, "")])
    low, high = np.floor(np.nanmin(ends)), np.ceil(np.nanmax(ends))
    high = max(high, low + 1)
    step = int(np.ceil((high - low) / 4))
    ticks = [(float(power), f"10{str(power).translate(_RAISED)}") for power in range(int(low), int(high) + 1, step)]
    room = 0.04 * (high - low)
    return draw_lines(lines, width=width, limits=(float(low - room), float(high + room)), ticks=ticks)


def _lines(results: Reader) -> Iterator[Line]:
    for variant, arrays in sound_runs(results, *ARRAYS[0]):
        norms = arrays["gradient_norm"]
        if norms.ndim != 2 or norms.dtype.kind != "f":
            continue
        mean, std = mean_and_std(logs_of(norms))
        if np.isfinite(mean).any():
            ratio = 10 ** (mean[0] - mean[-1])
            right = significant(ratio, 1) if np.isfinite(ratio) else ""
            zeros = int((norms == 0).any(0).sum())
            note = f"exactly 0 at {zeros} step{'s' * (zeros > 1)}" if zeros else ""
            yield Line(
                variant, np.arange(1, norms.shape[1] + 1), mean, std, right, note, counted_windows(results, variant)
            )


def logs_of(norms: np.ndarray) -> np.ndarray:
    """Decimal logarithms; NaN where a norm is 0 or not finite."""
    norms = norms.astype(np.float64)
    positive = np.isfinite(norms) & (norms > 0)
    return np.log10(norms, out=np.full(norms.shape, np.nan), where=positive)
