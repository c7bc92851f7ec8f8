"""As much of JSON schema (draft 7) as the schema of study files uses."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

__all__ = ["wrong"]

_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
_KNOWN = {
    "$schema", "title", "description", "default", "definitions", "$ref", "type", "enum", "const", "pattern", "minimum",
    "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "items", "minItems", "maxItems", "properties",
    "required", "additionalProperties", "propertyNames", "anyOf", "allOf", "if", "then",
}  # fmt: skip


def wrong(value: Any, schema: Any, root: Any = None, where: str = "") -> list[str]:
    """The places of ``value`` that break the schema; empty where it is valid."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return [] if schema else [where]
    assert not schema.keys() - _KNOWN, schema.keys() - _KNOWN
    if "$ref" in schema:
        inner: Any = root
        for part in unquote(schema["$ref"]).removeprefix("#/").split("/"):
            inner = inner[part]
        return wrong(value, inner, root, where)
    found = [] if _plain(value, schema) else [where]
    found += _of_table(value, schema, root, where) if isinstance(value, dict) else []
    if isinstance(value, list):
        found += [
            line
            for at, each in enumerate(value)
            for line in wrong(each, schema.get("items", True), root, f"{where}[{at}]")
        ]
    for each in schema.get("allOf", ()):
        found += wrong(value, each, root, where)
    if "anyOf" in schema and all(wrong(value, each, root, where) for each in schema["anyOf"]):
        found.append(where)
    if "if" in schema and not wrong(value, schema["if"], root, where):
        found += wrong(value, schema["then"], root, where)
    return found


def _plain(value: Any, schema: dict[str, Any]) -> bool:
    """Whether the keywords that look at the value alone are satisfied."""
    kind = schema.get("type")
    if kind and not (
        isinstance(value, _TYPES[kind]) and not (isinstance(value, bool) and kind in ("integer", "number"))
    ):
        return False
    number = value if isinstance(value, int | float) else 0
    length = len(value) if isinstance(value, str | list) else 0
    return (
        value in schema.get("enum", [value])
        and value == schema.get("const", value)
        and (not isinstance(value, str) or bool(re.search(schema.get("pattern", ""), value)))
        and schema.get("minimum", number) <= number <= schema.get("maximum", number)
        and ("exclusiveMinimum" not in schema or number > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or number < schema["exclusiveMaximum"])
        and schema.get("minItems", length) <= length <= schema.get("maxItems", length)
        and schema.get("minLength", 0) <= length
    )


def _of_table(value: dict[str, Any], schema: dict[str, Any], root: Any, where: str) -> list[str]:
    found = [f"{where}.{key}" for key in schema.get("required", ()) if key not in value]
    properties = schema.get("properties", {})
    for key, inner in value.items():
        found += wrong(inner, properties.get(key, schema.get("additionalProperties", True)), root, f"{where}.{key}")
        found += wrong(key, schema.get("propertyNames", True), root, f"{where}.{key}")
    return found
