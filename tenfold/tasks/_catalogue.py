"""The list of the built-in tasks. A task is one file beside this one, and one line here."""

from __future__ import annotations

from tenfold.tasks._contract import Task
from tenfold.tasks.classify_sequences import ClassifySequences
from tenfold.tasks.compare_pairs import ComparePairs
from tenfold.tasks.match import Match

__all__ = ["TASKS"]

TASKS: dict[str, type[Task]] = {
    "classify-sequences": ClassifySequences,
    "compare-pairs": ComparePairs,
    "match": Match,
}
