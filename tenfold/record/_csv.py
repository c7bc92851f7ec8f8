"""``results.csv``: one row per run and metric."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold.files import atomic_write
from tenfold.record._variant import Variant

__all__ = ["write_results_csv"]


def write_results_csv(
    path: Path,
    read: Callable[[str], Sequence[tuple[Any, ...]]],
    variants: Sequence[Variant],
    metrics: Sequence[Mapping[str, Any]],
    repeats: int | None = None,
) -> None:
    """Write model, setting, repeat, metric, value in the study's order; the rows of a diverged run have no value.

    Args:
        path: the file.
        read: gives the rows of a query.
        variants: in the study's order; ``setting`` is what was swept, as text for people.
        metrics: in the task's order.
        repeats: so many are written, from the first; None for all that there are.
    """
    names = [metric["name"] for metric in metrics]
    values = {row[:4]: row[4] for row in read("SELECT model, variant, repeat, metric, value FROM scores")}
    status = {row[:3]: row[3] for row in read("SELECT model, variant, repeat, status FROM runs")}
    measured = {(model, metric) for model, _, _, metric in values}
    rows = []
    for variant in variants:
        own = sorted(run for run in status if run[:2] == (variant.model, variant.index))
        own = [run for run in own if repeats is None or run[2] < repeats]
        for run in own:
            for metric in names:
                value = values.get((*run, metric))
                if status[run] == "diverged" and ((variant.model, metric) in measured or metric == names[0]):
                    value = None
                elif (*run, metric) not in values:
                    continue
                text = "" if value is None else repr(value)
                rows.append((variant.model, variant.swept_label, run[2], metric, text))
    with atomic_write(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("model", "setting", "repeat", "metric", "value"))
        writer.writerows(rows)
