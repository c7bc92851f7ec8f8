"""One function for every kind of data: a known name, an `.npz` file, a folder of images."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from tenfold.data._cache import load_known, say
from tenfold.data._containers import Images, Pairs, first_names
from tenfold.data._folder import read_folder
from tenfold.data._npz import read_npz
from tenfold.data.dataset import Dataset
from tenfold.data.known import DATASETS
from tenfold.errors import DataError

__all__ = ["load"]


def load(
    name_or_path: str | Path | Dataset,
    *,
    base: str | Path | None = None,
    size: int | tuple[int, int] | None = None,
    unreadable: str = "refuse",
    report: Callable[[str], None] = say,
) -> Images | Pairs:
    """A data set as checked arrays.

    Args:
        name_or_path: a known name ("digits", "mnist"), which goes before a file or folder of that name ("./digits" is
            the folder); an `.npz` file; a folder with one sub-folder of images a class; or a ``Dataset``.
        base: the folder that a relative path starts from; the working directory if None.
        size: only for a folder whose images differ in size: height and width to bring them to.
        unreadable: only for a folder: "refuse" or "skip" files that cannot be read.
        report: gets lines about a download; to stderr by default.
    Returns:
        ``Images``, or ``Pairs`` for an `.npz` with ready-made pairs.
    Raises:
        DataError: if the data are missing, damaged, of the wrong shape or impossible; says where and which value.
        DownloadError: if a known set cannot be downloaded.
    Example:
        >>> digits = load("digits")
        >>> digits.images.shape, digits.class_names[:3], digits.licence
        ((1797, 8, 8), ('0', '1', '2'), 'CC BY 4.0')
    """
    if isinstance(name_or_path, Dataset):
        return load_known(name_or_path, report=report)
    for dataset in DATASETS:
        if dataset.name == name_or_path:
            return load_known(dataset, report=report)
    try:
        path = Path(base or "") / Path(name_or_path).expanduser()
        if path.is_dir():
            return read_folder(path, size=size, unreadable=unreadable)
        if path.is_file():
            if path.suffix.lower() == ".npz":
                return read_npz(path)
            raise DataError(f"{path}: expected an .npz file or a folder of images; got a '{path.suffix}' file")
    except (OSError, RuntimeError) as problem:  # RuntimeError: expanduser without a home folder
        raise DataError(
            f"{name_or_path}: cannot be read ({getattr(problem, 'strerror', None) or problem})"
        ) from problem
    raise DataError(_missing(str(name_or_path), path))


def _missing(asked: str, path: Path) -> str:
    """The message for what is neither a known name nor there, with the nearest of both."""
    known = [dataset.name for dataset in DATASETS]
    if not path.parent.is_dir():
        return f"no data set '{asked}', and no folder '{path.parent}'; known sets: {', '.join(known)}"
    there = [entry.name for entry in path.parent.iterdir() if entry.suffix.lower() == ".npz" or entry.is_dir()]
    choices = {name.lower(): name for name in [*there, *known] if not name.startswith(".")}
    close = difflib.get_close_matches(path.name.lower(), choices, n=1, cutoff=0.6)
    files = sorted(name for name in there if name.lower().endswith(".npz"))
    seen = f".npz files there: {first_names(files)}" if files else "no .npz file is there"
    advice = f"did you mean '{choices[close[0]]}'?" if close else f"known sets: {', '.join(known)}; {seen}"
    return f"no data set '{asked}', and no file or folder of that name in '{path.parent.resolve()}': {advice}"
