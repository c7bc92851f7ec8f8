"""What a task is: data, a loss and metrics. The engine knows nothing else about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from tenfold.recipe import Recipe
from tenfold.tasks._examples import Examples
from tenfold.tasks._settings import TaskSettings

__all__ = ["Resampling", "FitsEstimators", "Metric", "Part", "Task"]

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Metric:
    """A score: its name (as scikit-learn spells it), a label for people, its unit and direction."""

    name: str
    label: str
    unit: Literal["%", "nats", ""]
    higher_is_better: bool
    primary: bool = False


@dataclass(frozen=True)
class Resampling:
    """How the repeats of a study relate, which decides the test.

    Args:
        resampled: repeats draw from one pool so small that they share much of their data.
        test_over_train: with ``resampled``, items for testing divided by items for training.
        note: the same in words, for the report.
        folds: of cross-validation, where the repeats are folds; they must then be a multiple of it.
    """

    resampled: bool
    test_over_train: float | None
    note: str
    folds: int | None = None


class Task(Protocol):
    """A task of a study. Losses are written for one run; metrics take all runs at once."""

    kind: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    settings_type: ClassVar[type[TaskSettings]]  # of the [task] table
    recipe_type: ClassVar[type[Recipe]]  # how a model is trained, with the settings of this task's loss
    fingerprint: str  # of the data: a record is not continued on other data
    notes: tuple[str, ...]  # what a person should know of the data, such as files that were skipped

    @classmethod
    def load(cls, settings: Any, *, base: Path) -> Self:
        """The task with its data; relative paths start from ``base``."""
        ...

    def examples(
        self, repeats: Sequence[int], *, seed: int, settings: Sequence[Mapping[str, Any]] | None = None
    ) -> dict[Part, Examples]:
        """The data of the given repeats, one run each. The same repeat has the same data for every model.

        ``settings`` holds for each run those of the recipe's ``data_values`` (None: their defaults), such as the kind
        of split. Runs of all settings have equally many examples.
        """
        ...

    def order(self, targets: dict[str, Tensor], recipe: Any, numbers: torch.Generator) -> Tensor:
        """Which training examples of one run an epoch goes through, int64 of shape (n,), cut into batches in this
        order. ``targets`` are those of the run's training examples."""
        ...

    def resampling(self, settings: Sequence[Mapping[str, Any]] | None = None) -> Resampling:
        """How the repeats relate, in a study whose runs have these ``settings`` of data; see ``examples``."""
        ...

    def facts(self) -> dict[str, int]:
        """What a module may ask for in its constructor, such as the image size and the number of classes."""
        ...

    def names(self) -> dict[str, tuple[str, ...]]:
        """What the numbers in predictions mean, in words: "class" and, where examples have groups, "group"; empty
        where there are no names."""
        ...

    def sample(self, n_examples: int) -> tuple[Tensor, dict[str, Tensor]]:
        """A batch of the right shapes for one run, to try a module with before anything is trained."""
        ...

    def check(self, output: Any, n_examples: int) -> None:
        """Raise ShapeError where a module's output for one run is not what the task needs."""
        ...

    def loss(self, output: Any, targets: dict[str, Tensor], values: dict[str, Tensor], recipe: Any) -> Tensor:
        """Mean loss of one run over a batch.

        ``values`` holds the run's own loss settings (the recipe's ``loss_values``), and ``key`` and ``step`` (int64,
        shape ()) for random choices: see ``tenfold.seeds.uniform``.
        """
        ...

    def measure(self, outputs: Any, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Cheap metrics of every run, shape (runs,) each, for the curves; of the test, validation or training part."""
        ...

    def score(self, outputs: Any, targets: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """All metrics of every run, shape (runs,) each, for the end."""
        ...

    def predictions(self, outputs: Any, targets: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """What the record keeps of the test outputs, runs first."""
        ...

    def diagnose(self, stack: Callable[..., Any], examples: Examples) -> dict[str, np.ndarray]:
        """What else the record keeps of trained runs, runs first; ``stack`` maps the inputs of all runs to outputs, and
        ``examples`` are those of the test part. Empty where there is nothing. An estimator has no gradient."""
        ...

    def gallery(self, predictions: dict[str, dict[str, np.ndarray]], *, seed: int) -> dict[str, np.ndarray]:
        """Examples worth showing in the report, from the predictions of all models; empty where there are none."""
        ...


@runtime_checkable
class FitsEstimators(Protocol):
    """What a task has beside ``Task`` where its models may also be estimators, which are fitted and not trained.

    An estimator gets the inputs that modules get, as arrays, and learns one class an example. Its log-probabilities
    (runs, examples, classes) are scored as if they were a module's outputs.
    """

    def fit_targets(self, targets: dict[str, Tensor]) -> tuple[Tensor, int]:
        """The class of every example, int64 (runs, examples), -1 for one that is not to be learnt from; and how many
        classes there are."""
        ...
