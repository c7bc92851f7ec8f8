"""The figures of a report. A figure is one file in this folder and one line in the list below.

The file has a function ``draw(results, *, width=WIDE) -> matplotlib Figure | None``: None where the record holds
nothing to draw. ``width`` is in CSS pixels; a report asks for each figure twice, for wide and for narrow pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from tenfold.report.figures import (
    confusion,
    curves,
    embedding,
    episodes,
    gallery,
    hardest,
    loss_curves,
    roc,
    strips,
)

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
    FigureEntry(
        "episodes",
        episodes.draw,
        "Published episodes",
        "Each dot is one of the episodes that come with the data: the share of its queries answered wrongly, mean over "
        "repeats. The number is the mean over episodes, with its standard deviation over repeats. Dashed lines are "
        "errors of others in the same episodes.",
    ),
    FigureEntry(
        "gallery",
        gallery.draw,
        "Queries and what was found",
        "One image of a class never learnt from (left), and candidates of different classes in the best model's order, "
        "most similar first; further down only the right one. About half of the queries shown are those answered "
        "worst, not a fair sample.",
    ),
    FigureEntry(
        "embedding",
        embedding.draw,
        "Embeddings",
        "Images of classes never learnt from; each number, with its shape and colour, is a class, the same one in both "
        "panels. Near images are similar to the model; distances between far groups, and axes, mean nothing.",
    ),
)
