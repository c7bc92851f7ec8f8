"""Numbers, lists and settings inside sentences and tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["certificate_sentence", "listed", "number", "repeats_range", "settings_text", "significant", "value_text"]

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


def certificate_sentence(found: Mapping[str, Any]) -> str:
    """What ``--verify`` compared of one model, and the largest differences; without the failures.

    Args:
        found: as the record keeps it; one of an older version may lack numbers of what was not compared then.
    Example:
        >>> found = {"runs": 2, "diverged": 0, "tolerance": 1e-6, "predictions": 0.0, "scores": {"f1": 0.0}}
        >>> print(certificate_sentence(found).partition("; ")[2])
        scores differ by: f1 0.0e+00 (all 2 runs, tolerance 1e-06)
    """
    runs, tolerance = found.get("runs"), found.get("tolerance", math.nan)
    if "predictions" in found:  # of an estimator, which has no weights
        counted = f" ({_of_all(runs, runs)}, tolerance {tolerance:.0e})" if runs else " (the first run)"
        return (
            f"fitted again, alone, no prediction is further than {found['predictions']:.1e}; scores differ by: "
            f"{_differences(found['scores'])}{counted}"
        )
    if "weights_float64" not in found:
        return "nothing could be compared"
    text = (
        f"after {found['steps_float64']} steps in double precision no weight is further than "
        f"{found['weights_float64']:.1e} from the run alone"
    )
    if not runs:
        return f"{text} (the first run)"
    others = [("buffer", found["buffers_float64"]), ("gradient", found["gradients_float64"])]
    text += "".join(f", no {kind} than {value:.1e}" for kind, value in others if value is not None)
    text += (
        f", no loss than {found['losses_float64']:.1e} ({_of_all(runs, runs)}, {found['parameters']} parameters and "
        f"{found['buffers']} buffers each, gradients of {found['gradient_steps']} steps, tolerance {tolerance:.0e})"
    )
    if found["recorded_scores"]:
        scored = _of_all(runs - found["diverged"], runs)
        text += "; recorded weights in a plain module give the recorded scores to: "
        text += f"{_differences(found['recorded_scores'])} ({scored})"
    if found["retrained"]:
        text += (
            f"; trained alone to the end ({_of_all(found['retrained'], runs)}), weights differ by "
            f"{found['weights']:.1e}, scores by: {_differences(found['scores'])}"
        )
    return text


def _of_all(count: int, of: int) -> str:
    if count == of:
        return f"all {of} runs" if of > 1 else "the only run"
    return f"{count} of {of} runs"


def _differences(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.1e}" for name, value in values.items()) or "none was recorded"
