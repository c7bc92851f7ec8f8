"""The winner of a study, handed over: its modules with their weights, and what can be done with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from tenfold.config import ModelSettings, parse_study
from tenfold.errors import RequestError
from tenfold.recipe import Config
from tenfold.record import Reader, Variant
from tenfold.retrieval import Matcher

__all__ = ["Results", "Winner"]


class Results(Reader):
    """The results of a study, which can also hand over a trained model."""

    def best(self, metric: str | None = None) -> Winner:
        """The model with the best mean, of a metric or the primary one.

        Raises:
            RequestError: if no run of any model has a score yet.
        """
        ranks = self.ranking(metric)
        if not ranks:
            raise RequestError(f"the record {self.folder} has no scores yet: run the study to its end")
        return self.winner(ranks[0].label)

    def winner(self, label: str) -> Winner:
        """The model (and setting) of the name that tables show."""
        found = {variant.label: variant for variant in self.variants}
        if label not in found:
            raise RequestError(f"no model '{label}' in the record {self.folder}; there are {', '.join(found)}")
        return Winner(self, found[label])


@dataclass(frozen=True)
class Winner:
    """All repeats of one model of a study, trained.

    Args:
        results: of the study.
        variant: model and setting.
    """

    results: Reader
    variant: Variant

    @property
    def repeats(self) -> tuple[int, ...]:
        """Those that were trained to their end and did not diverge."""
        return tuple(
            run.repeat
            for run in self.results.runs
            if run.variant == self.variant and run.status in ("finished", "stopped")
        )

    def module(self, repeat: int) -> nn.Module:
        """The plain module of one repeat, with its weights, in evaluation mode.

        Raises:
            RequestError: if that repeat was not trained, or the model is an estimator, of which nothing is kept.
        """
        if repeat not in self.repeats:
            raise RequestError(f"repeat {repeat} of {self.variant.label} is not there; there are {self.repeats}")
        model, config = self._model()
        source = model.factory
        facts = (self.results.meta("task") or {}).get("module_kwargs", {})
        accepted = source.accepts() or set()
        source = replace(
            source, options={name: value for name, value in facts.items() if name in accepted} | dict(source.options)
        )
        if source.is_estimator:
            raise RequestError(
                f"{self.variant.label} is an estimator ({source.name}): it has no weights, and the record keeps its "
                "predictions only. Build it yourself and call its fit(inputs, targets)"
            )
        module = source.build(0, **({} if config.dropout is None else {"dropout": config.dropout}))
        kept = self.results.predictions(self.variant.model)  # in the order of the weights
        assert kept is not None
        at = int(np.flatnonzero((kept["variant"] == self.variant.index) & (kept["repeat"] == repeat))[0])
        weights, _ = self.results.weights(self.variant.model)
        module.load_state_dict({name: torch.from_numpy(np.array(value[at])) for name, value in weights.items()})
        return module.eval()

    def matcher(self, *, similarity: Literal["cosine", "euclidean"] | None = None) -> Matcher:
        """Recognises images by example, with the embeddings of all repeats together.

        Each repeat's embedding is brought to length 1 and they are put side by side, so that the cosine similarity is
        the mean of the repeats'.

        Args:
            similarity: by which examples are ranked; the study's by default.
        Raises:
            RequestError: if the study is not one of matching by example.
        """
        task = self.results.study["task"]
        if task.get("kind") != "match":
            raise RequestError(f"a matcher needs a study of the task 'match'; this one is '{task.get('kind')}'")
        modules = [self.module(repeat) for repeat in self.repeats]
        if not modules:
            raise RequestError(f"no repeat of {self.variant.label} was trained to its end")
        size = (self.results.meta("task") or {}).get("module_kwargs", {}).get("size")
        embed = _Together(modules, invert=bool(task.get("invert")))
        return Matcher(embed, similarity=similarity or task.get("similarity", "cosine"), size=size)

    def _model(self) -> tuple[ModelSettings, Config]:
        folder = self.results.folder
        base = self.results.meta("base")
        raw: dict[str, Any] = {
            key: value
            for key, value in self.results.study.items()
            if key not in ("resampling", "data_fingerprint") and (key != "quick" or isinstance(value, dict))
        }
        study = parse_study(raw, base=(folder / base) if base else Path())
        model = next(model for model in study.models if model.name == self.variant.model)
        # An estimator has fewer configs than its recipe.
        config = next(
            (config for config in model.recipe.configs() if config.setting == self.variant.swept_label), Config()
        )
        return model, config


class _Together:
    """Images (n, 1, size, size) -> the embeddings of several modules, each of length 1, side by side."""

    def __init__(self, modules: list[nn.Module], *, invert: bool = False) -> None:
        self.modules, self.invert = modules, invert

    def __call__(self, images: np.ndarray) -> np.ndarray:
        inputs: Tensor = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
        inputs = 1 - inputs if self.invert else inputs
        with torch.no_grad():
            parts = [nn.functional.normalize(module(inputs).float(), dim=1) for module in self.modules]
        return torch.cat(parts, dim=1).numpy()
