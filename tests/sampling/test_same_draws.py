"""The draws of earlier versions: a study of then, continued or repeated now, has the same data in every repeat.

The checksums are those of tenfold as of commit 9d100bc, before splits were drawn in ``tenfold.sampling``. One that
differs changes published numbers; CONTRIBUTING.md says what to do then.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pytest

from tenfold import datasets
from tenfold.recipe import Config
from tenfold.sampling import Split
from tenfold.tasks import ClassifySequences, ComparePairs, Match


def small(kind: type[Any], data: Any, **settings: Any) -> Any:
    """A task on data in memory."""
    return kind(kind.spec.settings(kind=kind.spec.kind, data="memory", **settings), data)


def checksum(splits: dict[str, Split]) -> str:
    """Of the indices of repeats 0 and 1, part by part; what only fills up is left out."""
    found = hashlib.sha256()
    for part in ("train", "validation", "test", "pool"):
        if part not in splits:
            continue
        split = splits[part]
        for run in range(split.n_runs):
            rows = split.index[run] if split.valid is None else split.index[run][split.valid[run]]
            found.update(f"{part} {tuple(rows.shape)}".encode() + rows.numpy().astype("<i8").tobytes())
    return found.hexdigest()[:12]


def recordings(*, official: bool = False) -> datasets.Recordings:
    """60 pieces of six lengths, of ten people."""
    lengths = np.array([40 + 7 * (at % 6) for at in range(60)], np.int64)
    stops = np.cumsum(lengths)
    people = np.arange(60) // 6
    unassigned = np.full(60, datasets.UNASSIGNED, np.uint8)
    return datasets.Recordings(
        signals=np.random.default_rng(0).normal(size=(int(stops[-1]), 2)).astype(np.float32),
        starts=stops - lengths,
        lengths=lengths,
        labels=np.arange(60) % 3,
        part=np.where(people >= 7, datasets.TEST, datasets.TRAIN).astype(np.uint8) if official else unassigned,
        class_names=("a", "b", "c"),
        channels=("x", "y"),
        groups=people,
        group_names=tuple("0123456789"),
    )


PAIRS = {
    (None, 0.0): "c6ee7b0c237e",
    (None, 0.2): "f3d1a59c96a9",
    (5, 0.0): "75ffd9561297",
    (5, 0.2): "924fa2f3b82b",
}
SEQUENCES = {
    (False, None, "group", False): "b7187a8ce994",
    (False, None, "group", True): "ef562b70de23",
    (False, None, "window", False): "0427a2ec48cc",
    (False, None, "window", True): "6ebce0702f60",
    (False, 5, "group", False): "d58ad970c51d",
    (False, 5, "group", True): "4995823c3271",
    (False, 5, "window", False): "e597dc10cbb5",
    (False, 5, "window", True): "013c82c37791",
    (False, "groups", "group", False): "f6700472787f",
    (False, "groups", "group", True): "091f38b48032",
    (False, "groups", "window", False): "912e00c7fb85",
    (False, "groups", "window", True): "89994c92a3ec",
    (True, None, "group", False): "7e47621f508e",
    (True, None, "group", True): "38c5271414c9",
    (True, None, "window", False): "0427a2ec48cc",
    (True, None, "window", True): "6ebce0702f60",
    (True, 5, "group", False): "d58ad970c51d",
    (True, 5, "group", True): "4995823c3271",
    (True, 5, "window", False): "e597dc10cbb5",
    (True, 5, "window", True): "013c82c37791",
    (True, "groups", "group", False): "f6700472787f",
    (True, "groups", "group", True): "091f38b48032",
    (True, "groups", "window", False): "912e00c7fb85",
    (True, "groups", "window", True): "89994c92a3ec",
}
MATCH = {
    None: "96962a4ad323",
    5: "79c2b1582c89",
}


@pytest.mark.parametrize(("folds", "validation"), PAIRS)
def test_pairs_of_digits(folds: int | None, validation: float) -> None:
    digits = datasets.load("digits")
    task = small(ComparePairs, digits, size=8, train=200, test=100, validation=validation, folds=folds)
    assert checksum(task.splits([0, 1], seed=0)) == PAIRS[folds, validation]


@pytest.mark.parametrize(("official", "folds", "by", "few"), SEQUENCES)
def test_windows(official: bool, folds: Any, by: Any, few: bool) -> None:
    amounts = {"train": 60, "test": 30} if few else {}
    task = small(ClassifySequences, recordings(official=official), window=10, validation=0.2, folds=folds, **amounts)
    config = Config(recipe=ClassifySequences.spec.recipe(split=by))  # type: ignore[call-arg]
    assert checksum(task.splits([0, 1], seed=0, configs=[config] * 2)) == SEQUENCES[official, folds, by, few]


def test_windows_without_groups() -> None:
    task = small(
        ClassifySequences, dataclasses.replace(recordings(), groups=None, group_names=()), window=10, validation=0.1
    )
    assert checksum(task.splits([0, 1], seed=0)) == "42f5c6100d8c"


@pytest.mark.parametrize("folds", MATCH)
def test_classes_of_digits(folds: int | None) -> None:
    settings: dict[str, Any] = {"query_sets": 20, "candidates": 2, "pool_classes": 2, "validation": 0.4}
    settings |= {"folds": folds} if folds else {"train_classes": 6}
    task = small(Match, datasets.load("digits"), size=8, **settings)
    assert checksum(task.splits([0, 1], seed=0)) == MATCH[folds]


def test_another_seed_has_another_checksum() -> None:
    task = small(ComparePairs, datasets.load("digits"), size=8, train=200, test=100)
    assert checksum(task.splits([0, 1], seed=1)) != PAIRS[None, 0.0]
    assert checksum(task.splits([1, 0], seed=0)) != PAIRS[None, 0.0]
