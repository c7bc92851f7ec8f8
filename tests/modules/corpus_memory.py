"""What a module remembers from one call to the next: outside of itself, for the other mode, of the first batch; and
what shares memory.
"""

from __future__ import annotations

import copy
import functools
from typing import Any, ClassVar

import torch
from corpus_case import Case
from corpus_state import Base, keep, made
from torch import Tensor, nn

STEPS = 0
SCALES: list[float] = []
TABLE: dict[Any, Any] = {}
LOG: list[int] = []
CALLS = 0
FACTOR = torch.ones(4, dtype=torch.float64)
NORM = nn.BatchNorm1d(4).double()


class Counter:
    n = 0


COUNTER = Counter()


def global_counter(self: Any, y: Tensor) -> Tensor:
    global STEPS
    STEPS += 1
    return y * 0.5 if STEPS > 1000 else y


def through_a_function(self: Any, y: Tensor) -> Tensor:
    return y / warmup()


def warmup() -> int:
    SCALES.append(1.0)
    return max(1, len(SCALES) - 1000)


def global_object(self: Any, y: Tensor) -> Tensor:
    COUNTER.n += 1
    return y if COUNTER.n < 1000 else -y


def global_in_place(self: Any, y: Tensor) -> Tensor:
    FACTOR.mul_(0.999)
    return y * FACTOR


def global_layer(self: Any, y: Tensor) -> Tensor:
    return NORM(y)


def once_from_weights(self: Any, y: Tensor) -> Tensor:
    if "norm" not in TABLE:
        TABLE["norm"] = self.layer.weight.detach().norm()
    return y / TABLE["norm"]


def in_default(self: Any, y: Tensor, seen: list[int] = []) -> Tensor:  # noqa: B006
    seen.append(1)
    return y * len(seen)


def in_function(self: Any, y: Tensor) -> Tensor:
    in_function.calls = getattr(in_function, "calls", 0) + 1  # type: ignore[attr-defined]
    return y if in_function.calls < 1000 else -y  # type: ignore[attr-defined]


def in_closure() -> nn.Module:
    calls = 0

    def then(self: Any, y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return y if calls < 1000 else -y

    return made(then=then)()


def only_noted(self: Any, y: Tensor) -> Tensor:
    global CALLS
    CALLS += 1
    LOG.append(len(y))
    if len(LOG) > 10**9:
        raise RuntimeError("enough")
    return y * 2


def cached_mask(self: Any, y: Tensor) -> Tensor:
    n = y.shape[-1]
    if n not in TABLE:
        TABLE[n] = torch.ones(n, n, dtype=torch.float64).tril()
    return y @ TABLE[n] + mask_of(n)[0]


@functools.lru_cache
def mask_of(n: int) -> Tensor:
    return torch.ones(n, n, dtype=torch.float64).triu()


class OfClass(Base):
    """A cache of the class, filled once from the weights."""

    cache: ClassVar[dict[str, Tensor]] = {}

    def then(self, y: Tensor) -> Tensor:
        if "bias" not in self.cache:
            self.cache["bias"] = self.layer.bias.detach().clone()
        return y - self.cache["bias"]


class CachedMethod(Base):
    @functools.lru_cache(maxsize=8)  # noqa: B019
    def total(self) -> Tensor:
        return self.layer.weight.detach().sum()

    def then(self, y: Tensor) -> Tensor:
        return y * self.total()


class CachedProperty(Base):
    @functools.cached_property
    def total(self) -> Tensor:
        return self.layer.weight.detach().sum()

    def then(self, y: Tensor) -> Tensor:
        return y * self.total


def of_first_batch(self: Any, y: Tensor) -> Tensor:
    if self.mean is None:
        self.mean = y.detach().mean(0)
    return y - self.mean


def for_evaluation(self: Any, y: Tensor) -> Tensor:
    if self.training:
        self.mean = y.detach().mean(0)
        return y
    return y if self.mean is None else y - self.mean


def last_of_training(self: Any, y: Tensor) -> Tensor:
    if self.training:
        self.mean = y.mean()
    return y


class FoldsInEvaluation(Base):
    """Computes a weight once for evaluation, and forgets it when training goes on."""

    folded: Tensor | None = None

    def train(self, mode: bool = True) -> FoldsInEvaluation:
        self.folded = None
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.layer(x)
        if self.folded is None:
            self.folded = self.layer.weight.detach() * 1.0
        return x @ self.folded.T + self.layer.bias


class Thaws(Base):
    """Trains its layer from the second call on."""

    def more(self) -> None:
        self.head = nn.Linear(4, 4)
        self.layer.requires_grad_(False)

    def then(self, y: Tensor) -> Tensor:
        self.layer.requires_grad_(True)
        return self.head(y)


def learns(self: Any, y: Tensor) -> Tensor:
    if y.requires_grad:
        y.square().mean().backward(retain_graph=True)
    return y


def hooks_weight(self: Any, y: Tensor) -> Tensor:
    if self.layer.weight.requires_grad:
        self.layer.weight.register_hook(lambda grad: grad * 2)
    return y + self.layer.weight.sum()


class MovingCopy(Base):
    """A copy that follows the weights, as exponential moving averages do."""

    def more(self) -> None:
        self.slow = copy.deepcopy(self.layer).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                for slow, own in zip(self.slow.parameters(), self.layer.parameters(), strict=True):
                    slow.mul_(0.9).add_(own, alpha=0.1)
        return self.layer(x) + self.slow(x)


def tie_data(self: Any) -> None:
    self.double().other = nn.Linear(8, 4).double()  # .double() afterwards would make new tensors
    self.other.weight.data = self.layer.weight.data


def modes_inside(self: Any, y: Tensor) -> Tensor:
    self.norm.eval()
    return self.norm(y)


REMEMBERS = "changes in forward .*is used again"
MEMORY = {
    "a counter that is global": Case(made(then=global_counter), refused=f"global variable 'STEPS' of .*py {REMEMBERS}"),
    "a global list, in a function": Case(made(then=through_a_function), refused=f"'SCALES' of .* {REMEMBERS}"),
    "a global object": Case(made(then=global_object), refused=f"(Counter.n|'COUNTER' of .*) {REMEMBERS}"),
    "a global tensor, in place": Case(made(then=global_in_place), refused=f"'FACTOR' of .* {REMEMBERS}"),
    "a global layer with statistics": Case(made(then=global_layer), refused=f"'NORM' of .* {REMEMBERS}"),
    "a global kept from weights": Case(made(then=once_from_weights), refused=f"'TABLE' of .* {REMEMBERS}"),
    "a default argument": Case(made(then=in_default), refused=f"default argument of 'in_default' {REMEMBERS}"),
    "an attribute of a function": Case(made(then=in_function), refused=f"of the function 'in_function' {REMEMBERS}"),
    "a closure of a method": Case(in_closure, refused=f"variable 'calls' around .* {REMEMBERS}"),
    "a log that nothing reads": Case(made(then=only_noted)),
    "masks kept by length": Case(made(then=cached_mask)),
    "a cache of the class": Case(OfClass, refused=f"OfClass.cache {REMEMBERS}"),
    "a cache of a method": Case(CachedMethod, refused="functools.lru_cache"),
    "a cached property of weights": Case(CachedProperty, refused=f"total {REMEMBERS}"),
    "kept from the first batch": Case(
        made(lambda self: keep(self, "mean", None), of_first_batch), refused=f"mean {REMEMBERS}"
    ),
    "kept in training for evaluation": Case(
        made(lambda self: keep(self, "mean", None), for_evaluation), refused=f"mean {REMEMBERS}"
    ),
    "kept in training, and not used": Case(made(lambda self: keep(self, "mean", None), last_of_training)),
    "folded for evaluation": Case(FoldsInEvaluation),
    "thaws in forward": Case(Thaws, refused="sets requires_grad of '.*layer.weight'"),
    "calls backward": Case(made(then=learns), refused="computes a gradient of '.*' by backward"),
    "hooks its weight in forward": Case(
        made(then=hooks_weight), refused="adds a hook to the gradient|calls register_hook on a tensor"
    ),
    "a moving copy": Case(MovingCopy),
    "weights tied by their data": Case(
        made(tie_data, lambda self, y: y + self.other.weight.sum()), refused="is in the same memory as '.*layer.weight'"
    ),
    "a view of a weight": Case(
        made(
            lambda self: (nn.init.ones_(self.double().layer.bias), keep(self, "seen", self.layer.bias.detach())),
            lambda self, y: y * self.seen,
        ),
        refused="seen is in the same memory as '.*layer.bias'",
    ),
    "a buffer that is a view of a weight": Case(
        made(lambda self: self.register_buffer("seen", self.double().layer.bias.data), lambda self, y: y * self.seen),
        refused="is in the same memory as '.*layer.bias'",
    ),
    "sets modes inside": Case(made(lambda self: keep(self, "norm", nn.BatchNorm1d(4)), modes_inside)),
}
