"""Some runs of one model as one piece of work, for this process or another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from tenfold.models import ModelFactory
from tenfold.recipe import Config, Recipe
from tenfold.stack import How
from tenfold.tasks import Task
from tenfold.train._state import RunId, State, init

__all__ = ["Job", "prepare"]


@dataclass(frozen=True)
class Job:
    """What it takes to train some runs of a model. The task is handed over apart from it, once a study.

    Args:
        model: name in the study.
        factory: builds its modules, with the options of a run's config.
        runs: config and repeat of each run.
        seed: the study's.
        how, compiled: see Stack.
        recorded: see Stack; None for where it pays.
        threads: for PyTorch's operations.
        device: "cpu" or "cuda".
        checkpoint: file of this job's state; None keeps none.
        checkpoint_seconds: least time between two.
    """

    model: str
    factory: ModelFactory
    runs: tuple[RunId, ...]
    seed: int
    how: How
    threads: int
    device: str = "cpu"
    compiled: bool = False
    recorded: bool | None = None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 10.0

    @property
    def recipe(self) -> Recipe:
        """That of the first run: all runs of a stack share it, but for settings per run."""
        return self.runs[0].config.recipe

    @property
    def configs(self) -> list[Config]:
        """Those of its runs, each once, in their order."""
        return list({run.config.index: run.config for run in self.runs}.values())

    def of_runs(self, runs: tuple[RunId, ...]) -> Job:
        return replace(self, runs=runs)


def prepare(job: Job, task: Task) -> State:
    """The state at the start of a job."""

    def build(config: Config, seed: int) -> nn.Module:
        return job.factory.build(seed, **config.options)

    return init(
        build,
        job.runs,
        task=task,
        model=job.model,
        seed=job.seed,
        how=job.how,
        compiled=job.compiled,
        recorded=job.recorded,
        device=torch.device(job.device),
    )
