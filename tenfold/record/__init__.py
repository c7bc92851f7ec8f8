"""The record of a study on disk (`Record`, the writer) and what can be read from it (`Reader`)."""

from tenfold.files import atomic_write as atomic_write
from tenfold.record._published import Published as Published
from tenfold.record._ranking import Rank as Rank
from tenfold.record._reader import Reader as Reader
from tenfold.record._sentences import VerdictWords as VerdictWords
from tenfold.record._snapshot import Curve as Curve
from tenfold.record._snapshot import Event as Event
from tenfold.record._snapshot import Run as Run
from tenfold.record._snapshot import Variant as Variant
from tenfold.record._writer import PARTS as PARTS
from tenfold.record._writer import Record as Record
from tenfold.record._writer import RunRow as RunRow

__all__ = [
    "PARTS",
    "Variant",
    "Curve",
    "Event",
    "Published",
    "Rank",
    "Record",
    "Reader",
    "Run",
    "RunRow",
    "VerdictWords",
    "atomic_write",
]
