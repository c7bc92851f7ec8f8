"""Images in use are read as those of the study: in training, outputs, embed and matcher a network is given the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tenfold
from tenfold import datasets
from tenfold.errors import DataError
from tenfold.retrieval import Matcher
from tenfold.study import load_task

# Shows what it is given: the weight stays 1 in float32 at a learning rate of 1e-12.
SEEN = """
import torch
from torch import nn

class Seen(nn.Module):
    def __init__(self, size, n_channels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        return images.flatten(1) * self.scale
"""
CLASSES = "abcde"


def study_of(folder: Path, data: str, **settings: Any) -> tenfold.Results:
    (folder / "seen.py").write_text(SEEN)
    raw = {
        "name": "seen",
        "repeats": 1,
        "task": {
            "kind": "match", "data": data, "train_classes": 3, "candidates": 2, "query_sets": 5, "pool_classes": 2,
            **settings,
        },
        "train": {"epochs": 1, "classes_per_batch": 3, "images_per_class": 4, "lr": 1e-12},
        "models": [{"name": "Seen", "module": "seen.py:Seen"}],
    }  # fmt: skip
    study = tenfold.parse_study(raw, base=folder)
    return tenfold.run(study, out=folder / "record", placement="loop", progress=False)


def files_of(folder: Path, *, shapes: list[tuple[int, ...]], top: int = 255, dtype: type = np.uint8) -> list[Path]:
    """Four images of each of five classes, in the order in which a folder is read; shapes take turns."""
    rng, files = np.random.default_rng(0), []
    for at in range(20):
        file = folder / "images" / CLASSES[at // 4] / f"{at}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, top + 1, shapes[at % len(shapes)]).astype(dtype)).save(file)
        files.append(file)
    return files


def in_training(results: tenfold.Results) -> dict[int, np.ndarray]:
    """What the network was given of the classes of the pool, by class: (images, numbers)."""
    kept = results.predictions("Seen")
    assert kept is not None
    classes = kept["pool_class"][0]
    return {label: kept["pool"][0][classes == label] for label in np.unique(classes[classes >= 0]).tolist()}


def in_matcher(matcher: Matcher, images: list[Any]) -> np.ndarray:
    seen = []

    def embed(pixels: np.ndarray) -> np.ndarray:
        seen.append(pixels)
        return pixels.reshape(len(pixels), -1)

    Matcher(embed, form=matcher._form).add("all", images)
    return np.concatenate(seen).reshape(len(images), -1)


@pytest.mark.parametrize(
    ("shapes", "size"),
    [
        ([(24, 40)], 8),  # squeezed by whole pixels
        ([(25, 41, 3)], 7),  # squeezed across pixels, in colour
        ([(24, 40), (50, 20)], 8),  # cut, since they differ
        ([(24, 40, 3), (5, 6, 3), (8, 8, 3)], 8),  # cut, some of them made larger
        ([(8, 8)], None),  # as they are
    ],
)
def test_a_network_is_given_the_same_in_training_and_in_use(
    tmp_path: Path, shapes: list[tuple[int, ...]], size: int | None
) -> None:
    files = files_of(tmp_path, shapes=shapes)
    results = study_of(tmp_path, "images", **({} if size is None else {"size": size}))
    winner = results.best()
    pixels = [np.asarray(Image.open(file)) for file in files]
    forms = {
        "files": files,
        "Pillow": [Image.open(file) for file in files],
        "arrays": pixels,
        "channels first": [each if each.ndim == 2 else each.transpose(2, 0, 1) for each in pixels],
        "fractions": [each / 255 for each in pixels],
    }
    for name, images in forms.items():
        used = winner.outputs(images, repeats=0)[0].numpy()
        for label, trained in in_training(results).items():
            np.testing.assert_array_equal(used[4 * label : 4 * label + 4], trained, err_msg=name)
        np.testing.assert_array_equal(in_matcher(winner.matcher(), images), used, err_msg=name)
    facts = json.loads(json.dumps(results.meta("task")["inputs"]))
    assert facts["fit"] == ("none" if size is None else "squeeze" if len(shapes) == 1 else "cut")
    assert facts["cut_to"] == ([size, size] if len(shapes) > 1 else None)


def test_pairs_are_read_alike_too(tmp_path: Path) -> None:
    files_of(tmp_path, shapes=[(25, 41)])
    raw = {
        "name": "pairs",
        "repeats": 1,
        "task": {"kind": "compare-pairs", "data": "images", "size": 8, "train": 8, "test": 8},
        "train": {"epochs": 1},
        "models": [{"name": "A", "module": "baseline"}],
    }
    study = tenfold.parse_study(raw, base=tmp_path)
    results = tenfold.run(study, out=tmp_path / "record", placement="loop", progress=False)
    test = load_task(study).splits([0], seed=study.seed)["test"]
    data = datasets.load(tmp_path / "images")
    assert isinstance(data, datasets.Images)
    form = datasets.ImageForm.from_facts(results.meta("task")["inputs"])
    trained = test.span(0, 8).inputs[0][0].numpy()
    pairs = [tuple(data.images[row] for row in rows) for rows in test.index[0].tolist()]
    used = np.stack([np.concatenate([form.read(image, where="it") for image in pair]) for pair in pairs])
    np.testing.assert_array_equal(used, trained)
    kept = results.predictions("A")
    assert kept is not None
    np.testing.assert_allclose(results.best().predict(pairs).probability[:, 1], kept["probability"][0], atol=1e-6)


def test_fractions_are_rounded_as_the_study_rounded_its_own(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((20, 8, 8))
    np.savez(tmp_path / "mine.npz", images=images, labels=np.repeat(np.arange(5), 4))
    results = study_of(tmp_path, "mine.npz")
    winner = results.best()
    used = winner.outputs(list(images), repeats=0)[0].numpy()
    for label, trained in in_training(results).items():
        np.testing.assert_array_equal(used[4 * label : 4 * label + 4], trained)
    matcher = winner.matcher()
    np.testing.assert_array_equal(in_matcher(matcher, list(images)), used)
    matcher.add("one", images[0])
    kept = Matcher.load(matcher.save(tmp_path / "examples.npz"), winner.embed)
    np.testing.assert_array_equal(kept._probe(), matcher._probe())  # a pattern that is not rounded to bytes


def test_examples_are_kept_with_how_their_images_were_read(tmp_path: Path) -> None:
    files = files_of(tmp_path, shapes=[(24, 40)])
    winner = study_of(tmp_path, "images", size=8).best()
    matcher = winner.matcher()
    for file in files[::4]:
        matcher.add(file.parent.name, file)
    again = Matcher.load(matcher.save(tmp_path / "examples.npz"), winner.embed)
    assert again.match(files[5], k=5) == matcher.match(files[5], k=5)
    np.testing.assert_array_equal(in_matcher(again, files), in_matcher(matcher, files))
    other = in_matcher(Matcher(lambda images: images.reshape(len(images), -1), size=8), files)
    assert np.abs(other - in_matcher(matcher, files)).max() > 0.1  # one that cuts sees something else


@pytest.mark.parametrize(
    ("top", "white", "given"), [(255, 255, None), (3000, 4095, None), (3000, 3500, 3500), (65535, 65535, None)]
)
def test_16_bits_have_the_range_of_the_set(tmp_path: Path, top: int, white: int, given: int | None) -> None:
    files = files_of(tmp_path, shapes=[(8, 8)], top=top, dtype=np.uint16)
    results = study_of(tmp_path, "images", **({} if given is None else {"pixel_range": given}))
    winner = results.best()
    assert results.meta("task")["inputs"]["pixel_range"] == white
    said = [note for note in results.meta("task")["warnings"] if f"divided by {white} (pixel_range)" in note]
    assert len(said) == (given is None)
    for images in (files, [np.asarray(Image.open(file)) for file in files]):
        used = winner.outputs(images, repeats=0)[0].numpy()
        for label, trained in in_training(results).items():
            np.testing.assert_array_equal(used[4 * label : 4 * label + 4], trained)
            assert len(np.unique(trained)) > 100
        np.testing.assert_array_equal(in_matcher(winner.matcher(), images), used)
    exact = np.stack([np.asarray(Image.open(file)) / white for file in files]).reshape(20, -1)
    np.testing.assert_allclose(used, exact, atol=0.51 / 255)
    if white < 65535:
        above = np.full((8, 8), white + 1, np.uint16)
        Image.fromarray(above).save(tmp_path / "above.png")
        for image in (tmp_path / "above.png", above):
            with pytest.raises(DataError, match=f"{white + 1}.*{white}|{white}.*{white + 1}"):
                winner.embed(image)
            with pytest.raises(DataError, match=f"{white + 1}.*{white}|{white}.*{white + 1}"):
                winner.matcher().add("a", image)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_a_file_of_0_to_16_is_asked_for_its_white_and_then_read_by_it(tmp_path: Path, dtype: type) -> None:
    images = np.random.default_rng(0).integers(0, 17, (20, 8, 8)).astype(dtype)
    np.savez(tmp_path / "mine.npz", images=images, labels=np.repeat(np.arange(5), 4))
    with pytest.raises(DataError, match="pixel_range"):
        study_of(tmp_path, "mine.npz")
    results = study_of(tmp_path, "mine.npz", pixel_range=16)
    winner = results.best()
    used = winner.outputs(list(images), repeats=0)[0].numpy()
    np.testing.assert_array_equal(used, np.rint(images * (255 / 16)).reshape(20, -1).astype(np.float32) / 255)
    for label, trained in in_training(results).items():
        np.testing.assert_array_equal(used[4 * label : 4 * label + 4], trained)
    np.testing.assert_array_equal(in_matcher(winner.matcher(), list(images)), used)
    with pytest.raises(DataError, match=r"image 0: pixels must be integers 0..16 .* to 17"):
        winner.embed(np.full((8, 8), 17, dtype))
    matcher = winner.matcher()
    matcher.add("one", images[0])
    kept = Matcher.load(matcher.save(tmp_path / "examples.npz"), winner.embed)
    assert kept.match(images[1], k=1) == matcher.match(images[1], k=1)
    data = datasets.load(tmp_path / "mine.npz", pixel_range=16)
    again = datasets.load(datasets.save(data, tmp_path / "kept.npz"))
    assert (again.pixel_range, again.float_range) == (16, 16 if dtype is np.float64 else 1)
    assert again.fingerprint == data.fingerprint
