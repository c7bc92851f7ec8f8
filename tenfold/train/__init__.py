"""Training: state and step, the loop, checkpoints, and the plain loop that a stack has to equal."""

from tenfold.train._checkpoint import restore as restore
from tenfold.train._checkpoint import save_checkpoint as save_checkpoint
from tenfold.train._cpu import cpu_numerics as cpu_numerics
from tenfold.train._diagnose import diagnosed as diagnosed
from tenfold.train._evaluate import evaluate as evaluate
from tenfold.train._evaluate import evaluating as evaluating
from tenfold.train._evaluate import test as test
from tenfold.train._job import Job as Job
from tenfold.train._job import prepare as prepare
from tenfold.train._loop import OBJECTIVE as OBJECTIVE
from tenfold.train._loop import Epoch as Epoch
from tenfold.train._loop import Outcome as Outcome
from tenfold.train._loop import evaluate_final as evaluate_final
from tenfold.train._loop import peak_bytes as peak_bytes
from tenfold.train._loop import train_epochs as train_epochs
from tenfold.train._reference import steps_alone as steps_alone
from tenfold.train._reference import train_alone as train_alone
from tenfold.train._state import RunId as RunId
from tenfold.train._state import State as State
from tenfold.train._state import epoch_batches as epoch_batches
from tenfold.train._state import gradients as gradients
from tenfold.train._state import init as init
from tenfold.train._state import initial_carry as initial_carry
from tenfold.train._state import of_run as of_run
from tenfold.train._state import step as step

__all__ = [
    "OBJECTIVE",
    "Epoch",
    "Job",
    "Outcome",
    "RunId",
    "State",
    "cpu_numerics",
    "diagnosed",
    "epoch_batches",
    "evaluate",
    "evaluate_final",
    "evaluating",
    "gradients",
    "init",
    "initial_carry",
    "metrics_of",
    "of_run",
    "peak_bytes",
    "prepare",
    "restore",
    "save_checkpoint",
    "step",
    "steps_alone",
    "test",
    "train_alone",
    "train_epochs",
]

from tenfold.train._metrics_of import metrics_of as metrics_of
