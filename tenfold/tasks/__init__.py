"""The tasks, listed in ``_catalogue.py``, and the contract that they and a task of one's own keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenfold.on_demand import names_of
from tenfold.tasks._catalogue import SPECS as SPECS
from tenfold.tasks._catalogue import TASKS as TASKS
from tenfold.tasks._find import find_spec as find_spec
from tenfold.tasks._find import find_task as find_task
from tenfold.tasks._find import is_built_in as is_built_in
from tenfold.tasks._settings import ImageSettings as ImageSettings
from tenfold.tasks._settings import TaskSettings as TaskSettings
from tenfold.tasks._spec import TaskSpec as TaskSpec

if TYPE_CHECKING:
    from tenfold.tasks._contract import Carries as Carries
    from tenfold.tasks._contract import ChecksOutput as ChecksOutput
    from tenfold.tasks._contract import Diagnoses as Diagnoses
    from tenfold.tasks._contract import Divides as Divides
    from tenfold.tasks._contract import FinalMetrics as FinalMetrics
    from tenfold.tasks._contract import FitsEstimators as FitsEstimators
    from tenfold.tasks._contract import HasGallery as HasGallery
    from tenfold.tasks._contract import Hyper as Hyper
    from tenfold.tasks._contract import Predicted as Predicted
    from tenfold.tasks._contract import RemarksOnData as RemarksOnData
    from tenfold.tasks._contract import Task as Task
    from tenfold.tasks._contract import TaskInfo as TaskInfo
    from tenfold.tasks._contract import carries as carries
    from tenfold.tasks.classify_sequences import ClassifySequences as ClassifySequences
    from tenfold.tasks.compare_pairs import ComparePairs as ComparePairs
    from tenfold.tasks.match import Match as Match

# Imported at first use: reading a study needs none of them, nor torch.
_HOMES = {
    "Carries": "tenfold.tasks._contract",
    "ChecksOutput": "tenfold.tasks._contract",
    "ClassifySequences": "tenfold.tasks.classify_sequences",
    "ComparePairs": "tenfold.tasks.compare_pairs",
    "Diagnoses": "tenfold.tasks._contract",
    "Divides": "tenfold.tasks._contract",
    "FinalMetrics": "tenfold.tasks._contract",
    "FitsEstimators": "tenfold.tasks._contract",
    "HasGallery": "tenfold.tasks._contract",
    "RemarksOnData": "tenfold.tasks._contract",
    "Hyper": "tenfold.tasks._contract",
    "Match": "tenfold.tasks.match",
    "Predicted": "tenfold.tasks._contract",
    "Task": "tenfold.tasks._contract",
    "TaskInfo": "tenfold.tasks._contract",
    "carries": "tenfold.tasks._contract",
}

__all__ = [
    "SPECS",
    "TASKS",
    "Carries",
    "ChecksOutput",
    "ClassifySequences",
    "ComparePairs",
    "Diagnoses",
    "Divides",
    "FinalMetrics",
    "FitsEstimators",
    "HasGallery",
    "RemarksOnData",
    "Hyper",
    "ImageSettings",
    "Match",
    "Predicted",
    "Task",
    "TaskInfo",
    "TaskSettings",
    "TaskSpec",
    "carries",
    "find_spec",
    "find_task",
    "is_built_in",
]

__getattr__, __dir__ = names_of(__name__, _HOMES)
