"""Published figures as a study gives them, in the unit of the scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Published", "published_figure"]


@dataclass(frozen=True)
class Published:
    """A published figure of one model and metric.

    Attributes:
        mean: as a fraction where the metric's unit is "%".
        std: published deviation in the same unit, NaN where not given.
        n: published number of repeats, None where not given.
        note: what the study says about the figure, "" where nothing.
    """

    mean: float
    std: float
    n: int | None
    note: str


def published_figure(published: Mapping[str, Any] | None, metric: Mapping[str, Any]) -> Published | None:
    """Take one metric out of a model's ``published`` entry.

    The entry holds, for each metric, ``[mean, std]``, a bare ``mean`` or ``{mean, std, repeats, note}``, in percent
    where the metric's unit is "%"; and for all of them ``repeats`` and ``note``.

    Example:
        >>> published_figure({"accuracy": [81.03, 2.98], "repeats": 10}, {"name": "accuracy", "unit": "%"})
        Published(mean=0.8103, std=0.0298, n=10, note='')
    """
    entry = (published or {}).get(metric["name"])
    if published is None or entry is None:
        return None
    if isinstance(entry, Mapping):
        figure: dict[str, Any] = dict(entry)
    else:
        values = list(entry) if isinstance(entry, list | tuple) else [entry]
        figure = {"mean": values[0], "std": values[1] if len(values) > 1 else None} if values else {}
    if figure.get("mean") is None:
        return None
    scale = 100 if metric.get("unit") == "%" else 1
    std = figure.get("std")
    n = figure.get("repeats", published.get("repeats"))
    notes = (figure.get("suspect"), figure.get("note"), published.get("note"))
    return Published(
        mean=round(figure["mean"] / scale, 12),
        std=math.nan if std is None else round(std / scale, 12),
        n=None if n is None else int(n),
        note="; ".join(note for note in notes if isinstance(note, str) and note),
    )
