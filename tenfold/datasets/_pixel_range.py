"""What white is in the numbers of pixels: from a file's own range to 0..255 or to 0..1."""

from __future__ import annotations

import numpy as np

from tenfold.errors import RequestError

__all__ = ["RANGES", "TINY", "checked_range", "nearly_black", "smallest_range", "to_bytes", "to_unit"]

RANGES = (255, 1023, 4095, 16383, 65535)
"""White in images of 8, 10, 12, 14 and 16 bits."""

TINY = 16
"""Where no pixel of a whole set of 0..255 is above it, the images are nearly black, or white is another number."""


def smallest_range(largest: float) -> int:
    """White of a set of 16-bit images by its largest value.

    Example:
        >>> smallest_range(255), smallest_range(3000), smallest_range(65535)
        (255, 4095, 65535)
    """
    return next(white for white in RANGES if largest <= white)


def nearly_black(largest: float, white: float = RANGES[0]) -> str:
    """What is said of a set in which no pixel is above ``TINY`` of 255; ``white`` is 255, or 1 for floats."""
    kind = "integer pixel" if white == RANGES[0] else "pixel"
    return (
        f"the brightest {kind} is {largest:g} of {white:g}, so all images are nearly black; give the value of white, "
        f"pixel_range = {largest or 1:g} in [task] or in load, or pixel_range = {white:g} if they are right as they "
        "are; black and white may also be booleans, or 0..1 as floats"
    )


def checked_range(value: float | None) -> float | None:
    """A ``pixel_range`` that a user gave: a number above 0, or None.

    Raises:
        RequestError: if it is anything else.
    """
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if value is not None and not (number and 0 < value < np.inf):
        raise RequestError(f"pixel_range must be a number above 0, the value of a white pixel; got {value!r}")
    return value


def to_bytes(pixels: np.ndarray, white: float) -> np.ndarray:
    """Pixels from 0 to ``white`` as uint8 from 0 to 255, rounded to the nearest; booleans as 0 and 255.

    Example:
        >>> to_bytes(np.array([0, 16, 2048, 4095], np.uint16), 4095)
        array([  0,   1, 128, 255], dtype=uint8)
    """
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    if white == 255 and pixels.dtype.kind in "iu":
        return pixels.astype(np.uint8, copy=False)
    return np.rint(pixels * 255.0 / white).astype(np.uint8)


def to_unit(pixels: np.ndarray, white: float) -> np.ndarray:
    """Pixels from 0 to ``white`` as float32 from 0 to 1."""
    if pixels.dtype.kind == "b" or (white == 1 and pixels.dtype.kind == "f"):
        return pixels.astype(np.float32)
    return (pixels / np.float64(white)).astype(np.float32)
