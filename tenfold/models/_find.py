"""From what a study says of a module to a function that builds one for one run."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tenfold.errors import RequestError, nearest

__all__ = ["ModuleSource", "find_module"]


@dataclass(frozen=True)
class ModuleSource:
    """A module's class and options, so that any process can build it.

    Args:
        reference: a built-in name, "FILE.py:CLASS", or a class or function that returns an nn.Module.
        options: keyword arguments.
        base: folder that FILE is relative to.
    """

    reference: str | Callable[..., nn.Module]
    options: Mapping[str, Any] = field(default_factory=dict)
    base: Path = Path()

    def build(self, seed: int, **more: Any) -> nn.Module:
        """The module of one run, its initial weights drawn from ``seed``; PyTorch's own generator is left as it was."""
        make = find_module(self.reference, base=self.base)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = make(**self.options, **more)
        if not isinstance(module, nn.Module):
            raise RequestError(f"module '{self.name}': expected an nn.Module, got {type(module).__name__}")
        return module

    @property
    def name(self) -> str:
        if isinstance(self.reference, str):
            return self.reference
        return getattr(self.reference, "__qualname__", repr(self.reference))

    def accepts(self) -> set[str] | None:
        """Names of the keyword arguments it takes; None where it takes any."""
        parameters = inspect.signature(find_module(self.reference, base=self.base)).parameters.values()
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return None
        return {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def find_module(reference: str | Callable[..., nn.Module], *, base: Path) -> Callable[..., nn.Module]:
    """The class or function that ``reference`` names.

    Raises:
        RequestError: unknown name, missing file, a file that cannot be imported, or no such class in it.
    """
    if not isinstance(reference, str):
        if not callable(reference):
            raise RequestError(f"module: expected a name or a class, got {type(reference).__name__}")
        return reference
    from tenfold.models import MODELS

    if ":" not in reference:
        if reference not in MODELS:
            raise RequestError(
                f"module '{reference}' is not built in; {nearest(reference, MODELS)} "
                '(one of your own: "my_models.py:MyNet")'
            )
        return MODELS[reference]
    file, _, name = reference.rpartition(":")
    path = (base / file).resolve()
    if not path.is_file():
        beside = [other.name for other in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise RequestError(f"module file {path} does not exist; {nearest(path.name, beside)}")
    namespace = vars(_import_file(path, path.stat().st_mtime_ns))
    if name not in namespace:
        classes = [key for key, value in namespace.items() if isinstance(value, type) and issubclass(value, nn.Module)]
        raise RequestError(f"module '{reference}': {path.name} has no '{name}'; {nearest(name, classes)}")
    if not callable(namespace[name]):
        raise RequestError(f"module '{reference}': '{name}' is no class but {type(namespace[name]).__name__}")
    return namespace[name]


@functools.cache
def _import_file(path: Path, changed_ns: int) -> Any:
    """The file as a module; imported again where it has changed since, as it does in a notebook's session."""
    # A name of its own, so that a user's file cannot hide an installed package or another user's file.
    name = f"_tenfold_user_{hashlib.blake2b(str(path).encode(), digest_size=6).hexdigest()}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RequestError(f"module file {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # Its own imports may name files beside it.
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a script that ends itself must not end the study without a word
        del sys.modules[name]
        raise RequestError(f"module file {path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module
