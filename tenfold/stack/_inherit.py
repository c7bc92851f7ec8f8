"""Layers of PyTorch that get a forward pass of ours and stay what else they are: class, hooks, attributes, methods."""

from __future__ import annotations

import functools
from typing import Any, ClassVar, TypeVar

from torch import nn

__all__ = ["Inherits", "with_parent"]

Layer = TypeVar("Layer", bound="Inherits")


class Inherits(nn.Module):
    """A class of ours that can be put before a class of PyTorch's or the user's, by ``with_parent``."""

    made_of: ClassVar[tuple[type, type] | None] = None

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A class that is made while the program runs has no name by which copies and pickles could find it.
        return _empty, (self.made_of or type(self),), self.__getstate__()


@functools.cache
def with_parent(ours: type[Layer], parent: type[nn.Module]) -> type[Layer]:
    """``ours`` with the attributes and methods of ``parent``, and an instance of both."""
    if issubclass(ours, parent):
        return ours
    made: Any = type(parent.__name__, (ours, parent), {"made_of": (ours, parent), "__module__": parent.__module__})
    return made


def _empty(kind: Any) -> nn.Module:
    made = with_parent(*kind) if isinstance(kind, tuple) else kind
    return made.__new__(made)
