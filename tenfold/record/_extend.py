"""A record that goes on with a changed study: more or fewer repeats, other models; what is recorded stays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tenfold.errors import RecordError
from tenfold.record._slug import slugs
from tenfold.record._variant import Variant
from tenfold.wording import listed

__all__ = ["LEFT_OUT", "added_rows", "changes", "renamed", "variant_rows", "verdict_change"]

# Key of the table `meta`: what is known of models that the study no longer has.
LEFT_OUT = "left_out"


def variant_rows(found: Sequence[Variant], before: Iterable[str] = ()) -> list[tuple[Any, ...]]:
    """Rows of the table ``variants``.

    Args:
        found: every variant of the study.
        before: models that the record holds already, in the order in which they came: they keep the names of their
            files.
    """
    files = slugs([*before, *(variant.model for variant in found)])
    return [
        (
            *(v.model, v.index, json.dumps(dict(v.swept)), json.dumps(dict(v.protocol)), v.swept_label),
            _file(files[v.model], v, found),
        )
        for v in found
    ]


def _file(slug: str, variant: Variant, every: Iterable[Variant]) -> str:
    """The name of a variant's files, without their ending. A slug holds no dot, so two never share a name."""
    several = sum(other.model == variant.model for other in every) > 1
    return f"{slug}.{variant.index}" if several else slug


def changes(recorded: Mapping[str, Any], asked: Mapping[str, Any], left_out: Mapping[str, Any]) -> list[str]:
    """What is done about the runs of a study that has changed: a sentence each.

    Example:
        >>> before, now = {"repeats": 10, "models": [{"name": "A"}]}, {"repeats": 20, "models": [{"name": "A"}]}
        >>> changes(before, now, {})
        ['20 repeats in place of 10: those recorded stay, 10 are added.']
    """
    found = []
    before, now = recorded.get("repeats"), asked.get("repeats")
    if before is not None and now is not None and now > before:
        found.append(f"{now} repeats in place of {before}: those recorded stay, {_are(now - before)} added.")
    elif before is not None and now is not None and now < before:
        found.append(f"{now} repeats in place of {before}: the first {now} are shown, the others stay in the record.")
    old, new = ([entry["name"] for entry in study["models"]] for study in (recorded, asked))
    if gone := [name for name in old if name not in new]:
        found.append(f"Left out: {listed(gone)}; what is recorded of {_them(gone)} stays in the record.")
    if back := [name for name in new if name not in old and name in left_out]:
        found.append(f"Back again: {listed(back)}.")
    if added := [name for name in new if name not in old and name not in left_out]:
        found.append(f"Added: {listed(added)}.")
    if change := verdict_change(recorded, asked):
        found.append(f"The settings of the verdict have changed: {change}.")
    return found


def verdict_change(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """How ``[verdict]`` was and how it is now; "" where it is the same."""
    before, now = recorded.get("verdict") or {}, asked.get("verdict") or {}
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return ", ".join(f"{key} from {before.get(key, 'none')} to {now.get(key, 'none')}" for key in keys)


def renamed(asked: Mapping[str, Any], left_out: Mapping[str, Mapping[str, Any]], known: Iterable[str]) -> list[str]:
    """A sentence for each new model that has all settings of one that was left out.

    Args:
        asked: the study.
        left_out: models that it does not have, and the record has.
        known: names of all models in the record: these are not new.
    """
    settings = {name: _settings(entry["entry"]) for name, entry in left_out.items()}
    return [
        f"{entry['name']} has the settings of {name} and is trained anew: a model's name is part of the seeds of its "
        f"runs. Under its old name, with `published` and titles as you like, its runs are kept."
        for entry in asked["models"]
        if entry["name"] not in set(known)
        for name, own in settings.items()
        if own == _settings(entry)
    ]


def _settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("name", "published")}


def added_rows(before: Mapping[str, np.ndarray], new: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """Arrays of runs with further runs behind the first ``count``, each (runs, ...).

    What only one of the two has is left out, but for ``valid``: without it every row is. Where runs have different
    numbers of rows, shorter ones are filled up: with -1, NaN, False or empty text.

    Raises:
        RecordError: if there are fewer rows than ``count``, or the arrays are of different kinds.
    Example:
        >>> added_rows({"a": np.array([[1], [2], [9]])}, {"a": np.array([[3, 4]])}, 2)["a"].tolist()
        [[1, -1], [2, -1], [3, 4]]
    """
    before, new = dict(before), dict(new)
    for some, other in ((before, new), (new, before)):
        if "valid" in some and "valid" not in other and "target" in other:
            other["valid"] = np.ones(other["target"].shape[:2], dtype=bool)
    return {name: _joined(name, before[name], value, count) for name, value in new.items() if name in before}


def _joined(name: str, before: np.ndarray, new: np.ndarray, count: int) -> np.ndarray:
    if len(before) < count or before.ndim != new.ndim or before.dtype.kind != new.dtype.kind:
        raise RecordError(
            f"'{name}': the recorded array {before.dtype} {before.shape} does not fit the new one {new.dtype} "
            f"{new.shape} behind its first {count} rows"
        )
    shape = tuple(np.maximum(before.shape[1:], new.shape[1:]))
    return np.concatenate([_filled(before[:count], shape), _filled(new, shape)])


def _filled(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape[1:] == shape:
        return array
    fill = {"f": np.nan, "i": -1, "b": False, "U": ""}.get(array.dtype.kind, 0)
    whole = np.full((len(array), *shape), fill, dtype=array.dtype)
    whole[(slice(None), *(slice(size) for size in array.shape[1:]))] = array
    return whole


def _are(count: int) -> str:
    return f"{count} is" if count == 1 else f"{count} are"


def _them(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"
