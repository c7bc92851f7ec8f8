"""Tables as text (CSV): encoding, names, delimiter and decimal mark are detected from the beginning of a file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Generator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.datasets._table import Table, Unreadable, rows_at_once

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HEAD_BYTES", "NO_VALUE", "NUMBER", "TextTable"]

HEAD_BYTES = 65536
_HEAD_ROWS = 100
_DELIMITERS = ("\t", ";", ",", " ")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?|nan", re.IGNORECASE)
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
NO_VALUE = ["", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "-NaN", "-nan", "null", "NULL", "None", "none"]


class TextTable(Table):
    """A text file with a line of names.

    Args:
        path: the file.
        head: its first ``HEAD_BYTES`` bytes.
        delimiter: between two fields; None to find it.
    Raises:
        Unreadable: if it is not text, has no names or no rows, or one column with a delimiter that others would cut.
    """

    def __init__(self, path: Path, head: bytes, delimiter: str | None) -> None:
        self.path = path
        text, self._encoding = _decoded(path, head)
        lines = re.split(r"\r\n|\n|\r", text)
        if len(head) == HEAD_BYTES and len(lines) > 1:
            lines.pop()  # most likely cut in the middle
        self._header = _header_line(lines)
        below = [line for line in lines[self._header + 1 :] if line.strip()][:_HEAD_ROWS]
        # numpy.savetxt puts a # before the names.
        header = lines[self._header].strip(" \ufeff").removeprefix("#")
        if not below:
            raise Unreadable(f"{path}: no rows below the line of names '{_short(header)}'")
        self._delimiter = _delimiter_of(path, header, below, delimiter)
        self.names = tuple(name.strip() for name in _split(header, self._delimiter))
        rows = [_split(line, self._delimiter) for line in below]
        if all(NUMBER.fullmatch(name) for name in self.names):
            raise Unreadable(
                f"{path}: line {self._header + 1} holds numbers where the names of the columns are expected "
                f"('{_short(header)}'); put a line of names above it"
            )
        fields = [field.strip() for row in rows for field in row]
        commas = self._delimiter != "," and any(_COMMA_NUMBER.fullmatch(field) for field in fields)
        points = any("." in field and NUMBER.fullmatch(field) for field in fields)
        self._decimal = "," if commas and not points else "."
        if self._decimal == ",":
            self.remarks = ("decimal commas",)
        self.numeric = tuple(self._are_numbers([row[place] for row in rows if place < len(row)]) for place in self._all)

    @property
    def _all(self) -> range:
        return range(len(self.names))

    def _are_numbers(self, fields: list[str]) -> bool | None:
        """At least half: one wrong value in a column of numbers must be reported, not make it a column of text."""
        values = [field.strip().replace(self._decimal, ".") for field in fields if field.strip() not in NO_VALUE]
        return 2 * sum(bool(NUMBER.fullmatch(value)) for value in values) >= len(values) if values else None

    def chunks(
        self, numbers: Sequence[str], texts: Sequence[str], *, at_once: int | None = None
    ) -> Generator[pd.DataFrame, None, None]:
        import pandas as pd

        used = {name: str(self.names.index(name)) for name in (*numbers, *texts)}
        more = str(len(self.names))  # pandas ignores fields beyond the header; this column catches them
        if self._delimiter == " ":
            separator, first = r"\s+", " ".join(map(str, range(len(self.names) + 1)))
        else:
            separator, first = self._delimiter, self._delimiter.join(map(str, range(len(self.names) + 1)))
        first_row = 0
        try:
            with self.path.open(encoding=self._encoding, newline=None) as file:
                for _ in range(self._header + 1):
                    file.readline()
                reader = pd.read_csv(
                    _Headed(first + "\n", file),  # pyright: ignore[reportArgumentType]: pandas only calls read
                    sep=separator,
                    decimal=self._decimal,
                    usecols=[*used.values(), more],
                    dtype={used[name]: str for name in texts},
                    index_col=False,
                    keep_default_na=False,
                    na_values=dict.fromkeys([*(used[name] for name in numbers), more], NO_VALUE),
                    skipinitialspace=True,
                    low_memory=False,
                    chunksize=rows_at_once(at_once, len(self.names) + 1),
                )
                with reader:
                    for frame in reader:
                        over = np.flatnonzero(frame[more].notna())
                        if len(over):
                            raise Unreadable(
                                f"{self.path}: {self.place(first_row + int(over[0]))} has more fields than the line of "
                                f"names, which has {len(self.names)}"
                            )
                        first_row += len(frame)
                        yield frame[list(used.values())].set_axis(list(used), axis=1)
        except (UnicodeDecodeError, pd.errors.ParserError, csv.Error) as problem:
            raise Unreadable(f"{self.path}: damaged after row {first_row} ({problem})") from problem

    def place(self, row: int) -> str:
        """The line of a row. Counted only for a message: counting while reading would slow every file down."""
        delimiter = self._delimiter
        with self.path.open(encoding=self._encoding, errors="replace", newline=None) as file:
            for _ in range(self._header + 1):
                file.readline()
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            rows = (
                reader.line_num
                for fields in reader
                if any(field.strip() for field in fields) or (len(fields) > 1 and delimiter != " ")
            )
            line = next(islice(rows, row, None), None)
        return f"row {row}" if line is None else f"line {self._header + 1 + line}"


class _Headed(io.TextIOBase):
    """An open file, with a line put before it."""

    def __init__(self, line: str, file: io.TextIOBase | Any) -> None:
        self._line, self._file = line, file

    def read(self, size: int | None = -1, /) -> str:
        line, self._line = self._line, ""
        return line or self._file.read(size)

    def readable(self) -> bool:
        return True


def _decoded(path: Path, head: bytes) -> tuple[str, str]:
    """The beginning of a text file and its encoding."""
    kinds = {b"PK\x03\x04": "a ZIP archive (perhaps .xlsx or .npz)", b"PAR1": "a Parquet file", b"\x1f\x8b": "gzip"}
    for start, kind in kinds.items():
        if head.startswith(start):
            raise Unreadable(f"{path}: not text but {kind}; expected a table with a line of names")
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = io.TextIOWrapper(io.BytesIO(head), encoding=encoding, newline="").read()
    except UnicodeDecodeError as problem:
        # A character of several bytes may be cut at the end; anything else is not UTF-8.
        cut = len(head) == HEAD_BYTES and problem.start >= len(head) - 4
        encoding = encoding if cut else "cp1252"
        text = head.decode(encoding, "replace")
    control = re.search(r"[\x00-\x08\x0e-\x1f\ufffd]", text.rstrip("\ufffd"))
    if control:
        raise Unreadable(f"{path}: not a text file (it holds the byte or character {control[0]!r})")
    return text, encoding


def _header_line(lines: list[str]) -> int:
    """Index of the line of names: the first that is neither empty nor a comment, or a comment above numbers."""
    comment = None
    for place, line in enumerate(lines):
        if line.strip(" \ufeff").startswith("#"):
            comment = place
        elif line.strip():
            fields = re.split(r"[\s;,]+", line.strip(" ;,\t"))
            names = comment is not None and all(NUMBER.fullmatch(field) for field in fields)
            return comment if names and comment is not None else place
    return comment or 0


def _split(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return next(csv.reader([" ".join(line.split())], delimiter=" "), [])
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])


def _delimiter_of(path: Path, header: str, below: list[str], given: str | None) -> str:
    """The delimiter: the one given, or the first that cuts the header and the next lines into equally many fields."""
    widths = {each: len(_split(header, each)) for each in _DELIMITERS}
    several = [each for each in _DELIMITERS if widths[each] > 1]
    if given is not None:
        if len(_split(header, given)) == 1 and several:
            raise Unreadable(
                f"{path}: one column found with the delimiter {given!r}: '{_short(header)}'; expected {several[0]!r}? "
                "Leave delimiter out to have it found"
            )
        return given
    for each in several:
        # Lines may end in a delimiter that the header does not have.
        if all(len(_split(line.rstrip(each), each)) <= widths[each] and each in line for line in below[:5]):
            return each
    return several[0] if several else ","


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
