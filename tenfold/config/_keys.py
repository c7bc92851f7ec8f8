"""Every key of a study file with its type, default, unit and meaning, read from the settings classes themselves."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import annotated_types
from pydantic import BaseModel

from tenfold.config._study import QUICK_KEYS
from tenfold.config._verdict import VerdictSettings
from tenfold.recipe import Recipe, Unit
from tenfold.tasks import TaskSettings, TaskSpec

__all__ = ["Key", "Table", "amounts", "described", "tables_of"]

_WORDS = {int: "integer", float: "number", bool: "true or false", str: "text", type: ""}
_MANY = {int: "integers", float: "numbers", str: "texts"}


@dataclass(frozen=True)
class Key:
    """One key of a table of a study file; ``name`` has dots where it is in an inner table."""

    name: str
    type: str
    default: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table of a study file, such as "[train]", with what it is for."""

    title: str
    meaning: str
    keys: Sequence[Key]


_STUDY = (
    Key("name", "text", "the name of the file", "", "Of the study; its record goes to tenfold-runs/NAME."),
    Key("title", "text", "none", "", "One line, for reports."),
    Key("description", "text", "none", "", "A few sentences, for reports."),
    Key("repeats", "integer from 1", "10", "runs", "How often every model is trained, each time anew."),
    Key("seed", "integer from 0", "0", "", "All random numbers of the study follow from it."),
)
_MODEL = (
    Key("module", "text", "required", "", "A built-in model (tenfold list), or one's own: my_models.py:MyNet."),
    Key("name", "text", "module", "", "In tables and figures; names must differ."),
    Key("published", "table", "none", "", "Published figures, see [models.published]."),
    Key("sweep", "table", "none", "", "Values to train with in turn, see [models.sweep]."),
    Key("any key of [train]", "as there", "as in [train]", "", "For this model only; stronger than [train]."),
    Key("any argument", "as the module takes it", "as the module has it", "", "Goes to the constructor of the module."),
)
_SWEEP = (
    Key(
        "a key of [train], or an argument of the module", "list of values", "none", "",
        "Every combination of all lists is a variant of its own. [train.sweep] is for every model.",
    ),
)  # fmt: skip
_PUBLISHED = (
    Key(
        "name of a metric",
        "number, [mean, deviation] or table",
        "none",
        "percent where the metric's unit is %",
        "The published figure; as a table it has the keys mean, std, repeats, note and suspect (why it is doubtful).",
    ),
    Key("repeats", "integer from 1", "none", "runs", "Behind the published figures; Welch's test needs it."),
    Key("note", "text", "none", "", "Where the figures come from."),
)
_REFERENCES = (
    Key(
        "name of who made it",
        "number from 0 to 100",
        "none",
        "percent",
        "A published error of others; figures draw it beside ours.",
    ),
)
_LIMITS = {"ge": annotated_types.Ge, "gt": annotated_types.Gt, "le": annotated_types.Le, "lt": annotated_types.Lt}


def tables_of(spec: TaskSpec) -> list[Table]:
    """The tables of a study file for one task, in the order of a file."""
    settings, recipe = _keys(spec.settings), _keys(spec.recipe)
    metrics = ", ".join(f"{metric.name}{' (primary)' * metric.primary}" for metric in spec.metrics)
    quick = [
        Key(name, "integer from 1", "as in the study", "", "At most so many with --quick.")
        for name in (*QUICK_KEYS, *amounts(spec.settings))
    ]
    return [
        Table("top level", "Above the first table.", _STUDY),
        Table("[task]", f"What is learned from which data. Metrics: {metrics}.", settings),
        Table("[train]", "How every model is trained.", recipe),
        Table("[[models]]", "One for each model.", _MODEL),
        Table("[models.sweep]", "Below a [[models]] table; [train.sweep] is the same for all models.", _SWEEP),
        Table("[models.published]", "Below a [[models]] table.", _PUBLISHED),
        Table("[quick]", "What --quick cuts.", quick),
        Table("[verdict]", "How models are compared; chosen before training.", _keys(VerdictSettings)),
        Table("[references]", "Published errors of others.", _REFERENCES),
    ]


def amounts(settings: type[TaskSettings]) -> list[str]:
    """The task's amounts, of which a quick study may have fewer: integers, None for all that there are."""
    defining = ("folds", "size", "window")  # integers that define the task and must not shrink in [quick]
    return [
        name for name, field in settings.model_fields.items() if name not in defining and _is_integer(field.annotation)
    ]


def described(kind: type[Any]) -> dict[str, str]:
    """What the docstrings of a class and its parents say of each of its fields, under "Attributes" or "Args".

    Example:
        >>> described(Recipe)["epochs"]
        'passes over the training examples.'
    """
    found: dict[str, str] = {}
    for parent in reversed(kind.__mro__):
        text = vars(parent).get("__doc__") or ""
        _, _, rest = text.partition("Attributes:\n" if "Attributes:\n" in text else "Args:\n")
        indent = re.match(" *", rest)
        assert indent is not None
        section = re.split(rf"\n(?! {{{len(indent[0])}}})(?=\S| +\S)", rest)[0]
        for names, meaning in re.findall(
            rf"^{indent[0]}([\w, ]+): ((?:.|\n(?={indent[0]} +\S))*)", section, flags=re.MULTILINE
        ):
            found |= dict.fromkeys(names.split(", "), " ".join(meaning.split()))
    return found


def _keys(kind: type[BaseModel], before: str = "") -> list[Key]:
    meanings = described(kind)
    derived = kind.derived if issubclass(kind, Recipe) else ()
    found = []
    for name, field in kind.model_fields.items():
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        unit = next((each.name for each in field.metadata if isinstance(each, Unit)), "")
        meaning = field.description or meanings.get(name, "")
        if name in derived:
            meaning, default = f"{meaning} Follows from other keys in this task.".strip(), "follows"
        whole = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        found.append(Key(f"{before}{name}", _type(whole), default, unit, _sentence(meaning)))
        for inner in _inner(field.annotation):
            found += _keys(inner, f"{before}{name}.") if issubclass(inner, BaseModel) else _layout(inner, f"{name}.")
    return found


def _sentence(meaning: str) -> str:
    code = meaning.startswith("torch.")
    return meaning if code else meaning[:1].upper() + meaning[1:]


def _inner(annotation: Any) -> list[type[Any]]:
    """The classes of tables in an annotation."""
    parts = [annotation, *get_args(annotation)]
    return [
        part
        for part in parts
        if isinstance(part, type) and (issubclass(part, BaseModel) or dataclasses.is_dataclass(part))
    ]


def _layout(kind: Any, before: str) -> list[Key]:
    meanings, types = described(kind), get_type_hints(kind)
    return [
        Key(
            f"{before}{field.name}",
            _type(types[field.name]),
            _default(field.default),
            "s" if field.name.endswith("_seconds") else "Hz" if field.name.endswith("_hz") else "",
            _sentence(meanings.get(field.name, "")),
        )
        for field in dataclasses.fields(kind)
    ]


def _default(value: Any) -> str:
    if value is None:
        return "none"
    return json.dumps(value) if isinstance(value, bool | int | float | str | list) else str(value)


def _is_integer(annotation: Any) -> bool:
    """Whether it is int, or int or None, with or without bounds."""
    bare = annotation.__origin__ if get_origin(annotation) is Annotated else annotation
    parts = [part for part in get_args(bare) if part is not NoneType]
    return bare is int or (len(parts) == 1 and get_origin(bare) in (Union, UnionType) and _is_integer(parts[0]))


def _type(annotation: Any) -> str:
    """An annotation in words, such as "integer from 1"."""
    if get_origin(annotation) is Annotated:
        bare, *more = get_args(annotation)
        bounds = [each for part in more for each in getattr(part, "metadata", [part])]
        return f"{_type(bare)}{_bounds(bounds)}"
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(filter(None, (_type(part) for part in get_args(annotation) if part is not NoneType)))
    if get_origin(annotation) is Literal:
        return " or ".join(json.dumps(value) for value in get_args(annotation))
    if get_origin(annotation) in (list, Sequence):
        (part,) = get_args(annotation)
        bare = get_args(part)[0] if get_origin(part) is Annotated else part
        return f"list of {_MANY.get(bare, 'values')}"
    return _WORDS.get(annotation, "table")


def _bounds(metadata: Sequence[Any]) -> str:
    """The limits of a number in words; those of a list are in its meaning."""
    low = {name: getattr(each, name) for each in metadata for name, kind in _LIMITS.items() if isinstance(each, kind)}
    words = f" from {low['ge']:g}" if "ge" in low else f" above {low['gt']:g}" if "gt" in low else ""
    return words + (f" to {low['le']:g}" if "le" in low else f", below {low['lt']:g}" if "lt" in low else "")
