"""The contenders: plain loops, other libraries and tenfold, each in its own process, in turn.

A warm-up of one epoch of every model comes first. Then 1 epoch and 1 + E epochs are timed, and the difference is used:
it does not include imports, tenfold's timing of placements, the start of its workers, and building models and trainers.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import job_of, peak_mebibytes
from torch import Tensor, nn

from tenfold.config import Study
from tenfold.execute import Workers, choose, cores, run_job
from tenfold.seeds import derive, generator
from tenfold.stack import replayable
from tenfold.tasks import Task
from tenfold.train import Job, Outcome

# Trains the runs of a job and returns one score per run.
Trainer = Callable[[Job, Task], list[float]]


@dataclass
class OneRun:
    """One repeat of a model in plain PyTorch, for every contender except tenfold.

    Attributes:
        module: with its initial weights.
        train, test: inputs and targets.
        criterion: takes outputs and targets.
        score: takes outputs and targets of the test examples.
        optimiser: class of torch.optim; ``settings`` are its arguments.
    """

    module: nn.Module
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    criterion: nn.Module
    score: Callable[[Any, Tensor], float]
    optimiser: type[torch.optim.Optimizer]
    settings: dict[str, Any] = field(default_factory=dict)

    def tested(self, module: nn.Module) -> float:
        module.eval()
        with torch.no_grad():
            outputs = module(self.test[0])
        module.train()
        return self.score(outputs, self.test[1])


OfRun = Callable[[Job, Task, int], OneRun]


def with_loop(of_run: OfRun) -> Trainer:
    """Tensors on the device indexed by a random permutation, torch.optim, one repeat after the other."""

    def trainer(job: Job, task: Task) -> list[float]:
        scores = []
        for run in range(len(job.runs)):
            one, repeat = of_run(job, task, run), job.runs[run].repeat
            # The same dropout masks as tenfold's, so that scores can be compared per run.
            module = replayable(one.module, key=derive(job.seed, job.model, repeat, "dropout")).train()
            optimiser = one.optimiser(module.parameters(), **one.settings)
            (x, y), score = one.train, 0.0
            for epoch in range(job.recipe.epochs):
                order = torch.randperm(len(x), generator=generator(job.seed, repeat, "order", epoch))
                for rows in order.split(job.recipe.batch_size):
                    optimiser.zero_grad()
                    one.criterion(module(x[rows]), y[rows]).backward()
                    optimiser.step()
                score = one.tested(module)
            scores.append(score)
        return scores

    return trainer


def with_skorch(of_run: OfRun) -> Trainer:
    from skorch import NeuralNet
    from skorch.dataset import Dataset
    from skorch.helper import predefined_split

    def trainer(job: Job, task: Task) -> list[float]:
        scores = []
        for run in range(len(job.runs)):
            one = of_run(job, task, run)
            settings = dict(one.settings)
            net = NeuralNet(
                one.module,
                criterion=one.criterion,
                optimizer=one.optimiser,
                lr=settings.pop("lr"),
                batch_size=job.recipe.batch_size,
                max_epochs=job.recipe.epochs,
                iterator_train__shuffle=True,
                train_split=predefined_split(Dataset(*one.test)),
                verbose=0,
                **{f"optimizer__{name}": value for name, value in settings.items()},
            )
            net.fit(*one.train)
            scores.append(one.tested(net.module_))
        return scores

    return trainer


def with_lightning(of_run: OfRun) -> Trainer:
    import logging

    import lightning
    from torch.utils.data import DataLoader, TensorDataset

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(lightning.LightningModule):
        def __init__(self, one: OneRun):
            super().__init__()
            self.module, self.one = one.module, one

        def training_step(self, batch, _):
            return self.one.criterion(self.module(batch[0]), batch[1])

        def validation_step(self, batch, _):
            self.log("loss", self.one.criterion(self.module(batch[0]), batch[1]))

        def configure_optimizers(self):
            return self.one.optimiser(self.parameters(), **self.one.settings)

    def trainer(job: Job, task: Task) -> list[float]:
        scores = []
        for run in range(len(job.runs)):
            one = of_run(job, task, run)
            peer = lightning.Trainer(
                max_epochs=job.recipe.epochs,
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
            )
            size = job.recipe.batch_size
            peer.fit(
                Module(one),
                DataLoader(TensorDataset(*one.train), batch_size=size, shuffle=True),
                DataLoader(TensorDataset(*one.test), batch_size=size),
            )
            scores.append(one.tested(one.module))
        return scores

    return trainer


class Tenfold:
    """tenfold with placement "auto"."""

    def __init__(self, task: Task, metric: str):
        self.workers, self.metric, self.plans = Workers(task, cores()), metric, {}

    def __call__(self, job: Job, task: Task) -> list[float]:
        job = replace(job, recorded=True)  # as in a study, which has more epochs than a benchmark
        if job.model not in self.plans:
            self.plans[job.model] = choose(job, task, self.workers, wanted="auto")
        plan = self.plans[job.model]
        how = {"how": plan.how, "threads": plan.threads, "compiled": plan.compiled}
        parts = [replace(job.of_runs(tuple(job.runs[index] for index in group)), **how) for group in plan.groups]
        if plan.placement == "processes":
            events = self.workers.train(parts)
        else:
            events = ((number, event) for number, part in enumerate(parts) for event in run_job(part, task))
        scores = np.zeros(len(job.runs))
        for number, event in events:
            if isinstance(event, Outcome):
                scores[list(plan.groups[number])] = event.scores[self.metric]
        return scores.tolist()


def measure(study: Study, task: Task, trainer: Trainer, *, epochs: int) -> dict[str, dict[str, Any]]:
    """Milliseconds per run-step, scores and placement by model, for one contender in this process."""
    warnings.filterwarnings("ignore")
    measured = {}
    for model in study.models:
        short, long = (job_of(study, model, task, epochs=count) for count in (1, 1 + epochs))
        trainer(short, task)  # warm-up; tenfold times placements
        started = time.perf_counter()
        trainer(short, task)
        after_short = time.perf_counter()
        scores = trainer(long, task)
        seconds = (time.perf_counter() - after_short) - (after_short - started)
        n_examples = task.splits([0], seed=study.seed)["train"].n_examples
        steps = epochs * -(-n_examples // long.recipe.batch_size)
        measured[model.name] = {"ms": 1e3 * seconds / steps / len(scores), "scores": scores, "placement": ""}
    if isinstance(trainer, Tenfold):
        trainer.workers.__exit__(None, None, None)
        for name, plan in trainer.plans.items():
            measured[name]["placement"] = f"{plan.placement} ({plan.how})"
    return measured


def say(models: dict[str, dict[str, Any]]) -> None:
    """One JSON line for ``in_turn``."""
    print(json.dumps({"models": models, "peak_mib": peak_mebibytes()}))


@dataclass
class Measured:
    """Results of all rounds: medians of ms per run-step and of peak memory; scores and placements of one round."""

    ms: dict[str, dict[str, float]]
    scores: dict[str, dict[str, list[float]]]
    peak_mib: dict[str, float]
    placements: dict[str, str]

    def ratios(self, *others: str) -> dict[str, float]:
        """By model: time of the fastest of the others divided by tenfold's."""
        return {name: min(self.ms[other][name] for other in others) / ours for name, ours in self.ms["tenfold"].items()}


def in_turn(script: str, contenders: Sequence[str], rounds: int, options: Mapping[str, Any]) -> Measured:
    """Run ``script --contender NAME --OPTION=VALUE ...`` for each contender in turn, ``rounds`` times."""
    entries: dict[str, list[dict]] = {name: [] for name in contenders}
    for number in range(rounds):
        for contender in contenders:
            command = [sys.executable, script, "--contender", contender]
            command += [f"--{name}={value}" for name, value in options.items()]
            done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
            if done.returncode:
                raise SystemExit(f"{contender} failed:\n{done.stderr}")
            entries[contender].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"round {number + 1}: {contender} done", file=sys.stderr)
    models = list(entries["tenfold"][0]["models"])
    return Measured(
        {
            name: {model: statistics.median(entry["models"][model]["ms"] for entry in rounds) for model in models}
            for name, rounds in entries.items()
        },
        {name: {model: rounds[0]["models"][model]["scores"] for model in models} for name, rounds in entries.items()},
        {name: statistics.median(entry["peak_mib"] for entry in rounds) for name, rounds in entries.items()},
        {name: entry["placement"] for name, entry in entries["tenfold"][-1]["models"].items()},
    )


def table(
    measured: Measured, heading: str, contenders: Sequence[str], ratios: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """One row per model, and the geometric means of the ratios; ``ratios`` is by heading and by model."""
    columns = [*contenders, *ratios]
    lines = [f"| {heading} | {' | '.join(columns)} | placement |", "|---|" + "---:|" * len(columns) + "---|"]
    for model, placement in measured.placements.items():
        cells = [f"{measured.ms[name][model]:.2f}" for name in contenders]
        cells += [f"{by_model[model]:.1f}" for by_model in ratios.values()]
        lines.append(f"| {model} | {' | '.join(cells)} | {placement} |")
    means = [f"{statistics.geometric_mean(by_model.values()):.2f}" for by_model in ratios.values()]
    return [*lines, "| geometric mean" + " |" * (len(contenders) + 1) + f" {' | '.join(means)} | |"]


def claim_lines(claims: Mapping[str, bool]) -> list[str]:
    return [f"- {claim}: {'yes' if held else 'NO'}" for claim, held in claims.items()]


def memory_line(measured: Measured) -> str:
    peaks = ", ".join(f"{name} {peak:.0f}" for name, peak in measured.peak_mib.items())
    return f"Peak memory, MiB, all processes: {peaks}."
