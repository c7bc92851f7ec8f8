"""From a reference "FILE.py:NAME" to the class or function."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tenfold.errors import RequestError, nearest
from tenfold.own_files._folder import import_own_file, is_held
from tenfold.source import definitions, may_have

__all__ = ["import_own", "own_path"]


def own_path(reference: str, base: Path) -> Path:
    """The file of a reference "FILE.py:NAME", which is relative to ``base``."""
    return (base / reference.rpartition(":")[0]).resolve()


def import_own(reference: str, base: Path, what: str, *, like: Callable[[Any], bool]) -> Callable[..., Any]:
    """The class or function that a reference "FILE.py:NAME" names.

    Args:
        reference: FILE is relative to ``base``.
        what: "module" or "task", for messages.
        like: whether something in the file is of that sort; such names are suggested where NAME is not there.
    Raises:
        RequestError: missing file, a file that cannot be imported, or no such class in it.
    """
    path, name = own_path(reference, base), reference.rpartition(":")[2]
    if not is_held(path):
        _expect_name(path, name, f"{what} '{reference}'", what)
    try:
        namespace = vars(import_own_file(path))
    except (Exception, SystemExit) as error:  # a script that ends itself must not end the study without a word
        raise RequestError(f"{what} file {path} cannot be imported: {type(error).__name__}: {error}") from error
    if name not in namespace:
        known = [key for key, value in namespace.items() if like(value)]
        raise RequestError(f"{what} '{reference}': {path.name} has no '{name}'; {nearest(name, known)}")
    if not callable(namespace[name]):
        raise RequestError(f"{what} '{reference}': '{name}' is not a class but {type(namespace[name]).__name__}")
    return namespace[name]


def _expect_name(path: Path, name: str, said: str, what: str) -> None:
    """Refuse what can be refused without running the file, which may take seconds: no such file, a typo."""
    if not path.is_file():
        beside = [other.name for other in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise RequestError(f"{what} file {path} does not exist; {nearest(path.name, beside)}")
    defined = definitions(path)
    if not may_have(path, name) and difflib.get_close_matches(name, defined, n=1):
        raise RequestError(f"{said}: {path.name} has no '{name}'; {nearest(name, defined)}")
