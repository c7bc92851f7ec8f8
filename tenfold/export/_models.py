"""What a record keeps of how its modules are built, so that it can be moved: references, options, source files."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

from tenfold.errors import RequestError
from tenfold.models import ModelFactory
from tenfold.own_files import NotWritable, live_sources, own_file_of, own_sources
from tenfold.recipe import Config
from tenfold.record import Reader, Record, Variant

__all__ = ["code_of", "factory_of", "save_models"]


class _Job(Protocol):
    """What is looked at of a job."""

    @property
    def factory(self) -> ModelFactory: ...

    @property
    def configs(self) -> Sequence[Config]: ...


def save_models(record: Record, jobs: Mapping[str, _Job], task: type) -> None:
    """Save the fact "models" and the files of the user's own modules and task.

    For each model: "module" (a built-in name, "FILE.py:CLASS" with a file of the record's sources, or
    "package.module:CLASS"), "estimator", "options" (of each variant), or in place of "module" a "reason" why it cannot
    be built from the record.
    """
    sources: dict[str, bytes] = {}
    models = {}
    for number, (name, job) in enumerate(jobs.items()):
        entry: dict[str, Any] = {"name": job.factory.name, "estimator": job.factory.is_estimator}
        options = [dict(job.factory.options) | dict(config.options) for config in job.configs]
        own = {f"{number}/{path}": content for path, content in job.factory.sources().items()}
        sources |= own
        entry |= _reference(job.factory, number) | _options(options)
        models[name] = entry
    if own_task := own_file_of(task):
        sources |= {f"task/{path}": content for path, content in own_sources(own_task).items()}
    record.save_meta("models", models)
    if sources:
        record.save_sources(sources)


def code_of(jobs: Mapping[str, _Job], task: type) -> dict[str, dict[str, str]]:
    """Fingerprints of the user's own files: "model NAME" or "the task" -> file -> hash of its text, for those that
    have any. An edit of a comment counts too; how lines end does not.
    """
    found = {f"model {name}": job.factory.sources() for name, job in jobs.items()}
    if own_task := own_file_of(task):
        found["the task"] = own_sources(own_task)
    return {
        whose: {
            path: blake2b(content.replace(b"\r\n", b"\n"), digest_size=16).hexdigest()
            for path, content in files.items()
        }
        for whose, files in found.items()
        if files
    }


def _reference(factory: ModelFactory, number: int) -> dict[str, str]:
    reference = factory.reference
    if isinstance(reference, str):
        file, _, name = reference.rpartition(":")
        return {"module": f"{number}/{Path(file).name}:{name}" if file else reference}
    module, name = getattr(reference, "__module__", ""), getattr(reference, "__qualname__", "")
    try:
        if written := live_sources(reference):
            return {"module": f"{number}/{written[0]}:{name}"}
    except NotWritable as error:
        return {"reason": f"'{factory.name}' was given as a Python object that cannot be written down: {error}"}
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not reference:
        return {"reason": f"'{factory.name}' was given as a Python object that cannot be imported again"}
    return {"module": f"{module}:{name}"}


def _options(options: list[dict[str, Any]]) -> dict[str, Any]:
    # Compared as well as tried: JSON would make texts of keys that are numbers, without a word.
    try:
        if json.loads(json.dumps(options)) == _lists(options):
            return {"options": options}
    except (TypeError, ValueError):
        pass
    return {"options": [], "reason": "an option of its constructor is neither a number, a text nor a list of them"}


def _lists(value: Any) -> Any:
    """Tuples as the lists that JSON makes of them, which a constructor takes as well."""
    if isinstance(value, Mapping):
        return {key: _lists(part) for key, part in value.items()}
    return [_lists(part) for part in value] if isinstance(value, list | tuple) else value


def factory_of(results: Reader, variant: Variant) -> ModelFactory:
    """Builds the modules of a variant, from the record alone.

    Raises:
        RequestError: if it is an estimator, of which nothing is kept, or cannot be built from the record.
    """
    known: dict[str, dict[str, Any]] = results.meta("models") or {}
    entry = known.get(variant.model) or {"reason": "the record does not say how"}
    if entry.get("estimator"):
        raise RequestError(
            f"{variant.label} is an estimator ({entry['name']}): it has no weights, and the record keeps its "
            "predictions only. Build it yourself and call its fit(inputs, targets)"
        )
    if "reason" in entry:
        raise RequestError(f"{variant.label} cannot be built from the record {results.folder}: {entry['reason']}")
    reference: Any = entry["module"]
    module, _, name = reference.rpartition(":")
    if module and not module.endswith(".py"):
        reference = _imported(module, name, variant)
    base = results.sources_folder or results.folder
    return ModelFactory(reference, entry["options"][variant.index], base)


def _imported(module: str, name: str, variant: Variant) -> Any:
    import importlib

    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise RequestError(f"{variant.label}: '{module}:{name}' cannot be imported here: {error}") from error
    return found
