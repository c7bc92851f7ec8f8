"""Published figures of a model: how a study gives them, and what they mean as scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tenfold.errors import nearest

__all__ = ["Published", "read_published"]

_KEYS = ("mean", "std", "repeats", "note", "suspect")


@dataclass(frozen=True)
class Published:
    """The published figure of one model and metric.

    Attributes:
        mean: as a fraction where the metric's unit is "%".
        std: published standard deviation in the same unit, NaN where not given.
        n: published number of repeats, None where not given.
        note: what the study says about the figure, "" where nothing.
    """

    mean: float
    std: float
    n: int | None
    note: str


def read_published(
    raw: Any,
    metrics: Sequence[Any],
    where: str,
    problems: list[str],
    *,
    absent: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Published]:
    """Read the table ``published`` of a model.

    Args:
        raw: for each metric ``mean``, ``[mean, deviation]`` or ``{mean, std, repeats, note, suspect}``, in percent
            where the metric's unit is "%"; for all metrics together ``repeats`` and ``note``. ``suspect`` says why the
            figure is doubtful; it comes first in the note.
        metrics: of the study's task; objects with ``name`` and ``unit``, or dicts with these keys.
        where: what a problem's text starts with, such as "models.CNN.".
        problems: what is wrong is appended here; figures that are wrong are left out.
        absent: metrics that say nothing with the study's settings, each with the reason.
    Returns:
        Metric name -> its figure, in the order of ``raw``.
    Example:
        >>> metrics, problems = [{"name": "accuracy", "unit": "%"}], []
        >>> read_published({"accuracy": [81.03, 2.98], "repeats": 10}, metrics, "", problems)
        {'accuracy': Published(mean=0.8103, std=0.0298, n=10, note='')}
        >>> read_published({"acuracy": 81}, metrics, "models.CNN.", problems), problems
        ({}, ["models.CNN.published: unknown metric 'acuracy'; did you mean 'accuracy'?"])
    """
    if not isinstance(raw, Mapping):
        problems.append(
            f"{where}published: expected a table like {{ accuracy = [81.0, 2.9], repeats = 10 }}, got {raw!r}"
        )
        return {}
    units = dict(_name_and_unit(metric) for metric in metrics)
    repeats, notes = _repeats_and_notes(raw, ("note",), f"{where}published", problems)
    found: dict[str, Published] = {}
    for metric, value in raw.items():
        if metric in ("repeats", "note"):
            continue
        if metric not in units:
            problems.append(f"{where}published: unknown metric '{metric}'; {nearest(str(metric), units)}")
            continue
        if metric in absent:
            problems.append(f"{where}published: '{metric}' says nothing in this study: {absent[metric]}; leave it out")
            continue
        place = f"{where}published.{metric}"
        entry = _as_table(value)
        if unknown := [key for key in entry if key not in _KEYS]:
            problems += [f"{place}: unknown key '{key}'; {nearest(str(key), _KEYS)}" for key in unknown]
        elif not _is_number(entry.get("mean")) or not ("std" not in entry or _is_number(entry["std"])):
            problems.append(f"{place}: expected mean or [mean, deviation], got {value!r}")
        elif wrong := _out_of_range(entry, units[metric]):
            problems.append(f"{place}: {wrong}, got {value!r}")
        else:
            own_repeats, own_notes = _repeats_and_notes(entry, ("suspect", "note"), place, problems)
            scale = 100 if units[metric] == "%" else 1
            found[metric] = Published(
                mean=round(entry["mean"] / scale, 12),
                std=round(entry["std"] / scale, 12) if "std" in entry else math.nan,
                n=repeats if own_repeats is None else own_repeats,
                note="; ".join((*own_notes, *notes)),
            )
    return found


def _as_table(value: Any) -> dict[str, Any]:
    """One figure in its longest form; without "mean" where it is in none of the forms."""
    if isinstance(value, Mapping):
        return dict(value)
    numbers = list(value) if isinstance(value, list | tuple) else [value]
    return dict(zip(("mean", "std"), numbers, strict=False)) if len(numbers) <= 2 else {}


def _out_of_range(entry: Mapping[str, Any], unit: str) -> str:
    """What is impossible about a figure; "" where nothing is."""
    if unit == "%" and not 0 <= entry["mean"] <= 100:
        return "expected percent, a mean from 0 to 100"
    return "expected a deviation of 0 or more" if entry.get("std", 0) < 0 else ""


def _repeats_and_notes(
    table: Mapping[str, Any], keys: tuple[str, ...], place: str, problems: list[str]
) -> tuple[int | None, list[str]]:
    """The number of repeats and the texts under ``keys``, of all figures together or of one."""
    repeats = table.get("repeats")
    if repeats is not None and (not isinstance(repeats, int) or isinstance(repeats, bool) or repeats < 1):
        problems.append(f"{place}.repeats: expected an integer from 1, got {repeats!r}")
        repeats = None
    notes = []
    for key in keys:
        if not isinstance(text := table.get(key, ""), str):
            problems.append(f"{place}.{key}: expected text, got {text!r}")
        elif text:
            notes.append(text)
    return repeats, notes


def _name_and_unit(metric: Any) -> tuple[str, str]:
    return (metric["name"], metric.get("unit", "")) if isinstance(metric, Mapping) else (metric.name, metric.unit)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
