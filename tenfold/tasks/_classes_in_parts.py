"""What a division means for classes and for items that occur twice: sentences for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tenfold.wording import listed

__all__ = ["equal_items", "missing_classes", "percent", "repeated_items", "some"]

_MOST_NAMED = 6

Parts = Sequence[dict[str, np.ndarray]]
"""Rows of each part, one dict a repeat."""


def missing_classes(
    labels: np.ndarray, parts: Parts, class_names: Sequence[str], alone: Callable[[int], str | None]
) -> Iterator[str]:
    """Classes that are tested and not trained on, or not tested.

    Args:
        labels: of each row: shape (rows,), or (rows, items).
        parts: "train" and "test" of each repeat.
        class_names: by number.
        alone: of a class that no repeat can train on and test, why; "{it}" stands for the class. None for no reason.
    """
    lonely: dict[str, list[str]] = {}
    untrained: dict[tuple[int, ...], list[str]] = {}
    untested: dict[tuple[int, ...], list[str]] = {}
    trains, tests = ([set(labels[own[part]].ravel().tolist()) for own in parts] for part in ("train", "test"))
    for label in np.unique(labels).tolist():
        name = f"'{class_names[label]}'"
        both = [label in train and label in test for train, test in zip(trains, tests, strict=True)]
        if not any(both) and (why := alone(label)) is not None:
            lonely.setdefault(why, []).append(name)
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
    for why, names in lonely.items():
        reason = why.replace("{it}", "it" if len(names) == 1 else "them")
        yield f"no repeat can train on and test {_classes(names)}: {reason}"
    for repeats, names in untrained.items():
        yield f"{_classes(names)} {_is(names)} tested but not trained on in {_repeats(repeats, len(parts))}"
    for repeats, names in untested.items():
        yield f"{_classes(names)} {_is(names)} not tested in {_repeats(repeats, len(parts))}"


def equal_items(items: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """A number for each item, the same for items of which every value is the same: shape (items,).

    Example:
        >>> equal_items(np.array([[1, 2], [3, 4], [1, 2]])).tolist()
        [0, 1, 0]
    """
    known: dict[int, int] = {}
    # A hash of 64 bits in place of the bytes: all items of a large set would be in memory twice.
    return np.array([known.setdefault(hash(item.tobytes()), len(known)) for item in items], dtype=np.int64)


def repeated_items(items: np.ndarray, parts: Parts, word: str) -> list[str]:
    """A sentence if items that are tested are, value by value, also trained on.

    Args:
        items: numbers as ``equal_items`` gives them: shape (rows,), or (rows, items of a row).
        parts: "train" and "test" of each repeat.
        word: for items, in the plural.
    """
    shares = [np.isin(items[own["test"]].ravel(), items[own["train"]]).mean() for own in parts if len(own["test"])]
    share = float(np.mean(shares)) if shares else 0.0
    if not share:
        return []
    return [
        f"{percent(share)} of the {word} that are tested are, value by value, also trained on: scores are higher than "
        f"for new {word}; leave repeated {word} out"
    ]


def some(names: Sequence[str]) -> str:
    """The first few of many names."""
    more = len(names) - _MOST_NAMED
    return listed([*names[:_MOST_NAMED], *([f"{more} more"] if more > 0 else [])])


def percent(fraction: float) -> str:
    """A fraction for a sentence.

    Example:
        >>> percent(1.0), percent(0.123456)
        ('all', '12.3 %')
    """
    return "all" if fraction == 1 else f"{100 * fraction:.3g} %"


def _classes(names: Sequence[str]) -> str:
    return f"class{'es' if len(names) > 1 else ''} {some(names)}"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _repeats(repeats: Sequence[int], n_repeats: int) -> str:
    if len(repeats) == n_repeats:
        return "any repeat" if n_repeats > 1 else "the one repeat"
    if len(repeats) > _MOST_NAMED:
        return f"{len(repeats)} of {n_repeats} repeats"
    return f"repeat{'s' if len(repeats) > 1 else ''} {listed([str(repeat) for repeat in repeats])}"
