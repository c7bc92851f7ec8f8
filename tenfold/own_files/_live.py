"""The source of a class or function that a script or a notebook defines, with all that it uses.

Such a class cannot be imported: another process has another main program, and importing a script would run it. So what
the class needs is written down as a file: the definitions, imports and plain values of the main program that its text
names, directly or through each other.
"""

from __future__ import annotations

import ast
import linecache
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from tenfold.own_files._folder import own_sources

__all__ = ["NotWritable", "live_sources"]

_MAIN = "__main__"


class NotWritable(Exception):
    """What a class uses cannot be written down; the text says what."""


def live_sources(made: Callable[..., Any]) -> tuple[str, dict[str, bytes]] | None:
    """The file that defines a class or function given as a Python object, and the files with what it needs.

    Returns:
        Name of its file, and path -> content; None for one that is imported from an installed package.
    Raises:
        NotWritable: if it is defined in a script or notebook and uses what no file can hold, such as an array.
    """
    module, name = getattr(made, "__module__", None), getattr(made, "__qualname__", "")
    if module == _MAIN:
        return f"{name}.py", _Written(made).files()
    file = _own_file(sys.modules.get(module or ""))
    if file is None or "." in str(module) or not name.isidentifier():
        return None
    return file.name, own_sources(file)


def _own_file(module: ModuleType | None) -> Path | None:
    """The file of a module that is neither installed nor built in."""
    file = getattr(module, "__file__", None)
    if not file or module is None or module.__name__.partition(".")[0] in ("tenfold", *sys.stdlib_module_names):
        return None
    path = Path(file).resolve()
    installed = [*site.getsitepackages(), site.getusersitepackages(), *sysconfig.get_paths().values()]
    inside = any(path.is_relative_to(Path(place).resolve()) for place in installed)
    return None if inside or path.suffix != ".py" else path


class _Written:
    """A file with a class of the main program, and what it uses."""

    def __init__(self, made: Callable[..., Any]) -> None:
        self.names = vars(sys.modules[_MAIN])
        self.name = getattr(made, "__qualname__", "")
        self.imports: list[str] = []
        self.parts: list[str] = []
        self.beside: dict[str, bytes] = {}
        self.seen: set[str] = set()
        if self.names.get(self.name) is not made:
            raise NotWritable(f"'{self.name}' is no name of the main program")
        self._add(self.name)

    def files(self) -> dict[str, bytes]:
        text = "\n".join(["from __future__ import annotations", "", *sorted(set(self.imports)), "", "", *self.parts])
        return {f"{self.name}.py": text.encode(), **self.beside}

    def _add(self, name: str) -> None:
        """Write a name of the main program down, and before it what it uses."""
        if name in self.seen:
            return
        self.seen.add(name)
        value = self.names[name]
        if isinstance(value, ModuleType):
            self._import(f"import {value.__name__} as {name}", value)
        elif isinstance(value, type | FunctionType) and value.__module__ == _MAIN:
            text, node = _definition(value)
            for used in _names(node):
                if used in self.names and not used.startswith("__"):
                    self._add(used)
            self.parts += [text, ""] if value.__name__ == name else [text, f"{name} = {value.__name__}", ""]
        elif (home := sys.modules.get(getattr(value, "__module__", None) or "")) is not None and (
            getattr(home, own := getattr(value, "__name__", ""), None) is value
        ):
            self._import(f"from {home.__name__} import {own} as {name}", home)
        else:
            self.parts.append(f"{name} = {_literal(name, value)}")

    def _import(self, statement: str, module: ModuleType) -> None:
        self.imports.append(statement)
        top = sys.modules.get(module.__name__.partition(".")[0], module)
        if (file := _own_file(top)) is not None and file.name != "__init__.py":
            self.beside |= own_sources(file)


def _definition(made: type | FunctionType) -> tuple[str, ast.AST]:
    """The text of a definition, with its decorators, from the file or the cell of a notebook that it stands in."""
    kind = ast.ClassDef if isinstance(made, type) else ast.FunctionDef
    for code_file in _code_files(made):
        lines = linecache.getlines(code_file)
        try:
            tree = ast.parse("".join(lines))
        except SyntaxError:
            continue
        for node in reversed(tree.body):  # the last one of the name is the one that stays
            if isinstance(node, kind) and node.name == made.__name__:
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                return "".join(lines[first - 1 : node.end_lineno]).rstrip() + "\n", node
    raise NotWritable(f"the source of '{made.__name__}' is not at hand")


def _code_files(made: type | FunctionType) -> Iterator[str]:
    functions = [made] if isinstance(made, FunctionType) else [f for f in vars(made).values() if hasattr(f, "__code__")]
    yield from dict.fromkeys(function.__code__.co_filename for function in functions)
    if main := getattr(sys.modules[_MAIN], "__file__", None):
        yield main


def _names(node: ast.AST) -> list[str]:
    """The names that a definition reads, in order; those in annotations that are texts too."""
    found = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
    return list(dict.fromkeys(found))


def _literal(name: str, value: Any) -> str:
    text = repr(value)
    try:
        if ast.literal_eval(text) == value:
            return text
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    raise NotWritable(f"it uses '{name}', which is neither defined there nor a plain value ({type(value).__name__})")
