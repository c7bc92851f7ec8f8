"""The record of a study on disk: `Record` writes it, `Reader` reads it. Its format is described in docs/record.md."""

from tenfold.published import Published as Published
from tenfold.record._ranking import Rank as Rank
from tenfold.record._reader import Reader as Reader
from tenfold.record._sentences import VerdictWords as VerdictWords
from tenfold.record._sentences import remedies as remedies
from tenfold.record._side_by_side import SideBySide as SideBySide
from tenfold.record._side_by_side import compare as compare
from tenfold.record._snapshot import Curve as Curve
from tenfold.record._snapshot import Event as Event
from tenfold.record._snapshot import Run as Run
from tenfold.record._variant import Variant as Variant
from tenfold.record._writer import EpochRow as EpochRow
from tenfold.record._writer import Record as Record
from tenfold.record._writer import RunRow as RunRow

__all__ = [
    "Curve",
    "EpochRow",
    "Event",
    "Published",
    "Rank",
    "Reader",
    "Record",
    "Run",
    "RunRow",
    "SideBySide",
    "Variant",
    "VerdictWords",
    "compare",
    "remedies",
]
