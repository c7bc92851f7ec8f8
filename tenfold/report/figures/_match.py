"""Predictions of a match task by arm, as two figures need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tenfold.errors import RecordError
from tenfold.results import Arm, Results

__all__ = ["match_runs", "readable"]


def readable(results: Results, read: Callable[[], dict[str, np.ndarray] | None]) -> dict[str, np.ndarray] | None:
    """Arrays of a file of the record; a damaged one is an error in a record of matching alone.

    In that of another task it would hold nothing for these figures, and other figures say that it is damaged.
    """
    try:
        return read()
    except RecordError:
        if (results.study.get("task") or {}).get("kind") == "match":
            raise
        return None


def match_runs(results: Results, first: str, *others: str) -> Iterator[tuple[Arm, dict[str, np.ndarray]]]:
    """Arms, best first, each with the arrays of the names asked for and "repeat", the runs' numbers; runs first.

    Arms without such arrays are left out, and runs that diverged.
    """
    place = {entry.label: entry.place for entry in results.ranking()}
    for arm in sorted(results.arms, key=lambda arm: place.get(arm.label, len(place) + 1)):
        arrays = readable(results, lambda model=arm.model: results.predictions(model))
        if arrays is None or not {first, *others} <= arrays.keys():
            continue
        found = {name: arrays[name] for name in (first, *others)}
        runs = len(found[first])
        found["repeat"] = arrays.get("repeat", np.arange(runs))
        diverged = [run.repeat for run in results.runs if run.arm == arm and run.status == "diverged"]
        mine = ~np.isin(found["repeat"], diverged)
        if "setting" in arrays:
            mine &= arrays["setting"] == arm.setting
        if mine.any():
            yield arm, {name: values[mine] for name, values in found.items()}
