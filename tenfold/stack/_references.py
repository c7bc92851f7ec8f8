"""What the code of a module refers to outside of it: globals, attributes of classes, closures, default arguments."""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from tenfold.stack._attributes import HOOKS, is_data

__all__ = ["MISSING", "Place", "is_own", "references"]

MISSING = object()
_INSTALLED = ("site-packages", "dist-packages")
# Of a list or a set: they write, and read nothing.
_NOTES = ("append", "extend", "add")


@dataclass(frozen=True)
class Place:
    """Where a value is kept.

    Args:
        get: the value; MISSING where there is none yet.
        put: sets it.
        key: of the variable, alike in all functions; None for what is always looked at.
        counted: it is written, and only its length is read.
    """

    get: Callable[[], Any]
    put: Callable[[Any], None]
    key: Any = None
    counted: bool = False


def references(module: nn.Module) -> dict[str, Place]:
    """The variables outside of a module that its methods, hooks and what they call can read, by a name for messages.

    Only code of the user's own is looked into. A variable that is only written, as a list that is appended to or a
    number that is counted up, is left out.
    """
    finder = _Finder()
    for layer in module.modules():
        finder.see_layer(type(layer))
        for value in [*vars(layer).values(), *(hook for kind in HOOKS for hook in getattr(layer, kind).values())]:
            finder.see(value)
    found: dict[str, Place] = {}
    for name, place in finder.places.items():
        if place.key is None or place.key in finder.read:
            found[name] = place
        elif place.key in finder.counted:
            found[name] = replace(place, counted=True)
    return found


def is_own(name: str | None) -> bool:
    """Whether a Python module is the user's own: neither tenfold, nor Python's, nor an installed package."""
    top = (name or "builtins").partition(".")[0]
    if top in ("torch", "tenfold", "builtins") or top in sys.stdlib_module_names - {"__main__"}:
        return False
    return not _is_installed(getattr(sys.modules.get(name or ""), "__file__", None) or "")


@functools.lru_cache(maxsize=4096)
def _is_installed(path: str) -> bool:
    return any(part in _INSTALLED for part in Path(path).parts)


class _Finder:
    """Follows code from function to function."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.read: set[Any] = set()
        self.counted: set[Any] = set()
        self._seen: set[int] = set()

    def see(self, value: Any) -> None:
        """Look into code: a class, a function, or what holds one."""
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        inner = _inner(value)
        if isinstance(value, types.FunctionType):
            if is_own(value.__globals__.get("__name__")):
                self._see_function(value)
        elif isinstance(value, type):
            for owner in value.__mro__:
                if is_own(owner.__module__):
                    self._see_class(owner)
        elif inner:
            for part in inner:
                self.see(part)
        elif is_own(type(value).__module__):
            self.see(type(value))

    def see_layer(self, made: type) -> None:
        """The class of a layer, whose constructor has done its work: what it reads no forward pass does."""
        for owner in made.__mro__:
            if is_own(owner.__module__):
                self._see_class(owner, without=("__init__",))

    def _see_class(self, owner: type, *, without: Collection[str] = ()) -> None:
        for name, value in list(vars(owner).items()):
            if name in without:
                continue
            if not name.startswith("__") and is_data(value):
                self.places[f"{owner.__name__}.{name}"] = _in_class(owner, name)
            else:
                self.see(value)

    def _see_function(self, function: types.FunctionType) -> None:
        codes = list(_codes(function.__code__))
        names = {name for code in codes for name in code.co_names}
        own = function.__globals__
        file = Path(own.get("__file__") or own["__name__"]).name
        self._see_uses(codes, own, dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)))
        written = {
            each.argval for code in codes for each in dis.get_instructions(code) if each.opname == "STORE_GLOBAL"
        }
        for name in names & (own.keys() | written):
            self._see_variable(f"global variable '{name}' of {file}", own, name, names)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if name != "__class__":
                self.see(_content(cell))
                place = Place(functools.partial(_content, cell), functools.partial(_fill, cell), ("cell", id(cell)))
                self.places[f"variable '{name}' around {function.__qualname__}"] = place
        defaults = (function.__defaults__, function.__kwdefaults__)
        self.places[f"a default argument of '{function.__qualname__}'"] = Place(lambda: defaults, _fixed)
        if vars(function):
            self.places[f"an attribute of the function '{function.__qualname__}'"] = Place(
                lambda: vars(function), _fixed
            )
        self.see(getattr(function, "__wrapped__", None))

    def _see_variable(self, path: str, holder: dict[str, Any], name: str, names: set[str]) -> None:
        value = holder.get(name, MISSING)
        if isinstance(value, types.ModuleType):
            for inner in names & vars(value).keys() if is_own(value.__name__) else ():
                self._see_variable(f"variable '{inner}' of {value.__name__}", vars(value), inner, set())
                self.read.add((id(vars(value)), inner))
            return
        self.see(value)
        if not isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
            self.places[path] = _in_dict(holder, name)

    def _see_uses(self, codes: list[types.CodeType], own: dict[str, Any], cells: dict[str, types.CellType]) -> None:
        """Which variables are read, and not only written."""
        for code in codes:
            steps = list(dis.get_instructions(code))
            for at, step in enumerate(steps):
                if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                    key: Any = (id(own), step.argval)
                elif step.opname == "LOAD_DEREF" and step.argval in cells:
                    key = ("cell", id(cells[step.argval]))
                else:
                    continue
                if at and steps[at - 1].opname == "LOAD_GLOBAL" and steps[at - 1].argval == "len":
                    self.counted.add(key)
                elif not _is_noted(steps[at : at + 4]):
                    self.read.add(key)


def _is_noted(steps: list[dis.Instruction]) -> bool:
    """Whether a variable is loaded only to be written: ``log.append(x)``, ``steps += 1``."""
    following = [step.opname for step in steps[1:]]
    if following[:1] in (["LOAD_METHOD"], ["LOAD_ATTR"]):
        return steps[1].argval in _NOTES
    if len(following) < 3 or not following[0].startswith(("LOAD_CONST", "LOAD_SMALL")) or following[1] != "BINARY_OP":
        return False
    return following[2].startswith("STORE_") and steps[3].argval == steps[0].argval


def _inner(value: Any) -> tuple[Any, ...]:
    """The functions in what holds functions."""
    if isinstance(value, classmethod | staticmethod | types.MethodType):
        return (value.__func__,)
    if isinstance(value, property):
        return (value.fget, value.fset)
    if isinstance(value, functools.partial | functools.cached_property):
        return (value.func,)
    if isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(value, dict):
        return tuple(value.values())
    return (value.__wrapped__,) if isinstance(value, functools._lru_cache_wrapper) else ()


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for value in code.co_consts:
        if isinstance(value, types.CodeType):
            yield from _codes(value)


def _in_dict(holder: dict[str, Any], name: str) -> Place:
    def put(value: Any) -> None:
        if value is MISSING:
            holder.pop(name, None)
        else:
            holder[name] = value

    return Place(lambda: holder.get(name, MISSING), put, (id(holder), name))


def _in_class(owner: type, name: str) -> Place:
    return Place(lambda: vars(owner).get(name, MISSING), lambda value: setattr(owner, name, value))


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return MISSING


def _fill(cell: types.CellType, value: Any) -> None:
    if value is not MISSING:
        cell.cell_contents = value


def _fixed(value: Any) -> None:
    """Of what is never set, only changed in itself."""
