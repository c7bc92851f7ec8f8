"""Files of text as characters: compression, encoding, and what loggers put behind the last line."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tenfold.datasets._table import Unreadable

__all__ = ["COMPRESSED", "DAMAGED", "HEAD_BYTES", "TextStream", "decoded", "open_bytes"]

HEAD_BYTES = 65536
COMPRESSED: dict[str, Callable[[Path], Any]] = {
    ".gz": lambda path: gzip.open(path, "rb"),
    ".bz2": lambda path: bz2.open(path, "rb"),
    ".xz": lambda path: lzma.open(path, "rb"),
}
"""Second endings of text files, as in .csv.gz, and how they are opened."""
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
"""What reading a damaged compressed file raises."""

_KINDS = {
    b"PK\x03\x04": "a ZIP archive (perhaps .xlsx or .npz)",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "gzip",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls)",
    b"\x89HDF": "an HDF5 file",
    b"MATLAB": "a MATLAB file",
}
_FILLS = "\x00\x1a"  # NUL of loggers that lost power, and the end mark of DOS
_OTHER_CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1f\ufffd]")
_END_OF_LINE = re.compile(r"\r\n|\n|\r")


def open_bytes(path: Path) -> Any:
    """A file, unpacked where its last ending says so."""
    return COMPRESSED.get(path.suffix.lower(), lambda path: path.open("rb"))(path)


def decoded(path: Path, head: bytes) -> tuple[list[str], str]:
    """The first lines of a text file, without one that is cut, and its encoding.

    Args:
        path: for messages.
        head: its first ``HEAD_BYTES`` bytes, unpacked.
    Raises:
        Unreadable: if they are not text.
    """
    for start, kind in _KINDS.items():
        if head.startswith(start):
            advice = "; save the sheet as CSV (UTF-8)" if "xls" in kind else ""
            raise Unreadable(f"{path}: not text but {kind}; expected a table with a line of names{advice}")
    encoding, more = _encoding(head), len(head) == HEAD_BYTES
    try:
        text = io.TextIOWrapper(io.BytesIO(head), encoding=encoding, newline="").read()
    except UnicodeDecodeError as problem:
        # A character of several bytes may be cut at the end; anything else is not UTF-8.
        cut = more and problem.start >= len(head) - 4
        encoding = encoding if cut else "cp1252"
        text = head.decode(encoding, "replace")
    text = text.rstrip("\ufffd" if more else "")
    kept = text.rstrip(_FILLS)
    control = re.search(r"[\x00-\x08\x0e-\x1f\ufffd]", kept)
    if control:
        line = len(_END_OF_LINE.findall(kept[: control.start()])) + 1
        if control[0] == "\x00" and not _OTHER_CONTROLS.search(kept):
            raise _filled_inside(path, line, "NUL")
        raise Unreadable(f"{path}: not a text file (line {line} holds the byte or character {control[0]!r})")
    lines = _END_OF_LINE.split(kept)
    # The last line is most likely cut in the middle, by the end of the head or by what fills the file up.
    if len(lines) > 1 and (more or "\x00" in text[len(kept) :]):
        lines.pop()
    if not any(line.strip(" \t\ufeff") for line in lines):
        raise Unreadable(f"{path}: the file holds no text, only empty lines{' and NUL characters' * (kept != text)}")
    return lines, encoding


def _encoding(head: bytes) -> str:
    """The encoding by a byte order mark, or by zeros in every second byte."""
    for marks, name in (((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"), "utf-32"), ((b"\xff\xfe", b"\xfe\xff"), "utf-16")):
        if head.startswith(marks):
            return name
    start = head[:1000]
    even, odd = start[::2], start[1::2]
    for zeros, others, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if len(start) > 3 and zeros.count(0) > 0.9 * len(zeros) and others.count(0) < 0.1 * len(others):
            return name
    return "utf-8-sig"


def _filled_inside(path: Path, line: int, what: str) -> Unreadable:
    return Unreadable(
        f"{path}: line {line} holds {what} characters with more text behind them, as a logger leaves them that lost "
        "power; delete them, with the line that they cut off"
    )


class TextStream(io.TextIOBase):
    """Text for pandas to read: with a line put before it, and without what fills the file up behind its last line.

    NUL characters at the end are left out, with the line that they cut off. Anywhere else they are refused: joining
    what is on both sides of them could make another number.

    Args:
        path: for messages.
        file: open at the first row.
        first: the line to put before it.
        n_lines: lines before the first row.
    Attributes:
        cut_off: whether a line was left out that NUL characters cut off.
        filled: whether NUL characters were left out.
    """

    def __init__(self, path: Path, file: Any, first: str, n_lines: int) -> None:
        self._path, self._file, self._rest, self._line = path, file, first, n_lines
        self.cut_off = self.filled = False

    def read(self, size: int | None = -1, /) -> str:
        """Whole lines, more or fewer than ``size`` characters; "" at the end."""
        while not self.filled:
            more = self._file.read(size)
            text = self._rest + more
            if "\x00" in more or "\x1a" in more:
                return self._without_fill(text)
            end = text.rfind("\n") + 1 if more else len(text)
            self._rest = text[end:]
            if text[:end] or not more:
                self._line += text.count("\n", 0, end)
                return text[:end]
        return ""

    def _without_fill(self, text: str) -> str:
        end = min(place for place in map(text.find, _FILLS) if place >= 0)
        nul, line = text[end] == "\x00", self._line + text.count("\n", 0, end)
        rest = text[end:]
        while rest:
            if rest.strip(_FILLS + "\r\n \t"):
                raise _filled_inside(self._path, line, "NUL" if nul else "Ctrl-Z")
            rest = self._file.read(1 << 16)
        self.filled, whole = True, text.rfind("\n", 0, end) + 1
        self.cut_off = nul and bool(text[whole:end].strip())
        return text[: whole if nul else end]

    def readable(self) -> bool:
        return True
