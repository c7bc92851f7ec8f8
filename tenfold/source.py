"""What the source of a Python file says of a class or function, without running the file.

Checking the arguments that a study gives to a module must not import torch, which takes seconds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Arguments", "definitions", "first_line", "may_have", "read_arguments"]

_SCALARS = ("int", "float", "str", "bool")
# In a file with one of these, names may be made while it runs.
_MAKING_NAMES = ("globals", "exec", "eval", "vars", "locals", "setattr", "__getattr__", "modules")


@dataclass(frozen=True)
class Arguments:
    """Keyword arguments of a constructor or function.

    Attributes:
        names: those that it names; None where it takes any.
        scalars: those that are annotated as one number, text or truth value, or None.
    """

    names: frozenset[str] | None
    scalars: frozenset[str]


def read_arguments(path: Path, name: str) -> Arguments | None:
    """The keyword arguments of a class or function in a file; None where only running the file can tell.

    That is so where the name is bound otherwise, or more than once, is decorated, or a constructor is inherited from
    another file.
    """
    tree = _tree(path)
    return None if tree is None else _arguments(tree, name, ())


def definitions(path: Path) -> set[str]:
    """The classes and functions that a file defines, outside others."""
    tree = _tree(path)
    nodes = () if tree is None else tree.body
    return {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def may_have(path: Path, name: str) -> bool:
    """Whether a file may have a name, once it has run; False only where no text in it could make it."""
    tree = _tree(path)
    if tree is None:
        return True
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return bool(found & {name, "*", *_MAKING_NAMES})


def first_line(path: Path, name: str) -> str:
    """The first line of the docstring of a class in a file."""
    tree = _tree(path)
    (node,) = _bindings(tree, name) if tree is not None else [None]
    text = ast.get_docstring(node) if isinstance(node, ast.ClassDef) else None
    return (text or "").partition("\n")[0]


def _tree(path: Path) -> ast.Module | None:
    """A file's syntax tree, read again where it has changed; None where it is no Python."""
    return _tree_as_of(path, path.stat().st_mtime_ns)


@cache
def _tree_as_of(path: Path, changed_ns: int) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _bindings(tree: ast.Module, name: str) -> list[ast.stmt]:
    """The statements of a file, outside classes and functions, that bind a name; other statements that may do so."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            bound = node.name == name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound = any((alias.asname or alias.name) in (name, "*") for alias in node.names)
        else:
            bound = any(_binds(part, name) for part in ast.walk(node))
        found += [node] if bound else []
    return found


def _binds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Name):
        return node.id == name and not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Attribute):  # Net.__init__ = ...
        return isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == name
    if isinstance(node, ast.alias):
        return (node.asname or node.name) == name
    return isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name


def _arguments(tree: ast.Module, name: str, seen: tuple[str, ...]) -> Arguments | None:
    bindings = _bindings(tree, name)
    if len(bindings) != 1 or name in seen:
        return None
    (node,) = bindings
    if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.decorator_list:
        return None
    if isinstance(node, ast.FunctionDef):
        return _of_function(node, 0, tree)
    methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
    if node.keywords or "__new__" in methods or any(_binds(part, "__init__") for part in _assignments(node)):
        return None
    if "__init__" in methods:
        made = methods["__init__"]
        twice = sum(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in node.body) > 1
        return None if made.decorator_list or twice else _of_function(made, 1, tree)
    if len(node.bases) == 1 and isinstance(node.bases[0], ast.Name):
        return _arguments(tree, node.bases[0].id, (*seen, name))
    return None


def _assignments(node: ast.ClassDef) -> Iterator[ast.AST]:
    """What stands in a class beside its methods."""
    for part in node.body:
        if not isinstance(part, ast.FunctionDef):
            yield from ast.walk(part)


def _of_function(node: ast.FunctionDef, n_first: int, tree: ast.Module) -> Arguments:
    """Arguments of a function without its first ones, such as self."""
    places = [*node.args.posonlyargs, *node.args.args][n_first:]
    named = [arg for arg in places if arg not in node.args.posonlyargs] + node.args.kwonlyargs
    hints = {arg.arg: arg.annotation for arg in named if arg.annotation is not None}
    # A quoted annotation may name anything: then, as where the file is run, none is known.
    known = not any(isinstance(hint, ast.Constant) and not _is_scalar(hint, tree) for hint in hints.values())
    return Arguments(
        names=None if node.args.kwarg is not None else frozenset(arg.arg for arg in named),
        scalars=frozenset(name for name, hint in hints.items() if known and _is_scalar(hint, tree)),
    )


def _is_scalar(node: ast.expr, tree: ast.Module) -> bool:
    """Whether an annotation is one number, text or truth value, a choice of them, or None."""
    if isinstance(node, ast.Name):
        bound = _bindings(tree, node.id) if node.id not in _SCALARS else []
        if len(bound) == 1 and isinstance(bound[0], ast.Assign):  # a name for an annotation
            return _is_scalar(bound[0].value, tree)
        return node.id in _SCALARS
    if isinstance(node, ast.Constant):
        return node.value is None or (isinstance(node.value, str) and _is_scalar_text(node.value, tree))
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.BitOr) and _is_scalar(node.left, tree) and _is_scalar(node.right, tree)
    if isinstance(node, ast.Subscript):
        kind = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return kind == "Literal" or (kind in ("Optional", "Union") and all(_is_scalar(part, tree) for part in parts))
    return False


def _is_scalar_text(text: str, tree: ast.Module) -> bool:
    try:
        return _is_scalar(ast.parse(text, mode="eval").body, tree)
    except (SyntaxError, RecursionError):
        return False
