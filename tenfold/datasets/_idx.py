"""Read one gzipped IDX file, the format in which MNIST and its relatives are published."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from tenfold.errors import DataError

__all__ = ["read_idx"]

_UNSIGNED_BYTE = 8


def read_idx(path: Path, *, n_axes: int) -> np.ndarray:
    """The uint8 array in a gzipped IDX file, refused unless every byte is accounted for.

    The file is: two zero bytes, the type (8 = unsigned byte), the number of axes, each axis as a big-endian 32-bit
    integer, then the values with the last axis running fastest.

    Args:
        path: a ``.gz`` file.
        n_axes: how many axes are expected.
    Returns:
        The array; a writable copy.
    Raises:
        DataError: if the file is not gzip, is cut off, has another type or number of axes, or is too short or long.
    Source: the table at the end of http://yann.lecun.com/exdb/mnist/.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{path}: not a whole gzip file ({problem}); delete it and fetch it again") from problem
    head = 4 + 4 * n_axes
    if len(content) < head or content[:4] != bytes([0, 0, _UNSIGNED_BYTE, n_axes]):
        raise DataError(
            f"{path}: expected an IDX file that begins with the bytes 0, 0, {_UNSIGNED_BYTE}, {n_axes} "
            f"(unsigned bytes, {n_axes} axes); got {', '.join(map(str, content[:4])) or 'an empty file'}"
        )
    shape = struct.unpack(f">{n_axes}I", content[4:head])
    if len(content) - head != math.prod(shape):
        raise DataError(f"{path}: {shape} needs {math.prod(shape)} values; the file holds {len(content) - head}")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape).copy()
