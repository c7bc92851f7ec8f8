"""Standard streams that a command can always write to: closed, on a full disk, or without a reader."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import Any, TextIO

__all__ = ["safe_streams"]


@contextlib.contextmanager
def safe_streams() -> Iterator[None]:
    """Within the block, writing to stdout or stderr never fails, whoever writes; what cannot be written is discarded.

    A closed stream (``>&-``) becomes ``os.devnull``: else the next file that is opened gets its number, and what is
    meant for the screen may go into that file. A stream that someone has replaced, as tests do, stays as it is. Where
    the reader of a pipe has gone (``| head``), that is no error.

    Raises:
        SystemExit: with code 1 and a line on stderr, where the block ends with code 0 and text was lost.
    """
    _open_closed()
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    files = {name: _SafeFile(number, "wb", closefd=False) for number, name in enumerate(before, 1) if _is_own(name)}
    for name, file in files.items():
        setattr(sys, name, _text(file, like=before[name], line_buffering=name == "stderr" or file.isatty()))
    try:
        yield
    except SystemExit as end:
        problem = _lost(files.get("stdout"))
        if problem is None or end.code:
            raise
        print(
            f"Error: cannot write to stdout: {problem}. Text is lost, files that were made are kept.", file=sys.stderr
        )
        raise SystemExit(1) from None
    finally:
        for name in files:
            getattr(sys, name).flush()
            setattr(sys, name, before[name])


def _lost(file: _SafeFile | None) -> str | None:
    """Why writing to stdout has failed; None where it has not."""
    sys.stdout.flush()
    failure = None if file is None else file.failure
    return None if failure is None or failure.errno == errno.EPIPE else failure.strerror


class _SafeFile(io.FileIO):
    """An open file that keeps the first failure of writing instead of raising it, and writes nothing more."""

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        size = memoryview(data).nbytes
        if self.failure is not None:
            return size
        try:
            # None where the other side of a stream that does not block (some terminals) is not yet ready for more.
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            self.failure = error
            return size
        return written


def _open_closed() -> None:
    """Open what is closed of the numbers 0, 1 and 2, in this order: the lowest free number is taken."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _is_own(name: str) -> bool:
    return getattr(sys, name) is getattr(sys, f"__{name}__")


def _text(file: io.FileIO, *, like: TextIO | None, line_buffering: bool) -> io.TextIOWrapper:
    """Text for a file; a character that it cannot hold is written as its number instead of ending a long study."""
    encoding = "utf-8" if like is None else like.encoding
    writer = io.BufferedWriter(file)
    return io.TextIOWrapper(writer, encoding=encoding, errors="backslashreplace", line_buffering=line_buffering)
