"""motionsense: a small archive in the upstream layout from a local server, and the real set where it is there."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tenfold.datasets import DATASETS, UNASSIGNED, Dataset, Recordings, fetch, load_recordings
from tenfold.errors import DataError

MOTIONSENSE = next(dataset for dataset in DATASETS if dataset.name == "motionsense")
NAME = "A_DeviceMotion_data.zip"
HEADER = (
    ",attitude.roll,attitude.pitch,attitude.yaw,gravity.x,gravity.y,gravity.z,rotationRate.x,rotationRate.y,"
    "rotationRate.z,userAcceleration.x,userAcceleration.y,userAcceleration.z"
)
# The first row of dws_1/sub_1.csv, as the notebooks of the authors show it.
PUBLISHED = [1.528132, -0.733896, 0.696372, 0.741895, 0.669768, -0.031672, 0.316738, 0.778180, 1.082764]
PUBLISHED += [0.294894, -0.184493, 0.377542]
STEPS = np.repeat([1 / 1024, 1 / 512, 1 / 2048], 3)  # of user_acc, gyro and gravity
TINY = 0.0001  # rounds to 0, from below to -0.0
RANDOM = np.random.default_rng(3)
# Folder and file: trial 11 is behind 5 and 2, person 10 behind 9; activity by the folder's name.
ROWS = {name: RANDOM.uniform(-1, 1, (length, 12)).round(6) for name, length in (
    ("dws_1/sub_1", 4), ("dws_1/sub_10", 2), ("dws_1/sub_9", 3), ("sit_5/sub_1", 5), ("dws_11/sub_1", 2),
    ("jog_16/sub_9", 1),
)}  # fmt: skip
ROWS["dws_1/sub_1"][0] = PUBLISHED
ROWS["dws_1/sub_1"][1] = -TINY
IN_ORDER = ["dws_1/sub_1", "dws_1/sub_9", "dws_1/sub_10", "sit_5/sub_1", "dws_11/sub_1", "jog_16/sub_9"]


def csv(rows: np.ndarray, header: str = HEADER) -> bytes:
    lines = [",".join([str(number), *(f"{value:.6f}" for value in row)]) for number, row in enumerate(rows)]
    return "\n".join([header, *lines, ""]).encode()


def csv_files() -> dict[str, bytes]:
    files: dict[str, bytes] = {"A_DeviceMotion_data/": b"", "A_DeviceMotion_data/.DS_Store": b"left by the system"}
    for name, rows in sorted(ROWS.items(), reverse=True):
        files[f"A_DeviceMotion_data/{name}.csv"] = csv(rows)
        folder, file = name.split("/")
        files[f"__MACOSX/A_DeviceMotion_data/{folder}/._{file}.csv"] = b"left by the system"
    return files


def archive(files: Mapping[str, bytes]) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as output:
        for name, content in files.items():
            output.writestr(name, content)
    return body.getvalue()


def expected() -> Recordings:
    """By hand: whole steps of each channel."""
    steps = [np.rint(ROWS[name][:, [9, 10, 11, 6, 7, 8, 3, 4, 5]] / STEPS).astype(int) for name in IN_ORDER]
    return Recordings(
        signals=(np.concatenate(steps) * STEPS).astype(np.float32),
        starts=np.array([0, 4, 7, 9, 14, 16]),
        lengths=np.array([4, 3, 2, 5, 2, 1]),
        labels=np.array([0, 0, 0, 4, 0, 3]),
        part=np.full(6, UNASSIGNED, np.uint8),
        class_names=("downstairs", "upstairs", "walking", "jogging", "sitting", "standing"),
        channels=tuple(f"{kind}_{axis}" for kind in ("user_acc", "gyro", "gravity") for axis in "xyz"),
        groups=np.array([0, 1, 2, 0, 0, 1]),
        group_names=("person 1", "person 9", "person 10"),
        rate_hz=50.0,
    )


def small(url: str) -> Dataset:
    """The set as the package knows it, with another address and the content of a small archive."""
    return replace(MOTIONSENSE, mirrors=(url,), fingerprint=expected().fingerprint)


def test_the_archive_becomes_whole_recordings(server, cache: Path) -> None:
    server.answers[f"/{NAME}"] = archive(csv_files())
    data, right = load_recordings(small(server.url), report=lambda text: None), expected()
    for field in ("signals", "starts", "lengths", "labels", "part", "groups"):
        np.testing.assert_array_equal(getattr(data, field), getattr(right, field))
    assert (data.class_names, data.channels, data.group_names) == (right.class_names, right.channels, right.group_names)
    assert (data.name, data.licence, data.rate_hz) == ("motionsense", "MIT", 50.0)
    assert not np.signbit(data.signals[1]).any()  # -0.0 would change the fingerprint
    np.testing.assert_array_equal(data.signals[0] / STEPS, [302, -189, 387, 162, 398, 554, 1519, 1372, -65])
    assert [path.name for path in cache.iterdir()] == ["motionsense.npz"]


def test_columns_are_found_by_name(server) -> None:
    """Quoted names, and another order: what counts is the header."""
    files = csv_files()
    order = [12, 0, 5, 7, 3, 1, 2, 11, 4, 6, 8, 9, 10]
    for name in IN_ORDER:
        rows = np.concatenate([np.arange(len(ROWS[name]))[:, None], ROWS[name]], axis=1)[:, order]
        header = ",".join(f'"{HEADER.split(",")[place]}"' for place in order)
        body = "\r\n".join([header, *(",".join(map(str, row)) for row in rows)])
        files[f"A_DeviceMotion_data/{name}.csv"] = body.encode()
    server.answers[f"/{NAME}"] = archive(files)
    assert load_recordings(small(server.url), report=lambda text: None).fingerprint == expected().fingerprint


def test_other_values_are_refused_and_fetched_again(server, cache: Path) -> None:
    """Nobody publishes a checksum of this archive, so its content is what counts."""
    files = csv_files()
    files["A_DeviceMotion_data/sit_5/sub_1.csv"] = csv(ROWS["sit_5/sub_1"] + 0.01)
    server.answers[f"/{NAME}"] = archive(files)
    with pytest.raises(DataError, match="motionsense: not the published signals, pieces, labels, parts and") as caught:
        fetch(small(server.url), report=lambda text: None)
    assert "(6 pieces of 6 classes)" in str(caught.value)
    assert "try again, or on another network" in str(caught.value)
    assert not list(cache.rglob("*.npz"))
    server.answers[f"/{NAME}"] = archive(csv_files())
    said: list[str] = []
    assert fetch(small(server.url), report=said.append) == cache / "motionsense.npz"
    assert said[-1] == f"motionsense: 6 pieces prepared in {cache / 'motionsense.npz'}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"a login page of a hotel", "A_DeviceMotion_data.zip is damaged or something else"),
        (archive({"README.md": b""}), "A_DeviceMotion_data.zip holds no file like"),
        (archive({"dws_1/sub_1.csv": b""}), "dws_1/sub_1.csv: no column userAcceleration.x, .*; its header is ''"),
        (
            archive({"dws_1/sub_1.csv": csv(ROWS["dws_1/sub_1"], HEADER.replace("gravity.y", "g.y"))}),
            "dws_1/sub_1.csv: no column gravity.y; its header is ',attitude.roll,",
        ),
        (archive({"dws_1/sub_1.csv": csv(ROWS["dws_1/sub_1"][:, :-1])}), "expected lines of 13 numbers"),
        (archive({"dws_1/sub_1.csv": HEADER.encode()}), "dws_1/sub_1.csv: expected lines of 13 numbers"),
        (
            archive({"dws_1/sub_1.csv": csv(np.where(np.arange(12) == 4, np.nan, ROWS["dws_1/sub_1"]))}),
            "dws_1/sub_1.csv: values must be finite; line 2, column 6 holds nan",
        ),
        (archive({"dws_1/sub_1.csv": csv(ROWS["dws_1/sub_1"]) + b"4,walking"}), "dws_1/sub_1.csv: "),
    ],
    ids=["no zip", "other zip", "empty", "column", "short lines", "no lines", "nan", "text"],
)
def test_what_is_wrong_in_the_archive_is_said(server, cache: Path, body: bytes, words: str) -> None:
    server.answers[f"/{NAME}"] = body
    with pytest.raises(DataError, match=words) as caught:
        fetch(small(server.url), report=lambda text: None)
    assert str(caught.value).startswith("motionsense: ")
    assert not list(cache.rglob("*.npz"))


# The real set


@pytest.fixture(scope="module")
def real(prepared_data: Path) -> Recordings:
    path = prepared_data / "motionsense.npz"
    if not path.is_file():
        pytest.skip("no motionsense.npz in TENFOLD_DATA")
    return load_recordings(path)


@pytest.mark.real_data
def test_the_real_set(real: Recordings) -> None:
    assert real.fingerprint == MOTIONSENSE.fingerprint
    assert real.signals.shape == (1_412_865, 9)  # the published total
    assert np.bincount(real.labels).tolist() == [72, 72, 72, 48, 48, 48]
    assert real.groups is not None
    assert np.bincount(real.groups).tolist() == [15] * 24
    assert (real.part == UNASSIGNED).all()
    assert real.starts[1:].tolist() == np.cumsum(real.lengths)[:-1].tolist()
    published = np.array(PUBLISHED)[[9, 10, 11, 6, 7, 8, 3, 4, 5]]
    np.testing.assert_allclose(real.signals[0], published, atol=STEPS.max() / 2)
    norm = np.linalg.norm(real.signals[:, 6:].astype(np.float64), axis=1)
    np.testing.assert_allclose(norm, 1, atol=2e-3)  # gravity is 1 g, whatever the phone does
    moves = [np.concatenate([real.signals[s : s + n, :3] for s, n in pieces(real, label)]).std() for label in range(6)]
    assert max(moves[4:]) < 0.05 < 0.2 < min(moves[:4])
    assert moves[3] == max(moves)  # jogging


def pieces(data: Recordings, label: int) -> list[tuple[int, int]]:
    of_it = data.labels == label
    return list(zip(data.starts[of_it], data.lengths[of_it], strict=True))
