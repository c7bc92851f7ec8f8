"""``results.csv``: one row a run and metric."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tenfold.files import atomic_write

__all__ = ["write_results_csv"]


def write_results_csv(
    path: Path,
    read: Callable[[str], Sequence[tuple[Any, ...]]],
    study: dict[str, Any],
    metrics: list[dict[str, Any]],
) -> None:
    """Write model, setting, repeat, metric, value in the study's order; the rows of a diverged run have no value."""
    models = {model["name"]: place for place, model in enumerate(study["models"])}
    names = {metric["name"]: place for place, metric in enumerate(metrics)}
    values = {row[:4]: row[4] for row in read("SELECT model, setting, repeat, metric, value FROM scores")}
    runs = read("SELECT model, setting, repeat, status FROM runs ORDER BY rowid")
    settings = {run[:2]: place for place, run in reversed(list(enumerate(runs)))}
    measured = {(model, metric) for model, _, _, metric in values}
    rows = []
    for model, setting, repeat, status in runs:
        for metric in names:
            key = (model, setting, repeat, metric)
            if status == "diverged" and ((model, metric) in measured or metric == next(iter(names))):
                rows.append((*key, ""))
            elif key in values:
                rows.append((*key, "" if values[key] is None else repr(values[key])))
    rows.sort(key=lambda row: (models.get(row[0], 0), settings[row[:2]], row[2], names[row[3]]))
    with atomic_write(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("model", "setting", "repeat", "metric", "value"))
        writer.writerows(rows)
