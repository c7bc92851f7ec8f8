"""The record: what goes in comes out, and nothing half done is ever seen."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from tenfold.errors import RecordError, RequestError
from tenfold.files import atomic_write
from tenfold.record import Reader, Record, RunRow, Variant

METRICS = [
    {"name": "accuracy", "label": "Accuracy", "unit": "%", "higher_is_better": True, "primary": True},
    {"name": "loss", "label": "Loss", "unit": "", "higher_is_better": False, "primary": False},
]
STUDY = {
    "name": "small",
    "repeats": 2,
    "task": {"kind": "compare-pairs", "size": 14},
    "models": [{"name": "Siamese CNN 3", "lr": 1e-3}, {"name": "../x"}],
}
MODEL = "Siamese CNN 3"


def start(folder: Path, study=STUDY, variants=None) -> Record:
    return Record.create(
        folder,
        study_toml='name = "small"\n',
        study=study,
        environment={"python": "3.11"},
        metrics=METRICS,
        command="tenfold run small",
        quick=False,
        variants=variants,
    )


@pytest.fixture
def record(tmp_path):
    with start(tmp_path / "study") as record:
        yield record


def test_what_was_written_is_read(record):
    record.save_plan(MODEL, {"placement": "stack", "probe": {"stack": np.float32(0.5)}})
    record.save_epochs(MODEL, [(0, 0, 1, "train", "loss", 0.7), (0, 0, 2, "train", "loss", math.nan)])
    record.finish_runs(
        MODEL,
        [
            RunRow(variant=0, repeat=0, status="finished", epochs=2, scores={"accuracy": 0.75, "loss": 0.5}),
            RunRow(variant=0, repeat=1, status="diverged", epochs=1, message="loss is NaN"),
        ],
    )
    record.event("resumed", "after epoch 1", MODEL)
    record.save_meta("certificate", {"largest": 1e-12})
    record.finish()
    folder = record.folder
    record.close()

    again = Record.open(folder)
    assert again.study == STUDY
    assert again.metrics == METRICS
    assert again.command == "tenfold run small"
    assert again.quick is False
    assert again.models == (MODEL, "../x")
    assert again.plan(MODEL) == {"placement": "stack", "probe": {"stack": 0.5}}
    assert again.plan("../x") is None
    assert again.finished(MODEL) == {(0, 0), (0, 1)}
    assert again.finished("../x") == set()
    assert again.meta("certificate") == {"largest": 1e-12}
    assert again.meta("other") is None
    assert again.status == "finished"
    assert (folder / "study.toml").read_text() == 'name = "small"\n'
    assert json.loads((folder / "environment.json").read_text()) == {"python": "3.11"}
    again.close()


def test_results_csv_has_one_row_a_run_and_metric_and_hides_no_diverged_run(record):
    rows = [
        RunRow(variant=0, repeat=1, status="diverged", epochs=1),
        RunRow(variant=0, repeat=0, status="finished", epochs=2, scores={"accuracy": 0.75, "loss": 0.1 + 0.2}),
    ]
    record.finish_runs(MODEL, rows)
    record.finish()
    with (record.folder / "results.csv").open(newline="") as file:
        table = list(csv.reader(file))
    assert table == [
        ["model", "setting", "repeat", "metric", "value"],
        [MODEL, "", "0", "accuracy", "0.75"],
        [MODEL, "", "0", "loss", "0.30000000000000004"],
        [MODEL, "", "1", "accuracy", ""],
        [MODEL, "", "1", "loss", ""],
    ]


def test_an_empty_record_can_be_finished(record):
    record.finish()
    assert (record.folder / "results.csv").read_text() == "model,setting,repeat,metric,value\n"


def test_points_saved_again_replace(record):
    for epoch in (1, 2, 3):
        record.save_epochs(MODEL, [(0, repeat, epoch, "test", "accuracy", 0.1) for repeat in (0, 1)])
    record.save_epochs(MODEL, [(0, 1, 3, "test", "accuracy", 0.9)])
    assert points(record.folder) == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
    (curve,) = Reader(record.folder).curves("accuracy")
    assert curve.values.tolist() == [[0.1, 0.1, 0.1], [0.1, 0.1, 0.9]]


def points(folder: Path) -> list[tuple[int, int]]:
    connection = sqlite3.connect(folder / "results.db")
    try:
        return connection.execute("SELECT repeat, epoch FROM epochs ORDER BY repeat, epoch").fetchall()
    finally:
        connection.close()


def test_one_bad_row_keeps_the_whole_call_out(record):
    rows = [
        RunRow(variant=0, repeat=0, status="finished", epochs=2, scores={"accuracy": 0.5}),
        RunRow(variant=0, repeat=1, status="perhaps", epochs=2, scores={"accuracy": 0.5}),  # type: ignore[arg-type]
    ]
    with pytest.raises(RecordError, match="status"):
        record.finish_runs(MODEL, rows)
    assert record.finished(MODEL) == set()
    record.finish_runs(MODEL, rows[:1])
    assert record.finished(MODEL) == {(0, 0)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.plan("Siamese CNN 4"), "no model 'Siamese CNN 4'.*did you mean 'Siamese CNN 3'"),
        (lambda r: r.save_epochs("x", []), "no model 'x'"),
        (lambda r: r.save_epochs(MODEL, [(0, 0, 1, "tets", "loss", 1.0)]), "part 'tets'.*did you mean 'test'"),
        (
            lambda r: r.finish_runs(
                MODEL, [RunRow(variant=0, repeat=0, status="finished", epochs=1, scores={"acuracy": 1})]
            ),
            "no metric 'acuracy'.*did you mean 'accuracy'",
        ),
        (lambda r: r.save_epochs(MODEL, [(1, 0, 1, "test", "loss", 1.0)]), "no variant 1 of 'Siamese CNN 3'.*it has 1"),
        (
            lambda r: r.finish_runs("../x", [RunRow(variant=-1, repeat=0, status="finished", epochs=1)]),
            "no variant -1 of '../x'.*it has 1",
        ),
        (lambda r: r.save_meta("study", {}), "meta 'study' is written by the record itself; choose another name"),
        (lambda r: r.save_plan(MODEL, {"x": object()}), "cannot store this in a record: object is not a JSON value"),
        (lambda r: r.save_predictions(MODEL, {"a": np.array([None])}), "array 'a' holds Python objects"),
    ],
)
def test_wrong_use_is_named(record, call, message):
    with pytest.raises(RecordError, match=message):
        call(record)


def test_a_reader_cannot_write(record):
    with Record.open(record.folder) as reader:
        for call in (
            reader.finish,
            lambda: reader.save_plan(MODEL, {}),
            lambda: reader.save_predictions(MODEL, {}),
            lambda: reader.save_preprocessing(MODEL, {}),
            lambda: reader.save_sources({}),
            lambda: reader.save_meta("a", 1),
        ):
            with pytest.raises(RecordError, match="was opened for reading; open it with write=True"):
                call()


def test_reading_while_another_transaction_is_open(record):
    record.finish_runs(MODEL, [RunRow(variant=0, repeat=0, status="finished", epochs=1, scores={"accuracy": 1})])
    with record._write() as connection:
        connection.execute("DELETE FROM runs")
        with Record.open(record.folder) as reader:
            assert reader.finished(MODEL) == {(0, 0)}


def test_threads_of_one_process_may_share_a_record(record):
    def save(repeat: int) -> None:
        for epoch in range(1, 11):
            record.save_epochs(MODEL, [(0, repeat, epoch, "train", "loss", 0.5)])

    threads = [threading.Thread(target=save, args=(repeat,)) for repeat in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(points(record.folder)) == 40


# ---------------------------------------------------------------------- variants

SWEEP = [
    {"swept": {"split": split, "hidden": [32, 16], "nesterov": True, "lr": lr}, "protocol": {"split": split}}
    for split in ("group", "window")
    for lr in (0.1, 0.01)
]


def test_variants_come_back_as_values(tmp_path):
    with start(tmp_path, variants={MODEL: SWEEP}) as record:
        written = record.variants
        record.finish_runs(MODEL, [RunRow(variant=3, repeat=1, status="finished", epochs=1, scores={"accuracy": 0.5})])
        assert record.finished(MODEL) == {(3, 1)}
    for variants in (written, Record.open(tmp_path).variants, Reader(tmp_path).variants):
        assert [(v.model, v.index) for v in variants] == [*((MODEL, index) for index in range(4)), ("../x", 0)]
        assert variants[3].swept == (("split", "window"), ("hidden", (32, 16)), ("nesterov", True), ("lr", 0.01))
        assert variants[3].protocol == (("split", "window"),)
        assert variants[3].label == "Siamese CNN 3 (split=window, hidden=32/16, nesterov=true, lr=0.01)"
        assert variants[3].apart_from_protocol == variants[1].apart_from_protocol != variants[2].apart_from_protocol
        assert (variants[4].swept, variants[4].protocol, variants[4].label) == ((), (), "../x")
        assert len({*variants, *written}) == 5
        assert sorted(variants[3::-1]) == list(variants[:4])
    results = Reader(tmp_path)
    assert results.runs[0].variant == Variant(MODEL, 3)
    assert results.runs[0].variant.swept == written[3].swept


def test_a_protocol_need_not_be_swept(tmp_path):
    """Two models whose own tables divide the data in different ways."""
    with start(tmp_path, variants={MODEL: [{"protocol": {"split": "group"}}], "../x": [{"protocol": {"split": "w"}}]}):
        pass
    one, other = Reader(tmp_path).variants
    assert (one.label, other.label) == (MODEL, "../x")
    assert (one.swept, one.protocol, other.protocol) == ((), (("split", "group"),), (("split", "w"),))
    assert one.apart_from_protocol == (MODEL, ())


def test_a_swept_table_is_kept(tmp_path):
    augment = {"rotate": 10, "shift": 2.5}
    with start(tmp_path, variants={"../x": [{"swept": {"augment": augment}}, {"swept": {"augment": {}}}]}) as record:
        variant = record.variants[1]
    assert variant.swept == (("augment", augment),)
    assert variant.label == "../x (augment={rotate = 10, shift = 2.5})"
    assert Reader(tmp_path).variants[1].swept == variant.swept
    assert hash(variant)


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"Siamese": []}, "variants of 'Siamese': the study has no such model; did you mean 'Siamese CNN 3'"),
        ({MODEL: [{"sweep": {}}]}, "variant 0 of 'Siamese CNN 3': unknown key 'sweep'; known: protocol, swept"),
        (
            {MODEL: [{"swept": {"a": 2}, "protocol": {"a": 1}}]},
            r"variant 0 of 'Siamese CNN 3': 'a' is 1 in the protocol and 2 in the sweep\.",
        ),
        ({MODEL: [{"swept": {"a": {}}, "protocol": {"a": {}}}]}, "'a' of the protocol is a table; expected a value"),
        ({MODEL: [{"swept": {"a": 2}}] * 2}, r"2 variants are called 'Siamese CNN 3 \(a=2\)'"),
        ({MODEL: [{"swept": {"a": object()}}]}, "cannot store this in a record: object is not a JSON value"),
    ],
)
def test_wrong_variants_are_refused_before_anything_is_written(tmp_path, variants, message):
    with pytest.raises(RecordError, match=message):
        start(tmp_path / "study", variants=variants)
    assert not (tmp_path / "study").exists()


def test_results_csv_names_the_swept_values_and_keeps_the_order_of_the_study(tmp_path):
    with start(tmp_path, variants={MODEL: SWEEP[:2]}) as record:
        for index in (1, 0):
            rows = [RunRow(variant=index, repeat=r, status="finished", epochs=1, scores={"loss": 0.5}) for r in (1, 0)]
            record.finish_runs(MODEL, rows)
        record.finish()
    with (tmp_path / "results.csv").open(newline="") as file:
        table = list(csv.reader(file))
    first, second = (f"split=group, hidden=32/16, nesterov=true, lr={lr}" for lr in ("0.1", "0.01"))
    assert [row[1:3] for row in table[1:]] == [[first, "0"], [first, "1"], [second, "0"], [second, "1"]]


# ---------------------------------------------------------------------- studies and folders


def test_another_study_is_refused_and_the_keys_named(record):
    folder = record.folder
    record.close()
    other = {
        **STUDY,
        "repeats": 3,
        "seed": 0,
        "task": {"kind": "compare-pairs", "size": 8},
        "models": [{"name": MODEL, "lr": 0.1}, {"name": "new"}],
    }
    with pytest.raises(RecordError) as caught:
        Record.open(folder, write=True, study=other)
    text = str(caught.value)
    assert "holds the record of another study" in text
    assert text.splitlines()[1:] == [
        "  - task.size: recorded 14, asked for 8",
        "  - models[Siamese CNN 3].lr: recorded 0.001, asked for 0.1",
        "  - seed: not recorded, asked for 0",
    ]
    Record.open(folder, write=True, study=json.loads(json.dumps(STUDY))).close()  # the refusal gave the lock back


def test_create_refuses_a_record_and_a_folder_of_other_files(tmp_path):
    start(tmp_path / "a").close()
    with pytest.raises(RecordError, match="already holds a record"):
        start(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").touch()
    with pytest.raises(RecordError, match=r"holds other files \(thesis.tex\) and no record"):
        start(tmp_path / "b")


def test_create_goes_on_after_a_create_that_was_killed(tmp_path):
    start(tmp_path).close()
    (tmp_path / "results.db").unlink()
    assert not Record.exists(tmp_path)
    start(tmp_path).close()
    assert Record.exists(tmp_path)


def test_no_record(tmp_path):
    with pytest.raises(
        RecordError, match=r"no record in .*: expected the file results.db. Start one with 'tenfold run'"
    ):
        Record.open(tmp_path, write=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [0, 10, 100, 4096, 20_000])
def test_a_cut_off_database_is_said(tmp_path, length):
    with start(tmp_path) as record:
        rows = [(0, r, e, "test", "loss", 0.5) for r in range(10) for e in range(300)]
        record.save_epochs(MODEL, rows)
    path = tmp_path / "results.db"
    assert path.stat().st_size > 20_000
    os.truncate(path, length)
    with pytest.raises(RecordError, match=r"results.db (is damaged|is not the database of a tenfold record)"):
        Record.open(tmp_path)


def test_a_damaged_database_is_said(tmp_path):
    start(tmp_path).close()
    (tmp_path / "results.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(RecordError, match=r"results.db is damaged or not a tenfold record.*file is not a database"):
        Record.open(tmp_path, write=True)


def test_a_newer_version_is_refused(tmp_path):
    start(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "results.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    message = "has record version 99, but this tenfold reads version 3 only: update tenfold to read it.$"
    with pytest.raises(RecordError, match=message):
        Record.open(tmp_path)


def test_a_record_of_version_1_is_refused_by_everything_that_opens_one(tmp_path):
    connection = sqlite3.connect(tmp_path / "results.db")
    connection.executescript(f"PRAGMA application_id = {0x10F01D}; PRAGMA user_version = 1; {VERSION_1}")
    connection.close()
    before = (tmp_path / "results.db").read_bytes()
    for opens in (Reader, Record.open, lambda folder: Record.open(folder, write=True, study=STUDY)):
        with pytest.raises(RecordError) as caught:
            opens(tmp_path)
        assert str(caught.value) == (
            f"{tmp_path / 'results.db'} has record version 1, but this tenfold reads version 3 only: "
            "read it with the tenfold that wrote it, or run the study again in a new folder (--out DIR)."
        )
    assert (tmp_path / "results.db").read_bytes() == before


# Enough of version 1, in which a run was identified by a text.
VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('study', '{"name": "small", "models": [{"name": "A"}]}'), ('status', 'finished');
CREATE TABLE runs (
    model TEXT NOT NULL, setting TEXT NOT NULL, repeat INTEGER NOT NULL, status TEXT NOT NULL,
    PRIMARY KEY (model, setting, repeat)
);
INSERT INTO runs VALUES ('A', 'lr=0.1', 0, 'finished');
"""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="rights do not bind root")
def test_a_folder_without_rights_is_said(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RecordError, match="Choose a folder that can be written"):
            start(tmp_path / "study")
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_place_of_the_folder_is_said(tmp_path):
    (tmp_path / "study").touch()
    with pytest.raises(RecordError, match="cannot write .*study"):
        start(tmp_path / "study")


def test_a_moved_folder_reads_the_same(record, tmp_path):
    record.finish_runs(MODEL, [RunRow(variant=0, repeat=0, status="finished", epochs=1, scores={"accuracy": 1})])
    record.close()
    odd = tmp_path / "ümlaut #1 100%? x"
    shutil.move(record.folder, odd)
    with Record.open(odd, write=True) as moved:
        assert moved.finished(MODEL) == {(0, 0)}


def test_a_closed_record_is_one_database_file(record):
    record.save_epochs(MODEL, [(0, 0, 1, "train", "loss", 0.7)])
    record.close()
    assert sorted(path.name for path in record.folder.glob("results*")) == ["results.db"]


# ---------------------------------------------------------------------- files


def test_predictions_come_back_as_they_were_and_byte_for_byte_alike(record):
    arrays = {
        "probability": np.random.default_rng(0).random((3, 50), dtype=np.float32),
        "target": np.ones((3, 50), np.uint8),
        "repeat": np.array([0, 1, 2]),
        "file": np.zeros(2),  # a name that numpy.savez cannot take
    }
    path = record.save_predictions("../x", arrays)
    assert path == record.folder / "predictions" / "x.npz"
    first = path.read_bytes()
    back = record.read_predictions("../x")
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
    record.save_predictions("../x", arrays)
    assert path.read_bytes() == first


def test_gallery_and_weights_come_back(record):
    record.save_gallery({"images": np.zeros((2, 2, 4, 4), np.uint8)})
    gallery = Reader(record.folder).gallery()
    assert gallery is not None
    assert gallery["images"].shape == (2, 2, 4, 4)
    weights = {"layer.weight": np.arange(12.0).reshape(2, 3, 2).swapaxes(1, 2), "count": np.array([1, 2])}
    record.save_weights(MODEL, weights)
    for back in (record.read_weights(MODEL), Reader(record.folder).weights(MODEL)):
        assert set(back) == set(weights)
        for name, array in weights.items():
            np.testing.assert_array_equal(back[name], array)
    record.save_weights("../x", {})
    assert record.read_weights("../x") == {}


def test_every_variant_has_files_of_its_own(tmp_path):
    """Of shapes of its own: a sweep may change the sizes of the network."""
    with start(tmp_path, variants={MODEL: [{"swept": {"hidden": 3}}, {"swept": {"hidden": 5}}]}) as record:
        for index, hidden in enumerate((3, 5)):
            for save in (record.save_weights, record.save_predictions, record.save_preprocessing):
                path = save(MODEL, {"a": np.full((2, hidden), index)}, variant=index)
                assert path.name.split(".")[:2] == ["siamese-cnn-3", str(index)]
        reader = Reader(tmp_path)
        for index, hidden in enumerate((3, 5)):
            for read in (record.read_weights, record.read_predictions, reader.weights, reader.predictions):
                np.testing.assert_array_equal(read(MODEL, variant=index)["a"], np.full((2, hidden), index))
            np.testing.assert_array_equal(reader.preprocessing(MODEL, variant=index)["a"], np.full((2, hidden), index))
        with pytest.raises(RecordError, match=r"no variant 2 of 'Siamese CNN 3' in the record .*: it has 2\."):
            record.save_weights(MODEL, {}, variant=2)
        with pytest.raises(RequestError, match=r"no variant 2 of 'Siamese CNN 3' in the record"):
            reader.weights(MODEL, variant=2)


@pytest.mark.parametrize("kept", [0, 0.3, 0.9, 0.999])
def test_cut_off_arrays_are_said(record, kept):
    noise = np.random.default_rng(0).random((4, 1000))
    predictions = record.save_predictions(MODEL, {"a": noise})
    weights = record.save_weights(MODEL, {"a": noise})
    for path, read in ((predictions, record.read_predictions), (weights, record.read_weights)):
        os.truncate(path, int(path.stat().st_size * kept))
        with pytest.raises(RecordError, match=f"{path.name} is damaged or cut off.*Restore it from a copy"):
            read(MODEL)


def test_missing_arrays_are_said(record):
    for read in (record.read_predictions, record.read_weights):
        with pytest.raises(RecordError, match="no file .*siamese-cnn-3"):
            read(MODEL)


def test_preprocessing_comes_back(record):
    assert record.save_preprocessing(MODEL, {}) is None
    assert Reader(record.folder).preprocessing(MODEL) is None
    arrays = {"mean": np.arange(6.0).reshape(2, 3), "std": np.ones((2, 3))}
    path = record.save_preprocessing(MODEL, arrays)
    assert path == record.folder / "preprocessing" / "siamese-cnn-3.safetensors"
    back = Reader(record.folder).preprocessing(MODEL)
    assert back is not None
    assert sorted(back) == ["mean", "std"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)


def test_sources_come_back_and_are_replaced_as_a_whole(record):
    folder = record.folder / "sources"
    assert Reader(record.folder).sources_folder is None
    record.save_sources({})
    assert not folder.exists()
    record.save_sources({"net.py": b"A = 1\n", "tasks/my task.py": b"\x00\xff"})
    assert Reader(record.folder).sources_folder == folder
    assert source_files(folder) == {"net.py": b"A = 1\n", "tasks/my task.py": b"\x00\xff"}
    record.save_sources({"tasks/other.py": b""})
    assert source_files(folder) == {"tasks/other.py": b""}
    assert sorted(p.name for p in record.folder.iterdir() if p.name.startswith(".")) == []
    record.save_sources({})
    assert source_files(folder) == {}


def source_files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder).as_posix()): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "name",
    ["", ".", "/net.py", "../net.py", "a/../../net.py", "a/..", "C:/net.py", "C:net.py", "\\net.py", "a\\..\\..\\x"],
)
def test_sources_stay_in_their_folder(record, name):
    record.save_sources({"kept.py": b"kept"})
    with pytest.raises(RecordError, match="cannot keep the source file .*: expected a relative path that stays in its"):
        record.save_sources({"fine.py": b"", name: b"bad"})
    assert source_files(record.folder / "sources") == {"kept.py": b"kept"}


@pytest.mark.parametrize("moved", [False, True])
def test_sources_whose_replacement_was_killed_are_the_earlier_ones(record, moved):
    record.save_sources({"net.py": b"earlier"})
    folder = record.folder
    record.close()
    (folder / ".sources.new.tmp").mkdir()
    (folder / ".sources.new.tmp" / "net.py").write_bytes(b"half")
    if moved:
        (folder / "sources").rename(folder / ".sources.old.tmp")
    Record.open(folder, write=True).close()
    assert source_files(folder / "sources") == {"net.py": b"earlier"}
    assert not list(folder.glob(".sources*"))


def test_pickled_arrays_are_not_loaded(record):
    (record.folder / "predictions").mkdir()
    np.savez(record.folder / "predictions" / "x.npz", a=np.array([{"bad": 1}]))
    with pytest.raises(RecordError, match=r"x.npz is damaged.*allow_pickle"):
        record.read_predictions("../x")


def test_checkpoints_have_a_place_of_their_own(record):
    first, second = record.checkpoint_path(MODEL, 0), record.checkpoint_path("../x", 3)
    assert first == record.folder / "checkpoints" / "siamese-cnn-3.0.safetensors"
    assert second == record.folder / "checkpoints" / "x.3.safetensors"
    for path in (first, second):
        with atomic_write(path) as file:
            file.write(b"state")
    record.drop_checkpoints(MODEL)
    assert not first.exists()
    assert second.exists()


# ---------------------------------------------------------------------- atomic_write


def test_atomic_write_keeps_the_earlier_file_when_the_block_fails(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with atomic_write(path, "w") as file:
        file.write("first\n")
    with pytest.raises(TypeError), atomic_write(path, "w") as file:
        file.writelines(["second" * 10_000, b"not text"])
    assert path.read_bytes() == b"first\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_leftovers_of_a_killed_writer_are_removed_by_the_next(record):
    folder = record.folder
    record.close()
    (folder / "predictions").mkdir()
    leftover = folder / "predictions" / ".x.npz.0123456789abcdef.tmp"
    own = folder / "notes.tmp"
    leftover.touch()
    own.touch()
    Record.open(folder).close()
    assert leftover.exists()
    Record.open(folder, write=True).close()
    assert not leftover.exists()
    assert own.exists()
