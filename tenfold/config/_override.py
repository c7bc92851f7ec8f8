"""Single values of a study replaced from outside: the command line's ``--set key=value``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from tenfold.errors import nearest

__all__ = ["overridden"]


def overridden(raw: Mapping[str, Any], overrides: Sequence[str], problems: list[str]) -> dict[str, Any]:
    """A copy of the raw study with the values of ``overrides`` in it; see ``load_study`` for their form."""
    changed = _copied(raw)
    for text in overrides:
        key, equals, value_text = text.partition("=")
        if not equals:
            problems.append(f"--set {text}: expected key=value, such as models.lr=0.01")
            continue
        value = _value(value_text)
        table, _, rest = key.strip().partition(".")
        if not rest:
            changed[table] = value
        elif table == "models":
            _override_models(changed, rest, value, problems)
        else:
            inner = changed.setdefault(table, {})
            if isinstance(inner, dict):
                _set(inner, rest, value)
            else:
                problems.append(f"--set {text}: '{table}' is not a table")
    return changed


def _copied(value: Any) -> Any:
    """Tables and lists anew, so that the caller's stay as they are; other values as they are."""
    if isinstance(value, Mapping):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _value(text: str) -> Any:
    """TOML; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _override_models(changed: dict[str, Any], rest: str, value: Any, problems: list[str]) -> None:
    models = [entry for entry in changed.get("models", []) if isinstance(entry, dict)]
    name, _, key = rest.rpartition(".")
    if name == "sweep" or name.endswith(".sweep"):
        name, key = name.removesuffix("sweep").removesuffix("."), f"sweep.{key}"
    name = name.strip('"')
    chosen = [entry for entry in models if not name or entry.get("name") == name]
    if models and not chosen:
        names = [str(entry["name"]) for entry in models if entry.get("name")]
        problems.append(f"--set models.{rest}: no model '{name}'; {nearest(name, names)}")
    for entry in chosen:
        _set(entry, key, value)


def _set(table: dict[str, Any], key: str, value: Any) -> None:
    """Set one key. A plain value takes the place of a sweep over it, and a sweep that of a plain value."""
    plain = key.removeprefix("sweep.")
    if plain != key:
        table.pop(plain, None)
        sweep = table.setdefault("sweep", {})
        if isinstance(sweep, dict):  # anything else is reported with the study's other problems
            sweep[plain] = value
        return
    if isinstance(sweep := table.get("sweep"), dict):
        sweep.pop(key, None)
    table[key] = value
