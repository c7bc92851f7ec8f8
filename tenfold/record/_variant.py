"""What a study compares: a model with one combination of the values that were swept."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenfold.errors import RecordError, nearest
from tenfold.record._same import normal_json
from tenfold.wording import settings_text

__all__ = ["Settings", "Variant", "of_study", "variant_from_json", "variants_of"]

Settings = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, order=True)
class Variant:
    """A model with a config, as the record holds it; what is compared.

    Two variants of a record are the same where model and index are.

    Attributes:
        model: its name.
        index: its place among the variants of the model, counted from 0.
        swept: names and values of the settings that were swept for this model; empty without a sweep. Lists are tuples.
        protocol: settings by which the data are divided, such as the kind of split, where they differ within the study;
            swept ones, and those that are set for a whole model.
    """

    model: str
    index: int = 0
    swept: Settings = field(default=(), compare=False)
    protocol: Settings = field(default=(), compare=False)

    @property
    def swept_label(self) -> str:
        """The swept values for people, such as "lr=0.1, depth=3"; "" without a sweep."""
        return settings_text(self.swept)

    @property
    def label(self) -> str:
        """The name in tables and verdicts.

        Example:
            >>> Variant("CNN").label, Variant("CNN", 1, (("lr", 0.1),)).label
            ('CNN', 'CNN (lr=0.1)')
        """
        return f"{self.model} ({self.swept_label})" if self.swept else self.model

    @property
    def apart_from_protocol(self) -> tuple[str, Settings]:
        """The model and what was swept besides the protocol: alike for one model under two protocols."""
        names = {name for name, _ in self.protocol}
        return self.model, tuple(pair for pair in self.swept if pair[0] not in names)


def variants_of(
    models: Sequence[str], variants: Mapping[str, Iterable[Mapping[str, Any]]] | None
) -> tuple[Variant, ...]:
    """The variants of a study in its order; a model that is not in ``variants`` has one, without a sweep.

    Args:
        models: names, in order.
        variants: model -> one ``{"swept": {...}, "protocol": {...}}`` for each variant; either key may be missing.
    Raises:
        RecordError: an unknown model or key, a protocol that contradicts what was swept, or two variants with one
            label.
    Example:
        >>> [variant.label for variant in variants_of(["CNN", "MLP"], {"CNN": [{"swept": {"lr": 0.1}}]})]
        ['CNN (lr=0.1)', 'MLP']
    """
    given = variants or {}
    for model in given:
        if model not in models:
            raise RecordError(f"variants of '{model}': the study has no such model; {nearest(model, models)}")
    found = [
        _variant(model, index, entry) for model in models for index, entry in enumerate([*given.get(model, ())] or [{}])
    ]
    label, count = Counter(variant.label for variant in found).most_common(1)[0] if found else ("", 1)
    if count > 1:
        raise RecordError(f"{count} variants are called '{label}': give one of the models another name.")
    return tuple(found)


def of_study(variants: Iterable[Variant], models: Sequence[str]) -> tuple[Variant, ...]:
    """Those of the study's models, in its order: a record may also hold models that were left out later."""
    kept = [variant for variant in variants if variant.model in models]
    return tuple(sorted(kept, key=lambda variant: models.index(variant.model)))


def variant_from_json(model: str, index: int, swept: str, protocol: str) -> Variant:
    """A variant from its row in the table ``variants``."""
    return Variant(model, index, _settings(json.loads(swept)), _settings(json.loads(protocol)))


def _variant(model: str, index: int, entry: Mapping[str, Any]) -> Variant:
    for key in entry:
        if key not in ("swept", "protocol"):
            raise RecordError(f"variant {index} of '{model}': unknown key '{key}'; known: protocol, swept")
    swept, protocol = (normal_json(entry.get(key, {})) for key in ("swept", "protocol"))
    for name, value in protocol.items():
        if swept.get(name, value) != value:
            raise RecordError(
                f"variant {index} of '{model}': '{name}' is {value!r} in the protocol and {swept[name]!r} in the sweep."
            )
        if isinstance(value, dict):
            raise RecordError(f"variant {index} of '{model}': '{name}' of the protocol is a table; expected a value.")
    return Variant(model, index, _settings(swept), _settings(protocol))


def _settings(values: Mapping[str, Any]) -> Settings:
    return tuple((name, _tuples(value)) for name, value in values.items())


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
