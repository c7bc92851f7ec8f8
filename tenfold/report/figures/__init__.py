"""The figures of a report. A figure is one file in this folder and one line in the list below.

The file has a function ``draw(results, *, width=WIDE) -> matplotlib Figure | None``: None where the record holds
nothing to draw. ``width`` is in CSS pixels; a report asks for each figure twice, for wide and for narrow pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from tenfold.report.figures import (
    classes,
    confusion,
    curves,
    embedding,
    episodes,
    gallery,
    gradient_norms,
    groups,
    hardest,
    loss_curves,
    roc,
    steps_seen,
    strips,
    volatility,
    windows,
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
        "volatility",
        volatility.draw,
        "Volatility",
        "How much the score jumps from epoch to epoch: the standard deviation of its changes over the second half of "
        "training. A steady rise adds nothing to it. The number is the mean over repeats, with the deviation.",
    ),
    FigureEntry(
        "groups",
        groups.draw,
        "By group",
        "Groups of the test data, such as people or alphabets, in the order of the best model's scores: its mean over "
        "repeats, with the standard deviation, and the means of the other models. A repeat need not have every group: "
        "“3 of 10” is the number of repeats that have it.",
    ),
    FigureEntry(
        "confusion",
        confusion.draw,
        "Confusion matrices",
        "Of each true class (rows), the share predicted as each class (columns), in percent: mean over repeats, with "
        "the standard deviation. Where a field is empty, the share is 0 as far as it would be written.",
    ),
    FigureEntry(
        "classes",
        classes.draw,
        "Precision and recall of each class",
        "Precision: of what was taken for a class, the share that is one. Recall: of what is one, the share that was "
        "taken for it. Mean over repeats, with a line of one standard deviation to each side.",
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
        "windows",
        windows.draw,
        "Windows taken for another class",
        "For each of the most frequent confusions of the best model, the window of which it was surest, with the "
        "probability it gave to the wrong class. Signals are in the units of the data, on the same scale in every "
        "window.",
    ),
    FigureEntry(
        "steps_seen",
        steps_seen.draw,
        "Accuracy by steps seen",
        "Accuracy in percent where only the first steps of a window are seen, in some of the test windows; models were "
        "trained on whole windows. Mean over repeats, with a band of one standard deviation. The number is the "
        "accuracy with all steps.",
    ),
    FigureEntry(
        "gradient_norms",
        gradient_norms.draw,
        "Gradient by time step",
        "How much the loss depends on the signal at each step: the norm of its gradient, on a logarithmic scale, as "
        "the mean of logarithms over repeats with a band of one standard deviation. The number is the norm at the "
        "first step divided by that at the last: far below 1, what happened early is all but forgotten.",
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
