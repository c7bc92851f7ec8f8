"""Predictions of a record by variant, as figures need them; which kinds of task a figure is for is checked here alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import numpy as np

from tenfold.record import Reader, Variant
from tenfold.report.figures._canvas import places

__all__ = [
    "MATCH",
    "PAIRS",
    "SEQUENCES",
    "concerns",
    "in_order",
    "kind_of",
    "names_of",
    "readable",
    "sound_runs",
]

PAIRS, MATCH, SEQUENCES = "compare-pairs", "match", "classify-sequences"


def concerns(results: Reader, *kinds: str) -> bool:
    """Whether a figure of these kinds of task may find something to draw.

    It has nothing to look for in records of the other kinds above, damaged or not. A task of another name, somebody's
    own, has those figures whose arrays it saves.
    """
    kind = kind_of(results)
    return kind in kinds or kind not in (PAIRS, MATCH, SEQUENCES)


def kind_of(results: Reader) -> str | None:
    """The study's kind of task, None where the record does not say."""
    return (results.study.get("task") or {}).get("kind")


def readable(
    results: Reader, read: Callable[[], dict[str, np.ndarray] | None], *kinds: str
) -> dict[str, np.ndarray] | None:
    """Arrays of a file of the record; None where there are none, or the figure is not for this kind of task.

    Raises:
        RecordError: if the file is damaged.
    """
    return read() if concerns(results, *kinds) else None


def sound_runs(results: Reader, kinds: str | tuple[str, ...], *names: str) -> Iterator[tuple[Variant, dict]]:
    """Arms, best first, each with the arrays of these names and "repeat", the runs' numbers; runs first.

    Variants without such arrays are left out, and runs that diverged. For the order see ``in_order``.
    """
    kinds = (kinds,) if isinstance(kinds, str) else kinds

    @lru_cache(maxsize=1)  # variants of one model are in one file; all files at once may not fit
    def of_model(model: str) -> dict[str, np.ndarray] | None:
        return readable(results, lambda: results.predictions(model), *kinds)

    for variant in in_order(results, results.variants):
        arrays = of_model(variant.model)
        if arrays is None or not set(names) <= arrays.keys():
            continue
        found = {name: arrays[name] for name in names}
        runs = len(found[names[0]])
        found["repeat"] = arrays.get("repeat", np.arange(runs))
        if any(len(values) != runs for values in found.values()):
            continue
        diverged = [run.repeat for run in results.runs if run.variant == variant and run.status == "diverged"]
        mine = ~np.isin(found["repeat"], diverged)
        if "variant" in arrays:
            mine &= arrays["variant"] == variant.index
        if mine.any():
            yield variant, {name: values[mine] for name, values in found.items()}


def in_order(results: Reader, variants: Iterable[Variant]) -> list[Variant]:
    """Variants from best to worst on the primary metric, those without a score last.

    Where variants have several protocols, all of the study's first protocol come before all of its second.
    """
    place = places(results)
    protocols = list(dict.fromkeys(results.protocols.values()))
    return sorted(
        variants, key=lambda variant: (protocols.index(variant.protocol), place.get(variant.label, len(place) + 1))
    )


def names_of(results: Reader, what: str, count: int) -> list[str]:
    """Words for the numbers 0 ... count - 1 of classes, groups or channels; records that have none get numbers.

    Args:
        what: "class", "group" or "channel".
    """
    given = ((results.meta("task") or {}).get("labels") or {}).get(what)
    words = [str(word) for word in given[:count]] if isinstance(given, list) else []
    start = "" if what == "class" else f"{what} "
    return words + [f"{start}{number}" for number in range(len(words), count)]
