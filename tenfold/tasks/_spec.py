"""What is known of a task without its data. No torch: a study is read and checked before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tenfold.errors import RequestError
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
        RequestError: if not exactly one metric is primary.
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

    @property
    def primary(self) -> str:
        """The metric that decides."""
        return next(metric.name for metric in self.metrics if metric.primary)
