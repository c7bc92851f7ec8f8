"""A forward pass tried on copies of a module, so that what a stack would get wrong is refused by name.

Looked for: random numbers that are not PyTorch's, parameters that forward replaces, inputs that it writes into, and
what a module remembers from one call to the next in anything but a buffer: an attribute, a global, an attribute of a
class, the same in train() and eval(). What is written anew in every pass before it is read, such as the attention
weights of the last batch, does no harm; nor does what depends on shapes only, such as a mask that is kept.
"""

from __future__ import annotations

import copy
import inspect
import re
import types
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from tenfold.errors import RequestError, TenfoldError
from tenfold.seeds import SharedGenerators, shared_kept
from tenfold.stack._attributes import HOOK, HOOKS, Setting, attributes, class_name, copied, has_own_modes
from tenfold.stack._dropout import Dropout
from tenfold.stack._outside import Outside
from tenfold.stack._refusals import AUTOCAST

__all__ = ["try_forward"]

_REGISTER = (
    "Make it a buffer: self.register_buffer('{name}', torch.tensor(0)) in the constructor (torch.zeros(...) for a "
    "tensor), then assign to it in forward as to any attribute; buffers are kept for each run, and saved"
)
_DRAW = "draw from PyTorch, by the modules nn.Dropout or nn.Dropout1d/2d/3d or by torch.rand, or outside the module"


def try_forward(
    module: nn.Module,
    inputs: Sequence[Any],
    named: Mapping[str, Any],
    *,
    vmapped: bool = False,
    recorded: bool = False,
) -> None:
    """Call copies of ``module``, one run, and refuse what differs from call to call; it and the generators stay as
    they are.

    Args:
        module: in training or evaluation mode, as it will be called.
        inputs, named: its arguments, of one run.
        vmapped: also refuse what is wrong under vmap only.
        recorded: also refuse what a study cannot keep: random numbers in evaluation, and buffers that change without
            being in the state dict.
    Raises:
        RequestError: naming what has to be changed. Where forward itself fails nothing is raised: the pass that counts
            will fail too, and say so.
    """
    try:
        _try(module, inputs, named, vmapped=vmapped, recorded=recorded)
    except _ForwardFailed:
        return


def _try(module: nn.Module, inputs: Sequence[Any], named: Mapping[str, Any], *, vmapped: bool, recorded: bool) -> None:
    _expect_plain_modes(module, class_name(module))
    outside = Outside(module)
    with shared_kept() as numbers:
        try:
            _Trial(module, inputs, named, outside, numbers, recorded=recorded).run(watched=vmapped)
        finally:
            outside.put_back()


class _ForwardFailed(Exception):
    """The user's forward has raised an error."""


class _Trial:
    """Calls of copies of one module, each with the generators and what is outside as they were in the beginning."""

    def __init__(
        self,
        module: nn.Module,
        inputs: Sequence[Any],
        named: Mapping[str, Any],
        outside: Outside,
        numbers: SharedGenerators,
        *,
        recorded: bool,
    ) -> None:
        self.module, self.name, self.recorded = module, class_name(module), recorded
        self.inputs, self.named, self.outside, self.numbers = inputs, named, outside, numbers
        self.kept = {path: tensor.detach().clone() for path, tensor in _tensors(module).items()}

    def run(self, *, watched: bool) -> None:
        """Refuse what a stack would get wrong."""
        before, first = self._state(self.module), _copy(self.module)
        watch = _Watch() if watched else nullcontext()
        registered = _registered(first)
        with watch:
            output = self._call(first)
        _expect_no_draws(self.numbers, self.name, torch_too=self.recorded and not self.module.training)
        after = self._state(first)
        _expect_same_tensors(first, registered, self.name)
        if isinstance(watch, _Watch) and watch.found:
            raise RequestError(f"{self.name} {watch.found}")
        changed = [path for path in {**before, **after} if before.get(path) != after.get(path)]
        again = self._anew(_copy(self.module))
        if not changed and not _same(output, again):
            raise RequestError(
                f"{self.name} gives other outputs when it is called again with the same inputs, weights and state of "
                f"every random generator; {_DRAW}, so that a run can be repeated"
            )
        try:
            self._expect_no_memory(_other_inputs(self.inputs), 0.9)
        except _ForwardFailed:  # of inputs or weights that it does not expect
            self._expect_no_memory(self.inputs, 1.0)

    def _expect_no_memory(self, inputs: Sequence[Any], scale: float) -> None:
        """Called after other calls, in both modes, a module does what one that was not called before does."""
        used, fresh = _copy(self.module), _copy(self.module)
        self.outside.put_back()
        seen = [self._state(used)]
        for training in (self.module.training, not self.module.training):
            self._in_mode(used, training)
            with suppress(_ForwardFailed):  # batch norm on one example, say; each mode is tried by itself
                self._call(used)
            seen.append(self._state(used))
        if self.module.training:  # weights change in a row of training passes, without a word to the module
            used.train(True)
            self._in_mode(used, True)
            self._call(used)
        self._set(used, scale)
        if not self.module.training:
            used.train(False)
            self._in_mode(used, False)
        self.numbers.rewind()
        begun = self._state(used)
        output = self._call(used, inputs)
        twice = self._state(used)
        self._set(fresh, scale)
        expected = self._anew(fresh, inputs)
        anew, before = self._state(fresh), seen[0]
        changed = [
            path for path in {**before, **begun, **twice} if not before.get(path) == begun.get(path) == twice.get(path)
        ]
        here = [path for path in changed if begun.get(path) != twice.get(path) or before.get(path) != anew.get(path)]
        again = [path for path in here if twice.get(path) != anew.get(path)]
        if not self.recorded:  # what a hook notes somewhere else is the caller's; a resumed study would have lost it
            again = [path for path in again if not path.startswith(HOOK)]
        if again or (changed and not _same(output, expected)):
            path = (again or changed)[0]
            other = next((state for state in [*seen[1:], twice] if state.get(path) != before.get(path)), twice)
            raise RequestError(_changes(self.name, path, before, other))
        if not _same(output, expected):
            raise RequestError(
                f"{self.name} gives other outputs after other calls than before them, with the same weights; it "
                "remembers something that is no attribute, such as a result that functools.lru_cache keeps. Compute it "
                "in forward, or keep it in a buffer"
            )

        if lists := self.outside.lengthen():
            self._expect_no_count(lists[0], inputs, scale, expected)

    def _expect_no_count(self, name: str, inputs: Sequence[Any], scale: float, expected: Any) -> None:
        module = _copy(self.module)
        self._set(module, scale)
        self.numbers.rewind()
        with suppress(_ForwardFailed):  # it may end the training by that
            if not _same(self._call(module, inputs), expected):
                raise RequestError(
                    _changes(
                        self.name, name, {name: Setting(None, "a short list")}, {name: Setting(None, "a long one")}
                    )
                )

    def _anew(self, module: nn.Module, inputs: Sequence[Any] | None = None) -> Any:
        self.numbers.rewind()
        self.outside.put_back()
        return self._call(module, inputs)

    def _call(self, module: nn.Module, inputs: Sequence[Any] | None = None) -> Any:
        return _call(module, self.inputs if inputs is None else inputs, self.named, self.name)

    def _state(self, module: nn.Module) -> dict[str, Setting]:
        return attributes(module, static=False, volatile=self.recorded) | self.outside.read()

    def _in_mode(self, module: nn.Module, training: bool) -> None:
        """In that mode; in the module's own one, layer by layer as they are."""
        if module.training != training:
            module.train(training)
        if training == self.module.training:
            for layer, own in zip(module.modules(), self.module.modules(), strict=False):
                layer.training = own.training

    def _set(self, module: nn.Module, scale: float) -> None:
        """Parameters times ``scale``, and the buffers as they were; in a study not those outside the state dict, which
        are looked at as attributes are.
        """
        left = _volatile(module) if self.recorded else set()
        for path, tensor in _tensors(module).items():
            if isinstance(tensor, nn.Parameter):  # in place, so that tied ones stay tied
                tensor.data.copy_(self.kept[path] * scale if tensor.is_floating_point() else self.kept[path])
            elif path not in left:
                module.get_submodule(path.rpartition(".")[0])._buffers[path.rpartition(".")[2]] = self.kept[
                    path
                ].clone()


def _other_inputs(inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Examples of the same kind: each tensor without its first row, and with its second once more."""

    def other(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dim() == 0 or len(value) < 2:
            return value
        return value[[*range(1, len(value)), 1]]

    return pytree.tree_map(other, tuple(inputs))


def _call(module: nn.Module, inputs: Sequence[Any], named: Mapping[str, Any], name: str) -> Any:
    own = pytree.tree_map(lambda leaf: leaf.detach().clone() if isinstance(leaf, Tensor) else leaf, tuple(inputs))
    with torch.set_grad_enabled(module.training or torch.is_grad_enabled()):
        try:
            output = module(*own, **named)
        except TenfoldError:
            raise
        except Exception as error:  # of any kind
            raise _ForwardFailed from error
    for position, (given, used) in enumerate(zip(inputs, own, strict=True)):
        if not _same(given, used):
            raise RequestError(
                f"{name} writes into its input {position}, which is also that of other calls and other runs; "
                "make a new tensor, x = x + 1 in place of x += 1, or begin with x = x.clone()"
            )
    return output


def _changes(name: str, path: str, before: Mapping[str, Setting], after: Mapping[str, Setting]) -> str:
    was, now = (str(state[path]) if path in state else "not there" for state in (before, after))
    quoted = re.search(r"'(\w+)'", path)
    last = quoted.group(1) if quoted else path.rpartition(".")[2]
    return (
        f"{name}: {path} changes in forward (from {was} to {now}) and is used again in the next call. As it is neither "
        "a parameter nor a buffer in the state dict it would be lost from weights and checkpoints, and be one for all "
        f"runs. {_REGISTER.format(name=last)}"
    )


def _copy(module: nn.Module) -> nn.Module:
    """A deep copy, also of what is in the closures of hooks and functions, which Python's own copies share."""
    memo: dict[int, Any] = {}
    own = copied(module, memo)
    for layer in own.modules():
        for values in (vars(layer), *(getattr(layer, kind) for kind in HOOKS)):
            for key, value in values.items():
                if isinstance(value, types.FunctionType) and value.__closure__:
                    values[key] = _with_own_closure(value, memo)
    return own


def _with_own_closure(function: types.FunctionType, memo: dict[int, Any]) -> types.FunctionType:
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(types.CellType(copy.deepcopy(cell.cell_contents, memo)))
        except Exception:  # an empty cell, or what cannot be copied: shared
            cells.append(cell)
    own = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, tuple(cells)
    )
    own.__kwdefaults__ = function.__kwdefaults__
    return own


# -- modes ------------------------------------------------------------------------------------------------------------


def _expect_plain_modes(module: nn.Module, name: str) -> None:
    """A train() or eval() of the module's own may set attributes by the mode; it may not count or write into tensors,
    as each placement calls it another number of times.
    """
    if not has_own_modes(module):
        return
    tried = _copy(module)
    kept = {path: tensor.detach().clone() for path, tensor in _tensors(tried).items()}
    seen: dict[bool, Mapping[str, Setting]] = {}
    for mode in (True, False, True, False):
        tried.train(mode)
        found = _tensors(tried)
        changed = [path for path in kept if path not in found or not _equal(found[path], kept[path])]
        now = attributes(tried, static=False)
        before = seen.setdefault(mode, now)
        changed += [path for path in {**before, **now} if before.get(path) != now.get(path)]
        if changed:
            raise RequestError(
                f"{name}: train() or eval() changes '{changed[0]}', which a run of a stack would not get, or more than "
                "once; compute it in forward, by self.training"
            )


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | ((one != one) & (other != other))).all())


# -- tensors ----------------------------------------------------------------------------------------------------------


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_parameters()) | dict(module.named_buffers())


def _volatile(module: nn.Module) -> set[str]:
    return {
        f"{path}.{name}" if path else name
        for path, layer in module.named_modules()
        if not isinstance(layer, Dropout)  # whose count of calls is in checkpoints
        for name in layer._non_persistent_buffers_set
    }


@dataclass(frozen=True)
class _Registered:
    """A parameter or buffer before a call."""

    tensor: Tensor
    shape: torch.Size
    place: int
    trained: bool


def _registered(module: nn.Module) -> dict[str, _Registered]:
    return {
        path: _Registered(tensor, tensor.shape, tensor.data_ptr(), tensor.requires_grad)
        for path, tensor in _tensors(module).items()
    }


def _expect_same_tensors(called: nn.Module, kept: Mapping[str, _Registered], name: str) -> None:
    """After a call there are the same parameters and buffers, of the same shapes; only buffers may be new tensors."""
    found = _tensors(called)
    for path in {**kept, **found}:
        if path not in found or path not in kept:
            what = "is not there any more" if path in kept else "is new"
            raise RequestError(
                f"{name}: '{path}' {what} after forward; register every parameter and buffer in the constructor, with "
                "its final shape"
            )
        new, old = found[path], kept[path]
        if (new.shape, new.dtype) != (old.shape, old.tensor.dtype):
            raise RequestError(
                f"{name}: forward gives '{path}' another shape or type: {tuple(new.shape)}, {new.dtype} in place of "
                f"{tuple(old.shape)}, {old.tensor.dtype}; give it its final shape and type in the constructor"
            )
        if isinstance(new, nn.Parameter):
            _expect_same_parameter(new, old, f"{name}: forward", path)


def _expect_same_parameter(new: nn.Parameter, old: _Registered, start: str, path: str) -> None:
    if new is not old.tensor or new.data_ptr() != old.place:
        raise RequestError(
            f"{start} gives the parameter '{path}' a new tensor, which its optimiser does not know; write "
            "into it under torch.no_grad(), such as self.weight.clamp_(-1, 1), or make it a buffer"
        )
    if new.requires_grad != old.trained:
        raise RequestError(
            f"{start} sets requires_grad of '{path}'; a run trains the same parameters from beginning to end: "
            "set it in the constructor, and use .detach() in forward"
        )
    if new.grad is not None:
        raise RequestError(
            f"{start} computes a gradient of '{path}' by backward(), which would be added to that of the loss; use "
            "torch.autograd.grad, or return what is to be minimised"
        )
    if new._backward_hooks or getattr(new, "_post_accumulate_grad_hooks", None):
        raise RequestError(
            f"{start} adds a hook to the gradient of '{path}', one more in every call; compute in forward what it "
            "does, such as self.weight * self.mask with a buffer 'mask'"
        )


def _same(one: Any, other: Any) -> bool:
    left, right = pytree.tree_leaves(one), pytree.tree_leaves(other)
    if len(left) != len(right):
        return False
    for first, second in zip(left, right, strict=True):
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            if first.shape != second.shape or not torch.allclose(
                first.detach(), second.detach().to(first.dtype), rtol=1e-5, atol=1e-7, equal_nan=True
            ):
                return False
    return True


# -- random numbers ---------------------------------------------------------------------------------------------------


def _expect_no_draws(before: SharedGenerators, name: str, *, torch_too: bool) -> None:
    now = SharedGenerators()
    if now.python != before.python:
        raise RequestError(f"{name} draws from Python's random in forward, which is not seeded for each run; {_DRAW}")
    same = all(np.array_equal(now.numpy["state"][key], value) for key, value in before.numpy["state"].items())
    if not same or now.numpy["has_gauss"] != before.numpy["has_gauss"]:
        raise RequestError(f"{name} draws from numpy.random in forward, which is not seeded for each run; {_DRAW}")
    on_gpu = before.cuda is not None and now.cuda is not None and not torch.equal(now.cuda, before.cuda)
    if torch_too and (on_gpu or not torch.equal(now.torch, before.torch)):
        raise RequestError(
            f"{name} draws random numbers in evaluation, so that the same study would give other scores each time; "
            "draw them only in training (if self.training: ..., F.dropout(x, 0.5, self.training))"
        )


class _Watch(TorchFunctionMode):
    """Notes calls that are wrong under vmap, where they are not made by a layer that _layers.py has mended."""

    def __init__(self) -> None:
        super().__init__()
        self.found = ""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            self.found = f"uses torch.autocast in forward: {AUTOCAST}"
        elif function is Tensor.register_hook:
            self.found = (
                "calls register_hook on a tensor in forward, which a stack would not call; use "
                "register_full_backward_hook of a layer, in the constructor, or train it with placement 'loop'"
            )
        elif function in (F.embedding, F.embedding_bag):
            given = inspect.signature(function).bind(*args, **kwargs).arguments
            if function is F.embedding and given.get("padding_idx") is not None:
                self.found = (
                    "calls F.embedding(padding_idx=...) itself, whose gradients are wrong in a stack for all runs but "
                    "the first; use the layer nn.Embedding(..., padding_idx=...)"
                )
            elif given.get("sparse"):
                self.found = (
                    f"calls F.{function.__name__}(sparse=True); the gradients of a stack are dense. Leave it out"
                )
        return function(*args, **kwargs)
