"""From rows of recordings to pieces: stretches of one label and one group without a gap, at one rate."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tenfold.datasets._layout import Layout
from tenfold.datasets._resample import Resampler, fill_missing

__all__ = ["Pieces", "Rows", "Tally"]

_BLOCK_ROWS = 1 << 18
_GAP_SAMPLES = 5


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a file, in order.

    Args:
        values: shape (rows, channels), float32; NaN where missing.
        labels, groups: shape (rows,), int64; -1 where missing.
        time: shape (rows,), float64, seconds; NaN where missing; None where there is no column of time.
    """

    values: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    time: np.ndarray | None


@dataclass
class Tally:
    """What happened to rows while reading, counted."""

    rows: int = 0
    gaps: int = 0
    restarts: int = 0
    repeats: int = 0
    without_label: int = 0
    without_time: int = 0
    filled_stretches: int = 0
    filled_values: int = 0
    cut_rows: int = 0
    resampled: list[float] = field(default_factory=list)  # own rate of each file of which a piece was resampled


class Pieces:
    """Collects pieces from one file after the other, in about as much memory as they need in the end.

    Args:
        layout: says what is missing, too long a gap, and so on.
        n_channels: columns of the signals.
        rate_hz: samples per second of all pieces; 0 where it is not known, which needs rows without time.
        block_rows: rows of a piece that are processed at once.
    """

    def __init__(self, layout: Layout, n_channels: int, rate_hz: float, *, block_rows: int = _BLOCK_ROWS) -> None:
        self._layout, self._rate, self._block_rows = layout, rate_hz, block_rows
        self._signals = _Growing(n_channels)
        self._found: list[tuple[int, int, int, int]] = []  # start, length, label, group
        self.tally = Tally()
        self.begin(rate_hz)

    def __len__(self) -> int:
        return len(self._found)

    # -- a file --

    def begin(self, own_hz: float) -> None:
        """A new file, with its own samples per second; 0 where they are not known."""
        self._own_hz = own_hz
        self._longest_gap = self._layout.gap_seconds or (_GAP_SAMPLES / own_hz if own_hz else np.inf)
        self._label = self._group = -1
        self._holes = self._last_holes = 0
        self._last_time = np.nan
        self._file_resampled = False
        self._start = self._signals.rows
        self._pending: list[tuple[np.ndarray, np.ndarray | None]] = []
        self._n_pending = 0
        self._process_at = self._block_rows
        self._resampler: Resampler | None = None

    def mark(self) -> tuple[Any, ...]:
        """The present state, for ``back``."""
        return self._signals.rows, len(self._found), deepcopy(self.tally)

    def back(self, mark: tuple[Any, ...]) -> None:
        """Discard everything after ``mark``."""
        self._signals.rows, count, self.tally = mark
        del self._found[count:]

    def add(self, rows: Rows) -> None:
        """The next rows of the file."""
        layout, tally = self._layout, self.tally
        values, labels, groups, time = rows.values, rows.labels, rows.groups, rows.time
        tally.rows += len(values)
        # A row without label or group, or without time where that is to be cut, separates what is before and after it.
        hole = (labels < 0) | (groups < 0)
        tally.without_label += int(hole.sum())
        gone = hole
        if time is not None:
            timeless = np.isnan(time) & ~hole
            tally.without_time += int(timeless.sum())
            gone = hole | timeless
            hole = gone if layout.missing == "cut" else hole
        holes = self._holes + np.cumsum(hole)
        self._holes = int(holes[-1])
        if gone.any():
            values, labels, groups, holes = values[~gone], labels[~gone], groups[~gone], holes[~gone]
            time = None if time is None else time[~gone]
        if not len(values):
            return
        fresh = (labels != _before(self._label, labels)) | (groups != _before(self._group, groups))
        fresh |= holes != _before(self._last_holes, holes)
        self._label, self._group, self._last_holes = int(labels[-1]), int(groups[-1]), int(holes[-1])
        if time is not None:
            step = time - _before(self._last_time, time)
            self._last_time = float(time[-1])
            back, gap = (step < 0) & ~fresh, (step > self._longest_gap * (1 + 1e-6)) & ~fresh
            repeat = (step == 0) & ~fresh
            tally.restarts, tally.gaps = tally.restarts + int(back.sum()), tally.gaps + int(gap.sum())
            fresh |= back | gap
            if repeat.any():
                tally.repeats += int(repeat.sum())
                values, labels, groups, fresh = values[~repeat], labels[~repeat], groups[~repeat], fresh[~repeat]
                time = time[~repeat]
        starts = np.flatnonzero(fresh)
        if len(values) and not fresh[0]:
            starts = np.concatenate([[0], starts])
        for start, end in zip(starts, [*starts[1:], len(values)], strict=True):
            if fresh[start]:
                self._close()
                self._open = int(labels[start]), int(groups[start])
            self._pending.append((values[start:end], None if time is None else time[start:end]))
            self._n_pending += int(end - start)
        if self._n_pending >= self._process_at:
            self._process(last=False)

    def end(self) -> None:
        """The end of the file."""
        self._close()
        if self._file_resampled:
            self.tally.resampled.append(self._own_hz)

    # -- a piece --

    def _close(self) -> None:
        if self._n_pending:
            self._process(last=True)
        self._finish()

    def _process(self, *, last: bool) -> None:
        """Fill or cut what is missing in the rows that wait, and pass them on."""
        values = np.concatenate([each for each, _ in self._pending])
        times = [each for _, each in self._pending if each is not None]
        time = np.concatenate(times) if times else None
        self._pending, self._n_pending, self._process_at = [], 0, self._block_rows
        if not last:
            # Up to a row with every value: lines to both sides may end there, so it waits with the rest.
            whole = np.flatnonzero(~np.isnan(values).any(axis=1))
            end = int(whole[-1]) if len(whole) else 0
            self._pending = [(values[end:], None if time is None else time[end:])]
            self._n_pending = len(values) - end
            self._process_at = max(self._block_rows, 2 * self._n_pending)
            if not end:
                return
            good = self._fill(values[: end + 1], None if time is None else time[: end + 1])[:end]
            values, time = values[:end], None if time is None else time[:end]
        else:
            good = self._fill(values, time)
        edges = np.flatnonzero(np.diff(good, prepend=False, append=False))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            if start:
                self._finish()
            self._give(values[start:end], None if time is None else time[start:end])
            if end < len(values):
                self._finish()

    def _fill(self, values: np.ndarray, time: np.ndarray | None) -> np.ndarray:
        """Rows that have every value, after short stretches were filled in place."""
        if self._layout.missing == "refuse" or not np.isnan(values).any():
            return np.ones(len(values), bool)
        fill = self._layout.missing == "fill"
        own_hz = self._own_hz or 1.0  # unknown only where nothing is filled
        missing, stretches, filled = fill_missing(
            np.arange(len(values)) / own_hz if time is None else time,
            values,
            longest_seconds=self._layout.fill_seconds if fill else 0.0,
            period_seconds=1 / own_hz,
        )
        self.tally.filled_stretches += stretches
        self.tally.filled_values += filled
        self.tally.cut_rows += int(missing.sum())
        return ~missing

    def _give(self, values: np.ndarray, time: np.ndarray | None) -> None:
        if time is None:
            self._signals.append(values)
            return
        if self._resampler is None:
            self._resampler = Resampler(self._rate, self._own_hz or self._rate)
        self._signals.append(self._resampler.add(time, values))

    def _finish(self) -> None:
        if self._resampler is not None:
            self._signals.append(self._resampler.end())
            self._file_resampled |= self._resampler.used
            self._resampler = None
        if self._signals.rows > self._start:
            self._found.append((self._start, self._signals.rows - self._start, *self._open))
            self._start = self._signals.rows

    # -- all --

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Signals (rows, channels), float32; starts, lengths, labels and groups of the pieces, int64. The end."""
        found = np.array(self._found, np.int64).reshape(-1, 4)
        starts, lengths, labels, groups = (np.ascontiguousarray(column) for column in found.T)
        return self._signals.finish(), starts, lengths, labels, groups


class _Growing:
    """Rows of float32 that more rows can be appended to.

    Not a list of arrays: joined in the end, it would take twice the memory. ``resize`` lets the operating system move
    large blocks without a copy.
    """

    def __init__(self, n_channels: int) -> None:
        self._array = np.empty((1024, n_channels), np.float32)
        self.rows = 0

    def append(self, rows: np.ndarray) -> None:
        total = self.rows + len(rows)
        if total > len(self._array):
            self._array.resize((total + total // 4, self._array.shape[1]), refcheck=False)
        self._array[self.rows : total] = rows
        self.rows = total

    def finish(self) -> np.ndarray:
        self._array.resize((self.rows, self._array.shape[1]), refcheck=False)
        return self._array


def _before(first: float, array: np.ndarray) -> np.ndarray:
    """The value in the row before each row."""
    return np.concatenate([np.array([first], array.dtype), array[:-1]])
