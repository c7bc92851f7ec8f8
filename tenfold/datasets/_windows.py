"""Channels of signals by name, and windows inside pieces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tenfold.errors import RequestError, nearest

__all__ = ["axes_of_sensors", "cut_windows", "select_channels"]


def select_channels(signals: np.ndarray, recorded: Sequence[str], names: Sequence[str], where: str) -> np.ndarray:
    """Some of the channels, or sums of several.

    Args:
        signals: shape (samples, recorded channels).
        recorded: their names.
        names: of the channels wanted, in this order; "a + b" is the sum of two.
        where: the data, for messages.
    Returns:
        Shape (samples, channels).
    Raises:
        RequestError: an unknown channel, or a name twice.
    Example:
        >>> select_channels(np.array([[1, 2, 3]]), ["x", "y", "z"], ["z", "x + y"], "data").tolist()
        [[3, 3]]
    """
    place = {name: at for at, name in enumerate(recorded)}
    columns = []
    for name in names:
        terms = [name] if name in place else [term.strip() for term in name.split(" + ")]
        unknown = [term for term in terms if term not in place]
        if unknown:
            raise RequestError(f"channels: no channel '{unknown[0]}' in {where}: {nearest(unknown[0], place)}")
        columns.append(signals[:, [place[term] for term in terms]].sum(axis=1))
    if len(set(names)) < len(names):
        raise RequestError(f"channels: one name stands twice in {list(names)}")
    return np.stack(columns, axis=1)


def axes_of_sensors(channels: Sequence[str]) -> list[list[int]]:
    """Places of the x, y and z axes of each sensor: channels whose names are the same but for x, y, z.

    Example:
        >>> axes_of_sensors(["t", "gyro_x", "gyro_y", "gyro_z", "ax + bx", "ay + by", "az + bz", "max"])
        [[1, 2, 3], [4, 5, 6]]
    """
    place = {name: at for at, name in enumerate(channels)}
    sensors = []
    for name in channels:
        ends = [term.strip()[-1:] for term in name.split("+")]
        three = [" + ".join(term.strip()[:-1] + axis for term in name.split("+")) for axis in "xyz"]
        if set(ends) == {"x"} and all(each in place for each in three):
            sensors.append([place[each] for each in three])
    return sensors


def cut_windows(starts: np.ndarray, lengths: np.ndarray, window: int, overlap: float) -> tuple[np.ndarray, np.ndarray]:
    """Windows inside pieces, never across two.

    Args:
        starts, lengths: of the pieces, in samples, shape (pieces,).
        window: samples of a window.
        overlap: fraction of a window that the next one has too.
    Returns:
        First sample of each window and the piece that it is of, shape (windows,) each; a piece shorter than a window
        has none.
    Example:
        >>> [part.tolist() for part in cut_windows(np.array([0, 10]), np.array([10, 3]), 4, 0.5)]
        [[0, 2, 4, 6], [0, 0, 0, 0]]
    """
    stride = max(1, round(window * (1 - overlap)))
    counts = np.maximum((lengths - window) // stride + 1, 0)
    piece = np.repeat(np.arange(len(starts)), counts)
    place = np.arange(len(piece)) - np.repeat(np.cumsum(counts) - counts, counts)  # of a window in its piece
    return starts[piece] + stride * place, piece
