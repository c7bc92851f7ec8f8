"""Learning curves of the loss."""

from __future__ import annotations

from matplotlib.figure import Figure

from tenfold.report.figures._canvas import WIDE
from tenfold.report.figures._curve_panels import draw_curves
from tenfold.results import Results


def draw(results: Results, *, width: float = WIDE) -> Figure | None:
    """One panel an arm; None where the study has no loss, or it is drawn already as the primary metric."""
    known = {metric["name"] for metric in results.metrics}
    if "loss" not in known or results.primary == "loss":
        return None
    return draw_curves(results, "loss", width=width)
