"""What a division of windows into parts means for the scores: shared recordings and people, missing classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tenfold.errors import DataError
from tenfold.sampling import Part
from tenfold.tasks._classes_in_parts import equal_items, missing_classes, percent, repeated_items, some

__all__ = ["Windows", "remarks_on_division"]

_MOST_NAMED = 6


@dataclass(frozen=True, eq=False)
class Windows:
    """All windows of a data set.

    Args:
        name: of the data set.
        signals: shape (rows, channels).
        starts, lengths: in rows of the signals, shape (windows,).
        pieces: the recording that each is of, shape (windows,).
        labels: shape (windows,).
        groups: shape (windows,); None where none are given.
        class_names, group_names: names by number.
    """

    name: str
    signals: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    pieces: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None
    class_names: tuple[str, ...]
    group_names: tuple[str, ...]


def remarks_on_division(
    windows: Windows, rows: Sequence[dict[Part, Tensor]], *, by: str, of_several: bool
) -> list[str]:
    """Sentences on a division, for people.

    Args:
        rows: windows of each part, one dict a repeat.
        by: "group" or "window".
        of_several: whether the study also has other divisions, so that this one is to be named.
    Raises:
        DataError: if a repeat trains on one class only.
    """
    parts = [{part: its.numpy() for part, its in own.items()} for own in rows]
    _expect_two_classes(windows, parts, by)
    where = f"split '{by}': " if of_several else ""
    said = [
        *([_random(windows, parts)] if by == "window" else []),
        *missing_classes(windows.labels, parts, windows.class_names, _why_alone(windows, by)),
        *repeated_items(_equal_windows(windows), parts, "windows"),
    ]
    return [f"{where}{text}" for text in said]


def _expect_two_classes(windows: Windows, parts: Sequence[dict[Part, np.ndarray]], by: str) -> None:
    for repeat, own in enumerate(parts):
        classes = np.unique(windows.labels[own["train"]])
        if len(classes) > 1:
            continue
        only = windows.class_names[int(classes[0])]
        lost = [label for label in np.unique(windows.labels) if label not in classes]
        who = [f"class '{windows.class_names[label]}' is in {_holders(windows, label)} only" for label in lost]
        groups = f" ({'; '.join(who[:_MOST_NAMED])})" if by == "group" and windows.groups is not None else ""
        raise DataError(
            f"{windows.name}: repeat {repeat} would train on one class only, '{only}'{groups}: a class must be in "
            "several groups to be trained on and tested. Record more people, leave the class out, use fewer groups for "
            "testing (folds, test_share), or set split = 'window' in [train], which says nothing about other people"
        )


def _holders(windows: Windows, label: int) -> str:
    """The groups that have a class."""
    assert windows.groups is not None
    groups = np.unique(windows.groups[windows.labels == label])
    return some([f"'{windows.group_names[group]}'" for group in groups])


def _random(windows: Windows, parts: Sequence[dict[Part, np.ndarray]]) -> str:
    """What test windows share with training windows, where they are divided at random."""
    shared = float(np.mean([_share_samples(windows, own["train"], own["test"]) for own in parts]))
    same = float(np.mean([np.isin(windows.pieces[own["test"]], windows.pieces[own["train"]]).mean() for own in parts]))
    people = "the same people are" if windows.groups is not None else "no group is given, so the same people may be"
    facts = []
    if shared:
        facts.append(f"{percent(shared)} of the test windows share samples with training windows")
    elif same:
        facts.append(f"{percent(same)} of the test windows are of recordings that are trained on too")
    facts.append(f"{people} in both parts")
    return (
        f"windows are divided at random: {' and '.join(facts)}, so scores are for more windows of these recordings, "
        "not for new recordings or people, and usually higher"
    )


def _share_samples(windows: Windows, train: np.ndarray, test: np.ndarray) -> float:
    """The fraction of test windows with a sample that is in a training window too."""
    order = train[np.argsort(windows.starts[train], kind="stable")]
    starts = windows.starts[order]
    # Ends so far, since windows may differ in length: a window overlaps where an earlier start has a later end.
    ends = np.maximum.accumulate(starts + windows.lengths[order])
    before = np.searchsorted(starts, windows.starts[test] + windows.lengths[test], side="left") - 1
    return float(((before >= 0) & (ends[np.maximum(before, 0)] > windows.starts[test])).mean())


def _equal_windows(windows: Windows) -> np.ndarray:
    """A number for each window, the same for windows that are equal value by value: shape (windows,)."""
    signals, starts, lengths = windows.signals, windows.starts, windows.lengths
    ends = np.concatenate([signals[starts], signals[starts + lengths - 1], lengths[:, None]], axis=1)
    found = equal_items(ends)
    # Windows whose first and last rows are equal are few: only these are looked at as a whole.
    maybe = np.flatnonzero(np.bincount(found)[found] > 1)
    found[maybe] = len(found) + equal_items([signals[starts[at] : starts[at] + lengths[at]] for at in maybe])
    return found


def _why_alone(windows: Windows, by: str) -> Callable[[int], str | None]:
    """Why no repeat can train on and test a class, where one group has it."""

    def why(label: int) -> str | None:
        if by != "group" or windows.groups is None:
            return None
        groups = np.unique(windows.groups[windows.labels == label])
        if len(groups) > 1:
            return None
        who = windows.group_names[int(groups[0])]
        return f"only '{who}' has {{it}}; record {{it}} from others, or leave {{it}} out"

    return why
