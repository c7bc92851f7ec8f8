"""Windows cut from recordings: their channels, their places, the numbers that standardise them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tenfold import datasets
from tenfold.errors import RequestError, nearest
from tenfold.sampling import WindowSource

__all__ = ["WindowSums", "chosen_channels", "cut", "triads"]


class WindowSums:
    """Sums over the signals, from which mean and standard deviation over any windows follow.

    Args:
        source: the windows.
    """

    def __init__(self, source: WindowSource) -> None:
        signals = source.signals.numpy()
        summed = np.zeros((2, len(signals) + 1, signals.shape[1]))
        np.cumsum(signals, axis=0, dtype=np.float64, out=summed[0, 1:])
        np.cumsum(np.square(signals, dtype=np.float64), axis=0, out=summed[1, 1:])
        self._sums, self._source = torch.from_numpy(summed), source

    def scaling(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and inverse standard deviation of every channel over these windows: float64, (channels,) each.

        A constant channel is divided by 1.
        """
        starts = self._source.starts[windows]
        lengths = self._source.steps if self._source.lengths is None else self._source.lengths[windows]
        sums = (self._sums[:, starts + lengths] - self._sums[:, starts]).sum(1)  # (2, channels)
        count = lengths * len(windows) if isinstance(lengths, int) else lengths.sum()
        mean, square = sums / count
        deviation = (square - mean**2).clamp(min=0).sqrt()
        return mean, 1 / torch.where(deviation > 1e-6 * (1 + mean.abs()), deviation, 1.0)


def chosen_channels(recordings: datasets.Recordings, names: Sequence[str] | None) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the channels and the signals, (samples, channels)."""
    if names is None:
        return recordings.channels, recordings.signals
    place = {name: at for at, name in enumerate(recordings.channels)}
    found = []
    for name in names:
        terms = [name] if name in place else [term.strip() for term in name.split(" + ")]
        unknown = [term for term in terms if term not in place]
        if unknown:
            raise RequestError(
                f"channels: no channel '{unknown[0]}' in {recordings.name}: {nearest(unknown[0], place)}"
            )
        found.append(recordings.signals[:, [place[term] for term in terms]].sum(axis=1))
    if len(set(names)) < len(names):
        raise RequestError(f"channels: one name stands twice in {list(names)}")
    return tuple(names), np.stack(found, axis=1)


def triads(channels: Sequence[str]) -> list[list[int]]:
    """Places of the x, y and z axes of each sensor: channels whose names are the same but for x, y, z.

    Example:
        >>> triads(["t", "gyro_x", "gyro_y", "gyro_z", "ax + bx", "ay + by", "az + bz", "max"])
        [[1, 2, 3], [4, 5, 6]]
    """
    place = {name: at for at, name in enumerate(channels)}
    found = []
    for name in channels:
        ends = [term.strip()[-1:] for term in name.split("+")]
        three = [" + ".join(term.strip()[:-1] + axis for term in name.split("+")) for axis in "xyz"]
        if set(ends) == {"x"} and all(each in place for each in three):
            found.append([place[each] for each in three])
    return found


def cut(
    recordings: datasets.Recordings, window: int | None, overlap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Start and length of every window, the piece that it is of, and how many pieces are too short for one."""
    pieces = np.arange(len(recordings))
    if window is None:
        return recordings.starts, recordings.lengths, pieces, 0
    stride = max(1, round(window * (1 - overlap)))
    counts = np.maximum((recordings.lengths - window) // stride + 1, 0)
    piece = np.repeat(pieces, counts)
    place = np.arange(len(piece)) - np.repeat(np.cumsum(counts) - counts, counts)  # of a window in its piece
    starts = recordings.starts[piece] + stride * place
    return starts, np.full(len(piece), window, dtype=np.int64), piece, int((counts == 0).sum())
