"""Signals on a regular grid of time: rates, short stretches of missing values, resampling.

Block by block, so that a recording of any length needs little memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["Resampler", "fill_missing", "is_regular", "rate_of"]

_ROWS_FOR_THE_RATE = 100_000
_RATE_TOLERANCE = 0.01
_CLOCK_TOLERANCE = 0.25  # of a sample: times rounded to milliseconds stay as they are up to 250 Hz, a lost row does not
_AVERAGE_FROM = 1.5  # times fewer samples: what would appear as a wrong, lower frequency is averaged away first
_CHECK_ROWS = 4096
_LOBES = 10  # of the filter, on each side


def rate_of(time: np.ndarray) -> float | None:
    """Samples a second of a column of time, shape (rows,), in seconds; None where time never increases.

    The inverse of the mean of those intervals that are within half of the median: gaps and lost rows do not count, and
    times rounded to milliseconds do not shift it, as they do the median. Six digits, from the first 100 000 intervals.

    Example:
        >>> rate_of(np.array([0.0, 0.016, 0.033, 0.05, 9.0, 9.016, 9.033, 9.05]))  # 60 Hz in milliseconds, with a gap
        60.0
    """
    steps = np.diff(time[: _ROWS_FOR_THE_RATE + 1])
    steps = steps[steps > 0]  # False for NaN too
    if not len(steps):
        return None
    usual = np.sort(steps)[(len(steps) - 1) // 2]  # of an even number the lower one: an interval that occurs
    near = steps[(steps > 0.5 * usual) & (steps < 1.5 * usual)]
    return float(f"{1 / near.mean():.6g}")


def is_regular(time: np.ndarray, rate_hz: float) -> bool:
    """Whether rows at these times, in seconds, can be taken as samples of a rate.

    Each must lie within a quarter of a sample of the straight line through the ends, whose rate may be 1 % off.
    """
    count = len(time) - 1
    if count < 1:
        return True
    # In samples of the rate wanted, from the first row.
    place = (time - time[0]) * rate_hz
    if abs(place[-1] - count) > _CLOCK_TOLERANCE + _RATE_TOLERANCE * count:
        return False
    return bool(np.abs(place - np.linspace(0, place[-1], count + 1)).max() <= _CLOCK_TOLERANCE)


def fill_missing(
    time: np.ndarray, values: np.ndarray, *, longest_seconds: float, period_seconds: float
) -> tuple[np.ndarray, int, int]:
    """Fill short stretches of NaN in place, each channel by a straight line from the value before to the one after.

    Args:
        time: shape (rows,), seconds, increasing.
        values: shape (rows, channels); changed.
        longest_seconds: longest stretch to fill; one of n rows lasts n samples' time. 0 fills nothing.
        period_seconds: time from one sample to the next.
    Returns:
        Rows that still miss a value, booleans of shape (rows,); number of stretches filled; number of values filled.
        What is missing at either end stays so: there is nothing to draw a line to.
    """
    bad = np.isnan(values)
    left_out = np.zeros(len(values), bool)
    n_stretches = n_values = 0
    for channel in np.flatnonzero(bad.any(axis=0)):
        edges = np.flatnonzero(np.diff(bad[:, channel], prepend=False, append=False))
        starts, ends = edges[::2], edges[1::2]
        before, after = np.maximum(starts - 1, 0), np.minimum(ends, len(values) - 1)
        lasts = time[after] - time[before] - period_seconds
        short = (starts > 0) & (ends < len(values)) & (lasts <= longest_seconds + 1e-6 * period_seconds)
        short &= longest_seconds > 0
        rows, stretch = np.flatnonzero(bad[:, channel]), np.repeat(np.arange(len(starts)), ends - starts)
        left_out[rows[~short[stretch]]] = True
        rows, stretch = rows[short[stretch]], stretch[short[stretch]]
        before, after = before[stretch], after[stretch]
        weight = (time[rows] - time[before]) / (time[after] - time[before])
        values[rows, channel] = (1 - weight) * values[before, channel] + weight * values[after, channel]
        n_stretches, n_values = n_stretches + int(short.sum()), n_values + len(rows)
    return left_out, n_stretches, n_values


class Resampler:
    """Brings one recording without gaps to a rate, where it does not have it already; block by block.

    Rows that ``is_regular`` finds at the rate pass unchanged. Others are interpolated linearly at the time of the first
    row, 1 / rate later and so on, up to the last row. Where that leaves 1.5 times fewer samples or more, they are
    averaged first, so that fast parts do not appear as slow ones (aliasing): interpolated at the smallest multiple of
    the rate that is not below their own, then by a filter without delay, a sinc of ten lobes per side that cuts at half
    the rate wanted, in a Kaiser window (beta 5), as ``scipy.signal.resample_poly`` has it. At the ends the signal is
    continued by its mirror image about the last value.

    Rows are checked for regularity 4096 at a time, from the first. Once they are not regular, all later ones are
    interpolated; the grid then continues from the last row that passed. Where blocks end makes no difference.

    Args:
        rate_hz: samples per second wanted.
        own_hz: samples per second of the rows, about.
    """

    def __init__(self, rate_hz: float, own_hz: float) -> None:
        fewer = own_hz / rate_hz
        self._factor = 1 if fewer < _AVERAGE_FROM else math.ceil(fewer - 1e-3)
        self._halo = _LOBES * self._factor if self._factor > 1 else 0
        self._rate = rate_hz
        self._origin = 0.0  # time of the sample with the number 0
        self._next = 0  # number of the next sample to give
        self._passed = 0  # rows kept that have passed unchanged: none, or the last
        self._time = np.empty(0)
        self._values: np.ndarray | None = None  # rows that are needed again
        self.used = False

    def add(self, time: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The samples that are certain after more rows.

        Args:
            time: shape (rows,), seconds; increasing, also from one block to the next.
            values: shape (rows, channels), float32, finite.
        Returns:
            Shape (samples, channels), float32; perhaps none yet.
        """
        if self._values is not None:
            time, values = np.concatenate([self._time, time]), np.concatenate([self._values, values])
        self._time, self._values = time, values
        return self._go_on(last=False)

    def end(self) -> np.ndarray:
        """The samples up to the last row."""
        return self._go_on(last=True)

    def _go_on(self, *, last: bool) -> np.ndarray:
        assert self._values is not None, "no rows"
        if self.used:
            return self._samples(last=last)
        end = self._passed  # the last row that passed is kept, as the first
        while end < len(self._time) and (last or len(self._time) - end >= _CHECK_ROWS):
            stop = min(end + _CHECK_ROWS, len(self._time))
            if not is_regular(self._time[max(end - 1, 0) : stop], self._rate):
                self.used = True
                break
            end = stop
        passed = self._values[self._passed : end]
        if end:
            self._time, self._values, self._passed = self._time[end - 1 :].copy(), self._values[end - 1 :].copy(), 1
        if self.used:
            self._origin, self._next = float(self._time[0]), self._passed
            return np.concatenate([passed, self._samples(last=last)])
        return passed

    def _samples(self, *, last: bool) -> np.ndarray:
        assert self._values is not None
        factor, halo, step = self._factor, self._halo, 1 / (self._rate * self._factor)
        place = self._time - self._origin
        # Numbers on the fine grid. A last row that a rounding error puts before its sample still gives it.
        end = math.floor(place[-1] / step + (1e-3 if last else 0))
        stop = (end if last else end - halo) // factor + 1
        if stop <= self._next:
            return self._values[:0]
        low, high = self._next * factor - halo, (stop - 1) * factor + halo
        first, final = max(low, 0), min(high, end)
        grid = np.arange(first, final + 1) * step
        fine = np.empty((len(grid), self._values.shape[1]), np.float32)
        for channel in range(fine.shape[1]):
            fine[:, channel] = np.interp(grid, place, self._values[:, channel])
        if halo:
            from scipy.signal import firwin, upfirdn  # here: half a second that most programs need not wait for

            padded = np.pad(fine, ((first - low, high - final), (0, 0)), mode="reflect", reflect_type="odd")
            kaiser: Any = ("kaiser", 5.0)  # scipy's annotation knows names of windows only
            taps = np.asarray(firwin(2 * halo + 1, 1 / factor, window=kaiser), np.float32)
            fine = upfirdn(taps, padded, down=factor, axis=0)[2 * _LOBES :][: stop - self._next]
        self._next = stop
        needed = max(0, stop * factor - halo) * step
        keep = max(0, int(np.searchsorted(place, needed, side="right")) - 1)
        self._time, self._values = self._time[keep:].copy(), self._values[keep:].copy()
        return fine
