"""The SQLite side of a record: schema, connections, transactions.

Rollback journal and full sync, not write-ahead logging: between two transactions the record is one portable file,
it works on network folders, and a read-only copy can be read. A record commits a few times a second at most, so speed
is no argument.
Only committed rows count: a writer that is killed leaves a journal, and whoever opens the file next rolls it back.

The tables are described in docs/record.md.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tenfold.errors import RecordError
from tenfold.files import disk_trouble, is_file

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "Database", "create_database"]

SCHEMA_VERSION = 3
APPLICATION_ID = 0x10F01D  # says "a tenfold record" in the file's header
_BUSY_SECONDS = 30.0

# NULL in a value column is NaN: SQLite stores NaN as NULL. `variant` and `repeat` count from 0, `epoch` from 1.
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE variants (
    model TEXT NOT NULL, variant INTEGER NOT NULL, swept TEXT NOT NULL, protocol TEXT NOT NULL, label TEXT NOT NULL,
    file TEXT NOT NULL, PRIMARY KEY (model, variant)
);
CREATE TABLE plans (model TEXT PRIMARY KEY, plan TEXT NOT NULL);
CREATE TABLE runs (
    model TEXT NOT NULL, variant INTEGER NOT NULL, repeat INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('finished', 'diverged', 'stopped')),
    epochs INTEGER NOT NULL, best_epoch INTEGER, train_seconds REAL, peak_bytes INTEGER, message TEXT NOT NULL,
    PRIMARY KEY (model, variant, repeat), FOREIGN KEY (model, variant) REFERENCES variants
);
CREATE TABLE scores (
    model TEXT NOT NULL, variant INTEGER NOT NULL, repeat INTEGER NOT NULL, metric TEXT NOT NULL, value REAL,
    PRIMARY KEY (model, variant, repeat, metric), FOREIGN KEY (model, variant) REFERENCES variants
) WITHOUT ROWID;
CREATE TABLE series (
    id INTEGER PRIMARY KEY, model TEXT NOT NULL, variant INTEGER NOT NULL, repeat INTEGER NOT NULL,
    part TEXT NOT NULL, metric TEXT NOT NULL, UNIQUE (model, variant, repeat, part, metric),
    FOREIGN KEY (model, variant) REFERENCES variants
);
CREATE TABLE points (
    series INTEGER NOT NULL REFERENCES series, epoch INTEGER NOT NULL, value REAL, PRIMARY KEY (series, epoch)
) WITHOUT ROWID;
CREATE VIEW epochs AS
    SELECT model, variant, repeat, epoch, part, metric, value FROM points JOIN series ON points.series = series.id;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, time TEXT NOT NULL, kind TEXT NOT NULL, model TEXT NOT NULL, text TEXT NOT NULL
);
"""


def create_database(path: Path, meta: dict[str, str], variants: Iterable[tuple[str, int, str, str, str, str]]) -> None:
    """Write a new database that appears at ``path`` complete or not at all.

    Args:
        path: the file.
        meta: key -> value as JSON text.
        variants: rows of the table ``variants``.
    """
    temporary = path.with_name(f".{path.name}.new.tmp")
    with disk_trouble(path):
        temporary.unlink(missing_ok=True)
        connection = sqlite3.connect(temporary, isolation_level=None)
        try:
            connection.executescript(
                f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; BEGIN; {_SCHEMA}"
            )
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            connection.executemany("INSERT INTO variants VALUES (?, ?, ?, ?, ?, ?)", variants)
            connection.execute("COMMIT")
        finally:
            connection.close()
        temporary.replace(path)


class Database:
    """The open database of a record, checked to be one, undamaged, of a schema known here.

    Args:
        path: the file ``results.db``.
        write: False refuses every change through this object.
    Raises:
        RecordError: not there, damaged, of another program, or of another schema version.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        self._guard = threading.RLock()  # one connection, perhaps several threads
        if not is_file(path):
            raise RecordError(
                f"no record in {path.parent}: expected the file {path.name}. Start one with 'tenfold run'."
            )
        with disk_trouble(path):
            self._connection = _connect(path, write)
            try:
                _check(self._connection, path)
            except BaseException:
                self._connection.close()
                raise

    def read(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of one query."""
        with self._guard, disk_trouble(self.path):
            return self._connection.execute(query, values).fetchall()

    @contextlib.contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        """All of the block, or nothing: also when the block raises, the disk fills up or the process is killed."""
        with self._guard, disk_trouble(self.path):
            self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    if self._connection.in_transaction:  # on a full disk SQLite has rolled back by itself
                        self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file; harmless when called twice."""
        with self._guard:
            self._connection.close()


def _connect(path: Path, write: bool) -> sqlite3.Connection:
    # Also a reader opens read-write where it may: only so can it roll back what a killed writer left half done.
    mode = "rw" if write or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)) else "ro"
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
        check_same_thread=False,
    )
    connection.execute("PRAGMA foreign_keys = ON" if write else "PRAGMA query_only = ON")
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        raise RecordError(f"{path} is not the database of a tenfold record. Choose the folder of a study that was run.")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        older = "read it with the tenfold that wrote it, or run the study again in a new folder (--out DIR)"
        raise RecordError(
            f"{path} has record version {version}, but this tenfold reads version {SCHEMA_VERSION} only: "
            f"{'update tenfold to read it' if version > SCHEMA_VERSION else older}."
        )
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise RecordError(f"{path} is damaged ({verdict}). Restore it from a copy, or start again in a new folder.")
