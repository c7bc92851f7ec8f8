"""The stack: R modules of one architecture as one module with a leading ``runs`` axis."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrize
from torch.utils._pytree import tree_map

from tenfold.errors import RequestError, ShapeError, TenfoldError, TrainingError
from tenfold.stack._dropout import Dropout
from tenfold.stack._layout import channels_last_hooks
from tenfold.stack._replay import Recordings, only_known_layers
from tenfold.stack._swap import DROPOUT, replayable, stackable

__all__ = ["How", "Stack", "signature"]

How = Literal["vmap", "loop"]

_RANDOM_INSIDE = (
    "draws random numbers inside forward, which a stack cannot replay run by run. Use the modules nn.Dropout, "
    "nn.Dropout1d/2d/3d "
    "instead of functional dropout, and draw other random numbers outside of the module."
)


_MISSING = "not there"

# What a copy of a stack builds anew when it needs it.
_FRESH: dict[str, Callable[[], Any]] = {
    "_views": list,
    "_flat": lambda: None,
    "_compiled": dict,
    "_recordings": Recordings,
}


class Stack(nn.Module):
    """R runs of one architecture, trained at once; each is the run that it would be alone.

    Parameters and buffers are those of the single modules with ``runs`` as the first axis, under the single module's
    names behind
    ``runs.``. Any ``torch.optim`` optimiser takes ``stack.parameters()``: elementwise rules act on each run by
    itself. Sum the
    losses over runs before ``backward``: no run's loss reaches another run's parameters.

    Args:
        modules: R modules for one run, same parameter and buffer names and shapes.
        keys: R 63-bit seeds for the dropout masks; drawn from the global generator where not given.
        how: "vmap" computes all runs in one call of each operation; "loop" runs them one after the other through
            PyTorch's own
            layers, with the same parameters and results.
        compiled: with "vmap", compile training passes with torch.compile: fewer and larger kernels for seconds of
            compiling.
        recorded: with "vmap", record the operations of ``gradients`` and of passes without gradients once and
            replay them. Only where the module is made of PyTorch's layers and tenfold's models: a recording does
            not see Python.
    Raises:
        RequestError: if there is no module, or the modules are of different classes.
        ShapeError: if the modules differ in names or shapes of parameters or buffers.
    Example:
        >>> stack = Stack([nn.Linear(3, 2) for _ in range(10)])
        >>> stack(torch.ones(10, 5, 3)).shape  # (runs, batch, features)
        torch.Size([10, 5, 2])
        >>> stack(torch.ones(5, 3), shared=True).shape  # the same batch for every run
        torch.Size([10, 5, 2])
        >>> stack.module(4)
        Linear(in_features=3, out_features=2, bias=True)
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        *,
        keys: Sequence[int] | None = None,
        how: How = "vmap",
        compiled: bool = False,
        recorded: bool = False,
    ) -> None:
        super().__init__()
        modules = list(modules)
        _check_alike(modules)
        if keys is None:
            keys = torch.randint(2**62, (len(modules),)).tolist()
        elif len(keys) != len(modules):
            raise RequestError(f"keys: expected one for each of {len(modules)} modules, got {len(keys)}")
        self.n_runs = len(modules)
        self.how: How = how
        self.compiled = compiled
        self._compiled: dict[tuple[Callable, bool], Callable] = {}
        self.recorded = recorded and how == "vmap" and not compiled and only_known_layers(modules[0])
        self._recordings = Recordings()
        exchange = stackable if how == "vmap" else replayable
        singles = [exchange(module, key=key) for module, key in zip(modules, keys, strict=True)]
        _leave_out_idle_dropout(singles)
        # In a list so that nn.Module does not register it: the module as the user wrote it, to hand a run back as.
        self._plain = [copy.deepcopy(modules[0])]
        # As given: the buffers hold them in the precision of the stack.
        self._rates = [
            {name: layer.p for name, layer in module.named_modules() if isinstance(layer, DROPOUT)}
            for module in modules
        ]
        self._views: list[nn.Module] = []
        self._flat: Tensor | None = None
        self.runs = copy.deepcopy(singles[0])
        self.training = self.runs.training
        _put_stacked(self.runs, singles)
        self.flatten_()

    # -- memory -------------------------------------------------------------------------------------------------------

    def flatten_(self) -> Tensor:
        """Lay the trainable parameters of a run side by side in memory: shape (runs, trainable parameters of one run).

        The stacked parameters become views of it, so that writing to a row changes that run. An optimiser can then
        treat a run as
        one long vector: few large operations instead of many small ones, and a learning rate for each row.
            Parameters that do not
        require gradients stay out of it: weight decay would change them too.
        """
        parameters = self.trainable()
        size = sum(parameter[0].numel() for parameter in parameters)
        if self._flat is not None and self._flat.shape[1] == size:
            if all(_shares(parameter, self._flat) for parameter in parameters):
                return self._flat
        self._views = []
        if not parameters:
            self._flat = next((p.new_zeros(self.n_runs, 0) for p in self.parameters()), torch.zeros(self.n_runs, 0))
            return self._flat
        kinds = {(parameter.dtype, parameter.device) for parameter in parameters}
        if len(kinds) > 1:
            raise RequestError(f"all parameters must have one dtype and device, got {sorted(map(str, kinds))}")
        flat = torch.cat([parameter.detach().reshape(self.n_runs, -1) for parameter in parameters], dim=1)
        start = 0
        for parameter in parameters:
            size = parameter[0].numel()
            parameter.data = flat[:, start : start + size].view(parameter.shape)
            start += size
        self._flat = flat
        return flat

    def trainable(self) -> list[nn.Parameter]:
        """The stacked parameters that require gradients, in the order of ``flatten_``."""
        return [parameter for parameter in self.runs.parameters() if parameter.requires_grad]

    def _apply(self, fn: Callable, recurse: bool = True) -> Stack:  # .to(), .double(), .cuda()
        super()._apply(fn, recurse)
        self._flat = None
        self.flatten_()
        return self

    def __deepcopy__(self, memo: dict) -> Stack:
        new = self.__new__(type(self))
        memo[id(self)] = new
        for name, value in self.__dict__.items():
            new.__dict__[name] = _FRESH[name]() if name in _FRESH else copy.deepcopy(value, memo)
        new.flatten_()
        return new

    def __getstate__(self) -> dict[str, Any]:
        # Pickled views would come back without the hooks that hand their gradients over.
        return {name: _FRESH[name]() if name in _FRESH else value for name, value in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.flatten_()

    # -- computing ----------------------------------------------------------------------------------------------------

    def forward(self, *inputs: Tensor, shared: bool = False) -> Any:
        """Outputs of all runs, runs first: whatever one module returns, with an axis of length R before each tensor.

        Args:
            inputs: shape (runs, batch, ...), or (batch, ...) with ``shared``.
            shared: give the same inputs to every run.
        Raises:
            ShapeError: if an input's first axis is not the number of runs.
            RequestError: if the module draws random numbers of its own.
        """
        return self.map(_as_it_is, inputs, (), shared=shared)

    def map(self, fn: Callable, inputs: Sequence[Tensor], extras: Sequence[Any], *, shared: bool = False) -> Any:
        """``fn(module(*inputs), *extras)`` of every run; ``fn`` is written for one run and its results are
        stacked.
        """
        if not shared:
            for position, value in enumerate(inputs):
                if value.dim() == 0 or value.shape[0] != self.n_runs:
                    raise ShapeError(
                        f"input {position}: expected ({self.n_runs} runs, batch, ...), got shape {tuple(value.shape)}; "
                        "pass shared=True to give one batch to every run"
                    )
        if self.how == "loop":
            views = self.views()
            return _stack_tree(
                [
                    fn(view(*(value if shared else value[run] for value in inputs)), *_pick(extras, run))
                    for run, view in enumerate(views)
                ]
            )

        def every(*arguments: Any) -> Any:  # made only where no recording is replayed: it goes through all modules
            return self._all_runs(fn, shared)(*arguments)

        return self._explained(every, ("map", fn, shared), inputs, extras)

    def gradients(
        self, fn: Callable, inputs: Sequence[Tensor], extras: Sequence[Any]
    ) -> tuple[Tensor, Any, tuple[Tensor, ...]]:
        """Loss of every run, what else ``fn`` returns, and the gradients of the parameters of ``trainable``.

        With ``how="vmap"``.

        Args:
            then: ``fn(module(*inputs), *extras)`` of one run gives (loss, anything).
            inputs: shape (runs, batch, ...).
            extras: further tensors, runs first.
        Returns:
            (Tensor, Any, tuple): shape (runs,); runs first; one gradient for each parameter, runs first. All detached.
        """
        trainable = [name for name, parameter in self.runs.named_parameters() if parameter.requires_grad]

        def losses_and_gradients(tensors: dict[str, Tensor], inputs: Any, extras: Any) -> Any:
            leaves = {name: tensors[name].detach().requires_grad_() for name in trainable}
            with torch.enable_grad():
                losses, rest = self._all_runs(fn, shared=False)(tensors | leaves, inputs, extras)
                if not leaves:
                    return losses.detach(), tree_map(Tensor.detach, rest), ()
                grads = torch.autograd.grad(
                    losses.sum(), list(leaves.values()), allow_unused=True, materialize_grads=True
                )
            return losses.detach(), tree_map(Tensor.detach, rest), grads

        return self._explained(losses_and_gradients, ("gradients", fn, tuple(trainable)), inputs, extras)

    def _explained(self, function: Callable, key: tuple, inputs: Sequence[Tensor], extras: Sequence[Any]) -> Any:
        """``function(tensors, inputs, extras)``, recorded where that is wanted, errors in the user's words."""
        tensors = dict(self.runs.named_parameters()) | dict(self.runs.named_buffers())
        arguments = (tensors, tuple(inputs), tuple(extras))
        try:
            if self.recorded and (key[0] == "gradients" or not torch.is_grad_enabled()):
                modes = tuple(layer.training for layer in self.runs.modules())
                return self._recordings((*key, modes), function, arguments)
            return function(*arguments)
        except TenfoldError:
            raise
        except (RuntimeError, ValueError) as error:
            raise _explain(error, _class(self._plain[0])) from error

    def _all_runs(self, fn: Callable, shared: bool) -> Callable:
        """The vmapped (and, while training, perhaps compiled) function of all runs; compiled ones are kept, by
        ``fn``.
        """

        # functional_call's own way with tied tensors does not put a module back that stands in two places.
        first_name = {id(tensor): name for name, tensor in reversed(_tensors(self.runs))}
        names = {name: first_name[id(tensor)] for name, tensor in _tensors(self.runs)}

        def one(tensors: dict[str, Tensor], inputs: Sequence[Tensor], extras: Sequence[Any]) -> Any:
            own = {name: tensors[first] for name, first in names.items()}
            return fn(functional_call(self.runs, own, tuple(inputs), tie_weights=False), *extras)

        every = torch.func.vmap(one, in_dims=(0, None if shared else 0, 0), randomness="error")
        if not (self.compiled and self.training):
            return every
        key = (fn, shared)
        if key not in self._compiled:
            self._compiled[key] = torch.compile(every)
        return self._compiled[key]

    def views(self) -> list[nn.Module]:
        """R modules, one a run, whose parameters and buffers are views of the stack's: what changes one changes
        the other.
        """
        flat = self.flatten_()
        if not self._views:
            self._views = [_view(self.runs, run) for run in range(self.n_runs)]
            for view in self._views:
                if flat.device.type == "cpu":
                    channels_last_hooks(view)
        for view in self._views:
            # One by one and not view.train(): part of a module may have been set to eval.
            for layer, stacked in zip(view.modules(), self.runs.modules(), strict=True):
                layer.training = stacked.training
        return self._views

    # -- taking one out -----------------------------------------------------------------------------------------------

    def module(self, run: int) -> nn.Module:
        """Run ``run`` as the plain module it was: the user's own class, with copies of that run's parameters and
        buffers.
        """
        if not -self.n_runs <= run < self.n_runs:
            raise RequestError(f"run {run}: expected 0 to {self.n_runs - 1}")
        module = copy.deepcopy(self._plain[0])
        own = dict(module.named_parameters()) | dict(module.named_buffers())
        tensors = dict(self.runs.named_parameters()) | dict(self.runs.named_buffers())
        with torch.no_grad():
            for name, tensor in own.items():
                # .data, so that a module that was built in another dtype or device takes the stack's.
                tensor.data = tensors[name][run].detach().clone()
        training = {name: layer.training for name, layer in self.runs.named_modules()}
        for name, layer in module.named_modules():
            layer.training = training[name]
            if isinstance(layer, DROPOUT):
                layer.p = self._rates[run][name]
        return module

    def extra_repr(self) -> str:
        return f"n_runs={self.n_runs}, how={self.how}"


# -- helpers ----------------------------------------------------------------------------------------------------------


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Every parameter and buffer of every module, the tied ones with each of their names; each module once."""
    return [
        (f"{path}.{name}" if path else name, tensor)
        for path, layer in module.named_modules()
        for name, tensor in [*layer._parameters.items(), *layer._buffers.items()]
        if tensor is not None
    ]


def _as_it_is(output: Any) -> Any:
    return output


def _class(module: nn.Module) -> str:
    return parametrize.type_before_parametrizations(module).__name__  # weight_norm gives each module a class of its own


def signature(module: nn.Module) -> dict[str, Any]:
    """What the runs of one stack have in common: the shape and type of every tensor, the class and the settings of
        every layer.

    Settings are attributes that are plain values, such as the slope of a LeakyReLU: a stack computes all runs with
        those of the first.
    Dropout rates are not among them, they may differ from run to run.
    """
    found: dict[str, Any] = {
        name: (tuple(tensor.shape), tensor.dtype)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    }
    for path, layer in module.named_modules():
        found[f"class of {path or 'the module'}"] = _class(layer)
        rate = "p" if isinstance(layer, DROPOUT) else "dropout" if isinstance(layer, nn.RNNBase) else ""
        for name, value in vars(layer).items():
            if not name.startswith("_") and name not in ("training", rate) and _is_setting(value):
                found[f"{path}.{name}" if path else name] = value
    return found


def _is_setting(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_setting(part) for part in value)
    return value is None or isinstance(value, bool | int | float | str)


def _check_alike(modules: Sequence[nn.Module]) -> None:
    if not modules:
        raise RequestError("a stack needs at least one module, got none")
    for position, module in enumerate(modules):
        if not isinstance(module, nn.Module):
            raise RequestError(f"module {position}: expected an nn.Module, got {type(module).__name__}")
    expected = signature(modules[0])
    for position, module in enumerate(modules[1:], start=1):
        if _class(module) != _class(modules[0]):
            raise RequestError(
                f"all modules of a stack must be of one class: module 0 is {_class(modules[0])}, "
                f"module {position} is {_class(module)}"
            )
        got = signature(module)
        if got == expected:
            continue
        name = next(name for name in [*expected, *got] if expected.get(name, _MISSING) != got.get(name, _MISSING))
        here, first = got.get(name, _MISSING), expected.get(name, _MISSING)
        if isinstance(here, tuple) and isinstance(first, tuple) and here[-1:] == first[-1:]:
            raise ShapeError(
                f"module {position}: '{name}' has shape {here[0]}, in module 0 it is {first[0]}; "
                "runs of different shapes need stacks of their own"
            )
        raise RequestError(
            f"module {position}: '{name}' is {here}, in module 0 it is {first}; runs of one stack differ in the "
            "values of "
            "parameters, buffers and dropout rates only"
        )


def _leave_out_idle_dropout(singles: Sequence[nn.Module]) -> None:
    """Where no run has a rate above 0, as between recurrent layers by default: its numbers would be drawn for
    nothing.
    """
    tables = [dict(single.named_modules(remove_duplicate=False)) for single in singles]
    for path, layer in tables[0].items():
        if path and isinstance(layer, Dropout) and not any(bool(table[path].rate) for table in tables):
            parent, _, name = path.rpartition(".")
            for table in tables:
                table[parent]._modules[name] = nn.Identity()


def _put_stacked(target: nn.Module, singles: Sequence[nn.Module]) -> None:
    """Replace every parameter and buffer in ``target`` by the stack of those of ``singles``; tied ones stay tied."""
    tables = [dict(single.named_modules(remove_duplicate=False)) for single in singles]
    done: dict[int, tuple[Tensor, Tensor]] = {}  # the single's tensor is kept, so that its id stays taken
    for path, module in target.named_modules():
        for kind in ("_parameters", "_buffers"):
            for name, tensor in getattr(module, kind).items():
                if tensor is None:
                    continue
                if id(tensor) not in done:
                    stacked = torch.stack([getattr(table[path], kind)[name].detach() for table in tables])
                    if kind == "_parameters":
                        stacked = nn.Parameter(stacked, requires_grad=tensor.requires_grad)
                    done[id(tensor)] = (tensor, stacked)
                getattr(module, kind)[name] = done[id(tensor)][1]


def _view(runs: nn.Module, run: int) -> nn.Module:
    """A module with the structure of ``runs`` whose tensors are views of run ``run``."""
    memo: dict[int, Any] = {}
    for tensor in [*runs.parameters(), *runs.buffers()]:
        view = tensor.detach()[run]
        if isinstance(tensor, nn.Parameter):
            view = nn.Parameter(view, requires_grad=tensor.requires_grad)
        memo[id(tensor)] = view
    copied = copy.deepcopy(runs, memo)
    view_parameters = dict(copied.named_parameters())
    for name, stacked in runs.named_parameters():
        if stacked.requires_grad:
            view_parameters[name].register_post_accumulate_grad_hook(partial(_hand_over_gradient, stacked, run))
    for module in copied.modules():
        if isinstance(module, nn.RNNBase):  # it keeps a second list of its weights, which deepcopy does not rebuild
            module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
    return copied


def _hand_over_gradient(stacked: Tensor, run: int, parameter: Tensor) -> None:
    """Move the gradient of a view to its row of the stacked parameter's, where the user's optimiser looks for it."""
    if stacked.grad is None:
        stacked.grad = torch.zeros_like(stacked)
    assert parameter.grad is not None
    stacked.grad[run] += parameter.grad
    parameter.grad = None


def _shares(parameter: Tensor, flat: Tensor) -> bool:
    return parameter.untyped_storage().data_ptr() == flat.untyped_storage().data_ptr() and parameter.dtype == flat.dtype


def _pick(values: Any, run: int) -> Any:
    if isinstance(values, Tensor):
        return values[run]
    if isinstance(values, dict):
        return {name: _pick(value, run) for name, value in values.items()}
    return tuple(_pick(value, run) for value in values)


def _stack_tree(results: list[Any]) -> Any:
    first = results[0]
    if isinstance(first, Tensor):
        return torch.stack(results)
    if isinstance(first, dict):
        return {name: _stack_tree([result[name] for result in results]) for name in first}
    if isinstance(first, tuple | list):
        parts = [_stack_tree([result[i] for result in results]) for i in range(len(first))]
        return type(first)(parts) if type(first) in (tuple, list) else type(first)(*parts)  # a namedtuple
    raise _no_tensors(type(first).__name__)


def _explain(error: RuntimeError | ValueError, module: str) -> Exception:
    """A vmap failure in the words of the person who wrote the module."""
    text = str(error)
    if isinstance(error, ValueError):
        returned = re.search(r"must only return Tensors, got type <class '(.+?)'>", text)
        return _no_tensors(returned.group(1)) if returned else error
    if "randomness" in text:
        return RequestError(f"{module} {_RANDOM_INSIDE}")
    return TrainingError(
        f"{module} failed in a stack: {(text.splitlines() or [''])[0]} If it works alone, train it "
        "with placement 'loop' or 'processes'; in a loop of your own, with Stack(..., how='loop')."
    )


def _no_tensors(got: str) -> RequestError:
    return RequestError(f"a module in a stack must return tensors (or tuples, lists, dicts of them), got {got}")
