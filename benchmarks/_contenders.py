"""What is timed against what: plain loops, peers and tenfold, each in a process of its own, in turn.

A warm-up of one epoch of every model comes first. Then 1 epoch and 1 + E epochs are timed, and the difference counts:
imports, tenfold's probe, the start of its workers and everybody's building of models and trainers drop out.
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

# Trains the runs of a job and returns a score for each.
Trainer = Callable[[Job, Task], list[float]]


@dataclass
class OneRun:
    """One repeat of a model in plain PyTorch: what every contender but tenfold trains.

    Attributes:
        module: with its initial weights.
        train, test: inputs and targets.
        criterion: of outputs and targets.
        score: of outputs and targets of the test examples.
        optimiser: class of torch.optim, and its settings.
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
            its, repeat = of_run(job, task, run), job.runs[run].repeat
            # The same dropout masks as tenfold's, so that scores can be compared run by run.
            module = replayable(its.module, key=derive(job.seed, job.model, repeat, "dropout")).train()
            optimiser = its.optimiser(module.parameters(), **its.settings)
            (x, y), score = its.train, 0.0
            for epoch in range(job.recipe.epochs):
                order = torch.randperm(len(x), generator=generator(job.seed, repeat, "order", epoch))
                for rows in order.split(job.recipe.batch_size):
                    optimiser.zero_grad()
                    its.criterion(module(x[rows]), y[rows]).backward()
                    optimiser.step()
                score = its.tested(module)
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
            its = of_run(job, task, run)
            settings = dict(its.settings)
            net = NeuralNet(
                its.module,
                criterion=its.criterion,
                optimizer=its.optimiser,
                lr=settings.pop("lr"),
                batch_size=job.recipe.batch_size,
                max_epochs=job.recipe.epochs,
                iterator_train__shuffle=True,
                train_split=predefined_split(Dataset(*its.test)),
                verbose=0,
                **{f"optimizer__{name}": value for name, value in settings.items()},
            )
            net.fit(*its.train)
            scores.append(its.tested(net.module_))
        return scores

    return trainer


def with_lightning(of_run: OfRun) -> Trainer:
    import logging

    import lightning
    from torch.utils.data import DataLoader, TensorDataset

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(lightning.LightningModule):
        def __init__(self, its: OneRun):
            super().__init__()
            self.module, self.its = its.module, its

        def training_step(self, batch, _):
            return self.its.criterion(self.module(batch[0]), batch[1])

        def validation_step(self, batch, _):
            self.log("loss", self.its.criterion(self.module(batch[0]), batch[1]))

        def configure_optimizers(self):
            return self.its.optimiser(self.parameters(), **self.its.settings)

    def trainer(job: Job, task: Task) -> list[float]:
        scores = []
        for run in range(len(job.runs)):
            its = of_run(job, task, run)
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
                Module(its),
                DataLoader(TensorDataset(*its.train), batch_size=size, shuffle=True),
                DataLoader(TensorDataset(*its.test), batch_size=size),
            )
            scores.append(its.tested(its.module))
        return scores

    return trainer


class Tenfold:
    """The placement that its probe chooses."""

    def __init__(self, task: Task, metric: str):
        self.workers, self.metric, self.plans = Workers(task, cores()), metric, {}

    def __call__(self, job: Job, task: Task) -> list[float]:
        job = replace(job, recorded=True)  # as in a study's many epochs, which a benchmark cuts short
        if job.model not in self.plans:
            self.plans[job.model] = choose(job, task, self.workers, wanted="auto")
        plan = self.plans[job.model]
        how = {"how": plan.how, "threads": plan.threads, "compiled": plan.compiled}
        parts = [replace(job.of_runs(tuple(job.runs[at] for at in group)), **how) for group in plan.groups]
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
    """Milliseconds a run-step, scores and placement by model, with one contender in this process."""
    warnings.filterwarnings("ignore")
    found = {}
    for model in study.models:
        short, long = (job_of(study, model, task, epochs=count) for count in (1, 1 + epochs))
        trainer(short, task)  # warm-up; tenfold's probe
        started = time.perf_counter()
        trainer(short, task)
        after_short = time.perf_counter()
        scores = trainer(long, task)
        seconds = (time.perf_counter() - after_short) - (after_short - started)
        n_examples = task.examples([0], seed=study.seed)["train"].n_examples
        steps = epochs * -(-n_examples // long.recipe.batch_size)
        found[model.name] = {"ms": 1e3 * seconds / steps / len(scores), "scores": scores, "placement": ""}
    if isinstance(trainer, Tenfold):
        trainer.workers.__exit__(None, None, None)
        for name, plan in trainer.plans.items():
            found[name]["placement"] = f"{plan.placement} ({plan.how})"
    return found


def say(models: dict[str, dict[str, Any]]) -> None:
    """One JSON line for ``in_turn``."""
    print(json.dumps({"models": models, "peak_mib": peak_mebibytes()}))


@dataclass
class Measured:
    """What the rounds gave: medians of milliseconds a run-step and of peak memory, scores and placements of one."""

    ms: dict[str, dict[str, float]]
    scores: dict[str, dict[str, list[float]]]
    peak_mib: dict[str, float]
    placements: dict[str, str]

    def ratios(self, *others: str) -> dict[str, float]:
        """How many times faster tenfold is than the fastest of the others, by model."""
        return {name: min(self.ms[other][name] for other in others) / ours for name, ours in self.ms["tenfold"].items()}


def in_turn(script: str, contenders: Sequence[str], rounds: int, options: Mapping[str, Any]) -> Measured:
    """Runs ``script --contender NAME --OPTION=VALUE ...`` for each contender, in turn, so many rounds."""
    found: dict[str, list[dict]] = {name: [] for name in contenders}
    for number in range(rounds):
        for contender in contenders:
            command = [sys.executable, script, "--contender", contender]
            command += [f"--{name}={value}" for name, value in options.items()]
            done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
            if done.returncode:
                raise SystemExit(f"{contender} failed:\n{done.stderr}")
            found[contender].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"round {number + 1}: {contender} done", file=sys.stderr)
    models = list(found["tenfold"][0]["models"])
    return Measured(
        {
            name: {model: statistics.median(entry["models"][model]["ms"] for entry in its) for model in models}
            for name, its in found.items()
        },
        {name: {model: its[0]["models"][model]["scores"] for model in models} for name, its in found.items()},
        {name: statistics.median(entry["peak_mib"] for entry in its) for name, its in found.items()},
        {name: entry["placement"] for name, entry in found["tenfold"][-1]["models"].items()},
    )


def table(
    measured: Measured, heading: str, contenders: Sequence[str], ratios: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """A row for each model, and the geometric means of the ratios, which are by heading and by model."""
    columns = [*contenders, *ratios]
    lines = [f"| {heading} | {' | '.join(columns)} | placement |", "|---|" + "---:|" * len(columns) + "---|"]
    for model, placement in measured.placements.items():
        cells = [f"{measured.ms[name][model]:.2f}" for name in contenders]
        cells += [f"{its[model]:.1f}" for its in ratios.values()]
        lines.append(f"| {model} | {' | '.join(cells)} | {placement} |")
    means = [f"{statistics.geometric_mean(its.values()):.2f}" for its in ratios.values()]
    return [*lines, "| geometric mean" + " |" * (len(contenders) + 1) + f" {' | '.join(means)} | |"]


def claim_lines(claims: Mapping[str, bool]) -> list[str]:
    return [f"- {claim}: {'yes' if held else 'NO'}" for claim, held in claims.items()]


def memory_line(measured: Measured) -> str:
    peaks = ", ".join(f"{name} {peak:.0f}" for name, peak in measured.peak_mib.items())
    return f"Peak memory, MiB, all processes: {peaks}."
