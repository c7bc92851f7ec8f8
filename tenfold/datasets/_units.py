"""Units and types of values as they stand in a line under the names of a table's columns."""

from __future__ import annotations

import re

__all__ = ["is_type", "is_unit"]

_WORDS = (
    "s secs? seconds? mins? minutes? h hrs? hours? days? m g gs gn gee grams? N Nm Pa bar psi mmHg K C F degC degF "
    "celsius kelvin °C °F ° deg degs degrees? rads? dps rps rpm Hz V volts? A amps? W ohms? Ω J T G gauss tesla lux "
    "lx lm cd dB dBm bpm % percent counts? cnts? LSB raw au arb units? px pixels? steps? ppm mol L mph kmh kph kn knots"
)
_UNIT = re.compile(rf"[pnuµμmcdhkMG]?(?:{'|'.join(_WORDS.split())})[-+]?[\d²³⁻¹]*|[-+]?[\d²³⁻¹]+", re.IGNORECASE)
_TYPE = re.compile(
    r"(?:u?int|float|double|real|number|numeric|decimal|str|string|text|char|varchar|object|bool|boolean|category|"
    r"categorical|date|time|datetime|timestamp|integer|long|single|half)\d*",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?", re.IGNORECASE)


def is_unit(text: str) -> bool:
    """Whether a text is a unit: in brackets, or made of the signs of units.

    Example:
        >>> [is_unit(text) for text in ("m/s^2", "[g]", "(µT)", "deg/s", "ms", "a.u.", "°C")]
        [True, True, True, True, True, True, True]
        >>> [is_unit(text) for text in ("(1.5)", "2", "anna", "-", "", "error")]
        [False, False, False, False, False, False]
    """
    text = text.strip()
    if _NUMBER.fullmatch(text.strip("[]() ")):
        return False
    if re.fullmatch(r"\[[^\]]+\]|\([^)]+\)", text):
        return True
    parts = [part for part in re.split(r"[\s/*·⋅×^().]+", text.replace("a.u.", "au")) if part]
    return bool(parts) and all(_UNIT.fullmatch(part) for part in parts)


def is_type(text: str) -> bool:
    """Whether a text is a type of values, as databases name them.

    Example:
        >>> is_type("float64"), is_type("string"), is_type("walk")
        (True, True, False)
    """
    return _TYPE.fullmatch(text.strip()) is not None
