"""Claim: ten repeats of a recurrent network train no slower than in a plain loop of nn.LSTM, nn.GRU or nn.RNN, and
small ones of 30 steps at least 2 times faster.

    python benchmarks/recurrent.py [--rounds 3] [--epochs 4]        # needs: pip install skorch keras tensorflow-cpu

Nine channels of MotionSense, 1000 training windows in batches of 100 and 500 test windows scored after every epoch,
Adam, 10 repeats; 64 units and one layer unless the name says otherwise. The contenders:

* loop: plain PyTorch with torch.nn's recurrent layers, one repeat after the other;
* skorch: as in its documentation;
* keras: as in its documentation, with its default backend. Only two repeats are timed: in a loop each takes as long;
* tenfold: with placement "auto".

Each contender runs in its own process with its default threads, in turn, for several rounds; the median is used (see
_contenders.py). Milliseconds are wall time of training and scoring, divided by steps and repeats. Scores must agree:
tenfold with the plain loop on average, and nearly per run.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from _common import save
from _contenders import OneRun, Tenfold, claim_lines, in_turn, measure, memory_line, say, table, with_loop, with_skorch
from torch import nn

from tenfold.config import parse_study
from tenfold.errors import TenfoldError
from tenfold.seeds import derive
from tenfold.study import load_task

CONTENDERS = ("loop", "skorch", "keras", "tenfold")
CHANNELS = [f"{kind}_{axis}" for kind in ("user_acc", "gravity", "gyro") for axis in "xyz"]
LONG = {
    "BiLSTM x 2, 128 steps": {"cell": "lstm", "layers": 2, "bidirectional": True},
    "LSTM x 2, 128 steps": {"cell": "lstm", "layers": 2},
    "GRU, 128 steps": {"cell": "gru", "layers": 1},
    "RNN, 128 steps": {"cell": "rnn", "layers": 1},
}
SHORT = {
    "LSTM, 30 steps": {"cell": "lstm", "layers": 1},
    "GRU, 30 steps": {"cell": "gru", "layers": 1},
    "RNN, 30 steps": {"cell": "rnn", "layers": 1},
}


def study_and_task(*, repeats, steps, networks):
    study = parse_study(
        {
            "name": f"recurrent-{steps}",
            "repeats": repeats,
            "task": {
                "kind": "classify-sequences",
                "data": "motionsense",
                "channels": CHANNELS,
                "window": steps,
                "overlap": 0.0,
                "train": 1000,
                "test": 500,
            },
            "train": {"epochs": 1, "batch_size": 100, "lr": 1e-3},
            "models": [
                {"name": name, "module": "recurrent-classifier", "units": 64, "hidden": [], **network}
                for name, network in networks.items()
            ],
        }
    )
    try:
        return study, load_task(study)
    except TenfoldError as error:
        raise SystemExit(f"no data set for the benchmark: {error}") from None


def accuracy(logits, labels):
    return float((logits.argmax(1) == labels).double().mean())


def tensors_of(job, task, run):
    tensors = {}
    for part, split in task.splits([job.runs[run].repeat], seed=job.seed).items():
        batch = split.span(0, split.n_examples)
        tensors[part] = (batch.inputs[0][0].contiguous(), batch.targets["target"][0])
    return tensors


def one_run(job, task, run):
    module = job.factory.build(derive(job.seed, job.model, job.runs[run].repeat, "weights"))
    tensors = tensors_of(job, task, run)
    settings = {"lr": job.recipe.lr}
    criterion = nn.CrossEntropyLoss()
    return OneRun(module, tensors["train"], tensors["test"], criterion, accuracy, torch.optim.Adam, settings)


class Keras:
    """Each model is built and traced once, in the warm-up; later fits start from its initial weights again."""

    def __init__(self):
        self.built = {}

    def __call__(self, job, task):
        scores = []
        for run in range(min(2, len(job.runs))):
            parts = {name: (x.numpy(), y.numpy()) for name, (x, y) in tensors_of(job, task, run).items()}
            if (job.model, run) not in self.built:
                model = keras_model(job.factory.options, parts["train"][0].shape[1:], job.recipe.lr)
                self.built[job.model, run] = model, [variable.numpy() for variable in variables_of(model)]
            model, initial = self.built[job.model, run]
            for variable, value in zip(variables_of(model), initial, strict=True):
                variable.assign(value)
            size, epochs = job.recipe.batch_size, job.recipe.epochs
            fitted = model.fit(
                *parts["train"], batch_size=size, epochs=epochs, validation_data=parts["test"], verbose=0
            )
            scores.append(float(fitted.history["val_accuracy"][-1]))
        return scores


def variables_of(model):
    return [*model.variables, *model.optimizer.variables]


def keras_model(options, shape, lr):
    import keras

    cell = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}[options["cell"]]
    model = keras.Sequential([keras.Input(shape)])
    for layer in range(options["layers"]):
        recurrent = cell(options["units"], return_sequences=layer < options["layers"] - 1)
        model.add(keras.layers.Bidirectional(recurrent) if options.get("bidirectional") else recurrent)
    model.add(keras.layers.Dense(6))
    model.compile(
        optimizer=keras.optimizers.Adam(lr),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)
    return model


def measured_here(contender: str, epochs: int, repeats: int) -> None:
    models = {}
    for steps, networks in ((128, LONG), (30, SHORT)):
        study, task = study_and_task(repeats=repeats, steps=steps, networks=networks)
        trainers = {"loop": with_loop, "skorch": with_skorch}
        if contender in trainers:
            trainer = trainers[contender](one_run)
        else:
            trainer = Keras() if contender == "keras" else Tenfold(task, "accuracy")
        models |= measure(study, task, trainer, epochs=epochs)
    say(models)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--contender", choices=CONTENDERS, help="one contender, in this process")
    options = parser.parse_args()
    if options.contender:
        measured_here(options.contender, options.epochs, options.repeats)
        return
    measured = in_turn(__file__, CONTENDERS, options.rounds, {"epochs": options.epochs, "repeats": options.repeats})
    for model in (*LONG, *SHORT):
        loop, ours = (np.array(measured.scores[name][model]) for name in ("loop", "tenfold"))
        # With sums in another order over a hundred steps, a few of 500 windows get another prediction.
        assert np.abs(ours - loop).max() <= 0.05, f"{model}: a repeat's accuracy differs: {ours} against {loop}"
        assert abs(ours.mean() - loop.mean()) <= 0.01, f"{model}: mean accuracy {ours.mean()} against {loop.mean()}"
    lines = ["# Milliseconds per run-step of recurrent networks", ""]
    lines += [
        f"{options.repeats} repeats, {options.epochs} epochs with scoring, median of {options.rounds} rounds in turn; "
        "64 units, 9 channels, batches of 100 windows.",
        "",
    ]
    against_loop, against_peer = measured.ratios("loop"), measured.ratios("skorch", "keras")
    ratios = {"loop / tenfold": against_loop, "faster peer / tenfold": against_peer}
    lines += [*table(measured, "model", CONTENDERS, ratios), "", memory_line(measured)]
    claims = {
        "slower than the plain loop on none": min(against_loop.values()) >= 1,
        "at least 2 times faster than the plain loop with 30 steps": min(against_loop[name] for name in SHORT) >= 2,
    }
    lines += ["", *claim_lines(claims)]
    save("recurrent", {"ms": measured.ms, "peak_mib": measured.peak_mib, "claims": claims}, lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
