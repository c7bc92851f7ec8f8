"""What a record held at one moment, read in one transaction, also while another process writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.errors import RecordError
from tenfold.record._database import Database

__all__ = ["Variant", "Curve", "Event", "Run", "Snapshot", "read_curves", "read_snapshot"]


@dataclass(frozen=True, order=True)
class Variant:
    """One model with one setting of its config values; what is compared."""

    model: str
    setting: str = ""

    @property
    def label(self) -> str:
        """The name in tables and verdicts.

        Example:
            >>> Variant("CNN").label, Variant("CNN", "lr=0.1").label
            ('CNN', 'CNN (lr=0.1)')
        """
        return f"{self.model} ({self.setting})" if self.setting else self.model


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
    """One metric of one variant on one part, epoch by epoch.

    Attributes:
        epochs: shape (epochs,), rising, counted from 1.
        values: shape (runs, epochs), one row a repeat, in the scores' unit; NaN where a run has no point.
    """

    variant: Variant
    metric: str
    part: str
    epochs: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Snapshot:
    """All of a record but the curves and the files."""

    meta: dict[str, str]
    study: dict[str, Any]
    metrics: list[dict[str, Any]]
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
            plans = database.read("SELECT model, plan FROM plans")
            runs = database.read(
                "SELECT model, setting, repeat, status, epochs, best_epoch, train_seconds, peak_bytes, message "
                "FROM runs ORDER BY rowid"
            )
            scores = database.read("SELECT model, setting, repeat, metric, value FROM scores")
            events = database.read("SELECT time, kind, model, text FROM events ORDER BY id")
    finally:
        database.close()
    try:
        return Snapshot(
            meta=meta,
            study=json.loads(meta["study"]),
            metrics=json.loads(meta["metrics"]),
            plans={model: json.loads(plan) for model, plan in plans},
            runs=tuple(Run(Variant(model, setting), *rest) for model, setting, *rest in runs),
            scores={(Variant(m, s), repeat, metric): _number(value) for m, s, repeat, metric, value in scores},
            events=tuple(Event(*row) for row in events),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{path} is damaged: its description cannot be read ({error}).") from error


def read_curves(path: Path, metric: str, repeats: tuple[int, ...]) -> list[Curve]:
    """The curves of one metric, one for each variant and part that has any."""
    database = Database(path, write=False)
    try:
        rows = database.read(
            "SELECT model, setting, part, repeat, epoch, value FROM points JOIN series ON points.series = series.id "
            "WHERE metric = ? ORDER BY series.id, epoch",
            (metric,),
        )
    finally:
        database.close()
    grouped: dict[tuple[Variant, str], list[tuple[int, int, float | None]]] = {}
    for model, setting, part, *point in rows:
        grouped.setdefault((Variant(model, setting), part), []).append((point[0], point[1], point[2]))
    place = {repeat: row for row, repeat in enumerate(repeats)}
    curves = []
    for (variant, part), points in grouped.items():
        epochs = np.unique([epoch for _, epoch, _ in points])
        values = np.full((len(repeats), len(epochs)), np.nan)
        for repeat, epoch, value in points:
            if repeat in place:
                values[place[repeat], np.searchsorted(epochs, epoch)] = _number(value)
        curves.append(Curve(variant, metric, part, epochs, values))
    return curves


def _number(value: float | None) -> float:
    return float("nan") if value is None else value  # SQLite keeps NaN as NULL
