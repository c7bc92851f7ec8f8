"""The record of a study on disk (`Record`, the writer) and what can be read from it (`Results`)."""

from tenfold.results._files import atomic_write as atomic_write
from tenfold.results._record import PARTS as PARTS
from tenfold.results._record import Record as Record
from tenfold.results._record import RunRow as RunRow

__all__ = ["PARTS", "Record", "RunRow", "atomic_write"]
