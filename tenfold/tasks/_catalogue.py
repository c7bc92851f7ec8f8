"""The list of the built-in tasks. A task is one file beside this one, with what a study file says of it in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenfold.on_demand import OnDemand
from tenfold.tasks._match_spec import SPEC as MATCH
from tenfold.tasks._pairs_spec import SPEC as PAIRS
from tenfold.tasks._sequences_spec import SPEC as SEQUENCES
from tenfold.tasks._spec import TaskSpec

if TYPE_CHECKING:
    from tenfold.tasks._contract import Task

__all__ = ["SPECS", "TASKS"]

TASKS: OnDemand[type[Task]] = OnDemand(
    {
        "classify-sequences": "tenfold.tasks.classify_sequences:ClassifySequences",
        "compare-pairs": "tenfold.tasks.compare_pairs:ComparePairs",
        "match": "tenfold.tasks.match:Match",
    }
)

# What a study may say of each, which is read without importing the task.
SPECS: dict[str, TaskSpec] = {spec.kind: spec for spec in (SEQUENCES, PAIRS, MATCH)}
