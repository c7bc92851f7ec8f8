"""One file of recordings as a table: text (CSV), Parquet, or NumPy's .npz."""

from __future__ import annotations

import importlib
import warnings
import zipfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.datasets._layout import other_format
from tenfold.datasets._table import Table, Unreadable, rows_at_once
from tenfold.datasets._table_text import TextTable
from tenfold.datasets._text_bytes import DAMAGED, HEAD_BYTES, open_bytes
from tenfold.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["open_table"]


def open_table(path: Path, *, delimiter: str | None = None, wanted: Sequence[str] = ()) -> Table:
    """A table from a file, by the ending of its name; any other than .parquet, .pq and .npz is text.

    Args:
        path: the file.
        delimiter: between the fields of text; None to find it.
        wanted: names of columns that are used, by which a text's line of names is found.
    Raises:
        Unreadable: if the file is empty, holds no rows, is damaged, is not what its ending says, or is a spreadsheet.
        RequestError: for a Parquet file where pyarrow is not installed.
    """
    if advice := other_format(path):
        raise Unreadable(f"{path}: {advice}")
    try:
        with open_bytes(path) as file:
            head = file.read(HEAD_BYTES)
        if not head:
            raise Unreadable(f"{path}: the file is empty")
        ending = path.suffix.lower()
        if ending == ".npz":
            return _NpzTable(path, head)
        return _ParquetTable(path) if ending in (".parquet", ".pq") else TextTable(path, head, delimiter, wanted)
    except DAMAGED as problem:
        raise Unreadable(f"{path}: damaged or cut off ({problem})") from problem
    except OSError as problem:
        raise Unreadable(f"{path}: cannot be read ({problem.strerror or problem})") from problem


# -- Parquet ----------------------------------------------------------------------------------------------------------


class _ParquetTable(Table):
    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError as problem:
            raise RequestError(
                f"{path}: Parquet files need pyarrow, which is not installed: pip install pyarrow"
            ) from (problem)
        types = importlib.import_module("pyarrow.types")
        with self._open() as file:
            schema = file.schema_arrow
            if file.metadata.num_rows == 0:
                raise Unreadable(f"{path}: no rows")
        self.names = tuple(schema.names)
        tests = (types.is_integer, types.is_floating, types.is_decimal)
        self.numeric = tuple(any(test(field.type) for test in tests) for field in schema)

    def _open(self) -> Any:
        try:
            return self._parquet.ParquetFile(self.path)
        except Exception as problem:  # pyarrow's ArrowInvalid, OSError and others, by version
            raise Unreadable(f"{self.path}: not a whole Parquet file ({_first_line(problem)})") from problem

    def chunks(
        self, numbers: Sequence[str], texts: Sequence[str], *, at_once: int | None = None
    ) -> Generator[pd.DataFrame, None, None]:
        used = [*numbers, *texts]
        with self._open() as file:
            batches = file.iter_batches(columns=used, batch_size=rows_at_once(at_once, len(used)))
            while True:
                try:
                    batch = next(batches, None)
                    frame = None if batch is None else batch.to_pandas()[used]
                except Exception as problem:
                    raise Unreadable(f"{self.path}: damaged ({_first_line(problem)})") from problem
                if frame is None:
                    return
                yield frame


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]


# -- NPZ --------------------------------------------------------------------------------------------------------------


class _NpzTable(Table):
    """Arrays of one length as columns.

    One of shape (rows, n) is n columns name_0, name_1, ...; a single value is that of all rows.
    """

    def __init__(self, path: Path, head: bytes) -> None:
        self.path = path
        if not (head.startswith(b"PK") and zipfile.is_zipfile(path)):
            what = "cut off" if head.startswith(b"PK") else "not an .npz file"
            raise Unreadable(f"{path}: {what}; expected one written by np.savez(..., time=..., x=..., label=...)")
        self._places: dict[str, tuple[str, int | None]] = {}
        numeric, lengths = [], {}
        for key in self._keys():
            array = self._array(key)
            if array.ndim > 2:
                raise Unreadable(f"{path}: '{key}' has the shape {array.shape}; expected (rows,) or (rows, channels)")
            if array.ndim:
                lengths[key] = len(array)
            columns = {f"{key}_{n}": n for n in range(array.shape[1])} if array.ndim == 2 else {key: None}
            for name, column in columns.items():
                if name in self._places:
                    raise Unreadable(f"{path}: two columns would be called '{name}'; rename an array")
                self._places[name] = key, column
                numeric.append(array.ndim > 0 and array.dtype.kind in "iuf")
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"'{key}' {length}" for key, length in lengths.items())
            raise Unreadable(f"{path}: arrays of one recording must have the same length; got {shown}")
        self._rows = next(iter(lengths.values()), 0)
        if not self._rows:
            raise Unreadable(f"{path}: no rows")
        self.names, self.numeric = tuple(self._places), tuple(numeric)

    def _keys(self) -> list[str]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                return [name.removesuffix(".npy") for name in archive.namelist()]
        except Exception as problem:
            raise Unreadable(f"{self.path}: damaged or cut off ({problem})") from problem

    def _array(self, key: str) -> np.ndarray:
        """One array; the others are not read."""
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                array = archive[key]
        except Exception as problem:  # zip, zlib, lzma and the .npy header raise different errors for damage
            if isinstance(problem, ValueError) and "pickle" in str(problem):
                raise Unreadable(
                    f"{self.path}: '{key}' holds Python objects (pickle), which could run any code when read and are "
                    "never loaded; save numbers and text instead, such as labels.astype(str)"
                ) from problem
            raise Unreadable(f"{self.path}: damaged or cut off ({problem})") from problem
        if not isinstance(array, np.ndarray):
            raise Unreadable(f"{self.path}: '{key}' is not an array")
        return array

    def chunks(
        self, numbers: Sequence[str], texts: Sequence[str], *, at_once: int | None = None
    ) -> Generator[pd.DataFrame, None, None]:
        import pandas as pd

        used = [*numbers, *texts]
        arrays = {key: self._array(key) for key in dict.fromkeys(self._places[name][0] for name in used)}
        step = rows_at_once(at_once, len(used))
        for first in range(0, self._rows, step):
            rows = slice(first, min(first + step, self._rows))
            columns = {}
            for name in used:
                key, column = self._places[name]
                array = arrays[key] if column is None else arrays[key][:, column]
                part = array[rows] if array.ndim else np.full(rows.stop - first, array)
                columns[name] = np.char.decode(part, "utf-8", "replace") if part.dtype.kind == "S" else part
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # half-precision and big-endian arrays are as good as others
                yield pd.DataFrame(columns)
