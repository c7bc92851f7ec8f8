"""What a module holds beside parameters and buffers: plain attributes, hooks, closures.

A stack copies them from its first module, so they have to be the same in all of them; and a record builds them anew, so
they must not change while a run is trained. What PyTorch itself does not see (layers and parameters in a plain list,
a module in the closure of a hook) is refused.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import random
import re
import types
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tenfold.errors import RequestError
from tenfold.stack._dropout import Dropout

__all__ = [
    "DROPOUT",
    "HOOK",
    "HOOKS",
    "Reader",
    "Setting",
    "attributes",
    "class_name",
    "copied",
    "expect_registered",
    "has_own_modes",
    "is_data",
    "of_tensor",
    "shortened",
]

DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)

# Of every module; and the second list of the weights of a recurrent layer.
_OF_PYTORCH = {*vars(nn.Module()), "_flat_weights", "_flat_weights_names", "_flat_weight_refs"}
HOOKS = {
    "_forward_pre_hooks": "forward pre-hook",
    "_forward_hooks": "forward hook",
    "_backward_pre_hooks": "backward pre-hook",
    "_backward_hooks": "backward hook",
}
# How the path of a hook begins.
HOOK = "the "
# They keep what they compute as an attribute, anew in every forward pass.
_RECOMPUTED_BY = ("torch.nn.utils.spectral_norm", "torch.nn.utils.weight_norm")
_PLAIN = (type(None), bool, int, complex, str, bytes, type, torch.dtype, torch.device, torch.layout, range, slice)
_LONGEST = 60


def class_name(module: nn.Module) -> str:
    """The class as the user wrote it: weight_norm makes a new one for each module."""
    return parametrize.type_before_parametrizations(module).__name__


@dataclass(frozen=True)
class Setting:
    """The value of an attribute: ``value`` can be compared and hashed, ``text`` shown."""

    value: Any
    text: str = field(compare=False)

    def __str__(self) -> str:
        return self.text


def attributes(module: nn.Module, *, static: bool = True, volatile: bool = False) -> dict[str, Setting]:
    """Every attribute that is neither parameter nor buffer, and every hook, by path. Dropout rates are left out.

    Args:
        module: for one run.
        static: as built; False where it has been called and may hold what it computed.
        volatile: with buffers that are not in the state dict.
    Raises:
        RequestError: if layers or parameters are where PyTorch does not see them, or a closure holds the module.
    """
    reader = Reader(module, static=static)
    found: dict[str, Setting] = {}
    for path, layer in module.named_modules():
        if isinstance(layer, Dropout):
            continue
        skipped = _OF_PYTORCH | _rates(layer) | _recomputed(layer)
        for name, value in vars(layer).items():
            if name not in skipped:
                where = f"{path}.{name}" if path else name
                found[where] = Setting(reader.read(value, where), shortened(value))
        for kind, word in HOOKS.items():
            hooks = getattr(layer, kind).values()
            for hook in hooks:
                where = f"{HOOK}{word} of {repr(path) if path else 'the module'}"
                found[f"{where} {len(found)}"] = Setting(reader.read(hook, where), shortened(hook))
        if volatile:
            for name in layer._non_persistent_buffers_set:
                tensor = layer._buffers[name]
                found[f"{path}.{name}" if path else name] = Setting(of_tensor(tensor), "a buffer")
        for owner in type(layer).__mro__:
            if owner.__module__.split(".")[0] not in ("torch", "tenfold", "builtins"):
                for name, value in vars(owner).items():
                    if not name.startswith("__") and is_data(value):
                        found[f"{owner.__name__}.{name}"] = Setting(reader.read(value, name), shortened(value))
    return found


def expect_registered(module: nn.Module) -> None:
    """Refuse what cannot be copied into a stack: parameters without a shape, and hooks of parameters.

    Raises:
        RequestError: naming the parameter.
    """
    for path, layer in module.named_modules():
        if isinstance(layer, torch.jit.ScriptModule) or type(layer).__name__ == "OptimizedModule":
            raise RequestError(
                f"{repr(path) if path else 'the module'} is compiled, by torch.compile or torch.jit, for one run; give "
                "the module as it was before: the setting compile of [train] compiles all runs at once"
            )
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if nn.parameter.is_lazy(tensor):
            raise RequestError(
                f"'{name}' of {class_name(module)} has no shape yet, as its layer is a lazy one; use the layer with "
                "its number of inputs, such as nn.Linear(8, 3) in place of nn.LazyLinear(3), or pass one batch through "
                "the module at the end of its constructor"
            )
        if tensor._backward_hooks or getattr(tensor, "_post_accumulate_grad_hooks", None):
            raise RequestError(
                f"'{name}' of {class_name(module)} has a hook on its gradient, which copies of the module do not have; "
                "compute in forward what it does, such as self.weight * self.mask with a buffer 'mask'"
            )
    _expect_own_memory(module)


def _expect_own_memory(module: nn.Module) -> None:
    """Refuse tensors that overlap in memory: copies in a stack would not, and so go ways of their own."""
    seen: list[tuple[int, int, str]] = []
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if (span := _span(tensor)) is None:
            continue
        for first, last, other in seen:
            if span[0] < last and first < span[1]:
                raise RequestError(
                    f"'{name}' of {class_name(module)} is in the same memory as '{other}' and changes with it, which "
                    "copies of the module do not; to share a parameter, assign the parameter itself, such as "
                    "self.b.weight = self.a.weight, and otherwise .clone() it"
                )
        seen.append((*span, name))


def _span(tensor: Tensor) -> tuple[int, int] | None:
    """The addresses of its first and behind its last number; None where it has none."""
    if tensor.layout != torch.strided or not tensor.numel() or tensor.device.type == "meta":
        return None
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    return tensor.data_ptr(), tensor.data_ptr() + reach * tensor.element_size()


def copied(module: nn.Module, memo: dict[int, Any] | None = None) -> nn.Module:
    """A deep copy.

    Raises:
        RequestError: naming the attribute that cannot be copied: an iterator, a lock, an open file.
    """
    try:
        return copy.deepcopy(module, {} if memo is None else memo)
    except Exception as error:  # of many kinds
        raise RequestError(f"{class_name(module)} cannot be copied: {_not_copied(module)} ({error})") from error


def _not_copied(module: nn.Module) -> str:
    for path, layer in module.named_modules():
        for name, value in vars(layer).items():
            try:
                if name not in _OF_PYTORCH:
                    copy.deepcopy(value)
            except Exception:
                where = f"{path}.{name}" if path else name
                return f"its attribute '{where}' is a {type(value).__name__}; make it when it is used, in forward"
    return "a stack is made of copies"


def has_own_modes(module: nn.Module) -> bool:
    """Whether a layer does something of its own in train() or eval(), beside setting ``training``."""
    kinds = {type(layer) for layer in module.modules()}
    return any(kind.train is not nn.Module.train or kind.eval is not nn.Module.eval for kind in kinds)


def _rates(layer: nn.Module) -> set[str]:
    return {"p"} if isinstance(layer, DROPOUT) else {"dropout"} if isinstance(layer, nn.RNNBase) else set()


def _recomputed(layer: nn.Module) -> set[str]:
    hooks = layer._forward_pre_hooks.values()
    return {hook.name for hook in hooks if type(hook).__module__ in _RECOMPUTED_BY and _is_current(layer, hook)}


def _is_current(layer: nn.Module, hook: Any) -> bool:
    value = vars(layer).get(hook.name)
    return isinstance(value, Tensor) and value.grad_fn is None


def is_data(value: Any) -> bool:
    """Of a class: what a module can change, and not code."""
    return isinstance(value, int | float | str | list | dict | set | deque | Tensor | np.ndarray)


def shortened(value: Any) -> str:
    """A value in a message."""
    if isinstance(value, Tensor):
        value = value.detach().tolist() if value.numel() <= 8 else f"a tensor {tuple(value.shape)}"
    text = value if isinstance(value, str) and value.startswith("a tensor") else repr(value)
    text = re.sub(r" at 0x[0-9A-Fa-f]+", "", " ".join(text.split()))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def of_tensor(tensor: Tensor | None) -> Any:
    """Shape, type and a hash of the numbers."""
    if tensor is None:
        return None
    dense = tensor.detach().cpu()
    dense = dense.to_dense() if dense.layout != torch.strided else dense
    data = dense.contiguous().reshape(-1).view(torch.uint8) if dense.numel() else dense.new_empty(0)
    return "tensor", tuple(tensor.shape), str(tensor.dtype), _hash(data.numpy().tobytes())


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


class Reader:
    """Reads any value as nested tuples that can be compared and hashed."""

    def __init__(self, module: nn.Module, *, static: bool) -> None:
        self.name = class_name(module)
        self.static = static
        self.tensors = {
            id(tensor): name
            for name, tensor in [
                *module.named_parameters(remove_duplicate=False),
                *module.named_buffers(remove_duplicate=False),
            ]
        }
        registered = [*module.named_parameters(), *module.named_buffers()] if static else []
        self.spans = [(*span, name) for name, tensor in registered if (span := _span(tensor)) is not None]
        self.layers = {id(layer): path for path, layer in module.named_modules()}
        self.inside: list[int] = []  # a value may hold itself

    def read(self, value: Any, where: str, *, copied: bool = True) -> Any:
        """Args: where: for messages; copied: whether a copy of the module has a copy of it, as closures have not."""
        if isinstance(value, _PLAIN):
            return type(value).__name__, value if not isinstance(value, slice) else repr(value)
        if isinstance(value, float):
            return "float", repr(value)  # a NaN is the same as a NaN
        if isinstance(value, Tensor):
            return self._tensor(value, where, copied)
        if isinstance(value, np.ndarray | np.generic):
            return "array", np.shape(value), str(value.dtype), _hash(np.asarray(value).tobytes())
        if id(value) in self.inside:
            return ("itself",)
        self.inside.append(id(value))
        try:
            return self._nested(value, where, copied)
        finally:
            self.inside.pop()

    def _tensor(self, tensor: Tensor, where: str, copied: bool) -> Any:
        if (name := self.tensors.get(id(tensor))) is not None:
            if not copied:
                raise self._of_first_run(where)
            raise RequestError(
                f"{self.name}: {where} holds '{name}' a second time, where PyTorch does not see it; use self.{name} in "
                "forward. To share a parameter between layers, assign it: self.b.weight = self.a.weight"
            )
        if isinstance(tensor, nn.Parameter):
            raise RequestError(
                f"{self.name}: {where} holds a parameter that is not registered, so that it is neither trained nor "
                "saved; assign it to an attribute of its own, or use nn.ParameterList or nn.ParameterDict"
            )
        if self.static and tensor.grad_fn is not None:
            raise RequestError(
                f"{self.name}: {where} is computed from parameters in the constructor, and would stay as it is while "
                "they are trained; compute it in forward. Of torch.nn.utils.weight_norm use the newer form, "
                "torch.nn.utils.parametrizations.weight_norm; of torch.nn.utils.prune, a parametrization that "
                "multiplies with a mask in a buffer"
            )
        if self.static and (span := _span(tensor)) is not None:
            for first, last, name in self.spans:
                if span[0] < last and first < span[1]:
                    raise RequestError(
                        f"{self.name}: {where} is in the same memory as '{name}' and changes with it, which a copy "
                        f"does not; use self.{name} in forward, or .clone() it"
                    )
        return of_tensor(tensor)

    def _of_first_run(self, where: str) -> RequestError:
        return RequestError(
            f"{self.name}: {where} holds the module or a tensor of it in its closure, which stays that of the first "
            "run. In a hook use the module that it gets as its first argument; or give a method of the module, such as "
            "self.layer.register_forward_hook(self.scaled)"
        )

    def _nested(self, value: Any, where: str, copied: bool) -> Any:
        if isinstance(value, nn.Module):
            return self._layer(value, where, copied)
        if isinstance(value, Mapping):
            return "dict", tuple(
                (self.read(key, where, copied=copied), self.read(part, f"{where}[{key!r}]", copied=copied))
                for key, part in value.items()
            )
        if isinstance(value, list | tuple | deque):
            parts = (self.read(part, f"{where}[{at}]", copied=copied) for at, part in enumerate(value))
            return type(value).__name__, tuple(parts)
        if isinstance(value, set | frozenset):
            return "set", frozenset(self.read(part, where, copied=copied) for part in value)
        if isinstance(value, functools.partial):
            inner = (value.func, value.args, value.keywords)
            return "partial", tuple(self.read(part, where, copied=copied) for part in inner)
        if isinstance(value, types.MethodType):
            return "method", value.__func__.__qualname__, self.read(value.__self__, where, copied=copied)
        if isinstance(value, types.FunctionType):
            return self._function(value, where)
        if isinstance(value, weakref.ref):
            return "reference", self.read(value(), where, copied=False)
        return self._object(value, where, copied)

    def _layer(self, layer: nn.Module, where: str, copied: bool) -> Any:
        if (path := self.layers.get(id(layer))) is not None:
            if not copied:
                raise self._of_first_run(where)
            return "layer", path
        if next(layer.parameters(), None) is not None or next(layer.buffers(), None) is not None:
            if not copied:
                raise self._of_first_run(where)
            raise RequestError(
                f"{self.name}: {where} holds a layer ({class_name(layer)}) in a plain list, dict or object, where "
                "PyTorch does not see it: it is neither trained nor saved. Use nn.ModuleList or nn.ModuleDict"
            )
        inner = attributes(layer, static=self.static)
        return class_name(layer), tuple((name, setting.value) for name, setting in inner.items())

    def _function(self, function: types.FunctionType, where: str) -> Any:
        cells = []
        for cell in function.__closure__ or ():
            try:
                held = cell.cell_contents
            except ValueError:  # empty
                held = None
            cells.append(self.read(held, where, copied=False))
        defaults = (function.__defaults__, function.__kwdefaults__)
        return "function", function.__qualname__, function.__code__, tuple(cells), self.read(defaults, where)

    def _object(self, value: Any, where: str, copied: bool) -> Any:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        if isinstance(value, torch.Generator):
            return kind, of_tensor(value.get_state())
        if isinstance(value, np.random.Generator):
            return kind, self.read(value.bit_generator.state, where)
        if isinstance(value, np.random.RandomState):
            return kind, self.read(value.get_state(legacy=False), where)
        if isinstance(value, random.Random):
            return kind, value.getstate()
        if isinstance(value, types.BuiltinFunctionType | types.ModuleType | np.ufunc):
            return kind, getattr(value, "__name__", "")
        parts: list[Any] = [getattr(value, "__dict__", {})]
        for owner in type(value).__mro__:
            slots = vars(owner).get("__slots__", ())
            slots = (slots,) if isinstance(slots, str) else slots
            parts += [(name, getattr(value, name)) for name in slots if name != "__dict__" and hasattr(value, name)]
        if parts == [{}] and type(value).__module__ not in ("builtins", "torch"):
            try:  # such as itertools.count, or a compiled expression: what a pickle of it would hold
                parts.append(value.__reduce_ex__(4)[1:])
            except Exception:  # cannot be looked into; of the same class, then, is all that is known
                return (kind,)
        return kind, tuple(self.read(part, where, copied=copied) for part in parts)
