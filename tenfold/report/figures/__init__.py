"""The figures of a report. A figure is one file in this folder and one line in the list below.

The file has a function ``draw(results, *, width=WIDE) -> matplotlib Figure | None``: None where the record holds
nothing to draw. ``width`` is in CSS pixels; a report asks for each figure twice, for wide and for narrow pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from tenfold.report.figures import confusion, curves, hardest, loss_curves, roc, strips

__all__ = ["FIGURES", "FigureEntry"]


@dataclass(frozen=True)
class FigureEntry:
    """One figure: its file's name, its function, and the words around it."""

    name: str
    draw: Callable[..., Figure | None]
    title: str
    caption: str


# In the order of the report.
FIGURES = (
    FigureEntry(
        "strips",
        strips.draw,
        "Every repeat",
        "Each dot is the final test score of one repeat; the bar is the mean with its interval. Overlapping intervals "
        "say little about a difference: repeats are paired, and the verdict compares them pair by pair.",
    ),
    FigureEntry(
        "curves",
        curves.draw,
        "Learning curves",
        "Mean over repeats after each epoch, with a band of one standard deviation. The number is the test score after "
        "the last epoch. Test curves are for looking at only: no choice was made by them.",
    ),
    FigureEntry(
        "loss_curves",
        loss_curves.draw,
        "Loss",
        "Mean loss over repeats after each epoch, with a band of one standard deviation. The number is the test loss "
        "after the last epoch.",
    ),
    FigureEntry(
        "confusion",
        confusion.draw,
        "Confusion matrices",
        "Of each true class (rows), the share predicted as each class (columns), in percent: mean over repeats, with "
        "the standard deviation.",
    ),
    FigureEntry(
        "roc",
        roc.draw,
        "ROC curves",
        "True positives (upwards) against false positives, mean over repeats with a band of one standard deviation, "
        "and the area under the curve.",
    ),
    FigureEntry(
        "hardest",
        hardest.draw,
        "Hardest examples",
        "Test examples that most models got wrong in the same repeat, with the right answer and the share of models "
        "that were wrong.",
    ),
)
