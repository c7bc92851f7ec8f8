"""The folder that a study leaves behind: the only place where results are written."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from tenfold.errors import RecordError, nearest
from tenfold.files import atomic_write, disk_trouble, is_file, remove_leftovers
from tenfold.record._arrays import ENDINGS, read_npz, read_safetensors, write_npz, write_safetensors
from tenfold.record._csv import write_results_csv
from tenfold.record._database import Database, create_database
from tenfold.record._extend import LEFT_OUT, added_rows, changes, renamed, variant_rows, verdict_change
from tenfold.record._lock import FolderLock
from tenfold.record._looks import LOOKS, added_look
from tenfold.record._same import left_out_models, normal_json, study_differences
from tenfold.record._slug import slugs
from tenfold.record._snapshot import OWN_META, read_meta
from tenfold.record._sources import recover_sources, write_sources
from tenfold.record._variant import Variant, of_study, variant_from_json, variants_of

__all__ = ["EpochRow", "Record", "RunRow"]

_PARTS = ("train", "validation", "test")
_DATABASE = "results.db"
_FOLDERS = ("predictions", "clusters", "weights", "preprocessing", "checkpoints")
_OURS = {"study.toml", "environment.json", "lock", _DATABASE, "sources", *_FOLDERS}
_MADE_FROM_IT = ("results.csv", "report.html", "figures", "tables")

# Index of the variant, repeat, epoch, part, metric, value.
EpochRow = tuple[int, int, int, str, str, float]


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """How one run ended.

    Args:
        variant: its index among the variants of the model; 0 where nothing is swept.
        repeat: counts from 0.
        status: "finished", "stopped" (early, by its own rule: scores count) or "diverged" (kept, counted, scores NaN).
        epochs: epochs trained.
        best_epoch: the epoch whose weights were scored; None where that is the last.
        train_seconds: this run's share of the training time (a stack's time divided by its runs).
        peak_bytes: peak memory of the process that trained it, up to the end of the run; None where not measured.
        message: why it diverged or stopped, else "".
        scores: metric name -> final test score, as a fraction where the metric's unit is "%".
    """

    variant: int
    repeat: int
    status: Literal["finished", "diverged", "stopped"]
    epochs: int
    best_epoch: int | None = None
    train_seconds: float | None = None
    peak_bytes: int | None = None
    message: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)


class Record:
    """One study's folder. One process writes, any number reads, also at the same time.

    Build with ``create`` or ``open``, close with ``close`` or a ``with`` block. Every method that writes is one
    transaction or one atomic file: killed at any moment, the folder holds what was saved before the call or after it,
    nothing between.

    Raises:
        RecordError: from every method, on a full disk, a folder that cannot be written, a damaged file or an unknown
            model.
    """

    def __init__(self, folder: Path, *, write: bool) -> None:
        self.folder = folder
        self._lock: FolderLock | None = None
        if write and is_file(folder / _DATABASE):
            self._lock = FolderLock(folder / "lock")
        try:
            self._database = Database(folder / _DATABASE, write=write)
            try:
                self._load_meta()
            except BaseException:
                self._database.close()
                raise
        except BaseException:
            self._release()
            raise

    # ------------------------------------------------------------------ open and close

    @classmethod
    def exists(cls, folder: str | Path) -> bool:
        """Whether a record was ever started in this folder."""
        return is_file(Path(folder) / _DATABASE)

    @classmethod
    def create(
        cls,
        folder: str | Path,
        *,
        study_toml: str,
        study: Mapping[str, Any],
        environment: Mapping[str, Any],
        metrics: Iterable[Mapping[str, Any]],
        command: str,
        quick: bool,
        variants: Mapping[str, Iterable[Mapping[str, Any]]] | None = None,
    ) -> Record:
        """Start a record in a new or empty folder, and hold its lock.

        Args:
            folder: made when missing.
            study_toml: the study as resolved, for people.
            study: the same as a dict, JSON values only; ``study["models"]`` names the models in order.
            environment: versions, hardware, commit.
            metrics: one dict per metric: name, label, unit, higher_is_better, primary.
            command: what the user typed.
            quick: True for a study reduced by ``--quick``.
            variants: model -> one ``{"swept": {...}, "protocol": {...}}`` for each of its variants, in order: the
                values that were swept, and the settings by which the data are divided, where these differ within the
                study. A model that is not named has one variant without either.
        Raises:
            RecordError: the folder holds a record or other files, is in use, or cannot be written; or the variants are
                not those of the models.
        """
        folder, study = Path(folder), normal_json(study)
        found = variants_of([model["name"] for model in study["models"]], variants)
        rows = variant_rows(found)
        with disk_trouble(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(folder / "lock")
            try:
                _expect_free(folder)
                with atomic_write(folder / "study.toml", "w") as file:
                    file.write(study_toml)
                _write_json(folder / "environment.json", environment)
                meta = {
                    "study": study,
                    "metrics": [dict(metric) for metric in metrics],
                    "command": command,
                    "quick": bool(quick),
                    "status": "unfinished",
                    "started": _now(),
                }
                # The database comes last: a folder without it is not a record yet, and the next try starts anew.
                create_database(folder / _DATABASE, {key: _json(value) for key, value in meta.items()}, rows)
            finally:
                lock.release()
        return cls.open(folder, write=True)

    @classmethod
    def open(cls, folder: str | Path, *, write: bool = False, study: Mapping[str, Any] | None = None) -> Record:
        """Open the record in a folder.

        Args:
            folder: holds ``results.db``.
            write: take the lock and allow changes.
            study: the study about to be run; the recorded runs must be runs of it. See ``take_up`` for what may
                have changed.
        Raises:
            RecordError: no record, damaged, of another version, in use by another process (named), or of another study
                (the differing keys are named).
        """
        record = cls(Path(folder), write=write)
        try:
            if study is not None:
                record._expect_study(study)
            if write:
                for part in (".", *_FOLDERS, "figures", "tables"):
                    remove_leftovers(record.folder / part)
                recover_sources(record.folder / "sources")
        except BaseException:
            record.close()
            raise
        return record

    def is_of(self, study: Mapping[str, Any]) -> bool:
        """Whether the study is the recorded one to the letter, so that there is nothing to ``take_up``."""
        return normal_json(study) == self.study

    def take_up(
        self,
        *,
        study: Mapping[str, Any],
        study_toml: str,
        command: str,
        variants: Mapping[str, Iterable[Mapping[str, Any]]] | None = None,
    ) -> list[str]:
        """Go on with a study that has changed in what the recorded runs do not depend on: repeats, models added or left
        out, titles, published figures, settings of the verdict. No run is removed.

        Args:
            study: given to ``open`` too, which refuses what makes another study.
            study_toml, command, variants: as in ``create``.
        Returns:
            list: what this means for the runs, a sentence each; empty where that is nothing.
        """
        study = normal_json(study)
        left_out: dict[str, Any] = self.meta(LEFT_OUT) or {}
        found = variants_of([model["name"] for model in study["models"]], variants)
        rows = variant_rows(found, self._slugs)
        said = changes(self.study, study, left_out)
        gone = left_out_models(self.study, study, left_out)
        said += renamed(study, gone, self._slugs)
        change = verdict_change(self.study, study)
        begun = self._to_begin_anew(study)
        for model in begun:
            self.drop_checkpoints(model)
        certificates = {
            model: found
            for model, found in (self.meta("certificate") or {}).items()
            if model not in begun and model not in gone
        }
        meta = {"study": study, "command": command, "status": "unfinished", LEFT_OUT: gone}
        meta |= {"certificate": certificates} if self.meta("certificate") else {}
        self._expect_writing()
        # The database comes last: killed before, the same request takes the study up again.
        with atomic_write(self.folder / "study.toml", "w") as file:
            file.write(study_toml)
        with self._write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", [(k, _json(v)) for k, v in meta.items()]
            )
            connection.execute("DELETE FROM meta WHERE key = 'ended'")
            connection.executemany(
                "INSERT INTO variants VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (model, variant) DO UPDATE SET "
                "swept = excluded.swept, protocol = excluded.protocol, label = excluded.label",
                rows,
            )
            connection.executemany("DELETE FROM plans WHERE model = ?", [(model,) for model in begun])
        self._load_meta()
        for text in said:
            self.event("study changed", text)
        if change and self._database.read("SELECT 1 FROM runs LIMIT 1"):
            self.event("verdict changed", change)
        return said

    def _to_begin_anew(self, study: Mapping[str, Any]) -> list[str]:
        """Recorded models that have other runs to train than before: their plans and checkpoints are of no use."""
        repeats = study.get("repeats")
        if repeats == self.study.get("repeats"):
            return []
        every = self._database.read("SELECT model, variant FROM variants")
        return [
            model
            for model in self._slugs
            if not {(index, repeat) for name, index in every if name == model for repeat in range(int(repeats or 0))}
            <= self.finished(model)
        ]

    @staticmethod
    def remove(folder: str | Path) -> None:
        """Remove the record in a folder, so that another can be started there; other files stay.

        Raises:
            RecordError: if it is in use, or cannot be removed.
        """
        folder = Path(folder)
        lock = FolderLock(folder / "lock")
        try:
            with disk_trouble(folder):
                (folder / _DATABASE).unlink(missing_ok=True)  # first: without it the folder is no record
                for name in (*_OURS, *_MADE_FROM_IT):
                    path = folder / name
                    if path.is_dir():
                        shutil.rmtree(path)
                    elif name != "lock":
                        path.unlink(missing_ok=True)
        finally:
            lock.release()

    def close(self) -> None:
        """Close the database and release the lock; harmless when called twice."""
        self._database.close()
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ runs

    def plan(self, model: str) -> dict[str, Any] | None:
        """The placement chosen for a model; None before ``save_plan``."""
        rows = self._database.read("SELECT plan FROM plans WHERE model = ?", (self._known(model),))
        return json.loads(rows[0][0]) if rows else None

    def save_plan(self, model: str, plan: Mapping[str, Any]) -> None:
        """Save a model's placement: groups, threads, probe times and reason, JSON values only."""
        row = (self._known(model), _json(plan))
        with self._write() as connection:
            connection.execute("INSERT OR REPLACE INTO plans VALUES (?, ?)", row)

    def save_epochs(self, model: str, rows: Iterable[EpochRow]) -> None:
        """Save points of learning curves: (variant index, repeat, epoch, part, metric, value).

        Epochs count from 1. A point that is saved again is replaced.
        """
        self._known(model)
        points = [
            ((model, int(variant), int(repeat), part, metric), int(epoch), float(value))
            for variant, repeat, epoch, part, metric, value in rows
        ]
        keys = list(dict.fromkeys(key for key, _, _ in points))
        for index in dict.fromkeys(key[1] for key in keys):
            self._expect_variant(model, index)
        for key in keys:
            if key[3] not in _PARTS:
                raise RecordError(f"part '{key[3]}' of the curves of '{model}': {nearest(key[3], _PARTS)}.")
        with self._write() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO series (model, variant, repeat, part, metric) VALUES (?, ?, ?, ?, ?)", keys
            )
            ids = {
                (model, *row[1:]): row[0]
                for row in connection.execute(
                    "SELECT id, variant, repeat, part, metric FROM series WHERE model = ?", (model,)
                )
            }
            connection.executemany(
                "INSERT OR REPLACE INTO points VALUES (?, ?, ?)",
                [(ids[key], epoch, value) for key, epoch, value in points],
            )

    def finish_runs(self, model: str, rows: Iterable[RunRow]) -> None:
        """Save how runs ended, with their scores, in one transaction. A run that is saved again is replaced."""
        self._known(model)
        rows = list(rows)
        for row in rows:
            self._expect_variant(model, row.variant)
            self._expect_metrics(row)
        with self._write() as connection:
            for row in rows:
                run = (model, int(row.variant), int(row.repeat))
                connection.execute("DELETE FROM scores WHERE (model, variant, repeat) = (?, ?, ?)", run)
                ending = (row.status, row.epochs, row.best_epoch, row.train_seconds, row.peak_bytes, row.message)
                connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*run, *ending))
                connection.executemany(
                    "INSERT INTO scores VALUES (?, ?, ?, ?, ?)",
                    [(*run, metric, float(value)) for metric, value in row.scores.items()],
                )

    def finished(self, model: str) -> set[tuple[int, int]]:
        """The (variant index, repeat) of every run of a model that has ended, diverged ones included."""
        return set(self._database.read("SELECT variant, repeat FROM runs WHERE model = ?", (self._known(model),)))

    def event(self, kind: str, text: str, model: str = "") -> None:
        """Save that something happened ("resumed", "diverged", "group split"), with the time."""
        with self._write() as connection:
            connection.execute(
                "INSERT INTO events (time, kind, model, text) VALUES (?, ?, ?, ?)", (_now(), kind, model, text)
            )

    def meta(self, name: str) -> Any:
        """What ``save_meta`` saved under a name; None where nothing was."""
        rows = self._database.read("SELECT value FROM meta WHERE key = ?", (name,))
        return json.loads(rows[0][0]) if rows else None

    def save_meta(self, name: str, value: Any) -> None:
        """Save one more fact about the study, JSON values only (the certificate of ``--verify``, for instance)."""
        if name in OWN_META:
            raise RecordError(f"meta '{name}' is written by the record itself; choose another name.")
        row = (name, _json(value))
        with self._write() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)

    @property
    def status(self) -> str:
        """ "finished" once ``finish`` was called, "unfinished" before."""
        return self.meta("status")

    def finish(self) -> None:
        """Write ``results.csv``, mark the record as finished, and count a look at the verdicts."""
        self._expect_writing()
        write_results_csv(
            self.folder / "results.csv", self._database.read, self.variants, self.metrics, self.study.get("repeats")
        )
        with self._write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", [("status", _json("finished")), ("ended", _json(_now()))]
            )
            if len(self.variants) > 1 and self.study.get("repeats"):
                looks = added_look(self.meta(LOOKS) or [], self.study.get("verdict") or {}, self.study["repeats"])
                connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (LOOKS, _json(looks)))

    # ------------------------------------------------------------------ files

    def slug(self, model: str) -> str:
        """The file name of a model, without its ending."""
        return self._slugs[self._known(model)]

    def save_environment(self, environment: Mapping[str, Any]) -> None:
        """Replace ``environment.json`` (a study resumed elsewhere)."""
        self._expect_writing()
        _write_json(self.folder / "environment.json", environment)

    def save_predictions(
        self, model: str, arrays: Mapping[str, np.ndarray], *, variant: int = 0, after: int = 0
    ) -> Path:
        """Save the test predictions of a variant, runs first, as ``predictions/<file>.npz``.

        Args:
            model, variant: whose.
            arrays: of all runs, or of those that are added.
            after: so many runs, which have ended before, stay in front of them.
        """
        return self._save_runs("predictions", model, variant, arrays, after)

    def save_clusters(self, model: str, arrays: Mapping[str, np.ndarray], *, variant: int = 0, after: int = 0) -> Path:
        """Save what clusters of test examples add to the scores, runs first, as ``clusters/<file>.npz``; arguments as
        in ``save_predictions``.
        """
        return self._save_runs("clusters", model, variant, arrays, after)

    def read_predictions(self, model: str, *, variant: int = 0) -> dict[str, np.ndarray]:
        """The arrays given to ``save_predictions``."""
        return read_npz(self._path("predictions", model, variant))

    def save_gallery(self, arrays: Mapping[str, np.ndarray]) -> Path:
        """Save the examples to show, the same for all models, as ``predictions/gallery.npz``."""
        self._expect_writing()
        path = self.folder / "predictions" / "gallery.npz"
        write_npz(path, arrays)
        return path

    def save_weights(self, model: str, weights: Mapping[str, np.ndarray], *, variant: int = 0, after: int = 0) -> Path:
        """Save the weights of all runs of a variant, each (runs, ...), as ``weights/<file>.safetensors``; arguments as
        in ``save_predictions``.
        """
        return self._save_runs("weights", model, variant, weights, after)

    def read_weights(self, model: str, *, variant: int = 0) -> dict[str, np.ndarray]:
        """The weights given to ``save_weights``."""
        return read_safetensors(self._path("weights", model, variant))

    def save_preprocessing(
        self, model: str, arrays: Mapping[str, np.ndarray], *, variant: int = 0, after: int = 0
    ) -> Path | None:
        """Save what the preprocessing of each run of a variant was fitted to, each (runs, ...), as
        ``preprocessing/<file>.safetensors``; nothing where there are no arrays. Arguments as in ``save_predictions``.
        """
        self._expect_writing()
        return self._save_runs("preprocessing", model, variant, arrays, after) if arrays else None

    def _save_runs(self, part: str, model: str, variant: int, arrays: Mapping[str, np.ndarray], after: int) -> Path:
        self._expect_writing()
        path = self._path(part, model, variant)
        read, write = (read_npz, write_npz) if ENDINGS[part] == ".npz" else (read_safetensors, write_safetensors)
        write(path, added_rows(read(path), arrays, after) if after else arrays)
        return path

    def save_sources(self, files: Mapping[str, bytes]) -> None:
        """Save the files of the user's own modules and tasks in the folder ``sources``, instead of those saved before.

        Args:
            files: path relative to ``sources``, with "/" between its parts -> content.
        Raises:
            RecordError: a path is not relative or leaves the folder.
        """
        self._expect_writing()
        write_sources(self.folder / "sources", files)

    def checkpoint_path(self, model: str, group: int = 0) -> Path:
        """Where the state of one group of a model's runs may be kept; write with ``atomic_write``."""
        path = self.folder / "checkpoints" / f"{self.slug(model)}.{group}.safetensors"
        with disk_trouble(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def has_checkpoints(self, model: str) -> bool:
        """Whether the state of any of a model's runs is kept."""
        return any((self.folder / "checkpoints").glob(f"{self.slug(model)}.*.safetensors"))

    def drop_checkpoints(self, model: str) -> None:
        """Remove the checkpoints of a model whose runs have all ended."""
        self._expect_writing()
        # A slug holds no dot, so one model's pattern cannot match the files of another.
        for path in (self.folder / "checkpoints").glob(f"{self.slug(model)}.*"):
            with disk_trouble(path):
                path.unlink(missing_ok=True)

    # ------------------------------------------------------------------ inner

    def _load_meta(self) -> None:
        rows = self._database.read("SELECT model, variant, swept, protocol FROM variants ORDER BY rowid")
        files = self._database.read("SELECT model, variant, file FROM variants ORDER BY rowid")
        self._files: dict[tuple[str, int], str] = {(model, variant): file for model, variant, file in files}
        self._slugs = slugs(model for model, _, _ in files)
        try:
            meta = read_meta(dict(self._database.read("SELECT key, value FROM meta")))
            self.study: dict[str, Any] = meta["study"]
            self.metrics: list[dict[str, Any]] = meta["metrics"]
            self.command: str = meta["command"]
            self.quick: bool = meta["quick"]
            self.models: tuple[str, ...] = tuple(model["name"] for model in self.study["models"])
            self.variants: tuple[Variant, ...] = of_study([variant_from_json(*row) for row in rows], self.models)
        except (KeyError, TypeError, ValueError) as error:
            raise RecordError(
                f"{self.folder / _DATABASE} is damaged: its description cannot be read ({error})."
            ) from error

    def _path(self, part: str, model: str, variant: int) -> Path:
        self._expect_variant(self._known(model), variant)
        return self.folder / part / f"{self._files[model, variant]}{ENDINGS[part]}"

    def _write(self) -> AbstractContextManager[sqlite3.Connection]:
        self._expect_writing()
        return self._database.transaction()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _expect_writing(self) -> None:
        if self._lock is None:
            raise RecordError(
                f"the record in {self.folder} was opened for reading; open it with write=True to change it."
            )

    def _known(self, model: str) -> str:
        if model not in self._slugs:
            raise RecordError(f"no model '{model}' in the record {self.folder}: {nearest(model, self.models)}")
        return model

    def _expect_variant(self, model: str, index: int) -> None:
        known = [variant.index for variant in self.variants if variant.model == model]
        if index not in known:
            raise RecordError(f"no variant {index!r} of '{model}' in the record {self.folder}: it has {len(known)}.")

    def _expect_metrics(self, row: RunRow) -> None:
        names = [metric["name"] for metric in self.metrics]
        for metric in row.scores:
            if metric not in names:
                raise RecordError(f"no metric '{metric}' in the record {self.folder}: {nearest(metric, names)}")

    def _expect_study(self, study: Mapping[str, Any]) -> None:
        found = study_differences(self.study, normal_json(study), self.meta(LEFT_OUT))
        if found:
            shown = [f"  - {line}" for line in found[:10]]
            if len(found) > len(shown):
                shown.append(f"  - and {len(found) - len(shown)} more")
            if all(line.startswith(("models[", "code of model ")) for line in found):
                shown.append(
                    "Or give each changed model a name of its own: it is then trained beside the recorded ones, which "
                    "are kept."
                )
            raise RecordError(
                "\n".join(
                    [
                        f"{self.folder} holds the record of another study. Choose another folder (--out DIR), remove "
                        "what is recorded there (--force), or undo:",
                        *shown,
                    ]
                )
            )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _json(value: Any) -> str:
    return json.dumps(normal_json(value))


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_write(path, "w") as file:
        json.dump(normal_json(content), file, indent=2, ensure_ascii=False)
        file.write("\n")


def _expect_free(folder: Path) -> None:
    if (folder / _DATABASE).exists():
        raise RecordError(f"{folder} already holds a record. Open it to go on, or choose another folder (--out DIR).")
    foreign = sorted(
        entry.name for entry in folder.iterdir() if entry.name not in _OURS and not entry.name.startswith(".")
    )
    if foreign:
        more = ", ..." if len(foreign) > 3 else ""
        raise RecordError(
            f"{folder} holds other files ({', '.join(foreign[:3])}{more}) and no record. "
            "Choose a new or empty folder (--out DIR)."
        )
