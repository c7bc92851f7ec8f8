"""The table of scores: a pandas frame that prints what it holds at the width of a terminal."""

from __future__ import annotations

import shutil
from typing import Any

import pandas as pd

from tenfold.wording import significant

__all__ = ["ScoreTable"]

_NOTE = 40  # letters of a note that are printed


class ScoreTable(pd.DataFrame):
    """All columns are there for programs. In print, columns without content are left out, numbers have four digits, and
    what does not fit into a line goes on below, where pandas itself would print dots in place of the numbers.

    Example:
        >>> table = ScoreTable({"model": ["CNN"], "setting": [""], "n": [10], "mean": [0.81234], "diverged": [0]})
        >>> print("\\n".join(line.rstrip() for line in str(table).splitlines()))
                n    mean
        model
        CNN    10  0.8123
    """

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame  # a part of the table is printed as pandas prints it

    def __repr__(self) -> str:
        if "model" not in self.columns:  # changed in place by a program
            return super().__repr__()
        kept = [name for name in self.columns if name == "model" or _says_something(self[name])]
        shown = pd.DataFrame({name: self[name].map(_text) for name in kept}) if len(self) else pd.DataFrame(self)
        # The index is repeated before the columns that go on below.
        return shown.set_index("model").to_string(line_width=shutil.get_terminal_size().columns)


def _says_something(values: Any) -> bool:
    return any(pd.notna(value) and value not in ("", 0) for value in values)


def _text(value: Any) -> str:
    if pd.isna(value):
        return "-"
    if isinstance(value, float):
        return significant(value, 4) if 0 < abs(value) < 0.0005 or abs(value) >= 1e7 else f"{value:.4f}"
    text = str(value)
    return text if len(text) <= _NOTE else f"{text[: _NOTE - 1]}…"
