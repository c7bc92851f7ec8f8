"""Claim: ten repeats of a small network train at least 4 times faster than with skorch or Lightning, and never
slower than a plain loop.

    python benchmarks/against_peers.py [--rounds 3] [--epochs 5]        # needs: pip install skorch lightning

Every contender trains the nine networks of the study mnist-pairs, 10 repeats each, and scores the test pairs after
every epoch:

* loop: plain PyTorch, tensors on the device indexed by a random permutation, torch.optim, one repeat after the
  other;
* skorch, lightning: as their documentation shows, without progress bars, loggers and checkpoints, which would only
  cost them time;
* tenfold: the placement that its probe chooses.

Each contender runs in a process of its own with PyTorch's default threads, in turn, several rounds; the median counts.
A warm-up of one epoch of every model comes first. Then 1 epoch and 1 + E epochs are timed, and the difference counts:
imports, tenfold's probe, the start of its workers and everybody's building of models and trainers drop out.
Milliseconds are wall time of training and scoring, divided by steps and repeats. Scores must agree: tenfold with the
plain loop run by run, the others in the mean.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from _common import geometric_mean, job_of, peak_mebibytes, save, study_and_task
from torch import nn
from torch.nn import functional as F

from tenfold.seeds import derive, generator
from tenfold.stack import replayable
from tenfold.train import Outcome, Workers, choose, cores, train

CONTENDERS = ("loop", "skorch", "lightning", "tenfold")


class PairLoss(nn.Module):
    """The study's loss for (batch, 3) targets: comparison, first class, second class."""

    def __init__(self, weights: tuple[float, ...] = (0.0, 0.0, 1.0)) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, output, target):
        if not isinstance(output, tuple):
            return self.weights[2] * F.cross_entropy(output, target[:, 0])
        logits, digits = output
        loss = self.weights[2] * F.cross_entropy(logits, target[:, 0])
        for image in range(2):
            loss = loss + self.weights[image] * F.cross_entropy(digits[:, image], target[:, 1 + image])
        return loss


def one_run(job, task, run):
    """Module, training and test tensors, optimiser class and arguments of one repeat."""
    lane, repeat = job.runs[run].lane, job.runs[run].repeat
    options = {} if lane.dropout is None else {"dropout": lane.dropout}
    module = job.source.build(derive(job.seed, job.model, repeat, "weights"), **options)
    tensors = {}
    for part, examples in task.examples([repeat], seed=job.seed).items():
        (inputs,), targets = examples.span(0, examples.n_examples)
        tensors[part] = (inputs[0], torch.cat([targets["target"][0][:, None], targets["digits"][0]], dim=1))
    optimiser = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[job.recipe.optimizer]
    return (
        module,
        tensors["train"],
        tensors["test"],
        optimiser,
        PairLoss(tuple(job.recipe.loss_settings(lane)["auxiliary"])),
    )


def accuracy(module, test):
    module.eval()
    with torch.no_grad():
        output = module(test[0])
    module.train()
    logits = output[0] if isinstance(output, tuple) else output
    return float((logits.argmax(1) == test[1][:, 0]).double().mean())


def with_loop(job, task):
    scores = []
    for run in range(len(job.runs)):
        module, (x, y), test, optimiser_class, criterion = one_run(job, task, run)
        repeat = job.runs[run].repeat
        # The same dropout masks as tenfold's, so that scores can be compared run by run.
        module = replayable(module, key=derive(job.seed, job.model, repeat, "dropout")).train()
        optimiser = optimiser_class(module.parameters(), lr=job.runs[run].lane.lr)
        score = 0.0
        for epoch in range(job.recipe.epochs):
            order = torch.randperm(len(x), generator=generator(job.seed, repeat, "order", epoch))
            for rows in order.split(job.recipe.batch_size):
                optimiser.zero_grad()
                criterion(module(x[rows]), y[rows]).backward()
                optimiser.step()
            score = accuracy(module, test)
        scores.append(score)
    return scores


def with_skorch(job, task):
    from skorch import NeuralNet
    from skorch.dataset import Dataset
    from skorch.helper import predefined_split

    scores = []
    for run in range(len(job.runs)):
        module, (x, y), test, optimiser_class, criterion = one_run(job, task, run)
        net = NeuralNet(
            module,
            criterion=criterion,
            optimizer=optimiser_class,
            lr=job.runs[run].lane.lr,
            batch_size=job.recipe.batch_size,
            max_epochs=job.recipe.epochs,
            iterator_train__shuffle=True,
            train_split=predefined_split(Dataset(*test)),
            verbose=0,
        )
        net.fit(x, y)
        scores.append(accuracy(net.module_, test))
    return scores


def with_lightning(job, task):
    import lightning
    from torch.utils.data import DataLoader, TensorDataset

    class Module(lightning.LightningModule):
        def __init__(self, module, criterion, optimiser_class, lr):
            super().__init__()
            self.module, self.criterion, self.optimiser_class, self.lr = module, criterion, optimiser_class, lr

        def training_step(self, batch, _):
            return self.criterion(self.module(batch[0]), batch[1])

        def validation_step(self, batch, _):
            self.log("loss", self.criterion(self.module(batch[0]), batch[1]))

        def configure_optimizers(self):
            return self.optimiser_class(self.parameters(), lr=self.lr)

    scores = []
    for run in range(len(job.runs)):
        module, train_part, test, optimiser_class, criterion = one_run(job, task, run)
        wrapped = Module(module, criterion, optimiser_class, job.runs[run].lane.lr)
        trainer = lightning.Trainer(
            max_epochs=job.recipe.epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        size = job.recipe.batch_size
        trainer.fit(
            wrapped,
            DataLoader(TensorDataset(*train_part), batch_size=size, shuffle=True),
            DataLoader(TensorDataset(*test), batch_size=size),
        )
        scores.append(accuracy(wrapped.module, test))
    return scores


class Tenfold:
    def __init__(self, task):
        self.task, self.workers, self.plans = task, Workers(task, cores()), {}

    def __call__(self, job, task):
        job = replace(job, recorded=True)  # as in the study's 50 or 100 epochs, which a benchmark cuts short
        if job.model not in self.plans:
            self.plans[job.model] = choose(job, task, self.workers, wanted="auto")
        plan = self.plans[job.model]
        parts = [
            replace(
                job.of_runs(tuple(job.runs[at] for at in group)),
                how=plan.how,
                threads=plan.threads,
                compiled=plan.compiled,
            )
            for group in plan.groups
        ]
        scores = np.zeros(len(job.runs))
        if plan.placement == "spread":
            events = self.workers.train(parts)
        else:
            events = ((number, event) for number, part in enumerate(parts) for event in train(part, task))
        for number, event in events:
            if isinstance(event, Outcome):
                scores[list(plan.groups[number])] = event.scores["accuracy"]
        return scores.tolist()


def measure(contender: str, epochs: int, repeats: int) -> None:
    """All nine models with one contender, in this process; prints one JSON line."""
    warnings.filterwarnings("ignore")
    import logging

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    study, task = study_and_task(repeats=repeats)
    trainer = {"loop": with_loop, "skorch": with_skorch, "lightning": with_lightning}.get(contender) or Tenfold(task)
    found = {}
    for model in study.models:
        short, long = (job_of(study, model, task, epochs=count) for count in (1, 1 + epochs))
        trainer(short, task)  # warm-up; tenfold's probe
        started = time.perf_counter()
        trainer(short, task)
        after_short = time.perf_counter()
        scores = trainer(long, task)
        seconds = (time.perf_counter() - after_short) - (after_short - started)
        steps = epochs * -(-1000 // long.recipe.batch_size)
        found[model.name] = {"ms": 1e3 * seconds / steps / repeats, "scores": scores}
    placements = {}
    if isinstance(trainer, Tenfold):
        trainer.workers.__exit__(None, None, None)
        placements = {name: f"{plan.placement} ({plan.how})" for name, plan in trainer.plans.items()}
    print(json.dumps({"models": found, "peak_mib": peak_mebibytes(), "placements": placements}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--contender", choices=CONTENDERS, help="one contender, in this process")
    options = parser.parse_args()
    if options.contender:
        measure(options.contender, options.epochs, options.repeats)
        return
    found: dict[str, list[dict]] = {name: [] for name in CONTENDERS}
    for number in range(options.rounds):
        for contender in CONTENDERS:
            command = [sys.executable, __file__, "--contender", contender, "--epochs", str(options.epochs)]
            command += ["--repeats", str(options.repeats)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
            if done.returncode:
                raise SystemExit(f"{contender} failed:\n{done.stderr}")
            found[contender].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"round {number + 1}: {contender} done", file=sys.stderr)
    report(found, options)


def report(found: dict[str, list[dict]], options: argparse.Namespace) -> None:
    models = list(found["loop"][0]["models"])
    ms = {
        name: {model: statistics.median(entry["models"][model]["ms"] for entry in rounds) for model in models}
        for name, rounds in found.items()
    }
    scores = {name: {model: rounds[0]["models"][model]["scores"] for model in models} for name, rounds in found.items()}
    for model in models:
        apart = np.abs(np.array(scores["tenfold"][model]) - np.array(scores["loop"][model])).max()
        # Two or three pairs of 1000 may fall the other way where float32 sums are taken in another order.
        assert apart <= 0.02, f"{model}: a repeat's accuracy differs by {apart} between tenfold and the plain loop"
        for peer in ("skorch", "lightning"):
            mean_apart = abs(np.mean(scores[peer][model]) - np.mean(scores["loop"][model]))
            assert mean_apart <= 0.05, f"{model}: mean accuracy of {peer} differs by {mean_apart} from the plain loop"
    lines = ["# Milliseconds per run-step", ""]
    lines += [
        f"{options.repeats} repeats, {options.epochs} epochs with scoring, median of {options.rounds} rounds in "
        "turn; batches of 100 pairs.",
        "",
    ]
    lines += ["| model | " + " | ".join(CONTENDERS) + " | loop / tenfold | faster peer / tenfold | placement |"]
    lines += ["|---|" + "---:|" * (len(CONTENDERS) + 2) + "---|"]
    against_loop, against_peer = [], []
    for model in models:
        ours, loop = ms["tenfold"][model], ms["loop"][model]
        peer = min(ms["skorch"][model], ms["lightning"][model])
        against_loop.append(loop / ours)
        against_peer.append(peer / ours)
        cells = " | ".join(f"{ms[name][model]:.2f}" for name in CONTENDERS)
        placement = found["tenfold"][-1]["placements"][model]
        lines.append(f"| {model} | {cells} | {loop / ours:.1f} | {peer / ours:.1f} | {placement} |")
    loop_mean, peer_mean = geometric_mean(against_loop), geometric_mean(against_peer)
    lines.append("| geometric mean | | | | | " + f"{loop_mean:.2f} | {peer_mean:.2f} | |")
    peaks = {name: statistics.median(entry["peak_mib"] for entry in rounds) for name, rounds in found.items()}
    lines += [
        "",
        "Peak memory, MiB, all processes: " + ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items()) + ".",
    ]
    lines += [
        "Scores agree: tenfold with the plain loop within 2 points in every repeat, the peers within 5 points "
        "in the mean."
    ]
    claims = {
        "at least 2 times faster than the plain loop": loop_mean >= 2,
        "at least 4 times faster than the faster of skorch and Lightning": peer_mean >= 4,
        "slower than the plain loop on none": min(against_loop) >= 1,
    }
    lines += ["", *(f"- {claim}: {'yes' if held else 'NO'}" for claim, held in claims.items())]
    save("against_peers", {"ms": ms, "peak_mib": peaks, "claims": claims, "loop": loop_mean, "peer": peer_mean}, lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
