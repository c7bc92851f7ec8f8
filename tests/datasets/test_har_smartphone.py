"""har-smartphone: a small archive in the upstream layout from a local server, and the real windows where they are."""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tenfold.datasets import DATASETS, TEST, TRAIN, Dataset, Recordings, RemoteFile, fetch, load_recordings
from tenfold.errors import DataError, DownloadError

HAR = next(dataset for dataset in DATASETS if dataset.name == "har-smartphone")
NAME = HAR.files[0].name
SAMPLES = 3000
CONSTANT = np.array([0.25, -0.5, 0.875])  # g, whole steps of 1/8192
# Recording, person, activity from 1, first and last sample from 1. Person 2 tests, and person 1 trains.
LABELS = """1 2 5 201 520
1 2 7 521 900
1 2 1 901 1155
1 2 6 1200 1326
2 1 3 101 228
2 1 1 400 655
"""
# (person, first sample from 0, class): three windows fit into 320 samples, one into 255, none into 127, three into 256.
EXPECTED = [(1, 100, 2), (1, 399, 0), (1, 463, 0), (1, 527, 0)]
EXPECTED += [(2, 200, 4), (2, 264, 4), (2, 328, 4), (2, 392, 4), (2, 900, 0), (2, 964, 0)]


def text(signals: np.ndarray) -> bytes:
    """As upstream: in scientific notation, with a blank at the end of each line."""
    return "".join(" ".join(f"{value:.16e}" for value in row) + " \n" for row in signals).encode()


def signals(samples: int = SAMPLES) -> dict[str, np.ndarray]:
    """Acceleration is constant; an axis of the gyroscope counts the samples, which no filter without delay moves."""
    gyro = np.zeros((samples, 3))
    gyro[:, 0] = np.arange(samples) / 256
    gyro[:, 1] = -1.5
    return {"acc": np.tile(CONSTANT, (samples, 1)), "gyro": gyro}


def raw_files(of_recording: Mapping[str, np.ndarray] | None = None) -> dict[str, bytes]:
    """The files of two recordings, in an order that is not that of the rows."""
    files = {"README.txt": b"nothing to read", "RawData/labels.txt": LABELS.encode()}
    for recording, person in ((2, 1), (1, 2)):
        for kind, values in (of_recording or signals()).items():
            files[f"RawData/{kind}_exp{recording:02d}_user{person:02d}.txt"] = text(values)
    return files


def archive(files: Mapping[str, bytes], folder: str = "") -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as output:
        for name, content in files.items():
            output.writestr(folder + name, content)
    return body.getvalue()


def small(url: str, body: bytes) -> Dataset:
    """The set as the package knows it, with another address and the checksum of a small archive."""
    return replace(HAR, mirrors=(url,), files=(replace(HAR.files[0], sha256=hashlib.sha256(body).hexdigest()),))


def made(server, files: Mapping[str, bytes], folder: str = "") -> Recordings:
    body = archive(files, folder)
    server.answers[f"/{NAME}"] = body
    return load_recordings(small(server.url, body), report=lambda text: None)


@pytest.mark.parametrize("folder", ["", "HAPT Data Set/"])
def test_the_archive_becomes_windows_of_people(server, cache: Path, folder: str) -> None:
    data = made(server, raw_files(), folder)
    assert (data.name, data.rate_hz, data.channels[3], data.channels[-1]) == (
        "har-smartphone",
        50.0,
        "body_gyro_x",
        "total_acc_z",
    )
    assert data.class_names[2] == "walking downstairs"
    assert data.signals.shape == (128 * len(EXPECTED), 9)
    assert (data.starts == 128 * np.arange(len(EXPECTED))).all()
    assert (data.lengths == 128).all()
    assert data.groups is not None
    windows = data.signals.reshape(-1, 128, 9)
    counted = np.rint(windows[:, 0, 3] * 256).astype(int)
    people = [int(data.group_names[group].removeprefix("person ")) for group in data.groups]
    assert list(zip(people, counted, data.labels, strict=True)) == EXPECTED
    assert (data.part == [TRAIN] * 4 + [TEST] * 6).all()
    np.testing.assert_allclose(windows[:, :, 3] * 256, counted[:, None] + np.arange(128), atol=0.2)
    np.testing.assert_array_equal(windows[:, :, 4], np.float32(-1.5))
    np.testing.assert_array_equal(windows[:, :, 6:], np.broadcast_to(CONSTANT.astype(np.float32), (10, 128, 3)))
    np.testing.assert_array_equal(windows[:, :, :3], 0)
    assert not np.signbit(windows[windows == 0]).any()  # -0.0 would change the fingerprint
    assert [path.name for path in cache.iterdir()] == ["har-smartphone.npz"]
    assert data.notes == ("4 + 6 windows to train and test on, not 7415 + 2996",)


def gain(hertz: float, cut: float) -> float:
    """What is left after both directions of a Butterworth filter of order 3 at 50 Hz: the square of its gain.

    Source: the bilinear transform, such as Oppenheim and Schafer, Discrete-Time Signal Processing, section 7.1.
    """
    return 1 / (1 + (math.tan(math.pi * hertz / 50) / math.tan(math.pi * cut / 50)) ** 6)


def test_the_filters_keep_and_take_away_what_they_should(server) -> None:
    """Half a hertz is near the cut of gravity. Pairs of equal samples pass the median, and are a pure 12.5 Hz."""
    time = np.arange(SAMPLES) / 50
    slow, pairs = np.sin(2 * np.pi * 0.5 * time), np.where(np.arange(SAMPLES) % 4 < 2, 4.0, -4.0)
    values = signals()
    values["acc"][:, 0] += 0.5 * slow
    values["acc"][700::600, 1] += 3  # single samples of nonsense: the median takes them away
    values["gyro"][:, 2] = pairs
    data = made(server, raw_files(values))
    windows = data.signals.reshape(-1, 128, 9).astype(np.float64)
    for (_, start, _), window in zip(EXPECTED, windows, strict=True):
        here = slice(start, start + 128)
        np.testing.assert_allclose(window[:, 6] - 0.25, 0.5 * slow[here], atol=2e-3)
        np.testing.assert_allclose(window[:, 5], pairs[here] * gain(12.5, 20), atol=3e-4)
        np.testing.assert_array_equal(window[:, 7], -0.5)
        if start > 350:  # the edge of a recording fades within seconds
            np.testing.assert_allclose(window[:, 0], 0.5 * slow[here] * (1 - gain(0.5, 0.3)), atol=2e-3)
    assert gain(12.5, 20) < 0.999
    assert 0.04 < gain(0.5, 0.3) < 0.05


def without(part: str) -> dict[str, bytes]:
    return {name: body for name, body in raw_files().items() if part not in name}


def with_labels(lines: str) -> dict[str, bytes]:
    return {**raw_files(), "RawData/labels.txt": lines.encode()}


def with_gyro(body: bytes) -> dict[str, bytes]:
    return {**raw_files(), "RawData/gyro_exp01_user02.txt": body}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (without("labels"), "holds no file like .*labels"),
        (without("exp"), "holds no file like .*exp"),
        (without("gyro_exp01"), "no gyro_exp01_user02.txt in the archive"),
        (
            with_gyro(text(signals(2999)["gyro"])),
            "recording 1: 3000 samples of acceleration, but 2999 of the gyroscope",
        ),
        (with_gyro(b"1 2 3\n1 2\n"), "RawData/gyro_exp01_user02.txt: .*columns"),
        (with_gyro(b"1 2\n1 2\n"), r"gyro_exp01_user02.txt: expected lines of 3 numbers, got a table of \(2, 2\)"),
        (with_gyro(b"1 2 x\n"), "gyro_exp01_user02.txt: could not convert string 'x'"),
        (with_gyro(b"1 2 3\n1 nan 3\n"), "gyro_exp01_user02.txt: values must be finite; line 2, column 2 holds nan"),
        (with_gyro(b""), r"gyro_exp01_user02.txt: expected lines of 3 numbers, got a table of \(0, "),
        (with_gyro(b"\xff\xfe1 2 3"), "gyro_exp01_user02.txt: 'ascii' codec"),
        (with_labels("1 2 5 201 3001\n"), "line 1: activity 5 from sample 201 to 3001 of a recording of 3000"),
        (with_labels("1 2 5 200 400\n1 2 0 500 900\n"), "line 2: activity 0 from sample 500 to 900"),
        (with_labels("1 2 5 0 400\n"), "line 1: activity 5 from sample 0 to 400"),
        (with_labels("1 2 5 201 300\n1 2 7 301 900\n"), "no activity lasts as long as a window of 128 samples"),
        (
            {**raw_files({kind: values[:127] for kind, values in signals().items()})},
            "recording 1 has 127 samples, fewer than a window",
        ),
    ],
)
def test_what_is_wrong_in_the_archive_is_said(server, cache: Path, files: dict[str, bytes], words: str) -> None:
    with pytest.raises(DataError, match=f"^har-smartphone: .*{words}"):
        made(server, files)
    assert not list(cache.rglob("*.npz"))


def test_a_wrong_or_broken_archive(server, cache: Path) -> None:
    server.answers[f"/{NAME}"] = b"a login page of a hotel"
    with pytest.raises(DownloadError, match="wrong checksum"):
        fetch(small(server.url, b"another"), report=lambda text: None)
    body = archive(raw_files())[:-300]
    server.answers[f"/{NAME}"] = body
    with pytest.raises(DataError, match="har-smartphone: smartphone.*zip is damaged or something else"):
        fetch(small(server.url, body), report=lambda text: None)


def test_the_address_is_that_of_the_repository_of_uci() -> None:
    assert HAR.mirrors[0] + HAR.files[0].name == (
        "https://archive.ics.uci.edu/static/public/341/"
        "smartphone+based+recognition+of+human+activities+and+postural+transitions.zip"
    )
    assert isinstance(HAR.files[0], RemoteFile)


# The real windows, which others made of the same archive


@pytest.fixture(scope="module")
def real(prepared_data: Path) -> Recordings:
    path = prepared_data / "har-smartphone.npz"
    if not path.is_file():
        pytest.skip("no har-smartphone.npz in TENFOLD_DATA")
    return load_recordings(path)


@pytest.mark.real_data
def test_counts_of_the_real_set(real: Recordings) -> None:
    assert len(real) == 10_411
    assert real.notes == ()
    assert np.bincount(real.labels[real.part == TRAIN]).tolist() == [1226, 1073, 987, 1293, 1423, 1413]
    assert np.bincount(real.labels[real.part == TEST]).tolist() == [496, 471, 420, 508, 556, 545]
    assert real.groups is not None
    people = np.array([int(name.removeprefix("person ")) for name in real.group_names])
    assert people.tolist() == list(range(1, 31))
    assert people[np.unique(real.groups[real.part == TEST])].tolist() == [2, 4, 9, 10, 12, 13, 18, 20, 24]
    assert not set(real.groups[real.part == TRAIN]) & set(real.groups[real.part == TEST])


@pytest.mark.real_data
def test_units_and_channels_of_the_real_set(real: Recordings) -> None:
    windows = real.signals.reshape(-1, 128, 9)
    still = windows[real.labels >= 3]
    assert np.median(np.linalg.norm(still[:, :, 6:], axis=2)) == pytest.approx(1, abs=0.03)  # g
    assert abs(np.median(still[:, :, :3], axis=(0, 1))).max() < 0.01
    upright, lying = (np.median(windows[real.labels == label][:, :, 6]) for label in (4, 5))
    assert upright > 0.9  # x points along the body
    assert lying < 0.4
    assert 0.2 < np.median(windows[real.labels == 0][:, :, 3:6].std(axis=1)) < 1.5  # rad/s


@pytest.mark.real_data
def test_the_filter_of_gravity_is_the_one_that_made_the_real_windows(real: Recordings) -> None:
    """Total less body acceleration is what our filter makes of the total, to the rounding; other orders do not."""
    from scipy.signal import butter, filtfilt

    from tenfold.datasets.har_smartphone import _low_pass

    windows = real.signals.reshape(-1, 128, 9)
    follows = (windows[:-1, 64:] == windows[1:, :64]).all(axis=(1, 2))
    ends = np.flatnonzero(~np.append(follows, False))
    starts = np.append(0, ends[:-1] + 1)
    step, checked = 1 / 8192, 0
    of_others = {2: 0.0, 4: 0.0}
    for first, last in zip(starts, ends, strict=True):
        if last - first < 20:  # the ends of a stretch lack what was before and after: only a long one has a middle
            continue
        stretch = np.concatenate([windows[first], *windows[first + 1 : last + 1, 64:]]).astype(np.float64)
        middle = slice(len(stretch) // 2 - 64, len(stretch) // 2 + 64)
        gravity, total = (stretch[:, 6:] - stretch[:, :3])[middle], stretch[:, 6:]
        assert abs(_low_pass(total, 0.3)[middle] - gravity).max() < 1.2 * step  # each of the two is rounded by half
        for order in of_others:
            other = filtfilt(*butter(order, 0.3 / 25), total, axis=0)[middle]
            of_others[order] = max(of_others[order], abs(other - gravity).max())
        checked += 1
    assert checked > 20
    assert min(of_others.values()) > 5 * step
