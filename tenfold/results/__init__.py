"""The record of a study on disk (`Record`, the writer) and what can be read from it (`Results`)."""

from tenfold.files import atomic_write as atomic_write
from tenfold.results._published import Published as Published
from tenfold.results._ranking import Rank as Rank
from tenfold.results._record import PARTS as PARTS
from tenfold.results._record import Record as Record
from tenfold.results._record import RunRow as RunRow
from tenfold.results._results import Results as Results
from tenfold.results._sentences import VerdictWords as VerdictWords
from tenfold.results._snapshot import Arm as Arm
from tenfold.results._snapshot import Curve as Curve
from tenfold.results._snapshot import Event as Event
from tenfold.results._snapshot import Run as Run

__all__ = [
    "PARTS",
    "Arm",
    "Curve",
    "Event",
    "Published",
    "Rank",
    "Record",
    "Results",
    "Run",
    "RunRow",
    "VerdictWords",
    "atomic_write",
]
