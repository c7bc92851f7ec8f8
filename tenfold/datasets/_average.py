"""Make images smaller by averaging over area."""

from __future__ import annotations

import numpy as np

from tenfold.errors import DataError, ShapeError

__all__ = ["average_down"]


def average_down(images: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Each pixel of the result is the mean of the area that it covers in the original.

    Where height and width are multiples of the new size this is the plain block mean; otherwise a pixel that lies
    across a border counts in proportion to its area on each side. Integers are summed as integers: the result is the
    same to the last bit whichever images are averaged together. Values go from 0..255 to 0..1.

    Args:
        images: shape (..., height, width), with any leading axes, such as (n, channels); integers 0..255, floats
            0..1, or booleans.
        size: new height and width; one number for both.
    Returns:
        float32 in 0..1, shape (..., new height, new width).
    Raises:
        ShapeError: if there are fewer than two axes, or the new size is below 1 or above the old one.
        DataError: if a value is out of range, NaN or infinite.
    Example:
        >>> average_down(np.array([[0, 255, 0, 0], [255, 255, 0, 51]], dtype=np.uint8), (1, 2))
        array([[0.75, 0.05]], dtype=float32)
        >>> average_down(np.array([[0.0, 0.3, 0.6]]), (1, 2)).round(2)  # 1.5 pixels each
        array([[0.1, 0.5]], dtype=float32)
    """
    images = np.asarray(images)
    height, width = _checked_size(images, size)
    scale = np.float32(_checked_scale(images))
    row_factor, row_rest = divmod(images.shape[-2], height)
    column_factor, column_rest = divmod(images.shape[-1], width)
    if row_rest or column_rest:
        return _average_across(images, height, width, full=int(scale))
    # Adding up strided slices is several times faster than a mean over two short axes of a reshaped array.
    total = np.zeros((*images.shape[:-2], height, width), np.float64 if images.dtype.kind == "f" else np.uint32)
    for row in range(row_factor):
        for column in range(column_factor):
            total += images[..., row::row_factor, column::column_factor].astype(total.dtype)
    return (total / np.float64(scale * row_factor * column_factor)).astype(np.float32)


def sides_of(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width; one number stands for both."""
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2 or not all(isinstance(side, (int, np.integer)) and side >= 1 for side in sides):
        raise ShapeError(f"size must be one or two integers from 1; got {size!r}")
    return int(sides[0]), int(sides[1])


def _checked_size(images: np.ndarray, size: int | tuple[int, int]) -> tuple[int, int]:
    if images.ndim < 2:
        raise ShapeError(f"average_down: expected images of shape (..., height, width); got shape {images.shape}")
    sides = sides_of(size)
    if sides[0] > images.shape[-2] or sides[1] > images.shape[-1]:
        raise ShapeError(
            f"average_down: size {sides[0]} x {sides[1]} is larger than the images, which are {images.shape[-2]} x "
            f"{images.shape[-1]}; averaging only makes smaller: choose at most that"
        )
    return sides


def _checked_scale(images: np.ndarray) -> int:
    """What full brightness is in these images, after a check of their values."""
    if images.dtype.kind == "b":
        return 1
    if images.dtype.kind not in "iuf":
        raise DataError(f"average_down: expected integers 0..255 or floats 0..1; got values of type {images.dtype}")
    full = 1 if images.dtype.kind == "f" else 255
    # uint8 cannot be out of range: no pass over the data for the usual case. `not` catches NaN, which is never inside.
    if images.dtype != np.uint8 and images.size and not (images.min() >= 0 and images.max() <= full):
        raise DataError(
            f"average_down: {images.dtype} images must lie in 0..{full}; got {images.min()} to {images.max()}"
        )
    return full


def _average_across(images: np.ndarray, height: int, width: int, *, full: int) -> np.ndarray:
    """``average_down`` to a size with borders inside pixels; ``full`` is full brightness."""
    old_height, old_width = images.shape[-2:]
    whole = full * old_height * old_width  # the sum of a white image, with areas as integers
    # Below 2 ** 24 float32 holds every integer: no sum is rounded, in whatever order a matrix product adds.
    dtype = np.float32 if images.dtype.kind != "f" and whole < 2**24 else np.float64
    rows, columns = _overlaps(old_height, height).astype(dtype), _overlaps(old_width, width).astype(dtype).T
    flat = images.reshape(-1, old_height, old_width)
    averaged = np.empty((len(flat), height, width), np.float32)
    chunk = max(1, 2**22 // (old_height * old_width))  # a large set as floats would be several times its size
    for start in range(0, len(flat), chunk):
        # One product of two matrices for all rows of the chunk is several times faster than one for each image.
        pixels = flat[start : start + chunk].astype(dtype).reshape(-1, old_width)
        total = rows @ (pixels @ columns).reshape(-1, old_height, width)  # (chunk, height, width)
        averaged[start : start + chunk] = np.clip(total / np.float64(whole), 0, 1)
    return averaged.reshape(*images.shape[:-2], height, width)


def _overlaps(old: int, new: int) -> np.ndarray:
    """How much of each new pixel each old one covers along one axis, shape (new, old), in units of 1 / (old * new).

    In these units all borders are integers, and every row adds up to ``old``.
    """
    new_start = np.arange(new)[:, None] * old
    old_start = np.arange(old)[None, :] * new
    overlap = np.minimum(new_start + old, old_start + new) - np.maximum(new_start, old_start)
    return np.maximum(overlap, 0)
