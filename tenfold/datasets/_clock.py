"""A column of time as seconds: numbers of a unit, dates, or the time of day, by the form that the whole column has."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tenfold.datasets._clock_text import (
    DAY,
    FORMS,
    Form,
    Texts,
    forms_of,
    parsed_dates,
    since_1970,
    steps_back,
    unwrapped,
    usual_step,
)
from tenfold.datasets._table import Table, Unreadable
from tenfold.datasets._table_values import floats_of, is_text
from tenfold.datasets._text_head import NO_VALUE, NUMBER
from tenfold.errors import DataError

__all__ = ["FORMS", "TIME_UNITS", "Clock", "unit_in"]

TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "d": DAY}
_LATEST_SECONDS = 1e11  # the year 5138
_NO_TIME = {*(value.lower() for value in NO_VALUE), "nat"}
_WORDS = {
    "ns": "ns|nanos?|nanosec(?:ond)?s?",
    "us": "us|µs|μs|usec|micros?|microsec(?:ond)?s?",  # noqa: RUF001: both signs for micro are in use
    "ms": "ms|msec|millis?|millisec(?:ond)?s?",
    "s": "s|secs?|seconds?",
    "min": "mins?|minutes?",
}
# Days as a spreadsheet counts them are from 20000 (the year 1954) to 80000; at these intervals they cannot be seconds.
_DAYS_FROM, _DAYS_TO, _DAYS_STEP, _SHORTEST_STEP = 20_000, 80_000, 2e-4, 2e-5


def unit_in(text: str) -> str | None:
    """The unit of time that a name says.

    Example:
        >>> unit_in("time_ms"), unit_in("Timestamp [us]"), unit_in("timestamp"), unit_in("ms")
        ('ms', 'us', None, 'ms')
    """
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    for unit, words in _WORDS.items():
        if re.search(rf"(?:^|[^A-Za-zµμ])(?:{words})(?:$|[^A-Za-z])", split, re.IGNORECASE):
            return unit
    return None


class Clock:
    """The time of one file, chunk by chunk, as seconds from any beginning.

    Texts have the form by which every value of the column is a time and time goes back least often: 12:34.5 is minutes
    and seconds; 3/4/2024 has the day first if some other date of the file says so. A clock that starts again at
    midnight or at the full hour goes on.

    Args:
        table: the file.
        name: of its column of time.
        unit: of numbers; None for what the line of units or the name says, else seconds.
        form: one of ``FORMS`` or a pattern with %; None to find it.
    Attributes:
        remarks: what was decided that a reader should know.
    """

    def __init__(self, table: Table, name: str, *, unit: str | None, form: str | None) -> None:
        self._table, self._name, self._asked = table, name, form
        self._by_pattern = form is not None and "%" in form
        self._given_unit, self._unit = unit, unit or "s"
        self.remarks: list[str] = []
        below = table.units.get(name)
        if below is not None and not re.search(r"[A-Za-zµμ%]", below):
            below = None  # a dash
        found = unit_in(name) if below is None else unit_in(below)
        if unit is None and found not in (None, "s"):
            self._unit = str(found)
            self._remark(f"time '{name}' in {found}, as {'its name' if below is None else 'the line of units'} says")
        self._unknown_unit = below if unit is None and found is None else None
        self._form: Form | None = None
        self._period = self._usual = self._offset = 0.0
        self._last = np.nan
        self._checked = False

    @property
    def column(self) -> tuple[list[str], list[str]]:
        """The column among those to read as numbers, or among those to read as text, digits too."""
        if not self._name:
            return [], []
        return ([], [self._name]) if self._by_pattern else ([self._name], [])

    def seconds(self, column: Any, first_row: int) -> np.ndarray:
        """The next rows as float64, shape (rows,), NaN where missing; ``first_row`` is their place in the file.

        Raises:
            Unreadable: for text that is not a time, with its place, or a number that cannot be a time in this unit.
            DataError: for texts that can be read in two ways.
        """
        import pandas as pd

        if pd.api.types.is_datetime64_any_dtype(column):
            return since_1970(column)
        if pd.api.types.is_timedelta64_dtype(column):
            return column.dt.total_seconds().to_numpy(np.float64)
        if is_text(column):
            texts = _without_missing(column)
            given = texts.dropna()
            if self._by_pattern or (len(given) and not NUMBER.fullmatch(given.iloc[0])):
                return self._of_texts(texts, first_row)
        return self._of_numbers(column, first_row)

    # -- numbers --

    def _of_numbers(self, column: Any, first_row: int) -> np.ndarray:
        if self._unknown_unit is not None:
            raise DataError(
                f"{self._table.path}: the unit '{self._unknown_unit}' below time '{self._name}' is not known; say it: "
                f"time_unit = one of {', '.join(TIME_UNITS)}"
            )
        seconds = floats_of(self._table, column, first_row) * TIME_UNITS[self._unit]
        wrong = np.flatnonzero(np.abs(seconds) > _LATEST_SECONDS)
        if len(wrong):
            value = seconds[wrong[0]] / TIME_UNITS[self._unit]
            digits = f"{value:.0f}" if value < 1e17 else ""
            written = re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])([01]\d|2[0-3])[0-5]\d[0-5]\d", digits)
            raise Unreadable(
                f"{self._table.path}: {self._table.place(first_row + int(wrong[0]))}: time '{self._name}' would be "
                f"{seconds[wrong[0]]:g} seconds; "
                + (
                    f"{digits} looks like a date without marks: time_format = '%Y%m%d%H%M%S'"
                    if written
                    else "say its unit: time_unit = 'ms', 'us' or 'ns'"
                )
            )
        if not self._checked and self._given_unit is None and self._unit == "s":
            self._expect_seconds(seconds)
        self._checked = True
        return seconds

    def _expect_seconds(self, seconds: np.ndarray) -> None:
        usual, known = usual_step(seconds), seconds[~np.isnan(seconds)]
        if not usual or usual >= _DAYS_STEP:
            return
        dates = _DAYS_FROM < known.min() and known.max() < _DAYS_TO
        if dates or usual < _SHORTEST_STEP:
            raise DataError(
                f"{self._table.path}: time '{self._name}' has {1 / usual:.3g} samples per second if it is in seconds"
                f"{f', and {known[0]:g} looks like a date of a spreadsheet, in days' if dates else ''}; say its unit: "
                "time_unit = 'd' for days, 's' for seconds"
            )

    # -- texts --

    def _of_texts(self, column: Any, first_row: int) -> np.ndarray:
        if self._by_pattern:
            seconds, bad = parsed_dates(column, format=self._asked)
            if bad.any():
                seconds, bad = _with_comma(column, self._asked)
            return self._expect_times(column, seconds, bad, first_row)
        if self._asked is None and self._form is None:
            seconds, bad = parsed_dates(column, format="ISO8601")
            if not bad.any():
                return seconds
        texts = Texts(column)
        if texts.wrong.any():
            # The name of a month leaves no doubt of the order; pandas knows many forms of that.
            named = column.str.contains(r"[A-Za-z]{3}", na=False).to_numpy()
            if (named | ~texts.known).all():
                seconds, bad = parsed_dates(column, format="mixed")
                if not bad.any():
                    return seconds
            return self._expect_times(column, np.zeros(len(column)), texts.wrong, first_row)
        if self._form is None:
            self._decide(texts)
        form = self._form
        if form is None:  # no form fits all: name the first that does not fit what fits most
            tried = [Form(date, two) for date in ("", "ymd", "dmy", "mdy") for two in ("hh:mm", "mm:ss")]
            bads = [np.isnan(texts.seconds(each)) & texts.known for each in tried]
            return self._expect_times(column, np.zeros(len(column)), min(bads, key=lambda bad: bad.sum()), first_row)
        seconds = texts.seconds(form)
        seconds = self._expect_times(column, seconds, np.isnan(seconds) & texts.known, first_row)
        seconds, wraps = unwrapped(seconds + self._offset, self._period, self._usual, self._last)
        self._offset += wraps * self._period
        known = seconds[~np.isnan(seconds)]
        self._last = float(known[-1]) if len(known) else self._last
        if wraps:
            when = "midnight" if self._period == DAY else "noon" if self._period == DAY / 2 else "the full hour"
            self._remark(f"a clock '{self._name}' that starts again at {when}: time goes on there")
        return seconds

    def _decide(self, texts: Texts) -> None:
        """The form and the period of the column."""
        forms = forms_of(texts, asked=self._asked)
        if not forms:
            return
        if len(forms) > 1 or texts.two.any():
            texts = Texts(self._whole())
            forms = forms_of(texts, asked=self._asked)
            if not forms:
                return
        backs = {form: steps_back(texts.seconds(form), _period(texts, form)) for form in forms}
        fewest = min(count for count, _ in backs.values())
        forms = [form for form in forms if backs[form][0] == fewest]
        form = forms[0]
        if len({each.two for each in forms}) > 1:
            example = f"{int(texts.parts['a'][texts.two][0])}:{int(texts.parts['b'][texts.two][0]):02d}"
            raise DataError(
                f"{self._table.path}: time '{self._name}': {example} may be hours and minutes, or minutes and "
                "seconds, and nothing in the file says which; set time_format = 'hh:mm' or 'mm:ss'"
            )
        others = [each for each in forms if (each.two, each.counted) == (form.two, form.counted)]
        form = min(others, key=lambda each: backs[each][1])
        if form.date in ("dmy", "mdy") and any(not _same(texts, form, each) for each in others):
            first = "day" if form.date == "dmy" else "month"
            self._remark(f"dates of which the {first} was taken to come first, since rows are then closest in time")
        if form.two == "mm:ss" and texts.two.any():
            self._remark(f"time '{self._name}' of minutes and seconds, as 12:34.5")
        if form.counted:
            self._remark(f"time '{self._name}' in which .5 and .50 are 5 and 50 of the smallest unit")
        self._form, self._period = form, _period(texts, form)
        self._usual = usual_step(texts.seconds(form))

    def _whole(self) -> Any:
        """The column from the first row to the last."""
        import pandas as pd

        chunks = self._table.chunks([], [self._name])
        return _without_missing(pd.concat([chunk[self._name] for chunk in chunks], ignore_index=True))

    def _expect_times(self, column: Any, seconds: np.ndarray, bad: np.ndarray, first_row: int) -> np.ndarray:
        wrong = np.flatnonzero(bad)
        if len(wrong):
            asked = f" of the form time_format = {self._asked!r}" if self._asked else ""
            raise Unreadable(
                f"{self._table.path}: {self._table.place(first_row + int(wrong[0]))}: time '{self._name}' holds "
                f"{str(column.iloc[wrong[0]])[:40]!r}; expected seconds or a date with a time, as 2024-05-31 "
                f"12:30:00.25{asked}"
            )
        return seconds

    def _remark(self, text: str) -> None:
        if text not in self.remarks:
            self.remarks.append(text)


def _without_missing(column: Any) -> Any:
    """Texts without blanks around them; None where missing."""
    texts = [None if value is None or value != value else str(value).strip() for value in column.tolist()]  # noqa: PLR0124: NaN
    return column.__class__(
        [None if text is None or text.lower() in _NO_TIME else text for text in texts], dtype=object
    )


def _with_comma(column: Any, form: str | None) -> tuple[np.ndarray, np.ndarray]:
    return parsed_dates(column.str.replace(",", ".", regex=False), format=form)


def _period(texts: Texts, form: Form) -> float:
    """After how many seconds the clock of a form starts again; 0 for dates."""
    parts, known = texts.parts, ~np.isnan(texts.parts["a"])
    if form.date or not np.isnan(parts["days"]).all():
        return 0.0
    if form.two == "mm:ss":
        # With hours in other rows, or beyond 60 minutes, it does not start again.
        return 3600.0 if texts.two[known].all() and (parts["a"][known] < 60).all() else 0.0
    hours = parts["a"][known]
    if (hours > 23).any():
        return 0.0
    return DAY / 2 if (parts["half"][known] == "").all() and hours.min() >= 1 and hours.max() == 12 else DAY


def _same(texts: Texts, first: Form, second: Form) -> bool:
    """Whether two forms say the same intervals."""
    steps = [np.diff(texts.seconds(form)[texts.known]) for form in (first, second)]
    return bool(np.allclose(*steps, atol=1e-9))
