"""Sweeps: a table of lists, of which every combination is a config."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tenfold.config._check import unknown, validated
from tenfold.recipe import Config, Recipe

__all__ = ["configs_of", "listed", "read_sweep", "recipes_of", "single_values"]

# Keys of a [[models]] table that say which model it is.
_FIXED = ("name", "module", "published", "sweep")


def configs_of(recipe: Recipe, options: Mapping[str, Any], sweep: Mapping[str, Sequence[Any]]) -> tuple[Config, ...]:
    """Every combination of the swept values, the last key changing fastest; one config where nothing is swept.

    Example:
        >>> [config.label for config in configs_of(Recipe(), {}, {"lr": [0.1, 0.01], "depth": [1, 2]})]
        ['lr=0.1, depth=1', 'lr=0.1, depth=2', 'lr=0.01, depth=1', 'lr=0.01, depth=2']
    """
    trained = [name for name in sweep if name in type(recipe).model_fields]
    configs = []
    for index, swept in enumerate(_combinations(sweep)):
        changed = recipe.changed({name: swept[name] for name in trained}) if trained else recipe
        own = {name: value for name, value in swept.items() if name not in trained}
        configs.append(Config(swept, changed, {**options, **own}, index))
    return tuple(configs)


def listed(raw: Any, where: str, problems: list[str]) -> dict[str, list[Any]]:
    """The table ``sweep`` with those of its keys that hold a list of different values."""
    if not isinstance(raw, Mapping):
        problems.append(
            f"{where}sweep: expected a table of lists, such as sweep = {{ lr = [0.01, 0.001] }}, got {raw!r}"
        )
        return {}
    found: dict[str, list[Any]] = {}
    for key, values in raw.items():
        place = f"{where}sweep.{key}"
        values = list(values) if isinstance(values, tuple) else values
        if key in _FIXED:
            problems.append(f"{place}: cannot be swept; write a [[models]] table for each")
        elif not isinstance(values, list):
            problems.append(f"{place}: expected a list of values, got {values!r}; write {key} = [{values!r}, ...]")
        elif not values:
            problems.append(f"{place}: expected at least one value, got []")
        elif any(value is None for value in values):
            problems.append(f"{place}: expected values that a study file can hold, got {values!r}")
        elif any(_lists(values).count(value) > 1 for value in _lists(values)):
            problems.append(f"{place}: the values of a sweep must differ, got {values!r}")
        else:
            found[key] = values
    return found


def read_sweep(
    sweep: Mapping[str, list[Any]],
    recipe_type: type[Recipe],
    accepted: Collection[str] | None,
    where: str,
    problems: list[str],
) -> dict[str, list[Any]]:
    """The sweep with those of its keys whose values are right.

    Args:
        sweep: see ``listed``.
        recipe_type: each value of a setting is checked as the setting itself.
        accepted: constructor arguments; None where any is taken.
    """
    known = list(recipe_type.model_fields)
    if accepted is not None:
        unknown(sweep, (*accepted, *known), f"{where}sweep.", problems)
    found = {}
    for key, values in sweep.items():
        if key in known:
            wrong = [line for value in values for line in _wrong(recipe_type, key, value, f"{where}sweep.")]
            problems += dict.fromkeys(wrong)  # each once
            if wrong:
                continue
        if key in known or accepted is None or key in accepted:
            found[key] = values
    return found


def single_values(
    plain: Mapping[str, Any], recipe_type: type[Recipe], scalars: Collection[str], where: str, own: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Keys that hold a list of values where one is expected, with what to write instead.

    Args:
        plain: settings and constructor arguments of a model.
        scalars: the constructor arguments that are one number or text.
        own: keys of the model's own table; the others come from [train].
    """
    for key, value in plain.items():
        values = _lists(value)
        if not isinstance(values, list) or not values:
            continue
        if key in recipe_type.model_fields:
            if not _wrong(recipe_type, key, values, where):
                continue
            if all(_wrong(recipe_type, key, one, where) for one in values):
                continue  # not a sweep written in the wrong place
        elif key not in scalars:
            continue
        table = "[models.sweep]" if key in own else "[train.sweep]"
        yield key, f"{where}{key}: expected one value, got {value!r}; to train with each, put it under {table}"


def recipes_of(
    recipe_type: type[Recipe],
    plain: Mapping[str, Any],
    sweep: Mapping[str, list[Any]],
    where: str,
    problems: list[str],
) -> tuple[Recipe | None, dict[str, list[Any]]]:
    """Check the recipe of every combination.

    Returns:
        The recipe of the first one, or None; and the sweep with its values as recipes hold them.
    """
    trained = {key: values for key, values in sweep.items() if key in recipe_type.model_fields}
    held = {key: list(values) for key, values in sweep.items()}
    first, wrong = None, []
    for places in itertools.product(*(range(len(values)) for values in trained.values())):
        swept = {key: trained[key][place] for key, place in zip(trained, places, strict=True)}
        recipe = validated(recipe_type, {**plain, **swept}, where, wrong)
        first = first or recipe
        for key, place in zip(trained, places, strict=True):
            if recipe is not None:
                held[key][place] = _as_written(getattr(recipe, key))
    problems += dict.fromkeys(wrong)
    return (None if wrong else first), held


def _combinations(sweep: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*sweep.values()):
        yield dict(zip(sweep, values, strict=True))


def _wrong(recipe_type: type[Recipe], key: str, value: Any, where: str) -> list[str]:
    """What is wrong with one value of one setting, whatever the others are."""
    lines: list[str] = []
    validated(recipe_type, {key: value}, where, lines)
    return [line for line in lines if not line.startswith(f"{where[:-1]}: ")]


def _lists(value: Any) -> Any:
    return [_lists(part) for part in value] if isinstance(value, tuple | list) else value


def _as_written(value: Any) -> Any:
    return value.model_dump(exclude_defaults=True) if isinstance(value, BaseModel) else value
