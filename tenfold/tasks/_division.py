"""What a division of windows into parts means for the scores: shared recordings and people, missing classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tenfold.errors import DataError
from tenfold.sampling import Part
from tenfold.wording import listed

__all__ = ["Windows", "remarks_on_division"]

_MOST_NAMED = 6


@dataclass(frozen=True, eq=False)
class Windows:
    """All windows of a data set.

    Args:
        name: of the data set.
        starts, lengths: in rows of the signals, shape (windows,).
        pieces: the recording that each is of, shape (windows,).
        labels: shape (windows,).
        groups: shape (windows,); None where none are given.
        class_names, group_names: names by number.
    """

    name: str
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
    said = [*([_random(windows, parts)] if by == "window" else []), *_missing_classes(windows, parts, by)]
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
    return _some([f"'{windows.group_names[group]}'" for group in groups])


def _random(windows: Windows, parts: Sequence[dict[Part, np.ndarray]]) -> str:
    """What test windows share with training windows, where they are divided at random."""
    shared = float(np.mean([_share_samples(windows, own["train"], own["test"]) for own in parts]))
    same = float(np.mean([np.isin(windows.pieces[own["test"]], windows.pieces[own["train"]]).mean() for own in parts]))
    people = "the same people are" if windows.groups is not None else "no group is given, so the same people may be"
    facts = []
    if shared:
        facts.append(f"{_percent(shared)} of the test windows share samples with training windows")
    elif same:
        facts.append(f"{_percent(same)} of the test windows are of recordings that are trained on too")
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


def _missing_classes(windows: Windows, parts: Sequence[dict[Part, np.ndarray]], by: str) -> Iterator[str]:
    """Classes that are tested and not trained on, or not tested."""
    alone: dict[str, list[str]] = {}
    untrained: dict[tuple[int, ...], list[str]] = {}
    untested: dict[tuple[int, ...], list[str]] = {}
    trains, tests = ([set(windows.labels[own[part]].tolist()) for own in parts] for part in ("train", "test"))
    for label in np.unique(windows.labels).tolist():
        name = f"'{windows.class_names[label]}'"
        both = [label in train and label in test for train, test in zip(trains, tests, strict=True)]
        if by == "group" and windows.groups is not None and not any(both):
            groups = np.unique(windows.groups[windows.labels == label])
            if len(groups) == 1:
                alone.setdefault(windows.group_names[int(groups[0])], []).append(name)
                continue
        not_tested = [repeat for repeat, test in enumerate(tests) if label not in test]
        not_trained = [
            repeat
            for repeat, (train, test) in enumerate(zip(trains, tests, strict=True))
            if label in test and label not in train
        ]
        if not_trained:
            untrained.setdefault(tuple(not_trained), []).append(name)
        if not_tested:
            untested.setdefault(tuple(not_tested), []).append(name)
    for group, names in alone.items():
        it = "it" if len(names) == 1 else "them"
        yield (
            f"no repeat can train on and test {_classes(names)}: only '{group}' has {it}; record {it} "
            f"from others, or leave {it} out"
        )
    for repeats, names in untrained.items():
        yield f"{_classes(names)} {_is(names)} tested but not trained on in {_repeats(repeats, len(parts))}"
    for repeats, names in untested.items():
        yield f"{_classes(names)} {_is(names)} not tested in {_repeats(repeats, len(parts))}"


def _classes(names: Sequence[str]) -> str:
    return f"class{'es' if len(names) > 1 else ''} {_some(names)}"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _repeats(repeats: Sequence[int], n_repeats: int) -> str:
    if len(repeats) == n_repeats:
        return "any repeat" if n_repeats > 1 else "the one repeat"
    if len(repeats) > _MOST_NAMED:
        return f"{len(repeats)} of {n_repeats} repeats"
    return f"repeat{'s' if len(repeats) > 1 else ''} {listed([str(repeat) for repeat in repeats])}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return listed([*names[:_MOST_NAMED], *([f"{more} more"] if more > 0 else [])])


def _percent(fraction: float) -> str:
    return "all" if fraction == 1 else f"{100 * fraction:.3g} %"
