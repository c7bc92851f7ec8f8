"""What there is, and what a study says, as text."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.wording import significant, value_text

if TYPE_CHECKING:
    from tenfold.config import ModelSettings, Study
    from tenfold.published import Published
    from tenfold.tasks import Task

__all__ = ["datasets_text", "keys_of_task", "listing_text", "study_text"]


def listing_text() -> str:
    """Built-in studies, models, estimators and data sets, a line each."""
    from tenfold.config import BUILT_IN, built_in_studies
    from tenfold.models import ESTIMATORS, MODELS
    from tenfold.source import first_line
    from tenfold.tasks import TASKS

    titles = {
        name: str(tomllib.loads((BUILT_IN / f"{name}.toml").read_text(encoding="utf-8")).get("title", ""))
        for name in built_in_studies()
    }
    sections = {
        "Studies (tenfold show NAME)": titles,
        "Tasks": {name: first_line(*TASKS.source(name)) for name in TASKS},
        "Models": {name: first_line(*MODELS.source(name)) for name in MODELS},
        "Estimators": {name: first_line(*ESTIMATORS.source(name)) for name in ESTIMATORS},
    }
    return "\n\n".join(
        [*(_section(title, lines) for title, lines in sections.items()), f"Data sets\n{datasets_text()}"]
    )


def datasets_text() -> str:
    """The known data sets with their state and licence."""
    from tenfold.datasets import DATASETS, available

    size = max(len(dataset.name) for dataset in DATASETS)
    return "\n".join(
        f"  {each.name:<{size}}  {each.title}\n  {'':<{size}}  {available(each)}; licence {each.licence}"
        for each in DATASETS
    )


def study_text(study: Study, data_notes: Sequence[str] | None = None) -> str:
    """A study as resolved: protocol, task, data, and each model with its size, recipe and published figures.

    Args:
        data_notes: what a record says of its data; None where there is no record, so that it is found anew.
    """
    head = f"{study.name}: {study.title}" if study.title else study.name
    task, without_task = _task(study)
    notes = _data_notes(study, task) if data_notes is None else data_notes
    settings = {"repeats": study.repeats, "seed": study.seed, "compared by": study.primary.name}
    units = {metric.name: metric.unit for metric in study.metrics}
    parts = [
        head,
        study.description.strip(),
        "\n".join(
            [
                _pairs("study", settings),
                _pairs(
                    "task", {key: value for key, value in study.task.model_dump().items() if value not in (None, {})}
                ),
                *([_pairs("quick", study.quick)] if study.quick else []),
                *([f"  repeats {task.resampling(study.configs).reason}"] if task is not None else []),
            ]
        ),
        "\n  ".join(["Data", *notes]) if notes else "",
        *("\n".join(_model(model, task, units)) for model in study.models),
        without_task,
    ]
    return "\n\n".join(part for part in parts if part)


def keys_of_task(task: str) -> str:
    """Every key of a study file for a task, built in or of one's own."""
    from tenfold.cli._tables import terminal_width
    from tenfold.config import keys_text
    from tenfold.tasks import find_spec

    return keys_text(find_spec(task, base=Path.cwd()), terminal_width() or 100)


def _model(model: ModelSettings, task: Task | None, units: Mapping[str, str]) -> Iterator[str]:
    options = _values({key: value for key, value in model.factory.options.items() if key not in model.sweep})
    yield model.name
    yield f"  module      {model.factory.name}{f' ({options})' if options else ''}"
    fitted = task is not None and _is_estimator(model, task)
    if task is not None and not fitted:
        yield f"  parameters  {_parameters(model, task)}"
    yield "  training    none: one fit a run" if fitted else f"  training    {_values(_recipe(model))}"
    if swept := model.configs(fitted=fitted)[0].swept:
        lists = (f"{key} {', '.join(map(value_text, model.sweep[key]))}" for key in swept)
        yield f"  sweep       {'; '.join(lists)}"
    if model.published:
        yield f"  published   {_published(model, units)}"


def _recipe(model: ModelSettings) -> dict[str, Any]:
    """The settings that say something: the budget always, the others where they are not the default."""
    always = ("optimizer", "lr", "batch_size", "epochs")
    fields, values = type(model.recipe).model_fields, model.recipe.model_dump()
    chosen = {key: values[key] for key in always} | {
        key: value for key, value in values.items() if key not in always and value != fields[key].default
    }
    return {key: value for key, value in chosen.items() if key not in model.sweep}


def _published(model: ModelSettings, units: Mapping[str, str]) -> str:
    def text(metric: str, figure: Published) -> str:
        scale = 100 if units[metric] == "%" else 1
        std = "" if math.isnan(figure.std) else f" +- {significant(scale * figure.std, 6)}"
        return f"{metric} {significant(scale * figure.mean, 6)}{std} {units[metric]}"

    figures = ", ".join(text(metric, figure) for metric, figure in model.published.items())
    counts = dict.fromkeys(figure.n for figure in model.published.values() if figure.n is not None)
    repeats = f" over {' or '.join(map(str, counts))} repeats" if counts else ""
    notes = dict.fromkeys(figure.note for figure in model.published.values() if figure.note)
    return "; ".join([f"{figures}{repeats}", *notes])


def _task(study: Study) -> tuple[Task | None, str]:
    """The task, or why there is none: showing a study must not start a download."""
    from tenfold.datasets import DATASETS, available
    from tenfold.study import load_task

    name = study.task.data
    if any(each.name == name for each in DATASETS) and available(name).startswith("to download"):
        return None, f"Parameters are not counted before the data are there: tenfold data fetch {name}"
    return load_task(study), ""


def _data_notes(study: Study, task: Task | None) -> list[str]:
    """What was left out of the data, and what their division means; or why the study cannot be trained with them."""
    from tenfold.errors import TenfoldError
    from tenfold.study import data_notes

    try:
        return [] if task is None else data_notes(study, task)
    except TenfoldError as error:
        return [str(error)]


def _parameters(model: ModelSettings, task: Task) -> str:
    from tenfold.models import with_module_kwargs

    try:
        factory = with_module_kwargs(model.factory, task.info.module_kwargs)
        different = {repr(config.options): config.options for config in model.configs()}
        modules = (factory.build(0, **options) for options in different.values())
        counts = sorted({sum(parameter.numel() for parameter in module.parameters()) for module in modules})
        return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    except Exception as error:  # whatever a user's module raises; `run` refuses it, `show` still shows the rest
        return f"cannot be built: {type(error).__name__}: {error}"


def _is_estimator(model: ModelSettings, task: Task) -> bool:
    from tenfold.models import with_module_kwargs

    try:
        return with_module_kwargs(model.factory, task.info.module_kwargs).is_estimator
    except Exception:  # it cannot be built, which _parameters says
        return False


def _section(title: str, lines: Mapping[str, str]) -> str:
    size = max(map(len, lines), default=0)
    return "\n".join([title, *(f"  {name:<{size}}  {text}".rstrip() for name, text in lines.items())])


def _pairs(title: str, values: Mapping[str, Any]) -> str:
    return f"  {title:<6}  {_values(values)}"


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value_text(value)}" for key, value in values.items())
