"""What a task is: data, a loss and metrics. The engine knows nothing else about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from tenfold.recipe import Config
from tenfold.sampling import Batch, Part, Resampling, Split
from tenfold.tasks._spec import Predictions, TaskSpec

__all__ = [
    "Carries",
    "ChecksOutput",
    "Diagnoses",
    "Divides",
    "FinalMetrics",
    "FitsEstimators",
    "HasGallery",
    "Hyper",
    "Predicted",
    "Predictions",
    "Task",
    "TaskInfo",
    "TaskSpec",
    "carries",
]


@dataclass(frozen=True)
class TaskInfo:
    """What is known of a task with its data; the record keeps all of it.

    Args:
        fingerprint: of the data: a record is not continued on other data.
        module_kwargs: what a module may ask for in its constructor, such as the number of classes.
        labels: what the integers in predictions mean, in words: "class", "group", "channel", "answer".
        warnings: what a person should know of the data, such as files that were skipped.
        inputs: how new data become the inputs of a module, before the preprocessing of each run: "kind" is "images",
            "pairs", "windows" or "arrays", the rest as tenfold.export reads it.
        counts: how much there is, by words in the plural, items first: {"windows": 800, "classes": 6, "groups": 30}.
        each_repeat: how much of it one repeat has, in words: {"windows to train on": 500, "windows to test": 300}.
        class_counts: items of each class, in the order of the labels "class"; empty where there are no classes.
    """

    fingerprint: str
    module_kwargs: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=lambda: {"kind": "arrays"})
    counts: Mapping[str, int] = field(default_factory=dict)
    each_repeat: Mapping[str, int] = field(default_factory=dict)
    class_counts: tuple[int, ...] = ()


class Predicted(NamedTuple):
    """What the record keeps of the test predictions of a model with one config.

    Attributes:
        model: its name.
        config: of its runs.
        arrays: by name, runs first; "repeat" says which repeat a run is.
    """

    model: str
    config: Config
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True)
class Hyper:
    """What the loss of one run takes beside its outputs and its batch.

    Args:
        recipe: of the model: settings that all runs of a stack share.
        values: settings of this run, by name: the recipe's ``loss_values``; ``hyper["margin"]`` is short for
            ``hyper.values["margin"]``.
        key, step: int64, shape (): for random choices, see ``tenfold.seeds.uniform``.
    """

    recipe: Any
    values: Mapping[str, Tensor]
    key: Tensor
    step: Tensor

    def __getitem__(self, name: str) -> Tensor:
        return self.values[name]


class Task(Protocol):
    """A task of a study. The loss is written for ONE run; ``sums`` and ``predictions`` get all runs, runs first."""

    spec: ClassVar[TaskSpec]
    info: TaskInfo

    def __init__(self, settings: Any, data: Any, /) -> None:
        """``settings`` is the ``[task]`` table, ``data`` what ``settings.load_data`` gave."""
        ...

    def splits(
        self, repeats: Sequence[int], *, seed: int, configs: Sequence[Config] | None = None
    ) -> dict[Part, Split]:
        """The data of the given repeats, one run each. The same repeat has the same data for every model.

        Parts beside training, validation and testing are further test sets: they are evaluated at the end, and their
        sums and predictions join those of the test part.

        Args:
            repeats: counted from 0.
            seed: the study's.
            configs: of each run; the data may depend on the recipe's ``data_values``. None for the defaults. Runs of
                all configs have equally many examples.
        """
        ...

    def resampling(self, configs: Sequence[Config] | None = None) -> Resampling:
        """How the repeats relate, in a study whose runs have these configs."""
        ...

    def batches(self, split: Split, recipe: Any, rng: torch.Generator) -> Sequence[Tensor]:
        """Which training examples each step of an epoch takes: rows of ``split``, the training part of one run."""
        ...

    def loss(self, output: Any, batch: Batch, hyper: Hyper) -> Tensor:
        """Mean loss of one run over a batch, shape ()."""
        ...

    def sums(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        """What metrics need of a batch, and what adds up over batches: hits, losses, counts; shape (runs, ...) each."""
        ...

    def metrics_of(self, sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Metrics from the sums of all batches, after every epoch and at the end: shape (runs,) each."""
        ...

    def predictions(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        """What the record keeps of the outputs of a batch of the test part: shape (runs, examples, ...) each."""
        ...


# -- what a task may have beside --------------------------------------------------------------------------------------


@runtime_checkable
class ChecksOutput(Protocol):
    """A task that says what is wrong with a module's output, before anything is trained."""

    def check(self, output: Any, batch: Batch) -> None:
        """Raise ShapeError where the output of one run, for this batch of one run, is not what the task needs."""
        ...


@runtime_checkable
class FinalMetrics(Protocol):
    """A task with metrics that do not add up over batches, such as the area under a ROC curve."""

    def final_metrics(self, predictions: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Metrics from what the record keeps, runs first: shape (runs,) each. So a record can get a new metric."""
        ...


@runtime_checkable
class Carries(Protocol):
    """A task whose batches go on where the last one ended, so that a module's state is carried from step to step.

    A module takes its state behind its inputs and gives it beside its output: ``module(*inputs, *state) -> (output,
    state)``, and ``module.initial_state(batch_size)`` gives the state at the beginning, a tuple of tensors. The engine
    detaches it between steps and begins anew with every epoch and every evaluation. It is the module's and not the
    task's, since its shape is.
    """

    carries: ClassVar[Literal[True]]


def carries(task: Task) -> bool:
    """Whether a state is carried from batch to batch."""
    return isinstance(task, Carries) and task.carries


@runtime_checkable
class Divides(Protocol):
    """A task whose data depend on settings that stand for another value, such as "auto"."""

    def division(self, config: Config) -> dict[str, Any]:
        """The recipe's ``data_values`` as they are used: models are compared where these are equal."""
        ...


@runtime_checkable
class RemarksOnData(Protocol):
    """A task that says what its division of the data means for the scores, beside ``info.warnings``."""

    def remarks(self, configs: Sequence[Config], *, repeats: int, seed: int) -> list[str]:
        """Sentences on the data of these repeats, such as a class that one person has; refuses what cannot be trained.
        ``configs`` are those of all runs of the study."""
        ...


@runtime_checkable
class Diagnoses(Protocol):
    """A task that looks at trained runs beside their predictions."""

    def diagnose(self, stack: Callable[..., Any], split: Split) -> Mapping[str, np.ndarray | Exception]:
        """What else the record keeps of trained runs, runs first; ``stack`` maps the inputs of all runs to outputs,
        and ``split`` is the test part. An estimator has no gradient. An error in place of an array says why that one
        could not be found; the others are kept. What fails for all runs at once is asked for again, run by run."""
        ...


@runtime_checkable
class HasGallery(Protocol):
    """A task with examples worth showing."""

    def gallery(self, predicted: Sequence[Predicted], *, seed: int) -> dict[str, np.ndarray]:
        """Examples for the report; empty where there are none."""
        ...


@runtime_checkable
class FitsEstimators(Protocol):
    """A task whose models may also be estimators, which are fitted and not trained.

    An estimator gets the inputs that modules get, as arrays, and is fitted to one class per example. Its
    log-probabilities (examples, classes) are scored as if they were a module's outputs.
    """

    def fit_targets(self, split: Split) -> tuple[Tensor, int]:
        """The class of every example, int64 (runs, examples); and how many classes there are."""
        ...
