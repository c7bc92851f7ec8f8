"""The folder ``sources``: files of the user's own modules and tasks, replaced as a whole."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from tenfold.errors import RecordError
from tenfold.files import atomic_write, disk_trouble

__all__ = ["recover_sources", "write_sources"]

_NEW, _OLD = ".sources.new.tmp", ".sources.old.tmp"


def write_sources(target: Path, files: Mapping[str, bytes]) -> None:
    """Replace the folder ``target`` by one that holds these files.

    Args:
        target: the folder; made when missing, and left missing where there are no files.
        files: path relative to the folder, with "/" between its parts -> content.
    Raises:
        RecordError: a path is not relative or leaves the folder, or the files cannot be written.
    """
    for name in files:
        _expect_inside(name)
    if not files and not target.exists():
        return
    new, old = target.with_name(_NEW), target.with_name(_OLD)
    with disk_trouble(target):
        for folder in (new, old):
            shutil.rmtree(folder, ignore_errors=True)
        new.mkdir()
        for name, content in files.items():
            with atomic_write(new / name) as file:
                file.write(content)
        if target.exists():
            target.rename(old)
        new.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def recover_sources(target: Path) -> None:
    """Undo a replacement that was killed half way. Call only while holding the folder's lock."""
    new, old = target.with_name(_NEW), target.with_name(_OLD)
    with disk_trouble(target):
        if old.is_dir() and not target.exists():
            old.rename(target)
    for folder in (new, old):
        shutil.rmtree(folder, ignore_errors=True)


def _expect_inside(name: str) -> None:
    path, windows = PurePosixPath(name), PureWindowsPath(name)
    # On Windows also "C:x" and "\\x" leave the folder; a record may be read on another system.
    if not path.parts or path.is_absolute() or windows.drive or windows.root or ".." in (*path.parts, *windows.parts):
        raise RecordError(f"cannot keep the source file '{name}': expected a relative path that stays in its folder.")
