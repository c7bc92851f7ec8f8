"""A table that is read in chunks of rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tenfold.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Table", "Unreadable", "rows_at_once"]

_VALUES_AT_ONCE = 400_000  # 3 MB as float64, of which pandas makes about ten times as much while it reads


class Unreadable(DataError):
    """A file that cannot be read as a table: what ``unreadable="skip"`` leaves out."""


class Table(ABC):
    """A file with named columns.

    Attributes:
        path: the file.
        names: of all columns, in the order of the file; empty where a column has none.
        numeric: for each column whether it holds numbers, judged from its first values; None where those are missing.
        units: what the file says of the unit of a column, by its name.
        remarks: what was detected about the file's form that a reader should know; complete when all rows are read.
    """

    path: Path
    names: tuple[str, ...]
    numeric: tuple[bool | None, ...]
    units: Mapping[str, str] = MappingProxyType({})
    remarks: tuple[str, ...] = ()

    @abstractmethod
    def chunks(
        self, numbers: Sequence[str], texts: Sequence[str], *, at_once: int | None = None
    ) -> Generator[pd.DataFrame, None, None]:
        """Rows in order, with these columns under their names; ``texts`` are not to be taken for numbers.

        ``at_once`` is the number of values in a chunk, 400 000 by default.

        Raises:
            Unreadable: if the file is damaged or a row has too many fields.
        """

    def place(self, row: int) -> str:
        """Where a row is, for a message."""
        return f"row {row}"


def rows_at_once(at_once: int | None, n_columns: int) -> int:
    """Rows of a chunk that is to hold so many values."""
    return max(1000, (at_once or _VALUES_AT_ONCE) // n_columns)
