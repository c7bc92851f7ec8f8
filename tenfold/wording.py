"""Numbers, lists and settings inside sentences and tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["listed", "number", "repeats_range", "settings_text", "significant", "value_text"]

_PLAIN_BELOW = 1e7


def significant(value: float, digits: int = 3) -> str:
    """A number to so many significant digits. All digits before the point are kept, and no exponent is written for
    numbers from 0.0001 to 10 million.

    Example:
        >>> [significant(value) for value in (0.0040000000000000036, 1999.6, 0.51234, 3.2e-13, -20.0)]
        ['0.004', '2000', '0.512', '3.2e-13', '-20']
    """
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e+" in text and abs(value) < _PLAIN_BELOW else text


def number(value: float, unit: str, *, bare: bool = False) -> str:
    """A score as people read it.

    Example:
        >>> number(0.81934, "%"), number(0.51234, "nats"), number(float("nan"), "%")
        ('81.9 %', '0.512 nats', 'none')
    """
    if not math.isfinite(value):
        return "none"
    text = f"{100 * value:.1f}" if unit == "%" else significant(value)
    return text if bare else f"{text} {unit}".rstrip()


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence.

    Example:
        >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
        ('a', 'a and b', 'a, b and c')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def repeats_range(needed: Iterable[int | None]) -> str:
    """Numbers of repeats as one number or a range; "" where none is known.

    Example:
        >>> repeats_range([24]), repeats_range([24, None, 60]), repeats_range([None])
        ('24', '24 to 60', '')
    """
    counts = [count for count in needed if count is not None]
    if not counts:
        return ""
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def settings_text(settings: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> str:
    """Settings with their values, for people; nothing reads it back.

    Example:
        >>> settings_text({"lr": 0.1, "hidden": [64, 32], "optimizer": "adam"})
        'lr=0.1, hidden=64/32, optimizer=adam'
        >>> settings_text([("nesterov", True), ("augment", {"rotate": 10.0, "shift": 2.0})])
        'nesterov=true, augment={rotate = 10, shift = 2}'
    """
    pairs = settings.items() if isinstance(settings, Mapping) else settings
    return ", ".join(f"{name}={value_text(value)}" for name, value in pairs)


def value_text(value: Any) -> str:
    """A setting's value, for people; different numbers have different texts.

    Example:
        >>> [value_text(value) for value in (0.1, [0.8, 0.8, 1.0], True, "adam", 1e-3 / 3, dict, None)]
        ['0.1', '0.8/0.8/1', 'true', 'adam', '0.0003333333333333333', 'dict', 'none']
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {value_text(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "/".join(map(value_text, value))
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, str):
        return value or "none"
    if not isinstance(value, int | float):
        return getattr(value, "__qualname__", str(value))
    text = f"{value:g}"
    return text if float(text) == value else repr(value)
