"""Which files beside it a file imports, read from its text."""

from __future__ import annotations

import ast
import functools
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

__all__ = ["imported_files", "is_fixed", "is_installed", "is_own"]

# What tenfold is built on is imported before any file of the user's, in every process: a file of such a name beside a
# module cannot take its place.
_BUILT_ON = frozenset(
    "click jinja2 matplotlib numpy pandas PIL platformdirs pooch pydantic pydantic_core rich safetensors scipy sklearn "
    "tenfold threadpoolctl tomli_w torch".split()
)


def is_own(top: str, roots: Sequence[Path], there: Callable[[Path], bool] = Path.is_file) -> bool:
    """Whether an import of the name ``top`` in a file of the user's own means a file of theirs.

    Theirs are stronger than installed packages, but not than the standard library and what tenfold is built on. A
    folder without ``__init__.py`` is weaker than an installed package, as everywhere in Python.

    Args:
        roots: folders that the file imports from.
        there: whether a file exists.
    """
    if is_fixed(top) or not top.isidentifier():
        return False
    for root in roots:
        files = [root / top / "__init__.py", *(root / f"{top}{end}" for end in importlib.machinery.all_suffixes())]
        if any(there(file) for file in files):
            return True
    return any((root / top).is_dir() for root in roots) and not is_installed(top)


def is_fixed(top: str) -> bool:
    """Whether a name means the same module everywhere: of the standard library, or what tenfold is built on."""
    return top in sys.stdlib_module_names or top in _BUILT_ON


def is_installed(top: str) -> bool:
    """Whether there is a module of that name outside the user's folder."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


def imported_files(
    file: Path, content: bytes, roots: Sequence[Path], there: Callable[[Path], bool] = Path.is_file
) -> Iterator[Path]:
    """The files that a file imports, wherever in it the statements stand, from ``roots`` or beside it."""
    for level, parts, names in _statements(content):
        if level:
            starts = [[file, *file.parents][level]] if level <= len(file.parents) else []
        else:
            starts = roots if is_own(parts[0], roots, there) else []
        for start in starts:
            found = list(_files(start, parts, there))
            found += [each for name in names for each in _files(start, (*parts, name), there)]
            yield from found
            if found:  # the first root that has it, as Python looks for it
                break


@functools.lru_cache(maxsize=10_000)
def _statements(content: bytes) -> tuple[tuple[int, tuple[str, ...], tuple[str, ...]], ...]:
    """Import statements: number of leading dots, dotted name in parts, names that are imported from it.

    The same of ``import_module("name")`` and ``__import__("name")`` with a name in plain text.
    """
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):  # one that is named, but never imported
        return ()
    found: list[tuple[int, tuple[str, ...], tuple[str, ...]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(0, tuple(alias.name.split(".")), ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = tuple(node.module.split(".")) if node.module else ()
            found.append((node.level, parts, tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.Call) and node.args and _called(node.func) in ("import_module", "__import__"):
            name = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            if isinstance(name, str) and name.strip("."):
                level = len(name) - len(name.lstrip("."))
                found.append((level, tuple(name[level:].split(".")), ()))
    return tuple(found)


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _files(start: Path, parts: Collection[str], there: Callable[[Path], bool]) -> Iterator[Path]:
    """The files that an import of a dotted name reads: every package on the way, and the last part."""
    place = start
    for part in parts:
        place = place / part
        for file in (place / "__init__.py", place.with_name(f"{part}.py")):
            if there(file):
                yield file
