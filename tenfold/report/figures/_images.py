"""Images of one or three channels on axes that count in pixels; used by several figures."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from tenfold.report.figures._canvas import COLOURS

__all__ = ["are_images", "draw_image", "size_of_images"]


def are_images(array: np.ndarray, *, leading: int) -> bool:
    """Whether an array holds images after its first axes.

    Args:
        array: grey images (..., height, width), or (..., channels, height, width) with 1 or 3 channels.
        leading: the number of axes before the image.
    Example:
        >>> are_images(np.zeros((16, 28, 28)), leading=1), are_images(np.zeros((16, 3, 28, 28)), leading=1)
        (True, True)
        >>> are_images(np.zeros((16, 28, 28, 3)), leading=1), are_images(np.zeros((16, 28)), leading=1)
        (False, False)
    """
    extra = array.ndim - leading
    return array.size > 0 and (extra == 2 or (extra == 3 and array.shape[leading] in (1, 3)))


def size_of_images(array: np.ndarray) -> tuple[int, int]:
    """Height and width."""
    return int(array.shape[-2]), int(array.shape[-1])


def draw_image(
    page: Axes, image: np.ndarray, left: float, top: float, width: float, height: float, *, peak: float
) -> None:
    """One image with a thin frame.

    Args:
        page: from ``whole``.
        image: shape (height, width) or (channels, height, width).
        left, top, width, height: where it lies, in pixels.
        peak: the value that is drawn white, or as full colour; 0 is black.
    """
    shown = np.clip(np.asarray(image, np.float64) / peak, 0, 1)
    if shown.ndim == 3:
        shown = shown[0] if len(shown) == 1 else np.moveaxis(shown, 0, -1)
    extent = (left, left + width, top + height, top)
    page.imshow(shown, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="none", aspect="auto")
    # Dark images need an edge on a dark page, bright ones on a bright page.
    page.add_patch(Rectangle((left, top), width, height, fill=False, ec=COLOURS["line"], lw=1))
