"""A folder of a person's own recordings: what is read from it, and for everything else the message."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.datasets import UNASSIGNED, Recordings
from tenfold.datasets import _resample as resample
from tenfold.datasets import _table as table_chunks
from tenfold.datasets._layout import _Pattern, find_files
from tenfold.datasets._pieces import Pieces, Rows
from tenfold.datasets._tables import Layout, read_recordings
from tenfold.errors import DataError, RequestError

HAVE_PARQUET = importlib.util.find_spec("pyarrow") is not None
needs_parquet = pytest.mark.skipif(not HAVE_PARQUET, reason="pyarrow is not installed (pip install 'tenfold[parquet]')")


def write(path: Path, text: str, **options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", **options) as file:
        file.write(text)
    return path


def table(path: Path, columns: dict[str, Sequence], *, delimiter: str = ",") -> Path:
    """A CSV file from columns of equal lengths."""
    rows = zip(*columns.values(), strict=True)
    lines = [delimiter.join(columns), *(delimiter.join(map(str, row)) for row in rows)]
    return write(path, "\n".join(lines) + "\n")


def read(folder: Path, **layout: object) -> Recordings:
    layout.setdefault("label", "act")
    return read_recordings(folder, Layout(**layout))


def refused(folder: Path, **layout: object) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, **layout)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def pieces_of(data: Recordings) -> list[tuple[str, str | None, list[float]]]:
    """Class, group and first channel of each piece."""
    groups = [None] * len(data) if data.groups is None else [data.group_names[group] for group in data.groups]
    names = [data.class_names[label] for label in data.labels]
    signals = [data.signals[a : a + n, 0].tolist() for a, n in zip(data.starts, data.lengths, strict=True)]
    return list(zip(names, groups, signals, strict=True))


# -- what is read -----------------------------------------------------------------------------------------------------


def test_a_recording_is_cut_where_label_or_group_changes(tmp_path: Path) -> None:
    table(tmp_path / "b.csv", {"x": [1, 2, 3, 4, 5, 6], "who": "ppqqqp", "act": ["10", "10", "10", "9", "10", "10"]})
    table(tmp_path / "a.csv", {"x": [7], "who": "q", "act": ["9"]})
    data = read(tmp_path, group="who", rate_hz=50)
    assert pieces_of(data) == [
        ("9", "q", [7]),
        ("10", "p", [1, 2]),
        ("10", "q", [3]),
        ("9", "q", [4]),
        ("10", "q", [5]),
        ("10", "p", [6]),
    ]
    assert data.class_names == ("9", "10")
    assert data.group_names == ("p", "q")
    assert data.channels == ("x",)
    assert data.rate_hz == 50
    assert data.signals.dtype == np.float32
    assert (data.part == UNASSIGNED).all()
    assert (data.name, data.source, data.notes) == (tmp_path.name, str(tmp_path), ())


def test_a_file_ends_a_recording(tmp_path: Path) -> None:
    for name in ("a", "b"):
        table(tmp_path / f"{name}.csv", {"x": [1, 2], "act": "ww"})
    data = read(tmp_path)
    assert pieces_of(data) == [("w", None, [1, 2])] * 2
    assert data.rate_hz == 0
    assert data.group_names == ()


def test_label_and_group_from_the_path(tmp_path: Path) -> None:
    for name in ("anna/walk_1", "bob/going_up_2", "bob/walk_10", "bob/walk_9"):
        table(tmp_path / f"{name}.csv", {"x": [len(name)]})
    table(tmp_path / "people.csv", {"age": [30]})
    data = read(tmp_path, label=None, files="{group}/{label}_{:d}.csv")
    assert pieces_of(data) == [
        ("walk", "anna", [11]),
        ("going_up", "bob", [14]),
        ("walk", "bob", [10]),  # 9 before 10
        ("walk", "bob", [11]),
    ]
    assert data.notes == ("1 file does not fit files='{group}/{label}_{:d}.csv' and were left out: 'people.csv'",)


def test_the_order_of_columns_and_channels(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", {"z": [1], "act": "w", "y": [2], "x": [3]})
    table(tmp_path / "b.csv", {"x": [3], "y": [2], "act": "w", "z": [1]})
    np.testing.assert_array_equal(read(tmp_path).signals, [[1, 2, 3], [1, 2, 3]])
    data = read(tmp_path, columns=["x", "z"])
    assert data.channels == ("x", "z")
    np.testing.assert_array_equal(data.signals, [[3, 1], [3, 1]])


def test_columns_of_numbers_are_taken_where_none_are_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"t": [0.0, 0.1], "x": [1, 2], "remark": ["good", "bad"], "who": [1, 1], "act": [2, 2]})
    frame.to_csv(tmp_path / "a.csv")  # with the index, as a column without a name
    data = read(tmp_path, group="who", time="t")
    assert data.channels == ("x",)
    assert data.notes == ("not used, since they hold text: columns 'remark'",)


def test_names_of_classes_are_sorted_as_numbers_where_they_are(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", {"x": range(5), "act": ["10", "-1", "2.50", "9.0", "9"]})
    data = read(tmp_path)
    assert data.class_names == ("-1", "2.50", "9", "10")
    np.testing.assert_array_equal(data.labels, [3, 0, 1, 2])
    table(tmp_path / "b.csv", {"x": [1], "act": ["none"]})
    assert read(tmp_path).class_names == ("2.50", "9", "10", "-1", "none")  # names, of which one begins with a dash


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("x,y,act\n1.5,2,w\n-3,4e1,w\n", {}),
        ("x;y;act\r\n1.5;2;w\r\n-3;4e1;w\r\n", {}),
        ("x\ty\tact\r1.5\t2\tw\r-3\t40\tw\r", {}),
        ("x   y act\n 1.5  2  w\n  -3 40  w  \n", {}),
        ("x|y|act\n1.5|2|w\n-3|40|w\n", {"delimiter": "|"}),
        ("x;y;act\n1,5;2;w\n-3;4,0e1;w\n", {}),
        ("x\ty\tact\n1,5\t2\tw\n-3\t40\tw\n", {}),
        ("\n\n# a comment\nx, y, act\n\n1.5, 2, w\n   \n-3, 40, w\n\n", {}),
        ("# x y act\n1.5 2 7\n-3 40 7\n", {}),
        ("x,y,act\n1.5,2,w,\n-3,40,w,\n", {}),
        ('"x";"y";"act"\n"1.5";"2";"w"\n"-3";"40";"w"\n', {}),
        ("act,x,y,\nw,1.5,2,\nw,-3,40,\n", {}),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_forms_of_text(tmp_path: Path, text: str, options: dict, encoding: str) -> None:
    write(tmp_path / "a.txt", text, encoding=encoding)
    data = read(tmp_path, **options)
    assert data.channels == ("x", "y")
    np.testing.assert_array_equal(data.signals, np.float32([[1.5, 2], [-3, 40]]))
    decimal = ("1 file with decimal commas",) if "1,5" in text else ()
    assert data.notes == decimal


def test_names_in_the_encoding_of_old_windows_programs(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "Höhe (m²);Tätigkeit\n1,25;gähnen\n", encoding="cp1252")
    data = read(tmp_path, label="Tätigkeit")
    assert data.channels == ("Höhe (m²)",)
    assert data.class_names == ("gähnen",)
    assert data.signals[0, 0] == 1.25


def test_labels_are_never_taken_for_missing_values_or_numbers(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", {"x": [1, 2, 3], "act": ["null", "NA", "01"]})
    assert set(read(tmp_path).class_names) == {"null", "NA", "01"}


def test_npz_and_parquet_give_what_csv_gives(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "t": np.arange(60) / 20,
            "acc_0": generator.normal(size=60).astype(np.float32),
            "acc_1": generator.integers(0, 9, 60),
            "act": np.repeat([1, 2, 3], 20),
            "who": np.repeat(["p", "q"], 30),
        }
    )
    for kind in ("csv", "npz", "parquet"):
        (tmp_path / kind).mkdir()
    frame.to_csv(tmp_path / "csv" / "a.csv", index=False)
    arrays = {"t": frame.t, "acc": frame[["acc_0", "acc_1"]], "act": frame.act, "who": frame.who.to_numpy(dtype="U")}
    np.savez(tmp_path / "npz" / "a.npz", **arrays)
    options = {"group": "who", "time": "t"}
    expected = read(tmp_path / "csv", **options)
    assert read(tmp_path / "npz", **options).fingerprint == expected.fingerprint
    if not HAVE_PARQUET:
        pytest.skip("pyarrow is not installed (pip install 'tenfold[parquet]')")
    frame.to_parquet(tmp_path / "parquet" / "a.parquet")
    assert read(tmp_path / "parquet", **options).fingerprint == expected.fingerprint


def test_one_value_in_an_npz_file_holds_for_all_rows(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=[1.0, 2.0], act="walk", who=np.bytes_("p"), rate=50.0)
    data = read(tmp_path, group="who")
    assert pieces_of(data) == [("walk", "p", [1, 2])]
    assert data.channels == ("x",)


def test_the_order_of_the_file_system_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (10, 9, 1):
        table(tmp_path / str(number % 2) / f"{number}.csv", {"x": [number], "act": "w"})
    whole = read(tmp_path)
    assert whole.signals.ravel().tolist() == [10, 1, 9]
    found = list(tmp_path.rglob("*"))
    monkeypatch.setattr(Path, "rglob", lambda self, pattern: reversed(found))
    assert read(tmp_path).fingerprint == whole.fingerprint


def test_hidden_files_and_readmes_are_passed_over(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", {"x": [1], "act": "w"})
    for name in ("README.txt", "Licence.txt", ".a.csv", ".git/b.csv", "__MACOSX/a.csv", "image.png"):
        write(tmp_path / name, "no table")
    assert len(read(tmp_path)) == 1


# -- time -------------------------------------------------------------------------------------------------------------

START = 1.7e9  # seconds since 1970: float32 would not tell two samples apart


def timed(path: Path, time: np.ndarray, values: np.ndarray | None = None) -> Path:
    return table(
        path,
        {"t": [repr(float(each)) for each in time], "x": time if values is None else values, "act": "w" * len(time)},
    )


def test_a_regular_clock_leaves_the_rows_as_they_are(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=600).astype(np.float32)
    # 60 Hz in whole milliseconds: intervals of 16 and 17, whose median would say 58.8 Hz.
    timed(tmp_path / "a.csv", START + np.round(np.arange(600) / 60, 3), values)
    data = read(tmp_path, time="t")
    assert data.rate_hz == pytest.approx(60, rel=1e-3)
    np.testing.assert_array_equal(data.signals[:, 0], values)
    assert data.notes == ()
    np.testing.assert_array_equal(read(tmp_path, time="t", rate_hz=60.5).signals[:, 0], values)  # 1 % is no difference


@pytest.mark.parametrize("jitter", [0.0, 0.3])
@pytest.mark.parametrize(("own_hz", "rate_hz"), [(50, 80), (100, 70), (100, 50), (200, 30), (1000, 50), (47, 46)])
def test_resampling_a_sine_gives_its_formula(tmp_path: Path, own_hz: int, rate_hz: int, jitter: float) -> None:
    generator = np.random.default_rng(own_hz)
    time = (np.arange(6 * own_hz) + jitter * generator.uniform(-1, 1, 6 * own_hz)) / own_hz
    sine = np.sin(2 * np.pi * time)
    timed(tmp_path / "a.csv", START + time, sine)
    data = read(tmp_path, time="t", rate_hz=rate_hz)
    got = data.signals[:, 0]
    assert len(got) == np.floor((time[-1] - time[0]) * rate_hz + 1e-3) + 1
    expected = np.sin(2 * np.pi * (time[0] + np.arange(len(got)) / rate_hz))
    longest = np.diff(time).max()
    linear = (2 * np.pi * longest) ** 2 / 8  # error of a straight line across the longest interval
    np.testing.assert_allclose(got[10:-10], expected[10:-10], rtol=0, atol=1.5 * linear + 1e-3)
    # The mirror image at the ends has no bend there, which the sine has.
    np.testing.assert_allclose(got, expected, rtol=0, atol=1.5 * linear + (0.03 if own_hz > 1.5 * rate_hz else 1e-3))
    assert len(data.notes) == 1
    assert f"1 file resampled from {own_hz}" in data.notes[0] or jitter


def test_what_is_too_fast_is_averaged_and_not_taken_for_slow(tmp_path: Path) -> None:
    time = np.arange(4000) / 1000
    slow, fast = np.sin(2 * np.pi * 2 * time), np.sin(2 * np.pi * 48 * time)  # 48 Hz look like 2 Hz at 50
    timed(tmp_path / "a.csv", time, slow + fast + 100)
    got = read(tmp_path, time="t", rate_hz=50).signals[:, 0]
    np.testing.assert_allclose(got[12:-12], (slow + 100)[::20][12:-12], atol=0.01)
    assert np.abs((slow + fast + 100)[::20][12:-12] - (slow + 100)[::20][12:-12]).max() > 0.9  # as rows alone would be


def test_an_irregular_clock_is_resampled_without_a_rate_too(tmp_path: Path) -> None:
    time = np.delete(np.arange(200) / 50, [60, 61, 120])  # lost rows, no gap
    timed(tmp_path / "a.csv", time, 3 * time)
    data = read(tmp_path, time="t")
    assert data.rate_hz == 50
    np.testing.assert_allclose(data.signals[:, 0], 3 * np.arange(200) / 50, atol=1e-5)
    assert data.notes == ("1 file resampled from 50 to 50 samples per second",)


def test_gaps_cut(tmp_path: Path) -> None:
    time = np.array([0, 1, 2, 3, 10, 11, 12, 16, 17]) / 10
    timed(tmp_path / "a.csv", time, np.arange(9))
    data = read(tmp_path, time="t")
    assert data.rate_hz == 10
    assert [each for _, _, each in pieces_of(data)] == [[0, 1, 2, 3], [4, 5, 6, *np.float32([6.25, 6.5, 6.75]), 7, 8]]
    assert data.notes[0] == "1 gap in time longer than 5 samples' time: recordings cut there"
    data = read(tmp_path, time="t", gap_seconds=0.35)
    assert [each for _, _, each in pieces_of(data)] == [[0, 1, 2, 3], [4, 5, 6], [7, 8]]
    assert data.notes == ("2 gaps in time longer than 0.35 s: recordings cut there",)
    assert "gap_seconds=0.1 would cut after every row, which are 0.1 seconds apart" in refused(
        tmp_path, time="t", gap_seconds=0.1
    )


def test_time_that_starts_anew_begins_a_piece(tmp_path: Path) -> None:
    timed(tmp_path / "a.csv", np.tile(np.arange(20) / 10, 3), np.arange(60))
    data = read(tmp_path, time="t")
    np.testing.assert_array_equal(data.lengths, [20, 20, 20])
    assert data.notes == ("2 times that time goes back: recordings cut there",)
    timed(tmp_path / "a.csv", np.random.default_rng(0).permutation(60), np.arange(60))
    assert "sort the rows by time" in refused(tmp_path, time="t")


def test_repeated_times(tmp_path: Path) -> None:
    timed(tmp_path / "a.csv", np.array([0, 1, 2, 2, 3, 4]), np.array([0, 1, 2, 9, 3, 4]))
    data = read(tmp_path, time="t")
    assert data.signals.ravel().tolist() == [0, 1, 2, 3, 4]
    assert data.notes == ("1 row with the time of the row before: left out",)
    timed(tmp_path / "a.csv", np.arange(100) // 10)
    assert "90 of 100 rows repeat the time of the row before" in refused(tmp_path, time="t")


def test_rates_that_differ_are_refused_with_both_files(tmp_path: Path) -> None:
    for name, rate in (("a", 50), ("b", 50.5), ("c", 51.2)):
        timed(tmp_path / f"{name}.csv", np.arange(100) / rate)
    message = refused(tmp_path, time="t")
    assert "rates differ: 50 samples per second in 'a.csv', 51.2 in 'c.csv'; give rate_hz" in message
    assert read(tmp_path, time="t", rate_hz=50).lengths.tolist() == [100, 100, 97]
    (tmp_path / "c.csv").unlink()
    assert read(tmp_path, time="t").rate_hz == 50.25


def test_the_rate_of_few_rows() -> None:
    assert resample.rate_of(np.array([0, 0.001, 5])) == 1000
    assert resample.rate_of(np.array([0, np.nan, 5])) is None
    assert resample.rate_of(np.array([3.0])) is None
    steps = np.random.default_rng(0).uniform(0.9, 1.1, 5000) / 50
    assert resample.rate_of(np.cumsum(steps)) == pytest.approx(1 / steps[1:].mean(), rel=1e-5)


SECONDS = np.arange(6) * 0.25


@pytest.mark.parametrize(
    ("form", "unit"),
    [
        (lambda stamp, s: f"{s}", "s"),
        (lambda stamp, s: f"{1.7e12 + 1000 * s:.0f}", "ms"),
        (lambda stamp, s: f"{1.7e15 + 1e6 * s:.0f}", "us"),
        (lambda stamp, s: f"{1700000000000000000 + int(1e9 * s)}", "ns"),
        (lambda stamp, s: str(stamp.to_pydatetime()), "s"),  # without a fraction where that is 0
        (lambda stamp, s: stamp.isoformat() + "Z", "s"),
        (lambda stamp, s: stamp.strftime("%d.%m.%Y %H:%M:%S.%f"), "s"),
        (lambda stamp, s: stamp.strftime("%m/%d/%Y %H:%M:%S.%f"), "s"),
        (lambda stamp, s: stamp.strftime("%H:%M:%S.%f"), "s"),
    ],
)
def test_forms_of_time(tmp_path: Path, form: Callable, unit: str) -> None:
    stamps = pd.Timestamp("2024-01-31 23:00:00") + pd.to_timedelta(SECONDS, unit="s")
    time = [form(stamp, second) for stamp, second in zip(stamps, SECONDS, strict=True)]
    table(tmp_path / "a.csv", {"t": time, "x": range(6), "act": "w" * 6})
    data = read(tmp_path, time="t", time_unit=unit)
    assert data.rate_hz == 4
    assert data.lengths.tolist() == [6]


@needs_parquet
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_times_in_parquet(tmp_path: Path, unit: str, zone: str | None) -> None:
    # Across the hour that summer time takes away.
    start = pd.Timestamp("2024-03-31 00:59:59.5", tz="UTC" if zone else None)
    stamps = pd.Series(start + pd.to_timedelta(SECONDS, unit="s")).dt.as_unit(unit)
    frame = pd.DataFrame({"t": stamps.dt.tz_convert(zone) if zone else stamps, "x": np.arange(6.0), "act": "w"})
    frame.to_parquet(tmp_path / "a.parquet")
    data = read(tmp_path, time="t")
    assert (data.rate_hz, data.lengths.tolist()) == (4, [6])
    pd.DataFrame({"t": stamps - stamps[0], "x": np.arange(6.0), "act": "w"}).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path, time="t").rate_hz == 4


def test_times_that_cannot_be(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", {"t": [1700000000000, 1700000000020], "x": [1, 2], "act": "ww"})
    assert "line 2: time 't' would be 1.7e+12 seconds; say its unit: time_unit = 'ms'" in refused(tmp_path, time="t")
    table(tmp_path / "a.csv", {"t": [0, 20, 40], "x": [1, 2, 3], "act": "www"})
    assert "has 0.05 samples per second, and 50 are wanted; is time_unit right?" in refused(
        tmp_path, time="t", rate_hz=50
    )
    message = refused(tmp_path, time="t", rate_hz=50, time_unit="ns")
    assert "has 5e+07 samples per second, and 50 are wanted; is time_unit right?" in message
    table(tmp_path / "a.csv", {"t": [0, 0.1, "later"], "x": [1, 2, 3], "act": "www"})
    assert "line 4: column 't' holds 'later'; expected a number" in refused(tmp_path, time="t")
    table(tmp_path / "a.csv", {"t": ["2024-01-01 10:00", "2024-01-01 10:01", "later"], "x": [1, 2, 3], "act": "www"})
    assert "line 4: time 't' holds 'later'; expected seconds or a date" in refused(tmp_path, time="t")
    table(tmp_path / "a.csv", {"t": [1, 1], "x": [1, 2], "act": "ww"})
    assert "time 't' never increases, so it gives no rate" in refused(tmp_path, time="t")


# -- missing values ---------------------------------------------------------------------------------------------------


def test_missing_values_are_refused_with_their_line(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "# made by hand\nx,y,act\n1,2,w\n\n3,?,w\n,4,w\n")
    message = refused(tmp_path)
    assert "a.csv: line 5: no value in column 'y'; set missing = 'fill'" in message
    write(tmp_path / "a.csv", "x,act\n1,w\n2\n")  # a logger that was switched off
    assert "line 3: no value in column 'act'" in refused(tmp_path)
    np.savez(tmp_path / "a.npz", x=[1.0, np.nan], act="w")
    (tmp_path / "a.csv").unlink()
    assert "row 1: no value in column 'x'" in refused(tmp_path)


def test_short_stretches_are_filled_and_long_ones_cut(tmp_path: Path) -> None:
    x = ["", 1, "", "", 4, 5, "nan", "NA", "?", 9, 10, ""]
    table(tmp_path / "a.csv", {"x": x, "y": range(12), "act": "w" * 12})
    data = read(tmp_path, missing="fill", rate_hz=10)  # 0.2 s are two rows
    assert [each for _, _, each in pieces_of(data)] == [[1, 2, 3, 4, 5], [9, 10]]
    assert data.notes == (
        "2 missing values in 1 stretches of up to 0.2 s filled by straight lines",
        "5 rows with missing values: left out, recordings cut there",
    )
    data = read(tmp_path, missing="fill", rate_hz=10, fill_seconds=0.3)
    assert [each for _, _, each in pieces_of(data)] == [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]
    data = read(tmp_path, missing="cut")
    assert [each for _, _, each in pieces_of(data)] == [[1], [4, 5], [9, 10]]


def test_channels_that_were_measured_in_turn_are_filled(tmp_path: Path) -> None:
    rows = range(40)
    x = [row if row % 2 else "" for row in rows]
    y = [-row if not row % 2 else "" for row in rows]
    table(tmp_path / "a.csv", {"t": [row / 100 for row in rows], "x": x, "y": y, "act": "w" * 40})
    data = read(tmp_path, missing="fill", time="t")
    np.testing.assert_allclose(data.signals, [[row, -row] for row in range(1, 39)], rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_filled_values_are_those_of_numpy(data: st.DataObject) -> None:
    n_rows = data.draw(st.integers(1, 30))
    lost = np.array(
        data.draw(st.lists(st.lists(st.booleans(), min_size=2, max_size=2), min_size=n_rows, max_size=n_rows))
    )
    longest = data.draw(st.sampled_from([1, 2, 5]))
    generator = np.random.default_rng(n_rows)
    values = generator.normal(size=(n_rows, 2)).astype(np.float32)
    # A clock that is regular to a quarter of a sample passes unchanged, so that filling is seen by itself.
    time = np.arange(n_rows) + generator.uniform(-0.05, 0.05, n_rows)
    layout = Layout(label="act", missing="fill", fill_seconds=longest, time="t", rate_hz=1, gap_seconds=100)
    holed = values.copy()
    holed[lost] = np.nan
    pieces = Pieces(layout, 2, 1.0)
    zeros = np.zeros(n_rows, np.int64)
    pieces.begin(1.0)
    pieces.add(Rows(holed, zeros, zeros, time))
    pieces.end()
    filled, stay, n_filled = holed.copy(), np.zeros(n_rows, bool), 0
    for channel in range(2):
        known = ~lost[:, channel]
        if known.any():
            filled[:, channel] = np.interp(time, time[known], holed[known, channel])
        for row in np.flatnonzero(lost[:, channel]):  # slow and obvious: walk to both sides
            before, after = row, row
            while before >= 0 and lost[before, channel]:
                before -= 1
            while after < n_rows and lost[after, channel]:
                after += 1
            short = before >= 0 and after < n_rows and time[after] - time[before] - 1 <= longest + 1e-6
            stay[row] |= not short
            n_filled += short
    signals, _, lengths, _, _ = pieces.arrays()
    np.testing.assert_allclose(signals, filled[~stay], atol=1e-6)
    expected = "".join("." if each else "x" for each in stay).replace(".", " ").split()
    assert lengths.tolist() == [len(each) for each in expected]
    assert pieces.tally.cut_rows == stay.sum()
    assert pieces.tally.filled_values == n_filled


def test_rows_without_label_or_time(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", {"t": [0, 1, 2, "", 4, 5, 6], "x": range(7), "act": ["w", "w", "", "w", "w", "w", "w"]})
    assert "line 4: no value in column 'act'" in refused(tmp_path, time="t")
    data = read(tmp_path, time="t", missing="cut")
    assert [each for _, _, each in pieces_of(data)] == [[0, 1], [4, 5, 6]]
    assert data.notes == (
        "1 row without label or group: left out, recordings cut there",
        "1 row without time: left out",
    )
    table(tmp_path / "a.csv", {"t": [0, 1, 2, "", 4, 5, 6], "x": range(7), "act": "w" * 7})
    data = read(tmp_path, time="t", missing="fill")
    assert [each for _, _, each in pieces_of(data)] == [[0, 1, 2, 3, 4, 5, 6]]


def test_nothing_left_is_refused(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", {"x": ["", ""], "act": "ww"})
    message = refused(tmp_path, missing="cut")
    assert "no row is left of 2: 2 rows with missing values: left out" in message
    table(tmp_path / "b.csv", {"x": [1], "act": "v"})
    assert read(tmp_path, missing="cut").notes[-1] == "no row is left of class 'w'"


# -- blocks -----------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_blocks_and_chunks_leave_no_trace(data: st.DataObject) -> None:
    """The same rows at once and bit by bit, filled, cut, resampled and averaged."""
    own_hz = data.draw(st.sampled_from([30, 50, 120, 400]), label="own_hz")
    n_rows = data.draw(st.integers(1, 500), label="n_rows")
    generator = np.random.default_rng(data.draw(st.integers(0, 1000), label="seed"))
    # A clock that is regular at first, and perhaps not later.
    jitter = np.where(np.arange(n_rows) < data.draw(st.sampled_from([0, 300])), 0.05, 0.5)
    steps = (1 + jitter * generator.uniform(-1, 1, n_rows)) / own_hz
    steps[generator.random(n_rows) < 0.01] = 1.0  # gaps
    time = np.cumsum(steps)
    values = generator.normal(size=(n_rows, 2)).astype(np.float32)
    values[generator.random((n_rows, 2)) < data.draw(st.sampled_from([0, 0.02, 0.5]), label="lost")] = np.nan
    labels = np.cumsum(generator.random(n_rows) < 0.01)
    labels[generator.random(n_rows) < 0.005] = -1
    layout = Layout(label="act", time="t", rate_hz=50, missing=data.draw(st.sampled_from(["fill", "cut"])))

    def collect(block_rows: int, chunk_rows: int) -> tuple[tuple[np.ndarray, ...], object]:
        pieces = Pieces(layout, 2, 50.0, block_rows=block_rows)
        pieces.begin(float(own_hz))
        for first in range(0, n_rows, chunk_rows):
            rows = slice(first, first + chunk_rows)
            pieces.add(Rows(values[rows].copy(), labels[rows], np.zeros_like(labels[rows]), time[rows]))
        pieces.end()
        return pieces.arrays(), pieces.tally

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resample, "_CHECK_ROWS", data.draw(st.sampled_from([16, 4096])))
        whole, tally = collect(10**6, 10**6)
        parts, same = collect(data.draw(st.sampled_from([1, 7, 64])), data.draw(st.sampled_from([1, 5, 100])))
    assert tally == same
    for first, second in zip(whole[1:], parts[1:], strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(whole[0], parts[0], atol=2e-5)


def test_a_clock_that_becomes_irregular_leaves_what_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resample, "_CHECK_ROWS", 16)
    time = np.delete(np.arange(70) / 10, [40, 41])
    values = np.stack([time, np.random.default_rng(0).normal(size=68)], axis=1).astype(np.float32)
    one = resample.Resampler(10, 10)
    got = np.concatenate([one.add(time, values), one.end()])
    assert one.used
    np.testing.assert_array_equal(got[:32], values[:32])
    np.testing.assert_allclose(got[:, 0], np.arange(70) / 10, atol=1e-5)


def test_chunks_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 3500
    labels = np.repeat(["a", "b"], [2999, 501])
    table(tmp_path / "a.csv", {"t": np.arange(rows) / 20, "x": range(rows), "act": labels})
    np.savez(tmp_path / "b.npz", t=np.arange(rows) / 20, x=np.arange(rows), act=labels)
    if HAVE_PARQUET:
        pd.read_csv(tmp_path / "a.csv").to_parquet(tmp_path / "c.parquet")
    monkeypatch.setattr(table_chunks, "_VALUES_AT_ONCE", 1)  # 1000 rows
    data = read(tmp_path, time="t")
    assert data.lengths.tolist() == [2999, 501] * (3 if HAVE_PARQUET else 2)
    np.testing.assert_array_equal(data.signals.reshape(-1, rows), np.arange(rows)[None].repeat(len(data) // 2, axis=0))


LARGE = """
import re, sys
from pathlib import Path
from tenfold.datasets._tables import Layout, read_recordings
import numpy, pandas, scipy.signal

# Not resource.getrusage, which also counts what the parent held before it started this program.
peak = lambda: 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
folder = Path(sys.argv[1])
read_recordings(folder / "small", Layout(label="act", rate_hz=50))
before = peak()
if sys.argv[2] == "read":
    size = read_recordings(folder / "large", Layout(label="act", rate_hz=50)).signals.nbytes
else:
    frames = [pandas.read_csv(file) for file in (folder / "large").iterdir()]
    size = numpy.float32(pandas.concat(frames)[["x", "y", "z"]]).nbytes
print(size, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_large_recordings_need_little_memory(tmp_path: Path) -> None:
    block = "".join(f"0.{row},{row},-{row}.5,{'walk' if row < 60 else 'run'}\n" for row in range(100, 999))
    block = block.replace("run", "walk", 400)
    write(tmp_path / "small" / "a.csv", f"x,y,z,act\n{block}")
    for name in ("a", "b"):
        write(tmp_path / "large" / f"{name}.csv", f"x,y,z,act\n{block * 800}")

    def measure(how: str) -> tuple[int, int]:
        done = subprocess.run(
            [sys.executable, "-c", LARGE, str(tmp_path), how], capture_output=True, text=True, check=True
        )
        size, peak = map(int, done.stdout.split())
        return size, peak

    size, peak = measure("read")
    assert size == 2 * 800 * 899 * 3 * 4
    assert peak < 2.5 * size + 45e6
    same, simple = measure("simply")  # the twin: all at once breaks the limit, so that the limit says something
    assert same == size
    assert simple > 2.5 * size + 45e6


# -- refused ----------------------------------------------------------------------------------------------------------


def test_missing_columns_with_the_nearest_name(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", {"acc_x": [1], "acc_y": [2], "act": "w"})
    message = refused(tmp_path, columns=["acc_z", "gyro"], label="akt")
    assert "a.csv: no column 'acc_z' (did you mean 'acc_" in message
    assert "'gyro' (known: acc_x, acc_y, act)" in message
    assert "'akt' (did you mean 'act'?)" in message
    assert "it has 'acc_x', 'acc_y', 'act'" in message
    assert "no column 'sec'" in refused(tmp_path, time="sec")
    write(tmp_path / "a.csv", "x,x,act\n1,2,w\n")
    assert "2 columns are called 'x'" in refused(tmp_path, columns=["x"])


def test_files_with_other_columns(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", {"x": [1], "act": "w"})
    table(tmp_path / "b.csv", {"x": [1], "y": [2], "act": "w"})
    assert "b.csv: has a column of numbers that 'a.csv' lacks: 'y'; name the signals as columns" in refused(tmp_path)
    assert len(read(tmp_path, columns=["x"])) == 2
    (tmp_path / "b.csv").rename(tmp_path / "0.csv")
    assert "a.csv: no column 'y'" in refused(tmp_path)


def test_text_in_a_column_of_numbers_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = ["1.5"] * 2500
    values[2300] = "1.5.2"
    text = "x,act\n\n" + "\n".join(f'{value},"w"' for value in values)
    write(tmp_path / "a.csv", text)
    line = text.split("\n").index('1.5.2,"w"') + 1
    assert f"a.csv: line {line}: column 'x' holds '1.5.2'; expected a number" in refused(tmp_path)
    monkeypatch.setattr(table_chunks, "_VALUES_AT_ONCE", 1)
    assert f"line {line}: column 'x' holds '1.5.2'" in refused(tmp_path)
    assert "column 'act' holds 'w'" in refused(tmp_path, columns=["act"], label="x")


@pytest.mark.parametrize("value", ["inf", "-inf", "1e39"])
def test_values_that_float32_cannot_hold(tmp_path: Path, value: str) -> None:
    write(tmp_path / "a.csv", f"x,act\n1,w\n{value},w\n")
    assert f"line 3: column 'x' holds {float(value):g}; expected a number that float32 can hold" in refused(tmp_path)


def test_too_many_fields_with_the_line(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "x,act\n1,w\n2,w,3\n4,w\n")
    assert "a.csv: line 3 has more fields than the line of names, which has 2" in refused(tmp_path)
    write(tmp_path / "a.csv", "x,y,act\n0,1,0,2,w\n0,3,0,4,w\n")  # decimal commas between commas
    assert "line 2 has more fields than the line of names" in refused(tmp_path)


def test_wrong_delimiters(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "x,y,act\n1,2,w\n")
    message = refused(tmp_path, delimiter=";")
    assert "a.csv: one column found with the delimiter ';': 'x,y,act'; expected ','? Leave delimiter out" in message
    write(tmp_path / "a.csv", "x:y:act\n1:2:w\n")
    message = refused(tmp_path)
    assert (
        "no column 'act' (did you mean 'x:y:act'?); it has 'x:y:act'; if that is several, say the delimiter" in message
    )
    assert len(read(tmp_path, delimiter=":")) == 1


def test_decimal_commas_that_come_late(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "x;act\n1.5;w\n2,5;w\n")
    assert "line 3: column 'x' holds '2,5'; expected a number; decimal commas are understood where" in refused(tmp_path)


UNREADABLE: dict[str, tuple[str, bytes, str]] = {
    "empty": ("b.csv", b"", "the file is empty"),
    "header only": ("b.csv", b"x,act\n", "no rows below the line of names 'x,act'"),
    "no header": ("b.csv", b"0.1,7\n0.2,7\n", "line 1 holds numbers where the names of the columns are expected"),
    "rubbish": ("b.csv", bytes(range(256)) * 8, "not a text file"),
    "zip": ("b.csv", b"PK\x03\x04rest", "not text but a ZIP archive"),
    "no npz": ("b.npz", b"x,act\n1,w\n", "not an .npz file"),
    "cut npz": ("b.npz", b"PK\x03\x04rest", "cut off"),
    "quote": ("b.csv", b't,x,act\n1,1,w\n2,2,"w\n', "damaged after row 0"),
}


@pytest.mark.parametrize("case", UNREADABLE)
@pytest.mark.parametrize("time", [None, "t"])
def test_unreadable_files_are_refused_or_skipped(tmp_path: Path, case: str, time: str | None) -> None:
    name, content, message = UNREADABLE[case]
    (tmp_path / name).write_bytes(content)
    assert message in refused(tmp_path, time=time)
    assert f"1 unreadable file ('{name}': {message}" in refused(tmp_path, time=time, unreadable="skip")
    for other in ("a.csv", "c.csv"):
        table(tmp_path / other, {"x": [1, 2], "t": [0, 1], "act": "ww"})
    assert f"{name}: {message}" in refused(tmp_path, columns=["x"], time=time)
    data = read(tmp_path, columns=["x"], time=time, unreadable="skip")
    assert pieces_of(data) == [("w", None, [1, 2])] * 2
    assert data.notes[0].startswith(f"1 unreadable file ('{name}': {message}")
    assert data.notes[0].endswith("left out")


def test_nothing_of_a_skipped_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_chunks, "_VALUES_AT_ONCE", 1)
    for name in ("a", "c"):
        table(tmp_path / f"{name}.csv", {"x": [1, 2], "act": "ww"})
    expected = read(tmp_path)
    for bad in ("b", "0"):  # in the middle, and first of all
        x = [*range(2500), "bad"]
        table(tmp_path / f"{bad}.csv", {"x": x, "y": x, "act": ["v", "u"] * 1250 + ["v"]})
        data = read(tmp_path, unreadable="skip", columns=["x"])
        assert data.fingerprint == expected.fingerprint
        assert len(data.notes) == 1
    assert read(tmp_path, unreadable="skip").fingerprint == expected.fingerprint


def test_npz_files_that_are_no_table(tmp_path: Path) -> None:
    for arrays, message in (
        ({"x": np.array([{}]), "act": "w"}, "'x' holds Python objects (pickle)"),
        ({"x": [1, 2], "act": ["w"]}, "arrays of one recording must have the same length; got 'x' 2, 'act' 1"),
        ({"x": np.zeros((2, 2, 2)), "act": "w"}, "'x' has the shape (2, 2, 2); expected (rows,) or (rows, channels)"),
        ({"x": np.zeros(0), "act": "w"}, "no rows"),
        ({"x": [1j], "act": "w"}, "no column of numbers"),
        ({"x": np.zeros((1, 2)), "x_1": [1], "act": "w"}, "two columns would be called 'x_1'"),
    ):
        np.savez(tmp_path / "a.npz", **arrays)
        assert message in refused(tmp_path)


@needs_parquet
def test_broken_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=1000), "act": "w"})
    frame.to_parquet(path)
    whole = path.read_bytes()
    for broken in (whole[:-20], b"PAR1", b"x,act\n1,w\n"):
        path.write_bytes(broken)
        assert "not a whole Parquet file" in refused(tmp_path)
    path.write_bytes(whole[:4] + b"\xff" * 3000 + whole[3004:])
    assert "a.parquet: damaged (" in refused(tmp_path)
    frame[:0].to_parquet(path)
    assert "no rows" in refused(tmp_path)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(RequestError, match="need pyarrow, which is not installed: pip install pyarrow"):
        read(tmp_path, unreadable="skip")


def test_folders_without_recordings(tmp_path: Path) -> None:
    assert "no file of recordings (.csv, " in refused(tmp_path)
    write(tmp_path / "a.xlsx", "x")
    assert "it holds 'a.xlsx'" in refused(tmp_path)
    assert "no file fits files='{label}.csv'; there is 'a.xlsx'" in refused(tmp_path, label=None, files="{label}.csv")
    assert "no such folder" in refused(tmp_path / "there")


def test_one_class_is_for_the_task_to_judge(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", {"x": [1], "act": "w"})
    assert read(tmp_path).class_names == ("w",)


# -- layouts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the class of a recording is not given: name its column"),
        ({"files": "{group}/{}.csv"}, "the class of a recording is not given"),
        ({"label": "act", "files": "{label}.csv"}, "the label is named twice: by the column 'act' and by {label}"),
        ({"label": "act", "group": "p", "files": "{group}.csv"}, "the group is named twice"),
        ({"label": "act", "missing": "fil"}, r"missing must be one of .* got 'fil' (did you mean 'fill'?)"),
        ({"label": "act", "unreadable": "no"}, "unreadable must be one of"),
        ({"label": "act", "time_unit": "h"}, "time_unit must be one of"),
        ({"label": "act", "rate_hz": 0}, "rate_hz must be a number above 0; got 0"),
        ({"label": "act", "time": "t", "gap_seconds": float("nan")}, "gap_seconds must be a number above 0; got nan"),
        ({"label": "act", "fill_seconds": -1}, "fill_seconds must be a number above 0; got -1"),
        ({"label": "act", "gap_seconds": 1}, "gap_seconds needs a column of time"),
        ({"label": "act", "missing": "fill"}, "missing='fill' must know how long a stretch lasts"),
        ({"label": "act", "delimiter": ", "}, "delimiter must be one character"),
        ({"label": "act", "columns": []}, "columns must name at least one signal"),
        ({"label": "act", "columns": ["x", "y", "x"]}, "columns names 'x' twice"),
        ({"label": "act", "columns": ["x", "act"]}, "the column 'act' cannot be both label and columns[1]"),
        ({"label": "act", "time": "act"}, "the column 'act' cannot be both label and time"),
        ({"label": " "}, "label must be the name of a column; got ' '"),
        ({"files": "{lable}.csv"}, "unknown field {lable}"),
        ({"files": "{label:f}.csv"}, "unknown field {label:f}"),
        ({"files": "{label.csv"}, "a brace that is not closed or not opened"),
        ({"files": "{label}_*.csv"}, "write {} in place of *"),
    ],
)
def test_impossible_layouts(options: dict, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        Layout(**options)
    first, _, second = message.partition(" .* ")
    assert first in str(caught.value)
    assert second in str(caught.value)


def test_no_layout_is_refused_with_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="the class of a recording is not given"):
        read_recordings(tmp_path)


def test_patterns() -> None:
    assert _Pattern("{group}/{label}/{}.csv").fields("a/b/c.csv") == {"group": "a", "label": "b"}
    assert _Pattern("{group}/{label}/{}.csv").fields("a/b/c/d.csv") is None
    assert _Pattern("s{group:d}_{label}.csv").fields("s12_up.csv") == {"group": "12", "label": "up"}
    assert _Pattern("s{group:d}_{label}.csv").fields("sx_up.csv") is None
    assert _Pattern("{group}/{group}_{label}.csv").fields("a_b/a_b_c.csv") == {"group": "a_b", "label": "c"}
    assert _Pattern("{group}/{group}_{label}.csv").fields("a/b_c.csv") is None
    assert _Pattern("a.b/{label}.csv").fields("aXb/c.csv") is None
    assert _Pattern(r"{group}\{label}.csv").fields("a/b.csv") == {"group": "a", "label": "b"}


def test_paths_that_fit_in_two_ways_are_refused(tmp_path: Path) -> None:
    table(tmp_path / "going_up_1.csv", {"x": [1]})
    layout = Layout(files="{label}_{}.csv")
    with pytest.raises(DataError, match=r"in two ways: label 'going' or 'going_up'; use \{:d\}"):
        find_files(tmp_path, layout)
    files, notes = find_files(tmp_path, Layout(files="{label}_{:d}.csv"))
    assert [file.label for file in files] == ["going_up"]
    assert notes == []
