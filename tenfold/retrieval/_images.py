"""One image, as a file, a Pillow image or an array, to what a network takes: 1 or 3 channels, one size, from 0 to 1."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.datasets import average_down, channel_axes, channels_of_image, plain_image, with_channels
from tenfold.errors import DataError, RequestError, ShapeError
from tenfold.retrieval._arrays import as_array

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["image_list", "network_image"]


def image_list(images: Any) -> list[Any]:
    """One image or several, as a list: a list, a tuple or an array of four axes holds several."""
    if isinstance(images, (list, tuple)):
        return list(images)
    return list(images) if getattr(images, "ndim", None) == 4 else [images]


def network_image(image: Any, size: int | None, *, channels: int, where: str) -> np.ndarray:
    """The image with the channels of a network; cut to a square about its middle and averaged over area to a size.

    Args:
        image: a path; a Pillow image; or an array or tensor of shape (height, width), or with 1 or 3 channels first or
            last, integers 0..255, floats 0..1 or booleans. In files, transparent parts become white and a camera's
            rotation mark is followed.
        size: new height and width; None keeps both, and nothing is cut.
        channels: 1 for grey, 3 for red, green and blue; a grey image gets three equal channels.
        where: how a message calls the image.
    Returns:
        float32 in 0..1, shape (channels, size, size) or (channels, height, width).
    Raises:
        RequestError: if this is not an image.
        DataError: if a file is missing, damaged, not an image or larger than Pillow's limit, or a pixel is out of
            range.
        ShapeError: if an array has another shape, or one that can be read in two ways, or the image is smaller than
            ``size``.
    """
    if isinstance(image, (str, os.PathLike)):
        where = f"{where} ({os.fspath(image)})"
        pixels = _from_file(Path(image), channels, where)
    elif _is_pillow(image):
        pixels = _from_pillow(image, channels, where)
    else:
        pixels = with_channels(_from_array(image, where), channels)
    height, width = pixels.shape[1:]
    if size is None:
        return average_down(pixels, (height, width))
    if min(height, width) < size:
        raise ShapeError(
            f"{where}: is {height} x {width} pixels; at least {size} x {size} are needed, since averaging only makes "
            "smaller: use a larger image"
        )
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return average_down(pixels[:, top : top + side, left : left + side], size)


def _is_pillow(image: Any) -> bool:
    from PIL import Image

    return isinstance(image, Image.Image)


def _from_file(path: Path, channels: int, where: str) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                return _pillow_pixels(opened, channels)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as problem:
        limit = Image.MAX_IMAGE_PIXELS or 0
        raise DataError(f"{where}: more than Pillow's limit of {limit:,} pixels; make it smaller first") from problem
    except FileNotFoundError as problem:
        raise DataError(f"{where}: there is no such file") from problem
    except UnidentifiedImageError as problem:
        raise DataError(f"{where}: not an image that Pillow can read") from problem
    except MemoryError:
        raise
    except Exception as problem:  # Pillow's forty formats raise different errors for damage
        said = getattr(problem, "strerror", None) or problem or type(problem).__name__
        raise DataError(f"{where}: cannot be read as an image ({said})") from problem


def _from_pillow(image: Image.Image, channels: int, where: str) -> np.ndarray:
    try:
        return _pillow_pixels(image, channels)
    except MemoryError:
        raise
    except Exception as problem:  # opened without being read, it may still turn out to be damaged
        raise DataError(f"{where}: cannot be read as an image ({problem})") from problem


def _pillow_pixels(image: Image.Image, channels: int) -> np.ndarray:
    """Pixels as uint8, shape (channels, height, width); the same steps as when a folder of images is read."""
    pixels = channels_of_image(plain_image(image, colour=channels == 3))
    if 0 in pixels.shape:
        raise ValueError("it has no pixels")
    return pixels


def _from_array(image: Any, where: str) -> np.ndarray:
    """The pixels of an array, checked, shape (1 or 3 channels, height, width)."""
    pixels = as_array(image)
    kind = pixels.dtype.kind
    if kind not in "biuf":
        raise RequestError(
            f"{where}: expected an image: a path, a Pillow image, or an array; got {type(image).__name__}"
        )
    axes = channel_axes(pixels.shape)
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and len(axes) == 1)) or 0 in pixels.shape:
        fix = ""
        if pixels.ndim == 3 and len(axes) == 2 and 0 not in pixels.shape:
            fix = ", of which the first or the last axis may be the channels; pass a grey image as (height, width)"
        elif pixels.ndim == 3 and pixels.shape[-1] == 4:
            fix = "; leave transparency out: image[..., :3]"
        elif pixels.ndim == 3:
            fix = "; for several images pass list(images)"
        raise ShapeError(
            f"{where}: expected an image of shape (height, width), or with 1 or 3 channels first or last; got shape "
            f"{pixels.shape}{fix}"
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
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, axes[0], 0)
