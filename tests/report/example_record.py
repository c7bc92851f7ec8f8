"""Realistic records made by the public writer.

Of pairs: ten models, ten repeats, one diverged run, published figures. Of matching by example: three models, four
repeats, one diverged run, episodes with figures of others. Of sequences: four models under two splits, four repeats,
one diverged run.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.record import Record, RunRow

METRICS = [
    {"name": "accuracy", "label": "Accuracy", "unit": "%", "higher_is_better": True, "primary": True},
    {"name": "f1", "label": "F1", "unit": "%", "higher_is_better": True, "primary": False},
    {"name": "digit_accuracy", "label": "Digit accuracy", "unit": "%", "higher_is_better": True, "primary": False},
    {"name": "auc", "label": "ROC AUC", "unit": "%", "higher_is_better": True, "primary": False},
    {"name": "loss", "label": "Mean loss", "unit": "nats", "higher_is_better": False, "primary": False},
]

# name -> (mean accuracy, deviation, predicts digits, epochs, published mean and deviation in percent)
MODELS: dict[str, tuple[float, float, bool, int, tuple[float, float] | None]] = {
    "Baseline": (0.771, 0.013, False, 50, (76.74, 1.3055)),
    "Linear Siamese 1": (0.752, 0.015, False, 50, (75.08, 1.5664)),
    "Linear Siamese 2": (0.758, 0.015, False, 50, (75.58, 1.5747)),
    "Siamese CNN 1": (0.781, 0.016, False, 100, (75.38, 1.6067)),
    "Siamese CNN 2": (0.783, 0.014, False, 100, (77.67, 1.5441)),
    "Siamese CNN 3": (0.862, 0.020, True, 100, (81.03, 2.9799)),
    "Siamese RNN 1": (0.713, 0.020, True, 50, (71.40, 2.0244)),
    "Siamese RNN 2": (0.722, 0.021, True, 50, (71.42, 2.0670)),
    "Deep Siamese CNN": (0.897, 0.009, True, 100, (85.77, 0.7655)),
    "Digit Posterior": (0.988, 0.003, True, 30, None),
}
REPEATS, TEST = 10, 400
DIVERGED = ("Siamese RNN 2", 6)


def study_of(models: list[dict[str, Any]], repeats: int, quick: bool) -> dict[str, Any]:
    return {
        "name": "mnist-pairs",
        "title": "Which of two digits is larger?",
        "description": "Nine published networks and one of ours compare two handwritten digits.",
        "repeats": repeats,
        "seed": 0,
        "quick": quick,
        "task": {"kind": "compare-pairs", "data": "mnist", "size": 14, "train": 1000, "test": TEST},
        "models": models,
        "resampling": [
            {"protocol": {}, "overlap": 0.0, "one_pool": False, "reason": "every repeat draws its own pairs"}
        ],
    }


def save_variants(record: Record, name: str, arrays: dict[str, Any]) -> None:
    """Save the predictions of all variants of a model, a file each; "variant" says whose each run is."""
    of_run = arrays["variant"]
    for index in range(int(of_run.max()) + 1):
        own = {key: values[of_run == index] for key, values in arrays.items() if key != "variant"}
        record.save_predictions(name, own, variant=index)


def task_meta(kind: str, predictions: str, **labels: list[str]) -> dict[str, Any]:
    """What a study saves about its task."""
    return {
        "kind": kind,
        "predictions": predictions,
        "fingerprint": "0123456789abcdef",
        "module_kwargs": {},
        "labels": labels,
        "warnings": [],
    }


def build(
    folder: Path,
    *,
    models: dict[str, Any] = MODELS,
    repeats: int = REPEATS,
    diverged: tuple[tuple[str, int], ...] | str = (DIVERGED,),
    published: bool = True,
    predictions: bool = True,
    quick: bool = False,
    command: str = "tenfold run mnist-pairs --repeats 10",
) -> Path:
    """Write the record; ``diverged`` names (model, repeat) pairs, or is "all"."""
    entries: list[dict[str, Any]] = []
    for name, (*_, figures) in models.items():
        entry: dict[str, Any] = {"name": name, "module": "siamese-cnn", "lr": 1e-3}
        if published and figures:
            entry["published"] = {"accuracy": list(figures), "repeats": 10}
            entry["published"]["f1"] = figures[0] + 1.5  # one number without a deviation
        entries.append(entry)
    study = study_of(entries, repeats, quick)
    record = Record.create(
        folder,
        study_toml=f'name = "mnist-pairs"\nrepeats = {repeats}\nseed = 0\n',
        study=study,
        environment={
            "tenfold": "0.1.0", "python": "3.11.9", "torch": "2.13.0+cpu", "commit": "7a390dd",
            "platform": "Linux-6.1.0-x86_64-with-glibc2.36", "cpu": {"name": "Some Processor 8300", "cores": 2},
            "started_on": "example-host",
        },
        metrics=METRICS,
        command=command,
        quick=quick,
    )  # fmt: skip
    with record:
        record.save_meta("task", task_meta("compare-pairs", "binary", answer=["first > second", "first ≤ second"]))
        for number, name in enumerate(models):
            _model(record, name, number, models[name], repeats, diverged, predictions)
        if predictions:
            record.save_gallery(_gallery(np.random.default_rng(5)))
        record.event("resumed", "after a stop in epoch 31 of 'Siamese CNN 3'", "Siamese CNN 3")
        found = {"weights_float64": 1.2e-13, "steps_float64": 20}
        record.save_meta("certificate", dict.fromkeys(models, found))
        record.finish()
    return folder


def _model(record: Record, name: str, number: int, facts: Any, repeats: int, diverged: Any, predictions: bool) -> None:
    mean, std, digits, epochs, _ = facts
    common = np.random.default_rng(99).normal(0, 1, repeats)
    rng = np.random.default_rng(number)
    accuracy = np.clip(mean + std * (0.6 * common + 0.8 * rng.normal(0, 1, repeats)), 0.02, 0.998)
    gone = np.array([diverged == "all" or (name, repeat) in diverged for repeat in range(repeats)])
    record.save_plan(
        name,
        {
            "placement": ("stack", "processes")[number % 3 == 0],
            "groups": [[*range(repeats)]],
            "threads": 2,
            "compiled": number % 2 == 0,
            "milliseconds": {"stack": 4.1 + number, "processes": 3.9 + 1.3 * number, "loop": 9.7 + number},
            "bytes_per_run": 1_000_000,
            "reason": "fastest of three candidates timed for 5 steps",
        },
    )
    record.save_epochs(name, _curves(rng, accuracy, epochs, gone))
    rows = []
    for repeat in range(repeats):
        if gone[repeat]:
            rows.append(
                RunRow(variant=0, repeat=repeat, status="diverged", epochs=12, train_seconds=1.0, message="loss is NaN")
            )
            continue
        value = float(accuracy[repeat])
        scores = {
            "accuracy": value,
            "f1": 1 - 0.93 * (1 - value),
            "auc": 1 - 0.7 * (1 - value),
            "loss": 1.3 * (1 - value),
        }
        if digits:
            scores["digit_accuracy"] = value - 0.02
        rows.append(
            RunRow(
                variant=0, repeat=repeat, status="finished", epochs=epochs, train_seconds=2.0 + number,
                peak_bytes=30_000_000 + 1_000_000 * number, scores=scores,
            )
        )  # fmt: skip
    record.finish_runs(name, rows)
    if predictions:
        record.save_predictions(name, _predictions(rng, accuracy, gone, digits))


def _curves(rng: np.random.Generator, accuracy: np.ndarray, epochs: int, gone: np.ndarray) -> list[Any]:
    rows = []
    for repeat, final in enumerate(accuracy.tolist()):
        for epoch in range(1, 13 if gone[repeat] else epochs + 1):
            reached = 1 - math.exp(-5 * epoch / epochs)
            test = 0.55 + (final - 0.55) * reached + rng.normal(0, 0.006)
            train = 0.56 + (min(final + 0.12, 1) - 0.56) * reached**0.9
            for part, score in (("train", train), ("test", test)):
                bad = gone[repeat] and epoch == 12
                rows.append((0, repeat, epoch, part, "accuracy", math.nan if bad else score))
                rows.append((0, repeat, epoch, part, "loss", math.nan if bad else 1.5 * (1 - score) + 0.02))
    return rows


def _predictions(rng: np.random.Generator, accuracy: np.ndarray, gone: np.ndarray, digits: bool) -> dict[str, Any]:
    runs = len(accuracy)
    shown = rng.integers(0, 10, (runs, TEST, 2))
    target = (shown[..., 0] <= shown[..., 1]).astype(np.uint8)
    right = rng.random((runs, TEST)) < accuracy[:, None]
    sure = 0.5 + 0.5 * rng.beta(2, 1.2, (runs, TEST))
    probability = np.where(right == (target == 1), sure, 1 - sure).astype(np.float32)
    probability[gone] = np.nan
    arrays: dict[str, Any] = {
        "probability": probability,
        "target": target,
        "repeat": np.arange(runs),
    }
    if digits:
        arrays["digits"] = shown.astype(np.uint8)
        arrays["digit_targets"] = shown.astype(np.uint8)
    return arrays


def _gallery(rng: np.random.Generator) -> dict[str, Any]:
    rows, columns = np.mgrid[0:14, 0:14]
    images = np.zeros((24, 2, 14, 14), np.uint8)
    for number in range(24):
        for half in range(2):
            centre = rng.uniform(4, 9, 2)
            ring = np.hypot(rows - centre[0], columns - centre[1]) - rng.uniform(2, 4)
            images[number, half] = (255 * np.exp(-(ring**2))).astype(np.uint8)
    labels = rng.integers(0, 10, (24, 2))
    return {
        "images": images,
        "target": (labels[:, 0] <= labels[:, 1]).astype(np.uint8),
        "repeat": rng.integers(0, 10, 24),
        "row": rng.integers(0, TEST, 24),
        "labels": labels,
        "wrong_share": np.linspace(1, 0.7, 24),
    }


# -- match by example -------------------------------------------------------------------------------------------------

MATCH_METRICS = [
    {"name": "top1", "label": "Top-1 of the candidates", "unit": "%", "higher_is_better": True, "primary": True},
    {"name": "top3", "label": "Top-3 of the candidates", "unit": "%", "higher_is_better": True, "primary": False},
    {
        "name": "oneshot_accuracy", "label": "Accuracy in the published episodes", "unit": "%",
        "higher_is_better": True, "primary": False,
    },
    {"name": "precision_at_1", "label": "Precision at 1", "unit": "%", "higher_is_better": True, "primary": False},
    {"name": "loss", "label": "Candidate loss", "unit": "nats", "higher_is_better": False, "primary": False},
]  # fmt: skip
# name -> share of right first choices. In the order of the study, which is not that from best to worst.
MATCHERS = {"Small net": 0.7, "Residual net": 0.9, "Deep Siamese CNN": 0.8}
REFERENCES = {"people": 4.5, "Bayesian program learning": 3.3, "deep Siamese network": 8.0, "nearest pixels": 78.3}
SETS, CANDIDATES, EPISODES, QUERIES = 40, 20, 20, 20
ALPHABETS = ("Angelic", "Atemayar Qelisayer", "Atlantean", "Aurek-Besh", "Avesta", "Ge'ez", "Glagolitic", "Gurmukhi")
POOL_CLASSES, POOL_EACH, FILLERS, DIMENSION = 6, 8, 3, 16


def build_match(
    folder: Path,
    *,
    models: dict[str, float] = MATCHERS,
    sweep: tuple[dict[str, Any], ...] = ({},),
    repeats: int = 4,
    diverged: tuple[tuple[str, int], ...] | str = (("Small net", 0),),
    episodes: bool = True,
    references: Any = REFERENCES,
    predictions: bool = True,
    candidates: int = CANDIDATES,
    groups: bool = True,
    change: Any = None,
) -> Path:
    """Write the record; ``diverged`` names (model, repeat) pairs, or is "all".

    ``sweep`` holds the swept values of each variant, the same for all models. ``change`` is called with (model, arrays)
    of each model's predictions before they are saved, the runs of all variants one after the other.
    """
    study: dict[str, Any] = {
        "name": "match",
        "title": "Which image shows the same letter?",
        "repeats": repeats,
        "seed": 0,
        "task": {"kind": "match", "data": "omniglot", "size": 28, "candidates": candidates, "similarity": "cosine"},
        "models": [{"name": name, "module": "koch-embedding", "lr": 1e-3} for name in models],
        "resampling": [{"protocol": {}, "overlap": 0.41, "one_pool": True, "reason": "repeats share classes"}],
    }
    if references is not None:
        study["references"] = references
    record = Record.create(
        folder, study_toml="", study=study, environment={}, metrics=MATCH_METRICS, command="tenfold run match",
        quick=False, variants={name: [{"swept": swept} for swept in sweep] for name in models},
    )  # fmt: skip
    with record:
        saved = {}
        for number, (name, right) in enumerate(models.items()):
            gone = np.array([diverged == "all" or (name, repeat) in diverged for repeat in range(repeats)])
            arrays = _match_arrays(np.random.default_rng(number), right, repeats * len(sweep), candidates, episodes)
            arrays["variant"] = np.repeat(np.arange(len(sweep), dtype=np.int32), repeats)
            arrays["repeat"] = np.tile(np.arange(repeats), len(sweep))
            arrays["pool"][np.tile(gone, len(sweep))] = np.nan
            if change is not None:
                change(name, arrays)
            if not groups:
                arrays = {key: value for key, value in arrays.items() if not key.endswith("group")}
            _match_runs(record, name, arrays, gone, episodes)
            saved[name] = arrays
            if predictions:
                save_variants(record, name, arrays)
        if predictions:
            record.save_gallery(_match_gallery(saved, candidates))
        labels = {"class": ["a", "b"], "group": list(ALPHABETS)} if groups else {}
        record.save_meta("task", task_meta("match", "ranking", **labels))
        record.finish()
    return folder


def _match_arrays(rng: np.random.Generator, right: float, runs: int, candidates: int, episodes: bool) -> dict[str, Any]:
    order = np.argsort(rng.random((runs, SETS, candidates)), axis=2).astype(np.uint8)
    wrong = rng.integers(1, candidates, (runs, SETS))
    arrays: dict[str, Any] = {
        "order": order,
        "place": np.where(rng.random((runs, SETS)) < right, 0, wrong).astype(np.uint8),
    }
    arrays["group"] = rng.integers(0, len(ALPHABETS) - 1, (runs, SETS))
    # The same classes for every model, as the pool is drawn for the repeat; the last rows only fill up.
    its = np.random.default_rng(9).permuted(np.repeat(np.arange(100, 100 + POOL_CLASSES), POOL_EACH))
    labels = np.concatenate([its, np.full(FILLERS, -1)])
    centres = np.random.default_rng(1).normal(0, 1, (POOL_CLASSES, DIMENSION))[np.maximum(labels - 100, 0)]
    pool = centres + rng.normal(0, 1.5 * (1 - right) + 0.1, (runs, len(labels), DIMENSION))
    arrays |= {"pool": pool.astype(np.float16), "pool_class": np.tile(labels, (runs, 1)).astype(np.int32)}
    if episodes:
        hard = rng.random((runs, EPISODES, QUERIES)) > right - 0.02 * np.arange(EPISODES)[:, None]
        arrays["episode_place"] = np.where(hard, 3, 0).astype(np.uint16)
        arrays["episode_group"] = np.tile(np.arange(EPISODES)[:, None] % (len(ALPHABETS) - 1), (runs, 1, QUERIES))
        arrays["episode_choice"] = rng.integers(0, QUERIES, (runs, EPISODES, QUERIES)).astype(np.uint16)
    return arrays


def _match_runs(record: Record, name: str, arrays: dict[str, Any], gone: np.ndarray, episodes: bool) -> None:
    rows, points = [], []
    for row, (variant, repeat) in enumerate(zip(arrays["variant"].tolist(), arrays["repeat"].tolist(), strict=True)):
        top1 = float((arrays["place"][row] == 0).mean())
        for epoch in (1, 2, 3):
            for part in ("validation", "test"):
                points.append((variant, repeat, epoch, part, "top1", top1 * epoch / 3))
                points.append((variant, repeat, epoch, part, "loss", math.nan if gone[repeat] else 3 - top1 * epoch))
        if gone[repeat]:
            rows.append(RunRow(variant=variant, repeat=repeat, status="diverged", epochs=3, message="loss is NaN"))
            continue
        scores = {"top1": top1, "top3": min(1.0, top1 + 0.1), "precision_at_1": 0.9 * top1, "loss": 3 - 3 * top1}
        if episodes:
            scores["oneshot_accuracy"] = float((arrays["episode_place"][row] == 0).mean())
        rows.append(RunRow(variant=variant, repeat=repeat, status="finished", epochs=3, scores=scores))
    record.save_epochs(name, points)
    record.finish_runs(name, rows)


def _match_gallery(saved: dict[str, dict[str, Any]], candidates: int) -> dict[str, Any]:
    """Sixteen queries, half of them wrong, every image a different one."""
    best = max(saved, key=lambda name: (saved[name]["place"] == 0).mean())
    rng = np.random.default_rng(3)
    place = np.concatenate([rng.integers(1, candidates, 8), np.zeros(8)]).astype(np.uint8)
    place[0] = candidates - 1
    return {
        "query": rng.integers(0, 256, (16, 7, 7)).astype(np.uint8),
        "ranked": rng.integers(0, 256, (16, candidates, 7, 7)).astype(np.uint8),
        "right_place": place,
        "model": np.full(16, list(saved).index(best), dtype=np.int32),
    }


# -- sequences --------------------------------------------------------------------------------------------------------

SEQUENCE_METRICS = [
    {"name": "accuracy", "label": "Accuracy", "unit": "%", "higher_is_better": True, "primary": True},
    {"name": "loss", "label": "Loss", "unit": "nats", "higher_is_better": False, "primary": False},
]
ACTIVITIES = ("walking", "walking upstairs", "walking downstairs", "sitting", "standing", "laying")
CHANNELS = tuple(f"{what}_{axis}" for what in ("body acc", "gyro", "total acc") for axis in "xyz")
PEOPLE, TESTED, STEPS, WINDOWS, FILLED = 8, 3, 32, 120, 5
# name -> (share of right answers by person, whether it has gradients and curves). Not in the order of the scores.
CLASSIFIERS = {"RNN": (0.6, True), "BiLSTM 64": (0.9, True), "Random forest": (0.85, False), "GRU": (0.8, True)}
SPLITS = ({"split": "group"}, {"split": "window"})


def build_sequences(
    folder: Path,
    *,
    models: dict[str, tuple[float, bool]] = CLASSIFIERS,
    sweep: tuple[dict[str, Any], ...] = SPLITS,
    repeats: int = 4,
    diverged: tuple[tuple[str, int], ...] | str = (("RNN", 0),),
    classes: tuple[str, ...] = ACTIVITIES,
    names: bool = True,
    groups: bool = True,
    predictions: bool = True,
    validation: bool = True,
    epochs: int = 12,
    change: Any = None,
) -> Path:
    """Write the record; ``diverged`` names (model, repeat) pairs, or is "all".

    ``sweep`` holds the swept values of each variant, the same for all models. ``change`` is called with (model, arrays)
    of each model's predictions before they are saved, the runs of all variants one after the other.
    """
    study: dict[str, Any] = {
        "name": "sensors",
        "title": "Activities from a phone's sensors",
        "repeats": repeats,
        "seed": 0,
        "task": {"kind": "classify-sequences", "data": "har-smartphone"},
        "models": [{"name": name, "module": "recurrent-classifier", "lr": 1e-3} for name in models],
        "resampling": [{"protocol": {}, "overlap": 0.29, "one_pool": True, "reason": "repeats share windows"}],
    }
    record = Record.create(
        folder, study_toml="", study=study, environment={}, metrics=SEQUENCE_METRICS, command="tenfold run sensors",
        quick=False, variants={name: [_variant(swept) for swept in sweep] for name in models},
    )  # fmt: skip
    with record:
        for number, (name, (right, trained)) in enumerate(models.items()):
            gone = np.array([diverged == "all" or (name, repeat) in diverged for repeat in range(repeats)])
            rng = np.random.default_rng(number)
            arrays = _sequence_arrays(rng, right, sweep, repeats, len(classes), trained)
            arrays["gradient_norm" if trained else "seen_accuracy"][np.tile(gone, len(sweep))] = np.nan
            if not groups:
                del arrays["group"]
            if change is not None:
                change(name, arrays)
            _sequence_runs(record, name, arrays, gone, (epochs if trained else 0, validation), rng)
            if predictions:
                save_variants(record, name, arrays)
        if predictions:
            record.save_gallery(_sequence_gallery(np.random.default_rng(4), len(classes), len(models)))
        people = [f"person {number + 1}" for number in range(PEOPLE)]
        labels = {"class": list(classes), "group": people, "channel": list(CHANNELS)} if names else {}
        record.save_meta("task", task_meta("classify-sequences", "classes", **labels))
        record.finish()
    return folder


def _variant(swept: dict[str, Any]) -> dict[str, Any]:
    return {"swept": swept, "protocol": {name: value for name, value in swept.items() if name == "split"}}


def _sequence_arrays(
    rng: np.random.Generator, right: float, sweep: tuple[dict[str, Any], ...], repeats: int, n_classes: int,
    trained: bool,
) -> dict[str, Any]:  # fmt: skip
    runs = len(sweep) * repeats
    target = rng.integers(0, n_classes, (runs, WINDOWS))
    by_window = np.repeat([swept.get("split") == "window" for swept in sweep], repeats)
    hit = rng.random(target.shape) < np.where(by_window, (1 + right) / 2, right)[:, None]
    # Mostly taken for the next class, sometimes for any.
    other = np.where(rng.random(target.shape) < 0.7, target + 1, rng.integers(0, n_classes, target.shape)) % n_classes
    group = np.where(by_window[:, None], rng.integers(0, PEOPLE, target.shape), rng.integers(0, TESTED, target.shape))
    target[:, -FILLED:] = -1
    steps = np.unique(np.ceil(np.linspace(0, STEPS, 9)[1:]).astype(int))
    seen = np.clip(right * (steps / STEPS) ** 0.3 + rng.normal(0, 0.02, (runs, len(steps))), 0, 1)
    if not trained:  # takes whole windows only
        seen[:, :-1] = np.nan
    arrays: dict[str, Any] = {
        "target": target.astype(np.int16),
        "prediction": np.where(target < 0, -1, np.where(hit, target, other)).astype(np.int16),
        "group": np.where(target < 0, -1, group).astype(np.int32),
        "window": np.where(target < 0, -1, np.arange(WINDOWS)).astype(np.int32),
        "seen_steps": np.tile(steps, (runs, 1)),
        "seen_accuracy": seen,
        "variant": np.repeat(np.arange(len(sweep), dtype=np.int32), repeats),
        "repeat": np.tile(np.arange(repeats), len(sweep)),
    }
    if trained:
        back = np.arange(STEPS)[::-1]
        arrays["gradient_norm"] = 0.01 * 10 ** (-(1 - right) * back / 2 + rng.normal(0, 0.1, (runs, STEPS)))
    return arrays


def _sequence_runs(
    record: Record, name: str, arrays: dict[str, Any], gone: np.ndarray, curves: tuple[int, bool],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    rows, points, (epochs, validation) = [], [], curves
    for row, (variant, repeat) in enumerate(zip(arrays["variant"].tolist(), arrays["repeat"].tolist(), strict=True)):
        there = arrays["target"][row] >= 0
        accuracy = float((arrays["target"][row] == arrays["prediction"][row])[there].mean())
        for epoch in range(1, epochs + 1):
            for part in ("train", *(["validation"] if validation else []), "test"):
                value = accuracy * (1 - math.exp(-epoch)) + rng.normal(0, 0.03)
                points.append((variant, repeat, epoch, part, "accuracy", value))
                points.append((variant, repeat, epoch, part, "loss", math.nan if gone[repeat] else 2 - 2 * value))
        if gone[repeat]:
            rows.append(RunRow(variant=variant, repeat=repeat, status="diverged", epochs=3, message="loss is NaN"))
            continue
        scores = {"accuracy": accuracy, "loss": 2 - 2 * accuracy}
        rows.append(RunRow(variant=variant, repeat=repeat, status="finished", epochs=epochs, scores=scores))
    if points:
        record.save_epochs(name, points)
    record.finish_runs(name, rows)


def _sequence_gallery(rng: np.random.Generator, n_classes: int, n_models: int) -> dict[str, Any]:
    """Six windows; the last is shorter than the others."""
    time = np.arange(STEPS)[:, None]
    windows = np.sin(rng.uniform(0.1, 0.6, (6, 1, 9)) * time + rng.uniform(0, 6, (6, 1, 9)))
    target = rng.integers(0, n_classes, 6)
    return {
        "windows": (windows * [1, 1, 1, 3, 3, 3, 0.2, 0.2, 0.2]).astype(np.float32),
        "length": np.array([STEPS] * 5 + [STEPS // 2]),
        "target": target,
        "prediction": (target + 1) % n_classes,
        "probability": np.linspace(0.98, 0.6, 6),
        "model": np.full(6, min(1, n_models - 1), dtype=np.int32),
    }
