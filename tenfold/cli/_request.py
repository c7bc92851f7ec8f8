"""From STUDY and options to a study and a folder."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.errors import RecordError, RequestError, StudyError

if TYPE_CHECKING:
    from tenfold.config import Study
    from tenfold.record import Reader

__all__ = ["is_record", "overrides_of", "read_study"]


def is_record(name: str) -> bool:
    """Whether STUDY means a folder that may hold a record; a built-in study's name never does."""
    from tenfold.config import built_in_studies

    return name not in built_in_studies() and _is_folder(name)


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:  # a name that is too long, a folder that may not be looked into: whoever reads it says so
        return False


def overrides_of(
    name: str, *, settings: Sequence[str], repeats: int | None, epochs: int | None, data: str | None, seed: int | None
) -> list[str]:
    """Every option that changes the study as "key=value", so that all problems come in one message."""
    found = list(settings)
    found += [] if repeats is None else [f"repeats={repeats}"]
    found += [] if seed is None else [f"seed={seed}"]
    # Not for estimators, which refuse it as a setting of theirs: set later; here only what is to be refused.
    found += [] if epochs is None or epochs >= 1 else [f"models.epochs={epochs}"]
    found += [] if data is None else [f"task.data={json.dumps(_data(data, _base(name)))}"]
    return found


def read_study(
    name: str,
    overrides: Sequence[str] = (),
    *,
    models: Sequence[str] = (),
    quick: bool = False,
    repeats: int | None = None,
    epochs: int | None = None,
) -> Study:
    """The study that STUDY names: built in, a TOML file, or the folder of a record, which goes on as it was begun.

    Args:
        name: as typed.
        overrides: from ``overrides_of``.
        models: only these, where any is named.
        quick: cut as the study says.
        repeats, epochs: asked for by name, so that they win over the cut.
    """
    from tenfold.config import load_study

    study = (
        load_study(name, overrides=overrides) if (folder := _record_of(name)) is None else _recorded(folder, overrides)
    )
    if models:
        study = study.with_models(models)
    if quick:
        study = study.quickened()
        study = replace(study, repeats=study.repeats if repeats is None else repeats)
    return study if epochs is None else study.with_epochs(epochs)


def _record_of(name: str) -> Path | None:
    """The folder of the record that STUDY names, be it by the study.toml in it; None where it names none."""
    if is_record(name):
        return Path(name)
    beside = Path(name).name == "study.toml" and Path(name).with_name("results.db").is_file()
    return Path(name).parent if beside else None


def _recorded(folder: Path, overrides: Sequence[str]) -> Study:
    from tenfold.config import parse_study
    from tenfold.record import Reader

    _expect_record(folder)
    path = folder / "study.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}. Restore it from a copy.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(str(path), [f"not a TOML file: {error}"]) from error
    results = Reader(folder)
    study = parse_study(_with_own_files(raw, results), overrides=overrides, where=str(path), base=_base(str(folder)))
    return replace(study, is_quick=results.quick)


def _with_own_files(raw: Mapping[str, Any], results: Reader) -> dict[str, Any]:
    """A recorded study whose modules and task are the record's own copies: the originals may be gone, or edited."""
    sources, changed = results.sources_folder, dict(raw)
    if sources is None:
        return changed
    built: Mapping[str, Mapping[str, Any]] = results.meta("models") or {}
    changed["models"] = [
        entry | {"module": str(sources.resolve() / file)}
        if ".py:" in (file := str(built.get(entry.get("name", ""), {}).get("module", "")))
        else entry
        for entry in raw.get("models", ())
    ]
    kind = str(raw.get("task", {}).get("kind", ""))
    if ".py:" in kind:
        changed["task"] = dict(raw["task"]) | {"kind": str(sources.resolve() / "task" / re.split(r"[/\\]", kind)[-1])}
    return changed


def _expect_record(folder: Path) -> None:
    from tenfold.config import built_in_studies
    from tenfold.record import Record

    if not Record.exists(folder):
        raise RequestError(
            f"folder '{folder}' holds no record to go on with. Expected a study file, the folder of a record, "
            f"or a built-in study: {', '.join(built_in_studies())}"
        )


def _base(name: str) -> Path:
    """The folder that file names in the study are relative to."""
    from tenfold.config import built_in_studies
    from tenfold.record import Reader

    if name in built_in_studies():
        return Path.cwd()
    path = Path(name)
    if not _is_folder(name):
        return path.resolve().parent
    _expect_record(path)
    return (path / (Reader(path).meta("base") or Path.cwd())).resolve()


def _data(name: str, base: Path) -> str:
    """What is typed is relative to the current folder, what stands in a study to the study's."""
    from tenfold.datasets import DATASETS

    if any(dataset.name == name for dataset in DATASETS) or not Path(name).exists() or base == Path.cwd():
        return name
    try:
        return os.path.relpath(Path.cwd() / name, base)
    except ValueError:  # another drive
        return str(Path(name).resolve())
