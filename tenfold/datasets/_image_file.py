"""One image of any kind that Pillow opens, to 8 bits in grey or in red, green and blue."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tenfold.datasets._pixel_range import RANGES, smallest_range, to_bytes
from tenfold.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["channels_of_image", "deepest_value", "fitted_image", "is_deep", "plain_image"]

# How Pillow calls the layout of 16 bits per channel in a file, of which it keeps the upper 8.
_SIXTEEN = re.compile(r"(RGBA|RGB|LA);16([BLN])")
_ANY_SIXTEEN = re.compile(r".*;16[BLN]")


def plain_image(image: Image.Image, *, colour: bool | None = None, pixel_range: float | None = None) -> Image.Image:
    """A Pillow image of any kind in 8 bits, turned as it is meant to be seen, transparent parts white.

    Args:
        image: of any mode.
        colour: True for RGB; False for grey; None for RGB if the image has colour: if its three channels differ
            anywhere.
        pixel_range: white, in the numbers of the file. None is 255 for 8 bits; 65535 for 16 bits where nothing smaller
            holds them. Channels of 8 bits cannot hold more than 255: above that, it is for those of 16 bits alone.
    Returns:
        An image of the mode "RGB" or "L" (grey).
    Raises:
        DataError: if a pixel is above ``pixel_range``, or the range of 16 bits has to be given.
        ValueError: for pixels of 32 bits where no range is given, and for layouts that cannot be read in full.
    """
    from PIL import Image, ImageOps

    image = _as_opened(image)
    if is_deep(image):
        image = _turned_as(image, _of_deep(image, pixel_range))
    elif pixel_range is not None and pixel_range < RANGES[0] and image.mode != "1":
        image = _turned_as(image, _brightened(image, pixel_range))
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if colour is None:
        image = image.convert("L" if image.mode in ("1", "L") else "RGB")
        colour = image.mode == "RGB" and _has_colour(image)
    return image.convert("RGB" if colour else "L")


def fitted_image(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A Pillow image in grey or RGB cut about its middle and resized to height and width with a smoothing filter."""
    from PIL import Image, ImageOps

    return ImageOps.fit(image, (size[1], size[0]), method=Image.Resampling.BILINEAR)


def channels_of_image(image: Image.Image) -> np.ndarray:
    """A Pillow image in grey or RGB as uint8, shape (channels, height, width)."""
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def is_deep(image: Image.Image) -> bool:
    """Whether the numbers of the pixels have more than 8 bits, in the file if not in Pillow's image.

    Ask before anything else of the image is asked: reading its pixels forgets how the file holds them.
    """
    return image.mode in ("I", "F") or image.mode.startswith("I;16") or _layout(image) is not None


def deepest_value(image: Image.Image) -> float:
    """The largest number in an image for which ``is_deep`` holds, transparency left out."""
    return _deep_values(image)[0].max().item()


def _as_opened(image: Image.Image) -> Image.Image:
    """An image whose pixels were read before, opened again where its file has 16 bits of which only 8 are there."""
    from PIL import Image

    path = getattr(image, "filename", "")
    if image.format not in ("PNG", "TIFF", "PPM") or getattr(image, "tile", None) or not Path(path).is_file():
        return image
    again = Image.open(path)
    if _layout(again) is None or again.size != image.size:
        again.close()
        return image
    return again


def _has_colour(image: Image.Image) -> bool:
    """Whether the three channels differ in any pixel."""
    pixels = np.asarray(image)
    return bool((pixels != pixels[..., :1]).any())


def _turned_as(original: Image.Image, image: Image.Image) -> Image.Image:
    """``image`` with the rotation mark of the original."""
    from PIL import ExifTags

    mark = original.getexif().get(ExifTags.Base.Orientation)
    if mark is not None:
        image.getexif()[ExifTags.Base.Orientation] = mark
    return image


def _brightened(image: Image.Image, white: float) -> Image.Image:
    """An image of 8 bits whose white is less than 255."""
    from PIL import Image

    grey, clear = image.mode in ("L", "LA", "La"), image.has_transparency_data
    image = image.convert(("LA" if grey and image.mode != "L" else "RGBA") if clear else "L" if grey else "RGB")
    values = np.asarray(image)
    colours = values[..., : 1 if image.mode[0] == "L" else 3] if values.ndim == 3 else values[..., None]
    alpha = values[..., -1] if clear else None
    seen = colours if alpha is None else np.where(alpha[..., None] > 0, colours, 0)  # what is clear has no brightness
    return Image.fromarray(_joined(_in_range(seen, white), alpha))


def _of_deep(image: Image.Image, white: float | None) -> Image.Image:
    """An image of 16 or 32 bits in 8, with its transparency."""
    from PIL import Image

    values, alpha = _deep_values(image)
    if values.dtype.kind in "if" and values.dtype.itemsize == 4 and white is None:
        raise ValueError(
            f"pixels of 32 bits (Pillow's mode {image.mode}), whose brightest value is not known: give the value of "
            "white as pixel_range"
        )
    if white is None:
        largest = values.max().item()
        white = smallest_range(largest)
        if white != RANGES[-1]:
            raise DataError(
                f"pixels of 16 bits from 0 to {largest}: white may be {white} or {RANGES[-1]}; give it as pixel_range"
            )
    return Image.fromarray(_joined(_in_range(values, white), alpha))


def _in_range(values: np.ndarray, white: float) -> np.ndarray:
    """Pixels as uint8, once none is out of the range."""
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= white):  # a NaN is refused too
        raise DataError(f"pixels from {low:g} to {high:g}, and the range (pixel_range) is 0 to {white:g}")
    return to_bytes(values, white)


def _joined(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Bytes of 1 or 3 channels, last, and transparency as what Pillow makes an image of."""
    if alpha is not None:
        return np.concatenate([colours, alpha[..., None]], axis=-1)
    return colours[..., 0] if colours.shape[-1] == 1 else colours


def _deep_values(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """The numbers of the pixels, (height, width, 1 or 3), and transparency as uint8 (height, width)."""
    layout, clear = _layout(image), image.info.get("transparency")
    if layout is None:
        if getattr(image, "tag_v2", {}).get(262) == 0:
            raise ValueError("a TIFF of more than 8 bits in which 0 is white; save it with 0 as black")
        values = np.asarray(image)[..., None]
        if image.mode == "I" and image.format == "PNG":  # as Pillow before version 11 opens 16 bits
            values = values.astype(np.uint16)
    else:
        values = _in_full(image, layout)
    if values.shape[-1] in (2, 4):
        return values[..., :-1], to_bytes(values[..., -1], RANGES[-1])
    if clear is None:
        return values, None
    return values, np.where((values == np.array(clear)).all(-1), 0, 255).astype(np.uint8)


def _layout(image: Image.Image) -> str | None:
    """How the file holds channels of 16 bits of which Pillow keeps less than there is; None where it keeps all."""
    tiles = getattr(image, "tile", None) or []
    args = [tile[3] for tile in tiles if tile[3]]
    if image.format == "PPM" and any(arg == "I;16B" or (isinstance(arg, tuple) and arg[-1] > 255) for arg in args):
        return "PPM;16"
    if image.format == "SGI" and any(tile[0] == "SGI16" or tile[3][-1] == 2 for tile in tiles):
        return "SGI;16"
    found = [name for arg in args if _ANY_SIXTEEN.fullmatch(name := str(arg if isinstance(arg, str) else arg[0]))]
    return found[0] if found and not image.mode.startswith("I") else None


def _in_full(image: Image.Image, layout: str) -> np.ndarray:
    """The 16 bits of each channel, (height, width, channels)."""
    from PIL import ImageFile

    assert isinstance(image, ImageFile.ImageFile)  # it has a layout
    known, codec = _SIXTEEN.fullmatch(layout), image.tile[0][0]
    if image.fp is None or (known is None and (layout != "PPM;16" or codec == "ppm_plain")):
        raise ValueError(
            f"16 bits per channel in the layout '{layout}', of which only 8 can be read; save it in 8 bits"
        )
    place = image.fp.tell()
    image.fp.seek(0)
    content = image.fp.read()
    image.fp.seek(place)
    if known is None:
        channels = 3 if image.mode == "RGB" else 1
        values = np.frombuffer(content, ">u2", image.width * image.height * channels, image.tile[0][2])
        return values.astype(np.uint16).reshape(image.height, image.width, channels)
    return _from_two_readings(content, *known.groups())


def _from_two_readings(content: bytes, mode: str, order: str) -> np.ndarray:
    """Channels of 16 bits, of which Pillow gives the upper bytes or, taken in the other order, the lower ones."""
    if mode == "LA":  # four bytes: brightness, transparency, upper before lower
        both = _read_as(content, "RGBA")
        values = both[..., ::2].astype(np.uint16) << 8 | both[..., 1::2]
        return values if order == "B" else values.byteswap()
    native = "L" if sys.byteorder == "little" else "B"
    first = native if order == "N" else order
    upper = _read_as(content, f"{mode};16{first}")
    lower = _read_as(content, f"{mode};16{'B' if first == 'L' else 'L'}")
    return upper.astype(np.uint16) << 8 | lower


def _read_as(content: bytes, layout: str) -> np.ndarray:
    """The pixels of a file, unpacked by a layout of the same number of bits."""
    from PIL import Image, ImageFile

    with Image.open(io.BytesIO(content)) as image:
        assert isinstance(image, ImageFile.ImageFile)
        image.tile = [
            tile._replace(args=(layout, *tile.args[1:]) if isinstance(tile.args, tuple) else layout)
            for tile in image.tile
        ]
        return np.asarray(image)
