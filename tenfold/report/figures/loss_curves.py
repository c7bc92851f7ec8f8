"""Learning curves of the loss."""

from __future__ import annotations

from tenfold.record import Reader
from tenfold.report.figures._curve_panels import Curves, collect_curves
from tenfold.report.figures._curve_panels import curve_numbers as numbers
from tenfold.report.figures._curve_panels import curves_in_words as words
from tenfold.report.figures._curve_panels import draw_curves as draw

__all__ = ["collect", "draw", "numbers", "words"]


def collect(results: Reader) -> Curves | None:
    """Curves of the best variants; None where the study has no loss, or the loss is the primary metric."""
    known = {metric["name"] for metric in results.metrics}
    if "loss" not in known or results.primary == "loss":
        return None  # drawn already by the figure of the primary metric
    return collect_curves(results, "loss")
