"""The `.npz` files of tenfold: one format for a user's file and for a prepared set. Never read with pickle.

Either ``images`` and ``labels``, or ``pairs`` and ``targets``, or ``signals`` and ``labels``; the rest is optional. The
tables of all arrays are in docs/add-a-data-set.md.
"""

from __future__ import annotations

import os
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.datasets._containers import Images, Pairs
from tenfold.datasets._pixel_range import TINY
from tenfold.datasets._recordings import Recordings
from tenfold.datasets._values import (
    channels_first,
    channels_of,
    classes_of,
    groups_of,
    parts_of,
    pieces_of,
    pixels_uint8,
    pixels_unit,
    rate_of,
    rows_of,
    targets_of,
)
from tenfold.errors import DataError, nearest

__all__ = ["read_npz", "save", "write_npz"]

FORMAT = 2
"""Raised by one when an older tenfold could misread a newer file. A file without ``format`` is a user's own.

1: grey images, shape (n, height, width), which are still read. 2: images of shape (n, channels, height, width).
"""

_TEXTS = ("name", "source", "licence", "citation")
_OPTIONAL = ("part", "class_names", "notes", "format", *_TEXTS)
_GROUPS = ("groups", "group_names")
# Of the files that a saved set was made of: facts for reading new images, never of the arrays beside them.
_RANGES = ("pixel_range", "float_range")
_OF_RECORDINGS = ("starts", "lengths", "channels", "rate_hz")
# The first array of a kind identifies it; the first two are required.
_KEYS = {
    Images: ("images", "labels", *_OPTIONAL, *_GROUPS, "episodes", "resized", *_RANGES),
    Pairs: ("pairs", "targets", "labels", *_OPTIONAL, *_RANGES),
    Recordings: ("signals", "labels", *_OPTIONAL, *_GROUPS, *_OF_RECORDINGS),
}
_HOW = (
    "np.savez_compressed('my.npz', images=..., labels=...), np.savez_compressed('my.npz', pairs=..., targets=...) or "
    "np.savez_compressed('my.npz', signals=..., labels=...)"
)


def read_npz(path: Path, *, pixel_range: float | None = None) -> Images | Pairs | Recordings:
    """Read and check a user's or a prepared `.npz` file.

    Args:
        path: of the file.
        pixel_range: white, in the numbers of the file; None is 255 for integers and 1 for floats.
    Raises:
        DataError: if the file is not a whole `.npz`, holds pickled objects, lacks an array or has an unknown one, or if
            any value, shape or type is wrong. The message names the file, the array, the row and the value.
    """
    where = str(path)
    arrays = _arrays(path)
    kind = _kind(where, arrays)
    stored = arrays.get("format", np.array(FORMAT))
    if stored.shape != () or stored.dtype.kind not in "iu" or not 1 <= stored <= FORMAT:
        raise DataError(
            f"{where}: written by another version of tenfold (format {stored}); this one reads 1 to {FORMAT}"
        )
    if kind is Recordings:
        return _recordings(path, arrays)
    n_examples = _shared_length(where, arrays, ("images", "labels") if kind is Images else ("pairs", "targets"))
    class_names = _names(where, arrays, "class_names")
    part = parts_of(arrays.get("part"), n_examples, where=where)
    facts: dict[str, Any] = {**_texts(path, arrays), **_ranges(where, arrays, kind, pixel_range)}
    notes = _names(where, arrays, "notes") or ()
    dark = 1 if "format" in arrays else TINY  # what was saved is as it should be, but for black and white as 0 and 1
    if kind is Images:
        labels, names = classes_of(arrays["labels"], class_names, where=where, shape=(n_examples,))
        images = channels_first(arrays["images"], where=where, known_order="format" in arrays)
        images = pixels_uint8(images, where=where, white=pixel_range, dark=dark)
        groups, group_names = _groups(where, arrays, len(names), "class")
        episodes = rows_of(arrays["episodes"], where=where) if "episodes" in arrays else None
        try:
            return Images(
                images=images,
                labels=labels,
                part=part,
                class_names=names,
                groups=groups,
                group_names=group_names,
                episodes=episodes,
                notes=notes,
                resized=bool(arrays.get("resized", False)),
                **facts,
            )
        except DataError as problem:  # it knows the name of the set, not the file
            raise DataError(f"{where}: {problem}") from problem
    labels, names = None, ()
    if "labels" in arrays:
        labels, names = classes_of(arrays["labels"], class_names, where=where, shape=(n_examples, 2))
    pairs, targets = _pair_pixels(where, arrays["pairs"], pixel_range, dark), targets_of(arrays["targets"], where=where)
    return Pairs(pairs=pairs, targets=targets, labels=labels, part=part, class_names=names, notes=notes, **facts)


def save(data: Images | Pairs | Recordings, path: str | Path) -> Path:
    """Write a data set as one compressed `.npz` that ``load`` and ``TENFOLD_DATA`` understand.

    The file is written completely or not at all.

    Raises:
        DataError: if the folder cannot be written or the disk is full.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise DataError(f"{path}: a data set is saved as .npz; got the ending '{path.suffix}'")
    try:
        write_npz(data, path)
    except OSError as problem:
        raise DataError(f"{path}: cannot be written ({problem.strerror or problem})") from problem
    return path


def write_npz(data: Images | Pairs | Recordings, path: Path) -> None:
    """As ``save``, but an OSError is not converted: the caller knows what the user can do about it."""
    arrays: dict[str, np.ndarray] = {"format": np.array(FORMAT)}
    for field in fields(data):
        value = getattr(data, field.name)
        # What is empty, not known (a rate of 0) or as usual is left out.
        if isinstance(value, np.ndarray) or (value and value != field.default):
            arrays[field.name] = np.asarray(value)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files are readable by their owner only, and would stay so in a shared folder.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _recordings(path: Path, arrays: Mapping[str, np.ndarray]) -> Recordings:
    """The arrays as pieces; a user's own may be one array of pieces of one length, and leave out the rest."""
    where = str(path)
    signals, starts, lengths = pieces_of(
        arrays["signals"],
        arrays.get("starts"),
        arrays.get("lengths"),
        arrays["labels"].size,
        where=where,
    )
    labels, names = classes_of(arrays["labels"], _names(where, arrays, "class_names"), where=where, shape=starts.shape)
    groups, group_names = _groups(where, arrays, len(starts), "piece")
    part = parts_of(arrays.get("part"), len(starts), where=where)
    channels = channels_of(_names(where, arrays, "channels"), signals.shape[1], where=where)
    rate_hz = rate_of(arrays.get("rate_hz"), where=where)
    notes = _names(where, arrays, "notes") or ()
    try:
        return Recordings(
            signals=signals,
            starts=starts,
            lengths=lengths,
            labels=labels,
            part=part,
            class_names=names,
            channels=channels,
            groups=groups,
            group_names=group_names,
            rate_hz=rate_hz,
            notes=notes,
            **_texts(path, arrays),
        )
    except DataError as problem:  # it knows the name of the set, not the file
        raise DataError(f"{where}: {problem}") from problem


def _texts(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Where the data come from; the name is that of the file where nothing else is said."""
    return {"name": path.stem} | {key: str(arrays[key]) for key in _TEXTS if key in arrays}


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of the file, or a DataError that says what kind of file it is instead."""
    try:
        # Opened here, because np.load leaves a damaged file open when it opens one itself.
        with path.open("rb") as file:
            start = file.read(6)
            if not (start.startswith(b"PK") and zipfile.is_zipfile(file)):
                raise DataError(f"{path}: {_what_instead(start)}")
            file.seek(0)
            arrays = {}
            with np.load(file, allow_pickle=False) as archive:
                for key in archive.files:
                    arrays[key] = archive[key]
                    if not isinstance(arrays[key], np.ndarray):
                        raise DataError(f"{path}: '{key}' is not an array; expected {_HOW}")
            return arrays
    except DataError:
        raise
    except MemoryError as problem:
        raise DataError(f"{path}: its arrays do not fit in memory ({problem})") from problem
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror or problem})") from problem
    except Exception as problem:  # zip, zlib, lzma and the .npy header raise different errors for damage
        if isinstance(problem, ValueError) and "pickle" in str(problem):
            raise DataError(
                f"{path}: holds Python objects (pickle), which could run any code when read and are never loaded; "
                "save numbers and text instead, such as labels.astype(int) or labels.astype(str)"
            ) from problem
        raise DataError(f"{path}: damaged or cut off ({problem}); make or copy it again") from problem


def _what_instead(start: bytes) -> str:
    if not start:
        return "the file is empty"
    if start.startswith(b"PK"):
        return "cut off: it begins as an .npz file, but its end is missing; make or copy it again"
    if start.startswith(b"\x93NUMPY"):
        return f"a single array (.npy); expected two or more under their names: {_HOW}"
    if start.startswith(b"\x80"):
        return f"a pickle, which could run any code when read and is never loaded; expected {_HOW}"
    return f"not an .npz file; expected one written by {_HOW}"


def _kind(where: str, arrays: Mapping[str, np.ndarray]) -> type[Images] | type[Pairs] | type[Recordings]:
    """Images, Pairs or Recordings, by the names of the arrays alone."""
    present = ", ".join(sorted(arrays)) or "nothing"
    first = [keys[0] for keys in _KEYS.values() if keys[0] in arrays]
    if len(first) > 1:
        raise DataError(
            f"{where}: holds {'both ' if len(first) == 2 else ''}{' and '.join(map(repr, first))}; keep one of them "
            f"(it holds {present})"
        )
    kind = next((kind for kind, keys in _KEYS.items() if keys[0] in arrays), None)
    known = _KEYS[kind or Images]
    if kind is None:
        if "targets" in arrays:
            kind = Pairs
        else:
            kind = Recordings if any(key in arrays for key in _OF_RECORDINGS) else Images
        known = tuple(dict.fromkeys((*_KEYS[kind], *(key for keys in _KEYS.values() for key in keys))))
    unknown = [f"'{key}' ({nearest(key, known)})" for key in sorted(arrays) if key not in known]
    missing = [f"'{key}'" for key in known[:2] if key not in arrays]
    if missing:
        raise DataError(f"{where}: {' and '.join(missing)} missing; it holds {present}; expected {_HOW}")
    if unknown:
        raise DataError(f"{where}: unknown array {', '.join(unknown)}; leave out what is not used")
    return kind


def _shared_length(where: str, arrays: Mapping[str, np.ndarray], keys: tuple[str, str]) -> int:
    """The number of examples: the same in both arrays, and not 0."""
    first, second = (arrays[key] for key in keys)
    if first.ndim == 0 or second.ndim == 0 or len(first) != len(second) or len(first) == 0:
        raise DataError(
            f"{where}: '{keys[0]}' and '{keys[1]}' must have the same length, at least 1; "
            f"got shapes {first.shape} and {second.shape}"
        )
    return len(first)


def _names(where: str, arrays: Mapping[str, np.ndarray], key: str) -> tuple[str, ...] | None:
    """A row of text, or None where the file does not hold it."""
    if key not in arrays:
        return None
    names = arrays[key]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DataError(f"{where}: '{key}' must be one row of text; got {names.dtype} of shape {names.shape}")
    return tuple(str(name) for name in names)


def _groups(
    where: str, arrays: Mapping[str, np.ndarray], count: int, of: str
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The group of each class of images or piece of recordings, and the names of the groups, where there are any."""
    names = _names(where, arrays, "group_names")
    if "groups" in arrays:
        return groups_of(arrays["groups"], names, count, where=where)
    if names is not None:
        raise DataError(f"{where}: 'group_names' without 'groups', which says the group of each {of}")
    return None, ()


def _ranges(where: str, arrays: Mapping[str, np.ndarray], kind: type, given: float | None) -> dict[str, float]:
    """What white is in new images: as in these, or as in the files that a saved set was made of."""
    stored = {name: arrays[name] for name in _RANGES if name in arrays}
    if any(value.shape != () or value.dtype.kind not in "iuf" or not value > 0 for value in stored.values()):
        raise DataError(f"{where}: 'pixel_range' and 'float_range' must be one number above 0 each")
    if stored and "format" not in arrays:
        raise DataError(
            f"{where}: '{next(iter(stored))}' is not read from a file; give pixel_range in [task] or in load"
        )
    floats = arrays[_KEYS[kind][0]].dtype.kind == "f"
    if given is None or (given == 1 and floats):
        return {name: value.item() for name, value in stored.items()}
    if stored:
        raise DataError(f"{where}: its images were brought to 0..255 when they were saved; leave pixel_range out")
    return {"pixel_range": given} | ({"float_range": given} if floats else {})


def _pair_pixels(where: str, pairs: np.ndarray, white: float | None, dark: float) -> np.ndarray:
    if pairs.ndim != 4 or pairs.shape[1] != 2 or 0 in pairs.shape:
        raise DataError(f"{where}: 'pairs' must have the shape (n, 2, height, width); got {pairs.shape}")
    return pixels_unit(pairs, where=where, white=white, dark=dark)
