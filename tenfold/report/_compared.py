"""What was compared, in numbers: the data, and size and settings of each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.record import Reader
from tenfold.wording import listed, settings_text, value_text

__all__ = ["Compared", "ModelRow", "compared"]

_NO_SETTING = ("name", "module", "published", "sweep")
_ALWAYS = ("optimizer", "lr", "batch_size", "epochs")


@dataclass(frozen=True)
class ModelRow:
    """One model as text: what builds its modules, the parameters of one run, and the settings of its training."""

    model: str
    module: str
    options: str
    parameters: str
    settings: str


@dataclass(frozen=True)
class Compared:
    """What a report says of data and models.

    Attributes:
        data: sentences on how much data there is, and how much of it a repeat has; empty where the record says nothing.
        classes: name of each class, and how many items it has.
        item: what these items are, such as "Windows".
        models: one row per model, in the order of the study.
        shared: the settings that all models that are trained share, as text.
    """

    data: list[str]
    classes: list[tuple[str, str]]
    item: str
    models: list[ModelRow]
    shared: str


def compared(results: Reader) -> Compared:
    """Data and models of a record in numbers.

    Example:
        >>> _amounts({"windows": 12000, "classes": 6, "groups": 1})
        '12,000 windows, 6 classes and 1 group'
    """
    task = _fact(results, "task")
    counts, each, names = _fact(task, "counts"), _fact(task, "each_repeat"), _fact(task, "labels").get("class") or []
    return Compared(
        data=[
            *([f"{_amounts(counts)}."] if counts else []),
            *([f"In every repeat {_amounts(each)}."] if each else []),
        ],
        classes=[(str(n), f"{count:,}") for n, count in zip(names, task.get("class_counts") or [], strict=False)],
        item=next(iter(counts), "items").capitalize(),
        models=_model_rows(results),
        shared=settings_text(_shared(_trained(results))),
    )


def _model_rows(results: Reader) -> list[ModelRow]:
    """Settings are those that differ between models, and the budget."""
    built, sizes, trained = (_fact(results, "models"), _fact(results, "parameters"), _trained(results))
    shared = _shared(trained)
    rows = []
    for entry in results.study["models"]:
        name = entry["name"]
        settings = trained.get(name)
        own = {} if settings is None else {
            key: value for key, value in settings.items() if key in _ALWAYS or key not in shared
        }  # fmt: skip
        sweep = entry.get("sweep") or {}
        swept = [f"{key}: {listed([value_text(value) for value in values])}" for key, values in sweep.items()]
        rows.append(
            ModelRow(
                model=name,
                module=str(_fact(built, name).get("name") or entry.get("module") or "–"),
                options=settings_text(_options(_fact(built, name))),
                parameters=_range(sizes.get(name) or []),
                settings="; ".join([settings_text(own) if own else "fitted, not trained" * (settings is None), *swept]),
            )
        )
    return rows


def _trained(results: Reader) -> dict[str, dict[str, Any]]:
    """The settings of each model that is trained, without arguments of its constructor and what is swept."""
    built = _fact(results, "models")
    found = {}
    for entry in results.study["models"]:
        of_model = _fact(built, entry["name"])
        if of_model.get("estimator"):
            continue
        arguments = {*_NO_SETTING, *(key for options in of_model.get("options") or [] for key in options)}
        found[entry["name"]] = {key: value for key, value in entry.items() if key not in arguments}
    return found


def _shared(trained: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    settings = list(trained.values())
    if len(settings) < 2:
        return {}
    return {
        key: value
        for key, value in settings[0].items()
        if all(key in other and other[key] == value for other in settings[1:])
    }


def _options(built: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor that are the same in all variants of a model."""
    first, *others = built.get("options") or [{}]
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}


def _range(counts: Sequence[int]) -> str:
    if not counts:
        return "–"
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _amounts(counts: Mapping[str, int]) -> str:
    return listed([f"{count:,} {word if count != 1 else _singular(word)}" for word, count in counts.items()])


def _singular(words: str) -> str:
    """Words in the plural for one of them.

    Example:
        >>> _singular("classes"), _singular("windows to test")
        ('class', 'window to test')
    """
    first, _, rest = words.partition(" ")
    return " ".join([first.removesuffix("es" if first.endswith("sses") else "s"), *([rest] if rest else [])])


def _fact(source: Reader | Mapping[str, Any], name: str) -> dict[str, Any]:
    """A fact that is an object; empty where the record lacks it."""
    found = source.meta(name) if isinstance(source, Reader) else source.get(name)
    return dict(found) if isinstance(found, Mapping) else {}
