"""How an image in its own units becomes what a network takes: one reader for training data and for new images."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from tenfold.datasets._arrays import as_array
from tenfold.datasets._average import average_down
from tenfold.datasets._channels import CHANNELS, channel_axes, with_channels
from tenfold.datasets._containers import Images, Pairs
from tenfold.datasets._image_file import channels_of_image, fitted_image, plain_image
from tenfold.datasets._pixel_range import RANGES, to_bytes, to_unit
from tenfold.errors import DataError, RequestError, ShapeError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ImageForm"]


@dataclass(frozen=True, kw_only=True)
class ImageForm:
    """How images become what a network takes. The record of a study keeps it, and everything that reads a new image for
    one of its networks goes by it.

    Args:
        channels: 1 for grey, 3 for red, green and blue. Colour images become grey; a grey image gets equal channels.
        height, width: of what a network takes; None where every size is taken as it is.
        fit: how an image gets there. "squeeze": the whole image is averaged over area, whatever its shape. "cut": it is
            cut about its middle to the shape of ``cut_to`` and resized to it with a smoothing filter, then averaged
            over area. "square": it is cut to a square about its middle, then averaged over area. "none": it must have
            the size.
        cut_to: height and width, for "cut".
        pixel_range: value of a white pixel in files and in integers; those of 8 bits have at most 255. None where it is
            not known: then 255, and files of 16 bits are taken only if they use the upper three quarters of it.
        float_range: the same of numbers with a fraction.
        stored: what the study keeps images as before it averages: "uint8", "float32", or None for whatever they are.
    Raises:
        RequestError: if a value is impossible.
    """

    channels: int
    height: int | None = None
    width: int | None = None
    fit: Literal["none", "squeeze", "cut", "square"] = "none"
    cut_to: tuple[int, int] | None = None
    pixel_range: float | None = None
    float_range: float = 1
    stored: Literal["uint8", "float32"] | None = None

    def __post_init__(self) -> None:
        sides = [side for shape in ((self.height, self.width), self.cut_to or ()) for side in shape if side is not None]
        if self.channels not in CHANNELS:
            raise RequestError(f"images of {self.channels} channels, expected 1 (grey) or 3 (red, green, blue)")
        if any(not isinstance(side, int) or side < 1 for side in sides) or (self.height is None) != (
            self.width is None
        ):
            raise RequestError(f"images of shape {(self.height, self.width)}, cut to {self.cut_to}")
        if self.fit not in ("none", "squeeze", "cut", "square"):
            raise RequestError(f"an unknown way to bring images to a size: {self.fit!r}")

    @classmethod
    def of(cls, data: Images | Pairs, size: int | None) -> Self:
        """That of a data set whose images a task averages down to squares of a size, or leaves as they are."""
        shape = data.images.shape if isinstance(data, Images) else data.pairs.shape
        own = (shape[-2], shape[-1])
        # Images that came in the size wanted: new ones of another size are cut, as a folder of several sizes is.
        cut = (isinstance(data, Images) and data.resized) or own == (size, size)
        return cls(
            channels=data.n_channels if isinstance(data, Images) else 1,
            height=size or own[0],
            width=size or own[1],
            fit="cut" if cut else "squeeze" if size else "none",
            cut_to=own if cut else None,
            pixel_range=data.pixel_range,
            float_range=data.float_range,
            stored="uint8" if isinstance(data, Images) else "float32",
        )

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """As ``facts`` gave it, which JSON may have changed; what else stands there is passed over."""
        known = {field.name for field in dataclasses.fields(cls)}
        found = {name: value for name, value in facts.items() if name in known}
        if found.get("cut_to") is not None:
            found["cut_to"] = tuple(found["cut_to"])
        return cls(**found)

    def facts(self) -> dict[str, Any]:
        """All of it, for a record."""
        return dataclasses.asdict(self) | {"cut_to": None if self.cut_to is None else list(self.cut_to)}

    def read(self, image: Any, *, where: str) -> np.ndarray:
        """One image as a network takes it.

        Args:
            image: a path; a Pillow image; or an array or tensor of shape (height, width), or with 1 or 3 channels first
                or last, of integers, floats or booleans. In files, transparent parts become white and a camera's
                rotation mark is followed.
            where: how a message calls the image.
        Returns:
            float32 from 0 to 1, shape (channels, height, width).
        Raises:
            RequestError: if this is not an image.
            DataError: if a file is missing, damaged, not an image or larger than Pillow's limit, or a pixel is out of
                range.
            ShapeError: if an array has another shape, or one that can be read in two ways, or the image does not have
                the size, or is too small for it.
        """
        if isinstance(image, (str, os.PathLike)):
            where = f"{where} ({os.fspath(image)})"
            pixels = _opened(lambda: self._of_file(Path(image)), where)
        elif _is_pillow(image):
            pixels = _opened(lambda: self._of_pillow(image), where)
        else:
            pixels = self._of_array(image, where)
        return self._in_size(pixels, where)

    # -- pixels -------------------------------------------------------------------------------------------------------

    def _of_file(self, path: Path) -> np.ndarray:
        from PIL import Image

        with Image.open(path) as opened:
            return self._of_pillow(opened)

    def _of_pillow(self, image: Image.Image) -> np.ndarray:
        """Pixels as uint8, shape (channels, height, width): the steps by which a folder of images is read."""
        pixels = channels_of_image(plain_image(image, colour=self.channels == 3, pixel_range=self.pixel_range))
        if 0 in pixels.shape:
            raise ValueError("it has no pixels")
        if pixels.max() == 1 and (self.pixel_range is None or self.pixel_range >= RANGES[0]):
            raise DataError(_DARK.format(RANGES[0]))
        return pixels

    def _of_array(self, image: Any, where: str) -> np.ndarray:
        """The pixels of an array, checked, shape (channels, height, width): uint8, or floats or booleans as they are
        where the study does not keep bytes."""
        pixels = _channels_first(as_array(image), image, where)
        kind, white = pixels.dtype.kind, self._white(pixels.dtype)
        # `not` catches NaN, which is never inside.
        if not (pixels.min() >= 0 and pixels.max() <= white):
            whole, full = f"{self._white(np.dtype(np.int64)):g}", f"{self.float_range:g}"
            raise DataError(
                f"{where}: pixels must be integers 0..{whole} or floats 0..{full}; got {pixels.dtype} from "
                f"{pixels.min()} to {pixels.max()}"
            )
        if kind in "iu" and white > 1 and pixels.max() == 1:
            raise DataError(f"{where}: {_DARK.format(white)}")
        # Fractions of the final size are means over area, from a matcher: rounded, they would not be what it made.
        prepared = self.fit == "squeeze" and pixels.shape[1:] == (self.height, self.width)
        if self.stored == "float32" or (kind == "f" and white != 1 and self.stored is None):
            pixels = to_unit(pixels, white)
        elif kind in "iu" or (self.stored == "uint8" and not (kind == "f" and white == 1 and prepared)):
            pixels = to_bytes(pixels, white)
        return with_channels(pixels, self.channels)

    def _white(self, dtype: np.dtype) -> float:
        """Value of a white pixel in an array of this type."""
        if dtype.kind == "b":
            return 1
        if dtype.kind == "f":
            return self.float_range
        white = self.pixel_range or RANGES[0]
        return min(white, RANGES[0]) if dtype == np.uint8 else white

    # -- size ---------------------------------------------------------------------------------------------------------

    def _in_size(self, pixels: np.ndarray, where: str) -> np.ndarray:
        """Pixels (channels, height, width) of any size as float32 of the size wanted."""
        if self.fit == "cut" and self.cut_to is not None and pixels.shape[1:] != self.cut_to:
            pixels = _cut(pixels, self.cut_to)
        if self.fit == "square":
            side = min(pixels.shape[1:])
            top, left = ((length - side) // 2 for length in pixels.shape[1:])
            _expect_at_least(pixels, (self.height, self.width), where)
            pixels = pixels[:, top : top + side, left : left + side]
        if self.stored == "float32" and pixels.dtype == np.uint8:
            pixels = to_unit(pixels, RANGES[0])
        if self.fit == "none" or self.height is None or self.width is None:
            self._expect_size(pixels, where)
            return np.ascontiguousarray(to_unit(pixels, RANGES[0] if pixels.dtype == np.uint8 else 1))
        _expect_at_least(pixels, (self.height, self.width), where)
        return average_down(pixels, (self.height, self.width))

    def _expect_size(self, pixels: np.ndarray, where: str) -> None:
        height, width = pixels.shape[1:]
        if self.height is not None and (height, width) != (self.height, self.width):
            raise ShapeError(
                f"{where}: expected an image of {self.height} x {self.width} pixels (height x width), as the study's, "
                f"got {height} x {width}; with size in [task], the study brings all images to one size"
            )


_DARK = (
    "the brightest integer pixel is 1 of {:g}, nearly black; pass black and white as booleans, or 0..1 as floats, or "
    "set pixel_range"
)


def _is_pillow(image: Any) -> bool:
    from PIL import Image

    return isinstance(image, Image.Image)


def _opened(read: Callable[[], np.ndarray], where: str) -> np.ndarray:
    """What ``read`` makes of a file or Pillow image; whatever it says of damage becomes one kind of error."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return read()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as problem:
        limit = Image.MAX_IMAGE_PIXELS or 0
        raise DataError(f"{where}: more than Pillow's limit of {limit:,} pixels; make it smaller first") from problem
    except FileNotFoundError as problem:
        raise DataError(f"{where}: there is no such file") from problem
    except UnidentifiedImageError as problem:
        raise DataError(f"{where}: not an image that Pillow can read") from problem
    except DataError as problem:  # read, and out of range
        raise DataError(f"{where}: {problem}") from problem
    except MemoryError:
        raise
    except Exception as problem:  # Pillow's forty formats raise different errors for damage
        said = getattr(problem, "strerror", None) or problem or type(problem).__name__
        raise DataError(f"{where}: cannot be read as an image ({said})") from problem


def _channels_first(pixels: np.ndarray, image: Any, where: str) -> np.ndarray:
    """An array of numbers with its 1 or 3 channels first."""
    if pixels.dtype.kind not in "biuf":
        got = type(image).__name__
        error, got = (ShapeError, f"an array of {pixels.dtype}") if got == "ndarray" else (RequestError, got)
        raise error(f"{where}: expected an image: a path, a Pillow image, or an array; got {got}")
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
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, axes[0], 0)


def _cut(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cut and resized as the reader of a folder does it, in bytes."""
    from PIL import Image

    content = np.ascontiguousarray((pixels if pixels.dtype == np.uint8 else to_bytes(pixels, 1)).transpose(1, 2, 0))
    image = Image.fromarray(content[..., 0] if content.shape[-1] == 1 else content)
    return channels_of_image(fitted_image(image, shape))


def _expect_at_least(pixels: np.ndarray, size: tuple[int | None, int | None], where: str) -> None:
    height, width = pixels.shape[1:]
    if size[0] is not None and size[1] is not None and (height < size[0] or width < size[1]):
        raise ShapeError(
            f"{where}: is {height} x {width} pixels; at least {size[0]} x {size[1]} are needed, since averaging only "
            "makes smaller: use a larger image"
        )
