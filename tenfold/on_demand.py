"""Names whose files are imported when they are asked for: reading a study needs few of them, and no torch."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

__all__ = ["OnDemand", "names_of"]

Kind = TypeVar("Kind")


class OnDemand(Mapping[str, Kind]):
    """Name -> class, imported at first use.

    Args:
        homes: name -> "module:Class".
    Example:
        >>> kinds = OnDemand({"fraction": "fractions:Fraction"})
        >>> list(kinds), kinds["fraction"](1, 2), kinds.source("fraction")[1]
        (['fraction'], Fraction(1, 2), 'Fraction')
    """

    def __init__(self, homes: Mapping[str, str]) -> None:
        self._homes = dict(homes)

    def __getitem__(self, name: str) -> Kind:
        module, _, kind = self._homes[name].partition(":")
        return cast(Kind, getattr(importlib.import_module(module), kind))

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)

    def __contains__(self, name: object) -> bool:
        return name in self._homes

    def source(self, name: str) -> tuple[Path, str]:
        """The file of a class and its name in there, without importing it."""
        module, _, kind = self._homes[name].partition(":")
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin), kind


def names_of(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package whose public names are imported at first use (PEP 562).

    Args:
        package: its ``__name__``.
        homes: public name -> module that has it.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(importlib.import_module(homes[name]), name)

    return get, lambda: sorted(sys.modules[package].__all__)
