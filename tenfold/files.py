"""Files that are either whole or not there, and disk trouble said in words. Shared by all that write."""

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

__all__ = ["atomic_write", "disk_trouble", "remove_leftovers"]

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_TEMPORARY = re.compile(r"^\..+\.tmp$")


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file for writing that appears at ``path`` whole, or not at all.

    The bytes go to a temporary file in the same folder, which is synced to disk and renamed over ``path``
    when the block ends without an error. Killed in the middle, the earlier file is still there.

    Args:
        path: where the file shall be; its folder is made when missing.
        mode: "wb" or "w" (UTF-8, line ends as given).
    Yields:
        The open temporary file; its ``.name`` may be handed to code that wants to write by name.
    Raises:
        RecordError: the disk is full, the folder cannot be written, or another error of the file system.
    Example:
        >>> import tempfile; folder = Path(tempfile.mkdtemp())
        >>> with atomic_write(folder / "a.txt", "w") as file: _ = file.write("whole")
        >>> (folder / "a.txt").read_text()
        'whole'
    """
    path = Path(path)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
    with disk_trouble(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not tempfile: its files are readable by their owner only, and this one stays.
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open(mode.replace("w", "x"), encoding=encoding, newline=newline) as file:
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
    # By name and not by the yielded file: a writer by name may have replaced what that file points to.
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself durable. Windows has no such call."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # some network file systems refuse; the rename is atomic all the same
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


@contextlib.contextmanager
def disk_trouble(path: Path) -> Iterator[None]:
    """Turn an error of the file system or of SQLite into a RecordError that says what to do."""
    try:
        yield
    except RecordError:
        raise
    except OSError as error:
        raise RecordError(_in_words(path, error)) from error
    except sqlite3.Error as error:
        raise RecordError(_database_in_words(path, error)) from error


def _in_words(path: Path, error: OSError) -> str:
    if error.errno in _FULL:
        return f"cannot write {path}: the disk is full. What was saved before is intact; free some space and run again."
    if error.errno in _CLOSED:
        return (
            f"cannot write {path}: {error.strerror or error}. "
            "Choose a folder that can be written (--out DIR), or change its rights."
        )
    return f"cannot write {path}: {error.strerror or error}."


def _database_in_words(path: Path, error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return (
            f"cannot write {path}: the disk is full or failing ({error}). "
            "What was committed before is intact; free some space and run again."
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return f"cannot open {path} for writing ({error}). Choose a folder that can be written (--out DIR)."
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"{path} is held by another program ({error}). Close it and run again."
    return f"{path} is damaged or no tenfold record ({error}). Restore it from a copy, or start again in a new folder."
