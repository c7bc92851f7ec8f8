"""Columns of a table as what they stand for: names, numbers, and seconds."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.datasets._table import Table, Unreadable
from tenfold.datasets._table_text import NUMBER
from tenfold.datasets._values import natural_order

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Names", "numbers_of", "seconds_of"]

_LATEST_SECONDS = 1e11  # the year 5138
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass
class Names:
    """Numbers names in the order in which they occur.

    Example:
        >>> names = Names()
        >>> [names.code(name) for name in ("10", "9", "10")]
        [0, 1, 0]
        >>> names.sorted(np.array([0, 1, 0]))
        (array([1, 0, 1]), ('9', '10'))
    """

    known: dict[str, int] = field(default_factory=dict)

    def code(self, name: str) -> int:
        return self.known.setdefault(name, len(self.known))

    def codes(self, column: pd.Series) -> np.ndarray:
        """Shape (rows,), int64; -1 where there is none."""
        import pandas as pd

        numbers, found = pd.factorize(column)
        of_found = [-1 if name is None else self.code(name) for name in map(_name, found)]
        return np.array([*of_found, -1], np.int64)[numbers]  # what is missing has the number -1, which is the last

    def sorted(self, codes: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """Codes that count into names in order, and these names; without any that no code is of."""
        by_code = list(self.known)
        used = [by_code[code] for code in np.unique(codes)]
        names = sorted(used, key=_order(used))
        place = np.zeros(len(by_code), np.int64)
        place[[self.known[name] for name in names]] = np.arange(len(names))
        return place[codes], tuple(names)


def _name(value: object) -> str | None:
    """A label as text: integers without the .0 that a missing value elsewhere in the column gives them."""
    text = str(value).strip()
    whole = re.fullmatch(r"([+-]?\d+)\.0+", text)
    return (whole[1] if whole else text) or None


def _order(names: Sequence[str]) -> Callable[[str], tuple]:
    """A sorting key: by number where all are numbers."""
    try:
        numbers = {name: float(name) for name in names}
    except ValueError:
        return natural_order
    # NaN has no order; "nan" is then a name like others.
    return natural_order if any(map(math.isnan, numbers.values())) else lambda name: (numbers[name], name)


def numbers_of(table: Table, frame: pd.DataFrame, columns: Sequence[str], *, first_row: int) -> np.ndarray:
    """Columns as float32, shape (rows, columns), NaN where missing; ``first_row`` is that of the chunk in the file.

    Raises:
        Unreadable: for text or a value too large, with its place.
    """
    values = np.empty((len(frame), len(columns)), np.float32)
    for channel, name in enumerate(columns):
        column: Any = frame[name]
        exact = _floats(table, column, first_row)
        with np.errstate(over="ignore"):
            values[:, channel] = exact
        over = np.flatnonzero(np.isinf(values[:, channel]))
        if len(over):
            raise Unreadable(
                f"{table.path}: {table.place(first_row + int(over[0]))}: column '{name}' holds {exact[over[0]]:g}; "
                "expected a number that float32 can hold"
            )
    return values


def seconds_of(table: Table, column: pd.Series, *, unit: str, first_row: int) -> np.ndarray:
    """A column of time as float64, shape (rows,), seconds from any beginning; NaN where missing.

    Raises:
        Unreadable: for text that is not a time, with its place, or a number that cannot be a time in this unit.
    """
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column):
        return _since_1970(column)
    if pd.api.types.is_timedelta64_dtype(column):
        return column.dt.total_seconds().to_numpy(np.float64)
    if _is_text(column):
        given = column.dropna()
        if len(given) and not NUMBER.fullmatch(str(given.iloc[0]).strip()):
            return _dates(table, column, first_row)
    seconds = _floats(table, column, first_row) * _UNITS[unit]
    wrong = np.flatnonzero(np.abs(seconds) > _LATEST_SECONDS)
    if len(wrong):
        raise Unreadable(
            f"{table.path}: {table.place(first_row + int(wrong[0]))}: time '{column.name}' would be "
            f"{seconds[wrong[0]]:g} seconds; say its unit: time_unit = 'ms', 'us' or 'ns'"
        )
    return seconds


def _is_text(column: pd.Series) -> bool:
    import pandas as pd

    return pd.api.types.is_string_dtype(column) or pd.api.types.is_object_dtype(column)


def _floats(table: Table, column: pd.Series, first_row: int) -> np.ndarray:
    """Numbers, or texts that are numbers, as float64."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan)
    if not _is_text(column):
        raise Unreadable(f"{table.path}: column '{column.name}' must hold numbers; got {column.dtype}")
    numbers: Any = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(numbers.isna() & column.notna())
    if len(wrong):
        text = str(column.iloc[wrong[0]])
        hint = ""
        if re.fullmatch(r"[+-]?\d*,\d+", text):
            hint = "; decimal commas are understood where no number of the first lines has a point"
        raise Unreadable(
            f"{table.path}: {table.place(first_row + int(wrong[0]))}: column '{column.name}' holds {text[:40]!r}; "
            f"expected a number{hint}"
        )
    return numbers.to_numpy(np.float64, na_value=np.nan)


def _dates(table: Table, column: pd.Series, first_row: int) -> np.ndarray:
    """Texts as dates: ISO 8601, else the form of the first of them, month or day first."""
    import pandas as pd

    best, wrong = column, np.arange(len(column) + 1)
    forms: tuple[dict[str, Any], ...] = ({"format": "ISO8601"}, {}, {"dayfirst": True})
    for options in forms:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # pandas warns that values are parsed one by one, and that days may come first
            parsed = pd.to_datetime(column, errors="coerce", utc=True, **options)
        bad = np.flatnonzero(parsed.isna() & column.notna())
        if len(bad) < len(wrong):
            best, wrong = parsed, bad
        if not len(wrong):
            return _since_1970(best)
    raise Unreadable(
        f"{table.path}: {table.place(first_row + int(wrong[0]))}: time '{column.name}' holds "
        f"{str(column.iloc[wrong[0]])[:40]!r}; expected seconds or a date with a time, as 2024-05-31 12:30:00.25"
    )


def _since_1970(column: pd.Series) -> np.ndarray:
    import pandas as pd

    plain = pd.to_datetime(column, utc=True).dt.tz_localize(None)
    seconds = plain.to_numpy("datetime64[ns]").astype(np.int64) / 1e9
    return np.where(plain.isna(), np.nan, seconds)
