"""The beginning of a table as text: the line of names, the delimiter, units below the names, the decimal mark."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from tenfold.datasets._table import Unreadable
from tenfold.datasets._units import is_type, is_unit

__all__ = ["NO_VALUE", "NUMBER", "Head", "head_of"]

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?|nan", re.IGNORECASE)
NO_VALUE = ["", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "-NaN", "-nan", "null", "NULL", "None", "none"]

_HEAD_ROWS = 100
_MOST_ROWS_ABOVE = 300
_MOST_LINES_OF_A_ROW = 20  # more than these in one pair of quotes: a quote that is not closed
_DELIMITERS = ("\t", ";", ",", " ")
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
_RULE = re.compile(r"[-=_+:|]{2,}")


@dataclass(frozen=True)
class Head:
    """What the beginning of a file says of all of it.

    Args:
        delimiter: between two fields; a space stands for any number of spaces and tabs.
        decimal: the decimal mark.
        names: of the columns.
        numeric: for each column whether it holds numbers; None where the first rows have no value.
        units: what a line below the names says of a column, by its name.
        n_lines: lines before the first row.
        remarks: what a reader should know.
    """

    delimiter: str
    decimal: str
    names: tuple[str, ...]
    numeric: tuple[bool | None, ...]
    units: dict[str, str]
    n_lines: int
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    """Fields, the first line (from 0) and the line behind the last, and whether they stand behind a "#"."""

    fields: list[str]
    start: int
    end: int
    comment: bool = False

    @property
    def width(self) -> int:
        """Number of fields, without empty ones at the end."""
        return max((place + 1 for place, text in enumerate(self.fields) if text), default=0)

    def at(self, columns: Sequence[int]) -> list[str]:
        return [self.fields[column] for column in columns if column < len(self.fields)]


@dataclass(frozen=True)
class _Found:
    """All rows as one delimiter cuts them, and the place of the line of names among them."""

    rows: list[_Row]
    place: int
    delimiter: str

    @property
    def names(self) -> _Row:
        return self.rows[self.place]

    @property
    def fits(self) -> bool:
        """Whether there are several names, and the next rows have as many fields or fewer, but several too."""
        n_names, below = len(self.names.fields), self.rows[self.place + 1 : self.place + 6]
        return n_names > 1 and all(len(row.fields) > 1 and row.width <= n_names for row in below)


def head_of(path: Path, lines: Sequence[str], *, delimiter: str | None, wanted: Sequence[str] = ()) -> Head:
    """The form of a text file, from its first lines.

    The line of names is the first that holds all ``wanted`` names and is wide enough for the rows below. Where there is
    none, it is the one line that is wide enough above the first row of numbers.

    Args:
        path: for messages.
        lines: its first lines, not all empty.
        delimiter: between two fields; None for what a line "sep=;" says, else to find it.
        wanted: names of columns that are used.
    Raises:
        Unreadable: if there is no line of names, or several may be it; if there are no rows, or one column with a
            delimiter that others would cut.
    """
    first, said = _said_delimiter(lines)
    found = _found(path, lines, first, said if delimiter is None else delimiter, wanted)
    shown = _short("\n".join(lines[found.names.start : found.names.end]).strip(" \ufeff").removeprefix("#"))
    if delimiter is not None and len(found.names.fields) == 1:
        others = [each for each in _DELIMITERS if len(_fields([shown], each)[0]) > 1]
        if others:
            raise Unreadable(
                f"{path}: one column found with the delimiter {delimiter!r}: '{shown}'; expected {others[0]!r}? "
                "Leave delimiter out to have it found"
            )
    names = tuple(re.sub(r"\s*[\r\n]+\s*", " ", name) for name in found.names.fields)
    if found.place + 1 == len(found.rows):
        raise Unreadable(f"{path}: no rows below the line of names '{shown}'")
    if all(NUMBER.fullmatch(name) for name in names):
        raise _no_names(path, found.names)
    below, units, n_lines = _below(path, found)
    decimal = _decimal(below, found.delimiter)
    above = sum(not row.comment for row in found.rows[: found.place])
    remarks = [
        *(["decimal commas"] if decimal == "," else []),
        *([f"{above} line{'s' if above > 1 else ''} above the names, not used"] if above else []),
        *(["a line of units under the names"] if units else []),
    ]
    return Head(
        delimiter=found.delimiter,
        decimal=decimal,
        names=names,
        numeric=tuple(
            _are_numbers([row[column] for row in below if column < len(row)], decimal) for column in range(len(names))
        ),
        units={name: unit for name, unit in zip(names, units, strict=False) if unit},
        n_lines=n_lines,
        remarks=tuple(remarks),
    )


# -- rows -------------------------------------------------------------------------------------------------------------


def _said_delimiter(lines: Sequence[str]) -> tuple[int, str | None]:
    """How many lines to leave out at the top, and the delimiter that a line "sep=;" says, as Excel writes it."""
    place = next(place for place, line in enumerate(lines) if line.strip(" \t\ufeff"))
    said = re.fullmatch(r'\s*"?sep=(.)"?[;,\s]*', lines[place].lstrip("\ufeff"), re.IGNORECASE)
    return (place + 1, said[1]) if said else (0, None)


def _rows(lines: Sequence[str], first: int, delimiter: str) -> Iterator[_Row]:
    """Lines cut into fields, without empty lines; a line break inside quotes does not end a row."""
    place = first
    while place < len(lines):
        line = lines[place].strip(" \ufeff")
        if line.startswith("#"):
            # numpy.savetxt puts a # before the names.
            yield _Row(_fields([line.removeprefix("#")], delimiter)[0], place, place + 1, comment=True)
        elif line.strip():
            fields, used = _fields(lines[place : place + _MOST_LINES_OF_A_ROW], delimiter)
            yield _Row(fields, place, place + used)
            place += used - 1
        place += 1


def _fields(lines: Sequence[str], delimiter: str) -> tuple[list[str], int]:
    """The fields of the first row, and how many lines it has."""
    if delimiter == " ":
        return next(csv.reader([" ".join(lines[0].strip("\ufeff").split())], delimiter=" "), []), 1
    ended = chain((f"{line}\n" for line in lines), ["\n"])
    reader = csv.reader(ended, delimiter=delimiter, skipinitialspace=True)
    fields, used = next(reader, []), reader.line_num
    if used > len(lines):  # a quote that is not closed
        fields, used = next(csv.reader(lines[:1], delimiter=delimiter, skipinitialspace=True), []), 1
    return [text.strip().strip("\ufeff") for text in fields], used


# -- the line of names ------------------------------------------------------------------------------------------------


def _found(path: Path, lines: Sequence[str], first: int, given: str | None, wanted: Sequence[str]) -> _Found:
    """The line of names by the delimiter given, or the first that cuts the names and the next lines alike."""
    most = _MOST_ROWS_ABOVE + _HEAD_ROWS
    cut = {each: list(islice(_rows(lines, first, each), most)) for each in ([given] if given else _DELIMITERS)}
    if not any(cut.values()):
        raise Unreadable(f"{path}: no line of names: there is nothing below '{_short(lines[first - 1])}'")
    with_names = [_Found(rows, place, each) for each, rows in cut.items() for place in _with_names(rows, wanted)]
    problems: list[Unreadable] = []
    by_form: list[_Found] = []
    if not any(found.fits for found in with_names):
        for each, rows in cut.items():
            try:
                by_form.append(_Found(rows, _by_form(path, rows, wanted), each))
            except Unreadable as problem:
                problems.append(problem)
    several = [found for found in by_form if len(found.names.fields) > 1]
    choices = [*(found for found in with_names if found.fits), *with_names, *(found for found in several if found.fits)]
    if choices:
        return choices[0]
    if problems:
        raise problems[0]
    return next(iter(several), next((found for found in by_form if found.delimiter == ","), by_form[0]))


def _with_names(rows: Sequence[_Row], wanted: Sequence[str]) -> list[int]:
    return [place for place, row in enumerate(rows) if wanted and set(wanted) <= set(row.fields)]


def _by_form(path: Path, rows: Sequence[_Row], wanted: Sequence[str]) -> int:
    """The place of the line of names, where it is not known by its names."""
    plain = [place for place, row in enumerate(rows) if not row.comment]
    if not plain:
        return len(rows) - 1
    columns = _number_columns([rows[place] for place in plain[1:][-_HEAD_ROWS:] or plain])
    start = next((place for place in plain if columns and _is_values(rows[place], columns)), None)
    if start is None:
        return plain[0]
    if start == plain[0]:
        return _names_of_first(path, rows, start)
    above = [place for place in plain if place < start]
    needed = max(sum(map(bool, row.fields)) for row in rows[start : start + 5])
    wide = [place for place in above if sum(map(bool, rows[place].fields)) + (not rows[place].fields[0]) >= needed]
    wide = [place for place in wide if _kind_of_line(rows[place], columns) == ""]
    # A comment between such a line and the numbers, as wide as these, may be the line of names too.
    after = range(wide[-1] + 1 if wide else 0, start)
    wide += [place for place in after if rows[place].comment and _may_be_names(rows[place], rows[start], columns)]
    if len(wide) > 1:
        none = f", and neither has {' and '.join(repr(name) for name in wanted)}" if wanted else ""
        shown = " and ".join(
            f"{rows[place].start + 1} ('{_short(', '.join(rows[place].fields), 30)}')" for place in wide[:2]
        )
        raise Unreadable(f"{path}: lines {shown} may both be the line of names{none}; leave one of them")
    return (wide or above[-1:])[0]


def _may_be_names(comment: _Row, values: _Row, columns: Sequence[int]) -> bool:
    alike = len(comment.fields) == len(values.fields)
    return alike and _kind_of_line(comment, columns) in ("", "comment")


def _names_of_first(path: Path, rows: Sequence[_Row], start: int) -> int:
    """The place of the names where the first line holds numbers in the columns of numbers."""
    row, comments = rows[start], [place for place in range(start) if rows[place].comment]
    numbers = [text for text in row.fields if NUMBER.fullmatch(text)]
    in_any_form = re.split(r"[\s;,]+", " ".join(row.fields).strip())
    if comments and (
        len(rows[comments[-1]].fields) == len(row.fields) or all(NUMBER.fullmatch(text) for text in in_any_form)
    ):
        return comments[-1]
    counted = [str(number) for number in range(len(numbers))]
    counted = [counted, [str(int(number) + 1) for number in counted]]
    if not comments and 2 <= len(numbers) < len(row.fields) and numbers in counted:
        return start  # as pandas names columns that have no names
    raise _no_names(path, row)


def _no_names(path: Path, row: _Row) -> Unreadable:
    what = "numbers" if all(NUMBER.fullmatch(text) for text in row.fields) else "values"
    return Unreadable(
        f"{path}: line {row.start + 1} holds {what} where the names of the columns are expected "
        f"('{_short(','.join(row.fields))}'); put a line of names above it"
    )


# -- below the names --------------------------------------------------------------------------------------------------


def _below(path: Path, found: _Found) -> tuple[list[list[str]], list[str], int]:
    """The first rows, the units of the columns if a line says them, and how many lines are before the first row."""
    rows, units, n_lines = found.rows[found.place + 1 :], [], found.names.end
    columns = _number_columns(rows[2:] or rows[1:] or rows)
    while len(rows) > 1 and columns and (kind := _kind_of_line(rows[0], columns)):
        units = rows[0].fields if kind == "units" else units
        n_lines, rows = rows[0].end, rows[1:]
    texts = [text for text in rows[0].at(columns) if text not in NO_VALUE]
    if len(rows) > 1 and texts and not any(re.search(r"\d", text) for text in texts) and not _are_infinite(texts):
        raise Unreadable(
            f"{path}: line {rows[0].start + 1} holds '{_short(', '.join(texts), 40)}' in the columns of numbers; if it "
            "is a second line of names, or of units, delete it"
        )
    return [row.fields for row in rows[:_HEAD_ROWS]], units, n_lines


def _are_infinite(texts: Sequence[str]) -> bool:
    return all(NUMBER.fullmatch(text) for text in texts)


def _kind_of_line(row: _Row, columns: Sequence[int]) -> str:
    """What a line beside the names is: "units", "types", a "rule", a "comment"; "" for none of them."""
    texts = [text for text in row.at(columns) if text]
    if not texts:
        return ""
    if all(_RULE.fullmatch(text) for text in row.fields if text):
        return "rule"
    if any(map(is_unit, texts)) and all(is_unit(text) or text == "-" for text in texts):
        return "units"
    if all(map(is_type, texts)):
        return "types"
    return "comment" if row.comment and not any(map(NUMBER.fullmatch, texts)) else ""


def _number_columns(rows: Sequence[_Row]) -> list[int]:
    """Columns that hold numbers in at least half of the rows that have a value there."""
    n_columns = max((len(row.fields) for row in rows), default=0)
    found = (_are_numbers(list(chain(*(row.at([column]) for row in rows))), ",") for column in range(n_columns))
    return [column for column, numbers in enumerate(found) if numbers]


def _is_values(row: _Row, columns: Sequence[int]) -> bool:
    """Whether a row has numbers in the columns of numbers, or no value."""
    texts = [text for text in row.at(columns) if text not in NO_VALUE]
    return bool(texts) and all(NUMBER.fullmatch(text.replace(",", ".")) for text in texts)


def _are_numbers(texts: Sequence[str], decimal: str) -> bool | None:
    """At least half: one wrong value in a column of numbers must be reported, not make it a column of text."""
    values = [text.replace(decimal, ".") for text in texts if text not in NO_VALUE]
    return 2 * sum(bool(NUMBER.fullmatch(value)) for value in values) >= len(values) if values else None


def _decimal(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    fields = [text for row in rows for text in row]
    commas = delimiter != "," and any(_COMMA_NUMBER.fullmatch(text) for text in fields)
    points = any("." in text and NUMBER.fullmatch(text) for text in fields)
    return "," if commas and not points else "."


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
