"""A column of time in every form that spreadsheets and loggers write: the intervals have to be right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tenfold.datasets import Recordings
from tenfold.datasets import _table as table_chunks
from tenfold.datasets._clock import unit_in
from tenfold.datasets._tables import Layout, read_recordings
from tenfold.errors import DataError, RequestError

START = datetime(2024, 5, 31, 23, 59, 50)


def write(folder: Path, times: Sequence[str], *, name: str = "t", mark: str = ";", file: str = "a.csv") -> None:
    rows = [f"{time}{mark}{row}{mark}w" for row, time in enumerate(times)]
    (folder / file).write_text("\n".join([mark.join((name, "x", "act")), *rows]) + "\n")


def read(folder: Path, **layout: object) -> Recordings:
    return read_recordings(folder, Layout(label="act", **{"time": "t"} | layout))  # type: ignore[arg-type]


def minutes(at: datetime) -> str:
    return f"{at.minute:02d}:{at.second:02d}.{at.microsecond // 100_000}"


def twelve(at: datetime) -> str:
    return f"{at.hour % 12 or 12}:{at:%M:%S.%f} {at:%p}"


FORMS: dict[str, Callable[[datetime], str]] = {
    "mm:ss.0 of a spreadsheet": minutes,
    "mm:ss,0 of a spreadsheet": lambda at: minutes(at).replace(".", ","),
    "hh:mm:ss.fff": lambda at: f"{at:%H:%M:%S.%f}"[:-3],
    "hh:mm:ss,fff": lambda at: f"{at:%H:%M:%S,%f}"[:-3],
    "hh:mm:ss:fff": lambda at: f"{at:%H:%M:%S:%f}"[:-3],
    "h:mm:ss.f, without a fraction of 0": lambda at: (
        f"{at.hour}:{at:%M:%S}" + (f".{at.microsecond // 100_000}" if at.microsecond else "")
    ),
    "am and pm": twelve,
    "a.m. and p.m.": lambda at: twelve(at).replace("AM", "a.m.").replace("PM", "p.m."),
    "twelve hours without am": lambda at: f"{at.hour % 12 or 12}:{at:%M:%S.%f}",
    "ISO": lambda at: at.isoformat(),
    "ISO with T and a comma": lambda at: f"{at:%Y-%m-%dT%H:%M:%S,%f}",
    "ISO with a zone": lambda at: f"{at:%Y-%m-%d %H:%M:%S.%f}+02:00",
    "ISO in UTC": lambda at: f"{at:%Y-%m-%dT%H:%M:%S.%f}Z",
    "year first with points": lambda at: f"{at:%Y.%m.%d %H:%M:%S.%f}",
    "day first": lambda at: f"{at:%d.%m.%Y %H:%M:%S.%f}",
    "day first, two digits of the year, comma": lambda at: f"{at:%d.%m.%y %H:%M:%S,%f}",
    "month first": lambda at: f"{at:%m/%d/%Y %H:%M:%S.%f}",
    "month first with am and pm": lambda at: f"{at:%m/%d/%Y} {twelve(at)}",
    "month by name": lambda at: f"{at:%d %b %Y %H:%M:%S.%f}",
    "days of Python": lambda at: str(at - datetime(2024, 5, 30)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rate_hz", [None, 10.0])
def test_every_form_gives_the_rate_and_every_row(tmp_path: Path, form: str, rate_hz: float | None) -> None:
    """200 rows at 10 Hz across midnight and a full hour: one piece, nothing resampled."""
    write(tmp_path, [FORMS[form](START + timedelta(seconds=row / 10)) for row in range(200)])
    data = read(tmp_path, rate_hz=rate_hz)
    assert data.rate_hz == 10
    np.testing.assert_array_equal(data.lengths, [200])
    np.testing.assert_array_equal(data.signals[:, 0], np.arange(200))
    assert not any("resampled" in note for note in data.notes)


MARKLESS = "%Y%m%d%H%M%S.%f"
NUMBERS: dict[str, tuple[Callable[[float], str], str, dict[str, object]]] = {
    "seconds": (lambda s: f"{s:.2f}", "t", {}),
    "seconds since 1970": (lambda s: f"{1.7e9 + s:.3f}", "t", {}),
    "decimal comma": (lambda s: f"{s:.2f}".replace(".", ","), "t", {}),
    "milliseconds, by the setting": (lambda s: f"{1000 * s:.0f}", "t", {"time_unit": "ms"}),
    "milliseconds, by the name": (lambda s: f"{1000 * s:.0f}", "time_ms", {}),
    "milliseconds since 1970, by the name": (lambda s: f"{1.7e12 + 1000 * s:.0f}", "Timestamp (ms)", {}),
    "microseconds, by the name": (lambda s: f"{1e6 * s:.0f}", "timestampUs", {}),
    "nanoseconds, by the name": (lambda s: f"{1e9 * s:.0f}", "time [ns]", {}),
    "days of a spreadsheet": (lambda s: repr(45443.9 + s / 86400), "t", {"time_unit": "d"}),
    "without marks": (lambda s: f"{START + timedelta(seconds=s):{MARKLESS}}", "t", {"time_format": MARKLESS}),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_of_every_unit(tmp_path: Path, case: str) -> None:
    form, name, options = NUMBERS[case]
    write(tmp_path, [form(row / 10) for row in range(200)], name=name)
    data = read(tmp_path, time=name, **options)
    assert data.rate_hz == pytest.approx(10, rel=1e-4)
    np.testing.assert_array_equal(data.lengths, [200])
    said = any("in ms, as its name says" in note for note in data.notes)
    assert said == ("milliseconds" in case and "name" in case)


def test_what_can_be_read_in_two_ways_is_asked(tmp_path: Path) -> None:
    write(tmp_path, [f"{10 + row // 60}:{row % 60:02d}" for row in range(120)])
    with pytest.raises(DataError, match=r"a\.csv: time 't': 10:00 may be hours and minutes, or minutes and seconds"):
        read(tmp_path)
    assert read(tmp_path, time_format="mm:ss").rate_hz == 1
    assert read(tmp_path, time_format="hh:mm").rate_hz == pytest.approx(1 / 60, rel=1e-5)
    with pytest.raises(RequestError, match="time_format must be one of"):
        read(tmp_path, time_format="minutes")


@pytest.mark.parametrize(
    ("first", "rate_hz"),
    [("58:00", 1.0), ("23:30", 1 / 60), ("1:58:00", 1.0)],  # beyond 23; across midnight; with hours in other rows
)
def test_the_whole_column_says_which_of_two_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, rate_hz: float
) -> None:
    if first == "1:58:00":
        times = [f"{row // 3600}:{row // 60 % 60:02d}:{row % 60:02d}".removeprefix("0:") for row in range(600, 3700)]
    else:
        start, wrap = 60 * int(first[:2]) + int(first[3:]), 1440 if first == "23:30" else 3600
        times = [f"{(start + row) % wrap // 60:02d}:{(start + row) % 60:02d}" for row in range(119)]
    monkeypatch.setattr(table_chunks, "_VALUES_AT_ONCE", 1)  # the row that decides is in a later chunk
    write(tmp_path, times)
    data = read(tmp_path)
    assert data.rate_hz == pytest.approx(rate_hz, rel=1e-5)
    assert data.lengths.tolist() == [len(times)]


def test_the_order_of_day_and_month_is_the_files_own(tmp_path: Path) -> None:
    days = [datetime(2024, 3, 4) + timedelta(days=day) for day in range(3)]
    write(tmp_path, [f"{day:%d/%m/%Y} 12:00:0{second}" for day in days for second in range(3)])
    data = read(tmp_path)
    assert data.rate_hz == 1
    assert "1 file with dates of which the day was taken to come first" in data.notes[0]
    write(tmp_path, [f"{day:%m/%d/%Y} 12:00:0{second}" for day in days for second in range(3)])
    assert "the month was taken to come first" in read(tmp_path).notes[0]
    write(tmp_path, [f"03/04/2024 12:00:0{second}" for second in range(3)])  # both give the same intervals
    assert read(tmp_path).notes == ()


def test_milliseconds_without_leading_zeros(tmp_path: Path) -> None:
    write(tmp_path, [f"12:00:0{ms // 1000}.{ms % 1000}" for ms in range(0, 4000, 20)])
    data = read(tmp_path)
    assert data.rate_hz == 50
    assert data.lengths.tolist() == [200]


def test_another_recording_is_not_a_new_hour(tmp_path: Path) -> None:
    write(tmp_path, [f"{12 + row // 600 % 2}:{row // 10 % 60:02d}.{row % 10}" for row in range(1200)] * 2)
    data = read(tmp_path)
    assert data.lengths.tolist() == [1200, 1200]
    assert any("1 time that time goes back" in note for note in data.notes)


def test_a_clock_that_starts_again_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_chunks, "_VALUES_AT_ONCE", 1)  # 1000 rows: the hour passes between two chunks
    write(tmp_path, [minutes(START + timedelta(seconds=(row - 900) / 10)) for row in range(2500)])
    data = read(tmp_path)
    assert data.lengths.tolist() == [2500]
    assert any("starts again at the full hour: time goes on there" in note for note in data.notes)


def test_units_that_cannot_be_are_refused(tmp_path: Path) -> None:
    write(tmp_path, [repr(45443.5 + row / 864000) for row in range(200)])
    with pytest.raises(DataError, match=r"45443.5 looks like a date of a spreadsheet, in days; .* time_unit = 'd'"):
        read(tmp_path)
    write(tmp_path, [str(20240531120000 + row) for row in range(50)])
    with pytest.raises(DataError, match=r"looks like a date without marks: time_format = '%Y%m%d%H%M%S'"):
        read(tmp_path)
    write(tmp_path, [str(row / 50) for row in range(200)])
    for options in ({"time_unit": "ms", "rate_hz": 50}, {"time_unit": "min", "rate_hz": 50}):
        with pytest.raises(DataError, match="and 50 are wanted; is time_unit right"):
            read(tmp_path, **options)
    write(tmp_path, ["12:61:00", "12:61:01"])
    with pytest.raises(DataError, match="line 2: time 't' holds '12:61:00'"):
        read(tmp_path)


def test_the_unit_in_a_name() -> None:
    assert [unit_in(name) for name in ("timeMs", "ms_since_start", "time (µs)", "t_sec")] == ["ms", "ms", "us", "s"]
    assert [unit_in(name) for name in ("timestamp", "systems", "bonus", "time")] == [None] * 4
