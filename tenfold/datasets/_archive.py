"""Files inside a downloaded zip archive; every problem becomes a DataError."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tenfold.errors import DataError

__all__ = ["matches", "opened", "read_numbers"]


@contextmanager
def opened(path: Path, *, name: str) -> Iterator[zipfile.ZipFile]:
    """The archive of the data set ``name``; a problem with it or a file in it becomes a DataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    # SyntaxError is Pillow's, for images; RuntimeError is zipfile's, for a password.
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, SyntaxError, RuntimeError) as problem:
        raise DataError(f"{name}: {path.name} is damaged or something else ({problem})") from problem


def matches(archive: zipfile.ZipFile, pattern: re.Pattern[str], *, name: str) -> list[re.Match[str]]:
    """Where the pattern fits the names inside, in the order of the archive; at least one."""
    found = [match for inside in archive.namelist() if (match := pattern.search(inside))]
    if not found:
        raise DataError(f"{name}: {Path(archive.filename or '').name} holds no file like {pattern.pattern}")
    return found


def read_numbers(
    archive: zipfile.ZipFile,
    inside: str,
    columns: int,
    *,
    name: str,
    header: bool = False,
    delimiter: str | None = None,
) -> np.ndarray:
    """A text file of numbers as float64, shape (lines, columns).

    Args:
        header: the first line is not numbers.
        delimiter: between columns; None is any white space.
    Raises:
        DataError: if a value is not a finite number, or a line has another number of columns.
    """
    try:
        lines = archive.read(inside).decode("ascii").splitlines()[int(header) :]
        # loadtxt warns where there is nothing to read
        table = np.loadtxt(lines, ndmin=2, delimiter=delimiter, comments=None) if any(lines) else np.empty((0, columns))
    except ValueError as problem:
        raise DataError(f"{name}: {inside}: {problem}") from problem
    if len(table) == 0 or table.shape[1] != columns:
        raise DataError(f"{name}: {inside}: expected lines of {columns} numbers, got a table of {table.shape}")
    if not np.isfinite(table).all():
        line, column = np.argwhere(~np.isfinite(table))[0]
        raise DataError(
            f"{name}: {inside}: values must be finite; line {line + 1 + header}, column {column + 1} holds "
            f"{table[line, column]}"
        )
    return table
