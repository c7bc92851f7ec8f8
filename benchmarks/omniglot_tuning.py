"""How the settings of our model in omniglot-oneshot were chosen: on alphabets held out of the background set.

    python benchmarks/omniglot_tuning.py [FOLDER] [--repeats 3] [--only NAME ...]

Five of the 30 background alphabets, drawn with a seed that no study uses, are not used for training. 40 episodes are
made from them in the same way as Lake's runs: 20 characters of one alphabet, examples by one drawer, queries by
another. The evaluation set and Lake's own runs are not in the file. Errors of one repeat and of all together are
printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from omniglot_ensemble import ensemble_error

import tenfold
from tenfold import datasets
from tenfold.config import parse_study

SEED, HELD_OUT, EPISODES, WAYS = 20261121, 5, 40, 20
OURS = {
    "module": "residual-embedding",
    "dimension": 64,
    "loss": "prototypical",
    "distance": "cosine",
    "scale": 16.0,
    "schedule": "one-cycle",
    "lr": 4e-3,
    "augment": {"rotate": 10, "shift": 2, "scale": 0.15, "shear": 10, "quarter_turns": True},
}
CANDIDATES = {
    "16 epochs": {"epochs": 16},
    "40 epochs": {"epochs": 40},
    "wide, 24 epochs": {"epochs": 24, "channels": [48, 96, 192]},
    "deep, 24 epochs": {"epochs": 24, "blocks": 2},
    "elastic, 40 epochs": {"epochs": 40, "augment": {**OURS["augment"], "elastic": 1.0}},
}


def held_out_set() -> datasets.Images:
    """The background set at 28 x 28, with episodes of held-out alphabets."""
    omniglot = datasets.load("omniglot")
    assert isinstance(omniglot, datasets.Images)
    assert omniglot.groups is not None
    rows = np.flatnonzero(omniglot.part == datasets.TRAIN)
    classes, labels = np.unique(omniglot.labels[rows], return_inverse=True)
    groups = omniglot.groups[classes]
    rng = np.random.default_rng(SEED)
    large = [group for group in np.unique(groups) if (groups == group).sum() >= WAYS]
    held_out = rng.permutation(large)[:HELD_OUT]
    images = np.rint(255 * datasets.average_down(omniglot.images[rows], 28)).astype(np.uint8)
    drawings = np.argsort(labels, kind="stable").reshape(len(classes), -1)  # (classes, drawers)
    episodes = []
    for number in range(EPISODES):
        characters = np.flatnonzero(groups == held_out[number % HELD_OUT])
        ways = rng.permutation(characters)[:WAYS]
        example, query = rng.permutation(drawings.shape[1])[:2]
        episodes.append([drawings[ways, example], drawings[rng.permutation(ways), query]])
    names, group_of_class = np.unique(groups, return_inverse=True)
    return datasets.Images(
        images=images,
        labels=labels.astype(np.int64),
        part=np.where(np.isin(groups[labels], held_out), datasets.TEST, datasets.TRAIN).astype(np.uint8),
        class_names=tuple(omniglot.class_names[label] for label in classes),
        groups=group_of_class.astype(np.int64),
        group_names=tuple(omniglot.group_names[name] for name in names),
        episodes=np.array(episodes, np.int64),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("tenfold-runs/omniglot-tuning"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=tuple(CANDIDATES))
    options = parser.parse_args()
    chosen = {name: CANDIDATES[name] for name in options.only or CANDIDATES}
    options.folder.mkdir(parents=True, exist_ok=True)
    images = held_out_set()
    datasets.save(images, options.folder / "held-out.npz")
    print("| settings | error of one repeat, % | all repeats together, % | seconds per run |")
    print("|---|---:|---:|---:|")
    for name, settings in chosen.items():
        study = parse_study(
            {
                "name": "omniglot-tuning",
                "repeats": options.repeats,
                "seed": SEED,
                "task": {"kind": "match", "data": "held-out.npz", "query_sets": 100},
                "models": [{"name": name, **OURS, **settings}],
            },
            base=options.folder,
        )
        results = tenfold.run(
            study, placement="processes", out=options.folder / name.replace(", ", "-").replace(" ", "-")
        )
        alone = 100 * (1 - results.scores("oneshot_accuracy")[name])
        together = ensemble_error(results.winner(name), images)
        seconds = np.mean([run.train_seconds for run in results.runs])
        print(
            f"| {name} | {alone.mean():.1f} +- {alone.std(ddof=1):.1f} | {together:.1f} | {seconds:.0f} |", flush=True
        )


if __name__ == "__main__":
    main()
