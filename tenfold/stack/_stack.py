"""The stack: R modules of one architecture as one module with a leading ``runs`` axis."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree

from tenfold.errors import RequestError, ShapeError, TenfoldError
from tenfold.stack._alike import expect_alike
from tenfold.stack._attributes import DROPOUT, class_name, has_own_modes
from tenfold.stack._dropout import Dropout
from tenfold.stack._layout import channels_last_hooks
from tenfold.stack._reached import pass_on_gradient, watch_optimisers
from tenfold.stack._refusals import ALONE, AUTOCAST, expect_same_kind, expect_vmappable, explain, without_saved_hooks
from tenfold.stack._replay import Recordings, why_not_recorded
from tenfold.stack._swap import replayable, stackable
from tenfold.stack._trees import no_tensors, per_run, stack_trees, with_none, without_none
from tenfold.stack._try_forward import try_forward

__all__ = ["How", "Stack"]

How = Literal["vmap", "loop"]


# Caches: rebuilt lazily, never copied or pickled.
_FRESH: dict[str, Callable[[], Any]] = {
    "_views": list,
    "_places": dict,
    "_flat": lambda: None,
    "_compiled": dict,
    "_recordings": Recordings,
    "_tried": set,
}


class Stack(nn.Module):
    """R runs of one architecture, trained at once; each run computes what it would compute alone.

    Parameters and buffers are those of the single modules with ``runs`` as the first axis; their names are those of the
    single module after the prefix ``runs.``. Any ``torch.optim`` optimiser takes ``stack.parameters()``: elementwise
    rules act on each run separately. Sum the losses over runs before ``backward``: the loss of a run does not depend on
    the parameters of another run.

    Args:
        modules: R modules for one run each, with the same names and shapes of parameters and buffers.
        keys: R 63-bit seeds for the dropout masks; drawn from the global generator where not given.
        how: "vmap" computes all runs in one call of each operation; "loop" computes one run after the other with
            PyTorch's own layers, with the same parameters and results.
        compiled: with "vmap", compile training passes with torch.compile: fewer and larger kernels, at the cost of
            seconds of compiling.
        recorded: with "vmap", record the operations of ``gradients`` and of passes without gradients once, then replay
            them. Only where the module consists of PyTorch's layers and tenfold's models, because a recording contains
            operations and no Python code.
    Attributes:
        n_runs: R.
        recorded: whether operations are recorded.
        not_recorded: why operations are not recorded, in a few words; "" where they are.
    Raises:
        RequestError: if there is no module, the modules are of different classes or differ in anything but parameters,
            buffers and dropout rates, or one cannot be copied.
        ShapeError: if the modules differ in names or shapes of parameters or buffers.
    Example:
        >>> stack = Stack([nn.Linear(3, 2) for _ in range(10)])
        >>> stack(torch.ones(10, 5, 3)).shape  # (runs, batch, features)
        torch.Size([10, 5, 2])
        >>> stack(torch.ones(5, 3), shared=True).shape  # the same batch for every run
        torch.Size([10, 5, 2])
        >>> stack.module(4)
        Linear(in_features=3, out_features=2, bias=True)
        >>> stack.not_recorded
        'not asked for'
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
        expect_alike(modules)
        if keys is None:
            keys = torch.randint(2**62, (len(modules),)).tolist()
        elif len(keys) != len(modules):
            raise RequestError(f"keys: expected one for each of the {len(modules)} modules, got {len(keys)}")
        self.n_runs = len(modules)
        self.how: How = how
        self.compiled = compiled
        self._compiled: dict[tuple, Callable] = {}
        self.not_recorded = _why_not(modules[0], how=how, compiled=compiled, recorded=recorded)
        self._recordings = Recordings()
        if how == "vmap":
            expect_vmappable(modules[0])
        prepare = stackable if how == "vmap" else replayable
        singles = [prepare(module, key=key) for module, key in zip(modules, keys, strict=True)]
        _remove_idle_dropout(singles)
        # The module as the user wrote it, for ``module``; in a list, so that nn.Module does not register it.
        self._plain = [copy.deepcopy(modules[0])]
        # The rates as given; the buffers hold them in the precision of the stack.
        self._rates = [
            {name: layer.p for name, layer in module.named_modules() if isinstance(layer, DROPOUT)}
            for module in modules
        ]
        self._views: list[nn.Module] = []
        # Name of a buffer -> where the views hold their rows of it: table, key, address in memory.
        self._places: dict[str, list[tuple[dict[str, Any], str, int]]] = {}
        self._flat: Tensor | None = None
        # A pass may do anything, where there is Python of the user's: tried once in training and once in evaluation.
        self._has_own_code = bool(why_not_recorded(modules[0]))
        self._has_own_modes = has_own_modes(modules[0])
        self._tried: set[bool] = set()
        self.runs = copy.deepcopy(singles[0])
        self.training = self.runs.training
        _put_stacked(self.runs, singles)
        self.flatten_()

    @property
    def recorded(self) -> bool:
        """Whether operations are recorded and replayed; ``not_recorded`` says why not."""
        return not self.not_recorded

    # -- memory -------------------------------------------------------------------------------------------------------

    def flatten_(self) -> Tensor:
        """Put the trainable parameters of each run side by side in memory: (runs, trainable parameters of one run).

        The stacked parameters become views of the returned tensor, so writing to a row changes that run. An optimiser
        can then treat each run as one long vector, with a few large operations instead of many small ones and one
        learning rate per row. Parameters that do not require gradients are left out: weight decay would change them.

        Raises:
            RequestError: if the parameters have more than one dtype or device.
        """
        parameters = self.trainable()
        size = sum(parameter[0].numel() for parameter in parameters)
        if self._flat is not None and self._flat.shape[1] == size:
            if all(_shares(parameter, self._flat) for parameter in parameters):
                return self._flat
        self._views, self._places = [], {}
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
        # Pickled views would come back without the hooks that pass on their gradients.
        return {name: _FRESH[name]() if name in _FRESH else value for name, value in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.flatten_()

    # -- computing ----------------------------------------------------------------------------------------------------

    def forward(self, *inputs: Any, shared: bool = False, **named: Any) -> Any:
        """Outputs of all runs, runs first: whatever one module returns, with an axis of length R before each tensor.

        Args:
            inputs: shape (runs, batch, ...), or (batch, ...) with ``shared``; they may be nested, see ``map``.
            shared: give the same inputs to every run.
            named: keyword arguments of the module: tensors as ``inputs``; anything else is the same for every run.
        Raises:
            ShapeError: if the first axis of an input is not the number of runs.
            RequestError: if the module draws random numbers itself, or does what a stack would get wrong.
        """
        return self.map(_identity, inputs, (), shared=shared, named=named)

    # Not "apply": nn.Module.apply(fn) calls fn on every submodule.
    def map(
        self,
        fn: Callable,
        inputs: Sequence[Any],
        extras: Sequence[Any],
        *,
        shared: bool = False,
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        """``fn(module(*inputs, **named), *extras)`` of every run. ``fn`` is written for one run; its results are
        stacked.

        Inputs, extras and results may be nested in tuples, lists, dicts and named tuples, whose types are kept; None is
        passed on unchanged.

        Args:
            fn: takes the module's output and the extras of one run.
            inputs: of the module: tensors (runs, batch, ...), or (batch, ...) with ``shared``.
            extras: further arguments of ``fn``: tensors (runs, ...).
            shared: give the same inputs to every run.
            named: keyword arguments of the module: tensors as ``inputs``; numbers, texts and truth values are the same
                for every run.
        Returns:
            What ``fn`` returns, each tensor with an axis of length R before it.
        Raises:
            ShapeError: if the first axis of a tensor is not the number of runs.
            RequestError: if the module draws random numbers itself, does what a stack would get wrong, or a leaf is
                neither a tensor nor None.
        """
        constants = {name: value for name, value in (named or {}).items() if _is_constant(value)}
        varying = {name: value for name, value in (named or {}).items() if name not in constants}
        if not shared:
            advice = "; pass shared=True to give one batch to every run"
            self._check_runs_first("input", dict(enumerate(inputs)) | varying, advice)
        self._check_runs_first("extra", dict(enumerate(extras)))
        given = (tuple(inputs), varying)
        self._try(given, constants, shared=shared)
        if self.how == "loop":
            inputs_of_runs = [given] * self.n_runs if shared else per_run(given, self.n_runs)
            extras_of_runs = per_run(extras, self.n_runs)
            self.keep_buffers()  # of a backward pass that computes a part of the forward pass again
            outputs = [
                fn(view(*own, **own_named, **constants), *own_extras)
                for view, (own, own_named), own_extras in zip(self.views(), inputs_of_runs, extras_of_runs, strict=True)
            ]
            self.keep_buffers()
            return stack_trees(outputs)

        def every(*arguments: Any) -> Any:  # built only if no recording is replayed: it walks through all submodules
            return self._all_runs(fn, shared, constants)(*arguments)

        key = ("map", fn, shared, tuple(sorted(constants.items())))
        return self._explained(every, key, given, extras)

    def gradients(
        self, fn: Callable, inputs: Sequence[Any], extras: Sequence[Any]
    ) -> tuple[Tensor, Any, tuple[Tensor | None, ...]]:
        """Loss of every run, what else ``fn`` returns, and the gradients of the parameters in ``trainable``.

        Only with ``how="vmap"``.

        Args:
            fn: ``fn(module(*inputs), *extras)`` of one run gives (loss, anything).
            inputs: tensors (runs, batch, ...), nested as for ``map``.
            extras: further tensors (runs, ...), nested as for ``map``.
        Returns:
            (Tensor, Any, tuple): losses, shape (runs,); the rest, runs first; one gradient for each parameter, runs
            first, None where the loss does not depend on it. All detached.
        Raises:
            As ``map``.
        """
        self._check_runs_first("input", dict(enumerate(inputs)))
        self._check_runs_first("extra", dict(enumerate(extras)))
        given = (tuple(inputs), {})
        self._try(given, {}, shared=False)
        trainable = [name for name, parameter in self.runs.named_parameters() if parameter.requires_grad]

        def losses_and_gradients(tensors: dict[str, Tensor], inputs: Any, extras: Any) -> Any:
            leaves = {name: tensors[name].detach().requires_grad_() for name in trainable}
            with torch.enable_grad():
                (losses, rest), changed = self._all_runs(fn, False, {})(tensors | leaves, inputs, extras)
                if not leaves:
                    return (losses.detach(), pytree.tree_map(Tensor.detach, rest), ()), changed
                grads = torch.autograd.grad(losses.sum(), list(leaves.values()), allow_unused=True)
            return (losses.detach(), pytree.tree_map(Tensor.detach, rest), grads), changed

        return self._explained(losses_and_gradients, ("gradients", fn, tuple(trainable)), given, extras)

    def _check_runs_first(self, word: str, values: Mapping[Any, Any], advice: str = "") -> None:
        for position, value in values.items():
            for leaf in pytree.tree_leaves(value):
                if leaf is None:
                    continue
                if not isinstance(leaf, Tensor):
                    raise RequestError(f"{word} {position}: expected tensors, got {type(leaf).__name__}")
                if leaf.dim() == 0 or leaf.shape[0] != self.n_runs:
                    axes = "batch, ..." if word == "input" else "..."
                    raise ShapeError(
                        f"{word} {position}: expected ({self.n_runs} runs, {axes}), got shape {tuple(leaf.shape)}"
                        + advice
                    )

    def _try(self, given: tuple[tuple, dict[str, Any]], constants: Mapping[str, Any], *, shared: bool) -> None:
        """Before the first pass in training and the first in evaluation: refuse what a stack would get wrong."""
        if self.training in self._tried or not self._has_own_code:
            return
        self._tried.add(self.training)
        inputs, named = given if shared else per_run(given, self.n_runs)[0]
        prepare = stackable if self.how == "vmap" else replayable
        single = prepare(self.module(0), key=0)
        # Hooks of its own: a checkpoint around the stack must not count what this pass saves.
        with torch.autograd.graph.saved_tensors_hooks(_as_it_is, _as_it_is):
            try_forward(single, inputs, {**named, **constants}, vmapped=self.how == "vmap")

    def _explained(self, function: Callable, key: tuple, inputs: tuple, extras: Sequence[Any]) -> Any:
        """Result of ``function(tensors, inputs, extras)``, recorded if wanted; errors of vmap are translated for the
        user. Buffers that the modules have assigned anew, which it gives beside its result, are kept.
        """
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            raise RequestError(f"{class_name(self._plain[0])}: {AUTOCAST}, or {ALONE}")
        tensors = dict(self.runs.named_parameters()) | dict(self.runs.named_buffers())
        arguments = (tensors, without_none(inputs), without_none(tuple(extras)))
        before = [(layer, vars(layer).copy()) for layer in self.runs.modules()] if self._has_own_code else []
        try:
            if self.recorded and (key[0] == "gradients" or not torch.is_grad_enabled()):
                modes = tuple(layer.training for layer in self.runs.modules())
                result, changed = self._recordings((*key, modes), function, arguments)
            else:
                result, changed = function(*arguments)
        except TenfoldError:
            raise
        except (RuntimeError, ValueError, NotImplementedError) as error:
            raise explain(error, class_name(self._plain[0])) from error
        finally:
            # What a pass has left in attributes are tensors of vmap, which nobody can use after it.
            for layer, own in before:
                layer.__dict__.clear()
                layer.__dict__.update(own)
        for name, tensor in changed.items():
            self._replace_buffer(name, tensor)
        return with_none(result)

    def _replace_buffer(self, name: str, stacked: Tensor) -> None:
        """Keep a buffer that a pass has assigned anew. Not written into the old one, which autograd may have saved."""
        path, _, last = name.rpartition(".")
        stacked = stacked.detach().contiguous()
        self.runs.get_submodule(path)._buffers[last] = stacked
        for run, view in enumerate(self._views):
            view.get_submodule(path)._buffers[last] = stacked.data[run].data
        self._places.pop(name, None)

    def keep_buffers(self) -> None:
        """Take over buffers that the modules of ``views`` have assigned anew, which are no views of the stack's then.

        Raises:
            RequestError: if one has another shape or type than before.
        """
        if not self._views:
            return
        for name, stacked in [*self.runs.named_buffers()]:
            if name not in self._places:
                self._places[name] = self._rows_of(name, stacked)
            own = [table[key] for table, key, _ in self._places[name]]
            # Every pass of a loop comes here: addresses are compared, submodules are not looked up.
            addresses = [address for _, _, address in self._places[name]]
            if [tensor.data_ptr() for tensor in own] == addresses and own[0].dtype == stacked.dtype:
                continue
            for tensor in own:
                expect_same_kind(name, tensor, stacked[0])
            self._replace_buffer(name, torch.stack([tensor.detach() for tensor in own]))

    def _rows_of(self, name: str, stacked: Tensor) -> list[tuple[dict[str, Any], str, int]]:
        path, _, last = name.rpartition(".")
        tables: list[dict[str, Any]] = [view.get_submodule(path)._buffers for view in self._views]
        return [(table, last, stacked[run].data_ptr()) for run, table in enumerate(tables)]

    def _all_runs(self, fn: Callable, shared: bool, constants: Mapping[str, Any]) -> Callable:
        """The function of all runs, by vmap: its result and the buffers assigned anew. In training compiled if wanted,
        and then kept for the next call.
        """

        # Not functional_call's own handling of tied tensors: it does not restore a module that is used in two places.
        first_name = {id(tensor): name for name, tensor in reversed(_tensors(self.runs))}
        names = {name: first_name[id(tensor)] for name, tensor in _tensors(self.runs)}

        def one(tensors: dict[str, Tensor], inputs: tuple, extras: Sequence[Any]) -> Any:
            own = {name: tensors[first] for name, first in names.items()}
            given = dict(own)
            positional, named = with_none(inputs)
            # It leaves in ``own`` what the module has assigned.
            output = functional_call(self.runs, own, positional, named | dict(constants), tie_weights=False)
            changed = {name: own[name] for name in names if own[name] is not given[name]}
            for name, tensor in changed.items():
                expect_same_kind(name, tensor, given[name])
            result = fn(output, *with_none(tuple(extras)))
            if result is None:
                raise no_tensors("NoneType")
            return without_none(result), changed

        every = torch.func.vmap(one, in_dims=(0, None if shared else 0, 0), randomness="error")
        if not (self.compiled and self.training):
            return without_saved_hooks(every)
        key = (fn, shared, tuple(sorted(constants.items())))
        if key not in self._compiled:
            self._compiled[key] = torch.compile(every)
        return self._compiled[key]

    def views(self) -> list[nn.Module]:
        """R modules, one per run, whose parameters and buffers are views of the stack's; changing one changes both."""
        flat = self.flatten_()
        if not self._views:
            self._views = [_view(self.runs, run) for run in range(self.n_runs)]
            for view in self._views:
                if flat.device.type == "cpu":
                    channels_last_hooks(view)
        for view in self._views:
            if self._has_own_modes:
                view.train(self.runs.training)
            # Layer by layer, not view.train(): some layers may have been set to eval.
            for layer, stacked in zip(view.modules(), self.runs.modules(), strict=True):
                layer.training = stacked.training
        return self._views

    # -- taking one out -----------------------------------------------------------------------------------------------

    def module(self, run: int) -> nn.Module:
        """One run as a plain module of the user's own class, with copies of the run's parameters and buffers.

        Args:
            run: 0 to R - 1; negative numbers count from the end.
        Raises:
            RequestError: if there is no such run.
        """
        if not -self.n_runs <= run < self.n_runs:
            raise RequestError(f"run {run}: expected 0 to {self.n_runs - 1}")
        self.keep_buffers()
        module = copy.deepcopy(self._plain[0])
        own = dict(module.named_parameters()) | dict(module.named_buffers())
        tensors = dict(self.runs.named_parameters()) | dict(self.runs.named_buffers())
        with torch.no_grad():
            for name, tensor in own.items():
                # .data, so that a module that was built with another dtype or device takes those of the stack.
                tensor.data = tensors[name][run].detach().clone()
        if self._has_own_modes:
            module.train(self.runs.training)
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
    """Every parameter and buffer of every module, tied ones under each of their names; each module once."""
    return [
        (f"{path}.{name}" if path else name, tensor)
        for path, layer in module.named_modules()
        for name, tensor in [*layer._parameters.items(), *layer._buffers.items()]
        if tensor is not None
    ]


def _identity(output: Any) -> Any:
    return output


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _why_not(module: nn.Module, *, how: How, compiled: bool, recorded: bool) -> str:
    """Why the operations of a stack are not recorded; "" if they are."""
    if not recorded:
        return "not asked for"
    if how != "vmap":
        return f"how is '{how}'"
    return "it is compiled" if compiled else why_not_recorded(module)


def _remove_idle_dropout(singles: Sequence[nn.Module]) -> None:
    """Remove dropout with rate 0 in all runs, as between recurrent layers by default: it would draw unused numbers."""
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
        if isinstance(tensor, nn.Parameter):
            memo[id(tensor)] = nn.Parameter(tensor.detach()[run], requires_grad=tensor.requires_grad)
        else:  # .data: autograd counts what is written into a buffer for each run by itself
            memo[id(tensor)] = tensor.data[run].data
    copied = copy.deepcopy(runs, memo)
    watch_optimisers()
    view_parameters = dict(copied.named_parameters())
    for name, stacked in runs.named_parameters():
        if stacked.requires_grad:
            view_parameters[name].register_post_accumulate_grad_hook(partial(pass_on_gradient, stacked, name, run))
    for module in copied.modules():
        if isinstance(module, nn.RNNBase):  # has a second list of its weights, which deepcopy does not rebuild
            module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
    return copied


def _shares(parameter: Tensor, flat: Tensor) -> bool:
    return parameter.untyped_storage().data_ptr() == flat.untyped_storage().data_ptr() and parameter.dtype == flat.dtype


def _is_constant(value: Any) -> bool:
    return isinstance(value, bool | int | float | str | torch.dtype | torch.device)
