"""Whether what was recorded can be used for a study, and in which keys two studies differ."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tenfold.errors import RecordError

__all__ = ["differences", "left_out_models", "normal_json", "study_differences"]


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


# What no number of a run depends on; "models" and "code" are compared for the models that both studies have.
_FREE = ("name", "title", "description", "repeats", "verdict", "references", "resampling", "code")


def study_differences(
    recorded: Mapping[str, Any], asked: Mapping[str, Any], left_out: Mapping[str, Mapping[str, Any]] | None = None
) -> list[str]:
    """One line for each place in which the runs of a study would differ from the recorded ones.

    What makes no difference to a run is not compared: the number of repeats, titles, published figures, settings of
    the verdict, and which other models there are. "code" holds the files of the user's own by whose they are. Data and
    files of one's own are known by their content, so that they may stand elsewhere.

    Args:
        recorded, asked: the two studies.
        left_out: models that the recorded study had before, as ``left_out_models`` gives them.
    """
    models = _models(recorded) | {name: dict(entry["entry"]) for name, entry in (left_out or {}).items()}
    code = dict(recorded.get("code") or {})
    for entry in (left_out or {}).values():
        code |= entry["code"]
    names, now = _models(asked), asked.get("code") or {}
    kept = {f"model {name}" for name in names if name in models} | {"the task"}
    same_data = recorded.get("data_fingerprint") is not None and (
        recorded["data_fingerprint"] == asked.get("data_fingerprint")
    )
    first, second = (
        _compared(study, [of[name] for name in names if name in models], same_data)
        for study, of in ((recorded, models), (asked, names))
    )
    before, after = ({whose: files for whose, files in of.items() if whose in kept} for of in (code, now))
    return differences(first, second) + _changed_files(before, after)


def left_out_models(
    recorded: Mapping[str, Any], asked: Mapping[str, Any], left_out: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Models that the record holds and the study that is asked for does not have: name -> its "entry" among the models
    and its "code", by which it is known when it comes back.
    """
    code = recorded.get("code") or {}
    shown = {
        name: {"entry": entry, "code": {whose: code[whose] for whose in (f"model {name}",) if whose in code}}
        for name, entry in _models(recorded).items()
    }
    return {name: dict(entry) for name, entry in ({**left_out, **shown}).items() if name not in _models(asked)}


def _models(study: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in study.get("models") or ()}


def _compared(study: Mapping[str, Any], models: list[dict[str, Any]], same_data: bool) -> dict[str, Any]:
    """The parts of a study by which its runs are known."""
    bare = [{key: value for key, value in entry.items() if key != "published"} for entry in models]
    found: dict[str, Any] = {key: value for key, value in study.items() if key not in _FREE} | {"models": bare}
    if same_data and isinstance(found.get("task"), dict):
        found["task"] = {key: value for key, value in found["task"].items() if key != "data"}
    return _without_files(found)


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
