"""From what a study says of a module (or an estimator) to a function that builds one for one run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from tenfold.errors import RequestError, nearest
from tenfold.models._catalogue import ESTIMATORS, MODELS
from tenfold.own_files import NotWritable, import_own, live_sources, own_path, own_sources
from tenfold.source import Arguments, read_arguments

if TYPE_CHECKING:
    from torch import nn

    from tenfold.models.estimators import Estimator

__all__ = ["ModelFactory", "find_module", "with_module_kwargs"]

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
        """The module of one run, its initial weights drawn from ``seed``; the generators of PyTorch, NumPy and Python,
        which are seeded meanwhile, are left as they were.

        ``more`` are further options, stronger than the factory's: those of the run's config.
        """
        from torch import nn

        module = self._make(seed, more)
        if not isinstance(module, nn.Module):
            raise RequestError(
                f"module '{self.name}': expected an nn.Module, got {type(module).__name__} (an estimator has "
                "fit and predict_log_proba)"
            )
        return module

    def build_estimator(self, seed: int, **more: Any) -> Estimator:
        """The estimator of one run, not fitted yet. ``seed`` goes to its constructor's ``random_state``, and to every
        ``random_state`` that a scikit-learn estimator or pipeline leaves open; ``more`` as for ``build``.
        """
        from torch import nn

        taken = "random_state" in (self.accepts() or ()) and "random_state" not in {*self.options, *more}
        made = self._make(seed, ({"random_state": seed % 2**32} if taken else {}) | more)
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
        from torch import nn

        make = find_module(self.reference, base=self.base)
        # What a function returns is only known by calling it.
        made = make if isinstance(make, type) else self._make(0, {})
        module = issubclass(made, nn.Module) if isinstance(made, type) else isinstance(made, nn.Module)
        return not module and any(hasattr(made, name) for name in ("fit", *_PREDICTS))

    def _make(self, seed: int, more: Mapping[str, Any]) -> Any:
        from tenfold.seeds import seeded  # with torch

        make = find_module(self.reference, base=self.base)
        with seeded(seed):
            return make(**dict(self.options) | dict(more))

    @property
    def name(self) -> str:
        if isinstance(self.reference, str):
            return self.reference
        return getattr(self.reference, "__qualname__", repr(self.reference))

    def accepts(self) -> set[str] | None:
        """Names of the keyword arguments it takes; None where it takes any.

        Read from the source where that tells it, since running the file imports torch.
        """
        if (read := self._read()) is not None:
            return None if read.names is None else set(read.names)
        parameters = inspect.signature(find_module(self.reference, base=self.base)).parameters.values()
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return None
        return {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}

    def scalars(self) -> set[str]:
        """Names of the keyword arguments that are annotated as one number, text or truth value, or None."""
        if (read := self._read()) is not None:
            return set(read.scalars)
        make = find_module(self.reference, base=self.base)
        try:
            hints = get_type_hints(make.__init__ if isinstance(make, type) else make)
        except Exception:  # a user's annotations may name anything
            return set()
        return {name for name, hint in hints.items() if name != "return" and _is_scalar(hint)}

    def _read(self) -> Arguments | None:
        """Its arguments from the source; None where it has to be imported, or is not there."""
        if not isinstance(self.reference, str):
            return None
        for known in (MODELS, ESTIMATORS):
            if self.reference in known:
                return read_arguments(*known.source(self.reference))
        path = own_path(self.reference, self.base)
        own = ":" in self.reference and path.is_file()
        return read_arguments(path, self.reference.rpartition(":")[2]) if own else None

    def sources(self) -> dict[str, bytes]:
        """The file of a module of one's own and those beside it that it imports; empty for any other.

        One that is given as a Python object is written down, if a script, a notebook or a file beside it defines it.
        """
        if not isinstance(self.reference, str):
            try:
                return (live_sources(self.reference) or ("", {}))[1]
            except NotWritable:
                return {}
        if ":" not in self.reference:
            return {}
        return own_sources(own_path(self.reference, self.base))


def with_module_kwargs(factory: ModelFactory, kwargs: Mapping[str, Any]) -> ModelFactory:
    """The factory with those ``kwargs`` of a task that its constructor asks for; its own options are stronger."""
    accepted = factory.accepts() or set()
    asked = {name: value for name, value in kwargs.items() if name in accepted}
    return replace(factory, options=asked | dict(factory.options))


def find_module(reference: str | Callable[..., Any], *, base: Path) -> Callable[..., Any]:
    """The class or function that ``reference`` names.

    Raises:
        RequestError: unknown name, missing file, a file that cannot be imported, or no such class in it.
    """
    if not isinstance(reference, str):
        if not callable(reference):
            raise RequestError(f"module: expected a name or a class, got {type(reference).__name__}")
        return reference
    if ":" not in reference:
        for known in (MODELS, ESTIMATORS):
            if reference in known:
                return known[reference]
        raise RequestError(
            f"module '{reference}' is not built in; {nearest(reference, (*MODELS, *ESTIMATORS))} "
            '(one of your own: "my_models.py:MyNet")'
        )
    return import_own(reference, base, "module", like=_is_model)


def _is_scalar(hint: Any) -> bool:
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return all(part in (int, float, str, bool, NoneType) or get_origin(part) is Literal for part in parts)


def _is_model(value: Any) -> bool:
    from torch import nn

    return isinstance(value, type) and (issubclass(value, nn.Module) or hasattr(value, "fit"))


def _seed_open_states(estimator: Any, seed: int) -> None:
    """Give every ``random_state`` that a scikit-learn estimator leaves at None a number of its own, its parts' too."""
    if not (hasattr(estimator, "get_params") and hasattr(estimator, "set_params")):
        return
    import numpy as np

    params = estimator.get_params(deep=True)
    left = sorted(k for k in params if k.rpartition("__")[2] == "random_state" and params[k] is None)
    numbers = np.random.default_rng(seed).integers(2**32, size=len(left))
    if left:
        estimator.set_params(**{name: int(number) for name, number in zip(left, numbers, strict=True)})
