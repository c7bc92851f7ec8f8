"""What a known data set is: where to download it, under what licence, and how its files become arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tenfold.datasets._containers import Images
from tenfold.datasets._recordings import Recordings
from tenfold.errors import DataError

__all__ = ["Dataset", "RemoteFile"]


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of a public download.

    Args:
        name: file name, added to each mirror's address; may begin with folders of the mirror.
        sha256: checksum, in hexadecimal; empty where none is published. The ``fingerprint`` of the set must then be
            known, and the file is fetched again at each attempt.
        size_bytes: its size, for the message before the download.
    """

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A known data set. To add one: one file that builds this, and one line in ``known.py``.

    Args:
        name: what a study file calls it; also the name of its prepared file, ``NAME.npz``.
        title: one line for a list.
        build: file name -> path of each downloaded file, to ``Images`` or ``Recordings``. It leaves name, source,
            licence and citation empty: they are filled in from here.
        licence, citation, source: text; source is the page to read about it.
        files: what has to be downloaded; empty for a set that comes with an installed package.
        mirrors: addresses to try, in this order; each ends in "/".
        fingerprint: that of the right data, where it is known; anything else is then refused.
        kind: what ``build`` gives: ``Images``, or ``Recordings``. A wrong request is then refused before a download.
    Raises:
        ValueError: if a file has no checksum and the set no fingerprint: a wrong download would not be noticed.
    """

    name: str
    title: str
    build: Callable[[Mapping[str, Path]], Images | Recordings]
    licence: str
    citation: str
    source: str
    files: tuple[RemoteFile, ...] = ()
    mirrors: tuple[str, ...] = ()
    fingerprint: str = ""
    kind: type[Images] | type[Recordings] = Images

    def __post_init__(self) -> None:
        unchecked = [file.name for file in self.files if not file.sha256]
        if unchecked and not self.fingerprint:
            raise ValueError(f"{self.name}: {unchecked[0]} has no sha256, and the set has no fingerprint")

    @property
    def built_in(self) -> bool:
        """True where nothing has to be downloaded."""
        return not self.files

    @property
    def download_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def made_of(self, files: Mapping[str, Path]) -> Images | Recordings:
        """What ``build`` makes of the files, complete and checked."""
        return self.complete(self.build(files))

    def complete(self, data: Images | Recordings) -> Images | Recordings:
        """The data with the name, source, licence and citation of this set.

        Raises:
            DataError: if they are not what they should be, by ``kind`` or ``fingerprint``.
        """
        if not isinstance(data, self.kind):
            raise DataError(f"{self.name}: expected {self.kind.__name__}, got {type(data).__name__}")
        if self.fingerprint and (found := data.fingerprint) != self.fingerprint:
            of_images = isinstance(data, Images)
            what = "images, labels, parts and episodes" if of_images else "signals, pieces, labels, parts and groups"
            raise DataError(
                f"{self.name}: not the published {what}: expected fingerprint {self.fingerprint}, got {found} "
                f"({len(data)} {'images' if of_images else 'pieces'} of {data.n_classes} classes)"
            )
        return replace(data, name=self.name, source=self.source, licence=self.licence, citation=self.citation)
