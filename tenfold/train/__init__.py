"""Training: recipe, state and step, the loop, placement."""

from tenfold.train._checkpoint import restore as restore
from tenfold.train._checkpoint import save_checkpoint as save_checkpoint
from tenfold.train._evaluate import evaluate as evaluate
from tenfold.train._fit import Epoch as Epoch
from tenfold.train._fit import Outcome as Outcome
from tenfold.train._fit import finish as finish
from tenfold.train._fit import fit as fit
from tenfold.train._recipe import LANE_VALUES as LANE_VALUES
from tenfold.train._recipe import Lane as Lane
from tenfold.train._recipe import Recipe as Recipe
from tenfold.train._state import RunId as RunId
from tenfold.train._state import State as State
from tenfold.train._state import init as init
from tenfold.train._state import step as step

__all__ = [
    "LANE_VALUES",
    "Epoch",
    "Lane",
    "Outcome",
    "Recipe",
    "RunId",
    "State",
    "evaluate",
    "finish",
    "fit",
    "init",
    "restore",
    "save_checkpoint",
    "step",
]
