"""Read a folder of images by class, or by group and class, where there is a split inside ``train`` and ``test``."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tenfold.datasets._average import sides_of
from tenfold.datasets._channels import with_channels
from tenfold.datasets._containers import TEST, TRAIN, UNASSIGNED, Images, first_names
from tenfold.datasets._values import natural_order
from tenfold.errors import DataError, RequestError, nearest

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["channels_of_image", "fitted_image", "plain_image", "read_folder"]

_LEFT_BY_THE_SYSTEM = {"thumbs.db", "desktop.ini", "__macosx"}
_UNREADABLE = ("refuse", "skip")


def read_folder(
    folder: Path,
    *,
    size: int | tuple[int, int] | None = None,
    colour: bool | None = None,
    unreadable: str = "refuse",
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
    Returns:
        ``Images``; as ``name`` that of the folder.
    Raises:
        RequestError: if ``size`` or ``unreadable`` is impossible.
        DataError: for an unreadable file, a class without an image, a group without a class, fewer than two classes,
            images outside any class, classes of different depths, folders inside a class, or images of several sizes
            where ``size`` is not given.
    """
    if unreadable not in _UNREADABLE:
        raise RequestError(
            f"unreadable must be one of {_UNREADABLE}; got {unreadable!r} ({nearest(unreadable, _UNREADABLE)})"
        )
    wanted = None if size is None else sides_of(size)
    listed = _list_files(folder)
    files, labels, class_names = listed.files, listed.labels, listed.class_names
    sizes: dict[Path, tuple[int, int]] = {}
    problems: dict[Path, str] = {}
    for file in files:
        _try(file, sizes, problems, _size_in_header)
    several = len(set(sizes.values())) > 1
    if several and wanted is None:
        raise DataError(_several_sizes(folder, Counter(sizes.values())))
    pixels: dict[Path, np.ndarray] = {}
    for file in sizes:
        _try(file, pixels, problems, lambda file: _pixels(file, wanted if several else None, colour))
    notes: tuple[str, ...] = ()
    if problems:
        said = _say_problems(folder, problems)
        if unreadable == "refuse":
            raise DataError(f"{said}; remove or repair them, or pass unreadable='skip' to leave them out")
        notes = (f"{said}; left out",)
    kept = [row for row, file in enumerate(files) if file in pixels]
    empty = sorted(set(range(len(class_names))) - {labels[row] for row in kept})
    if empty:
        raise DataError(f"{folder}: no readable image in class {first_names(class_names[label] for label in empty)}")
    images = [pixels[files[row]] for row in kept]
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
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        problems[file] = f"more than Pillow's limit of {Image.MAX_IMAGE_PIXELS or 0:,} pixels"
    except UnidentifiedImageError:
        problems[file] = "empty" if file.stat().st_size == 0 else "not an image that Pillow can read"
    except Exception as problem:  # Pillow's forty formats raise different errors for damage
        problems[file] = str(problem).replace(str(file), file.name) or type(problem).__name__


def _size_in_header(file: Path) -> tuple[int, int]:
    """Height and width as the image is meant to be seen; reads the header alone."""
    from PIL import ExifTags, Image

    with Image.open(file) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        return (image.width, image.height) if turned else (image.height, image.width)


def _pixels(file: Path, size: tuple[int, int] | None, colour: bool | None) -> np.ndarray:
    """One image as uint8, shape (channels, height, width), brought to ``size`` where one is given."""
    from PIL import Image

    with Image.open(file) as opened:
        image = plain_image(opened, colour=colour)
    return channels_of_image(image if size is None else fitted_image(image, size))


def fitted_image(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A Pillow image in grey or RGB cut about its middle and resized to height and width, as images of a folder are
    that differ in size."""
    from PIL import Image, ImageOps

    return ImageOps.fit(image, (size[1], size[0]), method=Image.Resampling.BILINEAR)


def channels_of_image(image: Image.Image) -> np.ndarray:
    """A Pillow image in grey or RGB as uint8, shape (channels, height, width)."""
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


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


def plain_image(image: Image.Image, *, colour: bool | None = None) -> Image.Image:
    """A Pillow image of any kind in 8 bits, turned as it is meant to be seen, transparent parts white.

    Args:
        image: of any mode but those of 32 bits.
        colour: True for RGB; False for grey; None for RGB if the image has colour: if its three channels differ
            anywhere.
    Returns:
        An image of the mode "RGB" or "L" (grey).
    Raises:
        ValueError: for pixels of 32 bits.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))  # 65535 becomes 255
    elif image.mode in ("I", "F"):
        raise ValueError(f"pixels of 32 bits (Pillow's mode {image.mode}), whose brightest value is not known")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if colour is None:
        image = image.convert("L" if image.mode in ("1", "L") else "RGB")
        colour = image.mode == "RGB" and _has_colour(image)
    return image.convert("RGB" if colour else "L")


def _has_colour(image: Image.Image) -> bool:
    """Whether the three channels differ in any pixel."""
    pixels = np.asarray(image)
    return bool((pixels != pixels[..., :1]).any())
