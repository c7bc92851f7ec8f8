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
    form = _form(spec)
    # Three channels of one image, where the study's are in colour, and not three grey images.
    one = isinstance(data, np.ndarray) and data.ndim == 3 and form.channels == data.shape[0] == 3
    images = _several(data, one or _is_one_image(data))
    return (np.stack([form.read(image, where=f"image {at}") for at, image in enumerate(images)]),)


def _form(spec: Mapping[str, Any]) -> datasets.ImageForm:
    return datasets.ImageForm.from_facts(spec)


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
    form, found = _form(spec), []
    for at, pair in enumerate(pairs):
        names = (f"the first image of pair {at}", f"the second image of pair {at}")
        found.append([form.read(image, where=where) for image, where in zip(pair, names, strict=True)])
    return (np.stack([np.concatenate(pair) for pair in found]),)


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
    signals = datasets.as_array(recording)
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
    arrays = [datasets.as_array(part) for part in (data if isinstance(data, tuple) else (data,))]
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


_KINDS: dict[str, Callable[[Any, Mapping[str, Any]], Arrays]] = {
    "images": _images,
    "pairs": _pairs,
    "windows": _windows,
    "arrays": _arrays,
}
