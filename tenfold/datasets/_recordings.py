"""``Recordings``: signals over time in pieces of different lengths, one label each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenfold.datasets._containers import expect, expect_groups, expect_range, fingerprint_of, marks_of_groups
from tenfold.errors import DataError

__all__ = ["Recordings"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Recordings:
    """Sensor signals in pieces: stretches without a gap, of one label and one group (person, machine) each.

    A piece may be a whole recording or a window that was cut already. A task cuts windows inside pieces, never across.

    Args:
        signals: of all pieces, one after the other: shape (samples, channels), float32, finite.
        starts: first row of each piece: shape (n,), int64. Pieces may overlap, as windows do.
        lengths: number of rows of each piece: shape (n,), int64, at least 1.
        labels: shape (n,), int64, from 0 to n_classes - 1.
        part: shape (n,), uint8: TRAIN, TEST or UNASSIGNED.
        class_names: one name per class; their order is the order of the labels.
        channels: one name per channel.
        groups: the group of each piece, such as the person: shape (n,), int64, from 0 to len(group_names) - 1; None
            where pieces have no groups.
        group_names: one name per group; empty where ``groups`` is None.
        rate_hz: samples per second; 0 where it is not known.
        name, source, licence, citation: where the data come from, as text.
        notes: what a reader of the results should know, such as files that were skipped or gaps that were cut out.
    Raises:
        DataError: if shapes or types do not fit, a value is not finite, a label, part or group is out of range, or a
            piece reaches over the end of the signals.
    """

    signals: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    part: np.ndarray
    class_names: tuple[str, ...]
    channels: tuple[str, ...]
    groups: np.ndarray | None = None
    group_names: tuple[str, ...] = ()
    rate_hz: float = 0.0
    name: str = ""
    source: str = ""
    licence: str = ""
    citation: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count, name = len(self.starts), self.name
        expect(name, "signals", self.signals, np.float32, (None, len(self.channels)))
        for field in ("starts", "lengths", "labels"):
            expect(name, field, getattr(self, field), np.int64, (count,))
        expect(name, "part", self.part, np.uint8, (count,))
        expect_range(name, "labels", self.labels, self.n_classes)
        expect_range(name, "part", self.part, 3)
        expect_range(name, "starts", self.starts, len(self.signals))
        expect_range(name, "lengths", self.lengths - 1, len(self.signals))
        over = np.flatnonzero(self.starts + self.lengths > len(self.signals))
        if len(over):
            raise DataError(
                f"{name or 'data'}: piece {over[0]} ends in row {self.starts[over[0]] + self.lengths[over[0]]} of "
                f"'signals', which has {len(self.signals)}"
            )
        if not np.isfinite(self.signals.sum(dtype=np.float64)):  # one pass without a copy; NaN and infinity survive it
            row, channel = np.argwhere(~np.isfinite(self.signals))[0]
            raise DataError(
                f"{name or 'data'}: 'signals' must be finite; row {row}, channel '{self.channels[channel]}' holds "
                f"{self.signals[row, channel]}"
            )
        expect_groups(name, self.groups, self.group_names, count, "piece")
        if not np.isfinite(self.rate_hz) or self.rate_hz < 0:
            raise DataError(f"{name or 'data'}: 'rate_hz' must be 0 (not known) or above; got {self.rate_hz}")

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @property
    def fingerprint(self) -> str:
        """Sha256 of what is trained and tested on."""
        groups = marks_of_groups(self.groups, self.group_names)
        arrays = (self.signals, self.starts, self.lengths, self.labels, self.part, np.array([self.rate_hz]))
        return fingerprint_of(*arrays, *self.class_names, "channels", *self.channels, *groups)
