"""Numbers as text, in the same form everywhere."""

from __future__ import annotations

import math

from tenfold.wording import significant


def score(value: float, unit: str) -> str:
    """A score with its unit; a fraction is written in percent if the unit is "%".

    Example:
        >>> score(0.8194, "%"), score(0.51234, "")
        ('81.9 %', '0.512')
    """
    if unit == "%":
        return f"{100 * value:.1f} %"
    return f"{significant(value)} {unit}".rstrip()


def gap(size: float, unit: str, *, bare: bool = False) -> str:
    """The size of a difference with its unit (percentage points for "%"); ``bare`` omits the unit.

    Example:
        >>> gap(0.0423, "%"), gap(0.00042, "%"), gap(0.03124, "")
        ('4.2 percentage points', '0.04 percentage points', '0.0312')
    """
    unit_name = "percentage points" if unit == "%" else unit
    size = abs(size)
    if unit == "%":
        size *= 100
        text = f"{size:.1f}" if size >= 0.95 or size == 0 else f"{size:.2f}"
    else:
        text = significant(size)
    return text if bare else f"{text} {unit_name}".rstrip()


def p_value(p: float) -> str:
    """A p-value in the usual form.

    Example:
        >>> p_value(0.0004), p_value(0.0196), p_value(0.432), p_value(1.0)
        ('p < 0.001', 'p = 0.020', 'p = 0.43', 'p = 1')
    """
    if math.isnan(p):
        return "no p-value"
    if p < 0.001:
        return "p < 0.001"
    if p >= 0.995:
        return "p = 1"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def span(low: float, high: float, unit: str) -> str:
    """The interval of a difference in words, for the first of the two models.

    Example:
        >>> span(-0.012, 0.018, "%")
        'between 1.2 percentage points lower and 1.8 higher'
        >>> span(0.002, 0.018, "%")
        'between 0.20 and 1.8 percentage points higher'
    """
    if low >= 0 or high <= 0:
        near, far = sorted((low, high), key=abs)
        if math.isclose(near, far):
            return "exactly equal" if near == 0 else f"exactly {gap(near, unit)} {direction(near)}"
        return f"between {gap(near, unit, bare=True)} and {gap(far, unit)} {direction(far)}"
    return f"between {gap(low, unit)} lower and {gap(high, unit, bare=True)} higher"


def direction(difference: float) -> str:
    """Higher or lower."""
    return "higher" if difference > 0 else "lower"


def percent(level: float) -> str:
    """A level in percent, without trailing zeros.

    Example:
        >>> percent(0.95), percent(0.995)
        ('95 %', '99.5 %')
    """
    return f"{100 * level:.4g} %"
