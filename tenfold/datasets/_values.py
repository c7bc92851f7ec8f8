"""From the arrays of a user to the arrays that tenfold uses, with every value checked."""

from __future__ import annotations

import re

import numpy as np

from tenfold.datasets._channels import channel_axes
from tenfold.datasets._containers import TEST, TRAIN, UNASSIGNED
from tenfold.datasets._pixel_range import RANGES, TINY, nearly_black, to_bytes, to_unit
from tenfold.errors import DataError

__all__ = [
    "channels_first",
    "channels_of",
    "classes_of",
    "groups_of",
    "natural_order",
    "parts_of",
    "pieces_of",
    "pixels_uint8",
    "pixels_unit",
    "rate_of",
    "rows_of",
    "targets_of",
]

_PART_NAMES = {"train": TRAIN, "test": TEST, "unassigned": UNASSIGNED}


def natural_order(name: str) -> tuple:
    """A sorting key that takes numbers inside names as numbers.

    Example:
        >>> sorted(["10", "9", "b2", "b10", "B1"], key=natural_order)
        ['9', '10', 'B1', 'b2', 'b10']
    """
    pieces = re.split(r"([0-9]+)", name)
    # The odd pieces are the numbers; the name itself settles "01" against "1".
    return tuple(int(piece) if place % 2 else piece.casefold() for place, piece in enumerate(pieces)), name


def channels_first(images: np.ndarray, *, where: str, known_order: bool = False) -> np.ndarray:
    """Images of shape (n, channels, height, width), whichever place the channels have in a user's array.

    Args:
        images: shape (n, height, width), grey; or four axes, of which the second or the last is 1 or 3 channels.
        where: the file, for messages.
        known_order: True for a file that ``save`` wrote: with four axes, the channels are in second place.
    Raises:
        DataError: if the shape is none of these, or both the second and the last axis could be the channels.
    """
    shape = images.shape
    axes = tuple(axis for axis in channel_axes(shape) if axis == -3 or not known_order)
    if 0 not in shape:
        if images.ndim == 3:
            return images[:, None]
        if images.ndim == 4 and len(axes) == 1:
            return np.ascontiguousarray(np.moveaxis(images, axes[0], 1))
        if images.ndim == 4 and len(axes) == 2:
            raise DataError(
                f"{where}: 'images' of shape {shape} is ambiguous: {shape[1]} may be the channels of (n, channels, "
                f"height, width), and {shape[3]} those of (n, height, width, channels); save grey images as (n, "
                "height, width), or build Images in Python and write the file with tenfold.datasets.save"
            )
    raise DataError(
        f"{where}: 'images' must have the shape (n, height, width), or four axes with 1 or 3 channels: (n, channels, "
        f"height, width) or (n, height, width, channels); got {shape}"
        f"{'; flat rows need reshape(-1, height, width)' if images.ndim == 2 else ''}"
    )


def pixels_uint8(images: np.ndarray, *, where: str, white: float | None = None, dark: float = TINY) -> np.ndarray:
    """Pixels as uint8 0..255, rounded to the nearest of the 256 steps.

    Args:
        images: integers from 0 to ``white``, floats, or booleans.
        where: the file, for messages.
        white: None for 255, in floats 1.
        dark: where ``white`` is not given, and no pixel is above this of 255, it is asked for.
    """
    _check_pixels(images, white, dark, where=where)
    return to_bytes(images, _white(images, white))


def pixels_unit(images: np.ndarray, *, where: str, white: float | None = None, dark: float = TINY) -> np.ndarray:
    """Pixels as float32 0..1; see ``pixels_uint8``."""
    _check_pixels(images, white, dark, where=where)
    return to_unit(images, _white(images, white))


def classes_of(
    labels: np.ndarray, class_names: tuple[str, ...] | None, *, where: str, shape: tuple[int, ...]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as int64 from 0, and the names of the classes in their order.

    With ``class_names`` the labels are integers that count into them. Without, integers from 0 and texts are
    sorted (texts with their numbers as numbers, so that "9" comes before "10") and numbered in that order.
    """
    numbers, names = _named(labels, class_names, "class", where=where, shape=shape)
    if len(names) < 2:
        raise DataError(f"{where}: at least two classes are needed; every label is {''.join(names)!r}")
    return numbers, names


def groups_of(
    groups: np.ndarray, group_names: tuple[str, ...] | None, count: int, *, where: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The group of each class or piece as int64 from 0, and the names of the groups; numbered as labels are."""
    return _named(groups, group_names, "group", where=where, shape=(count,))


def pieces_of(
    signals: np.ndarray, starts: np.ndarray | None, lengths: np.ndarray | None, count: int, *, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signals as float32, shape (samples, channels), and where the pieces start and how long they are, as int64.

    Args:
        signals: shape (n, steps, channels), each row a piece; or (samples, channels), cut by ``lengths``.
        starts: first row of each piece; None where the pieces follow one another.
        lengths: number of rows of each piece; None where ``signals`` has the first form.
        count: the number of labels: one a piece.
    """
    if 0 in signals.shape or signals.ndim not in (2, 3):
        raise DataError(
            f"{where}: 'signals' must have the shape (n, steps, channels), each row a piece, or (samples, channels) "
            f"with 'lengths' of the pieces; got {signals.shape}"
        )
    if signals.ndim == 3:
        if starts is not None or lengths is not None:
            raise DataError(
                f"{where}: 'starts' and 'lengths' are for 'signals' of shape (samples, channels); got {signals.shape}"
            )
        n, steps, channels = signals.shape
        signals, piece_lengths = signals.reshape(n * steps, channels), np.full(n, steps, np.int64)
    elif lengths is None:
        one = len(signals) == count  # rows are windows, it seems
        fix = "one channel needs signals[:, :, np.newaxis]" if one else "give 'lengths', one a piece"
        raise DataError(f"{where}: 'signals' of shape {signals.shape} without 'lengths' of the pieces; {fix}")
    else:
        piece_lengths = _counts(lengths, "lengths", 1, where=where)
        if starts is None and piece_lengths.sum() != len(signals):
            raise DataError(
                f"{where}: 'lengths' add up to {piece_lengths.sum()}, but 'signals' has {len(signals)} rows; with "
                "'starts', rows may be left out"
            )
    one_by_one = np.cumsum(piece_lengths) - piece_lengths
    piece_starts = one_by_one if starts is None else _counts(starts, "starts", 0, where=where)
    if not len(piece_starts) == len(piece_lengths) == count:
        pieces = f"{len(piece_starts)} starts and {len(piece_lengths)} lengths of pieces"
        raise DataError(f"{where}: each piece needs one label; got {pieces}, {count} labels")
    return _signals_float32(signals, where=where), piece_starts, piece_lengths


def channels_of(names: tuple[str, ...] | None, count: int, *, where: str) -> tuple[str, ...]:
    """One name per channel: "0", "1", ... where there are none."""
    if names is None:
        return tuple(map(str, range(count)))
    if len(names) != count or len(set(names)) < count or "" in names:
        raise DataError(
            f"{where}: 'channels' must be {count} different names, one per channel of 'signals'; got "
            f"{', '.join(map(repr, names))}"
        )
    return names


def rate_of(rate: np.ndarray | None, *, where: str) -> float:
    """Samples a second; 0 where it is not known."""
    if rate is None:
        return 0.0
    if rate.size != 1 or rate.dtype.kind not in "iuf" or not np.isfinite(rate).all() or rate.item() <= 0:
        shown = rate.item() if rate.size == 1 else f"shape {rate.shape}"
        raise DataError(f"{where}: 'rate_hz' must be one number above 0, or left out; got {rate.dtype}, {shown}")
    return float(rate.item())


def rows_of(episodes: np.ndarray, *, where: str) -> np.ndarray:
    """Episodes as int64; whether their rows are there is for ``Images`` to check."""
    if episodes.ndim != 3 or episodes.shape[1] != 2 or 0 in episodes.shape or episodes.dtype.kind not in "iu":
        raise DataError(
            f"{where}: 'episodes' must be rows of 'images' of the shape (episodes, 2, ways), [e, 0] the examples and "
            f"[e, 1] the queries; got {episodes.dtype} of shape {episodes.shape}"
        )
    return episodes.astype(np.int64)


def _named(
    labels: np.ndarray, given: tuple[str, ...] | None, of: str, *, where: str, shape: tuple[int, ...]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """What says the "class" of images or the "group" of classes, as int64 from 0; and the names in their order."""
    what = {"class": "labels", "group": "groups"}[of]
    if labels.shape != shape:
        raise DataError(f"{where}: '{what}' must have the shape {shape}; got {labels.shape}")
    if labels.dtype.kind in "SU":
        texts = labels if labels.dtype.kind == "U" else np.char.decode(labels, "utf-8", "replace")
        _refuse(texts == "", labels, f"'{what}' must not be empty", where=where)
        if given is not None:
            raise DataError(f"{where}: with '{of}_names', '{what}' must be integers; got text like '{texts.flat[0]}'")
        found, rows = np.unique(texts, return_inverse=True)
        names = sorted(map(str, found), key=natural_order)
        rank = {name: place for place, name in enumerate(names)}
        numbers = np.array([rank[str(name)] for name in found])[rows.reshape(shape)]
    elif labels.dtype.kind in "biu":
        _refuse(labels < 0, labels, f"'{what}' must be 0 or above", where=where)
        if given is None:
            found, rows = np.unique(labels, return_inverse=True)
            names, numbers = [str(int(label)) for label in found], rows.reshape(shape)
        else:
            end = len(given)
            _refuse(labels >= end, labels, f"there are {end} {of} names, so '{what}' end at {end - 1}", where=where)
            names, numbers = list(given), labels
    else:
        raise DataError(
            f"{where}: '{what}' must be integers or text; got {labels.dtype} like {labels.flat[0]}; "
            f"save {what}.astype(int) if they are integers"
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{where}: names must differ: the {of} name '{twice}' is given more than once")
    return numbers.astype(np.int64), tuple(names)


def targets_of(targets: np.ndarray, *, where: str) -> np.ndarray:
    """Targets 0/1 as int64."""
    if targets.ndim != 1 or targets.dtype.kind not in "biu":
        raise DataError(
            f"{where}: 'targets' must be integers 0 or 1 of shape (n,); got {targets.dtype} of shape {targets.shape}"
        )
    _refuse((targets != 0) & (targets != 1), targets, "'targets' must be 0 or 1", where=where)
    if targets.min() == targets.max():
        raise DataError(f"{where}: every target is {int(targets[0])}; both 0 and 1 are needed to train on")
    return targets.astype(np.int64)


def parts_of(part: np.ndarray | None, n_examples: int, *, where: str) -> np.ndarray:
    """Parts as uint8: 0 or "train", 1 or "test", 2 or "unassigned"; all unassigned where there is none."""
    if part is None:
        return np.full(n_examples, UNASSIGNED, np.uint8)
    if part.shape != (n_examples,) or part.dtype.kind not in "biuU":
        raise DataError(
            f"{where}: 'part' must be integers or text of shape ({n_examples},); got {part.dtype} of shape {part.shape}"
        )
    allowed = list(_PART_NAMES) if part.dtype.kind == "U" else list(_PART_NAMES.values())
    _refuse(~np.isin(part, allowed), part, "'part' must be 0 or 'train', 1 or 'test', 2 or 'unassigned'", where=where)
    if part.dtype.kind == "U":
        part = np.array([_PART_NAMES[str(name)] for name in part])
    return part.astype(np.uint8)


def _signals_float32(signals: np.ndarray, *, where: str) -> np.ndarray:
    """Signals as float32; whether they are finite is for ``Recordings`` to check, but for what overflows here."""
    if signals.dtype.kind not in "iuf":
        raise DataError(f"{where}: 'signals' must be numbers; got {signals.dtype}")
    if signals.dtype == np.float32:
        return signals
    with np.errstate(over="ignore"):
        found = signals.astype(np.float32)
    if signals.dtype == np.float64:
        _refuse(np.isinf(found) & np.isfinite(signals), signals, "'signals' must fit into float32", where=where)
    return found


def _counts(values: np.ndarray, what: str, least: int, *, where: str) -> np.ndarray:
    """Integers from ``least``, one a piece."""
    if values.ndim != 1 or values.dtype.kind not in "iu" or len(values) == 0:
        raise DataError(
            f"{where}: '{what}' must be integers of shape (pieces,); got {values.dtype} of shape {values.shape}"
        )
    _refuse(values < least, values, f"'{what}' must be {least} or above", where=where)
    return values.astype(np.int64)


def _white(images: np.ndarray, given: float | None) -> float:
    return given or (1 if images.dtype.kind == "f" else RANGES[0])


def _check_pixels(images: np.ndarray, given: float | None, dark: float, *, where: str) -> None:
    """Refuse anything but booleans and numbers from 0 to white, and a set that is nearly black."""
    kind, white = images.dtype.kind, _white(images, given)
    if kind not in "biuf":
        raise DataError(f"{where}: pixels must be integers 0..255 or floats 0..1; got {images.dtype}")
    if kind == "b":
        return
    if images.dtype == np.uint8 and white > RANGES[0]:
        raise DataError(f"{where}: pixel_range = {white:g}, and integers of 8 bits are at most 255; leave it out")
    if images.dtype == np.uint8 and white == RANGES[0]:
        largest = images.max()
    else:
        low, largest = images.min(), images.max()
        # One pass for the usual case; `not` also catches NaN, which is never inside.
        if not (low >= 0 and largest <= white):
            _refuse(~np.isfinite(images), images, "pixels must be finite", where=where)
            rule = f"{'float' if kind == 'f' else 'integer'} pixels must lie in 0..{white:g}"
            rule += " (divide 0..255 by 255)" if kind == "f" and given is None else ""
            fix = "; where white is another value, give it: pixel_range in [task] or in load"
            _refuse((images < 0) | (images > white), images, rule, where=where, fix=fix if low >= 0 else "")
    if given is None and 0 < largest * (RANGES[0] / white) <= dark:
        raise DataError(f"{where}: {nearly_black(largest, white)}")


def _refuse(bad: np.ndarray, values: np.ndarray, rule: str, *, where: str, fix: str = "") -> None:
    """Raise with the first bad value and its row, if there is one."""
    if bad.any():
        place = tuple(int(index) for index in np.argwhere(bad)[0])
        more = int(bad.sum()) - 1
        rest = f" ({more} more like it)" if more else ""
        raise DataError(f"{where}: {rule}; row {place[0]} holds {values[place].item()!r}{rest}{fix}")
