"""The IDX parser accounts for every byte."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from tenfold.datasets._idx import read_idx
from tenfold.errors import DataError

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
GOOD = struct.pack(">4B3I", 0, 0, 8, 3, 2, 3, 4) + ARRAY.tobytes()


@pytest.fixture
def write(tmp_path: Path):
    def _write(content: bytes) -> Path:
        (tmp_path / "x.gz").write_bytes(content)
        return tmp_path / "x.gz"

    return _write


def test_reads_a_file(write) -> None:
    array = read_idx(write(gzip.compress(GOOD)), n_axes=3)
    np.testing.assert_array_equal(array, ARRAY)
    assert array.flags.writeable


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "got an empty file"),
        (GOOD[:10], "got 0, 0, 8, 3"),
        (GOOD[:-1], "needs 24 values; the file holds 23"),
        (GOOD + b"\0", "needs 24 values; the file holds 25"),
        (b"\0\0\x0d" + GOOD[3:], "got 0, 0, 13, 3"),
        (b"\0\0\x08\x01" + GOOD[4:], "got 0, 0, 8, 1"),
        (b"\x01" + GOOD[1:], "got 1, 0, 8, 3"),
    ],
)
def test_refuses_what_is_not_quite_idx(write, content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_idx(write(gzip.compress(content)), n_axes=3)


# Names of their own: a gzip file holds the time, and parallel test processes must agree on the names of tests.
@pytest.mark.parametrize(
    "content",
    [b"plain", GOOD, gzip.compress(GOOD)[:-9], gzip.compress(GOOD)[:20]],
    ids=["plain", "not packed", "without its end", "only its start"],
)
def test_refuses_what_is_not_whole_gzip(write, content: bytes) -> None:
    with pytest.raises(DataError, match="not a whole gzip file"):
        read_idx(write(content), n_axes=3)
