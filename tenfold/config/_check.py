"""Checks of a study's values, one line for each problem."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

from pydantic import ValidationError

from tenfold.config._synonyms import hint

__all__ = ["integer", "once_for_all_models", "unknown", "validated"]


def unknown(
    raw: Mapping[str, Any],
    known: Sequence[str],
    where: str,
    problems: list[str],
    elsewhere: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> None:
    """Report keys that are not known, with what other libraries call so, or else the nearest one."""
    problems += [f"unknown key '{where}{key}'; {hint(str(key), known, elsewhere)}" for key in raw if key not in known]


def integer(raw: Mapping[str, Any], key: str, default: int, least: int, problems: list[str], where: str = "") -> int:
    """The integer under a key, or ``default`` and a line where it is not one from ``least``."""
    value = raw.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        problems.append(f"{where}{key}: expected an integer from {least}, got {value!r}")
        return default
    return value


def validated(
    kind: Callable[..., Any],
    raw: Mapping[str, Any],
    where: str,
    problems: list[str],
    elsewhere: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Any:
    """A pydantic object, or None and one line for each of its problems: "WHEREkey: ..." for those of one value."""
    fields: Mapping[str, Any] = kind.model_fields  # type: ignore[attr-defined]
    unknown(raw, tuple(fields), where, problems, elsewhere)
    try:
        return kind(**{key: value for key, value in raw.items() if key in fields})
    except ValidationError as error:
        for place, entry in _one_each(error.errors()).items():
            path = ".".join(place)
            if entry["type"] == "extra_forbidden":
                inner = [part for part in get_args(fields[place[0]].annotation) if hasattr(part, "model_fields")]
                unknown({place[-1]: None}, tuple(inner[0].model_fields), f"{where}{place[0]}.", problems)
                continue
            message = entry["msg"].removeprefix("Value error, ")
            got = "" if entry["type"] in ("value_error", "missing") else f", got {entry['input']!r}"
            problems.append(
                f"{where}{path}: {message[0].lower()}{message[1:]}{got}" if path else f"{where[:-1]}: {message}"
            )
        return None


def _one_each(errors: Sequence[Any]) -> dict[tuple[str, ...], Any]:
    """Errors by field, one each: of those that a union reports for each of its members, the one that got furthest."""

    def progress(entry: Any) -> tuple[int, bool]:
        return len(entry["loc"]), not entry["type"].endswith("_type")

    found: dict[tuple[str, ...], list[Any]] = {}
    for entry in errors:
        # Members of a union are named "list[...]" and "constrained-float", places in a list are numbers.
        place = tuple(itertools.takewhile(lambda part: str(part).isidentifier(), entry["loc"]))
        found.setdefault(place, []).append(entry)
    return {place: max(entries, key=progress) for place, entries in found.items()}


def once_for_all_models(problems: Sequence[str], entries: Any) -> list[str]:
    """Report once what is wrong in the same way with every model: it comes from [train] or from --set."""
    names = [str(entry.get("name", entry.get("module"))) for entry in entries or () if isinstance(entry, Mapping)]
    shared: dict[str, list[str]] = {}
    for problem in problems:
        name = next((name for name in names if f"models.{name}." in problem), None)
        shared.setdefault(problem.replace(f"models.{name}.", "models.", 1), []).append(problem)
    return [
        line
        for general, found in shared.items()
        for line in ([f"{general} (all models)"] if len(found) == len(names) > 1 else found)
    ]
