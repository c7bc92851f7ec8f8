"""What is known of a task without its data. No torch: a study is read and checked before anything is computed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from tenfold.errors import RequestError, nearest
from tenfold.metrics import Metric
from tenfold.recipe import Recipe
from tenfold.tasks._settings import TaskSettings

__all__ = ["Predictions", "TaskSpec"]

Predictions = Literal["classes", "binary", "ranking", "reconstruction", "tokens", ""]
"""What the test predictions are, by which a report chooses its figures; see docs/record.md for the arrays of each."""


@dataclass(frozen=True)
class TaskSpec:
    """What is known of a task without data.

    Args:
        kind: its name in a study file.
        metrics: one of them is primary.
        settings: the ``[task]`` table.
        recipe: how models are trained, with the settings of this task's loss.
        predictions: what its test predictions are.
        monitor: the metric of the validation part by which early stopping and the plateau schedule go; smaller is
            better.
    Raises:
        RequestError: if not exactly one metric is primary, two have one name, or the settings use the key ``metric``
            for something else.
    """

    kind: str
    metrics: tuple[Metric, ...]
    settings: type[TaskSettings] = TaskSettings
    recipe: type[Recipe] = Recipe
    predictions: Predictions = ""
    monitor: str = "loss"

    def __post_init__(self) -> None:
        primary = [metric.name for metric in self.metrics if metric.primary]
        if len(primary) != 1:
            raise RequestError(
                f"the task '{self.kind}' has {len(primary)} primary metrics ({', '.join(primary) or 'none'} of "
                f"{', '.join(metric.name for metric in self.metrics) or 'none'}); give one of them primary=True"
            )

        names = [metric.name for metric in self.metrics]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise RequestError(f"the task '{self.kind}' has two metrics '{twice[0]}'; names must differ")
        own = [kind for kind in self.settings.__mro__ if issubclass(kind, TaskSettings) and kind is not TaskSettings]
        if any("metric" in vars(kind).get("__annotations__", {}) for kind in own):
            raise RequestError(
                f"the settings of the task '{self.kind}' define 'metric', which in every [task] table names the "
                "primary metric; give theirs another name"
            )

    @property
    def primary(self) -> str:
        """The metric that decides where a study chooses none."""
        return next(metric.name for metric in self.metrics if metric.primary)

    def metrics_with(self, settings: TaskSettings) -> tuple[Metric, ...]:
        """The metrics of a study with these settings: the one that it chose is primary.

        Raises:
            RequestError: if it chose one that the task does not have, or that says nothing with these settings.
        """
        chosen, absent = settings.metric or self.primary, settings.not_measured()
        if chosen in absent:
            raise RequestError(f"'{chosen}' says nothing here: {absent[chosen]}; choose one of {self._named(absent)}")
        if chosen not in (names := [metric.name for metric in self.metrics]):
            raise RequestError(f"no metric '{chosen}' in '{self.kind}'; {nearest(chosen, names, listing=True)}")
        return tuple(replace(metric, primary=metric.name == chosen) for metric in self.metrics)

    def _named(self, absent: Collection[str]) -> str:
        return ", ".join(metric.name for metric in self.metrics if metric.name not in absent)
