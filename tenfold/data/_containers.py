"""What a data set is once it is in memory: ``Images`` with one label each, or ready-made ``Pairs``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tenfold.errors import DataError

__all__ = ["TEST", "TRAIN", "UNASSIGNED", "Images", "Pairs"]

TRAIN, TEST, UNASSIGNED = 0, 1, 2
"""The three values of ``part``. A set without an official split is UNASSIGNED throughout; the task then splits it."""


# eq=False: comparing two arrays with == has no single answer; `fingerprint` is the way to compare.
@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Grey images with one label each.

    Args:
        images: shape (n, height, width), uint8.
        labels: shape (n,), int64, from 0 to n_classes - 1.
        part: shape (n,), uint8: TRAIN, TEST or UNASSIGNED.
        class_names: one name a class; their order is the order of the labels.
        name, source, licence, citation: where the data come from, as text.
        notes: what a reader of the results should know, such as files that were skipped.
    Raises:
        DataError: if shapes or types do not fit, or a label or part is out of range.
    """

    images: np.ndarray
    labels: np.ndarray
    part: np.ndarray
    class_names: tuple[str, ...]
    name: str = ""
    source: str = ""
    licence: str = ""
    citation: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.images)
        _expect(self.name, "images", self.images, np.uint8, (None, None, None))
        _expect(self.name, "labels", self.labels, np.int64, (count,))
        _expect(self.name, "part", self.part, np.uint8, (count,))
        _expect_range(self.name, "labels", self.labels, self.n_classes)
        _expect_range(self.name, "part", self.part, 3)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @property
    def fingerprint(self) -> str:
        """Sha256 of what is trained on: equal for two sets with the same images, labels, parts and classes."""
        return _fingerprint(self.images, self.labels, self.part, *self.class_names)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Ready-made pairs of images with one 0/1 target each.

    Args:
        pairs: shape (n, 2, height, width), float32, 0..1.
        targets: shape (n,), int64, 0 or 1.
        labels: class of each of the two images, shape (n, 2), int64; None where it is not known.
        part: shape (n,), uint8: TRAIN, TEST or UNASSIGNED.
        class_names: one name a class; empty where labels is None.
        name, source, licence, citation, notes: as in ``Images``.
    Raises:
        DataError: if shapes or types do not fit, or a target, label or part is out of range.
    """

    pairs: np.ndarray
    targets: np.ndarray
    part: np.ndarray
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    name: str = ""
    source: str = ""
    licence: str = ""
    citation: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.pairs)
        _expect(self.name, "pairs", self.pairs, np.float32, (None, 2, None, None))
        _expect(self.name, "targets", self.targets, np.int64, (count,))
        _expect(self.name, "part", self.part, np.uint8, (count,))
        _expect_range(self.name, "targets", self.targets, 2)
        _expect_range(self.name, "part", self.part, 3)
        if self.labels is not None:
            _expect(self.name, "labels", self.labels, np.int64, (count, 2))
            _expect_range(self.name, "labels", self.labels, len(self.class_names))

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def n_classes(self) -> int | None:
        return len(self.class_names) if self.labels is not None else None

    @property
    def fingerprint(self) -> str:
        """Sha256 of what is trained on: equal for two sets with the same pairs, targets, labels, parts and classes."""
        labels = () if self.labels is None else (self.labels,)
        return _fingerprint(self.pairs, self.targets, self.part, *labels, *self.class_names)


def _expect(name: str, field: str, array: np.ndarray, dtype: type, shape: tuple[int | None, ...]) -> None:
    """Refuse an array of another type or shape; None in ``shape`` stands for any length above 0."""
    fits = array.ndim == len(shape) and all(
        length > 0 if wanted is None else length == wanted for length, wanted in zip(array.shape, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise DataError(
            f"{name or 'data'}: '{field}' must be {np.dtype(dtype)} of shape ({wanted}), none of them 0; "
            f"got {array.dtype} of shape {array.shape}"
        )


def _expect_range(name: str, field: str, array: np.ndarray, end: int) -> None:
    """Refuse values outside 0 .. end - 1."""
    if array.min() < 0 or array.max() >= end:
        row = int(np.argwhere((array < 0) | (array >= end))[0][0])
        raise DataError(f"{name or 'data'}: '{field}' must be from 0 to {end - 1}; row {row} holds {array[row]}")


def _fingerprint(*parts: np.ndarray | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        head = part if isinstance(part, str) else f"{part.dtype} {part.shape}"
        digest.update(head.encode() + b"\0")
        if not isinstance(part, str):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def first_names(names: Iterable[str], *, most: int = 5) -> str:
    """The first few of many names, for a message.

    Example:
        >>> first_names(["a", "b", "c"], most=2)
        "'a', 'b' and 1 more"
    """
    names = list(names)
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
