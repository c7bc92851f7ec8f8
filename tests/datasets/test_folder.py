"""A folder of images by class: what is read, and for everything else the message."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold.datasets import TEST, TRAIN, UNASSIGNED, Images, load, save
from tenfold.errors import DataError, RequestError


def picture(path: Path, *, value: int = 100, size: tuple[int, int] = (6, 8)) -> Path:
    """A grey image of height x width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, value, np.uint8)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes, two images each, in names that sort differently as text."""
    for place, name in enumerate(["10", "9", "b"]):
        for number in (1, 2):
            picture(tmp_path / "set" / name / f"{number}.png", value=10 * place + number)
    return tmp_path / "set"


def refused(path: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load(path, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_sub_folders_are_classes_in_natural_order(folder: Path) -> None:
    data = load("set", base=folder.parent)
    assert isinstance(data, Images)
    assert data.class_names == ("9", "10", "b")
    np.testing.assert_array_equal(data.labels, [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(data.images[:, 0, 0, 0], [11, 12, 1, 2, 21, 22])
    assert data.images.shape == (6, 1, 6, 8)
    assert (data.part == UNASSIGNED).all()
    assert data.name == "set"
    assert data.notes == ()


def test_train_and_test_folders_are_parts(tmp_path: Path) -> None:
    for place, path in enumerate(["train/a/1", "train/a/2", "train/b/1", "test/a/1", "test/b/1"]):
        picture(tmp_path / f"{path}.png", value=50 + place)
    data = load(tmp_path)
    np.testing.assert_array_equal(data.part, [TRAIN] * 3 + [TEST] * 2)
    np.testing.assert_array_equal(data.labels, [0, 0, 1, 0, 1])
    np.testing.assert_array_equal(data.images[:, 0, 0, 0], range(50, 55))
    (tmp_path / "test" / "b" / "1.png").unlink()
    (tmp_path / "test" / "b").rmdir()
    picture(tmp_path / "test" / "c" / "1.png")
    assert "no folder for class 'c', which the other part has" in refused(tmp_path)


def test_classes_may_be_called_train_and_test(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "1.png")
    picture(tmp_path / "test" / "1.png")
    data = load(tmp_path)
    assert data.class_names == ("test", "train")
    assert (data.part == UNASSIGNED).all()


def test_hidden_files_and_a_readme_are_passed_over(folder: Path) -> None:
    before = load(folder).fingerprint
    for name in (".DS_Store", "9/.DS_Store", "9/Thumbs.db", "README.txt", ".git/x", "__MACOSX/y"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("not an image")
    assert load(folder).fingerprint == before


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("bright", [True, False])
def test_every_mode_without_colour_is_grey(folder: Path, mode: str, bright: bool) -> None:
    value = 255 if bright else 0
    if mode == "I;16":
        image = Image.fromarray(np.full((6, 8), 257 * value, np.uint16))
        assert image.mode == mode
    else:
        image = Image.new("L", (8, 6), value).convert("RGB" if mode == "CMYK" else mode).convert(mode)
    image.save(folder / "9" / "0.tif")
    assert (load(folder).images[0] == value).all()


def test_transparent_parts_become_white(folder: Path) -> None:
    image = Image.new("RGBA", (8, 6), (0, 0, 0, 0))
    image.putpixel((3, 2), (0, 0, 0, 255))
    image.save(folder / "9" / "0.png")
    grey = load(folder).images[0, 0]
    assert grey[2, 3] == 0
    assert (np.delete(grey.ravel(), 2 * 8 + 3) == 255).all()


def test_a_turned_photograph_is_turned_back(folder: Path) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    image = Image.fromarray(np.rot90(pixels).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees clockwise to see it upright"
    image.save(folder / "9" / "0.png", exif=exif)
    np.testing.assert_array_equal(load(folder).images[0, 0], pixels)


def test_other_formats(folder: Path) -> None:
    for ending in ("jpg", "bmp", "gif", "webp", "pgm"):
        picture(folder / "b" / f"x.{ending}", value=200)
    images = load(folder).images
    assert len(images) == 11
    assert np.abs(images[-5:].astype(int) - 200).max() <= 2


def test_images_of_several_sizes_need_a_size(folder: Path) -> None:
    picture(folder / "9" / "3.png", size=(20, 30), value=70)
    assert "images of 2 sizes, height x width: 6 x 8 (6), 20 x 30 (1); pass size=" in refused(folder)
    data = load(folder, size=(4, 5))
    assert data.images.shape == (7, 1, 4, 5)
    assert (data.images[2] == 70).all()
    assert load(folder, size=7).images.shape == (7, 1, 7, 7)


def test_size_is_not_used_where_all_are_equal(folder: Path) -> None:
    assert load(folder, size=4).fingerprint == load(folder).fingerprint


def test_cutting_is_about_the_middle(folder: Path) -> None:
    pixels = np.zeros((6, 18), np.uint8)
    pixels[:, 6:12] = 255  # the middle third of a wide image is what a square keeps
    Image.fromarray(pixels).save(folder / "9" / "0.png")
    assert (load(folder, size=6).images[0] == 255).all()


@pytest.mark.parametrize("size", [0, -3, (4,), (4, 0), (4, 5, 6), 2.5])
def test_impossible_sizes(folder: Path, size: object) -> None:
    with pytest.raises(RequestError, match="size must be one or two integers from 1; got"):
        load(folder, size=size)


# Colour

RED = (200, 30, 10)
GREY_OF_RED = 79  # 0.299 x 200 + 0.587 x 30 + 0.114 x 10 = 78.55


def coloured(path: Path, *, mode: str = "RGB", value: tuple[int, ...] = RED, size: tuple[int, int] = (6, 8)) -> Path:
    """An image of one colour of height x width, in one of Pillow's modes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size[::-1], value)
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    assert image.mode == mode
    image.save(path)
    return path


def test_a_folder_with_colour_has_three_channels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), dtype=np.uint8)
    for row, name in enumerate(["a/1", "a/2", "b/1", "b/2"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels[row]).save(tmp_path / f"{name}.png")
    data = load(tmp_path)
    assert isinstance(data, Images)
    assert (data.images.shape, data.images.dtype, data.n_channels) == ((4, 3, 6, 8), np.uint8, 3)
    assert data.images.flags.c_contiguous
    np.testing.assert_array_equal(data.images, pixels.transpose(0, 3, 1, 2))
    assert data.notes == ()
    np.testing.assert_array_equal(load(tmp_path, colour=True).images, data.images)
    grey = load(tmp_path, colour=False)
    assert (grey.images.shape, grey.images.dtype, grey.n_channels) == ((4, 1, 6, 8), np.uint8, 1)
    pillow = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in pixels])
    np.testing.assert_array_equal(grey.images[:, 0], pillow)
    assert len({data.fingerprint, grey.fingerprint}) == 2


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA", "CMYK", "YCbCr"])
def test_one_image_of_any_mode_with_colour_is_enough(folder: Path, mode: str) -> None:
    coloured(folder / "9" / "0.tif", mode=mode)
    data = load(folder)
    assert data.images.shape == (7, 3, 6, 8)
    assert np.abs(data.images[0].astype(int) - np.array(RED)[:, None, None]).max() <= 2
    np.testing.assert_array_equal(data.images[1], np.full((3, 6, 8), 11))
    assert "6 of 7 images have no colour" in data.notes[0]
    grey = load(folder, colour=False)
    assert grey.images.shape == (7, 1, 6, 8)
    assert np.abs(grey.images[0].astype(int) - GREY_OF_RED).max() <= 2
    assert (grey.images[1] == 11).all()
    assert grey.notes == ()


def test_grey_images_in_a_file_for_colour_have_no_colour(folder: Path) -> None:
    for mode in ("RGB", "P", "RGBA"):
        coloured(folder / "9" / f"{mode}.png", mode=mode, value=(70, 70, 70))
    data = load(folder)
    assert data.images.shape == (9, 1, 6, 8)
    np.testing.assert_array_equal(np.sort(data.images[:, 0, 0, 0])[-3:], [70, 70, 70])
    assert data.notes == ()


def test_one_pixel_of_colour_is_colour(folder: Path) -> None:
    image = Image.new("RGB", (8, 6), (70, 70, 70))
    image.putpixel((3, 2), (70, 71, 70))
    image.save(folder / "9" / "0.png")
    data = load(folder)
    assert data.n_channels == 3
    assert np.argwhere(data.images[0] == 71).tolist() == [[1, 2, 3]]


def test_colour_asked_of_a_grey_folder(folder: Path) -> None:
    grey, three = load(folder), load(folder, colour=True)
    assert three.images.shape == (6, 3, 6, 8)
    for channel in range(3):
        np.testing.assert_array_equal(three.images[:, channel], grey.images[:, 0])
    np.testing.assert_array_equal(load(folder, colour=False).images, grey.images)


def test_transparent_parts_of_a_colour_image_become_white(folder: Path) -> None:
    image = Image.new("RGBA", (8, 6), (0, 200, 0, 0))
    image.putpixel((3, 2), (0, 200, 0, 255))
    image.save(folder / "9" / "0.png")
    first = load(folder).images[0]
    assert first[:, 2, 3].tolist() == [0, 200, 0]
    assert (np.delete(first.reshape(3, -1), 2 * 8 + 3, axis=1) == 255).all()


def test_colour_images_are_resized_by_channel(folder: Path) -> None:
    coloured(folder / "9" / "0.png", size=(20, 30))
    data = load(folder, size=(4, 5))
    assert data.images.shape == (7, 3, 4, 5)
    np.testing.assert_array_equal(data.images[0], np.broadcast_to(np.array(RED)[:, None, None], (3, 4, 5)))


def test_a_folder_saved_and_read_again_keeps_its_channels(folder: Path, tmp_path: Path) -> None:
    coloured(folder / "9" / "0.png")
    for colour in (None, True, False):
        data = load(folder, colour=colour)
        assert load(save(data, tmp_path / "set.npz")).fingerprint == data.fingerprint


# Files that cannot be read


def test_unreadable_files_are_named_and_counted(folder: Path) -> None:
    (folder / "9" / "empty.png").write_bytes(b"")
    (folder / "10" / "notes.txt").write_text("hello")
    whole = (folder / "b" / "1.png").read_bytes()
    (folder / "b" / "cut.png").write_bytes(whole[: len(whole) - 25])
    for number in range(4):
        (folder / "b" / f"junk{number}.jpg").write_bytes(b"\xff\xd8\xff" + bytes(range(100)))
    message = refused(folder)
    assert "7 unreadable files" in message
    assert "'9/empty.png': empty" in message
    assert "'10/notes.txt': not an image that Pillow can read" in message
    assert "and 4 more" in message
    assert "unreadable='skip'" in message
    data = load(folder, unreadable="skip")
    assert len(data) == 6
    assert len(data.notes) == 1
    assert "7 unreadable files" in data.notes[0]
    assert "left out" in data.notes[0]


def test_a_cut_off_image_is_not_half_read(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    path = folder / "9" / "0.jpg"
    Image.fromarray(noise).resize((8, 6)).save(path)
    path.write_bytes(path.read_bytes()[:-40])
    assert "1 unreadable file ('9/0.jpg'" in refused(folder)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp", "pgm", "tif"])
def test_wherever_an_image_is_cut_off_it_is_whole_or_unreadable(folder: Path, ending: str) -> None:
    path = folder / "9" / f"0.{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8), dtype=np.uint8)).save(path)
    content, whole = path.read_bytes(), load(folder).images[0]
    unreadable = 0
    for kept in range(0, len(content), max(1, len(content) // 25)):
        path.write_bytes(content[:kept])
        data = load(folder, unreadable="skip")
        unreadable += len(data.notes)
        if not data.notes:  # what is missing is no pixel, such as the checksum at the end
            np.testing.assert_array_equal(data.images[0], whole)
    assert unreadable > 10


def test_an_enormous_image_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    picture(folder / "9" / "big.png", size=(40, 40))  # above the limit: Pillow warns
    picture(folder / "9" / "bigger.png", size=(80, 80))  # above twice the limit: Pillow refuses
    message = refused(folder)
    assert "'9/big.png': more than Pillow's limit of 1,000 pixels" in message
    assert "'9/bigger.png': more than Pillow's limit" in message
    assert len(load(folder, unreadable="skip")) == 6


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("side", [10_000, 50_000])  # above the limit, where Pillow warns; above twice, where it refuses
def test_a_bomb_is_never_unpacked(folder: Path, side: int) -> None:
    """A file of some hundred bytes that says it holds gigabytes, at Pillow's own limit."""
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(100_000))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (folder / "9" / "bomb.png").write_bytes(bomb)
    assert "1 unreadable file ('9/bomb.png': more than Pillow's limit of 89,478,485 pixels)" in refused(folder)
    data = load(folder, unreadable="skip")
    assert len(data) == 6
    assert "1 unreadable file ('9/bomb.png'" in data.notes[0]


def test_a_bomb_of_text_is_never_unpacked(folder: Path) -> None:
    text = chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(50_000_000)))
    whole = (folder / "9" / "1.png").read_bytes()
    (folder / "9" / "bomb.png").write_bytes(whole[:33] + text + whole[33:])  # after the header
    assert "1 unreadable file ('9/bomb.png'" in refused(folder)


def test_pixels_without_a_known_range_are_refused(folder: Path) -> None:
    Image.fromarray(np.ones((6, 8), np.float32)).save(folder / "9" / "float.tif")
    assert "'9/float.tif': pixels of 32 bits (Pillow's mode F)" in refused(folder)


def test_a_link_to_nowhere_is_unreadable(folder: Path) -> None:
    (folder / "9" / "link.png").symlink_to(folder / "gone.png")
    assert "1 unreadable file ('9/link.png'" in refused(folder)


def test_unreadable_takes_two_words(folder: Path) -> None:
    with pytest.raises(RequestError, match=r"got 'skp' \(did you mean 'skip'\?\)"):
        load(folder, unreadable="skp")


# Folders that are not sorted into classes


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "one sub-folder of images for each class, at least two; got none" in refused(tmp_path)


def test_only_one_class(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "cat" / "1.png")
    assert "at least two; got 'cat'" in refused(tmp_path / "set")


def test_a_class_without_an_image(folder: Path) -> None:
    (folder / "c").mkdir()
    (folder / "c" / ".DS_Store").write_text("hidden")
    assert f"{folder / 'c'}: a class without an image; add images or remove the folder" in refused(folder)


def test_a_class_whose_images_are_all_skipped(folder: Path) -> None:
    (folder / "c").mkdir()
    (folder / "c" / "1.png").write_bytes(b"broken")
    assert "no readable image in class 'c'" in refused(folder, unreadable="skip")


def test_images_outside_any_class(folder: Path) -> None:
    picture(folder / "lost.png")
    picture(folder / "lost2.JPG")
    assert "2 images outside any class: 'lost2.JPG', 'lost.png'; move into a folder for each class" in refused(folder)


def test_folders_inside_a_class(grouped: Path) -> None:
    picture(grouped / "Greek" / "1" / "more" / "1.png")
    assert "folders inside a class are not read: 'more'" in refused(grouped)


# Classes in groups


@pytest.fixture
def grouped(tmp_path: Path) -> Path:
    """Two groups, the second with a class of the same name; one image in each class but one."""
    paths = ["Latin/10/1", "Latin/9/1", "Latin/9/2", "Greek/9/1", "Greek/1/1"]
    for value, path in enumerate(paths):
        picture(tmp_path / "set" / f"{path}.png", value=50 + value)
    return tmp_path / "set"


def test_two_levels_are_groups_of_classes(grouped: Path) -> None:
    (grouped / "README.png.txt").write_text("beside the groups")
    (grouped / "Latin" / "readme.txt").write_text("beside the classes")
    data = load(grouped)
    assert isinstance(data, Images)
    assert data.class_names == ("Greek/1", "Greek/9", "Latin/9", "Latin/10")
    assert data.group_names == ("Greek", "Latin")
    assert data.groups is not None
    assert data.groups.tolist() == [0, 0, 1, 1]
    assert data.groups.dtype == np.int64
    assert data.labels.tolist() == [0, 1, 2, 2, 3]
    assert data.images[:, 0, 0, 0].tolist() == [54, 53, 51, 52, 50]
    assert (data.part == UNASSIGNED).all()


def test_one_level_has_no_groups(folder: Path) -> None:
    data = load(folder)
    assert (data.groups, data.group_names, data.episodes) == (None, (), None)


def test_groups_are_not_mixed_by_their_order(tmp_path: Path) -> None:
    """As text, '1/2' comes before '01/3' and '1/4' after: groups of such names must stay together."""
    for path in ("01/1", "1/2", "01/3", "1/4", "a b/1", "a/1", "a-c/1", "a/2"):
        picture(tmp_path / path / "1.png")
    data = load(tmp_path)
    assert data.groups.tolist() == sorted(data.groups.tolist())
    assert len(data.group_names) == len(set(data.group_names)) == 5


def test_one_group_is_enough_and_one_class_is_not(tmp_path: Path) -> None:
    picture(tmp_path / "Greek" / "alpha" / "1.png")
    assert "at least two; got 'Greek/alpha'" in refused(tmp_path)
    picture(tmp_path / "Greek" / "beta" / "1.png")
    data = load(tmp_path)
    assert (data.class_names, data.groups.tolist()) == (("Greek/alpha", "Greek/beta"), [0, 0])


def test_train_and_test_may_hold_groups(tmp_path: Path) -> None:
    for value, path in enumerate(["train/Greek/1", "train/Greek/2", "test/Latin/1", "test/Latin/2"]):
        picture(tmp_path / path / "1.png", value=50 + value)
    data = load(tmp_path)
    assert data.class_names == ("Greek/1", "Greek/2", "Latin/1", "Latin/2")
    assert data.groups.tolist() == [0, 0, 1, 1]
    assert data.part.tolist() == [TRAIN, TRAIN, TEST, TEST]
    assert data.images[:, 0, 0, 0].tolist() == [50, 51, 52, 53]
    picture(tmp_path / "test" / "Greek" / "1" / "1.png")
    assert "train: no folder for class 'Latin/1', 'Latin/2', which the other part has" in refused(tmp_path)


def test_test_may_hold_other_classes_throughout(tmp_path: Path) -> None:
    for path in ("train/a/1", "train/b/1", "test/c/1", "test/d/1"):
        picture(tmp_path / f"{path}.png")
    data = load(tmp_path)
    assert (data.class_names, data.part.tolist()) == (("a", "b", "c", "d"), [TRAIN, TRAIN, TEST, TEST])


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("Cyrillic/1.png", "'Cyrillic' holds images, 'Greek' holds folders"),
        ("Latin/lost.png", "'Latin' holds images, 'Greek' holds folders"),
        ("Greek/lost.png", "'Greek' holds both"),
    ],
)
def test_two_depths_get_one_message(grouped: Path, extra: str, words: str) -> None:
    picture(grouped / extra)
    message = refused(grouped)
    assert f"images at two depths: {words}; sort all into CLASS/image folders, or all into GROUP/CLASS/image" in message


def test_two_depths_in_two_parts(tmp_path: Path) -> None:
    for path in ("train/a/1", "train/b/1", "test/g/a/1", "test/g/b/1"):
        picture(tmp_path / f"{path}.png")
    assert "two depths: 'train/a' holds images, 'test/g' holds folders" in refused(tmp_path)


def test_a_group_without_a_class(grouped: Path) -> None:
    (grouped / "Runic").mkdir()
    assert f"{grouped / 'Runic'}: a group without a class; add folders of images" in refused(grouped)
    (grouped / "Runic" / "1").mkdir()
    assert f"{grouped / 'Runic' / '1'}: a class without an image" in refused(grouped)


def test_unreadable_files_of_groups_are_named(grouped: Path) -> None:
    whole = (grouped / "Latin" / "9" / "1.png").read_bytes()
    (grouped / "Latin" / "9" / "1.png").write_bytes(whole[:-25])
    assert "1 unreadable file ('Latin/9/1.png'" in refused(grouped)
    assert len(load(grouped, unreadable="skip")) == 4
    (grouped / "Greek" / "9" / "1.png").write_bytes(whole[:-25])
    assert "no readable image in class 'Greek/9'" in refused(grouped, unreadable="skip")


def test_groups_of_several_sizes_and_colours(grouped: Path) -> None:
    Image.new("RGB", (30, 20), "white").save(grouped / "Greek" / "1" / "2.png")
    assert "images of 2 sizes" in refused(grouped)
    data = load(grouped, size=6)
    assert data.images.shape == (6, 1, 6, 6)
    assert (data.images[1] == 255).all()
