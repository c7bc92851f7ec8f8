"""Arrays of a record on disk: .npz for predictions, .safetensors for weights and preprocessing. Nothing is pickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from tenfold.errors import RecordError
from tenfold.files import atomic_write

__all__ = ["ENDINGS", "read_npz", "read_safetensors", "write_npz", "write_safetensors"]

Arrays = dict[str, np.ndarray]

ENDINGS = {"predictions": ".npz", "clusters": ".npz", "weights": ".safetensors", "preprocessing": ".safetensors"}
"""The folders that hold a file per variant, and how these files end."""


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name, compressed; the same arrays give the same bytes (no time stamps)."""
    with atomic_write(path) as file:
        dump_npz(file, arrays)


def dump_npz(file: IO[bytes], arrays: Mapping[str, Any]) -> None:
    # By hand and not numpy.savez: that pickles objects silently and cannot store an array called "file".
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for name, value in arrays.items():
            array = np.asarray(value)
            if array.dtype.hasobject:
                raise RecordError(f"array '{name}' holds Python objects ({array.dtype}): expected numbers or text.")
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read_npz(path: Path) -> Arrays:
    """All arrays of an .npz; damaged, cut off or holding objects: RecordError."""
    _expect(path)
    try:
        # Opened here: numpy leaves a damaged file open when given its name.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise RecordError(_damaged(path, error)) from error


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write tensors by name, shape (runs, ...)."""
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    with atomic_write(path) as file:
        # Not save_file: it has a temporary file of its own, which a killed process would leave behind.
        file.write(save(contiguous))


def read_safetensors(path: Path) -> Arrays:
    """Tensors of a .safetensors file; damaged or cut off: RecordError."""
    from safetensors import SafetensorError, safe_open

    _expect(path)
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise RecordError(_damaged(path, error)) from error


def _expect(path: Path) -> None:
    if not path.is_file():
        raise RecordError(f"no file {path}: this model has not finished yet, or the file was removed.")


def _damaged(path: Path, error: Exception) -> str:
    reason = f"{type(error).__name__}: {error}"
    return f"{path} is damaged or cut off ({reason}). Restore it from a copy, or run the study again."
