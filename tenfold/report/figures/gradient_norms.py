"""How much the loss at the end depends on every step: the picture of vanishing gradients."""

from __future__ import annotations

from itertools import islice

import numpy as np
from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._canvas import MOST_PANELS, WIDE, mean_and_std
from tenfold.report.figures._line_panels import Line, draw_lines
from tenfold.report.figures._predictions import SEQUENCES, sound_runs

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """One panel a variant; None where the record has no gradients."""
    lines = list(islice(_lines(results), MOST_PANELS))
    if not lines:
        return None
    means = np.concatenate([mean_and_std(line.values)[0] for line in lines])
    low, high = np.floor(np.nanmin(means)), np.ceil(np.nanmax(means))
    high = max(high, low + 1)
    step = int(np.ceil((high - low) / 4))
    ticks = [(float(power), f"10{str(power).translate(_RAISED)}") for power in range(int(low), int(high) + 1, step)]
    room = 0.04 * (high - low)
    return draw_lines(lines, width=width, limits=(float(low - room), float(high + room)), ticks=ticks)


def _lines(results: Reader):
    for variant, arrays in sound_runs(results, SEQUENCES, "gradient_norm"):
        norms = arrays["gradient_norm"]
        if norms.ndim != 2 or norms.dtype.kind != "f":
            continue
        logs = logs_of(norms)
        mean = mean_and_std(logs)[0]
        if np.isfinite(mean).any():
            ratio = 10 ** (mean[0] - mean[-1])
            zeros = int((norms == 0).any(0).sum())
            note = f"exactly 0 at {zeros} step{'s' * (zeros > 1)}" if zeros else ""
            yield Line(
                variant, np.arange(1, norms.shape[1] + 1), logs, f"{ratio:.1g}" if np.isfinite(ratio) else "", note
            )


def logs_of(norms: np.ndarray) -> np.ndarray:
    """Decimal logarithms; NaN where a norm is 0 or not finite."""
    norms = norms.astype(np.float64)
    there = np.isfinite(norms) & (norms > 0)
    return np.log10(norms, out=np.full(norms.shape, np.nan), where=there)
