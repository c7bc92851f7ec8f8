"""Channels of images: 1 (grey) or 3 (red, green, blue), the axis before height and width."""

from __future__ import annotations

import numpy as np

from tenfold.errors import ShapeError

__all__ = ["CHANNELS", "channel_axes", "with_channels"]

CHANNELS = (1, 3)
"""How many channels images may have."""

_LUMINOSITY = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue, ITU-R BT.601."""

_IN_65536 = (19595, 38470, 7471)
"""The same as Pillow has them for bytes, so that a file and its array agree to the last bit."""


def with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Images with 1 or 3 channels: grey images are repeated, colour ones become grey by 0.299 R + 0.587 G + 0.114 B.

    Args:
        images: shape (..., 1 or 3, height, width); integers 0..255, floats 0..1, or booleans.
        channels: 1 or 3.
    Returns:
        Shape (..., channels, height, width). Grey made of integers is uint8, of floats and booleans it is
        float64 in 0..1; otherwise the type stays. The same array where it has these channels already.
    Raises:
        ShapeError: if either number of channels is not 1 or 3.
    Source: ITU-R BT.601; of integers with the weights of Pillow, in steps of 1 / 65536.
    Example:
        >>> with_channels(np.array([[[200]], [[100]], [[0]]], np.uint8), 1)
        array([[[118]]], dtype=uint8)
        >>> with_channels(np.array([[[200]]], np.uint8), 3).ravel()
        array([200, 200, 200], dtype=uint8)
    """
    if channels not in CHANNELS:
        raise ShapeError(f"channels must be 1 (grey) or 3 (red, green, blue); got {channels!r}")
    if images.ndim < 3 or images.shape[-3] not in CHANNELS:
        raise ShapeError(f"expected images of shape (..., 1 or 3 channels, height, width); got shape {images.shape}")
    if images.shape[-3] == channels:
        return images
    if channels == 3:
        return images.repeat(3, axis=-3)
    red, green, blue = (images[..., channel : channel + 1, :, :] for channel in range(3))
    if images.dtype.kind in "iu":
        total = np.full(red.shape, 0x8000, np.uint32)
        for part, weight in zip((red, green, blue), _IN_65536, strict=True):
            total += part.astype(np.uint32) * np.uint32(weight)
        return (total >> 16).astype(np.uint8)
    grey = red * _LUMINOSITY[0] + green * _LUMINOSITY[1] + blue * _LUMINOSITY[2]
    return grey.clip(0, 1)  # the three weights may add up to slightly more than 1


def channel_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Which of the last three axes may be the channels: -3 (first), -1 (last), both or none.

    Example:
        >>> channel_axes((60, 3, 32, 32)), channel_axes((60, 32, 32, 3)), channel_axes((60, 3, 32, 3))
        ((-3,), (-1,), (-3, -1))
    """
    return tuple(axis for axis in (-3, -1) if len(shape) >= 3 and shape[axis] in CHANNELS)
