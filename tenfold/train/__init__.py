"""Training: state and step, the loop, checkpoints, and the plain loop that a stack has to equal."""

from tenfold.train._checkpoint import restore as restore
from tenfold.train._checkpoint import save_checkpoint as save_checkpoint
from tenfold.train._cpu import cpu_numerics as cpu_numerics
from tenfold.train._evaluate import evaluate as evaluate
from tenfold.train._job import Job as Job
from tenfold.train._job import prepare as prepare
from tenfold.train._loop import Epoch as Epoch
from tenfold.train._loop import Outcome as Outcome
from tenfold.train._loop import finish as finish
from tenfold.train._loop import fit as fit
from tenfold.train._reference import train_alone as train_alone
from tenfold.train._state import RunId as RunId
from tenfold.train._state import State as State
from tenfold.train._state import epoch_order as epoch_order
from tenfold.train._state import init as init
from tenfold.train._state import step as step

__all__ = [
    "Epoch",
    "Job",
    "Outcome",
    "RunId",
    "State",
    "cpu_numerics",
    "epoch_order",
    "evaluate",
    "finish",
    "fit",
    "init",
    "prepare",
    "restore",
    "save_checkpoint",
    "step",
    "train_alone",
]
