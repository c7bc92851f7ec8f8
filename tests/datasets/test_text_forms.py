"""Forms of text files that spreadsheets and loggers write: read as they are meant, or refused with their line."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest

from tenfold.datasets import Images, Layout, Recordings, load, load_recordings, save
from tenfold.errors import DataError

NAMES = "time,x,y,act"
ROWS = "".join(f"{row / 50:.2f},{row / 2},{9 + row % 3},{'walk' if row < 30 else 'sit'}\n" for row in range(60))
TABLE = f"{NAMES}\n{ROWS}"


def read(folder: Path, contents: dict[str, str | bytes], **layout: object) -> Recordings:
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_recordings(folder, layout=Layout(**{"label": "act", **layout}))


def refused(folder: Path, contents: dict[str, str | bytes], **layout: object) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, contents, **layout)
    return str(caught.value)


ABOVE = "above the names, not used"
NUL = "\x00"
READ: dict[str, tuple[str | bytes, str]] = {
    "sep=;": ("sep=;\n" + TABLE.replace(",", ";"), ""),
    "sep= in quotes": ('"sep=;"\r\n' + TABLE.replace(",", ";").replace("\n", "\r\n"), ""),
    "sep=tab": ("SEP=\t\n" + TABLE.replace(",", "\t"), ""),
    "preamble": ("Device: X100\nStart: 2024-01-01 10:00\n\n" + TABLE, f"2 lines {ABOVE}"),
    "preamble with the label's name": ("act,walk\n" + TABLE, f"1 line {ABOVE}"),
    "preamble as wide as the table": ("Device,X100,,\nSerial,42,,\n" + TABLE, f"2 lines {ABOVE}"),
    "preamble with an open quote": ('"Sensor 5\n' + TABLE, f"1 line {ABOVE}"),
    "comments of other programs": ("% made by X\n// y\n" + TABLE, f"2 lines {ABOVE}"),
    "units": (f"{NAMES}\ns,m/s²,m/s^2,\n{ROWS}", "a line of units under the names"),
    "units in brackets": (f"{NAMES}\n[s],[a.u.],(-),-\n{ROWS}", "a line of units under the names"),
    "types": (f"{NAMES}\ndouble,float64,int,string\n{ROWS}", ""),
    "a rule": (f"{NAMES}\n----,----,----,----\n{ROWS}", ""),
    "line breaks in names": (f'time,"x\n",y,"act"\n{ROWS}', ""),
    "NUL behind the last line": (TABLE + NUL * 512, "NUL or Ctrl-Z characters behind the last line"),
    "NUL behind half a line": (TABLE + "0.98,2.5" + NUL * 512, "a last line that NUL characters cut off"),
    "end mark of DOS": (TABLE + "\x1a", "NUL or Ctrl-Z characters behind the last line"),
    "UTF-16 with mark": (TABLE.encode("utf-16"), ""),
    "UTF-16 LE without": (TABLE.encode("utf-16-le"), ""),
    "UTF-16 BE without": (TABLE.encode("utf-16-be"), ""),
    "UTF-32": (TABLE.encode("utf-32"), ""),
}


@pytest.mark.parametrize("form", READ)
def test_forms_that_mean_the_same_table(tmp_path: Path, form: str) -> None:
    content, remark = READ[form]
    data = read(tmp_path, {"a.csv": content}, time="time")
    assert (data.class_names, data.channels, data.rate_hz) == (("sit", "walk"), ("x", "y"), 50)
    np.testing.assert_array_equal(data.signals, [[row / 2, 9 + row % 3] for row in [*range(60)]])
    assert data.notes == ((f"1 file with {remark}" + ", left out" * ("NUL" in remark),) if remark else ())


@pytest.mark.parametrize("packer", [gzip, bz2, lzma])
def test_packed_text(tmp_path: Path, packer) -> None:
    ending = {gzip: "gz", bz2: "bz2", lzma: "xz"}[packer]
    packed = packer.compress((TABLE + ROWS * 200).encode())
    assert len(read(tmp_path, {f"a.csv.{ending}": packed}).signals) == 60 * 201
    assert f"a.csv.{ending}: damaged" in refused(tmp_path, {f"a.csv.{ending}": packed[:-40]})
    assert f"a.csv.{ending}: {'cannot be read' if ending == 'bz2' else 'damaged'}" in refused(
        tmp_path, {f"a.csv.{ending}": TABLE}
    )


def test_nul_beyond_the_beginning_of_the_file(tmp_path: Path) -> None:
    long = TABLE + ROWS * 400
    data = read(tmp_path, {"a.csv": f"{long}0.5,1.2{NUL * 100_000}"})
    assert len(data.signals) == 60 * 401  # "0.5,1.2" may have been going to be 1.25
    assert "a last line that NUL characters cut off, left out" in data.notes[1]
    said = refused(tmp_path, {"a.csv": f"{long}{NUL * 100}{ROWS}"})
    assert "line 24062 holds NUL characters with more text behind them" in said
    assert "line 62 holds NUL characters with more text behind them" in refused(
        tmp_path, {"a.csv": f"{TABLE}{NUL * 100}{ROWS}"}
    )


REFUSED = {
    "values first": (ROWS, "line 1 holds values where the names of the columns are expected ('0.00,0.0,9,walk')"),
    "label first": ("walk,0.1,2\n" * 9, "line 1 holds values where the names of the columns are expected"),
    "two lines of names": (f"t,a,b,c\ni,j,k,l\n{ROWS}", "may both be the line of names, and neither has 'act'"),
    "a second line of names": (f"{NAMES}\nin,left,right,\n{ROWS}", "line 2 holds 'in, left, right' in the columns of"),
    "joined files": (TABLE + TABLE, "line 62: column 'time' holds 'time'; expected a number; is it the line of names"),
    "another encoding further down": (
        (TABLE + ROWS * 400).encode() + "1,2,3,gähnen\n".encode("latin-1"), "it is not UTF-8, as its beginning is"
    ),
    "nothing but NUL": (NUL * 99, "holds no text, only empty lines and NUL characters"),
    "nothing below sep=": ("sep=;\n", "no line of names: there is nothing below 'sep=;'"),
    "an unknown unit of time": (f"{NAMES}\nh,g,g,\n{ROWS}", "the unit 'h' below time 'time' is not known"),
    "a row name too many": ('"x","act"\n"1",2,"w"\n', "line 2 has more fields than the line of names, which has 2; n"),
    "MATLAB": (b"MATLAB 5.0 MAT-file", "not text but a MATLAB file"),
}  # fmt: skip


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_not_safe_to_read_is_refused_with_its_line(tmp_path: Path, form: str) -> None:
    content, message = REFUSED[form]
    columns = {"time": "time"} if "unit" in form else {}
    assert message in refused(tmp_path, {"a.csv": content}, **columns)


@pytest.mark.parametrize(
    ("content", "channels"),
    [
        ("Device,X\nSerial,3\nx,y,z\n1,2,3\n4,5,6\n", ("x", "y", "z")),
        ("x,y,z\ng,g,deg/s\n1,2,3\n4,5,6\n", ("x", "y", "z")),
        ("time,0,1\n12:00:01,2,3\n12:00:02,5,6\n", ("0", "1")),  # as pandas names columns
        ("anna,0.1,0.2\nanna,0.3,0.4\n", None),
        ("acc,acc,gyro\nx,y,z\n1,2,3\n", None),
        ("Device,X\nx,y\n1,2\n", None),
        ("# x y z\n0,5 -3,3 0\n0,25 -0,5 1\n", ("x", "y", "z")),  # a comma first, and no column of it
        ("# x,y,z\ns,,\n1,2,3\n4,5,6\n", ("x", "y", "z")),
        ("Recording of Anna\n# x y z\n0 1 2\n1 2 3\n", None),
    ],
)
def test_the_line_of_names_where_no_name_is_known(tmp_path: Path, content: str, channels: tuple | None) -> None:
    layout = {"label": None, "files": "{label}.csv"}
    if channels is None:
        assert "line 1 holds values" in (said := refused(tmp_path, {"a.csv": content}, **layout)) or (
            "lines 1 (" in said and "may both be the line of names" in said
        )
    else:
        data = read(tmp_path, {"a.csv": content}, **layout)
        assert (data.channels, len(data.signals)) == (channels, 2)


def test_the_line_of_units_says_the_unit_of_time(tmp_path: Path) -> None:
    rows = "".join(f"{20 * row},{row},1,walk\n" for row in range(60))
    data = read(tmp_path, {"a.csv": f"{NAMES}\nms,g,g,\n{rows}"}, time="time")
    assert data.rate_hz == 50
    assert "1 file with time 'time' in ms, as the line of units says" in data.notes
    data = read(tmp_path, {"a.csv": f"{NAMES}\n-,g,g,\n{ROWS}"}, time="time")
    assert data.rate_hz == 50
    (tmp_path / "0.csv").write_text(f"{NAMES}\ns,lux,lux,\n{ROWS}0.5,wrong,1,walk\n")  # skipped with its units
    assert len(read(tmp_path, {}, time="time", unreadable="skip").signals) == 60
    (tmp_path / "0.csv").unlink()
    said = refused(tmp_path, {"b.csv": f"{NAMES}\n-,m/s²,g,\n{rows}"})
    assert "b.csv: column 'x' is in 'm/s²' by the line of units, and in 'g' in 'a.csv'" in said


LINES_ABOVE = (
    "", "Device: X100", "Serial,42", "# comment", "a,b,c,d", "1,2,3,4", "act", "act,walk", "x,y,act", "time,x",
    '"Quoted, note"', "2024-01-01 12:00:00", "====", ";;;", ",,,",
)  # fmt: skip
LINES_BELOW = ("s,g,g,", "[s],[g],[g],[-]", "----,----,----,----", "foo,bar,baz,qux", "s,,,", "-,-,-,-", "a,b,c,d")


def test_any_lines_around_the_names_are_no_rows_and_no_names(tmp_path: Path) -> None:
    """Every table is read as it is meant, or refused: three hundred mixtures of what is found around names."""
    generator, outcomes = np.random.default_rng(0), []
    for _ in range(300):
        delimiter = generator.choice([",", ";", "\t", " "])
        above = generator.choice(LINES_ABOVE, size=generator.integers(0, 3)).tolist()
        below = generator.choice(LINES_BELOW, size=generator.integers(0, 2)).tolist()
        n_rows = generator.integers(1, 4)
        rows = [f"{row / 50:.2f},{row}.5,{row},walk" for row in range(n_rows)]
        lines = [*above, *(line.replace(",", delimiter) for line in [NAMES, *below, *rows])]
        (tmp_path / "a.csv").write_text("\n".join(lines))
        try:
            data = load_recordings(tmp_path, layout=Layout(label="act", time="time", rate_hz=50))
        except DataError:
            outcomes.append("refused")
            continue
        outcomes.append("read")
        assert (data.channels, data.class_names) == (("x", "y"), ("walk",)), lines
        np.testing.assert_array_equal(data.signals, [[row + 0.5, row] for row in range(n_rows)], err_msg=str(lines))
    assert outcomes.count("read") > 200


# -- other files in the folder ----------------------------------------------------------------------------------------


def test_no_file_is_passed_over_without_a_word(tmp_path: Path) -> None:
    data = read(tmp_path, {"a.csv": TABLE, "a.xlsx": b"PK", "notes.md": "", "film.mp4": b""})
    assert data.notes[0].endswith("were not read: 'a.xlsx', 'film.mp4', 'notes.md'")
    said = refused(tmp_path, {"b.xlsx": b"PK\x03\x04"})
    assert (
        "b.xlsx: an Excel file, which is not read; save each sheet as a CSV file (UTF-8); if a file is no rec" in said
    )
    data = read(tmp_path, {}, unreadable="skip")
    assert "1 unreadable file ('b.xlsx': an Excel file" in " ".join(data.notes)
    data = read(tmp_path, {}, files="{}.csv")
    assert "4 files do not fit files='{}.csv' and were left out: 'a.xlsx', 'b.xlsx', 'film.mp4'" in data.notes[0]


@pytest.mark.parametrize("name", ["people.csv", "0.csv"])
def test_a_table_of_people_beside_the_recordings(tmp_path: Path, name: str) -> None:
    said = refused(tmp_path, {"a.csv": TABLE, name: "id,age\n1,30\n2,40\n"})
    assert f"{name}: no column 'act' (known: age, id); it has 'id', 'age'; if a file is no recording, say which" in said
    assert len(read(tmp_path, {}, files="a{}csv")) == 2
    data = read(tmp_path, {}, unreadable="skip")
    assert f"1 unreadable file ('{name}': no column 'act' (known: age, id); it has 'id', 'age')" in data.notes[0]


def test_a_table_of_people_where_paths_say_the_class(tmp_path: Path) -> None:
    layout = {"label": None, "files": "{label}.csv"}
    said = refused(tmp_path, {"people.csv": "id,age\n1,30\n", "walk.csv": "x,y\n1,2\n"}, **layout)
    assert (
        "walk.csv: has a column of numbers that 'people.csv' lacks: 'x', 'y'; no column is in both; if a file" in said
    )


def test_one_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TABLE)
    with pytest.raises(DataError, match=r"got a '\.csv' file; put it into a folder of its own"):
        load_recordings(tmp_path / "a.csv")


# -- names and missing labels -----------------------------------------------------------------------------------------


def test_spellings_of_classes_and_groups(tmp_path: Path) -> None:
    files = {"anna/a.csv": TABLE, "Anna/b.csv": TABLE.replace("walk", "Walk"), "bob/c.csv": TABLE}
    said = refused(tmp_path, files)
    assert "class names that differ in spelling only: 'walk', 'Walk'; set spellings = 'merge'" in said
    layout = {"files": "{group}/{}.csv"}
    data = read(tmp_path, {}, spellings="merge", **layout)
    assert (len(data.class_names), data.group_names) == (2, ("anna", "bob"))
    assert data.notes == (
        "taken as a signal by its numbers: 'time'; if it is the time, name it as time",
        "spellings of classes merged: 'Walk' into 'walk'",
        "spellings of groups merged: 'Anna' into 'anna'",
    )
    data = read(tmp_path, {}, spellings="keep", **layout)
    assert (len(data.class_names), len(data.group_names)) == (3, 3)
    assert "classes that differ in spelling only, taken as different: 'Walk', 'walk'" in data.notes
    (tmp_path / "Anna" / "b.csv").write_text(TABLE)
    assert "group names that differ in spelling only: 'anna', 'Anna'" in refused(tmp_path, {}, **layout)


def test_names_in_two_forms_of_unicode_are_one(tmp_path: Path) -> None:
    data = read(tmp_path, {"a.csv": TABLE.replace("walk", "ga\u0308hnen"), "b.csv": TABLE.replace("walk", "g\xe4hnen")})
    assert data.class_names == ("g\xe4hnen", "sit")


def test_spellings_of_classes_of_images_are_said(tmp_path: Path) -> None:
    labels = np.arange(4) % 2
    images = Images(
        images=np.zeros((4, 1, 4, 4), np.uint8), labels=labels, part=np.full(4, 2, np.uint8), class_names=("Cat", "cat")
    )
    save(images, tmp_path / "a.npz")
    assert load(tmp_path / "a.npz").notes == ("classes that differ in spelling only, taken as different: 'Cat', 'cat'",)


def test_what_is_advised_for_a_missing_label_helps(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"a.csv": "x,who,act\n1,p,\n2,p,walk\n3,,walk\n4,p,sit\n"}
    assert "no value in column 'act'; a label is never filled: set missing = 'cut'" in refused(tmp_path, files)
    files = {"a.csv": "x,who,act\n2,p,walk\n3,,walk\n4,p,sit\n"}
    said = refused(tmp_path, files, group="who")
    assert "no value in column 'who'; a group is never filled: set missing = 'cut'" in said
    assert len(read(tmp_path, {}, group="who", missing="cut")) == 2


def test_columns_without_a_name_and_a_clock_among_the_signals_are_said(tmp_path: Path) -> None:
    data = read(tmp_path, {"a.csv": TABLE.replace(NAMES, "time,,y,act")})
    assert data.channels == ("time", "y")
    assert data.notes == (
        "taken as a signal by its numbers: 'time'; if it is the time, name it as time",
        "not used, since they have no name: columns '2' of the tables",
    )
