"""The tasks, listed in ``_catalogue.py``, and the contract that they and a task of one's own keep."""

from tenfold.tasks._catalogue import TASKS as TASKS
from tenfold.tasks._contract import Carries as Carries
from tenfold.tasks._contract import ChecksOutput as ChecksOutput
from tenfold.tasks._contract import Diagnoses as Diagnoses
from tenfold.tasks._contract import Divides as Divides
from tenfold.tasks._contract import FinalMetrics as FinalMetrics
from tenfold.tasks._contract import FitsEstimators as FitsEstimators
from tenfold.tasks._contract import HasGallery as HasGallery
from tenfold.tasks._contract import Hyper as Hyper
from tenfold.tasks._contract import Predicted as Predicted
from tenfold.tasks._contract import Task as Task
from tenfold.tasks._contract import TaskInfo as TaskInfo
from tenfold.tasks._contract import TaskSpec as TaskSpec
from tenfold.tasks._contract import carries as carries
from tenfold.tasks._find import find_task as find_task
from tenfold.tasks._find import is_built_in as is_built_in
from tenfold.tasks._settings import ImageSettings as ImageSettings
from tenfold.tasks._settings import TaskSettings as TaskSettings
from tenfold.tasks.classify_sequences import ClassifySequences as ClassifySequences
from tenfold.tasks.compare_pairs import ComparePairs as ComparePairs
from tenfold.tasks.match import Match as Match

__all__ = [
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
    "Hyper",
    "ImageSettings",
    "Match",
    "Predicted",
    "Task",
    "TaskInfo",
    "TaskSettings",
    "TaskSpec",
    "carries",
    "find_task",
    "is_built_in",
]
