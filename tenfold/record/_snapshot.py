"""What a record held at one moment, read in one transaction, also while another process writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.errors import RecordError
from tenfold.record._database import Database
from tenfold.record._variant import Variant, variant_from_json

__all__ = ["OWN_META", "Curve", "Event", "Run", "Snapshot", "read_curves", "read_meta", "read_snapshot"]

# Keys of the table `meta` that the record writes itself; the last one when it is finished.
OWN_META = ("study", "metrics", "command", "quick", "status", "started", "ended")


@dataclass(frozen=True)
class Run:
    """How one run ended; fields as in ``RunRow``."""

    variant: Variant
    repeat: int
    status: str
    epochs: int
    best_epoch: int | None
    train_seconds: float | None
    peak_bytes: int | None
    message: str


@dataclass(frozen=True)
class Event:
    """Something that happened while the study ran; ``time`` in ISO format, UTC."""

    time: str
    kind: str
    model: str
    text: str


@dataclass(frozen=True)
class Curve:
    """One metric of one variant on one part of the data, epoch by epoch.

    Attributes:
        epochs: shape (epochs,), ascending, counted from 1.
        values: shape (repeats, epochs), in the unit of the scores; NaN where a run has no point.
    """

    variant: Variant
    metric: str
    part: str
    epochs: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Snapshot:
    """All that the database of a record holds, without the curves.

    Attributes:
        meta: key -> value, as ``Record.meta`` gives it.
        variants: in the study's order.
        files: (model, index of the variant) -> the name of its files, without their ending.
    """

    meta: dict[str, Any]
    variants: tuple[Variant, ...]
    files: dict[tuple[str, int], str]
    plans: dict[str, dict[str, Any]]
    runs: tuple[Run, ...]
    scores: dict[tuple[Variant, int, str], float]
    events: tuple[Event, ...]


def read_snapshot(path: Path) -> Snapshot:
    """Read the database of a record.

    Raises:
        RecordError: not there, damaged, or of another version.
    """
    database = Database(path, write=False)
    try:
        with database.transaction(write=False):
            meta = dict(database.read("SELECT key, value FROM meta"))
            variants = database.read("SELECT model, variant, swept, protocol FROM variants ORDER BY rowid")
            files = database.read("SELECT model, variant, file FROM variants")
            plans = database.read("SELECT model, plan FROM plans")
            runs = database.read(
                "SELECT model, variant, repeat, status, epochs, best_epoch, train_seconds, peak_bytes, message "
                "FROM runs ORDER BY rowid"
            )
            scores = database.read("SELECT model, variant, repeat, metric, value FROM scores")
            events = database.read("SELECT time, kind, model, text FROM events ORDER BY id")
    finally:
        database.close()
    try:
        of = {row[:2]: variant_from_json(*row) for row in variants}
        return Snapshot(
            meta=read_meta(meta),
            variants=tuple(of.values()),
            files={(model, variant): file for model, variant, file in files},
            plans={model: json.loads(plan) for model, plan in plans},
            runs=tuple(Run(of[row[:2]], *row[2:]) for row in runs),
            scores={(of[row[:2]], *row[2:4]): _number(row[4]) for row in scores},
            events=tuple(Event(*row) for row in events),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{path} is damaged: its description cannot be read ({error}).") from error


def read_meta(rows: Mapping[str, str]) -> dict[str, Any]:
    """The table ``meta``, with the keys that every record has.

    Raises:
        KeyError, ValueError: a key is missing, or its value is not JSON.
    """
    meta = {key: json.loads(value) for key, value in rows.items()}
    for key in OWN_META[:-1]:
        _ = meta[key]
    return meta


def read_curves(path: Path, metric: str, variants: Iterable[Variant], repeats: tuple[int, ...]) -> list[Curve]:
    """The curves of one metric, one for each variant and part that has any."""
    of = {(variant.model, variant.index): variant for variant in variants}
    database = Database(path, write=False)
    try:
        rows = database.read(
            "SELECT model, variant, part, repeat, epoch, value FROM points JOIN series ON points.series = series.id "
            "WHERE metric = ? ORDER BY series.id, epoch",
            (metric,),
        )
    finally:
        database.close()
    grouped: dict[tuple[Variant, str], list[tuple[int, int, float | None]]] = {}
    for model, index, part, *point in rows:
        if (model, index) not in of or point[0] not in repeats:
            continue  # of a model that was left out of the study, or beyond the repeats it has now
        grouped.setdefault((of[model, index], part), []).append((point[0], point[1], point[2]))
    place = {repeat: row for row, repeat in enumerate(repeats)}
    curves = []
    for (variant, part), points in grouped.items():
        epochs = np.unique([epoch for _, epoch, _ in points])
        values = np.full((len(repeats), len(epochs)), np.nan)
        for repeat, epoch, value in points:
            values[place[repeat], np.searchsorted(epochs, epoch)] = _number(value)
        curves.append(Curve(variant, metric, part, epochs, values))
    return curves


def _number(value: float | None) -> float:
    return float("nan") if value is None else value  # SQLite keeps NaN as NULL
