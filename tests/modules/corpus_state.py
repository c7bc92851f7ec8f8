"""What a module holds and changes: attributes, buffers, counters, hooks, random numbers."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from corpus_case import Case
from torch import Tensor, nn
from torch.nn import functional as F


class Base(nn.Module):
    """Linear(8, 4), then what an entry does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)
        self.more()

    def more(self) -> None:
        pass

    def forward(self, x: Tensor) -> Any:
        return self.then(self.layer(x))

    def then(self, y: Tensor) -> Any:
        return y


def made(more: Callable[[Any], Any] = lambda self: None, then: Callable[[Any, Tensor], Any] = lambda self, y: y) -> Any:
    """A class with these two methods."""
    return type("Net", (Base,), {"more": more, "then": then})


def keep(self: Any, name: str, value: Any) -> None:
    setattr(self, name, value)


def drawn(draw: Callable[[], Any], use: Callable[[Tensor, Any], Tensor]) -> Any:
    """With an attribute that is drawn in the constructor."""
    return made(lambda self: keep(self, "which", draw()), lambda self, y: use(y, self.which))


# -- attributes -------------------------------------------------------------------------------------------------------

DIFFERS = "which' is .*register_buffer"
HIDDEN = "holds a layer .*nn.ModuleList"


class Options:
    def __init__(self, slope: float) -> None:
        self.slope = slope


ATTRIBUTES = {
    "a drawn list": Case(drawn(lambda: torch.randperm(4)[:2].tolist(), lambda y, w: y[:, w]), refused=DIFFERS),
    "a drawn number": Case(drawn(lambda: torch.rand(()).item(), lambda y, w: y * w), refused=DIFFERS),
    "a drawn tensor": Case(drawn(lambda: torch.rand(4), lambda y, w: y * w.to(y)), refused=DIFFERS),
    "a drawn array": Case(
        drawn(lambda: torch.rand(4).numpy(), lambda y, w: y * torch.from_numpy(w).to(y)), refused=DIFFERS
    ),
    "drawn, deep inside": Case(
        drawn(lambda: {"a": [(torch.rand(()).item(),)]}, lambda y, w: y * w["a"][0][0]), refused=DIFFERS
    ),
    "drawn, in an object": Case(
        drawn(lambda: Options(torch.rand(()).item()), lambda y, w: y * w.slope), refused=DIFFERS
    ),
    "drawn, in a partial function": Case(
        drawn(lambda: functools.partial(torch.mul, torch.rand(()).item()), lambda y, w: w(y)), refused=DIFFERS
    ),
    "drawn, in a closure": Case(
        drawn(lambda: (lambda scale: lambda y: y * scale)(torch.rand(()).item()), lambda y, w: w(y)), refused=DIFFERS
    ),
    "a drawn buffer": Case(
        made(
            lambda self: self.register_buffer("which", torch.randperm(4)[:2]),
            lambda self, y: y.index_select(1, self.which),
        )
    ),
    "a drawn buffer outside the state dict": Case(
        made(
            lambda self: self.register_buffer("scale", torch.rand(4), persistent=False), lambda self, y: y * self.scale
        )
    ),
    "layers in a list": Case(
        made(lambda self: keep(self, "parts", [nn.Linear(4, 4).double()]), lambda self, y: self.parts[0](y)),
        refused=HIDDEN,
    ),
    "layers in a dict of lists": Case(
        made(
            lambda self: keep(self, "parts", {"a": (nn.Linear(4, 4).double(),)}), lambda self, y: self.parts["a"][0](y)
        ),
        refused=HIDDEN,
    ),
    "parameters in a list": Case(
        made(lambda self: keep(self, "parts", [nn.Parameter(torch.rand(4))]), lambda self, y: y * self.parts[0]),
        refused="a parameter that is not registered.*nn.ParameterList",
    ),
    "a parameter kept twice": Case(
        made(lambda self: keep(self, "parts", [self.layer.bias]), lambda self, y: y * self.parts[0]),
        refused="holds '.*layer.bias' a second time",
    ),
    "a layer kept twice": Case(
        made(lambda self: keep(self, "parts", [self.layer]), lambda self, y: y * self.parts[0].bias)
    ),
    "a function of the module": Case(
        made(lambda self: keep(self, "scale", lambda y: y * self.layer.bias), lambda self, y: self.scale(y)),
        refused="scale holds the module .*in its closure",
    ),
    "computed from parameters": Case(
        made(lambda self: keep(self, "total", self.layer.weight.sum()), lambda self, y: y * self.total),
        refused="total is computed from parameters in the constructor",
    ),
    "an iterator": Case(
        made(lambda self: keep(self, "numbers", iter(i for i in range(9))), lambda self, y: y),
        refused="its attribute '.*numbers' is a generator",
    ),
}

# -- what changes -----------------------------------------------------------------------------------------------------

CHANGES = r"changes in forward .*is used again.*register_buffer\('steps'"


def count(self: Any, y: Tensor) -> Tensor:
    self.steps += 1
    return y / self.steps


def mean(self: Any, y: Tensor) -> Tensor:
    self.mean = 0.9 * self.mean + 0.1 * y.detach().mean(0)
    return y - self.mean


def mean_in_place(self: Any, y: Tensor) -> Tensor:
    if self.training:
        self.mean.mul_(0.9).add_(0.1 * y.detach().mean(0))
    return y - self.mean


def used_and_replaced(self: Any, y: Tensor) -> Tensor:
    y = y * self.mean  # which autograd saves
    self.mean = self.mean + y.detach().mean(0).abs()
    return y


def grow(self: Any, y: Tensor) -> Tensor:
    self.steps.append(1)
    return y * len(self.steps)


def count_in_class(self: Any, y: Tensor) -> Tensor:
    type(self).steps += 1
    return y


def remember(self: Any, y: Tensor) -> Tensor:
    self.last, self.notes["last"] = y, y.mean()
    return y * 2


def clamp(self: Any, y: Tensor) -> Tensor:
    with torch.no_grad():
        self.layer.weight.clamp_(-0.2, 0.2)
    return y


def replace_weight(self: Any, y: Tensor) -> Tensor:
    self.layer.weight.data = self.layer.weight.data.clamp(-0.2, 0.2)
    return y


def renew_weight(self: Any, y: Tensor) -> Tensor:
    self.layer.weight = nn.Parameter(self.layer.weight.detach().clamp(-0.2, 0.2))
    return y


def first_seen(self: Any, y: Tensor) -> Tensor:
    if self.mean is None:
        self.mean = y.detach().mean(0)
    return y - self.mean


def lengthen(self: Any, y: Tensor) -> Tensor:
    self.mean = torch.cat([self.mean, y.detach().mean(0)])
    return y


def with_mean(self: Any) -> None:
    self.register_buffer("mean", torch.ones(4))


STATE = {
    "a counter": Case(made(lambda self: keep(self, "steps", 0), count), refused=CHANGES),
    "a counter in a list": Case(made(lambda self: keep(self, "steps", []), grow), refused=CHANGES),
    "a counter of the class": Case(
        lambda: type("Net", (Base,), {"steps": 0, "then": count_in_class})(), refused="Net.steps changes in forward"
    ),
    "a counter of Python's": Case(
        made(lambda self: keep(self, "steps", itertools.count(1)), lambda self, y: y / next(self.steps)),
        refused=CHANGES,
    ),
    "a counter in a buffer": Case(made(lambda self: self.register_buffer("steps", torch.tensor(0)), count)),
    "a mean in an attribute": Case(
        made(lambda self: keep(self, "mean", torch.zeros(4, dtype=torch.float64)), mean),
        refused=r"mean changes in forward .*register_buffer\('mean'",
    ),
    "a mean in a buffer": Case(made(with_mean, mean)),
    "a mean in a buffer, in place": Case(made(with_mean, mean_in_place)),
    "a buffer used and replaced": Case(made(with_mean, used_and_replaced)),
    "a buffer outside the state dict": Case(
        made(lambda self: self.register_buffer("mean", torch.ones(4), persistent=False), mean),
        in_studies="mean changes in forward .*in the state dict",
    ),
    "a buffer that is made in forward": Case(
        made(lambda self: self.register_buffer("mean", None), first_seen), refused="mean' is new after forward"
    ),
    "a buffer that grows": Case(made(with_mean, lengthen), refused="gives '?.*'?mean' another shape"),
    "what is only remembered": Case(made(lambda self: keep(self, "notes", {}), remember)),
    "weights clamped in place": Case(made(then=clamp)),
    "weights replaced": Case(made(then=replace_weight), refused="gives the parameter '.*layer.weight' a new tensor"),
    "weights made anew": Case(made(then=renew_weight), refused="gives the parameter '.*layer.weight' a new tensor"),
}

# -- hooks ------------------------------------------------------------------------------------------------------------


def scale_by_own(layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return output * layer.bias


def hooked(hook: Callable[[Any], Any], kind: str = "register_forward_hook") -> Any:
    return made(lambda self: getattr(self.layer, kind)(hook(self)))


class Method(Base):
    def more(self) -> None:
        self.scale = nn.Parameter(torch.rand(4))
        self.layer.register_forward_hook(self.scaled)
        self.layer.register_forward_pre_hook(self.shifted)

    def scaled(self, layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return output * self.scale

    def shifted(self, layer: nn.Module, inputs: Any) -> tuple[Tensor]:
        return (inputs[0] + 1,)


HOOKS = {
    "a hook that uses its layer": Case(hooked(lambda self: scale_by_own)),
    "hooks that are methods": Case(Method),
    "a hook with a constant": Case(hooked(lambda self: lambda layer, inputs, output: output * 2)),
    "a hook with a drawn number": Case(
        hooked(lambda self: (lambda scale: lambda layer, inputs, output: output * scale)(torch.rand(()).item())),
        refused="the forward hook of '.*layer'.*",
    ),
    "a hook that holds the module": Case(
        hooked(lambda self: lambda layer, inputs, output: output * self.layer.bias),
        refused="the forward hook of '.*layer' holds the module .*first argument",
    ),
    "a hook that holds a parameter": Case(
        hooked(
            lambda self: (lambda bias: lambda layer, inputs: (inputs[0] + bias.sum(),))(self.layer.bias),
            "register_forward_pre_hook",
        ),
        refused="the forward pre-hook of '.*layer' holds the module or a tensor",
    ),
    "a backward hook": Case(
        hooked(
            lambda self: lambda layer, ins, outs: tuple(None if g is None else 2 * g for g in ins),
            "register_full_backward_hook",
        )
    ),
    "a hook of a parameter": Case(
        made(lambda self: keep(self, "handle", self.layer.weight.register_hook(lambda grad: grad * 2))),
        refused="layer.weight' of .* has a hook on its gradient",
    ),
}

# -- random numbers ---------------------------------------------------------------------------------------------------

INSIDE = "draws random numbers inside forward"
IN_EVALUATION = "draws random numbers in evaluation"

RANDOM = {
    "random": Case(made(then=lambda self, y: y * random.random()), refused="Python's random"),
    "numpy.random": Case(
        made(then=lambda self, y: y * np.random.rand()),  # noqa: NPY002
        refused="numpy.random",
    ),
    "a new generator in every call": Case(
        made(then=lambda self, y: y * np.random.default_rng().random()), refused="gives other outputs"
    ),
    "a generator of NumPy": Case(
        made(lambda self: keep(self, "rng", np.random.default_rng(0)), lambda self, y: y * self.rng.random()),
        refused="rng changes in forward",
    ),
    "a generator of PyTorch": Case(
        made(
            lambda self: keep(self, "rng", torch.Generator().manual_seed(0)),
            lambda self, y: y * torch.rand((), generator=self.rng),
        ),
        refused="rng changes in forward|draws random numbers inside forward",
    ),
    "noise in training": Case(
        made(then=lambda self, y: y + 0.1 * torch.randn_like(y) if self.training else y), not_stacked=INSIDE
    ),
    "functional dropout": Case(made(then=lambda self, y: F.dropout(y, 0.3, self.training)), not_stacked=INSIDE),
    "functional dropout, always": Case(
        made(then=lambda self, y: F.dropout(y, 0.3)), not_stacked=INSIDE, in_studies=IN_EVALUATION
    ),
    "weights from numpy.random": Case(
        made(
            lambda self: self.register_buffer("scale", torch.from_numpy(np.random.rand(4))),  # noqa: NPY002
            lambda self, y: y * self.scale,
        )
    ),
    "weights from random": Case(
        made(lambda self: self.register_buffer("scale", torch.tensor(random.random())), lambda self, y: y * self.scale)
    ),
    "weights that nothing seeds": Case(
        made(
            lambda self: self.register_buffer("scale", torch.from_numpy(np.random.default_rng().random(4))),
            lambda self, y: y * self.scale,
        ),
        in_studies="scale' of .* differs between two modules built from one seed",
    ),
}

STATES: dict[str, Case] = ATTRIBUTES | STATE | HOOKS | RANDOM
