"""Folders with files of the user's own: each is imported as a package of its own, so that files of one name in two
folders stay apart, and its files are run as they were first read, so that a study is one program to its end.

Own files are written as scripts: ``from layers import Block`` means the file beside. So the code of each gets an
``__import__`` of its own, which looks into the folder first. No name of theirs is visible to other code, nothing is
left on ``sys.path``, and a class has the same full name in every process, so that it can be pickled.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from tenfold.own_files._imports import imported_files, is_fixed, is_installed, is_own

__all__ = ["held", "import_own_file", "install", "is_held", "own_file_of", "own_sources", "snapshot"]

_PREFIX = "_tenfold_user_"
# Stands for a dot in the name of a file such as net.v2.py: in the name of a module a dot would begin a part.
_DOT = "\u2024"


class _Folder:
    """A folder with files of the user's own, in this process.

    Attributes:
        name: of its package.
        search: folders that its files import from: it, and those that they put on ``sys.path``.
        read: file -> content, of every file that has been run or may be.
        imported: file -> files that it has imported.
        asked: files that were asked for by a reference.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"{_PREFIX}{hashlib.blake2b(str(path).encode(), digest_size=6).hexdigest()}"
        self.search = [str(path)]
        self.read: dict[Path, bytes] = {}
        self.imported: dict[Path, set[Path]] = {}
        self.asked: set[Path] = set()
        self._running: list[str] | None = None

    @property
    def roots(self) -> list[Path]:
        return [Path(entry) for entry in self.search]

    def there(self, file: Path) -> bool:
        return file in self.read or file.is_file()

    def owns(self, top: str) -> bool:
        return is_own(top, self.roots, self.there)

    def content(self, file: Path) -> bytes:
        """A file as it was first read."""
        if file not in self.read:
            self.read[file] = file.read_bytes()
        return self.read[file]

    def needed(self, path: Path, kept: Mapping[Path, bytes]) -> dict[Path, bytes]:
        """A file and those of the user's that it imports, directly or through each other; ``kept`` is not read again.

        Found in the text of the files, and by what they have imported so far.
        """
        found: dict[Path, bytes] = {}
        waiting = [path]
        while waiting:
            file = waiting.pop()
            if file not in found and any(file.is_relative_to(root) for root in self.roots):
                found[file] = kept[file] if file in kept else file.read_bytes()
                waiting += imported_files(file, found[file], self.roots, lambda file: file in kept or file.is_file())
                waiting += (other for other in self.imported.get(file, ()) if other in kept or other.is_file())
        return found

    def refresh(self, path: Path) -> None:
        """Read a file and what it needs; where something that was run before has changed since, all is run anew."""
        needed = self.needed(path, {})
        more = path in self.asked and not needed.keys() <= self.read.keys()  # a file that was not there before
        if more or not self.is_current():
            self.forget()
        self.read |= needed
        self.asked.add(path)

    def is_current(self) -> bool:
        """Whether the files are on disk as they were read."""
        return all(_content_on_disk(file) == content for file, content in self.read.items())

    def forget(self) -> None:
        for name in [name for name in sys.modules if name == self.name or name.startswith(f"{self.name}.")]:
            del sys.modules[name]
        self.read, self.imported, self.asked, self.search = {}, {}, set(), [str(self.path)]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """While its code runs for the first time: folders that it puts on ``sys.path`` are searched for its imports
        alone, since those of two folders may hold files of one name.
        """
        outer, self._running = self._running, list(sys.path)
        try:
            yield
            self.adopt()
        finally:
            self._running = outer

    def adopt(self) -> None:
        """Search the folders that its code has put on ``sys.path``, where it runs for the first time."""
        if self._running is None:
            return
        for entry in sys.path:
            if entry not in (*self._running, *self.search) and Path(entry).is_dir() and "site-packages" not in entry:
                self.search.append(entry)

    def note(self, importer: Path, module: ModuleType) -> None:
        """Keep that a file has imported a module of the folder, with the packages that it is in."""
        parts = module.__name__.split(".")
        for n in range(2, len(parts) + 1):
            file = getattr(sys.modules.get(".".join(parts[:n])), "__file__", None)
            if parts[0] == self.name and file:
                self.imported.setdefault(importer, set()).add(Path(file))


_FOLDERS: dict[str, _Folder] = {}
_holding = 0


def _folder_of(path: Path) -> _Folder:
    folder = _Folder(path.parent)
    return _FOLDERS.setdefault(folder.name, folder)


def _content_on_disk(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


# -- what others use --------------------------------------------------------------------------------------------------


def import_own_file(path: Path) -> Any:
    """A file of the user's own as a module, of the same name in every process; run anew where it or a file that it
    imports has changed since, as it does in a notebook's session.
    """
    if path.suffix != ".py":
        raise ImportError("not a Python file")
    folder = _folder_of(path)
    if not is_held(path):
        folder.refresh(path)
    package = (path.parent / path.stem / "__init__.py").is_file()  # of that name, which an import would find first
    name = path.name.replace(".", _DOT) if package or "." in path.stem else path.stem
    before = set(sys.modules)
    try:
        return importlib.import_module(f"{folder.name}.{name}")
    except BaseException:
        for other in set(sys.modules) - before:
            if other.partition(".")[0] == folder.name:
                sys.modules.pop(other, None)
        raise


def own_sources(path: Path) -> dict[str, bytes]:
    """A file and the Python files in its folder that it imports, directly or through each other.

    Read from the import statements, wherever in the file they stand; a name that is computed while the file runs is
    seen once it has been imported. Installed packages are not included. While files are ``held``, as they were read.

    Returns:
        relative path, with "/", -> content.
    """
    folder = _folder_of(path)
    found = folder.needed(path, folder.read if _holding else {})
    roots = [folder.path, *folder.roots]
    named = {
        file.relative_to(next(root for root in roots if file.is_relative_to(root))): content
        for file, content in found.items()
    }
    return {name.as_posix(): content for name, content in sorted(named.items())}


def own_file_of(made: type) -> Path | None:
    """The file of the user's own that a class comes from; None for any other class."""
    module = sys.modules.get(made.__module__)
    file = getattr(module, "__file__", None)
    return Path(file) if made.__module__.startswith(_PREFIX) and file else None


def is_held(path: Path) -> bool:
    """Whether a file stays as it was read, whatever becomes of it on disk."""
    return bool(_holding) and path in _folder_of(path).read


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Meanwhile, every file stays as it is read first: one that is edited changes nothing. What has changed before is
    run anew.
    """
    global _holding
    if not _holding:
        for folder in _FOLDERS.values():
            if not folder.is_current():
                folder.forget()
    _holding += 1
    try:
        yield
    finally:
        _holding -= 1


def snapshot() -> list[tuple[Path, list[str], dict[Path, bytes]]]:
    """What another process needs for ``install``."""
    return [(folder.path, folder.search, folder.read) for folder in _FOLDERS.values()]


def install(files: Sequence[tuple[Path, list[str], dict[Path, bytes]]]) -> None:
    """In a worker process: run the files that the process that asks has read, and no others, to the end."""
    global _holding
    _holding += 1
    for path, search, read in files:
        folder = _folder_of(path / "any")
        folder.search, folder.read = search, read


# -- how they are imported --------------------------------------------------------------------------------------------


class _Finder:
    """Finds the package of a folder, and the modules in it."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, rest = fullname.partition(".")
        if (folder := _FOLDERS.get(package)) is None:
            return None
        if not rest:
            return _package(fullname, folder.search)
        name = rest.rpartition(".")[2].replace(_DOT, ".")
        for place in [Path(entry) / name for entry in path or ()]:
            inside, file = place / "__init__.py", place if "." in name else place.with_name(f"{name}.py")
            if folder.there(inside):
                return _module(fullname, inside, [str(place)])
            if folder.there(file):
                return _module(fullname, file, None)
        if (spec := PathFinder.find_spec(fullname, path)) is not None and spec.origin is not None:
            return spec  # an extension module
        places = [str(Path(entry) / name) for entry in path or () if (Path(entry) / name).is_dir()]
        return _package(fullname, places) if places else None


def _package(name: str, places: list[str]) -> ModuleSpec:
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = places
    return spec


def _module(name: str, file: Path, places: list[str] | None) -> ModuleSpec | None:
    loader = _Loader(name, str(file))
    return importlib.util.spec_from_file_location(name, file, loader=loader, submodule_search_locations=places)


class _Loader(SourceFileLoader):
    """Runs a file as it was first read, with an ``__import__`` of its own."""

    def get_data(self, path: str) -> bytes:  # type: ignore[override]
        return _FOLDERS[self.name.partition(".")[0]].content(Path(path))

    def get_code(self, fullname: str) -> Any:
        # Not from a cached file: that is told apart by whole seconds and its length.
        return self.source_to_code(self.get_data(self.path), self.path)  # type: ignore[arg-type]

    def exec_module(self, module: ModuleType) -> None:
        folder = _FOLDERS[self.name.partition(".")[0]]
        vars(module)["__builtins__"] = vars(builtins) | {"__import__": _Import(folder, Path(self.path))}
        with folder.running():
            super().exec_module(module)


class _Import:
    """``__import__`` for the code of one file of a folder, and its ``importlib``."""

    def __init__(self, folder: _Folder, file: Path) -> None:
        self.folder, self.file = folder, file
        # What is not in it is looked up in the real one.
        self.importlib: Any = ModuleType("importlib", importlib.__doc__)
        self.importlib.__getattr__ = lambda name: getattr(importlib, name)
        self.importlib.import_module = self.import_module

    def __call__(
        self, name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] = (), level: int = 0
    ) -> Any:
        top = name.partition(".")[0]
        if level or not self._means_own(top):
            found = builtins.__import__(name, globals, locals, fromlist, level)
            return self.importlib if found is importlib else found
        full = f"{self.folder.name}.{name}"
        found = builtins.__import__(full, globals, locals, fromlist or ("__name__",), 0)
        self.folder.note(self.file, found)
        return found if fromlist else sys.modules[f"{self.folder.name}.{top}"]

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """``importlib.import_module``."""
        own = not name.startswith(".") and self._means_own(name.partition(".")[0])
        found = importlib.import_module(f"{self.folder.name}.{name}" if own else name, package)
        self.folder.note(self.file, found)
        return found

    def _means_own(self, top: str) -> bool:
        self.folder.adopt()
        itself = self.file == self.folder.path / f"{top}.py"
        # A file that has the name of an installed package and imports it means the package.
        if self.folder.owns(top) and not (itself and is_installed(top)):
            return True
        self._expect_one_file(top)
        return False

    def _expect_one_file(self, top: str) -> None:
        """Refuse to take a module that another part of the program has imported for the one that is meant here."""
        loaded = getattr(sys.modules.get(top), "__file__", None)
        spec = PathFinder.find_spec(top) if loaded and not is_fixed(top) else None
        if spec is None or spec.origin is None or not spec.has_location or _same(Path(loaded or ""), Path(spec.origin)):
            return
        raise ImportError(
            f"'{top}' is {spec.origin} here, but {loaded} elsewhere in this process: two modules of one name cannot be "
            f"kept apart; rename one, or put it beside {self.file.name}"
        )


def _same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        return first == second


sys.meta_path.insert(0, _Finder)
