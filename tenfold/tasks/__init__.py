"""The tasks. A task is one file here and one line in ``TASKS``."""

from tenfold.tasks._examples import Examples as Examples
from tenfold.tasks._examples import Inputs as Inputs
from tenfold.tasks._find import Spec as Spec
from tenfold.tasks._find import find_task as find_task
from tenfold.tasks._find import spec_of as spec_of
from tenfold.tasks._settings import TaskSettings as TaskSettings
from tenfold.tasks._splits import check_folds as check_folds
from tenfold.tasks._task import FitsEstimators as FitsEstimators
from tenfold.tasks._task import Metric as Metric
from tenfold.tasks._task import Part as Part
from tenfold.tasks._task import Resampling as Resampling
from tenfold.tasks._task import Task as Task
from tenfold.tasks._windows import Windows as Windows
from tenfold.tasks.classify_sequences import ClassifySequences as ClassifySequences
from tenfold.tasks.compare_pairs import ComparePairs as ComparePairs
from tenfold.tasks.match import Match as Match

TASKS: dict[str, type[Task]] = {
    "classify-sequences": ClassifySequences,
    "compare-pairs": ComparePairs,
    "match": Match,
}

__all__ = [
    "TASKS",
    "ClassifySequences",
    "ComparePairs",
    "Resampling",
    "Examples",
    "FitsEstimators",
    "Inputs",
    "Match",
    "Metric",
    "Part",
    "Spec",
    "Task",
    "TaskSettings",
    "Windows",
    "check_folds",
    "find_task",
    "spec_of",
]
