"""The figures of a report. A figure is one file in this folder and one line in the list below.

The file has three functions, so that what is drawn and what is written are the same numbers:

- ``collect(results)`` reads a record and computes all that the figure shows; None where the record has nothing for it;
- ``draw(found, *, width=WIDE)`` makes the matplotlib figure; ``width`` is in CSS pixels, and a report draws each figure
  twice, for wide and for narrow pages;
- ``numbers(found)`` gives the same numbers as rows of a table, with all digits.

It may have ``words(found)``: sentences after the caption that depend on the record, such as how many examples are
shown.

A figure that needs arrays of the predictions or of the gallery names them in ``ARRAYS``: tuples of names, of which one
tuple is enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from matplotlib.figure import Figure

from tenfold.record import Reader
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
    reconstruction,
    roc,
    steps_seen,
    strips,
    volatility,
    windows,
)
from tenfold.report.figures._canvas import MOST_PANELS
from tenfold.report.figures._left_out import left_out
from tenfold.report.figures._numbers import Row
from tenfold.report.figures._predictions import predictions_of
from tenfold.wording import listed

__all__ = ["FIGURES", "FigureEntry"]

_MOST_NAMED = 6


class _Module(Protocol):
    """A figure's file; its functions agree among themselves on what ``collect`` gives."""

    @property
    def collect(self) -> Callable[[Reader], Any]: ...
    @property
    def draw(self) -> Callable[..., Figure]: ...
    @property
    def numbers(self) -> Callable[[Any], list[Row]]: ...

    # And maybe ``words``, see below: a protocol cannot say so.


@dataclass(frozen=True)
class FigureEntry:
    """One figure: its file, the words around it, and the records it is for.

    Attributes:
        name: of the file here, and of the files that a report saves.
        module: the file, as described above.
        title, caption: the words around it.
        predictions: what the test predictions may be, as in the record; empty for any predictions.
        arrays: names of arrays that it needs, one tuple of them or another; empty where it needs none.
        most: how many models it shows at most, the best ones; None where it is about some of them by its nature.
    """

    name: str
    module: _Module
    title: str
    caption: str
    predictions: tuple[str, ...] = ()
    arrays: tuple[tuple[str, ...], ...] = ()
    most: int | None = MOST_PANELS

    def suits(self, predictions: str) -> bool:
        """Whether the figure is for predictions of this kind.

        Predictions of no known kind, "", may have any arrays: every figure that needs arrays looks for them.
        """
        if not self.predictions or predictions in self.predictions:
            return True
        return not predictions and bool(self.arrays)

    def collect(self, results: Reader) -> Any:
        """All that the figure shows; None where it is not for this record, or the record has nothing to draw.

        Raises:
            RecordError: if a file with arrays that it needs is damaged.
        """
        return self.module.collect(results) if self.suits(predictions_of(results)) else None

    def draw(self, found: Any, *, width: float) -> Figure:
        """Draw what ``collect`` gave, at a width in CSS pixels."""
        return self.module.draw(found, width=width)

    def words(self, found: Any) -> str:
        """The caption, and what is to be said of this record."""
        own: Callable[[Any], str] | None = getattr(self.module, "words", None)
        return f"{self.caption} {own(found)}".rstrip() if own is not None else self.caption

    def left_out(self, found: Any, results: Reader) -> str:
        """Which models it does not show, and why; "" where it shows all, or is about some of them by its nature."""
        return "" if self.most is None else left_out(results, self.numbers(found), self.most)

    def alternative(self, found: Any) -> str:
        """What the figure shows, for people who cannot see it: of which models, what is drawn, where its numbers are.

        Example:
            >>> _first_sentence("Mean over 3.5 epochs. The number is the score.")
            'Mean over 3.5 epochs.'
        """
        names = list(dict.fromkeys(str(row["label"]) for row in self.numbers(found) if "label" in row))
        more = len(names) - _MOST_NAMED
        shown = names if more <= 0 else [*names[:_MOST_NAMED], f"{more} more"]
        whom = f" of {listed(shown)}" if shown else ""
        return f"{self.title}{whom}. {_first_sentence(self.caption)} All numbers are in figures/{self.name}.csv."

    def numbers(self, found: Any) -> list[Row]:
        """What ``collect`` gave, as rows of a table."""
        return self.module.numbers(found)


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.?!])\s+(?=[A-Z“])", text, maxsplit=1)[0]


# In the order of the report.
FIGURES = (
    FigureEntry(
        "strips",
        strips,
        "Every repeat",
        "Each dot is the final test score of one repeat; the bar is the mean with its interval. Overlapping intervals "
        "say little about a difference: repeats are paired, and the verdict compares them pair by pair.",
    ),
    FigureEntry(
        "curves",
        curves,
        "Learning curves",
        "Mean over repeats after each epoch, with a band of one standard deviation. The number is the final test "
        "score, as in the tables. Test curves are for information only: nothing was chosen by them.",
    ),
    FigureEntry(
        "loss_curves",
        loss_curves,
        "Loss",
        "Mean loss over repeats after each epoch, with a band of one standard deviation. The number is the final test "
        "loss, as in the tables.",
    ),
    FigureEntry(
        "volatility",
        volatility,
        "Volatility",
        "How much the score changes from epoch to epoch: the standard deviation of its changes over the second half of "
        "training. A steady rise adds nothing to it. The number is the mean over repeats, with the deviation.",
        predictions=("classes",),
    ),
    FigureEntry(
        "groups",
        groups,
        "By group",
        "Groups of the test data, such as people or alphabets, in the order of the best model's scores: its mean over "
        "repeats, with the standard deviation, and the means of the other models. A repeat need not have every group: "
        "“3 of 10” is the number of repeats that have it.",
        predictions=("classes", "ranking"),
        arrays=groups.ARRAYS,
    ),
    FigureEntry(
        "confusion",
        confusion,
        "Confusion matrices",
        "Of each true class (rows), the share predicted as each class (columns), in percent: mean over repeats, with "
        "the standard deviation. An empty field is a share that rounds to 0.",
        predictions=("classes", "binary"),
        arrays=confusion.ARRAYS,
        most=2,
    ),
    FigureEntry(
        "classes",
        classes,
        "Precision and recall of each class",
        "Precision: the share of a class's predictions that are right. Recall: the share of a class's examples that "
        "are predicted as this class. Mean over repeats, with a line of one standard deviation to each side.",
        predictions=("classes",),
        arrays=classes.ARRAYS,
        most=4,
    ),
    FigureEntry(
        "roc",
        roc,
        "ROC curves",
        "True positive rate (vertical) against false positive rate (horizontal), mean over repeats with a band of one "
        "standard deviation, and the area under the curve.",
        predictions=("binary",),
        arrays=roc.ARRAYS,
    ),
    FigureEntry(
        "hardest",
        hardest,
        "Hardest examples",
        "Test examples that most models got wrong in the same repeat, with the right answer and the share of models "
        "that were wrong.",
        predictions=("binary",),
        arrays=hardest.ARRAYS,
        most=None,
    ),
    FigureEntry(
        "windows",
        windows,
        "Windows taken for another class",
        "For each of the most frequent confusions of the best model, the window with the highest probability of the "
        "wrong class, and that probability. Signals are in the units of the data, on the same scale in every window.",
        predictions=("classes",),
        arrays=windows.ARRAYS,
        most=None,
    ),
    FigureEntry(
        "steps_seen",
        steps_seen,
        "Accuracy by steps seen",
        "Accuracy where the model sees only the first steps of a window; models were trained on whole windows. Mean "
        "over repeats, with a band of one standard deviation. The number is the accuracy in percent with all steps.",
        predictions=("classes",),
        arrays=steps_seen.ARRAYS,
    ),
    FigureEntry(
        "gradient_norms",
        gradient_norms,
        "Gradient by time step",
        "How much the loss depends on the signal at each step: the norm of its gradient, on a logarithmic scale, as "
        "the mean of logarithms over repeats with a band of one standard deviation. The number is the norm at the "
        "first step divided by the norm at the last: far below 1, the early steps have hardly any influence.",
        predictions=("classes",),
        arrays=gradient_norms.ARRAYS,
    ),
    FigureEntry(
        "episodes",
        episodes,
        "Published episodes",
        "Each dot is one of the episodes that come with the data: the share of its queries answered wrongly, mean over "
        "repeats. The number is the mean over episodes, with its standard deviation over repeats. Dashed lines are "
        "published errors in the same episodes.",
        predictions=("ranking",),
        arrays=episodes.ARRAYS,
    ),
    FigureEntry(
        "gallery",
        gallery,
        "Queries and what was found",
        "One image of a class that is not in the training data (left), and candidates of different classes in the best "
        "model's order, most similar first; further down only the right one. About half of the queries shown are the "
        "worst answered ones, not a fair sample.",
        predictions=("ranking",),
        arrays=gallery.ARRAYS,
        most=None,
    ),
    FigureEntry(
        "embedding",
        embedding,
        "Embeddings",
        "Images of classes that are not in the training data. Each number, with its shape and colour, is a class, the "
        "same one in both panels. Images near each other are similar to the model; axes, and distances between groups "
        "far apart, have no meaning.",
        predictions=("ranking",),
        arrays=embedding.ARRAYS,
        most=None,
    ),
    FigureEntry(
        "reconstruction",
        reconstruction,
        "Reconstructions",
        "The first test examples of one repeat, and their reconstructions by each of the best models.",
        predictions=("reconstruction",),
        arrays=reconstruction.ARRAYS,
        most=6,
    ),
)
