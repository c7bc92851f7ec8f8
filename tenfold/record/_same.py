"""Whether two studies are the same, and in which keys they differ."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tenfold.errors import RecordError

__all__ = ["differences", "normal_json", "study_differences"]


def normal_json(value: Any) -> Any:
    """The value as JSON returns it: tuples as lists, keys as text, NumPy numbers as numbers."""
    try:
        return json.loads(json.dumps(value, default=_plain))
    except (TypeError, ValueError) as error:
        raise RecordError(
            f"cannot store this in a record: {error}. Expected text, numbers, lists and dicts."
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def study_differences(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """One line for each place where a study differs from the recorded one, its own files included.

    "code" holds the files of the user's own by whose they are. A file of one's own is known by its content, so that it
    may stand elsewhere: the file in which a class is named counts for nothing.
    """
    parts = ({key: value for key, value in study.items() if key != "code"} for study in (recorded, asked))
    first, second = (_without_files(part) for part in parts)
    return differences(first, second) + _changed_files(recorded.get("code") or {}, asked.get("code") or {})


def _without_files(study: dict[str, Any]) -> dict[str, Any]:
    def bare(table: Any, key: str) -> Any:
        named = table.get(key) if isinstance(table, dict) else None
        if not isinstance(named, str) or ".py:" not in named:
            return table
        return table | {key: named.rpartition(":")[2]}

    models = study.get("models")
    models = [bare(entry, "module") for entry in models] if isinstance(models, list) else models
    return study | {"task": bare(study.get("task"), "kind"), "models": models}


def _changed_files(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    lines = []
    for whose in [*recorded, *(key for key in asked if key not in recorded)]:
        before, now = recorded.get(whose) or {}, asked.get(whose) or {}
        for file in sorted({*before, *now}):
            if before.get(file) != now.get(file):
                how = "has changed" if file in before and file in now else "is new" if file in now else "is gone"
                lines.append(f"code of {whose}: {file} {how} since")
    return lines


def differences(recorded: Any, asked: Any, where: str = "") -> list[str]:
    """One line for each place where two JSON values differ; models are matched by name, not by position.

    Example:
        >>> differences({"task": {"size": 14}, "seed": 0}, {"task": {"size": 8}, "seed": 0})
        ['task.size: recorded 14, asked for 8']
    """
    if isinstance(recorded, dict) and isinstance(asked, dict):
        lines = []
        for key in [*recorded, *(key for key in asked if key not in recorded)]:
            inner = f"{where}.{key}" if where and not key.startswith("[") else f"{where}{key}"
            if key not in asked:
                lines.append(f"{inner}: recorded {_short(recorded[key])}, not asked for")
            elif key not in recorded:
                lines.append(f"{inner}: not recorded, asked for {_short(asked[key])}")
            else:
                lines.extend(differences(recorded[key], asked[key], inner))
        return lines
    if _named(recorded) and _named(asked):
        first, second = ({f"[{entry['name']}]": entry for entry in entries} for entries in (recorded, asked))
        lines = differences(first, second, where)
        if not lines and list(first) != list(second):
            lines = [f"{where}: the same, in another order"]
        return lines
    if recorded == asked or _both_nan(recorded, asked):
        return []
    return [f"{where or 'study'}: recorded {_short(recorded)}, asked for {_short(asked)}"]


def _named(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "name" in v for v in value)


def _both_nan(first: Any, second: Any) -> bool:
    return all(isinstance(value, float) and math.isnan(value) for value in (first, second))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
