"""The state outside of a module that its code can read: seen before and after a call, and put back.

It is one for all runs and in no checkpoint. So what forward changes there and reads again is as wrong in a stack as an
attribute that changes.
"""

from __future__ import annotations

import copy
import random
import types
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tenfold.stack._attributes import Reader, Setting, of_tensor, shortened
from tenfold.stack._references import MISSING, is_own, references

__all__ = ["Outside"]

# Larger tensors are not compared number by number, and not put back.
_MOST_NUMBERS = 2**20
# A value of more parts is not followed to its end.
_MOST_PARTS = 10_000
_MANY = 100_000
_GENERATORS = torch.Generator | np.random.Generator | np.random.RandomState | random.Random


class Outside:
    """Globals, attributes of classes, closures and default arguments that the code of ``module`` can read."""

    def __init__(self, module: nn.Module) -> None:
        self._places = references(module)
        self._reader = _Reader(module, static=False)
        keeper = _Keeper()
        self._back = [(place, keeper.keep(place.get())) for place in self._places.values()]

    def read(self) -> dict[str, Setting]:
        """Every value by its name."""
        found = {name: place.get() for name, place in self._places.items() if not place.counted}
        return {
            name: Setting(self._read(value, name), shortened(value))
            for name, value in found.items()
            if value is not MISSING
        }

    def _read(self, value: Any, name: str) -> Any:
        try:
            return self._reader.read(value, name)
        except Exception:  # of an object of any kind; then whether it is the same is all that is known
            return "object", id(value)

    def lengthen(self) -> list[str]:
        """Make the lists of which only the length is read as long as after thousands of calls; their names."""
        lists = {name: place.get() for name, place in self._places.items() if place.counted}
        found = {name: value for name, value in lists.items() if isinstance(value, list) and value}
        for value in found.values():
            value.extend(value[-1:] * _MANY)
        return list(found)

    def put_back(self) -> None:
        """Bring every value back to what it was when this object was made."""
        for place, value in self._back:
            kept = value()
            if place.get() is not kept:
                place.put(kept)


class _Reader(Reader):
    """Reads parameters and layers too, by their numbers; and functions and objects of other packages by identity."""

    def _tensor(self, tensor: Tensor, where: str, copied: bool) -> Any:
        if tensor.numel() > _MOST_NUMBERS:
            return id(tensor), tensor._version
        return of_tensor(tensor)

    def _layer(self, layer: nn.Module, where: str, copied: bool) -> Any:
        return "layer", self.read(vars(layer), where)

    def _function(self, function: types.FunctionType, where: str) -> Any:
        return "function", id(function)

    def _object(self, value: Any, where: str, copied: bool) -> Any:
        kind = type(value).__module__
        if kind in ("itertools", "collections") or isinstance(value, _GENERATORS) or is_own(kind):
            return super()._object(value, where, copied)
        return "object", id(value)


class _Keeper:
    """Makes functions that bring values back to what they are now, in place, and give them."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._values: list[Any] = []  # so that their ids stay taken

    def keep(self, value: Any) -> Callable[[], Any]:
        if id(value) in self._known or len(self._known) > _MOST_PARTS:
            return lambda: value
        if isinstance(value, list | deque | dict | set | Tensor | np.ndarray | nn.Module | tuple | _GENERATORS):
            back = self._nested
        elif is_own(type(value).__module__) and hasattr(value, "__dict__"):
            back = self._nested
        elif type(value).__module__ == "itertools":
            kept = copy.copy(value)
            return lambda: copy.copy(kept)
        else:
            return lambda: value
        self._known.add(id(value))
        self._values.append(value)
        return back(value)

    def _nested(self, value: Any) -> Callable[[], Any]:
        if isinstance(value, tuple | list | deque | dict | set):
            return self._container(value)
        if isinstance(value, Tensor | np.ndarray):
            return _of_numbers(value)
        if isinstance(value, _GENERATORS):
            return _of_generator(value)
        inner = self.keep(vars(value))

        def back() -> Any:
            inner()
            return value

        return back

    def _container(self, value: Any) -> Callable[[], Any]:
        if isinstance(value, dict):
            of_keys = {key: self.keep(part) for key, part in value.items()}
        else:
            parts = [self.keep(part) for part in value]

        def back() -> Any:
            if isinstance(value, dict):
                kept: Any = {key: part() for key, part in of_keys.items()}
                same = value.keys() == kept.keys() and all(value[key] is kept[key] for key in kept)
            else:
                kept = [part() for part in parts]
                same = len(value) == len(kept) and all(a is b for a, b in zip(value, kept, strict=True))
            if isinstance(value, tuple) or same:
                return value
            if isinstance(value, list):
                value[:] = kept
                return value
            value.clear()
            value.extend(kept) if isinstance(value, deque) else value.update(kept)
            return value

        return back


def _of_numbers(value: Any) -> Callable[[], Any]:
    if (value.numel() if isinstance(value, Tensor) else value.size) > _MOST_NUMBERS:
        return lambda: value
    kept = value.detach().clone() if isinstance(value, Tensor) else value.copy()

    def back() -> Any:
        if value.shape == kept.shape:
            if isinstance(value, Tensor):
                value.data.copy_(kept)
            else:
                value[...] = kept
        return value

    return back


def _of_generator(value: Any) -> Callable[[], Any]:
    if isinstance(value, torch.Generator):
        state = value.get_state()
        return lambda: value.set_state(state)
    if isinstance(value, np.random.Generator):
        of_numpy = copy.deepcopy(value.bit_generator.state)

        def back() -> Any:
            value.bit_generator.state = copy.deepcopy(of_numpy)
            return value

        return back
    of_python = value.getstate() if isinstance(value, random.Random) else value.get_state()

    def back_to() -> Any:
        value.setstate(of_python) if isinstance(value, random.Random) else value.set_state(of_python)
        return value

    return back_to
