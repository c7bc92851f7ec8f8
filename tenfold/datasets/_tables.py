"""Read a folder of a user's recordings: tables as text (CSV), Parquet or NPZ, one row per sample."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tenfold.datasets._clock import Clock
from tenfold.datasets._containers import UNASSIGNED, first_names
from tenfold.datasets._layout import File, Layout, find_files, other_format
from tenfold.datasets._pieces import Pieces, Rows
from tenfold.datasets._recordings import Recordings
from tenfold.datasets._resample import rate_of
from tenfold.datasets._spelling import alike
from tenfold.datasets._table import Table, Unreadable
from tenfold.datasets._table_files import open_table
from tenfold.datasets._table_values import Names, numbers_of
from tenfold.errors import DataError, nearest

__all__ = ["Layout", "read_recordings"]

_ROWS_FOR_THE_RATE = 100_001
_RATES_DIFFER = 1.02
# Samples wanted for one measured, and the other way round; beyond this the unit of time is most likely wrong.
_MOST_TIMES_MORE = 4
_MOST_TIMES_FEWER = 500
_FEW_REPEATS = 0.01
_FEW_RESTARTS = 0.1
_WHICH_FILES = (
    "if a file is no recording, say which are, as in files = 'recordings/{}.csv', or set unreadable = 'skip', which "
    "leaves others out"
)
_CLOCK_NAME = re.compile(r"(unix|epoch|date)?[ _-]*(time|timestamp|time[ _-]?stamp|datetime)\b.*", re.IGNORECASE)


def read_recordings(path: Path, layout: Layout | None = None) -> Recordings:
    """Every file of a folder that fits the layout, cut into pieces of one label and one group without a gap.

    Files are read in natural order of their paths, text and Parquet in chunks, so that little memory is needed beside
    the signals themselves. Class and group names are in order of their numbers where all are numbers, else in natural
    order. A row without label or group is refused or left out as one with a missing value is, but never filled. A row
    that repeats the time of the row before is left out; where time goes back, a new piece begins.

    Args:
        path: the folder.
        layout: what the columns are, and what to do about gaps. None for the defaults, which do not say what the class
            is: refused with a message.
    Returns:
        ``Recordings``; as ``name`` that of the folder. All pieces are UNASSIGNED; ``notes`` say what was left out,
        filled, cut and resampled.
    Raises:
        DataError: for a folder without files, a file that cannot be read, a column that is missing (with the nearest
            name) or present twice, text in a column of numbers (with its line), missing values where they are refused,
            rates that differ by more than 2 % where ``rate_hz`` does not say which is wanted, a time that cannot be
            one, units that differ between files, or names that differ in spelling only.
        RequestError: for a Parquet file where pyarrow is not installed; without a layout.
    """
    layout = Layout() if layout is None else layout
    files, notes = find_files(path, layout)
    reading = _Reading(path, layout)
    rate_hz = float(layout.rate_hz or 0)
    if layout.time is not None and layout.rate_hz is None:
        files, rate_hz = reading.common_rate(files)
    for file in files:
        reading.read(file, rate_hz)
    reading.expect_one_spelling()
    pieces = reading.pieces
    if pieces is None:
        raise DataError(f"{path}: {reading.said_problems()}; no other file is there")
    notes += reading.notes(rate_hz)
    if not len(pieces):
        raise DataError(f"{path}: no row is left of {pieces.tally.rows}: {'; '.join(notes)}")
    signals, starts, lengths, labels, groups = pieces.arrays()
    labels, class_names = reading.labels.sorted(labels)
    groups, group_names = reading.groups.sorted(groups)
    for what, names, left in (("class", reading.labels, class_names), ("group", reading.groups, group_names)):
        if lost := [name for name in names.known if name not in left]:
            notes.append(f"no row is left of {what} {first_names(lost)}")
    return Recordings(
        signals=signals,
        starts=starts,
        lengths=lengths,
        labels=labels,
        part=np.full(len(starts), UNASSIGNED, np.uint8),
        class_names=class_names,
        channels=reading.columns,
        groups=groups if layout.has_groups else None,
        group_names=group_names if layout.has_groups else (),
        rate_hz=rate_hz,
        name=path.resolve().name,
        source=str(path),
        notes=tuple(notes),
    )


class _NoRecording(Unreadable):
    """A table without the columns of a recording, such as one of people."""


class _Reading:
    """One reading of a folder: what all files share, and what was found while reading."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self.layout = folder, layout
        merge = layout.spellings == "merge"
        self.labels, self.groups = Names(merge=merge), Names(merge=merge)
        self.columns: tuple[str, ...] = tuple(layout.columns or ())
        self.pieces: Pieces | None = None
        self.problems: dict[Path, str] = {}
        self._columns_from = ""
        self._texts: list[str] = []
        self._unnamed: list[str] = []
        self._units: dict[str, tuple[str, str]] = {}  # unit of a column, and the file that says it
        self._remarks: Counter[str] = Counter()

    @property
    def _named(self) -> list[str]:
        """The columns that the layout names."""
        layout = self.layout
        others = (layout.label, layout.group, layout.time)
        return [*(layout.columns or ()), *(name for name in others if name is not None)]

    def _unless_skipped(self, file: File, act: Callable[[Table], None]) -> bool:
        """Do something with the table of a file; False where it cannot be read and is to be skipped."""
        try:
            act(open_table(file.path, delimiter=self.layout.delimiter, wanted=self._named))
        except Unreadable as problem:
            if self.layout.unreadable == "refuse":
                if isinstance(problem, _NoRecording) or other_format(file.path):
                    raise Unreadable(f"{problem}; {_WHICH_FILES}") from problem
                raise
            self.problems[file.path] = str(problem).removeprefix(f"{file.path}: ")
            return False
        return True

    # -- rates --

    def common_rate(self, files: list[File]) -> tuple[list[File], float]:
        """The files that can be read, and the median of their rates.

        Raises:
            DataError: if rates differ by more than 2 %, or time increases in no file.
        """
        rates: dict[File, float | None] = {}
        for file in files:

            def look(table: Table, file: File = file) -> None:
                self._expect(table, [str(self.layout.time)])
                # The first rows are enough, and much faster than all.
                clock = self._clock(table)
                chunks = table.chunks(*clock.column, at_once=_ROWS_FOR_THE_RATE * len(table.names))
                rates[file] = rate_of(clock.seconds(next(chunks)[self.layout.time], 0))
                chunks.close()

            self._unless_skipped(file, look)
        known = sorted((rate, file.path) for file, rate in rates.items() if rate is not None)
        if not rates:
            raise DataError(f"{self.folder}: {self.said_problems()}; no other file is there")
        if not known:
            raise DataError(f"{self.folder}: time '{self.layout.time}' never increases, so it gives no rate")
        (low, slowest), (high, fastest) = known[0], known[-1]
        if high > _RATES_DIFFER * low:
            raise DataError(
                f"{self.folder}: rates differ: {low:g} samples per second in '{slowest.relative_to(self.folder)}', "
                f"{high:g} in '{fastest.relative_to(self.folder)}'; give rate_hz to resample all to one"
            )
        return list(rates), float(f"{np.median([rate for rate, _ in known]):.6g}")

    # -- files --

    def read(self, file: File, rate_hz: float) -> None:
        """Add the pieces of a file."""
        columns, units, marks = self.columns, dict(self._units), (self.labels.mark(), self.groups.mark())
        mark = None if self.pieces is None else self.pieces.mark()
        if self._unless_skipped(file, lambda table: self._read(table, file, rate_hz)):
            return
        # Nothing of a file that turned out unreadable half-way may stay.
        self.columns, self._units = columns, units
        for names, before in zip((self.labels, self.groups), marks, strict=True):
            names.back(before)
        if self.pieces is not None and mark is not None:
            self.pieces.back(mark)
        else:
            self.pieces = None

    def _read(self, table: Table, file: File, rate_hz: float) -> None:
        layout = self.layout
        texts = [name for name in (layout.label, layout.group) if name is not None]
        self._expect(table, self._named)
        self._choose_columns(table)
        self._expect(table, [*self.columns])
        self._expect_units(table)
        clock = self._clock(table)
        numbers, texts = [*self.columns, *clock.column[0]], [*texts, *clock.column[1]]
        if self.pieces is None:
            self.pieces = Pieces(layout, len(self.columns), rate_hz)
        before, first = self.pieces.mark()[-1], 0
        for frame in table.chunks(numbers, texts):
            rows = self._rows(table, file, frame, first, clock)
            if first == 0:
                own_hz = rate_hz if rows.time is None else rate_of(rows.time) or rate_hz
                self._expect_rate(table, own_hz, rate_hz)
                self.pieces.begin(own_hz)
            self.pieces.add(rows)
            first += len(frame)
        self.pieces.end()
        tally = self.pieces.tally
        self._expect_order(table, first, tally.repeats - before.repeats, tally.restarts - before.restarts)
        self._remarks.update((*table.remarks, *clock.remarks))

    def _rows(self, table: Table, file: File, frame, first: int, clock: Clock) -> Rows:
        layout = self.layout
        values = numbers_of(table, frame, self.columns, first_row=first)
        time = None if layout.time is None else clock.seconds(frame[layout.time], first)
        codes = []
        for names, column, fixed in ((self.labels, layout.label, file.label), (self.groups, layout.group, file.group)):
            if column is not None:
                codes.append(names.codes(frame[column]))
            else:
                codes.append(np.full(len(frame), names.code(fixed or "")))
        if layout.missing == "refuse":
            wanted = {name: np.isnan(values[:, channel]) for channel, name in enumerate(self.columns)}
            wanted |= {name: each < 0 for name, each in zip((layout.label, layout.group), codes, strict=True) if name}
            wanted |= {} if time is None else {str(layout.time): np.isnan(time)}
            missing = [(int(np.argmax(lost)), name) for name, lost in wanted.items() if lost.any()]
            if missing:
                row, name = min(missing)
                named = name in (layout.label, layout.group)
                what = "label" if name == layout.label else "group"
                raise DataError(
                    f"{table.path}: {table.place(first + row)}: no value in column '{name}'; "
                    + (
                        f"a {what} is never filled: set missing = 'cut' to leave out rows without one"
                        if named
                        else "set missing = 'fill' to fill short stretches or 'cut' to cut such rows out"
                    )
                )
        return Rows(values, codes[0], codes[1], time)

    def _clock(self, table: Table) -> Clock:
        layout = self.layout
        return Clock(table, layout.time or "", unit=layout.time_unit, form=layout.time_format)

    def _choose_columns(self, table: Table) -> None:
        """Every column of numbers, where the layout names none: the same in each file."""
        layout = self.layout
        if layout.columns is not None:
            return
        others = (layout.label, layout.group, layout.time, "")
        free = [(name, numeric) for name, numeric in zip(table.names, table.numeric, strict=True) if name not in others]
        if not self.columns:
            self.columns = tuple(name for name, numeric in free if numeric is not False)
            self._columns_from = str(table.path.relative_to(self.folder))
            self._texts = [name for name, numeric in free if numeric is False]
            # The first column of a table has no name where pandas wrote its index.
            unnamed = [
                place + 1 for place, name in enumerate(table.names) if place and not name and table.numeric[place]
            ]
            self._unnamed = [str(place) for place in unnamed]
            if not self.columns:
                raise Unreadable(f"{table.path}: no column of numbers; it has {first_names(table.names)}")
        elif more := [name for name, numeric in free if numeric and name not in self.columns]:
            said = f"{table.path}: has a column of numbers that '{self._columns_from}' lacks: {first_names(more)}"
            if any(name in self.columns for name in table.names):
                raise Unreadable(f"{said}; name the signals as columns")
            raise _NoRecording(f"{said}; no column is in both")

    # -- checks --

    def _expect(self, table: Table, wanted: list[str]) -> None:
        if missing := [name for name in wanted if name not in table.names]:
            there = [name for name in table.names if name]
            said = ", ".join(f"'{name}' ({nearest(name, there)})" for name in missing)
            alone = "; if that is several, say the delimiter" if len(table.names) == 1 else ""
            kind = _NoRecording if len(missing) == len(wanted) and not alone else Unreadable
            raise kind(f"{table.path}: no column {said}; it has {first_names(there, most=12)}{alone}")
        for name in wanted:
            if table.names.count(name) > 1:
                raise Unreadable(f"{table.path}: {table.names.count(name)} columns are called '{name}'; rename them")

    def _expect_units(self, table: Table) -> None:
        """Refuse a signal that files give in several units."""
        for name in self.columns:
            unit = table.units.get(name)
            if unit is None:
                continue
            known, where = self._units.setdefault(name, (unit, str(table.path.relative_to(self.folder))))
            if known.strip("[]() ") != unit.strip("[]() "):
                raise DataError(
                    f"{table.path}: column '{name}' is in '{unit}' by the line of units, and in '{known}' in "
                    f"'{where}'; bring all files to one unit"
                )

    def expect_one_spelling(self) -> None:
        """Refuse labels, or groups, that differ only in their spelling."""
        if self.layout.spellings != "refuse":
            return
        for what, names in (("class", self.labels), ("group", self.groups)):
            for same in alike(names.known):
                raise DataError(
                    f"{self.folder}: {what} names that differ in spelling only: {first_names(same)}; set "
                    "spellings = 'merge' if they are the same, or 'keep' if they are not"
                )

    def _expect_rate(self, table: Table, own_hz: float, rate_hz: float) -> None:
        if own_hz and not own_hz / _MOST_TIMES_FEWER <= rate_hz <= own_hz * _MOST_TIMES_MORE:
            raise DataError(
                f"{table.path}: by time '{self.layout.time}' it has {own_hz:g} samples per second, and {rate_hz:g} are "
                f"wanted; is time_unit{'' if self.layout.time_format is None else ' or time_format'} right?"
            )
        gap = self.layout.gap_seconds
        if gap is not None and own_hz and gap * own_hz < 1.5:
            raise DataError(
                f"{table.path}: gap_seconds={gap:g} would cut after every row, which are {1 / own_hz:g} seconds apart"
            )

    def _expect_order(self, table: Table, rows: int, repeats: int, restarts: int) -> None:
        time = self.layout.time
        if repeats > 1 + _FEW_REPEATS * rows:
            raise DataError(
                f"{table.path}: {repeats} of {rows} rows repeat the time of the row before; a clock that coarse cannot "
                f"place them: leave out time='{time}' and give rate_hz"
            )
        if restarts > 1 + _FEW_RESTARTS * rows:
            raise DataError(
                f"{table.path}: time '{time}' goes back {restarts} times in {rows} rows; sort the rows by time, or by "
                "person and time"
            )

    # -- what is said --

    def said_problems(self) -> str:
        shown = "; ".join(
            f"'{file.relative_to(self.folder)}': {what}" for file, what in list(self.problems.items())[:3]
        )
        rest = f"; and {len(self.problems) - 3} more" if len(self.problems) > 3 else ""
        return f"{len(self.problems)} unreadable file{'s' if len(self.problems) > 1 else ''} ({shown}{rest})"

    def notes(self, rate_hz: float) -> list[str]:
        """One line for each thing that was done to the data."""
        assert self.pieces is not None
        tally, layout, notes = self.pieces.tally, self.layout, []

        def say(count: int, what: str, rest: str) -> None:
            if count:
                notes.append(f"{count} {what}{'s' if count > 1 else ''} {rest}")

        if self.problems:
            notes.append(f"{self.said_problems()}; left out")
        if self._texts:
            notes.append(f"not used, since they hold text: columns {first_names(self._texts)}")
        if layout.columns is None and (clocks := [name for name in self.columns if _CLOCK_NAME.fullmatch(name)]):
            notes.append(f"taken as a signal by its numbers: {first_names(clocks)}; if it is the time, name it as time")
        if self._unnamed:
            notes.append(f"not used, since they have no name: columns {first_names(self._unnamed)} of the tables")
        for what, names in (("classes", self.labels), ("groups", self.groups)):
            if names.merged:
                into = ", ".join(f"'{name}' into '{first}'" for name, first in list(names.merged.items())[:6])
                notes.append(f"spellings of {what} merged: {into}")
        for remark, count in self._remarks.items():
            say(count, "file", f"with {remark}")
        say(tally.without_label, "row", "without label or group: left out, recordings cut there")
        say(tally.without_time, "row", "without time: left out")
        say(tally.repeats, "row", "with the time of the row before: left out")
        say(tally.restarts, "time", "that time goes back: recordings cut there")
        gap = "5 samples' time" if layout.gap_seconds is None else f"{layout.gap_seconds:g} s"
        say(tally.gaps, "gap", f"in time longer than {gap}: recordings cut there")
        lines = f"in {tally.filled_stretches} stretches of up to {layout.fill_seconds:g} s filled by straight lines"
        say(tally.filled_values, "missing value", lines)
        say(tally.cut_rows, "row", "with missing values: left out, recordings cut there")
        if tally.resampled:
            low, high = min(tally.resampled), max(tally.resampled)
            own = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            say(len(tally.resampled), "file", f"resampled from {own} to {rate_hz:g} samples per second")
        return notes
