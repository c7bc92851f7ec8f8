"""A study file: read, checked as a whole, resolved. Every default stands in one place, the field."""

from __future__ import annotations

import itertools
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import tomli_w
from pydantic import BaseModel, ValidationError

from tenfold.errors import RequestError, StudyError, nearest
from tenfold.models import ModelFactory
from tenfold.recipe import Recipe
from tenfold.tasks import TASKS, Task, TaskSettings

__all__ = [
    "BUILT_IN",
    "ModelSettings",
    "Study",
    "TaskSettings",
    "built_in_studies",
    "load_study",
    "parse_study",
    "to_toml",
]

BUILT_IN = Path(__file__).parent.parent / "studies"
_DEFAULT_KIND = "compare-pairs"

_STUDY_KEYS = ("name", "title", "description", "repeats", "seed", "task", "train", "models", "quick")
_MODEL_KEYS = ("name", "module", "published")
_NO_AMOUNTS = ("folds", "size", "window")  # whole numbers of which fewer would be another task
_QUICK_KEYS = ("repeats", "epochs")


@dataclass(frozen=True)
class ModelSettings:
    """One model of a study.

    Args:
        name: unique in the study.
        factory: builds its module.
        recipe: how it is trained.
        published: metric -> (mean, std or None), percent where the metric's unit is "%".
        published_repeats: repeats behind the published mean and deviation.
        published_note: where the figures come from, or what is odd about them.
        own: settings of the recipe in its own table, not taken over from the study's.
    """

    name: str
    factory: ModelFactory
    recipe: Recipe
    published: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    published_repeats: int | None = None
    published_note: str = ""
    own: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """One task, several models, R repeats of each, one budget, one seed.

    Build it with ``load_study`` (a built-in name or a TOML file) or ``parse_study`` (the same as a dict).
    """

    name: str
    task: TaskSettings
    models: tuple[ModelSettings, ...]
    repeats: int = 10
    seed: int = 0
    title: str = ""
    description: str = ""
    quick: Mapping[str, int] = field(default_factory=dict)
    is_quick: bool = False
    base: Path = Path()

    def quickened(self) -> Study:
        """The same study cut to a few minutes on two cores, as its own ``[quick]`` says; marked as such."""
        amounts = {
            key: value if (whole := getattr(self.task, key)) is None else min(whole, value)
            for key, value in self.quick.items()
            if key not in _QUICK_KEYS
        }
        task = self.task.model_copy(update=amounts)
        epochs = self.quick.get("epochs")
        models = tuple(
            model
            if epochs is None
            else replace(model, recipe=model.recipe.model_copy(update={"epochs": min(epochs, model.recipe.epochs)}))
            for model in self.models
        )
        repeats = min(self.repeats, self.quick.get("repeats", self.repeats))
        return replace(self, task=task, models=models, repeats=repeats, is_quick=True)

    def with_epochs(self, epochs: int) -> Study:
        """Every model trained for so many epochs."""
        return replace(
            self,
            models=tuple(
                replace(model, recipe=model.recipe.model_copy(update={"epochs": epochs})) for model in self.models
            ),
        )

    def with_models(self, names: Sequence[str]) -> Study:
        """Only the named models, in the study's order."""
        known = [model.name for model in self.models]
        problems = [f"no model '{name}' in this study; {nearest(name, known)}" for name in names if name not in known]
        if problems:
            raise StudyError(self.name, problems)
        return replace(self, models=tuple(model for model in self.models if model.name in names))

    def to_dict(self) -> dict[str, Any]:
        """Plain values only: what the record holds and what ``parse_study`` reads back."""
        raw: dict[str, Any] = {"name": self.name, "title": self.title, "description": self.description}
        raw |= {"repeats": self.repeats, "seed": self.seed, "task": _plain(self.task)}
        if self.quick:
            raw["quick"] = dict(self.quick)
        raw["models"] = []
        for model in self.models:
            entry: dict[str, Any] = {"name": model.name, "module": model.factory.name}
            options = {key: value for key, value in model.factory.options.items() if value is not None}
            entry |= {key: _plain_value(value) for key, value in options.items()} | _plain(model.recipe)
            if model.published or model.published_note:
                published: dict[str, Any] = {
                    metric: mean if std is None else [mean, std] for metric, (mean, std) in model.published.items()
                }
                if model.published_repeats is not None:
                    published["repeats"] = model.published_repeats
                if model.published_note:
                    published["note"] = model.published_note
                entry["published"] = published
            raw["models"].append(entry)
        return raw


def to_toml(study: Study) -> str:
    """The resolved study as a TOML file that ``load_study`` reads back to the same study."""
    return tomli_w.dumps(study.to_dict(), multiline_strings=True)


def built_in_studies() -> list[str]:
    """Names of the studies that come with tenfold."""
    return sorted(path.stem for path in BUILT_IN.glob("*.toml"))


def load_study(name_or_path: str | Path, *, overrides: Sequence[str] = ()) -> Study:
    """A study by built-in name or TOML file.

    Args:
        name_or_path: such as "quickstart" or "my_study.toml".
        overrides: "key=value" with a dotted key: "repeats=5", "task.size=8", "train.lr=0.01", "models.lr=0.01" (all
            models) or "models.Siamese CNN 3.lr=0.01" (one). The value is TOML; a bare word is a string.
    Raises:
        RequestError: unknown name or missing file.
        StudyError: with every problem that the study has.
    """
    text = str(name_or_path)
    if text in built_in_studies():
        path, base = BUILT_IN / f"{text}.toml", Path.cwd()
    else:
        path = Path(name_or_path)
        base = path.resolve().parent
        if not path.is_file():
            near = [*built_in_studies(), *(str(other) for other in Path().glob("*.toml"))]
            raise RequestError(f"no study '{text}': neither built in nor a file; {nearest(text, near)}")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(text, [f"not a TOML file: {error}"]) from error
    return parse_study(raw, overrides=overrides, where=text, base=base)


def parse_study(
    raw: Mapping[str, Any], *, overrides: Sequence[str] = (), where: str | None = None, base: Path | None = None
) -> Study:
    """Check a study given as a dict, as a whole, and resolve it.

    ``module`` may also be a class or a function that returns an nn.Module.

    Args:
        raw: the keys of a study file.
        overrides: see ``load_study``.
        where: named in errors.
        base: folder that file names in the study are relative to.
    Raises:
        StudyError: with every problem found.
    """
    where = where or str(raw.get("name", "study"))
    base = (base or Path()).resolve()
    problems: list[str] = []
    raw = _overridden(raw, overrides, problems)
    _unknown(raw, _STUDY_KEYS, "", problems)
    repeats = _whole(raw, "repeats", 10, 1, problems)
    seed = _whole(raw, "seed", 0, 0, problems)
    kind = _kind(raw.get("task", {}), problems)
    task = _task(raw.get("task", {}), kind, problems)
    quick = raw.get("quick", {})
    if isinstance(quick, Mapping):
        known = (*_QUICK_KEYS, *_amounts(kind))
        _unknown(quick, known, "quick.", problems)
        quick = {key: _whole(quick, key, 1, 1, problems, "quick.") for key in quick if key in known}
    else:
        problems.append(f"quick: expected a table, got {quick!r}")
    models = _models(raw, base, kind.recipe_type, problems)
    name = raw.get("name", Path(where).stem)
    if not isinstance(name, str) or not re.fullmatch(r"[\w][\w .+-]*", name):
        problems.append(f"name: expected letters, digits, '-', '_', '.', got {name!r}")
    if task is not None and not getattr(task, "validation", 0):
        problems += [
            f"models.{model.name}: patience and the plateau schedule look at validation data; set "
            "task.validation, such as 0.1"
            for model in models
            if model.recipe.needs_validation
        ]
    if problems or task is None:
        raise StudyError(where, _once_for_all_models(problems, raw.get("models")))
    title, description = str(raw.get("title", "")), str(raw.get("description", ""))
    return Study(str(name), task, tuple(models), repeats, seed, title, description, dict(quick), base=base)


# -- pieces -----------------------------------------------------------------------------------------------------------


def _kind(raw: Any, problems: list[str]) -> type[Task]:
    kind = raw.get("kind", _DEFAULT_KIND) if isinstance(raw, Mapping) else _DEFAULT_KIND
    if kind not in TASKS:
        problems.append(f"task.kind: no task '{kind}'; {nearest(str(kind), TASKS)}")
    return TASKS.get(kind, TASKS[_DEFAULT_KIND])


def _task(raw: Any, kind: type[Task], problems: list[str]) -> TaskSettings | None:
    if not isinstance(raw, Mapping):
        problems.append(f"task: expected a table, got {raw!r}")
        return None
    return _validated(kind.settings_type, {"kind": kind.kind} | dict(raw), "task.", problems)


def _amounts(kind: type[Task]) -> list[str]:
    """The task's amounts, of which a quick study may have fewer: whole numbers, None for all that there are."""
    whole = [name for name, field in kind.settings_type.model_fields.items() if _is_whole(field.annotation)]
    return [name for name in whole if name not in _NO_AMOUNTS]


def _is_whole(annotation: Any) -> bool:
    """Whether it is int, or int or None, with or without bounds."""
    bare = annotation.__origin__ if get_origin(annotation) is Annotated else annotation
    parts = [part for part in get_args(bare) if part is not NoneType]
    return bare is int or (len(parts) == 1 and get_origin(bare) in (Union, UnionType) and _is_whole(parts[0]))


def _models(raw: Mapping[str, Any], base: Path, recipe_type: type[Recipe], problems: list[str]) -> list[ModelSettings]:
    defaults, entries = raw.get("train", {}), raw.get("models", [])
    if not isinstance(defaults, Mapping):
        problems.append(f"train: expected a table, got {defaults!r}")
        defaults = {}
    _unknown(defaults, tuple(recipe_type.model_fields), "train.", problems)
    defaults = {key: value for key, value in defaults.items() if key in recipe_type.model_fields}
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        problems.append("models: expected at least one [[models]] table with a name and a module")
        return []
    models: list[ModelSettings] = []
    names: set[str] = set()
    for position, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            problems.append(f"models[{position}]: expected a table, got {entry!r}")
            continue
        name = entry.get("name", entry.get("module"))
        if not isinstance(name, str) or not name.strip():
            problems.append(f"models[{position}].name: expected a text, got {name!r}")
            continue
        if name in names:
            problems.append(f"models: two models are named '{name}'; names must differ")
        names.add(name)
        model = _model(name, dict(defaults) | dict(entry), base, recipe_type, problems)
        if model is not None:
            models.append(replace(model, own=tuple(key for key in entry if key in recipe_type.model_fields)))
    return models


def _model(
    name: str, entry: dict[str, Any], base: Path, recipe_type: type[Recipe], problems: list[str]
) -> ModelSettings | None:
    where = f"models.{name}."
    if "module" not in entry:
        problems.append(f'{where}module: missing; a built-in name or "my_models.py:MyNet"')
        return None
    known = (*_MODEL_KEYS, *recipe_type.model_fields)
    options = {key: value for key, value in entry.items() if key not in known}
    source = ModelFactory(entry["module"], options, base)
    try:
        accepted = source.accepts()
    except RequestError as error:
        problems.append(f"{where[:-1]}: {error}")
        return None
    if accepted is not None:
        _unknown(options, (*accepted, *known), where, problems)
        if entry.get("dropout") is not None and "dropout" not in accepted:
            problems.append(f"{where}dropout: module '{source.name}' takes no argument 'dropout'")
    recipe = _validated(recipe_type, {k: v for k, v in entry.items() if k in recipe_type.model_fields}, where, problems)
    published, repeats, note = _published(entry.get("published", {}), where, problems)
    return None if recipe is None else ModelSettings(name, source, recipe, published, repeats, note)


def _published(
    raw: Any, where: str, problems: list[str]
) -> tuple[dict[str, tuple[float, float | None]], int | None, str]:
    if not isinstance(raw, Mapping):
        problems.append(
            f"{where}published: expected a table like {{ accuracy = [81.0, 2.9], repeats = 10 }}, got {raw!r}"
        )
        return {}, None, ""
    raw = dict(raw)
    repeats, note = raw.pop("repeats", None), str(raw.pop("note", ""))
    if repeats is not None and (not isinstance(repeats, int) or isinstance(repeats, bool) or repeats < 1):
        problems.append(f"{where}published.repeats: expected a whole number from 1, got {repeats!r}")
        repeats = None
    metrics = [metric.name for task in TASKS.values() for metric in task.metrics]
    found: dict[str, tuple[float, float | None]] = {}
    for metric, value in raw.items():
        numbers = value if isinstance(value, list) else [value]
        if metric not in metrics:
            problems.append(f"{where}published: unknown metric '{metric}'; {nearest(metric, metrics)}")
        elif len(numbers) > 2 or not numbers or not all(_is_number(number) for number in numbers):
            problems.append(f"{where}published.{metric}: expected mean or [mean, deviation], got {value!r}")
        else:
            found[metric] = (float(numbers[0]), float(numbers[1]) if len(numbers) == 2 else None)
    return found, repeats, note


def _overridden(raw: Mapping[str, Any], overrides: Sequence[str], problems: list[str]) -> dict[str, Any]:
    changed: dict[str, Any] = {
        key: [dict(v) if isinstance(v, Mapping) else v for v in value]
        if isinstance(value, list)
        else dict(value)
        if isinstance(value, Mapping)
        else value
        for key, value in raw.items()
    }
    for text in overrides:
        key, equals, value_text = text.partition("=")
        if not equals:
            problems.append(f"--set {text}: expected key=value, such as models.lr=0.01")
            continue
        try:
            value = tomllib.loads(f"value = {value_text}")["value"]
        except tomllib.TOMLDecodeError:
            value = value_text
        table, _, rest = key.strip().partition(".")
        if not rest:
            changed[table] = value
        elif table == "models":
            _override_models(changed, rest, value, problems)
        else:
            inner = changed.setdefault(table, {})
            if isinstance(inner, dict):
                inner[rest] = value
            else:
                problems.append(f"--set {text}: '{table}' is no table")
    return changed


def _override_models(changed: dict[str, Any], rest: str, value: Any, problems: list[str]) -> None:
    models = [entry for entry in changed.get("models", []) if isinstance(entry, dict)]
    name, _, key = rest.rpartition(".")
    name = name.strip('"')
    chosen = [entry for entry in models if not name or entry.get("name") == name]
    if models and not chosen:
        names = [str(entry["name"]) for entry in models if entry.get("name")]
        problems.append(f"--set models.{rest}: no model '{name}'; {nearest(name, names)}")
    for entry in chosen:
        entry[key] = value


def _once_for_all_models(problems: Sequence[str], entries: Any) -> list[str]:
    """What is wrong in the same way with every model is said once: it came from [train] or from --set."""
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


def _validated(kind: Callable[..., Any], raw: Mapping[str, Any], where: str, problems: list[str]) -> Any:
    """A pydantic object, or None and one line for each of its problems."""
    fields: Mapping[str, Any] = kind.model_fields  # type: ignore[attr-defined]
    _unknown(raw, tuple(fields), where, problems)
    try:
        return kind(**{key: value for key, value in raw.items() if key in fields})
    except ValidationError as error:
        for place, entry in _one_each(error.errors()).items():
            path = ".".join(place)
            if entry["type"] == "extra_forbidden":
                inner = [part for part in get_args(fields[place[0]].annotation) if hasattr(part, "model_fields")]
                _unknown({place[-1]: None}, tuple(inner[0].model_fields), f"{where}{place[0]}.", problems)
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


def _unknown(raw: Mapping[str, Any], known: Sequence[str], where: str, problems: list[str]) -> None:
    problems += [f"unknown key '{where}{key}'; {nearest(str(key), known)}" for key in raw if key not in known]


def _whole(raw: Mapping[str, Any], key: str, default: int, least: int, problems: list[str], where: str = "") -> int:
    value = raw.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        problems.append(f"{where}{key}: expected a whole number from {least}, got {value!r}")
        return default
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(model: BaseModel) -> dict[str, Any]:
    return {key: value for key, value in model.model_dump().items() if value is not None}


def _plain_value(value: Any) -> Any:
    """A module's option as TOML can hold it; what it cannot, such as a class, in words."""
    if isinstance(value, list | tuple):
        return [_plain_value(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): _plain_value(part) for key, part in value.items() if part is not None}
    return value if isinstance(value, bool | int | float | str) else getattr(value, "__qualname__", repr(value))
