"""New data in their own units become what a module takes, before the preprocessing of each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import datasets
from tenfold.errors import RequestError, ShapeError

__all__ = ["prepared"]

Arrays = tuple[np.ndarray, ...]

_EMPTY = "expected at least one example, got none"


def prepared(data: Any, spec: Mapping[str, Any]) -> Arrays:
    """Inputs as float32 arrays, examples first.

    Args:
        data: images (a file, a Pillow image, an array of bytes, or several); pairs of images; recordings (an array of
            samples x channels, or several); or, for a task of one's own, the arrays that its modules take.
        spec: ``TaskInfo.inputs`` of the study.
    Raises:
        ShapeError, RequestError: if the data do not fit the study.
    """
    arrays = _KINDS[spec["kind"]](data, spec)
    if any(array.ndim == 0 or len(array) != len(arrays[0]) for array in arrays):
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ShapeError(f"expected arrays with the same number of examples on the first axis, got {shapes}")
    if not len(arrays[0]):
        raise ShapeError(_EMPTY)
    return arrays


def _images(data: Any, spec: Mapping[str, Any]) -> Arrays:
    """Images (n, channels, height, width) from 0 to 1."""
    # Three channels of one image, where the study's are in colour, and not three grey images.
    one = isinstance(data, np.ndarray) and data.ndim == 3 and spec["channels"] == data.shape[0] == 3
    images = [_image(image, spec) for image in _several(data, one or _is_one_image(data))]
    return (np.stack(images),)


def _image(image: Any, spec: Mapping[str, Any]) -> np.ndarray:
    if isinstance(image, str | Path) or hasattr(image, "getpixel"):
        image = _read(image, colour=spec["channels"] == 3)
    array = _array(image)
    if array.ndim == 2:
        array = array[None]
    elif array.ndim == 3 and array.shape[0] not in (1, 3) and array.shape[2] in (1, 3):
        array = array.transpose(2, 0, 1)
    if array.ndim != 3 or array.shape[0] not in (1, 3):
        raise ShapeError(
            f"expected an image of shape (height, width), (channels, height, width) or (height, width, channels) with "
            f"1 or 3 channels, got {array.shape}"
        )
    if array.dtype.kind not in "buif":
        raise ShapeError(f"expected an image of integers from 0 to 255 or of fractions, got {array.dtype}")
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if not (low >= 0 and high <= (255 if array.dtype.kind in "iu" else 1)):  # a NaN is refused too
        raise ShapeError(
            f"expected pixels from 0 to 255 as integers or from 0 to 1 as fractions, got {low:g} to {high:g} as "
            f"{array.dtype}"
        )
    array = datasets.with_channels(array, spec["channels"])
    if spec["fitted"] and array.shape[1:] != (spec["size"], spec["size"]):
        array = _fitted(array, spec["size"])
    if spec["size"] is not None:
        if min(array.shape[1:]) < spec["size"]:
            raise ShapeError(
                f"expected an image of at least {spec['size']} x {spec['size']} pixels, to which the study's were "
                f"averaged down, got {array.shape[1]} x {array.shape[2]}"
            )
        return datasets.average_down(array, spec["size"])
    if array.shape[1:] != (spec["height"], spec["width"]):
        raise ShapeError(
            f"expected an image of {spec['height']} x {spec['width']} pixels (height x width), as the study's, got "
            f"{array.shape[1]} x {array.shape[2]}"
        )
    return array.astype(np.float32) / (255 if array.dtype.kind in "iu" else 1)


def _fitted(array: np.ndarray, size: int) -> np.ndarray:
    """Brought to a size as the reader of a folder does, in bytes."""
    from PIL import Image

    pixels = np.rint(array * (1 if array.dtype.kind in "iu" else 255)).astype(np.uint8)
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    return datasets.channels_of_image(datasets.fitted_image(image, (size, size)))


def _read(image: Any, *, colour: bool) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        opened = image if hasattr(image, "getpixel") else Image.open(image)
        array = np.asarray(datasets.plain_image(opened, colour=colour))
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise RequestError(f"{image}: cannot be read as an image ({error})") from error
    return array.transpose(2, 0, 1) if colour else array[None]


def _is_one_image(data: Any) -> bool:
    if isinstance(data, str | Path) or hasattr(data, "getpixel"):
        return True
    return isinstance(data, np.ndarray) and (data.ndim == 2 or (data.ndim == 3 and data.shape[2] in (1, 3)))


def _pairs(data: Any, spec: Mapping[str, Any]) -> Arrays:
    """Pairs of grey images (n, 2, height, width) from 0 to 1."""
    pairs = _several(data, _is_one_pair(data))
    for pair in pairs:
        if isinstance(pair, str | Path) or not hasattr(pair, "__len__") or len(pair) != 2:
            got = f"one of shape {np.shape(pair)}" if isinstance(pair, np.ndarray) else f"{type(pair).__name__}"
            raise ShapeError(
                f"expected pairs of images: (first, second), or an array of shape (n, 2, height, width), got {got}"
            )
    return (np.stack([np.concatenate([_image(image, spec) for image in pair]) for pair in pairs]),)


def _is_one_pair(data: Any) -> bool:
    if isinstance(data, np.ndarray):
        return data.ndim == 3
    return isinstance(data, list | tuple) and len(data) == 2 and all(map(_is_image_of_pair, data))


def _is_image_of_pair(data: Any) -> bool:
    """An array (2, height, width) is a pair, and any other of three axes an image with its channels."""
    return _is_one_image(data) or (isinstance(data, np.ndarray) and data.ndim == 3 and data.shape[0] in (1, 3))


def _windows(data: Any, spec: Mapping[str, Any]) -> Arrays:
    """Windows (n, steps, channels), and their lengths (n,) where windows differ in length."""
    windows = [window for recording in _several(data, _is_one_recording(data)) for window in _cut(recording, spec)]
    if not spec["varying"]:
        return (np.stack(windows),)
    lengths = np.array([len(window) for window in windows])
    filled = np.zeros((len(windows), max(lengths.max(), spec["steps"]), len(spec["channels"])), np.float32)
    for row, window in zip(filled, windows, strict=True):
        row[: len(window)] = window
    return filled, lengths


def _is_one_recording(data: Any) -> bool:
    return not isinstance(data, list | tuple) and np.ndim(data) == 2


def _cut(recording: Any, spec: Mapping[str, Any]) -> list[np.ndarray]:
    signals = _array(recording)
    signals = signals.astype(np.float32) if signals.dtype.kind in "buif" else signals
    recorded = list(spec["recorded"])
    if signals.ndim != 2 or signals.shape[1] != len(recorded) or signals.dtype != np.float32:
        raise ShapeError(
            f"expected a recording of shape (samples, {len(recorded)} channels: {', '.join(recorded)}), got "
            f"{signals.shape}{'' if signals.dtype == np.float32 else f' of {signals.dtype}'}"
        )
    if not np.isfinite(signals).all():
        raise RequestError("a recording holds numbers that are not finite; cut it there, or fill the gap")
    signals = datasets.select_channels(signals, recorded, spec["channels"], "the recording")
    if spec["window"] is None and spec["varying"]:
        if not len(signals):
            raise ShapeError("expected a recording of at least 1 sample, got 0")
        return [signals]
    window, overlap = (spec["window"], spec["overlap"]) if spec["window"] else (spec["steps"], 0.0)
    if len(signals) < window:
        raise ShapeError(f"expected a recording of at least {window} samples, got {len(signals)}")
    starts, _ = datasets.cut_windows(np.array([0]), np.array([len(signals)]), window, overlap)
    return [signals[start : start + window] for start in starts]


def _arrays(data: Any, spec: Mapping[str, Any]) -> Arrays:
    """Arrays as the modules take them; bytes are scaled to 0..1, as ``TensorSource`` does."""
    arrays = [_array(part) for part in (data if isinstance(data, tuple) else (data,))]
    scaled = [part.astype(np.float32) / 255 if part.dtype == np.uint8 else part for part in arrays]
    return tuple(part.astype(np.float32) if part.dtype.kind == "f" else part for part in scaled)


def _several(data: Any, is_one: bool) -> list[Any]:
    if is_one:
        return [data]
    if not hasattr(data, "__iter__") or (isinstance(data, np.ndarray) and not data.ndim):
        raise ShapeError(f"expected one example or several, got {type(data).__name__}")
    found = list(data)
    if not found:
        raise ShapeError(_EMPTY)
    return found


def _array(data: Any) -> np.ndarray:
    try:
        return np.asarray(data)
    except ValueError as error:  # lists of different lengths
        raise ShapeError(f"expected an array, got a list that is none: {error}") from error


_KINDS: dict[str, Callable[[Any, Mapping[str, Any]], Arrays]] = {
    "images": _images,
    "pairs": _pairs,
    "windows": _windows,
    "arrays": _arrays,
}
