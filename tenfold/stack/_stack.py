"""The stack: R modules of one architecture as one module with a leading ``runs`` axis."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tenfold.errors import RequestError, ShapeError, TrainingError
from tenfold.stack._layout import channels_last_hooks
from tenfold.stack._swap import replayable, stackable

__all__ = ["How", "Stack"]

How = Literal["vmap", "loop"]

_RANDOM_INSIDE = (
    "draws random numbers inside forward, which a stack cannot replay run by run. Use the modules nn.Dropout, nn.Dropout1d/2d/3d "
    "instead of functional dropout, and draw other random numbers outside of the module."
)


# What a copy of a stack builds anew when it needs it.
_FRESH: dict[str, Callable[[], Any]] = {"_lanes": list, "_flat": lambda: None, "_compiled": dict}


class Stack(nn.Module):
    """R runs of one architecture, trained at once; each is the run that it would be alone.

    Parameters and buffers are those of the single modules with ``runs`` as the first axis, under the single module's names behind
    ``runs.``. Any ``torch.optim`` optimiser takes ``stack.parameters()``: elementwise rules act on each run by itself. Sum the
    losses over runs before ``backward``: no run's loss reaches another run's parameters.

    Args:
        modules: R modules for one run, same parameter and buffer names and shapes.
        keys: R 63-bit seeds for the dropout masks; drawn from the global generator where not given.
        how: "vmap" computes all runs in one call of each operation; "loop" runs them one after the other through PyTorch's own
            layers, with the same parameters and results.
        compiled: with "vmap", compile training passes with torch.compile: fewer and larger kernels for seconds of compiling.
    Raises:
        RequestError: if there is no module, or the modules are of different classes.
        ShapeError: if the modules differ in names or shapes of parameters or buffers.
    Example:
        >>> stack = Stack([nn.Linear(3, 2) for _ in range(10)])
        >>> stack(torch.ones(10, 5, 3)).shape  # (runs, batch, features)
        torch.Size([10, 5, 2])
        >>> stack(torch.ones(5, 3), shared=True).shape  # the same batch for every run
        torch.Size([10, 5, 2])
        >>> stack.run(4)
        Linear(in_features=3, out_features=2, bias=True)
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        *,
        keys: Sequence[int] | None = None,
        how: How = "vmap",
        compiled: bool = False,
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
        self._compiled: dict[Callable, Callable] = {}
        exchange = stackable if how == "vmap" else replayable
        singles = [exchange(module, key=key) for module, key in zip(modules, keys, strict=True)]
        # In a list so that nn.Module does not register it: the module as the user wrote it, to hand a run back as.
        self._plain = [copy.deepcopy(modules[0])]
        self._lanes: list[list[nn.Module]] = []
        self._flat: Tensor | None = None
        self.runs = copy.deepcopy(singles[0])
        _put_stacked(self.runs, singles)
        self.flatten_()

    # -- memory ---------------------------------------------------------------------------------------------------------

    def flatten_(self) -> Tensor:
        """Lay all parameters of a run side by side in memory and return them, shape (runs, parameters of one run).

        The stacked parameters become views of it, so that writing to a row changes that run. An optimiser can then treat a run as
        one long vector: few large operations instead of many small ones, and a learning rate for each row.
        """
        parameters = [parameter for _, parameter in self.runs.named_parameters()]
        if self._flat is not None and all(_shares(parameter, self._flat) for parameter in parameters):
            return self._flat
        if not parameters:
            self._flat = torch.zeros(self.n_runs, 0)
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
        self._lanes = []
        return flat

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

    # -- computing --------------------------------------------------------------------------------------------------------

    def forward(self, *inputs: Tensor, shared: bool = False) -> Any:
        """Outputs of all runs, runs first: whatever one module returns, with an axis of length R before each tensor.

        Args:
            inputs: shape (runs, batch, ...), or (batch, ...) with ``shared``.
            shared: give the same inputs to every run.
        Raises:
            ShapeError: if an input's first axis is not the number of runs.
            RequestError: if the module draws random numbers of its own.
        """
        return self.map(lambda output: output, inputs, (), shared=shared)

    def map(self, then: Callable, inputs: Sequence[Tensor], extras: Sequence[Any], *, shared: bool = False) -> Any:
        """``then(module(*inputs), *extras)`` of every run; ``then`` is written for one run and its results are stacked."""
        if not shared:
            for position, value in enumerate(inputs):
                if value.dim() == 0 or value.shape[0] != self.n_runs:
                    raise ShapeError(
                        f"input {position}: expected ({self.n_runs} runs, batch, ...), got shape {tuple(value.shape)}; "
                        "pass shared=True to give one batch to every run"
                    )
        if self.how == "loop":
            lanes = self.lanes()
            return _stack_tree(
                [
                    then(lane(*(value if shared else value[run] for value in inputs)), *_pick(extras, run))
                    for run, lane in enumerate(lanes)
                ]
            )

        tensors = dict(self.runs.named_parameters()) | dict(self.runs.named_buffers())
        try:
            return self._all_runs(then, shared)(tensors, tuple(inputs), tuple(extras))
        except RuntimeError as error:
            raise _explain(error, type(self._plain[0]).__name__) from error

    def _all_runs(self, then: Callable, shared: bool) -> Callable:
        """The vmapped (and, while training, perhaps compiled) function of all runs; compiled ones are kept, by ``then``."""

        def one(tensors: dict[str, Tensor], inputs: Sequence[Tensor], extras: Sequence[Any]) -> Any:
            return then(functional_call(self.runs, tensors, tuple(inputs)), *extras)

        every = torch.func.vmap(one, in_dims=(0, None if shared else 0, 0), randomness="error")
        if not (self.compiled and self.training):
            return every
        if then not in self._compiled:
            self._compiled[then] = torch.compile(every)
        return self._compiled[then]

    def lanes(self) -> list[nn.Module]:
        """R modules, one a run, whose parameters and buffers are views of the stack's: what changes one changes the other."""
        flat = self.flatten_()
        if not self._lanes:
            self._lanes = [_lane(self.runs, run) for run in range(self.n_runs)]
            for lane in self._lanes:
                if flat.device.type == "cpu":
                    channels_last_hooks(lane)
        for lane in self._lanes:
            lane.train(self.training)
        return self._lanes

    # -- taking one out -----------------------------------------------------------------------------------------------------

    def run(self, run: int) -> nn.Module:
        """Run ``run`` as the plain module it was: the user's own class, with copies of that run's parameters and buffers."""
        if not -self.n_runs <= run < self.n_runs:
            raise RequestError(f"run {run}: expected 0 to {self.n_runs - 1}")
        module = copy.deepcopy(self._plain[0])
        own = dict(module.named_parameters()) | dict(module.named_buffers())
        tensors = dict(self.runs.named_parameters()) | dict(self.runs.named_buffers())
        with torch.no_grad():
            for name, tensor in own.items():
                # .data, so that a module that was built in another dtype or device takes the stack's.
                tensor.data = tensors[name][run].detach().clone()
        for name, layer in module.named_modules():
            if isinstance(layer, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d):
                layer.p = float(tensors[f"{name}.rate" if name else "rate"][run])
        return module.train(self.training)

    def extra_repr(self) -> str:
        return f"n_runs={self.n_runs}, how={self.how}"


# -- helpers ----------------------------------------------------------------------------------------------------------------


def _check_alike(modules: Sequence[nn.Module]) -> None:
    if not modules:
        raise RequestError("a stack needs at least one module, got none")
    first = modules[0]
    expected = {name: tuple(t.shape) for name, t in [*first.named_parameters(), *first.named_buffers()]}
    for position, module in enumerate(modules):
        if type(module) is not type(first):
            raise RequestError(
                f"all modules of a stack must be of one class: module 0 is {type(first).__name__}, "
                f"module {position} is {type(module).__name__}"
            )
        got = {name: tuple(t.shape) for name, t in [*module.named_parameters(), *module.named_buffers()]}
        if got != expected:
            name = next(n for n in [*expected, *got] if expected.get(n) != got.get(n))
            raise ShapeError(
                f"module {position}: '{name}' has shape {got.get(name)}, in module 0 it is {expected.get(name)}; "
                "runs of different shapes need stacks of their own"
            )


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


def _lane(runs: nn.Module, run: int) -> nn.Module:
    """A module with the structure of ``runs`` whose tensors are views of run ``run``."""
    memo: dict[int, Any] = {}
    for tensor in [*runs.parameters(), *runs.buffers()]:
        view = tensor.detach()[run]
        if isinstance(tensor, nn.Parameter):
            view = nn.Parameter(view, requires_grad=tensor.requires_grad)
        memo[id(tensor)] = view
    lane = copy.deepcopy(runs, memo)
    lane_parameters = dict(lane.named_parameters())
    for name, stacked in runs.named_parameters():
        lane_parameters[name].register_post_accumulate_grad_hook(partial(_hand_over_gradient, stacked, run))
    for module in lane.modules():
        if isinstance(module, nn.RNNBase):  # it keeps a second list of its weights, which deepcopy does not rebuild
            module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
    return lane


def _hand_over_gradient(stacked: Tensor, run: int, parameter: Tensor) -> None:
    """Move a lane's gradient to its row of the stacked parameter's, where the user's optimiser looks for it."""
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
        return type(first)(_stack_tree([result[i] for result in results]) for i in range(len(first)))
    raise RequestError(
        f"a module in a stack must return tensors (or tuples, lists, dicts of them), got {type(first).__name__}"
    )


def _explain(error: RuntimeError, module: str) -> Exception:
    """A vmap failure in the words of the person who wrote the module."""
    text = str(error)
    if "randomness" in text:
        return RequestError(f"{module} {_RANDOM_INSIDE}")
    if "vmap" in text or "batching rule" in text or "functorch" in text:
        return TrainingError(
            f"{module} cannot be stacked: {text.splitlines()[0]} Train it with placement 'loop' or 'spread' instead."
        )
    return error
