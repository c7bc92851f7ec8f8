"""The numbers of a figure as rows of a table: one row per value or per mean with its deviation."""

from __future__ import annotations

import math

from tenfold.record import Variant

__all__ = ["Row", "columns_of", "number"]

Row = dict[str, str | int | float | None]


def columns_of(variant: Variant) -> Row:
    """The columns that say which variant a row is about."""
    return {"model": variant.model, "variant": variant.index, "label": variant.label}


def number(value: float) -> float | None:
    """A number with all its digits; None, an empty cell, where it is not finite.

    Example:
        >>> number(0.25), number(float("nan"))
        (0.25, None)
    """
    value = float(value)
    return value if math.isfinite(value) else None
