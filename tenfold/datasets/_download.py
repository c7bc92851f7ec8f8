"""Download the files of a known data set, with checksums. Only this file talks to a network."""

from __future__ import annotations

import errno
import uuid
from pathlib import Path

from tenfold.datasets.dataset import Dataset, RemoteFile
from tenfold.errors import DownloadError

__all__ = ["download", "no_room"]

_TIMEOUT_SECONDS = 30
# EFBIG is what a limit on file size gives; to the user it is the same problem.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def download(dataset: Dataset, folder: Path) -> dict[str, Path]:
    """Download every file of ``dataset`` into ``folder``; complete ones that are there are not fetched again.

    Returns:
        File name -> path.
    Raises:
        DownloadError: if no mirror gives a file with the right checksum, or the folder cannot be written. No partial
            file is left behind.
    """
    paths = {}
    for file in dataset.files:
        path = paths[file.name] = folder / Path(file.name).name
        # Without a checksum, the file there may be the one that made the last attempt fail: fetch it again.
        if not (path.is_file() and _sha256(path) == file.sha256):
            _download_one(dataset, file, path)
    return paths


def no_room(problem: OSError, folder: Path, needed_bytes: int) -> DownloadError:
    """What to tell the user when ``folder`` cannot be written."""
    if problem.errno in _NO_ROOM:
        return DownloadError(
            f"no room left in {folder}: about {needed_bytes / 1e6:.0f} MB are needed; free some, or set TENFOLD_CACHE "
            "to a folder on another disk"
        )
    return DownloadError(
        f"cannot write in {folder} ({problem.strerror or problem}); set TENFOLD_CACHE to a folder you can write to"
    )


def _download_one(dataset: Dataset, file: RemoteFile, path: Path) -> None:
    """Try each mirror in turn; the file gets its name only when its checksum is right."""
    tried = []
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for mirror in dataset.mirrors:
            failure = _get(mirror + file.name, temporary) or _wrong_sum(temporary, file)
            if failure is None:
                temporary.replace(path)
                return
            tried.append(f"  - {mirror}{file.name}: {failure}")
    except OSError as problem:  # of the disk: _get turns those of the network into text
        raise no_room(problem, path.parent, 2 * dataset.download_bytes) from problem
    finally:
        temporary.unlink(missing_ok=True)
    raise DownloadError(
        "\n".join(
            [
                f"{dataset.name}: could not download {file.name}",
                *tried,
                "Check the connection and run the same command again; or make "
                f"{dataset.name}.npz where there is a network (tenfold data fetch {dataset.name}) and set TENFOLD_DATA "
                "to the folder that holds it.",
            ]
        )
    )


def _get(url: str, path: Path) -> str | None:
    """Download into ``path``; what went wrong with the network, or None. A problem with the disk is raised."""
    import requests
    from pooch import HTTPDownloader

    # As identity, or a server may send the .gz unpacked, which would have another checksum.
    fetch = HTTPDownloader(timeout=_TIMEOUT_SECONDS, headers={"Accept-Encoding": "identity"}, chunk_size=1 << 16)
    try:
        with path.open("wb") as output:
            fetch(url, output, None)
    except requests.HTTPError as problem:
        return f"the server answered {str(problem).split(' for url')[0]}"
    except requests.Timeout:
        return f"no answer within {_TIMEOUT_SECONDS} seconds"
    except requests.exceptions.SSLError as problem:
        return f"no secure connection ({problem})"
    except requests.exceptions.ChunkedEncodingError:
        return "the connection broke off before the end of the file"
    except (requests.RequestException, ConnectionError, TimeoutError) as problem:
        return f"no connection ({_root(problem)})"
    return None


def _root(problem: BaseException) -> str:
    """The innermost cause: requests wraps 'Name or service not known' into three layers of its own."""
    while problem.args and isinstance(inner := getattr(problem.args[0], "reason", problem.args[0]), BaseException):
        problem = inner
    return str(problem).rsplit("): ", 1)[-1]  # without urllib3's name for the connection


def _wrong_sum(path: Path, file: RemoteFile) -> str | None:
    found = _sha256(path)
    if found == file.sha256 or not file.sha256:
        return None
    return f"wrong checksum: expected sha256 {file.sha256}, got {found} ({path.stat().st_size:,} bytes)"


def _sha256(path: Path) -> str:
    from pooch import file_hash

    return file_hash(str(path), alg="sha256")
