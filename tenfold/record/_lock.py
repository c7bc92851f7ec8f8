"""One writer per folder. The operating system holds the lock, so it is free again however the writer ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from pathlib import Path

from tenfold.errors import RecordError
from tenfold.files import disk_trouble

__all__ = ["FolderLock"]

# The locked byte on Windows, far behind the text, because others cannot read a locked range there.
_FAR = 1 << 30
_held: set[int] = set()
_hooked = False


class FolderLock:
    """A lock on ``path``, taken on construction, released by ``release`` or by the end of the process.

    A file that merely exists would outlive ``kill -9``; ``flock`` (``msvcrt.locking`` on Windows) does not.
    The file holds the owner's pid and host so that a second process can name them. Its content alone means nothing.

    Args:
        path: the lock file; made when missing, never deleted (deleting it would open a race).
    Raises:
        RecordError: another process holds it (named with pid and host), or the file system has no locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk_trouble(path):
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            self._take(self._descriptor)
            with disk_trouble(path):
                owner = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
                os.ftruncate(self._descriptor, 0)
                os.lseek(self._descriptor, 0, os.SEEK_SET)
                os.write(self._descriptor, owner)
        except BaseException:
            os.close(self._descriptor)
            self._descriptor = None
            raise
        _held.add(self._descriptor)
        _close_in_forked_children()

    def _take(self, descriptor: int) -> None:
        try:
            _lock(descriptor)
        except BlockingIOError as error:
            raise RecordError(_owner_in_words(self.path)) from error
        except OSError as error:
            raise RecordError(
                f"cannot lock {self.path}: {error.strerror or error}. "
                "The file system seems to have no locks; choose a folder on a local disk (--out DIR)."
            ) from error

    def release(self) -> None:
        """Release the lock; harmless when called twice."""
        if self._descriptor is None:
            return
        _held.discard(self._descriptor)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        self._descriptor = None


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:  # what Windows says for "held by another"
            raise BlockingIOError(*error.args) from error
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _owner_in_words(path: Path) -> str:
    for _ in range(20):  # the owner may have locked a moment ago and not yet written its name
        with contextlib.suppress(OSError, ValueError):
            owner = json.loads(path.read_text())
            return (
                f"{path.parent} is in use by another process (pid {owner['pid']} on {owner['host']}). "
                "Wait until it has finished, or choose another folder (--out DIR)."
            )
        time.sleep(0.02)
    return f"{path.parent} is in use by another process. Wait until it has finished, or choose another folder."


def _close_in_forked_children() -> None:
    """A forked worker must not keep the lock when its parent is killed. Closing does not unlock for the parent."""
    global _hooked
    if _hooked or not hasattr(os, "register_at_fork"):
        return

    def close_all() -> None:
        for descriptor in _held:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        _held.clear()

    os.register_at_fork(after_in_child=close_all)
    _hooked = True
