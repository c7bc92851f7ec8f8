"""What a data set is once it is in memory: ``Images`` with one label each, or ready-made ``Pairs``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tenfold.datasets._channels import CHANNELS
from tenfold.errors import DataError

__all__ = ["TEST", "TRAIN", "UNASSIGNED", "Images", "Pairs"]

TRAIN, TEST, UNASSIGNED = 0, 1, 2
"""The three values of ``part``. A set without an official split is UNASSIGNED throughout; the task then splits it."""


# eq=False: comparing two arrays with == has no single answer; `fingerprint` is the way to compare.
@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Images, grey or in colour, with one label each.

    Args:
        images: shape (n, channels, height, width), uint8; 1 channel is grey, 3 are red, green and blue.
        labels: shape (n,), int64, from 0 to n_classes - 1.
        part: shape (n,), uint8: TRAIN, TEST or UNASSIGNED.
        class_names: one name per class; their order is the order of the labels.
        groups: the group of each class, such as the alphabet of a character: shape (n_classes,), int64, from 0 to
            len(group_names) - 1; None where classes have no groups.
        group_names: one name per group; empty where ``groups`` is None.
        episodes: published tests of recognition from one example per class, as rows of ``images``: shape (episodes, 2,
            ways), int64. [e, 0] are the examples, one of each of ``ways`` classes; [e, 1] the queries, each of one of
            these classes. None where there are none.
        name, source, licence, citation: where the data come from, as text.
        notes: what a reader of the results should know, such as files that were skipped.
        resized: True where the files differ in size and were cut about their middle and resized to that of ``images``.
        pixel_range: the value of a white pixel in the files, which is 255 here: new images are read in the same way.
        float_range: the same for numbers with a fraction.
    Raises:
        DataError: if shapes or types do not fit, a label, part, group or row is out of range, two examples of an
            episode have the same class, or a query has a class without example or is itself an example.
    """

    images: np.ndarray
    labels: np.ndarray
    part: np.ndarray
    class_names: tuple[str, ...]
    groups: np.ndarray | None = None
    group_names: tuple[str, ...] = ()
    episodes: np.ndarray | None = None
    name: str = ""
    source: str = ""
    licence: str = ""
    citation: str = ""
    notes: tuple[str, ...] = ()
    resized: bool = False
    pixel_range: float = 255
    float_range: float = 1

    def __post_init__(self) -> None:
        count = len(self.images)
        _expect_images(self.name, self.images)
        expect(self.name, "labels", self.labels, np.int64, (count,))
        expect(self.name, "part", self.part, np.uint8, (count,))
        expect_range(self.name, "labels", self.labels, self.n_classes)
        expect_range(self.name, "part", self.part, 3)
        expect_groups(self.name, self.groups, self.group_names, self.n_classes, "class")
        if self.episodes is not None:
            expect(self.name, "episodes", self.episodes, np.int64, (None, 2, None))
            _expect_episodes(self.name, self.episodes, self.labels)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @property
    def n_channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.images.shape[1]

    @property
    def fingerprint(self) -> str:
        """Sha256 of what is trained and tested on: images, labels, parts, classes, groups and episodes."""
        # Absent fields are not hashed.
        groups = marks_of_groups(self.groups, self.group_names)
        episodes = () if self.episodes is None else ("episodes", self.episodes)
        return fingerprint_of(self.images, self.labels, self.part, *self.class_names, *groups, *episodes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Ready-made pairs of images with one 0/1 target each.

    Args:
        pairs: shape (n, 2, height, width), float32, 0..1.
        targets: shape (n,), int64, 0 or 1.
        labels: class of each of the two images, shape (n, 2), int64; None where it is not known.
        part: shape (n,), uint8: TRAIN, TEST or UNASSIGNED.
        class_names: one name per class; empty where labels is None.
        name, source, licence, citation, notes, pixel_range, float_range: as in ``Images``; here white is 1.
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
    pixel_range: float = 255
    float_range: float = 1

    def __post_init__(self) -> None:
        count = len(self.pairs)
        expect(self.name, "pairs", self.pairs, np.float32, (None, 2, None, None))
        expect(self.name, "targets", self.targets, np.int64, (count,))
        expect(self.name, "part", self.part, np.uint8, (count,))
        expect_range(self.name, "targets", self.targets, 2)
        expect_range(self.name, "part", self.part, 3)
        if self.labels is not None:
            expect(self.name, "labels", self.labels, np.int64, (count, 2))
            expect_range(self.name, "labels", self.labels, len(self.class_names))

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def n_classes(self) -> int | None:
        return len(self.class_names) if self.labels is not None else None

    @property
    def fingerprint(self) -> str:
        """Sha256 of what is trained and tested on: pairs, targets, labels, parts and classes."""
        labels = () if self.labels is None else (self.labels,)
        return fingerprint_of(self.pairs, self.targets, self.part, *labels, *self.class_names)


def expect(name: str, field: str, array: np.ndarray, dtype: type, shape: tuple[int | None, ...]) -> None:
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


def expect_range(name: str, field: str, array: np.ndarray, end: int) -> None:
    """Refuse values outside 0 .. end - 1."""
    if array.min() < 0 or array.max() >= end:
        row = int(np.argwhere((array < 0) | (array >= end))[0][0])
        raise DataError(f"{name or 'data'}: '{field}' must be from 0 to {end - 1}; row {row} holds {array[row]}")


def expect_groups(name: str, groups: np.ndarray | None, names: tuple[str, ...], count: int, each: str) -> None:
    """Refuse groups of ``count`` classes or pieces (the word is ``each``) that do not fit their names."""
    if groups is not None:
        expect(name, "groups", groups, np.int64, (count,))
        expect_range(name, "groups", groups, len(names))
    elif names:
        raise DataError(f"{name or 'data'}: 'group_names' without 'groups', which says the group of each {each}")


def marks_of_groups(groups: np.ndarray | None, names: tuple[str, ...]) -> tuple[np.ndarray | str, ...]:
    """What a fingerprint has of groups; nothing where there are none."""
    return () if groups is None else ("groups", groups, *names)


def _expect_images(name: str, images: np.ndarray) -> None:
    """Refuse anything but uint8 images with an axis of 1 or 3 channels in second place."""
    if images.ndim == 4 and images.shape[1] not in CHANNELS:
        last = images.shape[-1] in CHANNELS
        raise DataError(
            f"{name or 'data'}: 'images' must have 1 channel (grey) or 3 (red, green, blue), shape (n, channels, "
            f"height, width); got shape {images.shape}{'; use images.transpose(0, 3, 1, 2)' if last else ''}"
        )
    if images.ndim == 3 and 0 not in images.shape:
        raise DataError(
            f"{name or 'data'}: 'images' must be uint8 of shape (n, channels, height, width); got {images.dtype} of "
            f"shape {images.shape}; grey images need images[:, None]"
        )
    expect(name, "images", images, np.uint8, (None, None, None, None))


def _expect_episodes(name: str, episodes: np.ndarray, labels: np.ndarray) -> None:
    """Refuse an episode whose queries cannot be answered from its examples, or without looking at the classes."""
    ways = episodes.shape[2]
    if ways < 2:
        raise DataError(
            f"{name or 'data'}: 'episodes' must have examples of at least two classes; got {episodes.shape}"
        )

    def refuse(bad: np.ndarray, rule: str) -> None:
        if bad.any():
            place = tuple(np.argwhere(bad)[0])
            raise DataError(f"{name or 'data'}: 'episodes': {rule}; episode {place[0]} has row {episodes[place]}")

    refuse((episodes < 0) | (episodes >= len(labels)), f"rows must be from 0 to {len(labels) - 1}")
    examples, queries = episodes[:, :1, :], episodes[:, 1:, :]
    alike = labels[examples] == labels[examples].transpose(0, 2, 1)  # (episodes, ways, ways)
    refuse((alike.sum(axis=2) > 1)[:, None], "examples must be of different classes")
    answers = labels[queries].transpose(0, 2, 1) == labels[examples]  # (episodes, queries, examples)
    without = np.stack([np.zeros((len(episodes), ways), bool), ~answers.any(axis=2)], axis=1)
    refuse(without, "every query must be of the class of an example")
    shown = (queries.transpose(0, 2, 1) == examples).any(axis=1)  # (episodes, examples)
    refuse(shown[:, None], "no image may be an example and a query")


def fingerprint_of(*parts: np.ndarray | str) -> str:
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
