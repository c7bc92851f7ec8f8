"""Matcher: what it finds, which images it takes, its file, and every message."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from tenfold.datasets import average_down
from tenfold.errors import DataError, RecordError, RequestError, ShapeError
from tenfold.retrieval import Candidate, Matcher


def flat(images: np.ndarray) -> np.ndarray:
    """Pixels as they are."""
    return images.reshape(len(images), -1)


def picture(*pixels: float) -> np.ndarray:
    """A 2 x 2 image."""
    return np.array(pixels, np.float64).reshape(2, 2)


def slow_match(examples: list[tuple[str, list[float]]], vector: list[float], similarity: str) -> list[Candidate]:
    """All labels, best first, from the definition."""
    best: dict[str, Candidate] = {}
    count: dict[str, int] = {}
    for label, example in examples:
        number = count.get(label, 0)
        count[label] = number + 1
        a, b = np.array(example), np.array(vector)
        if similarity == "euclidean":
            score = -float(np.linalg.norm(a - b))
        else:
            lengths = np.linalg.norm(a) * np.linalg.norm(b)
            score = float(a @ b / lengths) if lengths else 0.0
        if label not in best or score > best[label].score + 1e-12:
            best[label] = Candidate(label, score, number)
    return sorted(best.values(), key=lambda match: -match.score)


LABELS = st.sampled_from(["a", "b", "ñ", "1", "long label, with 'quotes'", "\U0001f600"])
# A brightest integer pixel of 1 is refused: that image is most likely black and white, 0 and 1.
PIXELS = st.lists(st.integers(0, 255), min_size=4, max_size=4).filter(lambda pixels: max(pixels) != 1)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(added=st.lists(st.tuples(LABELS, PIXELS), min_size=1, max_size=12), asked=PIXELS, data=st.data())
def test_equals_a_slow_loop_before_and_after_saving(
    added: list, asked: list, data: st.DataObject, similarity: str, tmp_path: Path
) -> None:
    matcher = Matcher(flat, similarity=similarity, size=2)
    for label, pixels in added:
        matcher.add(label, np.array(pixels, np.uint8).reshape(2, 2))
    known = list(dict.fromkeys(label for label, _ in added))
    assert matcher.labels == tuple(known)
    assert len(matcher) == len(added)
    k = data.draw(st.integers(1, len(known)))
    vectors = [(label, (np.array(pixels, np.float32) / 255).tolist()) for label, pixels in added]
    query = np.array(asked, np.uint8).reshape(2, 2)
    found = matcher.match(query, k)
    expected = slow_match(vectors, (np.array(asked, np.float32) / 255).tolist(), similarity)
    np.testing.assert_allclose([one.score for one in found], [one.score for one in expected[:k]], atol=1e-9)
    assert len({one.label for one in found}) == k
    by_label = {one.label: one for one in expected}
    for one in found:
        assert one.score == pytest.approx(by_label[one.label].score, abs=1e-9)
        named = [pixels for label, pixels in vectors if label == one.label][one.example]
        alone = slow_match([(one.label, named)], (np.array(asked, np.float32) / 255).tolist(), similarity)
        assert one.score == pytest.approx(alone[0].score, abs=1e-9)
    again = Matcher.load(matcher.save(tmp_path / "examples.npz"), flat)
    assert again.match(query, k) == found
    assert (again.labels, len(again), repr(again)) == (matcher.labels, len(matcher), repr(matcher))
    gone = data.draw(st.sampled_from(known))
    matcher.remove(gone)
    assert matcher.labels == tuple(label for label in known if label != gone)
    if len(known) > 1:
        left = matcher.match(query, len(known) - 1)
        rest = [one for one in again.match(query, len(known)) if one.label != gone]
        assert left == rest


def test_the_best_example_counts_and_is_named() -> None:
    matcher = Matcher(flat, similarity="euclidean", size=2)
    matcher.add("corner", [picture(1, 0, 0, 0), picture(0, 1, 0, 0)])
    matcher.add("full", picture(1, 1, 1, 1))
    matcher.add("corner", picture(0, 0, 0, 1))
    assert matcher.match(picture(0, 0, 0, 0.75), k=2) == [Candidate("corner", -0.25, 2), Candidate("full", -1.75, 0)]
    assert matcher.match(picture(0, 1, 0, 0), k=1) == [Candidate("corner", 0.0, 1)]


def test_among_equals_the_one_added_first() -> None:
    matcher = Matcher(flat, size=2)
    for label in ("z", "a", "m"):
        matcher.add(label, [picture(1, 0, 0, 0)] * 2)
    assert matcher.match(picture(1, 0, 0, 0)) == [Candidate("z", 1, 0), Candidate("a", 1, 0), Candidate("m", 1, 0)]


def test_numbers_are_labels_too() -> None:
    matcher = Matcher(flat, size=2)
    matcher.add(7, picture(1, 0, 0, 0))
    matcher.add(np.int64(7), picture(1, 0, 0, 0))
    assert matcher.labels == ("7",)
    matcher.remove(7)
    assert len(matcher) == 0


# -- images -----------------------------------------------------------------------------------------------------------


def kept(image: object, size: int | None = None, *, channels: int = 1) -> np.ndarray:
    """The image as ``embed`` sees it: without the axis of channels where there is one of them."""
    seen = []

    def embed(images: np.ndarray) -> np.ndarray:
        assert images.dtype == np.float32
        assert images.flags.c_contiguous
        seen.append(images)
        return images.reshape(len(images), -1)

    Matcher(embed, size=size, channels=channels).add("a", image)
    assert seen[0].shape[:2] == (1, channels)
    return seen[0][0, 0] if channels == 1 else seen[0][0]


def test_every_form_of_an_image_is_the_same_image(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    expected = kept(colour)
    assert expected.shape == (9, 9)
    for image in (
        tmp_path / "colour.png",
        str(tmp_path / "colour.png"),
        Image.fromarray(colour),
        Image.open(tmp_path / "colour.png"),
        torch.from_numpy(colour),
        [colour],
        (colour,),
        colour[None],
        colour.astype(np.int64),
        colour.transpose(2, 0, 1),
        colour.transpose(2, 0, 1)[None],
    ):
        np.testing.assert_allclose(kept(image), expected, atol=1.01 / 255)  # Pillow rounds a little differently
    np.testing.assert_allclose(kept(colour / 255), expected, atol=1 / 255)
    grey = rng.integers(0, 256, (9, 9), dtype=np.uint8)
    for image in (
        grey,
        grey[..., None],
        grey[None],
        Image.fromarray(grey),
        grey / 255,
        (grey / 255).astype(np.float32),
    ):
        np.testing.assert_allclose(kept(image), grey / 255, atol=1e-6)
    np.testing.assert_array_equal(kept(grey > 100), (grey > 100).astype(np.float32))


def test_every_form_of_an_image_is_the_same_image_in_colour(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    expected = colour.transpose(2, 0, 1) / np.float32(255)
    for image in (
        tmp_path / "colour.png",
        Image.fromarray(colour),
        Image.fromarray(colour).convert("RGBA"),
        torch.from_numpy(colour),
        colour,
        colour.transpose(2, 0, 1),
        list(colour.transpose(2, 0, 1)[None]),
        colour / 255,
    ):
        np.testing.assert_allclose(kept(image, channels=3), expected, atol=1e-6)
    np.testing.assert_array_equal(kept(colour, 4, channels=3), average_down(colour.transpose(2, 0, 1)[:, 1:8], 4))


def test_a_grey_image_has_three_equal_channels_for_a_network_of_colour(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (9, 7), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    for image in (tmp_path / "grey.png", Image.fromarray(grey), grey, grey[None], grey[..., None], grey / 255):
        seen = kept(image, channels=3)
        np.testing.assert_allclose(seen, np.stack([grey / 255] * 3), atol=1e-6)


def test_colours_of_one_brightness_are_told_apart_by_a_network_of_colour_alone(tmp_path: Path) -> None:
    red, blue = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
    red[..., 0], blue[..., 2] = 76, 200  # 0.299 x 76 = 22.7, 0.114 x 200 = 22.8
    scores = {}
    for channels in (1, 3):
        matcher = Matcher(flat, similarity="euclidean", size=2, channels=channels)
        matcher.add("red", red)
        matcher.add("blue", blue)
        again = Matcher.load(matcher.save(tmp_path / "examples.npz"), flat)
        assert again.match(blue, k=2) == matcher.match(blue, k=2)
        assert f"channels={channels})" in repr(again)
        best, second = matcher.match(blue, k=2)
        scores[channels] = best.score - second.score
        if channels == 3:
            assert best.label == "blue"
    assert scores[1] == 0
    assert scores[3] > 1


def test_images_are_cut_about_their_middle_and_averaged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 31), dtype=np.uint8)
    np.testing.assert_array_equal(kept(image, size=14), average_down(image[9:40], 14))
    np.testing.assert_array_equal(kept(image.T, size=14), average_down(image[9:40].T, 14))
    np.testing.assert_array_equal(kept(image[:31], size=31), average_down(image[:31], 31))
    np.testing.assert_allclose(kept(image), image / 255, atol=1e-6)


def test_transparency_rotation_and_16_bits(tmp_path: Path) -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[:2, :, 3] = 255
    np.testing.assert_array_equal(kept(Image.fromarray(clear)), [[0] * 4] * 2 + [[1] * 4] * 2)
    deep = np.array([[0, 65535], [257, 0]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_allclose(kept(tmp_path / "deep.png"), [[0, 1], [1 / 255, 0]], atol=1e-6)
    turned = Image.fromarray(np.array([[0, 255]], np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    assert kept(tmp_path / "turned.png").shape == (2, 1)


def test_many_images_go_to_the_network_in_parts() -> None:
    sizes = []

    def embed(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        return images.reshape(len(images), -1)

    matcher = Matcher(embed, size=2)
    rng = np.random.default_rng(0)
    images = rng.random((600, 2, 2))
    matcher.add("a", list(images))
    assert sum(sizes) == len(matcher) == 600
    assert max(sizes) <= 256
    assert matcher.match(images[555], k=1)[0].example == 555


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (None, RequestError, "image 0 of 'a': expected an image: a path, a Pillow image, or an array; got NoneType"),
        ({"x": 1}, RequestError, "expected an image: .* got dict"),
        (b"bytes", RequestError, "expected an image: .* got bytes"),
        ([], RequestError, "no image to add for 'a': the list is empty"),
        (1.0, ShapeError, r"got shape \(\)"),
        (np.zeros(8), ShapeError, r"shape \(height, width\), .* got shape \(8,\)"),
        (np.zeros((0, 3)), ShapeError, r"got shape \(0, 3\)"),
        (np.zeros((3, 8, 3)), ShapeError, r"first or the last axis may be the channels; pass a grey image as \(height"),
        (np.zeros((1, 8, 3)), ShapeError, r"got shape \(1, 8, 3\), of which the first or the last axis"),
        (np.zeros((8, 8, 4)), ShapeError, r"leave transparency out: image\[..., :3\]"),
        (np.zeros((5, 8, 8)), ShapeError, r"for several images pass list\(images\)"),
        (np.zeros((1, 2, 8, 8)), ShapeError, r"got shape \(2, 8, 8\)"),
        (np.zeros((1, 2)), ShapeError, "is 1 x 2 pixels; at least 2 x 2 are needed"),
        (np.array([[0.0, np.nan], [0, 0]]), DataError, "integers 0..255 or floats 0..1; got float64 from nan to nan"),
        (np.array([[0.0, 1.5], [0, 0]]), DataError, "got float64 from 0.0 to 1.5"),
        (np.array([[0, 256], [0, 0]]), DataError, "got int64 from 0 to 256"),
        (np.array([[1, 0], [0, 1]]), DataError, "the brightest integer pixel is 1 of 255, nearly black; .* booleans"),
        (np.array([[-1, 0], [0, 0]]), DataError, "got int64 from -1 to 0"),
        ([picture(0, 0, 0, 1), None], RequestError, "image 1 of 'a': expected an image"),
        ("missing.png", DataError, r"image 0 of 'a' \(missing.png\): there is no such file"),
        (".", DataError, "cannot be read as an image"),
        (Image.new("F", (4, 4)), DataError, "pixels of 32 bits"),
        (Image.new("L", (0, 4)), DataError, "cannot be read as an image"),
    ],
)
def test_what_is_no_image(image: object, error: type, message: str) -> None:
    matcher = Matcher(flat, size=2)
    matcher.add("b", picture(1, 0, 0, 0))
    with pytest.raises(error, match=message):
        matcher.add("a", image)
    assert matcher.labels == ("b",)
    if not isinstance(image, list):
        with pytest.raises(error, match=message.replace("image 0 of 'a'", "the image")):
            matcher.match(image, k=1)


def test_files_that_are_no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matcher = Matcher(flat, size=2)
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(DataError, match=r"text.png\): not an image that Pillow can read"):
        matcher.add("a", tmp_path / "text.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:1500])
    with pytest.raises(DataError, match=r"cut.png\): cannot be read as an image"):
        matcher.add("a", tmp_path / "cut.png")
    with Image.open(tmp_path / "cut.png") as lazily, pytest.raises(DataError, match="cannot be read as an image"):
        matcher.add("a", lazily)
    # A small file that unpacks to more pixels than Pillow wants to hold: both its warning and its error.
    for limit in (64 * 64 - 1, 64):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(
            DataError, match=f"whole.png.: more than Pillow's limit of {limit:,} pixels; make it smaller"
        ):
            matcher.add("a", tmp_path / "whole.png")
    assert len(matcher) == 0


# -- networks ---------------------------------------------------------------------------------------------------------


class Net(nn.Module):
    """Dropout and batch norm, so that training mode would show."""

    def __init__(self, seed: int = 0, d: int = 5) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, d)
        )
        self.layers[2].eval()  # a layer that is kept frozen stays so

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def test_a_network_is_used_in_evaluation_mode_and_left_as_it_was() -> None:
    net = Net().double()
    before = [module.training for module in net.modules()]
    state = {name: value.clone() for name, value in net.state_dict().items()}
    images = np.random.default_rng(0).random((3, 4, 4))
    matcher = Matcher(net, size=4)
    matcher.add("a", list(images))
    assert matcher.match(images[1], k=1) == [Candidate("a", pytest.approx(1), 1)]
    assert [module.training for module in net.modules()] == before
    assert any(before)
    assert not all(before)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


def test_another_network_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "examples.npz"
    matcher = Matcher(Net(0), size=4)
    images = np.random.default_rng(0).random((2, 4, 4))
    matcher.add("a", list(images))
    matcher.save(path)
    assert Matcher.load(path, Net(0)).match(images[0], k=1) == matcher.match(images[0], k=1)
    assert len(Matcher.load(path, Net(0).double())) == 2  # the same, but for rounding
    for other in (Net(1), Net(0, d=6), nn.Flatten()):
        with pytest.raises(DataError, match="its examples were added with another network"):
            Matcher.load(path, other)


@pytest.mark.parametrize(
    ("embed", "error", "message"),
    [
        (lambda images: images, ShapeError, r"one embedding per image, shape \(1, d\); got shape \(1, 1, 2, 2\)"),
        (lambda images: np.zeros((2, 3)), ShapeError, r"shape \(1, d\); got shape \(2, 3\)"),
        (lambda images: np.zeros((1, 0)), ShapeError, r"got shape \(1, 0\)"),
        (lambda images: None, ShapeError, r"got shape \(\)"),
        (lambda images: np.array([["a"]]), DataError, "embed must give real numbers; got <U1"),
        (lambda images: flat(images) * np.nan, DataError, "image 0 of 'a': its embedding holds NaN or infinity"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(9, 2)),
            RequestError,
            r"embed cannot take images of shape \(1, 1, 2, 2\)",
        ),
    ],
)
def test_networks_that_do_not_fit(embed: object, error: type, message: str) -> None:
    matcher = Matcher(embed, size=2)
    with pytest.raises(error, match=message):
        matcher.add("a", picture(1, 0, 0, 0))
    assert len(matcher) == 0


def test_a_network_that_changes_its_mind() -> None:
    matcher = Matcher(lambda images: np.ones((len(images), 3 if images.mean() > 0.5 else 2)), size=2)
    matcher.add("a", picture(1, 1, 1, 1))
    with pytest.raises(ShapeError, match="embed gives 2 dimensions, and the examples so far have 3"):
        matcher.match(picture(0, 0, 0, 1), k=1)


def test_without_a_size_all_images_have_that_of_the_first(tmp_path: Path) -> None:
    matcher = Matcher(flat)
    matcher.add("a", np.ones((3, 5)))
    with pytest.raises(ShapeError, match="image 1 of 'b': is 5 x 3 pixels, and the images before it 3 x 5; give the"):
        matcher.add("b", [np.ones((3, 5)), np.ones((5, 3))])
    again = Matcher.load(matcher.save(tmp_path / "a.npz"), flat)
    with pytest.raises(ShapeError, match="the image: is 2 x 2 pixels"):
        again.match(np.ones((2, 2)), k=1)
    again.remove("a")
    again.add("b", np.ones((2, 2)))  # nothing is left that would not fit
    assert again.match(np.ones((2, 2)), k=1) == [Candidate("b", pytest.approx(1), 0)]


# -- messages and files -----------------------------------------------------------------------------------------------


def test_messages() -> None:
    matcher = Matcher(flat, size=2)
    with pytest.raises(RequestError, match=r"nothing to match with yet: add examples first, matcher.add\(label, image"):
        matcher.match(picture(1, 0, 0, 0))
    matcher.add("cat", picture(1, 0, 0, 0))
    with pytest.raises(RequestError, match="k must be at most the number of labels, 1; got 3"):
        matcher.match(picture(1, 0, 0, 0))
    with pytest.raises(RequestError, match="k must be an integer from 1; got 0"):
        matcher.match(picture(1, 0, 0, 0), k=0)
    with pytest.raises(RequestError, match="match takes one image; got 2"):
        matcher.match([picture(1, 0, 0, 0)] * 2, k=1)
    with pytest.raises(RequestError, match=r"no label 'cta' to remove; did you mean 'cat'?"):
        matcher.remove("cta")
    for label in ("", None, 1.5, True, b"a"):
        with pytest.raises(RequestError, match="a label must be text or an integer, and not empty; got"):
            matcher.add(label, picture(1, 0, 0, 0))
    with pytest.raises(RequestError, match="must not hold the character of code 0"):
        matcher.add("a\0", picture(1, 0, 0, 0))
    with pytest.raises(RequestError, match="embed must be a function or a network; got str"):
        Matcher("net")
    with pytest.raises(RequestError, match="unknown similarity 'cos'"):
        Matcher(flat, similarity="cos")
    with pytest.raises(RequestError, match="size must be an integer from 1; got 0"):
        Matcher(flat, size=0)
    for channels in (0, 2, None, "3"):
        with pytest.raises(RequestError, match=r"channels must be 1 \(grey\) or 3 \(red, green, blue\); got"):
            Matcher(flat, channels=channels)


def test_an_empty_matcher_is_saved_too(tmp_path: Path) -> None:
    again = Matcher.load(Matcher(flat, similarity="dot", size=3).save(tmp_path / "empty.npz"), flat)
    assert (len(again), again.labels) == (0, ())
    assert repr(again) == "Matcher(0 labels, 0 examples, dot, size=3, channels=1)"


def test_a_save_that_fails_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matcher = Matcher(flat, size=2)
    matcher.add("a", picture(1, 0, 0, 0))
    path = matcher.save(tmp_path / "examples.npz")
    before = path.read_bytes()
    matcher.add("b", picture(0, 1, 0, 0))

    def full(file: object, **arrays: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(RecordError, match="the disk is full"):
        matcher.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["examples.npz"]


def test_files_that_are_refused(tmp_path: Path) -> None:
    matcher = Matcher(flat, size=2)
    matcher.add("a", [picture(1, 0, 0, 0), picture(1, 1, 0, 0)])
    with pytest.raises(RequestError, match=r"saved as .npz; got the ending '.pkl'"):
        matcher.save(tmp_path / "examples.pkl")
    path = matcher.save(tmp_path / "examples.npz")
    with np.load(path, allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}

    def refused(changes: dict[str, object], message: str) -> None:
        np.savez(tmp_path / "other.npz", **{**arrays, **changes})
        with pytest.raises(DataError, match=message):
            Matcher.load(tmp_path / "other.npz", flat)

    refused({"format": np.array(1)}, r"another version of tenfold \(format 1\); this one reads 3")
    refused({"similarity": np.array("l2")}, "damaged: similarity 'l2' is unknown")
    refused({"labels": np.array([1, 2])}, "damaged: 'labels' is int64 of shape")
    refused({"labels": np.array(["a", "b"])}, "damaged: labels are empty, twice or not used")
    refused({"labels": np.array([""])}, "damaged: labels are empty")
    refused({"label_of": np.array([0, 1])}, "damaged: labels are empty, twice or not used")
    refused({"label_of": np.array([0, -1])}, "damaged: labels are empty, twice or not used")
    refused({"label_of": np.array([0])}, "damaged: 1 labels for embeddings of shape")
    refused({"embeddings": np.full((2, 4), np.nan)}, "damaged: an embedding is NaN or infinite")
    refused({"embeddings": np.zeros((2, 0))}, "damaged: 2 labels for embeddings of shape")
    refused({"shape": np.array([0, 2])}, "damaged: images of shape")
    form = json.loads(str(arrays["form"]))

    def read(**changes: object) -> dict[str, object]:
        return {"form": np.array(json.dumps(form | changes))}

    refused(read(height=-1, width=-1), "damaged: images of shape")
    refused(read(fit="half"), "damaged: an unknown way to bring images to a size: 'half'")
    refused({"form": np.array("{")}, "damaged: ")
    refused(read(channels=2), "damaged: images of 2 channels")
    refused(read(channels=3), "another network")
    refused({"probe": np.zeros((1, 3))}, "another network")
    refused({"labels": np.array(["a"], object)}, "damaged or cut off .*allow_pickle=False")
    del arrays["labels"]
    refused({}, "not written by Matcher.save: labels missing")

    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"not an .npz file, or cut off"):
            Matcher.load(path, flat)
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(DataError, match=r"not an .npz file"):
        Matcher.load(path, flat)
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 255]) + whole[201:])
    with pytest.raises(DataError):
        Matcher.load(path, flat)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.txt", "hello")
    with pytest.raises(DataError, match="not written by Matcher.save"):
        Matcher.load(path, flat)
    with pytest.raises(DataError, match="missing.npz: cannot be read"):
        Matcher.load(tmp_path / "missing.npz", flat)
