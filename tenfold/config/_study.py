"""A resolved study: one task, several models, how often each is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tenfold.config._sweep import configs_of
from tenfold.config._verdict import VerdictSettings
from tenfold.errors import RequestError, StudyError, nearest
from tenfold.metrics import Metric
from tenfold.models import ModelFactory
from tenfold.published import Published
from tenfold.recipe import Config, Recipe
from tenfold.tasks import TaskSettings, find_spec

__all__ = ["QUICK_KEYS", "ModelSettings", "Study"]

QUICK_KEYS = ("repeats", "epochs")


@dataclass(frozen=True)
class ModelSettings:
    """One model of a study.

    Args:
        name: unique in the study.
        factory: builds its module; of swept constructor arguments it has the first values.
        recipe: how it is trained; of swept settings it has the first values.
        sweep: setting of the recipe or constructor argument -> its values, in the order of the study file.
        published: metric -> published figure.
        published_table: the table ``published`` as it was given.
        own: settings of the recipe in its own table (or its own sweep), not taken over from the study's.
    """

    name: str
    factory: ModelFactory
    recipe: Recipe
    sweep: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    published: Mapping[str, Published] = field(default_factory=dict)
    published_table: Mapping[str, Any] = field(default_factory=dict)
    own: tuple[str, ...] = ()

    def configs(self, *, fitted: bool = False) -> tuple[Config, ...]:
        """Every combination of the sweep, in the order of its keys; one config where nothing is swept.

        Args:
            fitted: the model is an estimator: settings of training make no difference and are not swept.
        """
        sweep = {key: values for key, values in self.sweep.items() if not fitted or key not in self._of_training()}
        return configs_of(self.recipe, self.factory.options, sweep)

    def _of_training(self) -> set[str]:
        """Settings that have no effect on an estimator."""
        return set(type(self.recipe).model_fields) - set(self.recipe.data_values)

    def _is_fitted(self) -> bool:
        try:
            return self.factory.is_estimator
        except Exception:  # it cannot be built without the data's sizes, or at all; then it counts as a network
            return False

    def with_epochs(self, change: Callable[[int], int]) -> ModelSettings:
        """The same model with ``change`` applied to its number of epochs, and to each that it sweeps over."""
        sweep = dict(self.sweep)
        if "epochs" in sweep:
            sweep["epochs"] = list(dict.fromkeys(change(epochs) for epochs in sweep["epochs"]))
        return replace(self, recipe=self.recipe.changed({"epochs": change(self.recipe.epochs)}), sweep=sweep)

    def to_dict(self) -> dict[str, Any]:
        """Its ``[[models]]`` table, resolved. An estimator's has no settings of training: it is refused with them."""
        options = {key: value for key, value in self.factory.options.items() if value is not None}
        table = {key: _plain(value) for key, value in options.items()} | _set_values(self.recipe)
        idle = self._of_training() - set(self.own) if self._is_fitted() else set()
        sweep = {key: values for key, values in self.sweep.items() if key not in idle}
        # A setting that follows from swept ones differs between the configs.
        left_out = idle | {*sweep, *(self.recipe.derived if sweep else ())}
        table = {key: value for key, value in table.items() if key not in left_out}
        entry: dict[str, Any] = {"name": self.name, "module": self.factory.name} | table
        if self.published_table:
            entry["published"] = _plain(self.published_table)
        if sweep:
            entry["sweep"] = _plain(sweep)
        return entry


@dataclass(frozen=True)
class Study:
    """One task, several models, R repeats of each, one budget, one seed.

    Build it with ``load_study`` (a built-in name or a TOML file) or ``parse_study`` (the same as a dict).

    ``references`` are published errors of others in percent, by who made them; figures draw them beside ours.
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
    verdict: VerdictSettings = field(default_factory=VerdictSettings)
    references: Mapping[str, float] = field(default_factory=dict)
    base: Path = Path()

    @property
    def configs(self) -> list[Config]:
        """Those of all models."""
        return [config for model in self.models for config in model.configs()]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of its task, of which one is primary: the one that ``[task]`` chose, or the task's own."""
        return find_spec(self.task.kind, base=self.base).metrics_with(self.task)

    @property
    def primary(self) -> Metric:
        """The metric that decides."""
        return next(metric for metric in self.metrics if metric.primary)

    def quickened(self) -> Study:
        """The same study cut to a few minutes on two cores, as its own ``[quick]`` says; marked as such.

        Raises:
            RequestError: if it has no such part.
        """
        if not self.quick:
            raise RequestError(
                f"study '{self.name}' has no [quick] part; say there which repeats, epochs, train and test are quick"
            )
        amounts = {
            key: value if (amount := getattr(self.task, key)) is None else min(amount, value)
            for key, value in self.quick.items()
            if key not in QUICK_KEYS
        }
        task = self.task.model_copy(update=amounts)
        models, limit = self.models, self.quick.get("epochs")
        if limit is not None:
            models = tuple(model.with_epochs(lambda epochs, limit=limit: min(limit, epochs)) for model in models)
        repeats = min(self.repeats, self.quick.get("repeats", self.repeats))
        return replace(self, task=task, models=models, repeats=repeats, is_quick=True)

    def with_epochs(self, epochs: int) -> Study:
        """Every model trained for so many epochs, also one that sweeps over them."""
        return replace(self, models=tuple(model.with_epochs(lambda _: epochs) for model in self.models))

    def with_models(self, names: Sequence[str]) -> Study:
        """Only the named models, in the study's order."""
        known = [model.name for model in self.models]
        problems = [f"no model '{name}' in this study; {nearest(name, known)}" for name in names if name not in known]
        if problems:
            raise StudyError(self.name, problems)
        against = self.verdict.against
        if against is not None and against not in names:
            raise StudyError(
                self.name, [f"verdict.against: '{against}' is left out; choose it too, or leave it out there"]
            )
        return replace(self, models=tuple(model for model in self.models if model.name in names))

    def to_dict(self) -> dict[str, Any]:
        """Plain values only: what the record holds and what ``parse_study`` reads back."""
        raw: dict[str, Any] = {"name": self.name, "title": self.title, "description": self.description}
        raw |= {"repeats": self.repeats, "seed": self.seed, "task": _plain(_set_values(self.task))}
        if self.quick:
            raw["quick"] = dict(self.quick)
        if verdict := self.verdict.as_dict():
            raw["verdict"] = verdict
        if self.references:
            raw["references"] = dict(self.references)
        return raw | {"models": [model.to_dict() for model in self.models]}


def _set_values(settings: BaseModel) -> dict[str, Any]:
    return {key: value for key, value in settings.model_dump().items() if value is not None}


def _plain(value: Any) -> Any:
    """A module's option as TOML can hold it; what it cannot, such as a class, in words."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items() if part is not None}
    return value if isinstance(value, bool | int | float | str) else getattr(value, "__qualname__", repr(value))
