"""Recordings: what the container refuses, the `.npz` of a user, and what happens where the kind of data is another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tenfold.datasets import DATASETS, TEST, TRAIN, UNASSIGNED, Images, Recordings, load, load_recordings, save
from tenfold.errors import DataError, RequestError

RANDOM = np.random.default_rng(5)
WINDOWS = RANDOM.normal(size=(4, 6, 3)).astype(np.float32)
ROWS = WINDOWS.reshape(24, 3)
LENGTHS = np.array([10, 3, 7, 4])
LABELS = np.array([0, 1, 1, 0])


@pytest.fixture
def write(tmp_path: Path):
    """Write arrays to one file and give its path."""

    def _write(**arrays: object) -> Path:
        np.savez(tmp_path / "mine.npz", **arrays)
        return tmp_path / "mine.npz"

    return _write


def refused(path: Path) -> str:
    """The message of the refusal, which always names the file."""
    with pytest.raises(DataError) as caught:
        load_recordings(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def full() -> Recordings:
    return Recordings(
        signals=ROWS,
        starts=np.array([0, 5, 20]),
        lengths=np.array([10, 10, 4]),
        labels=np.array([1, 0, 1]),
        part=np.array([TRAIN, TEST, UNASSIGNED], np.uint8),
        class_names=("sitting", "walking"),
        channels=("x", "y", "z"),
        groups=np.array([1, 0, 1]),
        group_names=("Ann", "Bob"),
        rate_hz=12.5,
        name="all of it",
        source="here",
        licence="CC0",
        citation="none",
        notes=("one", "two"),
    )


# The container


def test_what_is_learnt_is_in_the_fingerprint() -> None:
    data = full()
    others = [
        replace(data, signals=ROWS + np.float32(1)),
        replace(data, starts=np.array([0, 6, 20])),
        replace(data, lengths=np.array([10, 9, 4])),
        replace(data, labels=np.array([1, 0, 0])),
        replace(data, part=data.part[::-1].copy()),
        replace(data, class_names=("sitting", "running")),
        replace(data, channels=("x", "y", "w")),
        replace(data, groups=np.array([1, 0, 0])),
        replace(data, group_names=("Ann", "Eve")),
        replace(data, groups=None, group_names=()),
        replace(data, rate_hz=50.0),
    ]
    prints = [each.fingerprint for each in [data, *others]]
    assert len(set(prints)) == len(prints)
    assert replace(data, name="other", notes=(), source="", licence="", citation="").fingerprint == data.fingerprint
    assert (len(data), data.n_classes) == (3, 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"signals": ROWS.astype(np.float64)}, "'signals' must be float32 .* got float64"),
        ({"signals": ROWS[:, :2]}, r"'signals' must be float32 of shape \(any, 3\)"),
        ({"signals": np.where(ROWS == ROWS[7, 2], np.float32(np.nan), ROWS)}, "row 7, channel 'z' holds nan"),
        ({"signals": np.where(ROWS == ROWS[9, 1], np.float32(-np.inf), ROWS)}, "row 9, channel 'y' holds -inf"),
        ({"starts": np.array([0, 5, 21])}, "piece 2 ends in row 25 of 'signals', which has 24"),
        ({"starts": np.array([0, -5, 20])}, "'starts' must be from 0 to 23; row 1 holds -5"),
        ({"lengths": np.array([10, 0, 4])}, "row 1 holds -1|'lengths'"),
        ({"lengths": np.array([10, 4])}, r"'lengths' must be int64 of shape \(3\)"),
        ({"labels": np.array([1, 2, 0])}, "'labels' must be from 0 to 1; row 1 holds 2"),
        ({"part": np.array([0, 3, 1], np.uint8)}, "'part' must be from 0 to 2; row 1 holds 3"),
        ({"groups": np.array([0, 1, 2])}, "'groups' must be from 0 to 1; row 2 holds 2"),
        ({"groups": None}, "'group_names' without 'groups'"),
        ({"rate_hz": -1.0}, "'rate_hz' must be 0 .* got -1.0"),
        ({"rate_hz": np.nan}, "'rate_hz' must be 0 .* got nan"),
    ],
)
def test_what_cannot_be_is_refused(change: dict, words: str) -> None:
    with pytest.raises(DataError, match=f"^all of it: .*({words})"):
        replace(full(), **change)


# A user's own file


def test_pieces_of_one_length_need_no_more_than_labels(write) -> None:
    data = load_recordings(write(signals=WINDOWS, labels=["walk", "sit", "sit", "walk"]))
    assert isinstance(data, Recordings)
    np.testing.assert_array_equal(data.signals, ROWS)
    assert data.signals.dtype == np.float32
    assert (data.starts.tolist(), data.lengths.tolist()) == ([0, 6, 12, 18], [6, 6, 6, 6])
    assert (data.class_names, data.labels.tolist()) == (("sit", "walk"), [1, 0, 0, 1])
    assert (data.part == UNASSIGNED).all()
    assert (data.channels, data.groups, data.group_names, data.rate_hz) == (("0", "1", "2"), None, (), 0.0)
    assert (data.name, data.notes) == ("mine", ())


def test_pieces_one_after_the_other_need_lengths(write) -> None:
    data = load_recordings(write(signals=ROWS, labels=LABELS, lengths=LENGTHS.astype(np.uint8)))
    assert (data.starts.tolist(), data.lengths.tolist()) == ([0, 10, 13, 20], [10, 3, 7, 4])
    assert data.starts.dtype == data.lengths.dtype == np.int64


def test_with_starts_rows_may_be_left_out_and_shared(write) -> None:
    data = load_recordings(write(signals=ROWS, labels=LABELS, lengths=[5, 5, 5, 5], starts=[2, 4, 4, 19]))
    assert (data.starts.tolist(), data.lengths.tolist()) == ([2, 4, 4, 19], [5, 5, 5, 5])


def test_the_rest_as_text(write) -> None:
    data = load_recordings(
        write(
            signals=WINDOWS,
            labels=[0, 1, 1, 0],
            class_names=["on", "off"],
            groups=["person 10", "person 9", "person 10", "person 9"],
            part=["train", "test", "train", "test"],
            channels=["x", "y", "z"],
            rate_hz=100,
            licence="CC0",
            notes=["made up"],
        )
    )
    assert (data.class_names, data.group_names) == (("on", "off"), ("person 9", "person 10"))
    assert data.groups is not None
    assert data.groups.tolist() == [1, 0, 1, 0]
    assert data.part.tolist() == [TRAIN, TEST, TRAIN, TEST]
    assert (data.channels, data.rate_hz, data.licence, data.notes) == (("x", "y", "z"), 100.0, "CC0", ("made up",))
    assert isinstance(data.rate_hz, float)


def test_numbers_as_groups_are_named_by_their_number(write) -> None:
    data = load_recordings(write(signals=WINDOWS, labels=LABELS, groups=[30, 4, 4, 30]))
    assert data.groups is not None
    assert (data.groups.tolist(), data.group_names) == ([1, 0, 0, 1], ("4", "30"))
    named = load_recordings(write(signals=WINDOWS, labels=LABELS, groups=[1, 0, 0, 1], group_names=["a", "b"]))
    assert (named.groups.tolist(), named.group_names) == ([1, 0, 0, 1], ("a", "b"))  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int64, np.float16, np.float64])
def test_numbers_of_any_type_become_float32(write, dtype: type) -> None:
    values = np.round(WINDOWS * 10 + 100).astype(dtype)
    data = load_recordings(write(signals=values, labels=LABELS))
    assert data.signals.dtype == np.float32
    np.testing.assert_array_equal(data.signals, values.reshape(24, 3).astype(np.float32))


def test_saved_and_loaded_again_all_is_there(tmp_path: Path) -> None:
    data = full()
    again = load_recordings(save(data, tmp_path / "again.npz"))
    assert again.fingerprint == data.fingerprint
    for field in ("name", "source", "licence", "citation", "notes", "rate_hz", "group_names", "channels"):
        assert getattr(again, field) == getattr(data, field)
    np.testing.assert_array_equal(again.starts, data.starts)


def test_what_is_not_known_is_not_written(tmp_path: Path) -> None:
    data = replace(full(), rate_hz=0.0, groups=None, group_names=(), notes=())
    path = save(data, tmp_path / "less.npz")
    assert not {"rate_hz", "groups", "group_names", "notes"} & set(np.load(path).files)
    assert load_recordings(path).fingerprint == data.fingerprint


NAN, LARGE = ROWS.copy(), ROWS.astype(np.float64)
NAN[13, 1], LARGE[4, 2] = np.nan, 1e300
GOOD = {"signals": ROWS, "labels": LABELS, "lengths": LENGTHS}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (
            {"signals": ROWS[:, 0], "labels": LABELS},
            "'signals' must have the shape (n, steps, channels), each row a piece",
        ),
        ({"signals": WINDOWS[:, :0], "labels": LABELS}, "'signals' must have the shape (n, steps, channels)"),
        ({"signals": WINDOWS[:, :, 0], "labels": LABELS}, "one channel needs signals[:, :, np.newaxis]"),
        ({"signals": ROWS, "labels": LABELS}, "without 'lengths' of the pieces; give 'lengths', one a piece"),
        ({"signals": WINDOWS, "labels": LABELS[:3]}, "each piece needs one label; got 4 starts and 4 lengths"),
        ({**GOOD, "labels": LABELS[:3]}, "each piece needs one label; got 4 starts and 4 lengths of pieces, 3 labels"),
        ({**GOOD, "starts": [0, 1]}, "each piece needs one label; got 2 starts and 4 lengths of pieces, 4 labels"),
        ({**GOOD, "labels": LABELS.reshape(2, 2)}, "'labels' must have the shape (4,); got (2, 2)"),
        ({**GOOD, "labels": np.array(3)}, "each piece needs one label; got 4 starts and 4 lengths of pieces, 1 labels"),
        (
            {"signals": WINDOWS, "labels": LABELS, "lengths": [6] * 4},
            "'starts' and 'lengths' are for 'signals' of shape",
        ),
        ({**GOOD, "lengths": [10, 3, 7, 5]}, "'lengths' add up to 25, but 'signals' has 24 rows; with 'starts'"),
        ({**GOOD, "lengths": [10, 3, 7, 3]}, "'lengths' add up to 23, but 'signals' has 24 rows"),
        ({**GOOD, "lengths": [10, 0, 10, 4]}, "'lengths' must be 1 or above; row 1 holds 0"),
        ({**GOOD, "lengths": LENGTHS * 1.0}, "'lengths' must be integers of shape (pieces,); got float64"),
        ({**GOOD, "starts": [0, 10, -1, 20]}, "'starts' must be 0 or above; row 2 holds -1"),
        ({**GOOD, "starts": [0, 10, 13, 21]}, "piece 3 ends in row 25 of 'signals', which has 24"),
        ({**GOOD, "signals": NAN}, "'signals' must be finite; row 13, channel '1' holds nan"),
        ({**GOOD, "signals": LARGE}, "'signals' must fit into float32; row 4 holds 1e+300"),
        ({**GOOD, "signals": ROWS > 0}, "'signals' must be numbers; got bool"),
        ({**GOOD, "signals": ROWS.astype(str)}, "'signals' must be numbers; got <U"),
        ({**GOOD, "signals": ROWS + 1j}, "'signals' must be numbers; got complex64"),
        ({**GOOD, "labels": [1, 1, 1, 1]}, "at least two classes are needed; every label is '1'"),
        ({**GOOD, "labels": [0.0, 1.0, 0.0, 1.0]}, "'labels' must be integers or text"),
        ({**GOOD, "channels": ["x", "y"]}, "'channels' must be 3 different names, one per channel of 'signals'"),
        ({**GOOD, "channels": ["x", "y", "x"]}, "got 'x', 'y', 'x'"),
        ({**GOOD, "channels": ["x", "y", ""]}, "got 'x', 'y', ''"),
        ({**GOOD, "channels": [0, 1, 2]}, "'channels' must be one row of text; got int64"),
        ({**GOOD, "groups": [1, 2, 3]}, "'groups' must have the shape (4,); got (3,)"),
        ({**GOOD, "groups": ["a", "", "b", "c"]}, "'groups' must not be empty; row 1 holds ''"),
        ({**GOOD, "group_names": ["a"]}, "'group_names' without 'groups', which says the group of each piece"),
        ({**GOOD, "part": [0, 1]}, "'part' must be integers or text of shape (4,)"),
        ({**GOOD, "part": ["train", "test", "val", "test"]}, "row 2 holds 'val'"),
        ({**GOOD, "rate_hz": 0}, "'rate_hz' must be one number above 0, or left out; got int64, 0"),
        ({**GOOD, "rate_hz": np.nan}, "'rate_hz' must be one number above 0, or left out; got float64, nan"),
        ({**GOOD, "rate_hz": [50, 50]}, "'rate_hz' must be one number above 0, or left out; got int64, shape (2,)"),
        ({**GOOD, "rate_hz": "50 Hz"}, "'rate_hz' must be one number above 0"),
        ({**GOOD, "rate": 50}, "unknown array 'rate' (did you mean 'rate_hz'?); leave out what is not used"),
        ({**GOOD, "episodes": np.zeros((1, 2, 2), int)}, "unknown array 'episodes'"),
        ({**GOOD, "format": 3}, "written by another version of tenfold (format 3)"),
        ({"signals": ROWS}, "'labels' missing; it holds signals"),
        ({"lengths": LENGTHS, "labels": LABELS}, "'signals' missing; it holds labels, lengths"),
        ({**GOOD, "images": WINDOWS}, "holds both 'images' and 'signals'; keep one of them"),
        ({**GOOD, "images": WINDOWS, "pairs": WINDOWS}, "holds 'images' and 'pairs' and 'signals'; keep one of them"),
    ],
)
def test_what_is_wrong_is_said(write, arrays: dict, words: str) -> None:
    assert words in refused(write(**arrays))


# Kinds


def test_recordings_are_not_loaded_as_images_nor_images_as_recordings(write, tmp_path: Path) -> None:
    signals = write(signals=WINDOWS, labels=LABELS)
    with pytest.raises(
        DataError, match=r"mine.npz: holds recordings .*the task classify-sequences, or load_recordings"
    ):
        load(signals)
    images = tmp_path / "images.npz"
    np.savez(images, images=np.zeros((4, 2, 2), np.uint8), labels=LABELS)
    with pytest.raises(
        DataError, match=r"images.npz: holds images, and recordings \(signals over time\) are asked for"
    ):
        load_recordings(images)
    pairs = tmp_path / "pairs.npz"
    np.savez(pairs, pairs=np.zeros((4, 2, 2, 2), np.float32), targets=LABELS)
    with pytest.raises(DataError, match=r"pairs.npz: holds pairs, and recordings"):
        load_recordings(pairs)


def test_the_kind_of_a_known_set_is_said_before_a_download(cache: Path) -> None:
    with pytest.raises(
        DataError, match=r"^har-smartphone: holds recordings \(signals over time\), and images or pairs"
    ):
        load("har-smartphone")
    with pytest.raises(DataError, match=r"^mnist: holds images, and recordings"):
        load_recordings("mnist")
    assert not cache.exists()


def test_a_prepared_file_of_another_kind(cache: Path) -> None:
    save(replace(full(), name="mnist"), cache / "mnist.npz")
    with pytest.raises(DataError, match="the prepared file of 'mnist' cannot be used: .* holds recordings, not images"):
        load("mnist")


def test_a_build_that_gives_another_kind() -> None:
    digits = next(dataset for dataset in DATASETS if dataset.name == "digits")
    with pytest.raises(DataError, match="digits: expected Recordings, got Images"):
        load_recordings(replace(digits, kind=Recordings))
    mine = replace(digits, name="mine", kind=Recordings, build=lambda files: full(), fingerprint=full().fingerprint)
    data = load_recordings(mine)
    assert (data.name, data.licence) == ("mine", digits.licence)
    with pytest.raises(DataError, match="mine: not the published signals, pieces, labels, parts and groups"):
        load_recordings(replace(mine, fingerprint="0" * 64))


def test_missing_files_and_other_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data set 'motionsens', .*did you mean 'motionsense'\?"):
        load_recordings("motionsens", base=tmp_path)
    (tmp_path / "a.txt").write_text("1")
    with pytest.raises(DataError, match=r"a.txt: expected an .npz file or a folder of recordings; got a '.txt' file"):
        load_recordings("a.txt", base=tmp_path)
    save(full(), tmp_path / "deep" / "mine.npz")
    assert len(load_recordings("deep/mine.npz", base=tmp_path)) == 3


def test_the_example_in_the_docs_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    import re

    page = (Path(__file__).resolve().parents[2] / "docs" / "add-a-data-set.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "signals=np.concat" in block)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out == "[700 450]\n"


def test_a_folder_of_tables_is_read_by_its_layout(tmp_path: Path) -> None:
    from tenfold.datasets import Layout

    for name in ("walk", "sit"):
        (tmp_path / f"{name}.csv").write_text("x,y\n1,2\n3,4\n")
    layout = Layout(files="{label}.csv", rate_hz=10.0)
    data = load_recordings(tmp_path, layout=layout)
    assert (data.class_names, data.channels, data.signals.shape, data.rate_hz) == (
        ("sit", "walk"),
        ("x", "y"),
        (4, 2),
        10,
    )
    save(full(), tmp_path / "mine.npz")
    for other in (tmp_path / "mine.npz", "har-smartphone"):
        with pytest.raises(
            RequestError, match=r"layout: it says how to read the tables of a folder, and '.*' is not a folder"
        ):
            load_recordings(other, layout=layout)


def test_images_are_still_images(write) -> None:
    assert isinstance(load(write(images=np.zeros((4, 2, 2)), labels=LABELS)), Images)
