"""har-smartphone: six activities of 30 people with a phone at the waist, windows of 128 steps and 9 channels, 50 Hz.

Made of the raw signals of HAPT v2.1, the successor of the often used "UCI HAR": the same people, activities and split.
UCI HAR v1 has 7352 + 2947 windows, this has 7415 + 2996: its authors revised the labels.

The download itself is not tested: this was written without a network. Tested is a copy of the windows that others made
of the same archive: see tests/datasets/test_har_smartphone.py.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tenfold.datasets._archive import matches, opened, read_numbers
from tenfold.datasets._containers import TEST, TRAIN
from tenfold.datasets._recordings import Recordings
from tenfold.datasets.dataset import Dataset, RemoteFile
from tenfold.errors import DataError

__all__ = ["HAR_SMARTPHONE"]

_RATE_HZ = 50.0
_STEPS, _STRIDE = 128, 64
_CLASSES = ("walking", "walking upstairs", "walking downstairs", "sitting", "standing", "laying")
_CHANNELS = tuple(f"{kind}_{axis}" for kind in ("body_acc", "body_gyro", "total_acc") for axis in "xyz")
_EXPECTED = (7415, 2996)
_TEST_PEOPLE = (2, 4, 9, 10, 12, 13, 18, 20, 24)
# Values are rounded to these steps, in g and rad/s: finer than the noise of the sensors, exact in float32, and small
# differences between versions of a numerical library do not become other data.
_RESOLUTION = np.repeat([1 / 8192, 1 / 2048, 1 / 8192], 3)
_ARCHIVE = "smartphone+based+recognition+of+human+activities+and+postural+transitions.zip"
_SIGNAL = re.compile(r"(?:^|/)RawData/(acc|gyro)_exp([0-9]+)_user([0-9]+)\.txt$")
_LABELS = re.compile(r"(?:^|/)RawData/labels\.txt$")


def _build(files: Mapping[str, Path]) -> Recordings:
    """Windows by recording and time, each inside one labelled activity; the parts are whole people.

    Source: README.txt and features_info.txt of HAPT, which name the filters: a median filter, a Butterworth low-pass of
    order 3 at 20 Hz, and another at 0.3 Hz for gravity. They do not say in which direction these run; here they run
    forwards and backwards, without delay, so values differ a little from the window files of UCI HAR.
    """
    windows, labels, people = [], [], []
    with opened(files[_ARCHIVE], name="har-smartphone") as archive:
        inside = {
            (kind, int(recording), int(person)): found.string
            for found in matches(archive, _SIGNAL, name="har-smartphone")
            for kind, recording, person in [found.groups()]
        }
        where = matches(archive, _LABELS, name="har-smartphone")[0].string
        table = read_numbers(archive, where, 5, name="har-smartphone").astype(np.int64)
        filtered: dict[tuple[int, int], np.ndarray] = {}
        # A row of the table: recording, person, activity from 1, first and last sample from 1.
        for row, (recording, person, activity, first, last) in enumerate(table.tolist(), start=1):
            if activity > len(_CLASSES):  # a transition from one posture to another
                continue
            if (recording, person) not in filtered:
                filtered[recording, person] = _filtered(archive, inside, recording, person)
            signals = filtered[recording, person]
            if not (1 <= activity and 1 <= first <= last <= len(signals)):
                raise DataError(
                    f"har-smartphone: {where}: line {row}: activity {activity} from sample {first} to {last} of a "
                    f"recording of {len(signals)}"
                )
            for start in range(first - 1, last - _STEPS + 1, _STRIDE):
                windows.append(signals[start : start + _STEPS])
                labels.append(activity - 1)
                people.append(person)
    if not windows:
        raise DataError(f"har-smartphone: {where}: no activity lasts as long as a window of {_STEPS} samples")
    return windows_as_recordings(np.stack(windows), np.array(labels), np.array(people))


def windows_as_recordings(windows: np.ndarray, labels: np.ndarray, people: np.ndarray) -> Recordings:
    """The set from its windows, shape (n, 128, 9), in g and rad/s; labels from 0, people from 1.

    The people who train come first, whatever the order of the windows: as in the files of UCI HAR.
    """
    part = np.where(np.isin(people, _TEST_PEOPLE), TEST, TRAIN).astype(np.uint8)
    order = np.argsort(part, kind="stable")
    found, groups = np.unique(people[order], return_inverse=True)
    count = len(windows)
    trains = int((part == TRAIN).sum())
    # There is no fingerprint to check (see below), so a note goes into every report.
    other = (
        ()
        if (trains, count - trains) == _EXPECTED
        else (f"{trains} + {count - trains} windows to train and test on, not {_EXPECTED[0]} + {_EXPECTED[1]}",)
    )
    return Recordings(
        signals=windows[order].reshape(count * _STEPS, len(_CHANNELS)).astype(np.float32, copy=False),
        starts=np.arange(count, dtype=np.int64) * _STEPS,
        lengths=np.full(count, _STEPS, np.int64),
        labels=labels[order].astype(np.int64),
        part=part[order],
        class_names=_CLASSES,
        channels=_CHANNELS,
        groups=groups.astype(np.int64),
        group_names=tuple(f"person {person}" for person in found),
        rate_hz=_RATE_HZ,
        notes=other,
    )


def _filtered(
    archive: zipfile.ZipFile, inside: Mapping[tuple[str, int, int], str], recording: int, person: int
) -> np.ndarray:
    """The nine channels of a recording, shape (samples, 9), float32."""
    from scipy.signal import medfilt

    raw = {}
    for kind in ("acc", "gyro"):
        if (kind, recording, person) not in inside:
            raise DataError(f"har-smartphone: no {kind}_exp{recording:02d}_user{person:02d}.txt in the archive")
        raw[kind] = read_numbers(archive, inside[kind, recording, person], 3, name="har-smartphone")
    if len(raw["acc"]) != len(raw["gyro"]):
        raise DataError(
            f"har-smartphone: recording {recording}: {len(raw['acc'])} samples of acceleration, but "
            f"{len(raw['gyro'])} of the gyroscope"
        )
    if len(raw["acc"]) < _STEPS:
        raise DataError(f"har-smartphone: recording {recording} has {len(raw['acc'])} samples, fewer than a window")
    total, gyro = (_low_pass(medfilt(raw[kind], (3, 1)), 20.0) for kind in ("acc", "gyro"))
    body = total - _low_pass(total, 0.3)  # what changes slowly is gravity
    signals = np.concatenate([body, gyro, total], axis=1)
    return (np.rint(signals / _RESOLUTION) * _RESOLUTION + 0.0).astype(np.float32)  # without -0.0


def _low_pass(signals: np.ndarray, hertz: float) -> np.ndarray:
    """A Butterworth filter of order 3 along the time, forwards and backwards."""
    from scipy.signal import butter, sosfiltfilt

    return sosfiltfilt(butter(3, hertz, fs=_RATE_HZ, output="sos"), signals, axis=0)


HAR_SMARTPHONE = Dataset(
    name="har-smartphone",
    title="10411 windows of 2.56 s of 6 activities, 9 channels at 50 Hz, phone at the waist; 21 people train, 9 test",
    kind=Recordings,
    build=_build,
    licence="CC BY 4.0 on the page of the archive; its README: no commercial use",
    citation="J.-L. Reyes-Ortiz, L. Oneto, A. Sama, X. Parra, D. Anguita, Transition-Aware Human Activity Recognition "
    "Using Smartphones, Neurocomputing 171, 2016",
    source="https://archive.ics.uci.edu/dataset/341",
    mirrors=("https://archive.ics.uci.edu/static/public/341/",),
    # The checksum that two projects independently record of this archive. No fingerprint: the last digits of the
    # filters differ between machines, and one value in ten thousand is then rounded to the other side.
    files=(
        RemoteFile(
            name=_ARCHIVE,
            sha256="4ac4ae064227c07045a99551876b54d204837e995e298b6488559e209b3deb09",
            size_bytes=79_596_192,
        ),
    ),
)
