"""Atomic writing of files, and clear messages for disk errors. Shared by everything that writes."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tenfold.errors import RecordError

__all__ = ["atomic_write", "disk_trouble", "is_file", "remove_leftovers"]

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_TEMPORARY = re.compile(r"^\..+\.tmp$")


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file for writing that appears at ``path`` complete, or not at all.

    The bytes go to a temporary file in the same folder, which is synced to disk and renamed to ``path`` when the block
    ends without an error. If the process is killed before that, an earlier file at ``path`` is unchanged.

    Args:
        path: of the file; its folder is created if it is missing.
        mode: "wb" or "w" (UTF-8, line ends as given).
    Yields:
        The open temporary file; its ``.name`` may be given to code that writes to a path.
    Raises:
        RecordError: if the disk is full, the folder cannot be written, or the file system reports another error.
    Example:
        >>> import tempfile; folder = Path(tempfile.mkdtemp())
        >>> with atomic_write(folder / "a.txt", "w") as file: _ = file.write("whole")
        >>> (folder / "a.txt").read_text()
        'whole'
    """
    path = Path(path)
    # A file name that is no text in the user's encoding, in a command for instance, must not end the writing.
    encoding, newline, errors = (None, None, None) if "b" in mode else ("utf-8", "", "backslashreplace")
    with disk_trouble(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not tempfile: its files are readable by the owner only, and this file is kept.
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open(mode.replace("w", "x"), encoding=encoding, newline=newline, errors=errors) as file:
                yield file
                file.flush()
            _sync(temporary)
            temporary.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def _sync(path: Path) -> None:
    # By path, not by the yielded file: code that writes to the path may have replaced the file.
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the renaming durable. Windows has no such call."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # some network file systems refuse; the rename is atomic anyway
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of a writer that was killed. Call only while holding the folder's lock."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if _TEMPORARY.match(entry.name) and entry.is_file():
            with contextlib.suppress(OSError):
                entry.unlink()


def is_file(path: Path) -> bool:
    """Whether there is a file.

    Raises:
        RecordError: if that cannot be found out, as in a folder that may not be looked into.
    """
    try:
        return path.is_file()
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}.") from error


@contextlib.contextmanager
def disk_trouble(path: Path) -> Iterator[None]:
    """Raise an error of the file system or of SQLite as a RecordError that says what to do."""
    try:
        yield
    except RecordError:
        raise
    except OSError as error:
        raise RecordError(_explained(path, error)) from error
    except sqlite3.Error as error:
        raise RecordError(_database_explained(path, error)) from error


def _explained(path: Path, error: OSError) -> str:
    if error.errno in _FULL:
        return f"cannot write {path}: the disk is full. What was saved before is intact; free some space and run again."
    if error.errno in _CLOSED:
        return (
            f"cannot write {path}: {error.strerror or error}. "
            "Choose a folder that can be written (--out DIR), or change its permissions."
        )
    return f"cannot write {path}: {error.strerror or error}."


def _database_explained(path: Path, error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return (
            f"cannot write {path}: the disk is full or failing ({error}). "
            "What was committed before is intact; free some space and run again."
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return f"cannot open {path} for writing ({error}). Choose a folder that can be written (--out DIR)."
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"{path} is in use by another program ({error}). Close it and run again."
    return (
        f"{path} is damaged or not a tenfold record ({error}). Restore it from a copy, or start again in a new folder."
    )
