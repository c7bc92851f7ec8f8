"""Learning curves of the metric that decides."""

from __future__ import annotations

from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._canvas import WIDE
from tenfold.report.figures._curve_panels import draw_curves


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """One panel a variant; None where no curve of the primary metric was saved."""
    return draw_curves(results, results.primary, width=width)
