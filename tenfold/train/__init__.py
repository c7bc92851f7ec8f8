"""Training: recipe, state and step, the loop, placement; and fitting, for models that are not trained."""

from tenfold.train._alone import train_alone as train_alone
from tenfold.train._checkpoint import restore as restore
from tenfold.train._checkpoint import save_checkpoint as save_checkpoint
from tenfold.train._estimators import fit_lanes as fit_lanes
from tenfold.train._estimators import fit_runs as fit_runs
from tenfold.train._estimators import try_estimator as try_estimator
from tenfold.train._evaluate import evaluate as evaluate
from tenfold.train._fit import Epoch as Epoch
from tenfold.train._fit import Outcome as Outcome
from tenfold.train._fit import finish as finish
from tenfold.train._fit import fit as fit
from tenfold.train._job import Job as Job
from tenfold.train._job import prepare as prepare
from tenfold.train._job import train as train
from tenfold.train._placement import Placement as Placement
from tenfold.train._placement import Plan as Plan
from tenfold.train._placement import choose as choose
from tenfold.train._placement import cores as cores
from tenfold.train._placement import try_module as try_module
from tenfold.train._state import RunId as RunId
from tenfold.train._state import State as State
from tenfold.train._state import init as init
from tenfold.train._state import step as step
from tenfold.train._verify import verify as verify
from tenfold.train._verify import verify_fit as verify_fit
from tenfold.train._workers import Workers as Workers
from tenfold.train._workers import portable as portable

__all__ = [
    "Epoch",
    "Job",
    "Outcome",
    "Placement",
    "Plan",
    "RunId",
    "State",
    "Workers",
    "choose",
    "cores",
    "evaluate",
    "finish",
    "fit",
    "fit_lanes",
    "fit_runs",
    "init",
    "portable",
    "prepare",
    "restore",
    "save_checkpoint",
    "step",
    "train",
    "train_alone",
    "try_estimator",
    "try_module",
    "verify",
    "verify_fit",
]
