"""Files of every kind: the numbers that they hold are read in full, or refused by name, in a folder and alone alike."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tenfold.datasets import ImageForm, Images, load
from tenfold.errors import DataError, RequestError

COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> PNG's number


def png_of_16_bits(path: Path, pixels: np.ndarray, *, clear: tuple[int, ...] = ()) -> Path:
    """A PNG of uint16 (height, width, channels), which Pillow cannot write; the colour ``clear`` is transparent.

    The rows are stored as differences to their left neighbours: undoing them needs the true size of a pixel.
    """
    height, width, channels = pixels.shape
    size = 2 * channels
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, width * size)
    left = np.concatenate([rows[:, :size] * 0, rows[:, :-size]], axis=1)
    lines = b"".join(b"\x01" + row.tobytes() for row in rows - left)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPE[channels], 0, 0, 0))
    mark = chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear)) if clear else b""
    content = head + mark + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


def tiff_of_16_bits(
    path: Path, pixels: np.ndarray, *, order: str, interpretation: int = 2, deflate: bool = False
) -> Path:
    """A TIFF of uint16 (height, width, channels), little-endian ("<") or big-endian (">")."""
    height, width, channels = pixels.shape
    content, start = pixels.astype(f"{order}u2").tobytes(), 8
    content = zlib.compress(content) if deflate else content
    content += b"\0" * (len(content) % 2)
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, start + len(content)),
        (259, 3, 1, 8 if deflate else 1), (262, 3, 1, interpretation), (273, 4, 1, start), (277, 3, 1, channels),
        (278, 4, 1, height), (279, 4, 1, len(content)),
    ]  # fmt: skip
    if channels == 1:
        tags[2] = (258, 3, 1, 16)
    entries = b""
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        entries += struct.pack(f"{order}HHI", tag, kind, count)
        entries += struct.pack(f"{order}HH", value, 0) if short else struct.pack(f"{order}I", value)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start + len(content) + len(bits))
    directory = struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + content + bits + directory)
    return path


def deep(channels: int, top: int = 4000, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, top + 1, (6, 8, channels)).astype(np.uint16)
    pixels[0, 0] = top
    return pixels


def folder_of(tmp_path: Path, file: Path) -> Path:
    """Two classes, the file in both."""
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name / file.name).write_bytes(file.read_bytes())
    return tmp_path / "set"


def read_both_ways(tmp_path: Path, file: Path, **options: Any) -> tuple[np.ndarray, Images]:
    """The image as ``load`` has it, once reading the file alone gave the same."""
    data = load(folder_of(tmp_path, file), **options)
    assert isinstance(data, Images)
    form = ImageForm.of(data, None)
    for image in (file, str(file)):
        np.testing.assert_array_equal(form.read(image, where="it"), data.images[0] / np.float32(255))
    with Image.open(file) as opened:  # opened and not read yet
        np.testing.assert_array_equal(form.read(opened, where="it"), data.images[0] / np.float32(255))
        opened.load()  # which forgets how the file holds its numbers
        np.testing.assert_array_equal(form.read(opened, where="it"), data.images[0] / np.float32(255))
    np.testing.assert_array_equal(data.images[0], data.images[1])
    return data.images[0].transpose(1, 2, 0), data


def scaled(pixels: np.ndarray, white: int) -> np.ndarray:
    return np.rint(pixels * (255 / white)).astype(np.uint8)


@pytest.mark.parametrize("kind", ["png", "tiff <", "tiff >", "tiff < deflate", "tiff > deflate"])
@pytest.mark.parametrize(("top", "white"), [(255, 255), (900, 1023), (4000, 4095), (16000, 16383), (65535, 65535)])
def test_colour_of_16_bits_is_read_in_full(tmp_path: Path, kind: str, top: int, white: int) -> None:
    pixels = deep(3, top)
    if kind == "png":
        file = png_of_16_bits(tmp_path / "deep.png", pixels)
    else:
        file = tiff_of_16_bits(tmp_path / "deep.tif", pixels, order=kind[5], deflate="deflate" in kind)
    found, data = read_both_ways(tmp_path, file)
    np.testing.assert_array_equal(found, scaled(pixels, white))
    assert data.pixel_range == white
    assert f"the images have 16 bits, and the largest value is {top}: they were divided by {white}" in data.notes[0]


def test_grey_of_16_bits_in_a_tiff_of_either_order(tmp_path: Path) -> None:
    for order in "<>":
        file = tiff_of_16_bits(tmp_path / "deep.tif", deep(1), order=order, interpretation=1)
        np.testing.assert_array_equal(read_both_ways(tmp_path, file)[0], scaled(deep(1), 4095))
    file = tiff_of_16_bits(tmp_path / "deep.tif", deep(1), order="<", interpretation=0)
    with pytest.raises(DataError, match=r"'a/deep\.tif': a TIFF of more than 8 bits in which 0 is white"):
        load(folder_of(tmp_path, file))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("most", [4095, 65535])
def test_16_bits_in_a_ppm(tmp_path: Path, channels: int, most: int) -> None:
    pixels = deep(channels)
    head = f"P{5 if channels == 1 else 6}\n8 6\n{most}\n".encode()
    (tmp_path / "deep.ppm").write_bytes(head + pixels.astype(">u2").tobytes())
    found, data = read_both_ways(tmp_path, tmp_path / "deep.ppm")
    np.testing.assert_array_equal(found, scaled(pixels, 4095))
    assert data.pixel_range == 4095


def test_layouts_of_16_bits_that_cannot_be_read_in_full_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 8), 90, np.uint8)).save(tmp_path / "deep.sgi", bpc=2)
    with pytest.raises(DataError, match=r"'a/deep\.sgi': 16 bits per channel in the layout 'SGI;16', .* save it in 8"):
        load(folder_of(tmp_path, tmp_path / "deep.sgi"))
    pixels = " ".join(map(str, deep(3).ravel()))
    (tmp_path / "plain.ppm").write_text(f"P3\n8 6\n4095\n{pixels}\n")
    with pytest.raises(DataError, match="16 bits per channel in the layout 'PPM;16'"):
        ImageForm(channels=1).read(tmp_path / "plain.ppm", where="it")
    Image.fromarray(np.full((6, 8), 90, np.uint8)).save(tmp_path / "small.sgi")
    Image.fromarray(np.full((6, 8), 90, np.uint8)).save(tmp_path / "small.ppm")
    for name in ("small.sgi", "small.ppm"):
        (whole,) = np.unique(ImageForm(channels=1).read(tmp_path / name, where="it"))
        assert whole == np.float32(90 / 255)


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_of_16_bits_is_white(tmp_path: Path, channels: int) -> None:
    pixels = deep(channels)
    pixels[..., -1] = 65535
    pixels[2, 3] = 0
    found, _ = read_both_ways(tmp_path, png_of_16_bits(tmp_path / "clear.png", pixels))
    expected = scaled(pixels[..., :-1], 4095)
    expected[2, 3] = 255
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_of_16_bits_is_white(tmp_path: Path, channels: int) -> None:
    pixels = deep(channels)
    clear = tuple(pixels[2, 3].tolist())
    found, _ = read_both_ways(tmp_path, png_of_16_bits(tmp_path / "clear.png", pixels, clear=clear))
    expected = scaled(pixels, 4095)
    expected[2, 3] = 255
    np.testing.assert_array_equal(found, expected)


def test_16_bits_are_turned_as_a_camera_says(tmp_path: Path) -> None:
    pixels = deep(1)[..., 0]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(pixels).copy()).save(tmp_path / "turned.png", exif=exif)
    found, _ = read_both_ways(tmp_path, tmp_path / "turned.png")
    np.testing.assert_array_equal(found[..., 0], scaled(pixels, 4095))


def test_the_range_is_that_of_the_whole_set_and_8_bits_keep_theirs(tmp_path: Path) -> None:
    bright, dim, small = deep(1, 4000), deep(1, 900), np.full((6, 8), 200, np.uint8)
    png_of_16_bits(tmp_path / "a" / "1.png", bright)
    png_of_16_bits(tmp_path / "a" / "2.png", dim)
    (tmp_path / "b").mkdir()
    Image.fromarray(small).save(tmp_path / "b" / "1.png")
    data = load(tmp_path)
    np.testing.assert_array_equal(data.images[0, 0], scaled(bright, 4095)[..., 0])
    np.testing.assert_array_equal(data.images[1, 0], scaled(dim, 4095)[..., 0])
    np.testing.assert_array_equal(data.images[2, 0], small)
    assert "2 of 3 images have 16 bits" in data.notes[0]
    form = ImageForm.of(data, None)  # type: ignore[arg-type]
    for row, file in enumerate(["a/1.png", "a/2.png", "b/1.png"]):
        np.testing.assert_array_equal(form.read(tmp_path / file, where="it")[0] * np.float32(255), data.images[row, 0])
    with pytest.raises(DataError, match=r"b/1\.png|a/1\.png: pixels from .* to 4000, and the range .* is 0 to 1000"):
        load(tmp_path, pixel_range=1000)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr"])
@pytest.mark.parametrize("colour", [None, False, True])
def test_every_mode_is_the_same_in_a_folder_and_alone(tmp_path: Path, mode: str, colour: bool | None) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(tmp_path / "image.tif")
    found, _ = read_both_ways(tmp_path, tmp_path / "image.tif", colour=colour)
    assert found.shape == (6, 8, 1 if colour is False or (colour is None and mode in ("1", "L", "LA")) else 3)
    if mode == "RGB":  # the array of the file gives the same as the file
        form = ImageForm(channels=found.shape[-1], pixel_range=255, stored="uint8")
        np.testing.assert_array_equal(form.read(noise, where="it"), form.read(tmp_path / "image.tif", where="it"))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_jpeg_is_the_same_in_a_folder_and_alone(tmp_path: Path, mode: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(tmp_path / "image.jpg", quality=95)
    for colour in (None, False):
        read_both_ways(tmp_path, tmp_path / "image.jpg", colour=colour)


def test_grey_made_of_an_array_is_grey_made_of_its_file(tmp_path: Path) -> None:
    values = np.arange(0, 256, 5, dtype=np.uint8)
    every = np.stack(np.meshgrid(values, values, values), axis=-1).reshape(-1, 52, 3)  # 140608 colours
    Image.fromarray(every).save(tmp_path / "every.png")
    form = ImageForm(channels=1, stored="uint8")
    np.testing.assert_array_equal(form.read(every, where="it"), form.read(tmp_path / "every.png", where="it"))


def test_of_an_animation_the_first_frame_counts(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((6, 8), value, np.uint8)) for value in (90, 200)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert (read_both_ways(tmp_path, tmp_path / "moving.gif")[0] == 90).all()


# -- asked ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("top", [1, 3, 16])
def test_8_bits_that_are_nearly_black_are_asked_for(tmp_path: Path, top: int) -> None:
    pixels = np.random.default_rng(0).integers(0, top + 1, (6, 8), dtype=np.uint8)
    pixels[0, 0] = top
    Image.fromarray(pixels).save(tmp_path / "dark.png")
    folder = folder_of(tmp_path, tmp_path / "dark.png")
    with pytest.raises(DataError, match=f"brightest integer pixel is {top} of 255, .* pixel_range = {top} in "):
        load(folder)
    np.testing.assert_array_equal(load(folder, pixel_range=255).images[0, 0], pixels)
    found, data = read_both_ways(tmp_path, tmp_path / "dark.png", pixel_range=top)
    np.testing.assert_array_equal(found[..., 0], scaled(pixels, top))
    form = ImageForm.of(data, None)
    np.testing.assert_array_equal(form.read(pixels, where="it")[0], scaled(pixels, top) / np.float32(255))
    Image.fromarray(pixels + np.uint8(1)).save(tmp_path / "other.png")
    with pytest.raises(DataError, match=f"other.png\\): pixels from 1 to {top + 1}, and the range .* is 0 to {top}"):
        form.read(tmp_path / "other.png", where="it")
    np.savez(tmp_path / "dark.npz", images=np.stack([pixels] * 4), labels=[0, 0, 1, 1])
    with pytest.raises(DataError, match=f"brightest integer pixel is {top} of 255, .* pixel_range = {top} in "):
        load(tmp_path / "dark.npz")
    np.testing.assert_array_equal(load(tmp_path / "dark.npz", pixel_range=top).images[0, 0], scaled(pixels, top))


def test_transparent_parts_of_a_set_of_another_range_are_white(tmp_path: Path) -> None:
    pixels = np.zeros((6, 8, 4), np.uint8)
    pixels[..., :3] = np.random.default_rng(0).integers(0, 5, (6, 8, 3))
    pixels[..., 3] = 255
    pixels[2, 3] = (255, 255, 255, 0)  # the colour of what is clear has no say
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    found, _ = read_both_ways(tmp_path, tmp_path / "clear.png", pixel_range=4)
    expected = scaled(pixels[..., :3], 4)
    expected[2, 3] = 255
    np.testing.assert_array_equal(found, expected)


def test_floats_of_files(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((6, 8)).astype(np.float32) * 2
    Image.fromarray(pixels).save(tmp_path / "float.tif")
    folder = folder_of(tmp_path, tmp_path / "float.tif")
    with pytest.raises(DataError, match=r"'a/float\.tif': pixels of 32 bits .* give the value of white as pixel_range"):
        load(folder)
    found, data = read_both_ways(tmp_path, tmp_path / "float.tif", pixel_range=2)
    np.testing.assert_array_equal(found[..., 0], np.rint(pixels * 255 / 2))
    np.testing.assert_array_equal(
        ImageForm.of(data, None).read(pixels, where="it")[0], data.images[0, 0] / np.float32(255)
    )
    with pytest.raises(DataError, match=r"float\.tif: pixels from .*, and the range \(pixel_range\) is 0 to 1"):
        load(folder, pixel_range=1)


def test_floats_of_an_npz(tmp_path: Path) -> None:
    images, labels = np.random.default_rng(0).random((4, 6, 8)), [0, 0, 1, 1]
    np.savez(tmp_path / "dim.npz", images=images / 100, labels=labels)
    with pytest.raises(
        DataError, match=r"brightest pixel is .* of 1, .* pixel_range = 1 if they are right as they are"
    ):
        load(tmp_path / "dim.npz")
    assert load(tmp_path / "dim.npz", pixel_range=1).images.max() <= 3
    np.savez(tmp_path / "bright.npz", images=images * 255, labels=labels)
    with pytest.raises(DataError, match=r"must lie in 0..1 \(divide 0..255 by 255\); .* give it: pixel_range in"):
        load(tmp_path / "bright.npz")
    np.testing.assert_array_equal(load(tmp_path / "bright.npz", pixel_range=255).images[:, 0], np.rint(images * 255))


def test_pairs_have_a_range_too(tmp_path: Path) -> None:
    pairs = np.random.default_rng(0).integers(0, 17, (4, 2, 6, 6), dtype=np.uint8)
    np.savez(tmp_path / "pairs.npz", pairs=pairs, targets=[0, 1, 0, 1])
    with pytest.raises(DataError, match=r"brightest integer pixel is 16 of 255, .* pixel_range = 16 in"):
        load(tmp_path / "pairs.npz")
    data = load(tmp_path / "pairs.npz", pixel_range=16)
    np.testing.assert_array_equal(data.pairs, pairs / np.float32(16))
    form = ImageForm.of(data, None)
    np.testing.assert_array_equal(form.read(pairs[0, 1], where="it"), data.pairs[0, 1:])
    assert form.stored == "float32"


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "255", True])
def test_impossible_ranges(tmp_path: Path, value: Any) -> None:
    with pytest.raises(RequestError, match=r"pixel_range must be a number above 0, the value of a white pixel; got"):
        load(folder_of(tmp_path, png_of_16_bits(tmp_path / "deep.png", deep(1))), pixel_range=value)


def test_ranges_that_nothing_can_have(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 8), 200, np.uint8)).save(tmp_path / "8.png")
    folder = folder_of(tmp_path, tmp_path / "8.png")
    with pytest.raises(DataError, match="pixel_range = 4095, and the images have 8 bits, at most 255; leave it out"):
        load(folder, pixel_range=4095)
    with pytest.raises(DataError, match=r"8\.png: pixels from 200 to 200, and the range \(pixel_range\) is 0 to 100"):
        load(folder, pixel_range=100, unreadable="skip")
    np.savez(tmp_path / "8.npz", images=np.full((4, 6, 8), 200, np.uint8), labels=[0, 0, 1, 1])
    with pytest.raises(DataError, match="pixel_range = 4095, and integers of 8 bits are at most 255; leave it out"):
        load(tmp_path / "8.npz", pixel_range=4095)
    with pytest.raises(RequestError, match="pixel_range: white is known in the set 'digits'; leave it out"):
        load("digits", pixel_range=16)


def test_without_a_study_16_bits_below_their_full_range_are_asked_for(tmp_path: Path) -> None:
    form = ImageForm(channels=1)
    file = png_of_16_bits(tmp_path / "deep.png", deep(1))
    with pytest.raises(
        DataError, match=r"pixels of 16 bits from 0 to 4000: white may be 4095 or 65535; give it as pixel"
    ):
        form.read(file, where="it")
    full = deep(1, 65535)
    np.testing.assert_array_equal(
        form.read(png_of_16_bits(tmp_path / "full.png", full), where="it")[0],
        scaled(full, 65535)[..., 0] / np.float32(255),
    )
