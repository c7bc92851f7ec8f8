"""motionsense: six activities of 24 people with a phone in the front pocket, 360 recordings, 9 channels, 50 Hz."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tenfold.datasets._archive import matches, opened, read_numbers
from tenfold.datasets._containers import UNASSIGNED
from tenfold.datasets._recordings import Recordings
from tenfold.datasets.dataset import Dataset, RemoteFile
from tenfold.errors import DataError

__all__ = ["MOTIONSENSE"]

_RATE_HZ = 50.0
_CLASSES = {
    "dws": "downstairs",
    "ups": "upstairs",
    "wlk": "walking",
    "jog": "jogging",
    "sit": "sitting",
    "std": "standing",
}
_CHANNELS = tuple(f"{kind}_{axis}" for kind in ("user_acc", "gyro", "gravity") for axis in "xyz")
_COLUMNS = tuple(f"{kind}.{axis}" for kind in ("userAcceleration", "rotationRate", "gravity") for axis in "xyz")
# In g, rad/s and g. The files have six digits, far below the noise of the sensors; this is exact in float32.
_RESOLUTION = np.repeat([1 / 1024, 1 / 512, 1 / 2048], 3)
_ARCHIVE = "A_DeviceMotion_data.zip"
# Folders may be in front. What macOS adds to archives begins with "._", which is not "sub_".
_RECORDING = re.compile(rf"(?:^|/)({'|'.join(_CLASSES)})_([0-9]+)/sub_([0-9]+)\.csv$")


def _build(files: Mapping[str, Path]) -> Recordings:
    """Whole recordings by trial and person; there is no official split."""
    places = list(_CLASSES)
    with opened(files[_ARCHIVE], name="motionsense") as archive:
        found = sorted(  # (trial, person, activity, name in the archive)
            (int(trial), int(person), places.index(activity), match.string)
            for match in matches(archive, _RECORDING, name="motionsense")
            for activity, trial, person in [match.groups()]
        )
        pieces = [_signals(archive, inside) for *_, inside in found]
    return recordings_of(
        np.concatenate(pieces),
        lengths=np.array([len(piece) for piece in pieces]),
        labels=np.array([activity for _, _, activity, _ in found]),
        people=np.array([person for _, person, *_ in found]),
    )


def recordings_of(signals: np.ndarray, *, lengths: np.ndarray, labels: np.ndarray, people: np.ndarray) -> Recordings:
    """The set from the signals of all recordings, shape (samples, 9); labels from 0, people from 1."""
    lengths = lengths.astype(np.int64)
    found, groups = np.unique(people, return_inverse=True)
    return Recordings(
        signals=signals,
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
        labels=labels.astype(np.int64),
        part=np.full(len(lengths), UNASSIGNED, np.uint8),
        class_names=tuple(_CLASSES.values()),
        channels=_CHANNELS,
        groups=groups.astype(np.int64),
        group_names=tuple(f"person {person}" for person in found),
        rate_hz=_RATE_HZ,
    )


def _signals(archive: zipfile.ZipFile, inside: str) -> np.ndarray:
    """The nine channels of a file, shape (samples, 9), float32; attitude and the number of the row are left out."""
    with archive.open(inside) as file:
        header = [name.strip().strip('"') for name in file.readline().decode("ascii", "replace").split(",")]
    if missing := [column for column in _COLUMNS if column not in header]:
        raise DataError(f"motionsense: {inside}: no column {', '.join(missing)}; its header is '{','.join(header)}'")
    table = read_numbers(archive, inside, len(header), name="motionsense", header=True, delimiter=",")
    chosen = table[:, [header.index(column) for column in _COLUMNS]]
    return (np.rint(chosen / _RESOLUTION) * _RESOLUTION + 0.0).astype(np.float32)  # without -0.0


MOTIONSENSE = Dataset(
    name="motionsense",
    title="360 recordings of 6 activities of 24 people, 9 channels at 50 Hz, phone in the front pocket; no split",
    kind=Recordings,
    build=_build,
    licence="MIT",
    citation="M. Malekzadeh, R. G. Clegg, A. Cavallaro, H. Haddadi, Mobile Sensor Data Anonymization, IoTDI 2019",
    source="https://github.com/mmalekzadeh/motion-sense",
    mirrors=(
        "https://raw.githubusercontent.com/mmalekzadeh/motion-sense/master/data/",
        "https://github.com/mmalekzadeh/motion-sense/raw/master/data/",
    ),
    # Neither checksum nor size of the archive is published: the fingerprint below covers its content.
    files=(RemoteFile(name=_ARCHIVE, sha256="", size_bytes=65_000_000),),  # about
    fingerprint="569cae31cb727d184dc1cc3185121c85a37d577e449a3afa8025304e9029e73a",
)
