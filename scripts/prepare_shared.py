"""Turn development copies of data sets into the prepared form that tenfold reads.

    python scripts/prepare_shared.py SRC DIR

SRC holds the copies, one or more ``.npz`` files a set, whose arrays RECIPES names; DIR gets the prepared files. Then
``TENFOLD_DATA=DIR`` makes tenfold work without a network. To add a set: one function, and one entry in RECIPES.
"""

from __future__ import annotations

import argparse
import hashlib
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.datasets import DATASETS, TEST, TRAIN, Images, Recordings, save
from tenfold.datasets.har_smartphone import windows_as_recordings
from tenfold.datasets.motionsense import recordings_of
from tenfold.errors import DataError, TenfoldError

# md5 sums of the unpacked original files: the copies hold the same numbers, so written back as IDX they must agree.
MNIST_IDX_MD5 = {
    "x_train": "6bbc9ace898e44ae57da46a324031adb",
    "y_train": "a25bea736e30d166cdddb491f175f624",
    "x_test": "2646ac647ad5339dbf082846283269ea",
    "y_test": "27ae3e4e09519cfbb04c329615203637",
}
# The known set has no fingerprint of its own: see tenfold/datasets/har_smartphone.py. The copy is always the same.
HAR_FINGERPRINT = "3c6e2333dda7e10dc65fe2168c130d62652b770bf556eeda6bf16031efb96f36"


def idx_md5(array: np.ndarray) -> str:
    """The md5 sum of a uint8 array written as an unpacked IDX file."""
    head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return hashlib.md5(head + np.ascontiguousarray(array).tobytes(), usedforsecurity=False).hexdigest()


def prepare_mnist(arrays: Mapping[str, np.ndarray]) -> Images:
    for key, expected in MNIST_IDX_MD5.items():
        if (found := idx_md5(arrays[key])) != expected:
            raise DataError(f"'{key}' is not the original MNIST: expected md5 {expected} as an IDX file, got {found}")
    labels = np.concatenate([arrays["y_train"], arrays["y_test"]]).astype(np.int64)
    return Images(
        images=np.concatenate([arrays["x_train"], arrays["x_test"]])[:, None],
        labels=labels,
        part=np.repeat(np.array([TRAIN, TEST], np.uint8), [len(arrays["y_train"]), len(arrays["y_test"])]),
        class_names=tuple("0123456789"),
    )


def prepare_omniglot(arrays: Mapping[str, np.ndarray]) -> Images:
    ink = np.unpackbits(arrays["images"], axis=1, count=105 * 105).reshape(-1, 1, 105, 105)
    alphabets = tuple(map(str, arrays["alphabet_names"]))
    groups = arrays["char_alphabet"].astype(np.int64)
    numbers = zip(groups, arrays["char_number"], strict=True)
    return Images(
        images=ink * np.uint8(255),
        labels=arrays["char"].astype(np.int64),
        part=np.where(arrays["split"] == 0, TRAIN, TEST).astype(np.uint8),
        class_names=tuple(f"{alphabets[group]}/character{number:02d}" for group, number in numbers),
        groups=groups,
        group_names=alphabets,
        episodes=np.stack([arrays["train_index"], arrays["test_index"]], axis=1).astype(np.int64),
    )


def prepare_har(arrays: Mapping[str, np.ndarray]) -> Recordings:
    both = {key: np.concatenate([arrays[f"{key}_train"], arrays[f"{key}_test"]]) for key in ("X", "y", "subject")}
    data = windows_as_recordings(both["X"] * arrays["scale"], both["y"], both["subject"])
    if data.fingerprint != HAR_FINGERPRINT:
        raise DataError(f"not the windows that are known: expected {HAR_FINGERPRINT}, got {data.fingerprint}")
    return data


def prepare_motionsense(arrays: Mapping[str, np.ndarray]) -> Recordings:
    return recordings_of(
        arrays["signals"].T * arrays["scale"],
        lengths=arrays["rec_length"],
        labels=arrays["rec_activity"],
        people=arrays["rec_subject"],
    )


@dataclass(frozen=True)
class Recipe:
    """How one or more copies become one prepared set: file name -> the arrays that are needed of it."""

    files: Mapping[str, tuple[str, ...]]
    prepare: Callable[[Mapping[str, np.ndarray]], Images | Recordings]


RECIPES = {
    "mnist": Recipe({"mnist.npz": tuple(MNIST_IDX_MD5)}, prepare_mnist),
    "omniglot": Recipe(
        {
            "omniglot.npz": ("images", "char", "split", "char_alphabet", "char_number", "alphabet_names"),
            "omniglot_oneshot_runs.npz": ("train_index", "test_index"),
        },
        prepare_omniglot,
    ),
    "har-smartphone": Recipe(
        {"har_smartphone.npz": ("X_train", "X_test", "y_train", "y_test", "subject_train", "subject_test", "scale")},
        prepare_har,
    ),
    "motionsense": Recipe(
        {"motionsense.npz": ("signals", "scale", "rec_length", "rec_activity", "rec_subject")}, prepare_motionsense
    ),
}


def prepare(name: str, source: Path, target: Path) -> Path:
    """Prepare one set and return the file written."""
    recipe = RECIPES[name]
    arrays = {}
    for file_name, keys in recipe.files.items():
        with np.load(source / file_name, allow_pickle=False) as file:
            if missing := [key for key in keys if key not in file.files]:
                raise DataError(f"{file_name}: {', '.join(missing)} missing; it holds {', '.join(file.files)}")
            arrays |= {key: file[key] for key in keys}
    known = next(dataset for dataset in DATASETS if dataset.name == name)
    return save(known.complete(recipe.prepare(arrays)), target / f"{name}.npz")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Turn development copies of data sets into tenfold's prepared form.")
    parser.add_argument("source", metavar="SRC", type=Path, help="folder of the copies")
    parser.add_argument("target", metavar="DIR", type=Path, help="folder for the prepared files")
    options = parser.parse_args(arguments)
    if not options.source.is_dir():
        parser.error(f"SRC: no folder '{options.source}'")
    if options.source.resolve() == options.target.resolve():
        parser.error("DIR must be another folder than SRC: the prepared files have the same names as the copies")
    failed = False
    for name, recipe in RECIPES.items():
        if missing := [file for file in recipe.files if not (options.source / file).is_file()]:
            print(f"{name}: no {' and no '.join(missing)} in {options.source}, left out", file=sys.stderr)
            continue
        try:
            print(f"{name}: prepared in {prepare(name, options.source, options.target)}")
        except (TenfoldError, OSError, ValueError) as problem:
            print(f"{name}: {problem}", file=sys.stderr)
            failed = True
    known = {file for recipe in RECIPES.values() for file in recipe.files}
    others = sorted(file.name for file in options.source.glob("*.*") if file.suffix in (".npz", ".txt"))
    if unknown := [file for file in others if file not in known]:
        print(f"not known yet, left as they are: {', '.join(unknown)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
