"""Learning curves of the loss."""

from __future__ import annotations

from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._canvas import WIDE
from tenfold.report.figures._curve_panels import draw_curves


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """One panel a variant; None where the study has no loss, or it is drawn already as the primary metric."""
    known = {metric["name"] for metric in results.metrics}
    if "loss" not in known or results.primary == "loss":
        return None
    return draw_curves(results, "loss", width=width)
