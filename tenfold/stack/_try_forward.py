"""A forward pass tried on copies of a module, so that what a stack would get wrong is refused by name.

Looked for: random numbers that are not PyTorch's, parameters that forward replaces, inputs that it writes into,
attributes that change and are used again (a counter, say), and the same in train() and eval(). An attribute that is
written anew in every pass before it is read, such as the attention weights of the last batch, does no harm.
"""

from __future__ import annotations

import copy
import inspect
import types
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
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
    except TenfoldError:
        raise
    except Exception:  # of the user's forward: of any kind
        return


def _try(module: nn.Module, inputs: Sequence[Any], named: Mapping[str, Any], *, vmapped: bool, recorded: bool) -> None:
    name, first, second = class_name(module), _copy(module), _copy(module)
    _expect_plain_modes(module, name)
    before = attributes(first, static=False, volatile=recorded)
    kept = {path: (tensor, tensor.data_ptr(), tensor.detach().clone()) for path, tensor in _tensors(first).items()}
    watched = _Watch() if vmapped else nullcontext()
    with shared_kept() as numbers:
        with watched:
            output = _call(first, inputs, named, name)
        _expect_no_draws(numbers, name, torch_too=recorded and not module.training)
        after = attributes(first, static=False, volatile=recorded)
        numbers.rewind()
        _expect_same_tensors(first, kept, name)
        _put_back(first, kept, volatile=recorded)
        again = _call(first, inputs, named, name)
        twice = attributes(first, static=False, volatile=recorded)
        numbers.rewind()
        once = _call(second, inputs, named, name)
        anew = attributes(second, static=False, volatile=recorded)
    if isinstance(watched, _Watch) and watched.found:
        raise RequestError(f"{name} {watched.found}")
    changed = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    used_again = [path for path in changed if twice.get(path) != anew.get(path)]
    if not recorded:  # what a hook notes somewhere else is the caller's; a study that is resumed would have lost it
        used_again = [path for path in used_again if not path.startswith(HOOK)]
    if used_again or (changed and not _same(again, once)):
        raise RequestError(_changes(name, (used_again or changed)[0], before, after))
    if not _same(output, once):
        raise RequestError(
            f"{name} gives other outputs when it is called again with the same inputs, weights and state of every "
            f"random generator; {_DRAW}, so that a run can be repeated"
        )


def _call(module: nn.Module, inputs: Sequence[Any], named: Mapping[str, Any], name: str) -> Any:
    own = pytree.tree_map(lambda leaf: leaf.detach().clone() if isinstance(leaf, Tensor) else leaf, tuple(inputs))
    with torch.set_grad_enabled(module.training or torch.is_grad_enabled()):
        output = module(*own, **named)
    for position, (given, used) in enumerate(zip(inputs, own, strict=True)):
        if not _same(given, used):
            raise RequestError(
                f"{name} writes into its input {position}, which is also that of other calls and other runs; "
                "make a new tensor, x = x + 1 in place of x += 1, or begin with x = x.clone()"
            )
    return output


def _changes(name: str, path: str, before: Mapping[str, Setting], after: Mapping[str, Setting]) -> str:
    was, now = (str(state[path]) if path in state else "not there" for state in (before, after))
    return (
        f"{name}: {path} changes in forward (from {was} to {now}) and is used again in the next call. As it is neither "
        "a parameter nor a buffer in the state dict it would be lost from weights and checkpoints, and be one for all "
        f"runs. {_REGISTER.format(name=path.rpartition('.')[2])}"
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
        for name in layer._non_persistent_buffers_set
    }


def _expect_same_tensors(called: nn.Module, kept: Mapping[str, tuple[Tensor, int, Tensor]], name: str) -> None:
    """After a call there are the same parameters and buffers, of the same shapes; only buffers may be new tensors."""
    found = _tensors(called)
    for path in {**kept, **found}:
        if path not in found or path not in kept:
            what = "is not there any more" if path in kept else "is new"
            raise RequestError(
                f"{name}: '{path}' {what} after forward; register every parameter and buffer in the constructor, with "
                "its final shape"
            )
        new, (old, place, value) = found[path], kept[path]
        if (new.shape, new.dtype) != (value.shape, value.dtype):
            raise RequestError(
                f"{name}: forward gives '{path}' another shape or type: {tuple(new.shape)}, {new.dtype} in place of "
                f"{tuple(value.shape)}, {value.dtype}; give it its final shape and type in the constructor"
            )
        if isinstance(new, nn.Parameter) and (new is not old or new.data_ptr() != place):
            raise RequestError(
                f"{name}: forward gives the parameter '{path}' a new tensor, which its optimiser does not know; write "
                "into it under torch.no_grad(), such as self.weight.clamp_(-1, 1), or make it a buffer"
            )


def _put_back(module: nn.Module, kept: Mapping[str, tuple[Tensor, int, Tensor]], *, volatile: bool) -> None:
    """The values before the call; with ``volatile`` not of the buffers that are looked at as attributes are."""
    left = _volatile(module) if volatile else set()
    for path, tensor in _tensors(module).items():
        if isinstance(tensor, nn.Parameter):  # in place, so that tied ones stay tied
            tensor.data.copy_(kept[path][2])
        elif path not in left:
            module.get_submodule(path.rpartition(".")[0])._buffers[path.rpartition(".")[2]] = kept[path][2].clone()


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
