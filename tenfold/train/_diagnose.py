"""What a task finds in trained runs beside their predictions. It may fail: scores stand without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from tenfold.errors import ShapeError, attempt, what_failed
from tenfold.sampling import Split
from tenfold.stack import Stack
from tenfold.tasks import Diagnoses
from tenfold.train._evaluate import evaluating
from tenfold.train._state import State

__all__ = ["diagnosed", "diagnosed_state"]

_WHAT = "what the task finds in trained runs beside predictions (diagnose)"


def diagnosed_state(state: State, failures: list[str]) -> dict[str, np.ndarray]:
    """``diagnosed`` of the runs of a state. Layers without a rule for all runs at once, such as the backward pass of
    fused attention, are tried run by run.
    """
    task = state.task
    if not isinstance(task, Diagnoses):
        return {}
    noted: list[str] = []
    with evaluating(state):
        found = diagnosed(task, state.stack, state.parts["test"], noted)
        if noted and state.stack.how == "vmap":
            noted.clear()
            found = diagnosed(task, _one_by_one(state), state.parts["test"], noted)
    failures += noted
    return found


def _one_by_one(state: State) -> Stack:
    runs = [state.stack.module(run) for run in range(state.n_runs)]
    return Stack(runs, keys=[0] * state.n_runs, how="loop").eval()


def diagnosed(task: Diagnoses, stack: Callable[..., Any], split: Split, failures: list[str]) -> dict[str, np.ndarray]:
    """The arrays that could be found, runs first; a sentence for each of the others.

    Args:
        task: looks at the runs.
        stack: inputs of all runs to outputs.
        split: the test part.
        failures: where the sentences go.
    """
    found = attempt(_WHAT, partial(_expect_runs_first, task, stack, split), {}, failures=failures)
    failures += [
        f"'{name}' of {_WHAT} could not be made: {what_failed(value)}"
        for name, value in found.items()
        if isinstance(value, Exception)
    ]
    return {name: value for name, value in found.items() if not isinstance(value, Exception)}


def _expect_runs_first(
    task: Diagnoses, stack: Callable[..., Any], split: Split
) -> Mapping[str, np.ndarray | Exception]:
    """What a record can keep, else a ShapeError."""
    found = {
        name: value if isinstance(value, Exception) else np.asarray(value)
        for name, value in task.diagnose(stack, split).items()
    }
    for name, array in found.items():
        if isinstance(array, Exception):
            continue
        if array.shape[:1] != (split.n_runs,) or array.dtype.hasobject:
            raise ShapeError(
                f"'{name}': expected numbers or text with the {split.n_runs} runs first, got shape {array.shape} of "
                f"{array.dtype}"
            )
    return found
