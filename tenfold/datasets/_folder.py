"""Read a folder of images by class, or by group and class, where there is a split inside ``train`` and ``test``."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tenfold.datasets._average import sides_of
from tenfold.datasets._channels import with_channels
from tenfold.datasets._containers import TEST, TRAIN, UNASSIGNED, Images, first_names
from tenfold.datasets._image_file import channels_of_image, deepest_value, fitted_image, is_deep, plain_image
from tenfold.datasets._pixel_range import RANGES, TINY, checked_range, nearly_black, smallest_range
from tenfold.datasets._values import natural_order
from tenfold.errors import DataError, RequestError, nearest

__all__ = ["read_folder"]

_LEFT_BY_THE_SYSTEM = {"thumbs.db", "desktop.ini", "__macosx"}
_UNREADABLE = ("refuse", "skip")


def read_folder(
    folder: Path,
    *,
    size: int | tuple[int, int] | None = None,
    colour: bool | None = None,
    unreadable: str = "refuse",
    pixel_range: float | None = None,
) -> Images:
    """Every image of the folder, with the name of its sub-folder as its class.

    Classes may be sorted into groups, one folder per group: the class is then called "group/class", and ``groups`` says
    which group it is of. Classes and groups are in natural order (2 before 10). Transparent parts become white; a
    camera's rotation mark is followed; of an animation the first frame counts. Hidden files and those of the
    operating system are ignored.

    Args:
        folder: holds one sub-folder per class, or one a group with one sub-folder per class; or ``train`` and ``test``,
            which hold such folders each, of the same classes, or of other classes throughout.
        size: height and width to bring images to where they differ among themselves: each is cut to that shape about
            its middle and resized with a smoothing filter. Not used where all have the same size.
        colour: True for 3 channels; False for grey; None for 3 if any image has colour, else 1. An image whose three
            channels are equal has no colour. In a set of 3 channels, those of such an image are equal.
        unreadable: "refuse", or "skip" files that are not images, are cut off, or larger than Pillow's limit; skipped
            files are counted in ``notes``.
        pixel_range: white, in the numbers of the files. None is 255 for images of 8 bits and, for those of 16, the
            smallest of 255, 1023, 4095, 16383 and 65535 that holds the largest value of them all, which ``notes`` say.
    Returns:
        ``Images``; as ``name`` that of the folder.
    Raises:
        RequestError: if ``size``, ``unreadable`` or ``pixel_range`` is impossible.
        DataError: for an unreadable file, pixels above ``pixel_range``, a set in which no pixel is above 16 of 255
            where no range is given, a class without an image, a group without a class, fewer than two classes,
            images outside any class, classes of different depths, folders inside a class, or images of several sizes
            where ``size`` is not given.
    """
    if unreadable not in _UNREADABLE:
        raise RequestError(
            f"unreadable must be one of {_UNREADABLE}; got {unreadable!r} ({nearest(unreadable, _UNREADABLE)})"
        )
    wanted, given = None if size is None else sides_of(size), checked_range(pixel_range)
    listed = _list_files(folder)
    files, labels, class_names = listed.files, listed.labels, listed.class_names
    headers: dict[Path, _Header] = {}
    problems: dict[Path, str] = {}
    for file in files:
        _try(file, headers, problems, _header)
    sizes = [header.size for header in headers.values()]
    several = len(set(sizes)) > 1
    if several and wanted is None:
        raise DataError(_several_sizes(folder, Counter(sizes)))
    notes: tuple[str, ...] = ()
    sixteen = [file for file, header in headers.items() if header.bits == 16]
    white_of_16 = given
    if sixteen and given is None:
        white_of_16, note = _range_of(folder, sixteen, len(files), problems)
        notes += note
    pixels: dict[Path, np.ndarray] = {}
    for file in headers:
        if file not in problems:
            white = white_of_16 if headers[file].bits == 16 else given
            _try(file, pixels, problems, partial(_pixels, size=wanted if several else None, colour=colour, white=white))
    if problems:
        said = _say_problems(folder, problems)
        if unreadable == "refuse":
            raise DataError(f"{said}; remove or repair them, or pass unreadable='skip' to leave them out")
        notes += (f"{said}; left out",)
    kept = [row for row, file in enumerate(files) if file in pixels]
    empty = sorted(set(range(len(class_names))) - {labels[row] for row in kept})
    if empty:
        raise DataError(f"{folder}: no readable image in class {first_names(class_names[label] for label in empty)}")
    images = [pixels[files[row]] for row in kept]
    _expect_range(
        folder, given, max(int(image.max()) for image in images), {header.bits for header in headers.values()}
    )
    with_colour = sum(len(image) == 3 for image in images)
    if 0 < with_colour < len(images):
        # Worth a look: where whole classes are grey, a model can tell them by that alone.
        notes += (f"{folder}: {len(images) - with_colour} of {len(images)} images have no colour",)
    return Images(
        images=np.stack([with_channels(image, 3 if with_colour else 1) for image in images]),
        labels=np.array([labels[row] for row in kept], np.int64),
        part=np.array([listed.parts[row] for row in kept], np.uint8),
        class_names=class_names,
        groups=np.array(listed.groups, np.int64) if listed.groups else None,
        group_names=listed.group_names,
        name=folder.resolve().name,
        source=str(folder),
        notes=notes,
        resized=several,
        pixel_range=given or white_of_16 or RANGES[0],
        float_range=given if given and any(header.floats for header in headers.values()) else 1,
    )


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, in natural order, without hidden files."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    entries = [entry for entry in entries if entry.name.lower() not in _LEFT_BY_THE_SYSTEM]
    return sorted(entries, key=lambda entry: natural_order(entry.name))


@dataclass(frozen=True)
class _Listed:
    """Files, and for each its label and part; the names of the classes; their groups, empty where there are none."""

    files: list[Path]
    labels: list[int]
    parts: list[int]
    class_names: tuple[str, ...]
    groups: list[int]
    group_names: tuple[str, ...]


def _list_files(folder: Path) -> _Listed:
    halves = _halves(folder)
    grouped = _is_grouped(folder, [top for half in halves for top in _folders(half)])
    # The class as (group, name), so that the natural order never mixes two groups; an empty group where there are none.
    classes = {half: _classes(half, grouped) for half in halves}
    order = sorted({each for found in classes.values() for each in found}, key=lambda each: [*map(natural_order, each)])
    names = {(group, name): f"{group}/{name}" if grouped else name for group, name in order}
    if len(order) < 2:
        raise DataError(
            f"{folder}: expected one sub-folder of images for each class, at least two; "
            f"got {first_names(names.values()) or 'none'}"
        )
    _expect_same_or_other(classes, names)
    files, labels, parts = [], [], []
    for half, part in halves.items():
        for label, each in enumerate(order):
            entries = _files(classes[half][each]) if each in classes[half] else []
            files += entries
            labels += [label] * len(entries)
            parts += [part] * len(entries)
    group_names = tuple(dict.fromkeys(group for group, _ in order)) if grouped else ()
    groups = [group_names.index(group) for group, _ in order] if grouped else []
    return _Listed(files, labels, parts, tuple(names.values()), groups, group_names)


def _halves(folder: Path) -> dict[Path, int]:
    """The folders that hold classes or groups, and the part that each is."""
    tops = {entry.name.lower(): entry for entry in _folders(folder)}
    # Two classes that are called "train" and "test" hold images; two parts hold folders.
    if set(tops) == {"train", "test"} and all(any(entry.is_dir() for entry in _entries(top)) for top in tops.values()):
        return {tops["train"]: TRAIN, tops["test"]: TEST}
    return {folder: UNASSIGNED}


def _is_grouped(folder: Path, tops: list[Path]) -> bool:
    """Whether the folders hold classes rather than images; they must be alike in this."""
    deep = [top for top in tops if any(entry.is_dir() for entry in _entries(top))]
    # In a group, and beside the groups, a readme is usual and an image is most likely a mistake.
    flat = [top for top in tops if _images_in(top) or (_entries(top) and top not in deep)]
    if deep and flat:
        first, second = flat[0].relative_to(folder), deep[0].relative_to(folder)
        found = f"'{first}' holds images, '{second}' holds folders" if first != second else f"'{first}' holds both"
        raise DataError(
            f"{folder}: images at two depths: {found}; sort all into CLASS/image folders, or all into GROUP/CLASS/image"
        )
    return bool(deep)


def _classes(half: Path, grouped: bool) -> dict[tuple[str, str], Path]:
    """(Group, name) -> folder of each class; an empty text as group where there are none."""
    if not grouped:
        return {("", folder.name): folder for folder in _folders(half)}
    found = {}
    for group in _folders(half):
        inner = _folders(group)
        if not inner:
            raise DataError(f"{group}: a group without a class; add folders of images or remove the folder")
        found |= {(group.name, folder.name): folder for folder in inner}
    return found


def _expect_same_or_other(classes: dict[Path, dict[tuple[str, str], Path]], names: dict[tuple[str, str], str]) -> None:
    """Refuse parts that share only some classes: most likely a folder is missing or misspelt."""
    if not set.intersection(*map(set, classes.values())):
        return  # a test on classes that were not trained on
    for half, found in classes.items():
        if missing := [names[each] for each in names if each not in found]:
            raise DataError(f"{half}: no folder for class {first_names(missing)}, which the other part has")


def _files(folder: Path) -> list[Path]:
    """The files of a class."""
    entries = _entries(folder)
    if inner := [entry.name for entry in entries if entry.is_dir()]:
        raise DataError(
            f"{folder}: folders inside a class are not read: {first_names(inner)}; "
            "put the images directly into the folder of their class"
        )
    if not entries:
        raise DataError(f"{folder}: a class without an image; add images or remove the folder")
    return entries


def _folders(folder: Path) -> list[Path]:
    """The sub-folders; an image beside them is refused."""
    # A readme or licence beside the classes is usual; an image there is most likely a mistake.
    if stray := _images_in(folder):
        count = f"{len(stray)} image{'s' if len(stray) > 1 else ''}"
        raise DataError(f"{folder}: {count} outside any class: {first_names(stray)}; move into a folder for each class")
    return [entry for entry in _entries(folder) if entry.is_dir()]


def _images_in(folder: Path) -> list[str]:
    """Names of the files directly in a folder that look like images."""
    from PIL import Image

    endings = Image.registered_extensions()
    return [entry.name for entry in _entries(folder) if entry.suffix.lower() in endings and not entry.is_dir()]


def _try(file: Path, results: dict, problems: dict[Path, str], read: Callable[[Path], object]) -> None:
    """Read one file; a problem goes into ``problems``."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            results[file] = read(file)
    except DataError as problem:  # the file is read, and its pixels do not fit the set
        raise DataError(f"{file}: {problem}") from problem
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        problems[file] = f"more than Pillow's limit of {Image.MAX_IMAGE_PIXELS or 0:,} pixels"
    except UnidentifiedImageError:
        problems[file] = "empty" if file.stat().st_size == 0 else "not an image that Pillow can read"
    except Exception as problem:  # Pillow's forty formats raise different errors for damage
        problems[file] = str(problem).replace(str(file), file.name) or type(problem).__name__


@dataclass(frozen=True)
class _Header:
    """Height and width as an image is meant to be seen, and how many bits a number has: 8, 16 or 32."""

    size: tuple[int, int]
    bits: int
    floats: bool


def _header(file: Path) -> _Header:
    from PIL import ExifTags, Image

    with Image.open(file) as image:
        bits = (
            8 if not is_deep(image) else 32 if image.mode in ("I", "F") and image.format not in ("PNG", "PPM") else 16
        )
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        size = (image.width, image.height) if turned else (image.height, image.width)
        return _Header(size, bits, image.mode == "F")


def _range_of(folder: Path, files: list[Path], count: int, problems: dict[Path, str]) -> tuple[float | None, tuple]:
    """White of images of 16 bits by the largest value of them all, and what ``notes`` say of it."""
    from PIL import Image

    def largest(file: Path) -> float:
        with Image.open(file) as image:
            return deepest_value(image)

    found: dict[Path, float] = {}
    for file in files:
        _try(file, found, problems, largest)
    if not found:
        return None, ()
    most = max(found.values())
    white = smallest_range(most)
    which = "the images" if len(found) == count else f"{len(found)} of {count} images"
    return white, (
        f"{folder}: {which} have 16 bits, and the largest value is {most}: they were divided by {white} (pixel_range)",
    )


def _expect_range(folder: Path, given: float | None, largest: int, bits: set[int]) -> None:
    """Refuse a set that is nearly black, and a range that no image can have."""
    if given is None and 0 < largest <= TINY:
        raise DataError(f"{folder}: {nearly_black(largest)}")
    if given is not None and given > RANGES[0] and bits == {8}:
        raise DataError(
            f"{folder}: pixel_range = {given:g}, and the images have 8 bits, at most 255; leave it out, or give the "
            "value of a white pixel"
        )


def _pixels(file: Path, *, size: tuple[int, int] | None, colour: bool | None, white: float | None) -> np.ndarray:
    """One image as uint8, shape (channels, height, width), brought to ``size`` where one is given."""
    from PIL import Image

    with Image.open(file) as opened:
        image = plain_image(opened, colour=colour, pixel_range=white)
    return channels_of_image(image if size is None else fitted_image(image, size))


def _several_sizes(folder: Path, sizes: Counter) -> str:
    common = ", ".join(f"{height} x {width} ({count})" for (height, width), count in sizes.most_common(3))
    rest = f" and {len(sizes) - 3} more sizes" if len(sizes) > 3 else ""
    return (
        f"{folder}: images of {len(sizes)} sizes, height x width: {common}{rest}; "
        "pass size=(height, width) to cut each about its middle and resize it"
    )


def _say_problems(folder: Path, problems: dict[Path, str]) -> str:
    shown = "; ".join(f"'{file.relative_to(folder)}': {what}" for file, what in list(problems.items())[:3])
    rest = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    count = f"{len(problems)} unreadable file{'s' if len(problems) > 1 else ''}"
    return f"{folder}: {count} ({shown}{rest})"
