"""One image, as a file, a Pillow image or an array, to what a network takes: grey, of one size, from 0 to 1."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.datasets import average_down
from tenfold.datasets import grey_image as pillow_to_grey
from tenfold.errors import DataError, RequestError, ShapeError
from tenfold.retrieval._arrays import as_array

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["grey_image", "image_list"]

_LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue, ITU-R BT.601: those of Pillow, so that a file and its array agree."""


def image_list(images: Any) -> list[Any]:
    """One image or several, as a list: a list, a tuple or an array of four axes holds several."""
    if isinstance(images, (list, tuple)):
        return list(images)
    return list(images) if getattr(images, "ndim", None) == 4 else [images]


def grey_image(image: Any, size: int | None, *, where: str) -> np.ndarray:
    """The image in grey; cut to a square about its middle and averaged over area where a size is given.

    Args:
        image: a path; a Pillow image; or an array or tensor of shape (height, width), (height, width, 1) or
            (height, width, 3), integers 0..255, floats 0..1 or booleans. In files, transparent parts become white and
            a camera's rotation mark is followed.
        size: new height and width; None keeps both.
        where: how a message calls the image.
    Returns:
        float32 in 0..1, shape (size, size) or (height, width).
    Raises:
        RequestError: if this is no image.
        DataError: if a file is missing, damaged, no image or larger than Pillow's limit, or a pixel is out of range.
        ShapeError: if an array has another shape, or the image is smaller than ``size``.
    """
    if isinstance(image, (str, os.PathLike)):
        where = f"{where} ({os.fspath(image)})"
        pixels = _from_file(Path(image), where)
    elif _is_pillow(image):
        pixels = _from_pillow(image, where)
    else:
        pixels = _from_array(image, where)
    height, width = pixels.shape
    if size is None:
        return average_down(pixels, (height, width))
    if min(height, width) < size:
        raise ShapeError(
            f"{where}: is {height} x {width} pixels; at least {size} x {size} are needed, since averaging only makes "
            "smaller: use a larger image"
        )
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return average_down(pixels[top : top + side, left : left + side], size)


def _is_pillow(image: Any) -> bool:
    from PIL import Image

    return isinstance(image, Image.Image)


def _from_file(path: Path, where: str) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                return _grey_pixels(opened)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as problem:
        limit = Image.MAX_IMAGE_PIXELS or 0
        raise DataError(f"{where}: more than Pillow's limit of {limit:,} pixels; make it smaller first") from problem
    except FileNotFoundError as problem:
        raise DataError(f"{where}: there is no such file") from problem
    except UnidentifiedImageError as problem:
        raise DataError(f"{where}: no image that Pillow knows") from problem
    except MemoryError:
        raise
    except Exception as problem:  # each of Pillow's forty formats has its own errors for damage
        said = getattr(problem, "strerror", None) or problem or type(problem).__name__
        raise DataError(f"{where}: cannot be read as an image ({said})") from problem


def _from_pillow(image: Image.Image, where: str) -> np.ndarray:
    try:
        return _grey_pixels(image)
    except MemoryError:
        raise
    except Exception as problem:  # opened without being read, it may still turn out to be damaged
        raise DataError(f"{where}: cannot be read as an image ({problem})") from problem


def _grey_pixels(image: Image.Image) -> np.ndarray:
    """Pixels as uint8, shape (height, width); the same steps as when a folder of images is read."""
    pixels = np.array(pillow_to_grey(image))
    if 0 in pixels.shape:
        raise ValueError("it has no pixel")
    return pixels


def _from_array(image: Any, where: str) -> np.ndarray:
    pixels = as_array(image)
    kind = pixels.dtype.kind
    if kind not in "biuf":
        raise RequestError(
            f"{where}: expected an image: a path, a Pillow image, or an array; got {type(image).__name__}"
        )
    coloured = pixels.ndim == 3 and pixels.shape[-1] in (1, 3)
    if not (pixels.ndim == 2 or coloured) or 0 in pixels.shape:
        fix = ""
        if pixels.ndim == 3 and pixels.shape[0] in (1, 3):
            fix = "; channels come last here: image.transpose(1, 2, 0)"
        elif pixels.ndim == 3 and pixels.shape[-1] == 4:
            fix = "; leave transparency out: image[..., :3]"
        elif pixels.ndim == 3:
            fix = "; for several images pass list(images)"
        raise ShapeError(
            f"{where}: expected an image of shape (height, width), (height, width, 1) or (height, width, 3); "
            f"got shape {pixels.shape}{fix}"
        )
    full = 255 if kind in "iu" else 1
    # `not` catches NaN, which is never inside.
    if not (pixels.min() >= 0 and pixels.max() <= full):
        raise DataError(
            f"{where}: pixels must be integers 0..255 or floats 0..1; got {pixels.dtype} from {pixels.min()} to "
            f"{pixels.max()}"
        )
    if kind in "iu" and pixels.max() == 1:
        raise DataError(
            f"{where}: the brightest integer pixel is 1 of 255, nearly black; "
            "pass black and white as booleans, or 0..1 as floats"
        )
    if not coloured:
        return pixels
    if pixels.shape[-1] == 1:
        return pixels[..., 0]
    weighted = (pixels.astype(np.float64) @ _LUMA).clip(0, full)
    return np.rint(weighted).astype(np.uint8) if kind in "iu" else weighted
