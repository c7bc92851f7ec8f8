"""How the settings of our network in har-lstm were chosen: on people held out of the 21 official training people.

    python benchmarks/har_tuning.py [FOLDER] [--repeats 3] [--only NAME ...]

Six of the 21 people, drawn with a seed that no study uses, are used for testing; the nine official test people are not
in the file. The baseline, a logistic regression on statistics of the windows, is measured on the same split.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import tenfold
from tenfold import datasets
from tenfold.config import parse_study

SEED, HELD_OUT = 20261121, 6
OURS = {
    "module": "conv-classifier",
    "dropout": 0.5,
    "epochs": 30,
    "schedule": "one-cycle",
    "optimizer": "adamw",
    "weight_decay": 1e-2,
    "lr": 4e-3,
}
CANDIDATES = {
    "logistic regression": {"module": "logistic-regression"},
    "plain": OURS,
    "turned 10 degrees": {**OURS, "augment": {"rotate": 10}},
    "turned 10, noise 0.1": {**OURS, "augment": {"rotate": 10, "noise": 0.1, "scale": 0.1}},
    "turned 20 degrees": {**OURS, "augment": {"rotate": 20}},
    "turned 10, 60 epochs": {**OURS, "augment": {"rotate": 10}, "epochs": 60},
    "turned 10, wide": {**OURS, "augment": {"rotate": 10}, "channels": [48, 96]},
}


def held_out_set() -> datasets.Recordings:
    """The windows of the 21 official training people, with some of the people for testing."""
    har = datasets.load_recordings("har-smartphone")
    assert har.groups is not None
    rows = np.flatnonzero(har.part == datasets.TRAIN)
    people, groups = np.unique(har.groups[rows], return_inverse=True)
    held_out = np.random.default_rng(SEED).permutation(len(people))[:HELD_OUT]
    return replace(
        har,
        starts=har.starts[rows],
        lengths=har.lengths[rows],
        labels=har.labels[rows],
        part=np.where(np.isin(groups, held_out), datasets.TEST, datasets.TRAIN).astype(np.uint8),
        groups=groups.astype(np.int64),
        group_names=tuple(har.group_names[person] for person in people),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("tenfold-runs/har-tuning"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=tuple(CANDIDATES))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    datasets.save(held_out_set(), options.folder / "held-out.npz")
    print("| settings | accuracy, % | seconds per run |")
    print("|---|---:|---:|")
    for name in options.only or CANDIDATES:
        study = parse_study(
            {
                "name": "har-tuning",
                "repeats": options.repeats,
                "seed": SEED,
                "task": {"kind": "classify-sequences", "data": "held-out.npz"},
                "models": [{"name": name, **CANDIDATES[name]}],
            },
            base=options.folder,
        )
        results = tenfold.run(study, placement="loop", out=options.folder / name.replace(", ", "-").replace(" ", "-"))
        scores = 100 * results.scores("accuracy")[name]
        seconds = np.mean([run.train_seconds or 0 for run in results.runs])
        print(f"| {name} | {scores.mean():.1f} +- {scores.std(ddof=1):.1f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
