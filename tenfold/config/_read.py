"""Study files and dicts: read, checked as a whole, resolved. Every default stands in one place, the field."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from tenfold.config._check import integer, once_for_all_models, unknown, validated
from tenfold.config._keys import amounts
from tenfold.config._override import overridden
from tenfold.config._study import QUICK_KEYS, ModelSettings, Study
from tenfold.config._sweep import listed, read_sweep, recipes_of, single_values
from tenfold.config._verdict import read_verdict
from tenfold.errors import RequestError, StudyError, nearest
from tenfold.models import ModelFactory
from tenfold.published import read_published
from tenfold.tasks import SPECS, TaskSettings, TaskSpec, find_spec

__all__ = ["BUILT_IN", "built_in_studies", "load_study", "parse_study", "to_toml"]

BUILT_IN = Path(__file__).parent.parent / "studies"

_STUDY_KEYS = (
    "name",
    "title",
    "description",
    "repeats",
    "seed",
    "task",
    "train",
    "models",
    "quick",
    "verdict",
    "references",
)
_MODEL_KEYS = ("name", "module", "published", "sweep")


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
            models) or "models.Siamese CNN 3.lr=0.01" (one); a list of values to sweep over goes to
            "train.sweep.lr=[0.1, 0.01]", "models.sweep.lr=..." or "models.Siamese CNN 3.sweep.lr=...". The value is
            TOML; a bare word is a string.
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
    try:
        if not path.is_file():
            near = [*built_in_studies(), *(str(other) for other in Path().glob("*.toml"))]
            raise RequestError(f"no study '{text}': neither built in nor a file; {nearest(text, near)}")
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"cannot read the study '{text}': {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(text, [f"not a TOML file: {error}"]) from error
    return parse_study(raw, overrides=overrides, where=text, base=base)


def parse_study(
    raw: Mapping[str, Any], *, overrides: Sequence[str] = (), where: str | None = None, base: Path | None = None
) -> Study:
    """Check a study given as a dict, as a whole, and resolve it.

    ``module`` may also be a class or a function that returns an nn.Module, and the task's ``kind`` a class.

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
    raw = overridden(raw, overrides, problems)
    of_task: list[str] = []
    spec = _spec(raw.get("task", {}), base, of_task)
    tables = _other_tables(spec)
    unknown(raw, _STUDY_KEYS, "", problems, tables)
    repeats = integer(raw, "repeats", 10, 1, problems)
    seed = integer(raw, "seed", 0, 0, problems)
    problems += of_task
    task = None if spec is None else validated(spec.settings, raw["task"], "task.", problems, tables)
    quick = _quick(raw.get("quick", {}), spec, problems)
    references = _references(raw.get("references", {}), problems)
    absent = {} if task is None else task.not_measured()
    models = _models(raw, base, spec, absent, problems)
    known = [] if spec is None else [metric.name for metric in spec.metrics if metric.name not in absent]
    verdict = read_verdict(raw.get("verdict", {}), [model.name for model in models], known, problems)
    name = raw.get("name", Path(where).stem)
    if not isinstance(name, str) or not re.fullmatch(r"[\w][\w .+-]*", name):
        problems.append(f"name: expected letters, digits, '-', '_', '.', got {name!r}")
    if task is not None and spec is not None:
        problems += [*_missing_validation(task, models), *_wrong_metric(task, spec)]
    if problems or task is None:
        raise StudyError(where, once_for_all_models(problems, raw.get("models")))
    title, description = str(raw.get("title", "")), str(raw.get("description", ""))
    return Study(
        str(name),
        task,
        tuple(models),
        repeats,
        seed,
        title,
        description,
        quick,
        verdict=verdict,
        references=references,
        base=base,
    )


# -- task -------------------------------------------------------------------------------------------------------------


def _spec(raw: Any, base: Path, problems: list[str]) -> TaskSpec | None:
    """What is known of the study's task; None where that is not clear, and what depends on it cannot be checked."""
    if not isinstance(raw, Mapping):
        problems.append(f"task: expected a table, got {raw!r}")
        return None
    if "kind" not in raw:
        problems.append(f'task.kind: missing; one of {", ".join(SPECS)}, or one of your own: "my_task.py:MyTask"')
        return None
    try:
        return find_spec(raw["kind"], base=base)
    except RequestError as error:
        problems.append(f"task.kind: {error}")
    meant = difflib.get_close_matches(str(raw["kind"]), SPECS, n=1)
    return SPECS[meant[0]] if meant else None


def _other_tables(spec: TaskSpec | None) -> dict[str, tuple[str, ...]]:
    """Keys by table, for the hint beside a key that is in another one."""
    tables: dict[str, tuple[str, ...]] = {"the top level": _STUDY_KEYS}
    if spec is not None:
        tables = {"[train]": tuple(spec.recipe.model_fields), "[task]": tuple(spec.settings.model_fields)} | tables
    return tables


def _quick(raw: Any, spec: TaskSpec | None, problems: list[str]) -> dict[str, int]:
    if not isinstance(raw, Mapping):
        problems.append(f"quick: expected a table, got {raw!r}")
        return {}
    known = (*QUICK_KEYS, *(() if spec is None else amounts(spec.settings)))
    if spec is not None:
        unknown(raw, known, "quick.", problems)
    return {key: integer(raw, key, 1, 1, problems, "quick.") for key in raw if key in known}


def _references(raw: Any, problems: list[str]) -> dict[str, float]:
    if not isinstance(raw, Mapping):
        problems.append(f"references: expected a table of published errors in percent, got {raw!r}")
        return {}
    found = {}
    for name, error in raw.items():
        if isinstance(error, bool) or not isinstance(error, int | float) or not 0 <= error <= 100:
            problems.append(f"references.{name}: expected an error in percent, from 0 to 100, got {error!r}")
        else:
            found[str(name)] = float(error)
    return found


def _missing_validation(task: TaskSettings, models: Sequence[ModelSettings]) -> list[str]:
    if getattr(task, "validation", 0):
        return []
    return [
        f"models.{model.name}: patience and the plateau schedule look at validation data; set task.validation, such as "
        "0.1"
        for model in models
        if any(config.recipe.needs_validation for config in model.configs())
    ]


def _wrong_metric(task: TaskSettings, spec: TaskSpec) -> list[str]:
    try:
        spec.metrics_with(task)
    except RequestError as error:
        return [f"task.metric: {error}"]
    return []


# -- models -----------------------------------------------------------------------------------------------------------


def _models(
    raw: Mapping[str, Any], base: Path, spec: TaskSpec | None, absent: Mapping[str, str], problems: list[str]
) -> list[ModelSettings]:
    train, entries = raw.get("train", {}), raw.get("models", [])
    if not isinstance(train, Mapping):
        problems.append(f"train: expected a table, got {train!r}")
        train = {}
    if spec is not None:
        unknown(train, (*spec.recipe.model_fields, "sweep"), "train.", problems, _other_tables(spec))
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        problems.append("models: expected at least one [[models]] table with a name and a module")
        return []
    common = _tables(train, "train.", problems)
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
        model = None if spec is None else _model(name, entry, common, base, spec, absent, problems)
        if model is not None:
            models.append(model)
    return models


def _tables(raw: Mapping[str, Any], where: str, problems: list[str]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The single values of a table, and its sweep."""
    plain = {key: value for key, value in raw.items() if key != "sweep"}
    sweep = listed(raw.get("sweep", {}), where, problems)
    problems += [f"{where}{key}: is set both here and under sweep; leave one out" for key in plain if key in sweep]
    return plain, sweep


def _model(
    name: str,
    entry: Mapping[str, Any],
    common: tuple[Mapping[str, Any], Mapping[str, list[Any]]],
    base: Path,
    spec: TaskSpec,
    absent: Mapping[str, str],
    problems: list[str],
) -> ModelSettings | None:
    where, settings = f"models.{name}.", spec.recipe.model_fields
    if "module" not in entry:
        problems.append(f'{where}module: missing; a built-in name or "my_models.py:MyNet"')
        return None
    so_far = len(problems)
    own, own_sweep = _tables(entry, where, problems)
    # What the model's own table says is stronger than [train], be it one value or a sweep.
    plain = {key: value for key, value in common[0].items() if key in settings and key not in own_sweep} | own
    sweep = {key: values for key, values in common[1].items() if key not in own} | own_sweep
    source = ModelFactory(entry["module"], base=base)
    try:
        accepted = source.accepts()
    except RequestError as error:
        problems.append(f"{where[:-1]}: {error}")
        return None
    lists = dict(single_values(plain, spec.recipe, source.scalars(), where, own))
    problems += lists.values()
    recipe_values = {key: value for key, value in plain.items() if key in settings and key not in lists}
    options = {key: value for key, value in plain.items() if key not in (*_MODEL_KEYS, *settings)}
    if accepted is not None:
        unknown(options, (*accepted, *_MODEL_KEYS, *settings), where, problems, _other_tables(spec))
    sweep = read_sweep(sweep, spec.recipe, accepted, where, problems)
    lines: list[str] = []
    recipe, sweep = recipes_of(spec.recipe, recipe_values, sweep, where, lines)
    if len(problems) > so_far:  # settings may look inconsistent only because others were left out
        lines = [line for line in lines if not line.startswith(f"{where[:-1]}: ")]
    problems += lines
    table = entry.get("published", {})
    published = read_published(table, spec.metrics, where, problems, absent=absent)
    if recipe is None:
        return None
    options |= {key: values[0] for key, values in sweep.items() if key not in settings}
    return ModelSettings(
        name,
        ModelFactory(entry["module"], options, base),
        recipe,
        sweep,
        published,
        table if isinstance(table, Mapping) else {},
        own=tuple(key for key in (*own, *own_sweep) if key in settings),
    )
