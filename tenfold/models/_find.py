"""From what a study says of a module (or an estimator) to a function that builds one for one run."""

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

import numpy as np
import torch
from torch import nn

from tenfold.errors import RequestError, nearest
from tenfold.models.estimators import Estimator

__all__ = ["ModelFactory", "find_module"]

_PREDICTS = ("predict_log_proba", "predict_proba", "decision_function")


@dataclass(frozen=True)
class ModelFactory:
    """A module's class and options, so that any process can build it; or those of an estimator.

    Args:
        reference: a built-in name, "FILE.py:CLASS", or a class or function that returns an nn.Module or an estimator.
        options: keyword arguments.
        base: folder that FILE is relative to.
    """

    reference: str | Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    base: Path = Path()

    def build(self, seed: int, **more: Any) -> nn.Module:
        """The module of one run, its initial weights drawn from ``seed``; PyTorch's own generator is left as it was."""
        module = self._make(seed, more)
        if not isinstance(module, nn.Module):
            raise RequestError(
                f"module '{self.name}': expected an nn.Module, got {type(module).__name__} (an estimator has "
                "fit and predict_log_proba)"
            )
        return module

    def build_estimator(self, seed: int) -> Estimator:
        """The estimator of one run, not fitted yet. ``seed`` goes to its constructor's ``random_state``, and to every
        ``random_state`` that a scikit-learn estimator or pipeline leaves open.
        """
        taken = "random_state" in (self.accepts() or ()) and "random_state" not in self.options
        made = self._make(seed, {"random_state": seed % 2**32} if taken else {})
        missing = [] if callable(getattr(made, "fit", None)) else ["fit(inputs, targets)"]
        if not any(callable(getattr(made, name, None)) for name in _PREDICTS):
            missing.append("predict_log_proba(inputs)")
        if isinstance(made, nn.Module) or missing:
            what = "is an nn.Module" if isinstance(made, nn.Module) else f"has no {' and no '.join(missing)}"
            raise RequestError(f"estimator '{self.name}': {type(made).__name__} {what}")
        _seed_open_states(made, seed)
        return made

    @functools.cached_property
    def is_estimator(self) -> bool:
        """Whether it makes an estimator: something that is no nn.Module, and that can be fitted or predicts."""
        make = find_module(self.reference, base=self.base)
        # What a function returns is only known by calling it.
        made = make if isinstance(make, type) else self._make(0, {})
        module = issubclass(made, nn.Module) if isinstance(made, type) else isinstance(made, nn.Module)
        return not module and any(hasattr(made, name) for name in ("fit", *_PREDICTS))

    def _make(self, seed: int, more: Mapping[str, Any]) -> Any:
        make = find_module(self.reference, base=self.base)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return make(**self.options, **more)

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


def find_module(reference: str | Callable[..., Any], *, base: Path) -> Callable[..., Any]:
    """The class or function that ``reference`` names.

    Raises:
        RequestError: unknown name, missing file, a file that cannot be imported, or no such class in it.
    """
    if not isinstance(reference, str):
        if not callable(reference):
            raise RequestError(f"module: expected a name or a class, got {type(reference).__name__}")
        return reference
    from tenfold.models import ESTIMATORS, MODELS

    if ":" not in reference:
        built_in = MODELS | ESTIMATORS
        if reference not in built_in:
            raise RequestError(
                f"module '{reference}' is not built in; {nearest(reference, built_in)} "
                '(one of your own: "my_models.py:MyNet")'
            )
        return built_in[reference]
    file, _, name = reference.rpartition(":")
    path = (base / file).resolve()
    if not path.is_file():
        beside = [other.name for other in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise RequestError(f"module file {path} does not exist; {nearest(path.name, beside)}")
    namespace = vars(_import_file(path, path.stat().st_mtime_ns))
    if name not in namespace:
        classes = [key for key, value in namespace.items() if _is_model(value)]
        raise RequestError(f"module '{reference}': {path.name} has no '{name}'; {nearest(name, classes)}")
    if not callable(namespace[name]):
        raise RequestError(f"module '{reference}': '{name}' is no class but {type(namespace[name]).__name__}")
    return namespace[name]


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and (issubclass(value, nn.Module) or hasattr(value, "fit"))


def _seed_open_states(estimator: Any, seed: int) -> None:
    """Give every ``random_state`` that a scikit-learn estimator leaves at None a number of its own, its parts' too."""
    if not (hasattr(estimator, "get_params") and hasattr(estimator, "set_params")):
        return
    params = estimator.get_params(deep=True)
    left = sorted(k for k in params if k.rpartition("__")[2] == "random_state" and params[k] is None)
    numbers = np.random.default_rng(seed).integers(2**32, size=len(left))
    if left:
        estimator.set_params(**{name: int(number) for name, number in zip(left, numbers, strict=True)})


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
