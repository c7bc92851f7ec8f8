"""``Layout``: how a user's recordings are stored in a folder; and the files that fit it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tenfold.datasets._clock import FORMS, TIME_UNITS
from tenfold.datasets._containers import first_names
from tenfold.datasets._text_bytes import COMPRESSED
from tenfold.datasets._values import natural_order
from tenfold.errors import DataError, RequestError, nearest

__all__ = ["File", "Layout", "find_files", "other_format"]

_TEXT_ENDINGS = (".csv", ".tsv", ".txt")
_ENDINGS = (*_TEXT_ENDINGS, ".parquet", ".pq", ".npz")
_PACKED_ENDINGS = tuple(ending + packed for ending in _TEXT_ENDINGS for packed in COMPRESSED)
_SHEET = "save each sheet as a CSV file (UTF-8)"
_OTHER_FORMATS = {
    ".xlsx": f"an Excel file, which is not read; {_SHEET}",
    ".xlsm": f"an Excel file, which is not read; {_SHEET}",
    ".xlsb": f"an Excel file, which is not read; {_SHEET}",
    ".xls": f"an Excel file, which is not read; {_SHEET}",
    ".ods": f"a spreadsheet, which is not read; {_SHEET}",
    ".numbers": f"a spreadsheet, which is not read; {_SHEET}",
    ".mat": "a MATLAB file, which is not read; save it as CSV (writetable) or NPZ",
    ".h5": "an HDF5 file, which is not read; save it as CSV, Parquet or NPZ",
    ".hdf5": "an HDF5 file, which is not read; save it as CSV, Parquet or NPZ",
    ".feather": "a Feather file, which is not read; save it as Parquet",
    ".pkl": "a pickle, which could run any code and is never read; save it as CSV, Parquet or NPZ",
    ".pickle": "a pickle, which could run any code and is never read; save it as CSV, Parquet or NPZ",
    ".npy": "one array without names, which is not read; save it as NPZ with the names of its columns",
    ".edf": "an EDF file, which is not read; save it as CSV",
    ".zip": "an archive, which is not read; unpack it",
    ".7z": "an archive, which is not read; unpack it",
    ".tar": "an archive, which is not read; unpack it",
    ".tgz": "an archive, which is not read; unpack it",
}
_NO_RECORDINGS = ("readme", "license", "licence", "changelog", "citation")
_UNITS = tuple(TIME_UNITS)
_MISSING = ("refuse", "fill", "cut")
_UNREADABLE = ("refuse", "skip")
_SPELLINGS = ("refuse", "merge", "keep")
_FIELDS = ("label", "group")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How to read a folder of recordings. Every value can be given in a TOML file.

    Args:
        columns: names of the signal columns, in the order of the channels; None for every column of numbers that is
            not the label, the group or the time.
        label: name of the column that says the class; a recording is cut where it changes. None where ``files`` says
            it.
        group: name of the column that says the person or machine; a recording is cut where it changes. None where
            ``files`` says it, or where there are no groups.
        files: pattern of the paths below the folder. ``{label}`` and ``{group}`` stand for what they name, ``{}`` for
            anything; none of them reaches over a slash, and with ``:d``, as in ``{:d}``, they take digits only. None
            for every .csv, .tsv, .txt (also .csv.gz, .bz2, .xz), .parquet, .pq and .npz file, also in sub-folders.
        time: name of the column of time: numbers, or dates with times.
        time_unit: unit of a column of time that holds numbers: "s", "ms", "us", "ns", "min" or "d" (days, as a
            spreadsheet counts dates); None for what a line of units or its name says ("time_ms"), else seconds.
        time_format: form of a column of time that holds texts, where the values do not say it: "hh:mm" or "mm:ss",
            "day first" or "month first", or a pattern such as "%Y%m%d%H%M%S". None to find it.
        rate_hz: samples per second that are wanted; without ``time``, the rate that the files have.
        gap_seconds: a longer interval between two rows cuts the recording; None for five samples' time.
        delimiter: one character between the fields of text files; a space stands for any number of spaces and tabs.
            None to find it in each file.
        missing: "refuse" missing values; "fill" stretches of up to ``fill_seconds`` by straight lines and cut out
            longer ones; or "cut" out every row with one.
        fill_seconds: see ``missing``.
        unreadable: "refuse", or "skip" files that cannot be read, which ``notes`` then names.
        spellings: "refuse" labels or groups that differ only in capitals, blanks, "_" or "-", such as "Walk" and
            "walk"; "merge" them under the spelling that is read first; or "keep" them apart.
    Raises:
        RequestError: if a value is impossible, or two do not go together.
    """

    columns: Sequence[str] | None = None
    label: str | None = None
    group: str | None = None
    files: str | None = None
    time: str | None = None
    time_unit: str | None = None
    time_format: str | None = None
    rate_hz: float | None = None
    gap_seconds: float | None = None
    delimiter: str | None = None
    missing: str = "refuse"
    fill_seconds: float = 0.2
    unreadable: str = "refuse"
    spellings: str = "refuse"

    def __post_init__(self) -> None:
        if self.columns is not None:
            object.__setattr__(self, "columns", tuple(self.columns))
        choices = {"time_unit": _UNITS, "missing": _MISSING, "unreadable": _UNREADABLE, "spellings": _SPELLINGS}
        for name, known in choices.items():
            value = getattr(self, name)
            if value not in known and not (name == "time_unit" and value is None):
                raise RequestError(f"{name} must be one of {known}; got {value!r} ({nearest(str(value), known)})")
        for name in ("rate_hz", "gap_seconds", "fill_seconds"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise RequestError(f"{name} must be a number above 0; got {value!r}")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in "\"'\r\n"):
            raise RequestError(f"delimiter must be one character, such as ',' or '\\t'; got {self.delimiter!r}")
        if self.time_format is not None and self.time_format not in FORMS and "%" not in self.time_format:
            raise RequestError(
                f"time_format must be one of {FORMS} or a pattern such as '%d.%m.%Y %H:%M:%S'; got {self.time_format!r}"
            )
        self._check_columns()
        named = _Pattern(self.files).named if self.files is not None else frozenset()
        for field in _FIELDS:
            column = getattr(self, field)
            if column is not None and field in named:
                raise RequestError(
                    f"the {field} is named twice: by the column {column!r} and by {{{field}}} in files={self.files!r}; "
                    "leave out one of them"
                )
        if self.label is None and "label" not in named:
            raise RequestError(
                "the class of a recording is not given: name its column (label = 'activity'), or its place in the "
                "path (files = '{label}/{}.csv')"
            )
        if self.time is None and self.gap_seconds is not None:
            raise RequestError("gap_seconds needs a column of time, which shows the gaps; name it as 'time'")
        if self.missing == "fill" and self.time is None and self.rate_hz is None:
            raise RequestError("missing='fill' must know how long a stretch lasts: give 'time' or 'rate_hz'")

    def _check_columns(self) -> None:
        """Refuse columns without a name, and columns with two roles."""
        roles = {"label": self.label, "group": self.group, "time": self.time}
        if self.columns is not None:
            if not self.columns:
                raise RequestError(
                    "columns must name at least one signal; leave it out to take every column of numbers"
                )
            twice = [name for name in self.columns if self.columns.count(name) > 1]
            if twice:
                raise RequestError(f"columns names {twice[0]!r} twice")
            roles |= {f"columns[{place}]": name for place, name in enumerate(self.columns)}
        seen: dict[str, str] = {}
        for role, name in roles.items():
            if name is None:
                continue
            if not name.strip():
                raise RequestError(f"{role} must be the name of a column; got {name!r}")
            if name in seen:
                raise RequestError(f"the column {name!r} cannot be both {seen[name]} and {role}")
            seen[name] = role

    @property
    def pattern(self) -> _Pattern | None:
        return None if self.files is None else _Pattern(self.files)

    @property
    def has_groups(self) -> bool:
        return self.group is not None or (self.files is not None and "group" in _Pattern(self.files).named)


@dataclass(frozen=True)
class File:
    """A file of recordings, and what its path says."""

    path: Path
    label: str | None = None
    group: str | None = None


class _Pattern:
    """A pattern of paths with named fields.

    Example:
        >>> _Pattern("{group}/{label}_{:d}.csv").fields("anna/going_up_12.csv")
        {'group': 'anna', 'label': 'going_up'}
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if "*" in text:
            raise RequestError(f"files={text!r}: write {{}} in place of *")
        self.named: set[str] = set()
        texts, fields = re.split(r"\{[^{}]*\}", text.replace("\\", "/")), re.findall(r"\{([^{}]*)\}", text)
        if any("{" in piece or "}" in piece for piece in texts):
            raise RequestError(f"files={text!r}: a brace that is not closed or not opened")
        lazy = greedy = re.escape(texts[0])
        for field, after in zip(fields, texts[1:], strict=True):
            name, _, kind = field.partition(":")
            if name not in ("", *_FIELDS) or kind not in ("", "d"):
                raise RequestError(
                    f"files={text!r}: unknown field {{{field}}}; known: {{label}}, {{group}} and {{}}, each also with "
                    ":d for digits only"
                )
            anything = "[0-9]+" if kind else "[^/]+"
            if name in self.named:  # the same name must stand for the same text
                some = many = f"(?P={name})"
            else:
                some, many = (f"({'?P<' + name + '>' if name else '?:'}{anything}{few})" for few in ("?", ""))
                self.named |= {name} - {""}
            lazy, greedy = lazy + some + re.escape(after), greedy + many + re.escape(after)
        self._lazy, self._greedy = re.compile(lazy), re.compile(greedy)

    def fields(self, path: str) -> dict[str, str] | None:
        """What the path says, None where it does not fit.

        Raises:
            DataError: if it fits in two ways that say different things.
        """
        lazy, greedy = self._lazy.fullmatch(path), self._greedy.fullmatch(path)
        if lazy is None or greedy is None:
            return None
        for field, value in lazy.groupdict().items():
            if value != greedy[field]:
                raise DataError(
                    f"'{path}' fits files={self.text!r} in two ways: {field} '{value}' or '{greedy[field]}'; "
                    "use {:d} for a field of digits only, or sort the files into folders"
                )
        return lazy.groupdict()


def other_format(path: Path) -> str:
    """What a file is that may hold a table and is not read, and what to do; "" for any other."""
    return _OTHER_FORMATS.get(path.suffix.lower(), "")


def find_files(folder: Path, layout: Layout) -> tuple[list[File], list[str]]:
    """The files of a folder that fit the layout, in natural order of their paths, and a note on those that do not.

    Without a pattern, spreadsheets and the like are among them, so that they are refused or skipped by name; but for
    one beside a table of the same name, which was most likely made of it. Hidden files, and readme, licence, changelog
    and citation files are ignored.

    Raises:
        DataError: if there is no such folder or no such file, or a path fits in two ways.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one of recordings ({', '.join(_ENDINGS)})")
    below = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    below = {name: path for name, path in below.items() if not any(part[0] == "." for part in name.split("/"))}
    names = sorted((name for name in below if not name.startswith("__MACOSX/")), key=natural_order)
    names = [name for name in names if below[name].name.split(".")[0].lower() not in _NO_RECORDINGS]
    known = [name for name in names if name.lower().endswith((*_ENDINGS, *_PACKED_ENDINGS))]
    pattern = layout.pattern
    if pattern is None:
        if not known:
            there = f"it holds {first_names(names, most=3)}" if names else "it is empty"
            advice = next((f" ({each})" for name in names if (each := other_format(below[name]))), "")
            raise DataError(f"{folder}: no file of recordings ({', '.join(_ENDINGS)}); {there}{advice}")
        tables = {name.rsplit(".", 2 if name.lower().endswith(_PACKED_ENDINGS) else 1)[0] for name in known}
        taken = [name for name in names if name in known or _is_unread(below[name], name, tables)]
        others = [name for name in names if name not in taken]
        note = f"files that are no tables of text, Parquet or NPZ, and were not read: {first_names(others, most=6)}"
        return [File(below[name]) for name in taken], [note] if others else []
    found, others = [], []
    for name in names:
        try:
            fields = pattern.fields(name)
        except DataError as problem:
            raise DataError(f"{folder}: {problem}") from None
        if fields is not None:
            found.append(File(below[name], fields.get("label"), fields.get("group")))
        else:
            others.append(name)
    if not found:
        there = f"there is {first_names(known or names, most=3)}" if names else "the folder is empty"
        raise DataError(f"{folder}: no file fits files={pattern.text!r}; {there}")
    if not others:
        return found, []
    count = "1 file does" if len(others) == 1 else f"{len(others)} files do"
    return found, [f"{count} not fit files={pattern.text!r} and were left out: {first_names(others, most=3)}"]


def _is_unread(path: Path, name: str, tables: set[str]) -> bool:
    return bool(other_format(path)) and name.rsplit(".", 1)[0] not in tables
