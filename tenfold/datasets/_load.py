"""One function a kind of data: ``load`` for images and pairs, ``load_recordings`` for signals over time.

Both take a known name, an `.npz` file or a folder.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.datasets._cache import load_known, say
from tenfold.datasets._channels import with_channels
from tenfold.datasets._containers import Images, Pairs, first_names
from tenfold.datasets._folder import read_folder
from tenfold.datasets._npz import read_npz
from tenfold.datasets._pixel_range import checked_range
from tenfold.datasets._recordings import Recordings
from tenfold.datasets._spelling import alike
from tenfold.datasets.dataset import Dataset
from tenfold.datasets.known import DATASETS
from tenfold.errors import DataError, RequestError

if TYPE_CHECKING:
    from tenfold.datasets._layout import Layout

__all__ = ["load", "load_recordings"]


def load(
    name_or_path: str | Path | Dataset,
    *,
    base: str | Path | None = None,
    size: int | tuple[int, int] | None = None,
    colour: bool | None = None,
    unreadable: str = "refuse",
    pixel_range: float | None = None,
    report: Callable[[str], None] = say,
) -> Images | Pairs:
    """A data set as checked arrays.

    Args:
        name_or_path: a known name ("digits", "mnist"), which goes before a file or folder of that name ("./digits" is
            the folder); an `.npz` file; a folder with one sub-folder of images a class; or a ``Dataset``.
        base: the folder that a relative path starts from; the working directory if None.
        size: only for a folder whose images differ in size: height and width to bring them to.
        colour: True for 3 channels, grey images having three equal ones; False for 1 channel, colour images made grey
            by 0.299 R + 0.587 G + 0.114 B; None for the channels that the files have: 3 if any image of a folder has
            colour, else 1.
        unreadable: only for a folder: "refuse" or "skip" files that cannot be read.
        pixel_range: value of a white pixel in the files, such as 4095 for a camera of 12 bits. None is 255 for integers
            and files of 8 bits and 1 for floats; for files of 16 bits the smallest of 255, 1023, 4095, 16383 and 65535
            that holds their largest value, which ``notes`` say.
        report: gets lines about a download; to stderr by default.
    Returns:
        ``Images``, or ``Pairs`` for an `.npz` with ready-made pairs.
    Raises:
        DataError: if the data are missing, damaged, of the wrong shape or impossible, or are recordings; says where and
            which value.
        DownloadError: if a known set cannot be downloaded.
        RequestError: if ``colour`` is True for ready-made pairs, which are grey; or there is a ``pixel_range`` for a
            known set, or an impossible one.
    Example:
        >>> digits = load("digits")
        >>> digits.images.shape, digits.class_names[:3], digits.licence
        ((1797, 1, 8, 8), ('0', '1', '2'), 'CC BY 4.0')
    """
    found, white = _found(name_or_path, base), checked_range(pixel_range)
    if isinstance(found, Dataset):
        if white is not None:
            raise RequestError(f"pixel_range: white is known in the set '{found.name}'; leave it out")
        data = load_known(_of_kind(found, Images), report=report)
    else:

        def read_images(folder: Path) -> Images:
            return read_folder(folder, size=size, colour=colour, unreadable=unreadable, pixel_range=white)

        data = _read(found, read_images, of="images", pixel_range=white)
    if isinstance(data, Recordings):
        raise _wrong_kind(str(name_or_path), Recordings)
    if isinstance(data, Pairs):
        if colour:
            raise RequestError(f"{name_or_path}: colour=True is for images; ready-made pairs are grey: leave it out")
        return data
    if colour is None:
        return data
    return replace(data, images=with_channels(data.images, 3 if colour else 1))


def load_recordings(
    name_or_path: str | Path | Dataset,
    *,
    base: str | Path | None = None,
    layout: Layout | None = None,
    report: Callable[[str], None] = say,
) -> Recordings:
    """Signals over time as checked arrays.

    Args:
        name_or_path: a known name ("har-smartphone", "motionsense"); an `.npz` file with ``signals`` and ``labels``; a
            folder of tables, one recording per file; or a ``Dataset``.
        base: the folder that a relative path starts from; the working directory if None.
        layout: only for a folder: which columns to use, where label, group and rate are to be found, and what to do
            about gaps.
        report: gets lines about a download; to stderr by default.
    Raises:
        DataError: if the data are missing, damaged or impossible, or are images or pairs; says where and which value.
        DownloadError: if a known set cannot be downloaded.
        RequestError: if there is a layout, and the data are not a folder.
    """
    found = _found(name_or_path, base)
    if layout is not None and (isinstance(found, Dataset) or not found.is_dir()):
        raise RequestError(
            f"layout: it says how to read the tables of a folder, and '{name_or_path}' is not a folder: leave it out, "
            "or name the folder"
        )
    if isinstance(found, Dataset):
        data = load_known(_of_kind(found, Recordings), report=report)
    else:

        def read_tables(folder: Path) -> Recordings:
            from tenfold.datasets._tables import read_recordings

            return read_recordings(folder, layout)

        data = _read(found, read_tables, of="recordings")
    if not isinstance(data, Recordings):
        raise _wrong_kind(str(name_or_path), type(data))
    return data


def _found(name_or_path: str | Path | Dataset, base: str | Path | None) -> Dataset | Path:
    """The known set that is asked for, or the file or folder, which exists."""
    if isinstance(name_or_path, Dataset):
        return name_or_path
    for dataset in DATASETS:
        if dataset.name == name_or_path:
            return dataset
    try:
        path = Path(base or "") / Path(name_or_path).expanduser()
        if path.is_dir() or path.is_file():
            return path
    except (OSError, RuntimeError) as problem:  # RuntimeError: expanduser without a home folder
        raise _unreadable(name_or_path, problem) from problem
    raise DataError(_missing(str(name_or_path), path))


def _of_kind(dataset: Dataset, kind: type[Images] | type[Recordings]) -> Dataset:
    """The set, if it is of the kind that is asked for. Checked before anything is downloaded."""
    if dataset.kind is not kind:
        raise _wrong_kind(dataset.name, dataset.kind)
    return dataset


def _wrong_kind(asked: str, found: type[Images] | type[Pairs] | type[Recordings]) -> DataError:
    if found is Recordings:
        return DataError(
            f"{asked}: holds recordings (signals over time), and images or pairs are asked for; recordings are for the "
            "task classify-sequences, or load_recordings in Python"
        )
    return DataError(
        f"{asked}: holds {found.__name__.lower()}, and recordings (signals over time) are asked for; images and "
        "pairs are for another task, or load in Python"
    )


def _read(
    path: Path,
    read_a_folder: Callable[[Path], Images | Recordings],
    *,
    of: str,
    pixel_range: float | None = None,
) -> Images | Pairs | Recordings:
    try:
        if path.is_dir():
            return _with_spellings(read_a_folder(path))
        if path.suffix.lower() == ".npz":
            return _with_spellings(read_npz(path, pixel_range=pixel_range))
    except OSError as problem:
        raise _unreadable(path, problem) from problem
    advice = ""
    if of == "recordings":
        advice = f"; put it into a folder of its own and name that: '{path.parent / path.stem}'"
    raise DataError(f"{path}: expected an .npz file or a folder of {of}; got a '{path.suffix}' file{advice}")


def _with_spellings(data: Images | Pairs | Recordings) -> Images | Pairs | Recordings:
    """The data, with a note on names of classes or groups that differ in spelling only."""
    groups = () if isinstance(data, Pairs) else data.group_names
    notes = [
        f"{what} that differ in spelling only, taken as different: {first_names(same)}"
        for what, names in (("classes", data.class_names), ("groups", groups))
        for same in alike(names)
    ]
    more = [note for note in notes if note not in data.notes]
    return replace(data, notes=(*data.notes, *more)) if more else data


def _unreadable(name: str | Path, problem: OSError | RuntimeError) -> DataError:
    return DataError(f"{name}: cannot be read ({getattr(problem, 'strerror', None) or problem})")


def _missing(asked: str, path: Path) -> str:
    """The message for a name that is neither a known set nor a file or folder, with the nearest of both."""
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
