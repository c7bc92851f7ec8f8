"""omniglot: 1623 characters of 50 alphabets, 20 drawings of each, 105 x 105, and Lake's 20 runs of recognition."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tenfold.datasets._archive import matches, opened
from tenfold.datasets._containers import TEST, TRAIN, Images
from tenfold.datasets.dataset import Dataset, RemoteFile
from tenfold.errors import DataError

__all__ = ["OMNIGLOT"]

_SIDE = 105
_PARTS = {"images_background.zip": TRAIN, "images_evaluation.zip": TEST}
_RUNS = "one-shot-classification/all_runs.zip"
# More folders may be in front. A name that begins with a dot is what macOS adds to archives, not an image.
_DRAWING = re.compile(r"([^/]+)/(character[0-9]+)/[0-9]+_([0-9]+)\.png$")
_OF_A_RUN = re.compile(r"(run[0-9]+)/(training|test)/([^/.]+)\.png$")


def _build(files: Mapping[str, Path]) -> Images:
    """Classes by part, alphabet and character, the drawings of each in the order of its 20 drawers."""
    drawings = [  # (part, alphabet, character, drawer, name in the archive), in the order of the rows
        (part, *found.groups(), found.string)
        for name, part in _PARTS.items()
        for found in sorted(_found(files[name], _DRAWING), key=lambda found: found.groups())
    ]
    classes = list(dict.fromkeys((alphabet, character) for _, alphabet, character, _, _ in drawings))
    alphabets = list(dict.fromkeys(alphabet for alphabet, _ in classes))
    label_of = {each: label for label, each in enumerate(classes)}
    images = np.empty(
        (len(drawings), 1, _SIDE, _SIDE), np.uint8
    )  # filled in place: a second copy would take another 358 MB
    for name, part in _PARTS.items():
        with opened(files[name], name="omniglot") as archive:
            for row, (part_of_row, *_, inside) in enumerate(drawings):
                if part_of_row == part:
                    images[row, 0] = _ink(archive, inside)
    part = np.array([part for part, *_ in drawings], np.uint8)
    return Images(
        images=images,
        labels=np.array([label_of[alphabet, character] for _, alphabet, character, _, _ in drawings], np.int64),
        part=part,
        class_names=tuple("/".join(each) for each in classes),
        groups=np.array([alphabets.index(alphabet) for alphabet, _ in classes], np.int64),
        group_names=tuple(alphabets),
        episodes=_episodes(files[_RUNS], {_bits(images[row]): int(row) for row in np.flatnonzero(part == TEST)}),
    )


def _episodes(path: Path, row_of: Mapping[bytes, int]) -> np.ndarray:
    """The runs as rows, shape (runs, 2, ways); the archive holds copies of the drawings under other names."""
    runs: dict[str, dict[str, list[int]]] = {}
    with opened(path, name="omniglot") as archive:
        # In the order of the file names, as in Lake's own program.
        for found in sorted(_found(path, _OF_A_RUN), key=lambda found: found.groups()):
            row = row_of.get(_bits(_ink(archive, found.string)))
            if row is None:
                raise DataError(f"omniglot: {found.string} of {path.name} is not among the evaluation drawings")
            runs.setdefault(found[1], {"training": [], "test": []})[found[2]].append(row)
    if len({len(half) for halves in runs.values() for half in halves.values()}) > 1:
        raise DataError(f"omniglot: {path.name}: the runs differ in their numbers of images")
    return np.array([[halves["training"], halves["test"]] for halves in runs.values()], np.int64)


def _bits(image: np.ndarray) -> bytes:
    """An image as a key for its content, an eighth of its size."""
    return np.packbits(image > 0).tobytes()


def _found(path: Path, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    with opened(path, name="omniglot") as archive:
        return matches(archive, pattern, name="omniglot")


def _ink(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """A drawing as uint8, shape (105, 105): 255 is ink, which the files have black on white."""
    from PIL import Image

    with Image.open(io.BytesIO(archive.read(name))) as image:
        if image.size != (_SIDE, _SIDE):
            raise DataError(f"omniglot: {name} is {image.height} x {image.width} pixels, not {_SIDE} x {_SIDE}")
        return np.where(np.asarray(image.convert("L")) < 128, np.uint8(255), np.uint8(0))


OMNIGLOT = Dataset(
    name="omniglot",
    title="32460 drawings of 1623 characters of 50 alphabets, 105 x 105, and 20 runs of one-shot recognition",
    build=_build,
    licence="MIT",
    citation="B. M. Lake, R. Salakhutdinov, J. B. Tenenbaum, Human-level concept learning through probabilistic "
    "program induction, Science 350(6266), 2015",
    source="https://github.com/brendenlake/omniglot",
    mirrors=(
        "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",
        "https://github.com/brendenlake/omniglot/raw/master/python/",
    ),
    # Sizes and checksums as in TensorFlow Datasets. The runs have no published one: the fingerprint covers them.
    files=(
        RemoteFile(
            name="images_background.zip",
            sha256="ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
            size_bytes=9_464_212,
        ),
        RemoteFile(
            name="images_evaluation.zip",
            sha256="1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
            size_bytes=6_462_886,
        ),
        RemoteFile(name=_RUNS, sha256="", size_bytes=400_000),  # about
    ),
    fingerprint="c61a782434133d1898b442d7052607bbd70d91952f1152c8108875a0333e1692",
)
