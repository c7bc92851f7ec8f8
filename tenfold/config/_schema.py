"""A JSON schema of the study file, by which an editor completes and checks it; made from the settings themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticOmit, core_schema

from tenfold.config._keys import amounts, described
from tenfold.config._study import QUICK_KEYS
from tenfold.config._verdict import VerdictSettings
from tenfold.models import ESTIMATORS, MODELS, ModelFactory
from tenfold.tasks import TaskSpec

__all__ = ["study_schema"]

_OWN = r"\.py:"  # one's own task or module: "my_task.py:MyTask"
_COUNT = {"type": "integer", "minimum": 1}
_TEXT = {"type": "string"}


class _Generator(GenerateJsonSchema):
    """Leaves out what a file cannot hold: a class in place of its name."""

    def is_subclass_schema(self, schema: core_schema.IsSubclassSchema) -> JsonSchemaValue:
        raise PydanticOmit

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:
        raise PydanticOmit


def study_schema(specs: Mapping[str, TaskSpec]) -> dict[str, Any]:
    """The schema (draft 7) of a study of any of these tasks; of a task of one's own it knows the common keys."""
    definitions: dict[str, Any] = {}
    cases = [_case(kind, spec, definitions) for kind, spec in specs.items()]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "tenfold study",
        "description": "docs/study-file.md explains every key",
        "type": "object",
        "required": ["task", "models"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "pattern": r"^\w[\w .+-]*$"},
            "title": _TEXT,
            "description": _TEXT,
            "repeats": _COUNT | {"default": 10},
            "seed": {"type": "integer", "minimum": 0, "default": 0},
            "task": {
                "type": "object",
                "required": ["kind", "data"],
                "properties": {"kind": {"anyOf": [{"enum": list(specs)}, {"type": "string", "pattern": _OWN}]}},
            },
            "train": {"type": "object"},
            "models": {"type": "array", "minItems": 1, "items": _model(specs, definitions)},
            "quick": {"type": "object", "additionalProperties": _COUNT},
            "verdict": {
                "type": "object",
                "additionalProperties": False,
                "properties": _properties(VerdictSettings, definitions),
            },
            "references": {
                "type": "object",
                "additionalProperties": {"type": "number", "minimum": 0, "maximum": 100},
            },
        },
        "allOf": cases,
        "definitions": definitions,
    }


def _case(kind: str, spec: TaskSpec, definitions: dict[str, Any]) -> dict[str, Any]:
    """What holds in a study of one task."""
    task = _properties(spec.settings, definitions)
    task["kind"] = {"const": kind}
    task["metric"] = {"enum": [metric.name for metric in spec.metrics], "description": task["metric"]["description"]}
    recipe = f"recipe of {kind}"
    definitions[recipe] = {"type": "object", "properties": _properties(spec.recipe, definitions)}
    place = f"#/definitions/{recipe.replace(' ', '%20')}"
    sweep = {
        name: {"type": "array", "minItems": 1, "items": {"$ref": f"{place}/properties/{name}"}}
        for name in spec.recipe.model_fields
    }
    definitions[f"sweep of {kind}"] = {
        "type": "object",
        "properties": sweep,
        "additionalProperties": {"type": "array", "minItems": 1},
    }
    swept = {"sweep": {"$ref": f"#/definitions/sweep%20of%20{kind}"}}
    training = {
        "allOf": [{"$ref": place}],
        "properties": swept,
        "propertyNames": {"enum": [*spec.recipe.model_fields, "sweep"]},
    }
    model = {"allOf": [{"$ref": place}], "properties": swept | {"published": _published(spec)}}
    quick = {"propertyNames": {"enum": [*QUICK_KEYS, *amounts(spec.settings)]}}
    tables = {
        "task": {"properties": task, "additionalProperties": False},
        "train": training,
        "quick": quick,
        "models": {"items": model},
    }
    return {
        "if": {"required": ["task"], "properties": {"task": {"properties": {"kind": {"const": kind}}}}},
        "then": {"properties": tables},
    }


def _properties(kind: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """Each field with its meaning. Inner tables go to ``definitions``; a key is left out where it would be none."""
    made = kind.model_json_schema(schema_generator=_Generator, ref_template="#/definitions/{model}")
    for name, inner in made.get("$defs", {}).items():
        definitions[name] = _without_none(inner) | {"additionalProperties": False}
    meanings = described(kind)
    return {
        name: _without_none(field) | {"description": meanings.get(name, "")}
        for name, field in made["properties"].items()
    }


def _without_none(schema: Any) -> Any:
    """A schema without the choice "null", and without titles: TOML has no null."""
    if isinstance(schema, list):
        return [_without_none(each) for each in schema if each != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key != "title" or not isinstance(value, str)}
    if "default" in kept and kept["default"] is None:
        del kept["default"]
    kept = {key: value if key == "default" else _without_none(value) for key, value in kept.items()}
    if len(kept.get("anyOf", ())) == 1:
        kept |= kept.pop("anyOf")[0]
    return kept


def _published(spec: TaskSpec) -> dict[str, Any]:
    number = {"type": "number"}
    keys = {"mean": number, "std": {"type": "number", "minimum": 0}, "repeats": _COUNT, "note": _TEXT, "suspect": _TEXT}
    pair = {"type": "array", "items": number, "minItems": 1, "maxItems": 2}
    figure = {
        "anyOf": [
            number,
            pair,
            {"type": "object", "required": ["mean"], "properties": keys, "additionalProperties": False},
        ]
    }
    metrics = {
        metric.name: figure | {"description": f"{metric.label} {metric.unit}".strip()} for metric in spec.metrics
    }
    return {"type": "object", "properties": metrics | {"repeats": _COUNT, "note": _TEXT}, "additionalProperties": False}


def _model(specs: Mapping[str, TaskSpec], definitions: dict[str, Any]) -> dict[str, Any]:
    """A ``[[models]]`` table: the names that a built-in module takes are known, those of one's own are not."""
    training = [name for spec in specs.values() for name in spec.recipe.model_fields]
    definitions["key of a model"] = {"enum": list(dict.fromkeys(("name", "module", "published", "sweep", *training)))}
    common = {"$ref": "#/definitions/key%20of%20a%20model"}
    cases = [
        {
            "if": {"required": ["module"], "properties": {"module": {"const": name}}},
            "then": {"propertyNames": {"anyOf": [common, {"enum": sorted(accepted)}]}},
        }
        for name in (*MODELS, *ESTIMATORS)
        if (accepted := ModelFactory(name).accepts()) is not None
    ]
    return {
        "type": "object",
        "required": ["module"],
        "properties": {
            "name": {"type": "string", "pattern": r"\S"},
            "module": {"anyOf": [{"enum": [*MODELS, *ESTIMATORS]}, {"type": "string", "pattern": _OWN}]},
        },
        "allOf": cases,
    }
