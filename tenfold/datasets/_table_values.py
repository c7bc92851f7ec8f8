"""Columns of a table as what they stand for: names and numbers."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.datasets._spelling import spelling_key
from tenfold.datasets._table import Table, Unreadable
from tenfold.datasets._values import natural_order

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Names", "floats_of", "is_text", "numbers_of"]


@dataclass
class Names:
    """Numbers names in the order in which they occur.

    With ``merge``, a name has the number of one before it that differs in capitals, blanks, "_" or "-" only; ``merged``
    says which.

    Example:
        >>> names = Names()
        >>> [names.code(name) for name in ("10", "9", "10")]
        [0, 1, 0]
        >>> names.sorted(np.array([0, 1, 0]))
        (array([1, 0, 1]), ('9', '10'))
    """

    known: dict[str, int] = field(default_factory=dict)
    merge: bool = False
    merged: dict[str, str] = field(default_factory=dict)

    def code(self, name: str) -> int:
        if self.merge and name not in self.known:
            key = spelling_key(name)
            first = next((other for other in self.known if spelling_key(other) == key), name)
            if first != name:
                self.merged[name] = first
                name = first
        return self.known.setdefault(name, len(self.known))

    def mark(self) -> tuple[int, int]:
        """The present state, for ``back``."""
        return len(self.known), len(self.merged)

    def back(self, mark: tuple[int, int]) -> None:
        """Forget all names after ``mark``."""
        self.known = dict(list(self.known.items())[: mark[0]])
        self.merged = dict(list(self.merged.items())[: mark[1]])

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
    text = unicodedata.normalize("NFC", str(value)).strip()
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
        exact = floats_of(table, column, first_row)
        with np.errstate(over="ignore"):
            values[:, channel] = exact
        over = np.flatnonzero(np.isinf(values[:, channel]))
        if len(over):
            raise Unreadable(
                f"{table.path}: {table.place(first_row + int(over[0]))}: column '{name}' holds {exact[over[0]]:g}; "
                "expected a number that float32 can hold"
            )
    return values


def is_text(column: pd.Series) -> bool:
    """Whether a column holds texts, or anything that pandas has no type for."""
    import pandas as pd

    return pd.api.types.is_string_dtype(column) or pd.api.types.is_object_dtype(column)


def floats_of(table: Table, column: pd.Series, first_row: int) -> np.ndarray:
    """Numbers, or texts that are numbers, as float64."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan)
    if not is_text(column):
        raise Unreadable(f"{table.path}: column '{column.name}' must hold numbers; got {column.dtype}")
    numbers: Any = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(numbers.isna() & column.notna())
    if len(wrong):
        text = str(column.iloc[wrong[0]])
        hint = "; is it the line of names once more? Then delete it" if text.strip() == column.name else ""
        if re.fullmatch(r"[+-]?\d*,\d+", text):
            hint = "; decimal commas are understood where no number of the first lines has a point"
        raise Unreadable(
            f"{table.path}: {table.place(first_row + int(wrong[0]))}: column '{column.name}' holds {text[:40]!r}; "
            f"expected a number{hint}"
        )
    return numbers.to_numpy(np.float64, na_value=np.nan)
