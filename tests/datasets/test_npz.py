"""A user's own `.npz`: what is accepted, and for everything else the message."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.datasets import TEST, TRAIN, UNASSIGNED, Images, Pairs, load, save, with_channels
from tenfold.errors import DataError, RequestError, ShapeError

RANDOM = np.random.default_rng(1)
IMAGES = RANDOM.integers(0, 256, (6, 5, 4), dtype=np.uint8)
GREY = IMAGES[:, None]  # as they are kept: (n, channels, height, width)
COLOUR = RANDOM.integers(0, 256, (6, 3, 5, 4), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
PAIRS = RANDOM.random((6, 2, 5, 4)).astype(np.float32)
TARGETS = np.array([0, 1, 1, 0, 1, 0])


@pytest.fixture
def write(tmp_path: Path):
    """Write arrays to one file and give its path."""

    def _write(**arrays: object) -> Path:
        np.savez(tmp_path / "mine.npz", **arrays)
        return tmp_path / "mine.npz"

    return _write


def refused(path: Path) -> str:
    """The message of the refusal, which always names the file."""
    with pytest.raises(DataError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


# What is accepted


def test_images_and_labels(write) -> None:
    data = load(write(images=IMAGES, labels=LABELS))
    assert isinstance(data, Images)
    np.testing.assert_array_equal(data.images, GREY)
    np.testing.assert_array_equal(data.labels, LABELS)
    assert data.labels.dtype == np.int64
    assert (data.part == UNASSIGNED).all()
    assert data.part.dtype == np.uint8
    assert data.class_names == ("0", "1", "2")
    assert data.name == "mine"
    assert len(data) == 6


def test_ready_made_pairs(write) -> None:
    data = load(write(pairs=PAIRS, targets=TARGETS))
    assert isinstance(data, Pairs)
    np.testing.assert_array_equal(data.pairs, PAIRS)
    np.testing.assert_array_equal(data.targets, TARGETS)
    assert data.labels is None
    assert data.n_classes is None


def test_pairs_with_labels_and_part(write) -> None:
    labels = np.stack([LABELS, LABELS[::-1]], axis=1) * 10
    data = load(write(pairs=PAIRS, targets=TARGETS, labels=labels, part=["train"] * 4 + ["test"] * 2))
    assert isinstance(data, Pairs)
    assert data.labels is not None
    np.testing.assert_array_equal(data.labels, labels // 10)
    np.testing.assert_array_equal(data.part, [TRAIN] * 4 + [TEST] * 2)
    assert data.class_names == ("0", "10", "20")
    assert data.n_classes == 3


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint16])
def test_wider_integers_are_the_same_images(write, dtype: type) -> None:
    np.testing.assert_array_equal(load(write(images=IMAGES.astype(dtype), labels=LABELS)).images, GREY)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_up_to_one_are_the_same_images(write, dtype: type) -> None:
    np.testing.assert_array_equal(load(write(images=(IMAGES / 255).astype(dtype), labels=LABELS)).images, GREY)


def test_booleans_are_black_and_white(write) -> None:
    np.testing.assert_array_equal(load(write(images=IMAGES > 100, labels=LABELS)).images, (GREY > 100) * 255)


def test_integer_pairs_are_scaled_to_one(write) -> None:
    pairs = np.rint(PAIRS * 255).astype(np.uint8)
    data = load(write(pairs=pairs, targets=TARGETS))
    assert data.pairs.dtype == np.float32
    np.testing.assert_allclose(data.pairs, pairs / 255, rtol=1e-6)


@pytest.mark.parametrize("images", [IMAGES[..., None], IMAGES[:, None]], ids=["last", "first"])
def test_one_channel_first_or_last(write, images: np.ndarray) -> None:
    data = load(write(images=images, labels=LABELS))
    assert data.n_channels == 1
    np.testing.assert_array_equal(data.images, GREY)


@pytest.mark.parametrize("images", [COLOUR, COLOUR.transpose(0, 2, 3, 1)], ids=["first", "last"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.bool_])
def test_three_channels_first_or_last_stay_uint8(write, images: np.ndarray, dtype: type) -> None:
    expected = COLOUR
    if dtype is np.bool_:
        images, expected = images > 100, np.where(COLOUR > 100, np.uint8(255), np.uint8(0))
    elif dtype is np.float32:
        images = images / np.float32(255)
    data = load(write(images=images.astype(dtype), labels=LABELS))
    assert isinstance(data, Images)
    assert (data.images.shape, data.images.dtype, data.n_channels) == ((6, 3, 5, 4), np.uint8, 3)
    assert data.images.flags.c_contiguous
    np.testing.assert_array_equal(data.images, expected)


@pytest.mark.parametrize("shape", [(6, 3, 5, 3), (6, 1, 5, 3), (6, 3, 5, 1), (6, 1, 5, 1)])
def test_a_shape_that_can_be_read_in_two_ways_is_said(write, shape: tuple[int, ...]) -> None:
    message = refused(write(images=RANDOM.random(shape), labels=LABELS))
    assert f"'images' of shape {shape} is ambiguous: {shape[1]} may be the channels of (n, channels, height" in message
    assert f"{shape[3]} those of (n, height, width, channels); save grey images as (n, height, width)" in message


def test_what_tenfold_saved_is_never_ambiguous(tmp_path: Path) -> None:
    for shape in ((6, 3, 5, 3), (6, 1, 5, 3), (6, 3, 5, 1), (6, 1, 5, 1)):
        images = RANDOM.integers(0, 256, shape, dtype=np.uint8)
        data = Images(images=images, labels=LABELS, part=np.zeros(6, np.uint8), class_names=("a", "b", "c"))
        back = load(save(data, tmp_path / "set.npz"))
        np.testing.assert_array_equal(back.images, images)
        assert back.fingerprint == data.fingerprint


def test_files_of_the_first_format_are_read(write) -> None:
    data = load(write(images=IMAGES, labels=LABELS, format=1))
    np.testing.assert_array_equal(data.images, GREY)


def test_grey_is_as_in_pillow(write) -> None:
    Image = pytest.importorskip("PIL.Image")
    colour = COLOUR.transpose(0, 2, 3, 1)
    pillow = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in colour])
    path = write(images=colour, labels=LABELS)
    ours = load(path, colour=False)
    assert (ours.images.shape, ours.images.dtype) == ((6, 1, 5, 4), np.uint8)
    assert np.abs(ours.images[:, 0].astype(int) - pillow).max() <= 1  # Pillow rounds in 16-bit steps
    as_floats = load(write(images=colour / 255, labels=LABELS), colour=False).images
    assert np.abs(as_floats.astype(int) - ours.images).max() <= 1


def test_colour_may_be_asked_of_grey_images_and_not_of_pairs(write) -> None:
    three = load(write(images=IMAGES, labels=LABELS), colour=True)
    np.testing.assert_array_equal(three.images, GREY.repeat(3, axis=1))
    np.testing.assert_array_equal(load(write(images=IMAGES, labels=LABELS), colour=False).images, GREY)
    assert load("digits", colour=True).images.shape == (1797, 3, 8, 8)
    path = write(pairs=PAIRS, targets=TARGETS)
    np.testing.assert_array_equal(load(path, colour=False).pairs, PAIRS)
    with pytest.raises(RequestError, match=r"mine.npz: colour=True is for images; ready-made pairs are grey"):
        load(path, colour=True)


def test_labels_are_classes_in_sorted_order(write) -> None:
    data = load(write(images=IMAGES, labels=[30, 7, 100, 7, 30, 100]))
    assert data.class_names == ("7", "30", "100")
    np.testing.assert_array_equal(data.labels, [1, 0, 2, 0, 1, 2])


def test_text_labels_sort_numbers_as_numbers(write) -> None:
    data = load(write(images=IMAGES, labels=["10", "9", "x", "9", "10", "x"]))
    assert data.class_names == ("9", "10", "x")
    np.testing.assert_array_equal(data.labels, [1, 0, 2, 0, 1, 2])
    as_bytes = load(write(images=IMAGES, labels=np.array([b"10", b"9", b"x", b"9", b"10", b"x"])))
    assert as_bytes.class_names == data.class_names


def test_class_names_may_be_given(write) -> None:
    data = load(write(images=IMAGES, labels=LABELS, class_names=["cat", "dog", "ant", "no image of this one"]))
    assert data.class_names == ("cat", "dog", "ant", "no image of this one")
    np.testing.assert_array_equal(data.labels, LABELS)


def test_save_and_load_are_inverse(tmp_path: Path) -> None:
    images = Images(
        images=GREY,
        labels=LABELS,
        part=np.array([0, 0, 0, 1, 1, 1], np.uint8),
        class_names=("a", "b", "ü"),
        name="n",
        source="s",
        licence="l",
        citation="c",
        notes=("first", "second"),
    )
    pairs = Pairs(pairs=PAIRS, targets=TARGETS, part=images.part, name="p")
    for data in (images, pairs):
        back = load(save(data, tmp_path / "deep" / "set.npz"))
        assert type(back) is type(data)
        assert back.fingerprint == data.fingerprint
        texts = ("class_names", "name", "source", "licence", "citation", "notes")
        assert [getattr(back, text) for text in texts] == [getattr(data, text) for text in texts]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["set.npz"]


def test_fingerprint_tells_data_apart() -> None:
    part = np.zeros(6, np.uint8)
    names = ("a", "b", "c")
    base = Images(images=GREY, labels=LABELS, part=part, class_names=names, name="x")
    same = Images(images=GREY.copy(), labels=LABELS, part=part, class_names=names, name="y")
    others = [
        Images(images=255 - GREY, labels=LABELS, part=part, class_names=names),
        Images(images=GREY.reshape(6, 1, 4, 5), labels=LABELS, part=part, class_names=names),
        Images(images=GREY, labels=LABELS[::-1].copy(), part=part, class_names=names),
        Images(images=GREY, labels=LABELS, part=part + np.uint8(1), class_names=names),
        Images(images=GREY, labels=LABELS, part=part, class_names=("b", "a", "c")),
    ]
    assert same.fingerprint == base.fingerprint
    groups = np.array([0, 1, 0])
    more = [
        replace(base, groups=groups, group_names=("g", "h")),
        replace(base, groups=1 - groups, group_names=("g", "h")),
        replace(base, groups=groups, group_names=("h", "g")),
        replace(base, episodes=EPISODES),
        replace(base, episodes=EPISODES[::-1].copy()),
        replace(base, groups=groups, group_names=("g", "h"), episodes=EPISODES),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in others + more)}) == 12


def test_fingerprints_stay() -> None:
    """Records hold them: a study that is continued compares its data with the data of its record."""
    images = np.arange(24, dtype=np.uint8).reshape(6, 1, 2, 2)
    data = Images(images=images, labels=LABELS, part=np.zeros(6, np.uint8), class_names=("a", "b", "c"))
    assert data.fingerprint == "445f611ab4968eba06843d9012e6732afe284c85de397d57887c3582ad00f639"


def test_save_says_when_it_cannot(tmp_path: Path) -> None:
    pairs = Pairs(pairs=PAIRS, targets=TARGETS, part=np.zeros(6, np.uint8))
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        save(pairs, tmp_path / "file" / "x.npz")
    with pytest.raises(DataError, match=r"saved as .npz; got the ending '.npy'"):
        save(pairs, tmp_path / "x.npy")


# Files that are not what they should be


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    np.savez(tmp_path / "my_pairs.npz", pairs=PAIRS, targets=TARGETS)
    with pytest.raises(DataError, match=r"no data set 'my_pars.npz'.*did you mean 'my_pairs.npz'\?"):
        load("my_pars.npz", base=tmp_path)
    with pytest.raises(
        DataError, match=r"known sets: digits, mnist, omniglot, .*motionsense; .npz files there: 'my_pairs.npz'"
    ):
        load("zzzzz", base=tmp_path)
    with pytest.raises(DataError, match=r"no folder '.*nowhere'; known sets: digits, mnist, omniglot"):
        load("nowhere/x.npz", base=tmp_path)


def test_a_misspelt_name_gets_the_known_one(tmp_path: Path) -> None:
    for wrong in ("minst", "MNIST"):
        with pytest.raises(DataError, match=r"did you mean 'mnist'\?"):
            load(wrong, base=tmp_path)


def test_relative_paths_start_from_base(write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(images=IMAGES, labels=LABELS)
    assert len(load("mine.npz", base=path.parent)) == 6
    monkeypatch.chdir(path.parent)
    assert len(load("mine.npz")) == 6
    assert len(load(path, base="/elsewhere")) == 6


def test_another_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"expected an .npz file or a folder of images; got a '.csv' file"):
        load(tmp_path / "data.csv")


def test_impossible_paths() -> None:
    for path in ("x" * 5000, "a\0b"):
        with pytest.raises(DataError):
            load(path)


@pytest.mark.parametrize("kept", [0, 1, 30, 200, -1])
def test_a_cut_off_file(write, kept: int) -> None:
    path = write(images=IMAGES, labels=LABELS)
    path.write_bytes(path.read_bytes()[:kept])
    assert ("empty" if kept == 0 else "not an .npz" if kept == 1 else "cut off") in refused(path)


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, images=IMAGES, labels=LABELS)
    content = bytearray(path.read_bytes())
    content[120:140] = b"\xff" * 20
    path.write_bytes(content)
    assert "damaged or cut off" in refused(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 900), value=st.integers(0, 255), data=st.data())
def test_no_damage_gives_anything_but_data_error(tmp_path: Path, place: int, value: int, data) -> None:
    """One changed byte anywhere: either it does not matter, or it is a DataError; never another error."""
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, images=IMAGES, labels=LABELS)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = value
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    path.write_bytes(content)
    message = str(path)
    try:
        load(path)
    except DataError as problem:
        message = str(problem)
    assert str(path) in message


def test_pickles_are_never_loaded(write, tmp_path: Path) -> None:
    path = write(images=IMAGES, labels=np.array([{"a": 1}] * 6, dtype=object))
    assert "pickle" in refused(path)
    assert "labels.astype(str)" in refused(path)
    bare = tmp_path / "bare.npz"
    bare.write_bytes(pickle.dumps([1, 2]))
    assert "a pickle" in refused(bare)


def test_a_pickle_that_would_run_code_does_not_run(write, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "it ran",))

    assert "pickle" in refused(write(images=IMAGES, labels=np.array([Trap()] * 6, dtype=object)))
    assert not (tmp_path / "it ran").exists()


def test_a_single_array(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", IMAGES)
    (tmp_path / "x.npy").rename(tmp_path / "x.npz")
    assert "a single array (.npy)" in refused(tmp_path / "x.npz")


def test_a_zip_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "'readme.txt' is not an array" in refused(tmp_path / "x.npz")


# Arrays that are missing, unknown or of the wrong shape


def test_missing_arrays_are_named_with_what_is_there(write) -> None:
    message = refused(write(x=IMAGES, y=LABELS))
    assert "'images' and 'labels' missing; it holds x, y" in message
    assert "np.savez_compressed('my.npz', images=..., labels=...)" in message
    assert "'labels' missing; it holds images" in refused(write(images=IMAGES))
    assert "'targets' missing; it holds pairs" in refused(write(pairs=PAIRS))
    assert "'pairs' missing; it holds labels, targets" in refused(write(targets=TARGETS, labels=LABELS))
    assert "it holds nothing" in refused(write())


def test_unknown_arrays_are_refused_with_the_nearest(write) -> None:
    assert "unknown array 'parts' (did you mean 'part'?)" in refused(write(images=IMAGES, labels=LABELS, parts=LABELS))
    assert "unknown array 'targets'" in refused(write(images=IMAGES, labels=LABELS, targets=TARGETS))


def test_both_kinds_at_once(write) -> None:
    assert "both 'images' and 'pairs'" in refused(write(images=IMAGES, labels=LABELS, pairs=PAIRS, targets=TARGETS))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (IMAGES.reshape(6, 20), "got (6, 20); flat rows need reshape(-1, height, width)"),
        (RANDOM.random((6, 4, 5, 4)), "or four axes with 1 or 3 channels"),
        (RANDOM.random((6, 5, 4, 2)), "got (6, 5, 4, 2)"),
        (RANDOM.random((6, 3, 5, 4, 1)), "got (6, 3, 5, 4, 1)"),
        (np.zeros((6, 0, 4)), "got (6, 0, 4)"),
    ],
)
def test_images_of_another_shape(write, images: np.ndarray, words: str) -> None:
    assert words in refused(write(images=images, labels=LABELS))


@pytest.mark.parametrize("pairs", [PAIRS[:, 0], PAIRS[:, :1], PAIRS[..., None], np.zeros((6, 2, 0, 4))])
def test_pairs_of_another_shape(write, pairs: np.ndarray) -> None:
    message = refused(write(pairs=pairs, targets=TARGETS))
    assert f"'pairs' must have the shape (n, 2, height, width); got {pairs.shape}" in message


def test_counts_that_differ(write) -> None:
    assert "same length, at least 1; got shapes (6, 5, 4) and (5,)" in refused(write(images=IMAGES, labels=LABELS[:5]))
    assert "got shapes (6, 2, 5, 4) and (4,)" in refused(write(pairs=PAIRS, targets=TARGETS[:4]))
    assert "got shapes (0, 5, 4) and (0,)" in refused(write(images=IMAGES[:0], labels=LABELS[:0]))
    assert "got shapes () and ()" in refused(write(images=1, labels=2))
    assert "'labels' must have the shape (6,); got (6, 1)" in refused(write(images=IMAGES, labels=LABELS[:, None]))
    assert "'labels' must have the shape (6, 2); got (6,)" in refused(
        write(pairs=PAIRS, targets=TARGETS, labels=LABELS)
    )


# Values that cannot be


@pytest.mark.parametrize(("value", "words"), [(np.nan, "finite"), (np.inf, "finite"), (-0.5, "0..1"), (255.0, "0..1")])
def test_impossible_floats_name_row_and_value(write, value: float, words: str) -> None:
    images = IMAGES / 255
    images[4, 2, 1] = value
    message = refused(write(images=images, labels=LABELS))
    assert words in message
    assert f"row 4 holds {value!r}" in message
    pairs = PAIRS.astype(np.float64)
    pairs[3, 1, 2, 1] = value
    assert f"row 3 holds {value!r}" in refused(write(pairs=pairs, targets=TARGETS))


@pytest.mark.parametrize("value", [-1, 256])
def test_impossible_integers_name_row_and_value(write, value: int) -> None:
    images = IMAGES.astype(np.int32)
    images[2:4] = value
    message = refused(write(images=images, labels=LABELS))
    assert f"integer pixels must lie in 0..255; row 2 holds {value} (39 more like it)" in message


def test_integers_that_are_really_black_and_white(write) -> None:
    assert "brightest integer pixel is 1 of 255" in refused(write(images=IMAGES % 2, labels=LABELS))


def test_pixels_that_are_no_numbers(write) -> None:
    assert "got <U1" in refused(write(images=np.full((6, 5, 4), "x"), labels=LABELS))
    assert "got complex128" in refused(write(images=IMAGES + 0j, labels=LABELS))


def test_impossible_labels(write) -> None:
    assert "'labels' must be 0 or above; row 1 holds -1" in refused(write(images=IMAGES, labels=[0, -1, 2, 0, 1, 2]))
    assert "must be integers or text; got float64 like 0.5" in refused(write(images=IMAGES, labels=LABELS + 0.5))
    assert "at least two classes are needed; every label is '4'" in refused(write(images=IMAGES, labels=[4] * 6))
    assert "must not be empty; row 2 holds ''" in refused(write(images=IMAGES, labels=["a", "b", "", "a", "b", "c"]))
    message = refused(write(images=IMAGES, labels=LABELS, class_names=["a", "b"]))
    assert "there are 2 class names, so 'labels' end at 1; row 2 holds 2" in message
    message = refused(write(images=IMAGES, labels=LABELS, class_names=["a", "b", "a"]))
    assert "names must differ: the class name 'a' is given more than once" in message
    text = ["a", "b", "c"] * 2
    assert "must be integers; got text like 'a'" in refused(write(images=IMAGES, labels=text, class_names=["a", "b"]))
    assert "'class_names' must be one row of text" in refused(
        write(images=IMAGES, labels=LABELS, class_names=[1, 2, 3])
    )


def test_impossible_targets(write) -> None:
    assert "'targets' must be 0 or 1; row 2 holds 2" in refused(write(pairs=PAIRS, targets=[0, 1, 2, 0, 1, 1]))
    assert "'targets' must be 0 or 1; row 0 holds -1" in refused(write(pairs=PAIRS, targets=[-1, 1, 1, 0, 1, 1]))
    assert "every target is 1" in refused(write(pairs=PAIRS, targets=[1] * 6))
    assert "integers 0 or 1 of shape (n,); got float64" in refused(write(pairs=PAIRS, targets=TARGETS * 1.0))
    assert "of shape (6, 1)" in refused(write(pairs=PAIRS, targets=TARGETS[:, None]))


def test_impossible_parts(write) -> None:
    arrays = {"images": IMAGES, "labels": LABELS}
    assert "2 or 'unassigned'; row 5 holds 3" in refused(write(**arrays, part=[0, 0, 0, 0, 1, 3]))
    assert "row 0 holds 'val'" in refused(write(**arrays, part=["val"] * 6))
    assert "of shape (6,); got int64 of shape (5,)" in refused(write(**arrays, part=LABELS[:5]))


# Groups and episodes

GROUPED = {"images": IMAGES, "labels": LABELS, "groups": ["x", "y", "x"]}
EPISODES = np.array([[[0, 1, 2], [3, 5, 4]], [[3, 4, 5], [2, 2, 0]]])


def test_groups_and_episodes(write) -> None:
    data = load(write(**GROUPED, episodes=EPISODES.astype(np.int16)))
    assert isinstance(data, Images)
    assert data.groups is not None
    assert data.episodes is not None
    assert (data.groups.tolist(), data.group_names) == ([0, 1, 0], ("x", "y"))
    assert data.groups.dtype == data.episodes.dtype == np.int64
    np.testing.assert_array_equal(data.episodes, EPISODES)
    plain = load(write(images=IMAGES, labels=LABELS))
    assert (plain.groups, plain.group_names, plain.episodes) == (None, (), None)


def test_groups_are_numbered_as_labels_are(write) -> None:
    assert load(write(**GROUPED | {"groups": [30, 7, 30]})).group_names == ("7", "30")
    assert load(write(**GROUPED | {"groups": ["g10", "g9", "g9"]})).group_names == ("g9", "g10")
    named = load(write(**GROUPED | {"groups": [1, 1, 0]}, group_names=["a", "b", "no class"]))
    assert (named.groups.tolist(), named.group_names) == ([1, 1, 0], ("a", "b", "no class"))
    assert load(write(**GROUPED | {"groups": ["one"] * 3})).group_names == ("one",)
    # One group per class, in the order of the classes, also where the labels themselves are text.
    texts = load(write(images=IMAGES, labels=["b", "c", "a"] * 2, groups=["of a", "of b", "of c"]))
    assert texts.class_names == ("a", "b", "c")
    assert texts.groups.tolist() == [0, 1, 2]


def test_save_and_load_keep_groups_and_episodes(write, tmp_path: Path) -> None:
    data = load(write(**GROUPED, episodes=EPISODES))
    back = load(save(data, tmp_path / "set.npz"))
    assert back.fingerprint == data.fingerprint
    np.testing.assert_array_equal(back.groups, data.groups)
    np.testing.assert_array_equal(back.episodes, data.episodes)
    assert back.group_names == data.group_names == ("x", "y")


def test_impossible_groups(write) -> None:
    assert "'groups' must have the shape (3,); got (6,)" in refused(write(**GROUPED | {"groups": [0] * 6}))
    assert "'groups' must be 0 or above; row 1 holds -2" in refused(write(**GROUPED | {"groups": [0, -2, 0]}))
    assert "got float64 like 0.5; save groups.astype(int)" in refused(write(**GROUPED | {"groups": [0.5, 1, 1]}))
    assert "'groups' must not be empty; row 2 holds ''" in refused(write(**GROUPED | {"groups": ["a", "b", ""]}))
    assert "must be integers; got text like 'x'" in refused(write(**GROUPED, group_names=["x", "y"]))
    message = refused(write(**GROUPED | {"groups": [0, 1, 2]}, group_names=["x", "y"]))
    assert "there are 2 group names, so 'groups' end at 1; row 2 holds 2" in message
    message = refused(write(**GROUPED | {"groups": [0, 1, 1]}, group_names=["x", "x"]))
    assert "names must differ: the group name 'x' is given more than once" in message
    message = refused(write(images=IMAGES, labels=LABELS, group_names=["x", "y"]))
    assert "'group_names' without 'groups'" in message
    assert "'group_names' must be one row of text" in refused(write(**GROUPED, group_names=[1, 2]))
    assert "unknown array 'groups'" in refused(write(pairs=PAIRS, targets=TARGETS, groups=[0, 1]))
    assert "unknown array 'group' (did you mean 'groups'?)" in refused(write(**GROUPED, group=[0, 1, 1]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((1, 0, 2, 6), "rows must be from 0 to 5; episode 1 has row 6"),
        ((0, 1, 1, -1), "rows must be from 0 to 5; episode 0 has row -1"),
        ((1, 0, 1, 0), "examples must be of different classes; episode 1 has row 3"),
        ((1, 1, 2, 3), "no image may be an example and a query; episode 1 has row 3"),
    ],
)
def test_impossible_episodes(write, change: tuple[int, int, int, int], words: str) -> None:
    episodes = EPISODES.copy()
    episodes[change[:3]] = change[3]
    assert f"'episodes': {words}" in refused(write(images=IMAGES, labels=LABELS, episodes=episodes))


def test_a_query_without_an_example_of_its_class(write) -> None:
    message = refused(write(images=IMAGES, labels=LABELS, episodes=[[[0, 1], [3, 4]], [[0, 1], [4, 5]]]))
    assert "every query must be of the class of an example; episode 1 has row 5" in message


def test_episodes_of_another_form(write) -> None:
    for episodes in (EPISODES[0], EPISODES[:, :1], EPISODES * 1.0, EPISODES[:0], EPISODES > 0):
        message = refused(write(images=IMAGES, labels=LABELS, episodes=episodes))
        assert "'episodes' must be rows of 'images' of the shape (episodes, 2, ways)" in message
        assert f"got {episodes.dtype} of shape {episodes.shape}" in message
    message = refused(write(images=IMAGES, labels=LABELS, episodes=EPISODES[:, :, :1]))
    assert "'episodes' must have examples of at least two classes; got (2, 2, 1)" in message


@settings(max_examples=200, deadline=None)
@given(episodes=st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), min_size=1, max_size=3))
def test_episodes_are_refused_just_when_a_slow_check_refuses_them(episodes: list[list[int]]) -> None:
    def fits(rows: list[int]) -> bool:
        examples, queries = rows[:2], rows[2:]
        classes = {LABELS[row] for row in examples}
        return len(classes) == 2 and all(LABELS[row] in classes and row not in examples for row in queries)

    def build() -> Images:
        shaped = np.array(episodes, np.int64).reshape(-1, 2, 2)
        part = np.zeros(6, np.uint8)
        return Images(images=GREY, labels=LABELS, part=part, class_names=("a", "b", "c"), episodes=shaped)

    if all(map(fits, episodes)):
        assert build().episodes is not None
    else:
        with pytest.raises(DataError, match="'episodes'"):
            build()


def test_a_file_of_a_later_version(write) -> None:
    assert "another version of tenfold (format 3); this one reads 1 to 2" in refused(
        write(images=IMAGES, labels=LABELS, format=3)
    )


def test_containers_check_themselves() -> None:
    part = np.zeros(6, np.uint8)
    with pytest.raises(DataError, match=r"'images' must be uint8 of shape \(any, any, any, any\).*got float64"):
        Images(images=GREY / 255, labels=LABELS, part=part, class_names=("a", "b", "c"))
    with pytest.raises(DataError, match=r"'labels' must be int64 of shape \(6\).*got int64 of shape \(5,\)"):
        Images(images=GREY, labels=LABELS[:5], part=part, class_names=("a", "b", "c"))
    with pytest.raises(DataError, match="'labels' must be from 0 to 1; row 2 holds 2"):
        Images(images=GREY, labels=LABELS, part=part, class_names=("a", "b"))
    with pytest.raises(DataError, match="'part' must be from 0 to 2; row 0 holds 9"):
        Pairs(pairs=PAIRS, targets=TARGETS, part=part + np.uint8(9))
    with pytest.raises(DataError, match=r"'pairs' must be float32 of shape \(any, 2, any, any\)"):
        Pairs(pairs=PAIRS[:, :1], targets=TARGETS, part=part)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (
            IMAGES,
            r"of shape \(n, channels, height, width\); got uint8 of shape \(6, 5, 4\); grey images need images\[:, N",
        ),
        (COLOUR[:, :2], r"1 channel \(grey\) or 3 \(red, green, blue\), .*; got shape \(6, 2, 5, 4\)$"),
        (COLOUR.transpose(0, 2, 3, 1), r"got shape \(6, 5, 4, 3\); use images.transpose\(0, 3, 1, 2\)$"),
        (COLOUR[:, :, :0], r"none of them 0; got uint8 of shape \(6, 3, 0, 4\)"),
        (COLOUR.astype(np.float32), r"must be uint8 .*; got float32 of shape \(6, 3, 5, 4\)"),
    ],
)
def test_images_of_other_channels_are_refused(images: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Images(images=images, labels=LABELS, part=np.zeros(6, np.uint8), class_names=("a", "b", "c"))


# with_channels


def test_channels_are_weighted_as_a_slow_loop_does() -> None:
    grey = with_channels(COLOUR, 1)
    assert (grey.shape, grey.dtype) == ((6, 1, 5, 4), np.uint8)
    for place in np.ndindex(6, 5, 4):
        red, green, blue = (int(COLOUR[place[0], channel, place[1], place[2]]) for channel in range(3))
        exact = 0.299 * red + 0.587 * green + 0.114 * blue
        assert abs(int(grey[place[0], 0, place[1], place[2]]) - exact) <= 0.5 + 1e-9
    np.testing.assert_allclose(with_channels(COLOUR / 255, 1) * 255, grey, atol=0.51)


def test_grey_made_colour_and_grey_again_is_the_same() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    np.testing.assert_array_equal(with_channels(with_channels(values, 3), 1), values)
    floats = np.ones((2, 3, 4, 4))
    assert with_channels(floats, 1).max() <= 1
    np.testing.assert_allclose(with_channels(floats > 0, 1), np.ones((2, 1, 4, 4)))
    assert with_channels(COLOUR, 3) is COLOUR


def test_other_numbers_of_channels_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"channels must be 1 \(grey\) or 3 \(red, green, blue\); got 2"):
        with_channels(COLOUR, 2)
    for images in (COLOUR[:, :2], IMAGES[0]):
        with pytest.raises(ShapeError, match=r"expected images of shape \(..., 1 or 3 channels, height, width\); got"):
            with_channels(images, 1)
