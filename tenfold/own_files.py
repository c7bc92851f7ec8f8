"""Python files of the user's own: what a reference "FILE.py:NAME" names, and the files that it needs."""

from __future__ import annotations

import ast
import difflib
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tenfold.errors import RequestError, nearest
from tenfold.source import definitions, may_have

__all__ = ["import_own", "import_own_file", "own_file_of", "own_path", "own_sources"]

_PREFIX = "_tenfold_user_"


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
    name = reference.rpartition(":")[2]
    path = own_path(reference, base)
    if not path.is_file():
        beside = [other.name for other in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise RequestError(f"{what} file {path} does not exist; {nearest(path.name, beside)}")
    defined = definitions(path)
    if not may_have(path, name) and difflib.get_close_matches(name, defined, n=1):
        # A typo is said without running the file, which may take seconds.
        raise RequestError(f"{what} '{reference}': {path.name} has no '{name}'; {nearest(name, defined)}")
    try:
        namespace = vars(_import_file(path, path.stat().st_mtime_ns))
    except (Exception, SystemExit) as error:  # a script that ends itself must not end the study without a word
        raise RequestError(f"{what} file {path} cannot be imported: {type(error).__name__}: {error}") from error
    if name not in namespace:
        known = [key for key, value in namespace.items() if like(value)]
        raise RequestError(f"{what} '{reference}': {path.name} has no '{name}'; {nearest(name, known)}")
    if not callable(namespace[name]):
        raise RequestError(f"{what} '{reference}': '{name}' is not a class but {type(namespace[name]).__name__}")
    return namespace[name]


def own_file_of(made: type) -> Path | None:
    """The file of the user's own that a class comes from; None for any other class."""
    module = sys.modules.get(made.__module__)
    file = getattr(module, "__file__", None)
    return Path(file) if made.__module__.startswith(_PREFIX) and file else None


def import_own_file(path: Path) -> Any:
    """A file of the user's own as a module, the same in every process."""
    return _import_file(path, path.stat().st_mtime_ns)


@functools.cache
def _import_file(path: Path, changed_ns: int) -> Any:
    """The file as a module; imported again where it has changed since, as it does in a notebook's session."""
    # A name of its own, so that a user's file cannot hide an installed package or another user's file.
    name = f"{_PREFIX}{hashlib.blake2b(str(path).encode(), digest_size=6).hexdigest()}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # Its own imports may name files beside it.
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(path.parent))
    return module


def own_sources(path: Path) -> dict[str, bytes]:
    """A file and the Python files in its folder that it imports, directly or through each other.

    Read from the import statements, wherever in the file they stand; a name that is computed while the file runs is not
    seen. Installed packages are not included.

    Returns:
        relative path, with "/", -> content.
    """
    folder, found = path.parent, {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        key = file.relative_to(folder).as_posix()
        if key not in found:
            found[key] = file.read_bytes()
            waiting += (other for other in _imported(file, found[key], folder) if other.is_relative_to(folder))
    return dict(sorted(found.items()))


def _imported(file: Path, content: bytes, folder: Path) -> Iterator[Path]:
    """The files below ``folder`` that a file imports."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # one that is named, but never imported
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(folder, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            start = [folder, *file.parents][node.level] if node.level <= len(file.parents) else folder
            parts = node.module.split(".") if node.module else []
            yield from _files(start, parts)
            for alias in node.names:  # "from package import file"
                yield from _files(start, [*parts, alias.name])


def _files(start: Path, parts: list[str]) -> Iterator[Path]:
    """The files that an import of a dotted name reads: every package on the way, and the last part."""
    for n in range(1, len(parts) + 1):
        place = start.joinpath(*parts[:n])
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                yield file
