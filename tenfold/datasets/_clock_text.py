"""Texts as times: each form that spreadsheets and loggers write, and which of several a whole column has."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DAY",
    "FORMS",
    "Form",
    "Texts",
    "forms_of",
    "parsed_dates",
    "since_1970",
    "steps_back",
    "unwrapped",
    "usual_step",
]

DAY = 86400.0
FORMS = ("hh:mm", "mm:ss", "day first", "month first")
"""What ``time_format`` may be, beside a pattern with %."""

_TEXT = re.compile(
    r"""\s*(?:(?P<d1>\d{1,4})[-/.](?P<d2>\d{1,2})[-/.](?P<d3>\d{1,4})\.?(?:[t_ ,]+|:|$))?      # a date
    (?:(?P<sign>[+-])?(?:(?P<days>\d+)\s*days?,?\s*)?                                          # or a number of days
    (?P<a>\d{1,4}):(?P<b>\d{1,2})(?::(?P<c>\d{1,2})(?::(?P<after>\d+))?)?(?:[.,](?P<f>\d+))?\s*
    (?P<half>[ap])?(?:(?<=[ap])\.?\s?m\.?)?\s*(?P<zone>z|utc|gmt|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_GROUPS = ("d1", "d2", "d3", "sign", "days", "a", "b", "c", "after", "f", "half", "zone")
_NUMBERS = ("d1", "d2", "d3", "days", "a", "b", "c")
_WRAP_SAMPLES = 5
_WRAP_SECONDS = 1.0


@dataclass(frozen=True)
class Form:
    """One way to read the texts of a column.

    Args:
        date: order of the parts of a date: "ymd", "dmy" or "mdy"; "" where there is none.
        two: what 12:34 is: "hh:mm" or "mm:ss".
        counted: the digits behind the last mark count milliseconds (or microseconds): .5 is 0.005.
    """

    date: str = ""
    two: str = "hh:mm"
    counted: int = 0


class Texts:
    """Texts of a column, taken apart.

    Args:
        column: texts; missing values are missing times.
    Attributes:
        known: booleans, shape (rows,): not missing.
        wrong: booleans: neither missing nor of any known form.
    """

    def __init__(self, column: pd.Series) -> None:
        self.known = column.notna().to_numpy()
        found: dict[str, Any] = {name: np.full(len(column), np.nan) for name in (*_NUMBERS, "fraction", "digits")}
        found |= {name: np.zeros(len(column)) for name in ("shift", "zoned")}
        found["half"], found["negative"] = np.zeros(len(column), "U1"), np.zeros(len(column), bool)
        self.wrong = np.zeros(len(column), bool)
        for row, text in enumerate(column.tolist()):
            if self.known[row]:
                match = _TEXT.fullmatch(str(text))
                if match is None or (match["d1"] is None and match["a"] is None):
                    self.wrong[row] = True
                else:
                    _put(found, row, match)
        self.parts = found

    @property
    def two(self) -> np.ndarray:
        """Rows with two numbers and one colon, without a date and without am or pm."""
        parts = self.parts
        return ~np.isnan(parts["a"]) & np.isnan(parts["c"]) & np.isnan(parts["d1"]) & (parts["half"] == "")

    def seconds(self, form: Form) -> np.ndarray:
        """Seconds from 1970, or from midnight or the full hour where there is no date; NaN where missing or not of
        this form.
        """
        p = self.parts
        fraction = np.nan_to_num(p["fraction"] if not form.counted else p["digits"] / 10**form.counted)
        if form.two == "mm:ss":
            hours, minutes, seconds = (
                np.where(self.two, new, old) for new, old in ((0, p["a"]), (p["a"], p["b"]), (p["b"], p["c"]))
            )
        else:
            hours, minutes, seconds = p["a"], p["b"], p["c"]
        with_date = ~np.isnan(p["d1"])
        good = (np.nan_to_num(minutes) < 60) | ((form.two == "mm:ss") & self.two)
        good &= np.nan_to_num(seconds) < 61
        # 12:34.5 has a fraction of a second, so it cannot be hours and minutes.
        good &= ~(np.isnan(seconds) & ~np.isnan(p["fraction"]))
        good &= ~with_date | (np.nan_to_num(hours) <= 24)
        twelve = p["half"] != ""
        good &= ~twelve | ((hours >= 1) & (hours <= 12))
        hours = np.where(twelve, hours % 12 + 12 * (p["half"] == "p"), hours)
        clock = 3600 * np.nan_to_num(hours) + 60 * np.nan_to_num(minutes) + np.nan_to_num(seconds) + fraction
        clock = (clock + DAY * np.nan_to_num(p["days"])) * np.where(p["negative"], -1, 1) - p["shift"]
        good &= with_date if form.date else ~with_date
        if form.date:
            days = self._days(form.date)
            good &= ~np.isnan(days)
            clock = clock + DAY * days
        return np.where(good & self.known & ~self.wrong, clock, np.nan)

    def _days(self, order: str) -> np.ndarray:
        """Days since 1970-01-01 of the dates in this order of year, month and day; NaN for no date."""
        import pandas as pd

        year, month, day = (self.parts[f"d{order.index(letter) + 1}"] for letter in "ymd")
        year = np.where(year < 100, year + np.where(year < 70, 2000, 1900), year)
        good = (year >= 1678) & (year < 2262) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
        frame = pd.DataFrame(
            {"year": np.where(good, year, 2000), "month": np.where(good, month, 1), "day": np.where(good, day, 1)}
        ).astype(int)
        days = since_1970(pd.to_datetime(frame, errors="coerce")) / DAY
        return np.where(good, days, np.nan)


def _put(found: dict[str, Any], row: int, match: re.Match[str]) -> None:
    values = match.groupdict()
    for name in _NUMBERS:
        if values[name] is not None:
            found[name][row] = int(values[name])
    digits = values["after"] if values["f"] is None else values["f"]
    if digits is not None:
        found["fraction"][row], found["digits"][row] = float(f"0.{digits}"), int(digits)
    if values["half"]:
        found["half"][row] = values["half"].lower()
    found["negative"][row] = values["sign"] == "-"
    zone = values["zone"]
    if zone:
        found["zoned"][row] = 1
        if zone[0] in "+-":
            minutes = int(zone[1:3]) * 60 + int(zone[-2:] if len(zone) > 3 else 0)
            found["shift"][row] = 60 * minutes * (1 if zone[0] == "+" else -1)


def forms_of(texts: Texts, *, asked: str | None) -> list[Form]:
    """The forms by which every text is a time, the most usual first; none where one text is of no form."""
    if texts.wrong.any() or not texts.known.any():
        return []
    parts = texts.parts
    dates = ("ymd", "dmy", "mdy") if (~np.isnan(parts["d1"])).any() else ("",)
    if asked in ("day first", "month first"):
        dates = ("dmy",) if asked == "day first" else ("mdy",)
    twos = ("hh:mm", "mm:ss") if texts.two.any() else ("hh:mm",)
    if asked in ("hh:mm", "mm:ss"):
        twos = (str(asked),)
    elif texts.two.any() and parts["a"][texts.two].max() > 23:
        twos = ("mm:ss",)
    counts: tuple[int, ...] = (0,)
    digits = parts["digits"][~np.isnan(parts["digits"])]
    if len(digits):
        # Some loggers write 5 milliseconds as .5, then .10 and .100.
        counts = (0, 3) if digits.max() < 1e3 else (0, 6) if digits.max() < 1e6 else (0,)
    found = []
    for date, two, counted in product(dates, twos, counts):
        form = Form(date, two, counted)
        if not np.isnan(texts.seconds(form)[texts.known]).any():
            found.append(form)
    return found


def steps_back(seconds: np.ndarray, period: float) -> tuple[int, float]:
    """How often time goes back without passing midnight (or the full hour), and how much time there is from the first
    row to the last: by these two the right form of several is known.
    """
    given = unwrapped(seconds[~np.isnan(seconds)], period, usual_step(seconds))[0]
    steps = np.diff(given)
    return int((steps < 0).sum()), float(np.abs(steps).sum())


def usual_step(seconds: np.ndarray) -> float:
    """The median interval; 0 where time never increases."""
    steps = np.diff(seconds[~np.isnan(seconds)])
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else 0.0


def unwrapped(seconds: np.ndarray, period: float, usual: float, last: float = np.nan) -> tuple[np.ndarray, int]:
    """Times of a clock that starts again after ``period``, going on; and how often it started again.

    A step back is taken for that only where it is then a usual interval: other steps back are another recording.

    Args:
        seconds: shape (rows,); NaN where missing.
        period: 0 where the clock does not start again.
        usual: the usual interval.
        last: the time before the first row.
    Example:
        >>> unwrapped(np.array([3599.8, 3599.9, 0.0, 0.1]), 3600.0, 0.1)
        (array([3599.8, 3599.9, 3600. , 3600.1]), 1)
    """
    if not period:
        return seconds, 0
    known = np.flatnonzero(~np.isnan(seconds))
    steps = np.diff(seconds[known], prepend=last)
    longest = max(_WRAP_SAMPLES * usual, _WRAP_SECONDS)
    wraps = (steps < 0) & (steps + period > 0) & (steps + period <= longest)
    after = seconds.copy()
    after[known] += period * np.cumsum(wraps)
    return after, int(wraps.sum())


def since_1970(column: Any) -> np.ndarray:
    """Dates as seconds since 1970, float64; NaN where missing."""
    import pandas as pd

    plain = pd.to_datetime(column, utc=True).dt.tz_localize(None)
    seconds = plain.to_numpy("datetime64[ns]").astype(np.int64) / 1e9
    return np.where(plain.isna(), np.nan, seconds)


def parsed_dates(column: pd.Series, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since 1970 as pandas reads the texts, and rows that it cannot read."""
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns that values are parsed one by one
        parsed = pd.to_datetime(column, errors="coerce", utc=True, **options)
    return since_1970(parsed), (parsed.isna() & column.notna()).to_numpy()
