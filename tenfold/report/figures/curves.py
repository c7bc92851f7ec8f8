"""Learning curves of the primary metric."""

from __future__ import annotations

from tenfold.record import Reader
from tenfold.report.figures._curve_panels import Curves, collect_curves
from tenfold.report.figures._curve_panels import curve_numbers as numbers
from tenfold.report.figures._curve_panels import curves_in_words as words
from tenfold.report.figures._curve_panels import draw_curves as draw

__all__ = ["collect", "draw", "numbers", "words"]


def collect(results: Reader) -> Curves | None:
    """Curves of the best variants; None where no curve of the primary metric was saved."""
    return collect_curves(results, results.primary)
