"""Where prepared data sets are kept, and how a known one gets there."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tenfold.datasets._containers import Images
from tenfold.datasets._download import download, no_room
from tenfold.datasets._npz import read_npz, write_npz
from tenfold.datasets._recordings import Recordings
from tenfold.datasets.dataset import Dataset
from tenfold.datasets.known import DATASETS
from tenfold.errors import DataError, DownloadError, RequestError, nearest

__all__ = ["available", "cache_folder", "fetch", "load_known", "say"]


def say(text: str) -> None:
    """One line to stderr: stdout is for results."""
    print(text, file=sys.stderr, flush=True)


def cache_folder() -> Path:
    """The folder of prepared sets: ``TENFOLD_CACHE``, or the platform's cache folder. It need not exist yet.

    Raises:
        DataError: if there is no home folder to find it in, as in a container whose user is not known.
    """
    try:
        if chosen := os.environ.get("TENFOLD_CACHE"):
            return Path(chosen).expanduser()
        import pooch

        return Path(pooch.os_cache("tenfold"))
    except RuntimeError as problem:
        raise DataError(
            "there is no home folder to keep data sets in; set TENFOLD_CACHE to the whole path of a folder, or set HOME"
        ) from problem


def available(dataset: str | Dataset) -> str:
    """Whether a known set is available, in words.

    Returns:
        "built in", "prepared in PATH" or "to download, N MB".
    Raises:
        RequestError: if there is no set of that name.
    """
    dataset = _known(dataset)
    if path := _prepared(dataset):
        return f"prepared in {path}"
    return "built in" if dataset.built_in else f"to download, {dataset.download_bytes / 1e6:.1f} MB"


def fetch(dataset: str | Dataset, *, report: Callable[[str], None] = say) -> Path:
    """The prepared file of a known set, which is downloaded and built first where there is none.

    Args:
        dataset: a name, or a ``Dataset``.
        report: gets a line before and after a download; to stderr by default.
    Returns:
        Path of the prepared `.npz`: in ``TENFOLD_DATA`` if it is there, otherwise in the cache.
    Raises:
        RequestError: if there is no set of that name.
        DataError: if ``TENFOLD_DATA`` is set to something that is not a folder, or the files are not what they should
            be.
        DownloadError: if a file cannot be downloaded, its checksum is wrong, or the cache cannot be written.
    """
    dataset = _known(dataset)
    if path := _prepared(dataset):
        return path
    path = cache_folder() / f"{dataset.name}.npz"
    downloads = cache_folder() / f"{dataset.name}-download"
    if not dataset.built_in:
        report(f"{dataset.name}: downloading {dataset.download_bytes / 1e6:.1f} MB, once, into {path.parent}")
    try:
        data = dataset.made_of(download(dataset, downloads))
        write_npz(data, path)
    except (OSError, DataError) as problem:
        # Another process may have finished the same set meanwhile and removed the downloads.
        if path.is_file():
            shutil.rmtree(downloads, ignore_errors=True)
            return path
        if isinstance(problem, OSError) and not isinstance(problem, DownloadError):
            raise no_room(problem, path.parent, 2 * dataset.download_bytes) from problem
        # Complete files stay for the next attempt; an empty folder is of no use.
        with contextlib.suppress(OSError):
            downloads.rmdir()
        if isinstance(problem, DataError) and not all(file.sha256 for file in dataset.files):
            raise DataError(
                f"{problem}\nwhat came is not what was published: try again, or on another network"
            ) from problem
        raise
    shutil.rmtree(downloads, ignore_errors=True)
    report(f"{dataset.name}: {len(data)} {'images' if isinstance(data, Images) else 'pieces'} prepared in {path}")
    return path


def load_known(dataset: Dataset, *, report: Callable[[str], None] = say) -> Images | Recordings:
    """A known set in memory. A built-in one is built each time, unless ``TENFOLD_DATA`` holds a prepared file."""
    path = _prepared(dataset)
    if path is None:
        if dataset.built_in:
            return dataset.made_of({})
        path = fetch(dataset, report=report)
    try:
        found = read_npz(path)
        if not isinstance(found, dataset.kind):
            raise DataError(f"{path}: holds {type(found).__name__.lower()}, not {dataset.kind.__name__.lower()}")
        if found.name != dataset.name:
            raise DataError(f"{path}: holds '{found.name}', not '{dataset.name}'")
        return found
    except DataError as problem:
        fix = f"put a prepared file there ('tenfold data fetch {dataset.name}' makes one), or unset TENFOLD_DATA"
        if path.parent == cache_folder():
            fix = "delete it, and it is made again"
        raise DataError(f"the prepared file of '{dataset.name}' cannot be used: {problem}\n{fix}") from problem


def _known(dataset: str | Dataset) -> Dataset:
    if isinstance(dataset, Dataset):
        return dataset
    known = {each.name: each for each in DATASETS}
    if dataset not in known:
        raise RequestError(f"no data set '{dataset}': {nearest(dataset.lower(), known)}")
    return known[dataset]


def _prepared(dataset: Dataset) -> Path | None:
    """The prepared file, looked for in ``TENFOLD_DATA`` first, then in the cache."""
    if chosen := os.environ.get("TENFOLD_DATA"):
        folder = Path(os.path.expanduser(chosen))  # noqa: PTH111  # "~" stays where there is no home folder
        if not folder.is_dir():
            raise DataError(f"TENFOLD_DATA is set to '{chosen}', which is not a folder; set it to one, or unset it")
        if (folder / f"{dataset.name}.npz").is_file():
            return folder / f"{dataset.name}.npz"
    try:
        path = cache_folder() / f"{dataset.name}.npz"
        return path if path.is_file() else None
    except (DataError, OSError):  # no home folder, or one that may not be looked into: nothing is prepared there
        return None
