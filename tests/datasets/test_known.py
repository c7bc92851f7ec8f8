"""The list of known sets, where their prepared files are looked for, and the sets themselves."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tenfold.datasets
from tenfold.datasets import DATASETS, TEST, TRAIN, UNASSIGNED, Images, available, cache_folder, fetch, load, save
from tenfold.errors import DataError, RequestError

REPOSITORY = Path(__file__).resolve().parents[2]
MNIST_TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def tiny(name: str) -> Images:
    return Images(
        images=np.arange(16, dtype=np.uint8).reshape(4, 1, 2, 2),
        labels=np.array([0, 1, 0, 1]),
        part=np.full(4, UNASSIGNED, np.uint8),
        class_names=("0", "1"),
        name=name,
    )


# The list


def test_the_list_equals_the_files_on_disk() -> None:
    folder = Path(tenfold.datasets.__file__).parent
    files = {path.stem for path in folder.rglob("*.py") if not path.stem.startswith("_")} - {"dataset", "known"}
    assert len(files) >= 2
    assert files == {dataset.name.replace("-", "_") for dataset in DATASETS}


def test_public_names_resolve() -> None:
    for name in tenfold.datasets.__all__:
        assert getattr(tenfold.datasets, name) is not None


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_each_set_says_where_it_comes_from(dataset) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", dataset.name)
    assert dataset.title
    assert dataset.licence
    assert dataset.citation
    assert dataset.source.startswith("http")
    assert bool(dataset.files) == bool(dataset.mirrors)
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in dataset.mirrors)
    # What nobody published a checksum of is covered by the fingerprint of the whole set.
    sums = [file.sha256 or dataset.fingerprint for file in dataset.files]
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in sums)
    assert all(file.size_bytes > 0 for file in dataset.files)
    assert len(set(sums)) == len(dataset.files)


def test_every_set_is_in_the_docs() -> None:
    page = (REPOSITORY / "docs" / "add-a-data-set.md").read_text()
    for dataset in DATASETS:
        assert f"`{dataset.name}`" in page


# Where prepared files are looked for


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere"
    monkeypatch.setenv("TENFOLD_CACHE", "~/of-mine")
    assert cache_folder() == Path("~/of-mine").expanduser()
    monkeypatch.setenv("TENFOLD_CACHE", "")
    assert cache_folder().name == "tenfold"
    assert not (tmp_path / "elsewhere").exists()


def test_states(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert available("digits") == "built in"
    assert available("mnist") == "to download, 11.6 MB"
    save(tiny("mnist"), cache / "mnist.npz")
    assert available("mnist") == f"prepared in {cache / 'mnist.npz'}"
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path / "data"))
    save(tiny("mnist"), tmp_path / "data" / "mnist.npz")
    assert available("mnist") == f"prepared in {tmp_path / 'data' / 'mnist.npz'}"


def test_tenfold_data_goes_before_the_cache_and_needs_no_network(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path / "data"))
    path = save(tiny("mnist"), tmp_path / "data" / "mnist.npz")
    assert fetch("mnist") == path
    assert load("mnist").fingerprint == tiny("mnist").fingerprint
    assert not cache.exists()
    assert load("digits").images.shape == (1797, 1, 8, 8)


def test_tenfold_data_must_be_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"TENFOLD_DATA is set to '.*gone', which is not a folder"):
        load("mnist")


def test_a_file_that_is_not_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path))
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros(3), y_train=np.zeros(3))
    with pytest.raises(DataError, match="prepared file of 'mnist' cannot be used") as caught:
        load("mnist")
    assert "it holds x_train, y_train" in str(caught.value)
    assert "tenfold data fetch mnist" in str(caught.value)


def test_a_damaged_cache_says_what_to_delete(cache: Path) -> None:
    path = save(tiny("mnist"), cache / "mnist.npz")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=f"{path}: cut off.*\ndelete it, and it is made again"):
        load("mnist")


def test_the_file_of_another_set_is_refused(cache: Path) -> None:
    save(tiny("letters"), cache / "mnist.npz")
    with pytest.raises(DataError, match="holds 'letters', not 'mnist'"):
        load("mnist")


def test_unknown_names_get_the_nearest() -> None:
    for verb in (fetch, available):
        with pytest.raises(RequestError, match=r"no data set 'Minst': did you mean 'mnist'\?"):
            verb("Minst")


def test_a_known_name_goes_before_a_folder(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    assert load("digits", base=tmp_path).name == "digits"
    with pytest.raises(DataError, match="one sub-folder of images for each class"):
        load("./digits", base=tmp_path)


# digits


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    digits = load("digits")
    assert isinstance(digits, Images)
    original = load_digits()
    np.testing.assert_array_equal(np.rint(digits.images[:, 0] / 255 * 16), original.images)
    assert digits.images.max() == 255
    np.testing.assert_array_equal(digits.labels, original.target)
    assert (digits.part == UNASSIGNED).all()
    assert digits.class_names == tuple("0123456789")


def test_digits_can_be_prepared_too(cache: Path) -> None:
    assert fetch("digits", report=lambda text: None) == cache / "digits.npz"
    assert load(cache / "digits.npz").fingerprint == load("digits").fingerprint


# MNIST


def check_mnist(images: object) -> None:
    assert isinstance(images, Images)
    assert images.images.shape == (70_000, 1, 28, 28)
    for part, counts in ((TRAIN, MNIST_TRAIN_COUNTS), (TEST, MNIST_TEST_COUNTS)):
        assert np.bincount(images.labels[images.part == part]).tolist() == counts
    train = images.images[images.part == TRAIN]
    assert train.mean() == pytest.approx(33.3184, abs=1e-4)
    assert train.std(dtype=np.float64) == pytest.approx(78.5675, abs=1e-4)


@pytest.mark.real_data
def test_mnist_as_the_person_has_it(users_data: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if users_data is None or not (users_data / "mnist.npz").is_file():
        pytest.skip("no mnist.npz in TENFOLD_DATA")
    monkeypatch.setenv("TENFOLD_DATA", str(users_data))
    check_mnist(load("mnist"))


@pytest.mark.real_data
def test_mnist_prepared_from_the_development_copies(
    shared_data: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [sys.executable, "scripts/prepare_shared.py", str(shared_data), str(tmp_path / "data")]
    done = subprocess.run(script, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"{name}: prepared in {tmp_path / 'data' / name}.npz"
        for name in ("mnist", "omniglot", "har-smartphone", "motionsense")
    ]
    assert re.search(r"not known yet, left as they are: .*cifar10\.npz", done.stderr)
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path / "data"))
    mnist = load("mnist")
    check_mnist(mnist)
    assert mnist.licence == "CC BY-SA 3.0"
    assert not cache.exists()


# The page that says how to add one


def test_the_smallest_addition_in_the_docs_works(cache: Path) -> None:
    page = (REPOSITORY / "docs" / "add-a-data-set.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "STRIPES = Dataset(" in block)
    names: dict[str, object] = {}
    exec(code, names)
    stripes = load(names["STRIPES"])
    assert (stripes.name, stripes.licence, len(stripes)) == ("stripes", "CC0", 20)
    assert load(fetch(names["STRIPES"])).fingerprint == stripes.fingerprint
