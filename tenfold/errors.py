"""Every error that tenfold raises on purpose. Each says what was expected, what was given and what to do."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

__all__ = [
    "CheckpointError",
    "DataError",
    "DownloadError",
    "RecordError",
    "RequestError",
    "ShapeError",
    "StudyError",
    "TenfoldError",
    "TrainingError",
    "VerificationError",
    "WorkerError",
    "attempt",
    "nearest",
    "what_failed",
]

# Lines of a long message.
_SHOWN = 20


class TenfoldError(Exception):
    """Base of all errors raised by tenfold. The command line exits with ``exit_code``."""

    exit_code = 1


class RequestError(TenfoldError, ValueError):
    """The request is wrong; nothing was started. Exit code 2."""

    exit_code = 2


class StudyError(RequestError):
    """A study is wrong. The error holds every problem found, not only the first.

    Args:
        where: the study's name or file.
        problems: one line each.
    """

    def __init__(self, where: str, problems: Iterable[str]) -> None:
        self.where = where
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{where}: {count} problem{'s' if count != 1 else ''}"
        super().__init__("\n".join([head, *(f"  - {problem}" for problem in self.problems)]))


class ShapeError(RequestError):
    """An array or the output of a module does not have the expected shape."""


class DataError(RequestError):
    """A data file is missing or damaged, has the wrong shape or holds impossible values."""


class DownloadError(TenfoldError, OSError):
    """A data set could not be downloaded, or its checksum is wrong. Exit code 1."""


class RecordError(TenfoldError):
    """A record folder is in use or damaged, or belongs to another study or schema version. Exit code 1."""


class TrainingError(TenfoldError):
    """Training could not continue. Exit code 1."""


class VerificationError(TenfoldError):
    """A run is not the run that it would be alone, or the record is not that of the run. Exit code 1.

    Args:
        where: folder of the record.
        failures: a sentence each.
    """

    def __init__(self, where: Path, failures: Iterable[str]) -> None:
        self.where, self.failures = where, tuple(failures)
        count = len(self.failures)
        shown = [f"  - {text}" for text in self.failures[:_SHOWN]]
        if count > _SHOWN:
            shown.append(f"  - and {count - _SHOWN} more, in the record")
        head = (
            f"--verify found {count} difference{'s' * (count != 1)} above the tolerance, or parts that could not be "
            f"compared; do not trust the scores in {where} before the reason is known"
        )
        super().__init__("\n".join([head, *shown]))


class CheckpointError(TrainingError):
    """A checkpoint is damaged or of other runs."""


class WorkerError(TrainingError):
    """A worker process ended or did not start: its work may be fine, and is tried again by the next ``run``."""


Made = TypeVar("Made")


def attempt(
    what: str, make: Callable[[], Made], default: Made, *, failures: list[str], passing: tuple = (RecordError,)
) -> Made:
    """Make something that stands beside the scores, such as a figure: that it fails is noted, and no study ends of it.

    Args:
        what: subject of the sentence that is noted, such as "the examples to show".
        make: makes it.
        default: given in its place where it fails.
        failures: where the sentence goes.
        passing: errors of ``make`` that are raised all the same: without a disk to write on nothing else can go on.
    Raises:
        MemoryError: from ``make``.
    Example:
        >>> noted = []
        >>> attempt("the figure", lambda: 1 // 0, None, failures=noted)
        >>> noted[0].startswith("the figure could not be made: ZeroDivisionError: ")
        True
    """
    try:
        return make()
    except (MemoryError, *passing):
        raise
    except Exception as error:  # whatever a task or a figure raises
        failures.append(f"{what} could not be made: {what_failed(error)}")
        return default


def nearest(name: str, known: Iterable[str], *, listing: bool = False) -> str:
    """The end of an error message for an unknown name: the nearest known one, or the list of all, each once.

    Args:
        name, known: what was given, and what there is.
        listing: the list also where there is a near one: for choices, of which a wrong one changes what is concluded.

    Example:
        >>> nearest("quikstart", ["quickstart", "mnist-pairs"])
        "did you mean 'quickstart'?"
        >>> nearest("zzz", ["b", "a"])
        'known: a, b'
        >>> nearest("f", ["f1", "auc", "f1"], listing=True)
        "did you mean 'f1'? (known: auc, f1)"
    """
    known = sorted(set(known))
    match = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    all_known = f"known: {', '.join(known)}" if known else "none is known"
    if match:
        return f"did you mean '{match[0]}'?" + (f" ({all_known})" if listing else "")
    return all_known


def what_failed(error: Exception) -> str:
    """An exception in one line, with the place in the code of the user, or else the last one, that raised it."""
    if isinstance(error, TenfoldError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    ours = str(Path(__file__).parent)
    own = [frame for frame in frames if "site-packages" not in frame.filename and not frame.filename.startswith(ours)]
    first_line = str(error).strip().partition("\n")[0]
    place = (own or frames)[-1:]  # none where the error was made and not raised
    where = f" ({Path(place[0].filename).name}, line {place[0].lineno})" if place else ""
    return f"{type(error).__name__}: {first_line}{where}"
