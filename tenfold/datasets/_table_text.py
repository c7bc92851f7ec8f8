"""Tables as text (CSV), read in chunks."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tenfold.datasets._table import Table, Unreadable, rows_at_once
from tenfold.datasets._text_bytes import DAMAGED, TextStream, decoded, open_bytes
from tenfold.datasets._text_head import NO_VALUE, head_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TextTable"]


class TextTable(Table):
    """A text file with a line of names.

    Args:
        path: the file.
        head: its first ``HEAD_BYTES`` bytes, unpacked.
        delimiter: between two fields; None to find it.
        wanted: names of columns that are used, by which the line of names is found.
    Raises:
        Unreadable: if it is not text, has no names or no rows, or one column with a delimiter that others would cut.
    """

    def __init__(self, path: Path, head: bytes, delimiter: str | None, wanted: Sequence[str]) -> None:
        self.path = path
        lines, self._encoding = decoded(path, head)
        found = head_of(path, lines, delimiter=delimiter, wanted=wanted)
        self._delimiter, self._decimal, self._n_lines = found.delimiter, found.decimal, found.n_lines
        self.names, self.numeric, self.units, self.remarks = found.names, found.numeric, found.units, found.remarks

    def _open(self, errors: str = "strict") -> io.TextIOWrapper:
        """The file, at its first row."""
        file = io.TextIOWrapper(open_bytes(self.path), encoding=self._encoding, errors=errors, newline=None)
        for _ in range(self._n_lines):
            file.readline()
        return file

    def chunks(
        self, numbers: Sequence[str], texts: Sequence[str], *, at_once: int | None = None
    ) -> Generator[pd.DataFrame, None, None]:
        import pandas as pd

        used = {name: str(self.names.index(name)) for name in (*numbers, *texts)}
        more = str(len(self.names))  # pandas ignores fields beyond the header; this column catches them
        separator = r"\s+" if self._delimiter == " " else self._delimiter
        first = self._delimiter.join(map(str, range(len(self.names) + 1)))
        first_row = 0
        try:
            with self._open() as file:
                stream = TextStream(self.path, file, first + "\n", self._n_lines)
                reader = pd.read_csv(
                    stream,  # pyright: ignore[reportArgumentType]: pandas only calls read
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
                                f"names, which has {len(self.names)}; name every column, and quote fields that hold "
                                f"the delimiter {self._delimiter!r}"
                            )
                        first_row += len(frame)
                        yield frame[list(used.values())].set_axis(list(used), axis=1)
        except UnicodeDecodeError as problem:
            raise Unreadable(
                f"{self.path}: after row {first_row} it is not {self._encoding.removesuffix('-sig').upper()}, as its "
                f"beginning is ({problem.reason}); save it as UTF-8"
            ) from problem
        except (pd.errors.ParserError, csv.Error, OSError, *DAMAGED) as problem:
            raise Unreadable(f"{self.path}: damaged after row {first_row} ({problem})") from problem
        if stream.cut_off:
            self.remarks += ("a last line that NUL characters cut off, left out",)
        elif stream.filled:
            self.remarks += ("NUL or Ctrl-Z characters behind the last line, left out",)

    def place(self, row: int) -> str:
        """The line of a row. Counted only for a message: counting while reading would slow every file down."""
        delimiter = self._delimiter
        with self._open(errors="replace") as file:
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            rows = (
                reader.line_num
                for fields in reader
                if any(field.strip() for field in fields) or (len(fields) > 1 and delimiter != " ")
            )
            line = next(islice(rows, row, None), None)
        return f"row {row}" if line is None else f"line {self._n_lines + line}"
