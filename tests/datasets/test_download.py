"""The real download code against a server on this machine that serves small files in MNIST's format."""

from __future__ import annotations

import gzip
import hashlib
import socket
import struct
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tenfold.datasets import DATASETS, TEST, TRAIN, Dataset, Images, RemoteFile, available, fetch, load
from tenfold.errors import DataError, DownloadError, TenfoldError

MNIST = next(dataset for dataset in DATASETS if dataset.name == "mnist")
RANDOM = np.random.default_rng(0)
TRAIN_IMAGES = RANDOM.integers(0, 256, (30, 28, 28), dtype=np.uint8)
TRAIN_LABELS = np.arange(30, dtype=np.uint8) % 10
TEST_IMAGES = RANDOM.integers(0, 256, (10, 28, 28), dtype=np.uint8)
TEST_LABELS = np.arange(10, dtype=np.uint8)[::-1].copy()


def idx_gz(array: np.ndarray) -> bytes:
    return gzip.compress(struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


FILES = {
    "train-images-idx3-ubyte.gz": idx_gz(TRAIN_IMAGES),
    "train-labels-idx1-ubyte.gz": idx_gz(TRAIN_LABELS),
    "t10k-images-idx3-ubyte.gz": idx_gz(TEST_IMAGES),
    "t10k-labels-idx1-ubyte.gz": idx_gz(TEST_LABELS),
}


def small_mnist(*mirrors: str, files: dict[str, bytes] = FILES) -> Dataset:
    """MNIST as the package knows it, with other addresses, and the checksums of small files."""
    remote = tuple(
        RemoteFile(name=name, sha256=hashlib.sha256(body).hexdigest(), size_bytes=len(body))
        for name, body in files.items()
    )
    return replace(MNIST, mirrors=mirrors, files=remote)


def serve(server, files: dict[str, bytes] = FILES, *, under: str = "/") -> None:
    server.answers.update({under + name: body for name, body in files.items()})


def left_behind(cache: Path) -> list[str]:
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*")) if cache.exists() else []


def test_good_download_gives_the_images(server) -> None:
    serve(server)
    images = load(small_mnist(server.url))
    assert isinstance(images, Images)
    np.testing.assert_array_equal(images.images[:, 0], np.concatenate([TRAIN_IMAGES, TEST_IMAGES]))
    np.testing.assert_array_equal(images.labels, np.concatenate([TRAIN_LABELS, TEST_LABELS]))
    np.testing.assert_array_equal(images.part, [TRAIN] * 30 + [TEST] * 10)
    assert images.name == "mnist"
    assert images.licence == "CC BY-SA 3.0"
    assert "LeCun" in images.citation


def test_only_the_prepared_file_is_left_and_later_loads_need_no_server(server, cache: Path) -> None:
    serve(server)
    dataset = small_mnist(server.url)
    assert available(dataset) == "to download, 0.0 MB"
    first = load(dataset)
    assert left_behind(cache) == ["mnist.npz"]
    assert len(server.asked) == 4
    assert available(dataset) == f"prepared in {cache / 'mnist.npz'}"
    second = load(replace(dataset, mirrors=("http://127.0.0.1:1/",)))
    assert second.fingerprint == first.fingerprint
    assert fetch(dataset) == cache / "mnist.npz"
    assert len(server.asked) == 4


def test_what_is_downloaded_is_said_once(server, cache: Path) -> None:
    serve(server)
    said: list[str] = []
    fetch(small_mnist(server.url), report=said.append)
    fetch(small_mnist(server.url), report=said.append)
    assert [line.split(":")[0] for line in said] == ["mnist", "mnist"]
    assert f"once, into {cache}" in said[0]
    assert "40 images prepared in" in said[1]


def test_wrong_checksum_is_refused_and_nothing_is_left(server, cache: Path) -> None:
    serve(server, {**FILES, "train-images-idx3-ubyte.gz": b"a login page of a hotel"})
    with pytest.raises(DownloadError, match="wrong checksum") as caught:
        load(small_mnist(server.url))
    message = str(caught.value)
    assert hashlib.sha256(FILES["train-images-idx3-ubyte.gz"]).hexdigest() in message
    assert hashlib.sha256(b"a login page of a hotel").hexdigest() in message
    assert "23 bytes" in message
    assert "TENFOLD_DATA" in message
    assert left_behind(cache) == []


@pytest.mark.parametrize(("status", "words"), [(404, "404"), (403, "403"), (500, "500"), (503, "503")])
def test_an_error_of_the_server_is_named(server, cache: Path, status: int, words: str) -> None:
    server.answers["/train-images-idx3-ubyte.gz"] = status
    with pytest.raises(DownloadError, match=f"the server answered {words}"):
        load(small_mnist(server.url))
    assert left_behind(cache) == []


def test_no_connection(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # free again, and refusing, once the block is left
    with pytest.raises(DownloadError, match=r"no connection \(.*refused") as caught:
        load(small_mnist(f"http://127.0.0.1:{port}/"))
    assert "Check the connection" in str(caught.value)
    assert caught.value.exit_code == 1
    assert left_behind(cache) == []


def test_no_such_server_name(cache: Path) -> None:
    with pytest.raises(DownloadError, match=r"no connection \(.*'nowhere.invalid'"):
        load(small_mnist("http://nowhere.invalid/"))
    assert left_behind(cache) == []


def test_a_body_that_breaks_off_is_refused(server, cache: Path) -> None:
    body = FILES["train-images-idx3-ubyte.gz"]
    server.answers["/train-images-idx3-ubyte.gz"] = (body[: len(body) // 2], len(body))
    with pytest.raises(DownloadError, match="the connection broke off"):
        load(small_mnist(server.url))
    assert left_behind(cache) == []


def test_the_next_mirror_is_tried_and_all_failures_are_listed(server) -> None:
    serve(server, under="/good/")
    server.answers["/wrong/train-images-idx3-ubyte.gz"] = b"not the file"
    gone, wrong, good = (server.url + folder for folder in ("gone/", "wrong/", "good/"))
    with pytest.raises(DownloadError) as caught:
        load(small_mnist(gone, wrong))
    assert f"{gone}train-images-idx3-ubyte.gz: the server answered 404" in str(caught.value)
    assert f"{wrong}train-images-idx3-ubyte.gz: wrong checksum" in str(caught.value)
    assert len(load(small_mnist(gone, wrong, good))) == 40


def test_a_second_attempt_goes_on_from_the_whole_files(server, cache: Path) -> None:
    serve(server)
    del server.answers["/t10k-images-idx3-ubyte.gz"]
    with pytest.raises(DownloadError, match="t10k-images"):
        load(small_mnist(server.url))
    assert left_behind(cache) == [
        "mnist-download",
        "mnist-download/train-images-idx3-ubyte.gz",
        "mnist-download/train-labels-idx1-ubyte.gz",
    ]
    server.asked.clear()
    serve(server)
    assert len(load(small_mnist(server.url))) == 40
    assert server.asked == ["/t10k-images-idx3-ubyte.gz", "/t10k-labels-idx1-ubyte.gz"]
    assert left_behind(cache) == ["mnist.npz"]


def test_a_damaged_file_of_an_earlier_attempt_is_fetched_again(server, cache: Path) -> None:
    serve(server)
    (cache / "mnist-download").mkdir(parents=True)
    (cache / "mnist-download" / "train-images-idx3-ubyte.gz").write_bytes(b"half")
    assert len(load(small_mnist(server.url))) == 40


def test_files_that_do_not_fit_together(server) -> None:
    files = {**FILES, "t10k-labels-idx1-ubyte.gz": idx_gz(TEST_LABELS[:7])}
    serve(server, files)
    with pytest.raises(DataError, match="10 t10k images but 7 labels"):
        load(small_mnist(server.url, files=files))


def test_a_label_above_9_is_refused(server) -> None:
    files = {**FILES, "t10k-labels-idx1-ubyte.gz": idx_gz(TEST_LABELS + np.uint8(1))}
    serve(server, files)
    with pytest.raises(DataError, match="'labels' must be from 0 to 9; row 30 holds 10"):
        load(small_mnist(server.url, files=files))


def test_a_full_disk_leaves_nothing(server, cache: Path) -> None:
    """A limit on the size of files stands for the full disk: writing fails in the same place."""
    resource = pytest.importorskip("resource")
    serve(server)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(DownloadError) as caught:
            load(small_mnist(server.url), report=lambda text: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"no room left in {cache}" in str(caught.value)
    assert "TENFOLD_CACHE" in str(caught.value)
    assert left_behind(cache) == []


def test_a_cache_that_cannot_be_written(server, cache: Path) -> None:
    serve(server)
    cache.write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match=f"cannot write in {cache}.*TENFOLD_CACHE"):
        load(small_mnist(server.url))


def test_two_at_once_both_get_the_set(server, cache: Path) -> None:
    serve(server)
    results: list[object] = []

    def work() -> None:
        try:
            results.append(load(small_mnist(server.url), report=lambda text: None).fingerprint)
        except TenfoldError as problem:
            results.append(problem)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(str, results))) == 1, results
    assert left_behind(cache) == ["mnist.npz"]


@pytest.mark.network
def test_the_real_addresses(cache: Path) -> None:
    """Each mirror alone gives the whole set."""
    for mirror in MNIST.mirrors:
        images = load(replace(MNIST, mirrors=(mirror,)))
        assert len(images) == 70_000
        (cache / "mnist.npz").unlink()
