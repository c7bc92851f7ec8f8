"""Claim: ten repeats of a small network train at least 4 times faster than with skorch or Lightning, and never slower
than a plain loop.

    python benchmarks/against_peers.py [--rounds 3] [--epochs 5]        # needs: pip install skorch lightning

Every contender trains the nine networks of the study mnist-pairs, 10 repeats each, and scores the test pairs after
every epoch:

* loop: plain PyTorch, tensors on the device indexed by a random permutation, torch.optim, one repeat after the other;
* skorch, lightning: as in their documentation, without progress bars, loggers and checkpoints, which would only cost
  time;
* tenfold: with placement "auto".

Each contender runs in its own process with PyTorch's default threads, in turn, for several rounds; the median is used
(see _contenders.py). Milliseconds are wall time of training and scoring, divided by steps and repeats. Scores must
agree: tenfold with the plain loop per run, the others on average.
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
import torch
from _common import save, study_and_task
from _contenders import (
    Measured,
    OneRun,
    Tenfold,
    claim_lines,
    in_turn,
    measure,
    memory_line,
    say,
    table,
    with_lightning,
    with_loop,
    with_skorch,
)
from torch import nn
from torch.nn import functional as F

from tenfold.seeds import derive

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
    config, repeat = job.runs[run].config, job.runs[run].repeat
    tensors = {}
    for part, split in task.splits([repeat], seed=job.seed).items():
        batch = split.span(0, split.n_examples)
        digits = torch.cat([batch.targets["target"][0][:, None], batch.targets["digits"][0]], dim=1)
        tensors[part] = (batch.inputs[0][0], digits)
    return OneRun(
        job.factory.build(derive(job.seed, job.model, repeat, "weights"), **config.options),
        tensors["train"],
        tensors["test"],
        PairLoss(tuple(config.loss["auxiliary"])),
        accuracy,
        {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[job.recipe.optimizer],
        {"lr": config.recipe.lr},
    )


def accuracy(output, targets):
    logits = output[0] if isinstance(output, tuple) else output
    return float((logits.argmax(1) == targets[:, 0]).double().mean())


def trainer_of(contender, task):
    if contender == "tenfold":
        return Tenfold(task, "accuracy")
    return {"loop": with_loop, "skorch": with_skorch, "lightning": with_lightning}[contender](one_run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--contender", choices=CONTENDERS, help="one contender, in this process")
    options = parser.parse_args()
    sizes = {"epochs": options.epochs, "repeats": options.repeats}
    if options.contender:
        study, task = study_and_task(repeats=options.repeats)
        say(measure(study, task, trainer_of(options.contender, task), epochs=options.epochs))
        return
    report(in_turn(__file__, CONTENDERS, options.rounds, sizes), options)


def report(measured: Measured, options: argparse.Namespace) -> None:
    ms, scores = measured.ms, measured.scores
    models = list(ms["loop"])
    for model in models:
        apart = np.abs(np.array(scores["tenfold"][model]) - np.array(scores["loop"][model])).max()
        # With float32 sums in another order, two or three of 1000 pairs may get another prediction.
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
    against_loop, against_peer = measured.ratios("loop"), measured.ratios("skorch", "lightning")
    loop_mean, peer_mean = (statistics.geometric_mean(ratios.values()) for ratios in (against_loop, against_peer))
    ratios = {"loop / tenfold": against_loop, "faster peer / tenfold": against_peer}
    lines += [*table(measured, "model", CONTENDERS, ratios), "", memory_line(measured)]
    lines += [
        "Scores agree: tenfold with the plain loop within 2 points in every repeat, the peers within 5 points "
        "in the mean."
    ]
    claims = {
        "at least 2 times faster than the plain loop": loop_mean >= 2,
        "at least 4 times faster than the faster of skorch and Lightning": peer_mean >= 4,
        "slower than the plain loop on none": min(against_loop.values()) >= 1,
    }
    lines += ["", *claim_lines(claims)]
    save(
        "against_peers",
        {"ms": ms, "peak_mib": measured.peak_mib, "claims": claims, "loop": loop_mean, "peer": peer_mean},
        lines,
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
