"""How modules are put together: tied weights, several inputs, nested outputs and containers, frozen parts, control."""

from __future__ import annotations

import functools
from collections import OrderedDict
from typing import NamedTuple

import torch
from corpus_case import Case, both, features, sequence, words
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune
from torch.utils.checkpoint import checkpoint


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 4, padding_idx=1)
        self.mix = nn.Linear(4, 4)
        self.score = nn.Linear(4, 6)
        self.score.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.score(self.mix(self.embed(tokens)).tanh().mean(1))


class UsedTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.same = self.layer
        self.drop = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.same(self.drop(self.layer(x)).tanh()))


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.read = nn.Embedding(6, 3), nn.Linear(8, 3)

    def forward(self, x: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        seen, heard = self.read(x[:, 0]), self.embed(tokens).mean(1)
        return seen * heard, seen


class Fields(NamedTuple):
    logits: Tensor
    more: dict[str, Tensor]


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        blocks = [nn.ModuleDict({"a": nn.Linear(8, 8), "b": nn.Sequential(nn.Tanh(), nn.Linear(8, 8))})]
        self.blocks = nn.ModuleList([*blocks, nn.ModuleDict(OrderedDict(a=nn.Linear(8, 8), b=nn.Identity()))])

    def forward(self, x: Tensor) -> Fields:
        for block in self.blocks:
            x = x + block["b"](block["a"](x))  # type: ignore[index]
        return Fields(x, {"mean": x.mean(), "pair": (x, x * 2)[1]})


class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)).requires_grad_(False)
        self.head = nn.Linear(4, 3)
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.base(x).tanh())


class PartlyFrozen(Frozen):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.base(x)
        return self.head(x)


class HalfInTraining(nn.Module):
    """Batch norm that stays in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))

    def train(self, mode: bool = True) -> HalfInTraining:
        super().train(mode)
        self.layers[1].eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Stateless(nn.Module):
    """Layers without tensors in a plain list, functions, partial objects: the same in every run."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Linear(8, 4)
        self.activations = [
            nn.Tanh(),
            nn.LeakyReLU(0.3),
            torch.sin,
            functools.partial(F.leaky_relu, negative_slope=0.1),
        ]
        self.table = {"scale": torch.arange(4.0, dtype=torch.float64), "shape": (2, [1, None])}
        self.by_name = self.double_it

    def double_it(self, x: Tensor) -> Tensor:
        return x * 2 + self.read.bias

    def forward(self, x: Tensor) -> Tensor:
        x = self.read(x)
        for activation in self.activations:
            x = activation(x)
        return self.by_name(x) * self.table["scale"]  # type: ignore[operator]


class Residual(nn.Module):
    """The number of passes is an argument of the class; einsum, indices, in-place work on its own tensors."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.depth = depth
        self.core = nn.Parameter(0.3 * torch.randn(8, 8))

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.depth):
            x = x + torch.einsum("bi,ij->bj", x, self.core).tanh()
        x = x.clone()
        x[:, 0] += 1
        return x


class Checkpointed(nn.Module):
    def __init__(self, *, reentrant: bool = False, dropout: bool = False) -> None:
        super().__init__()
        self.reentrant = reentrant
        self.layers = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Dropout(0.5) if dropout else nn.Identity())
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(checkpoint(self.layers, self.head.weight.sum() * 0 + x, use_reentrant=self.reentrant))


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return 3 * x * grad


class Straight(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):  # type: ignore[no-untyped-def]
        return x.sign()

    @staticmethod
    def setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
        pass

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return grad


class WithFunction(nn.Module):
    def __init__(self, function: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(8, 3), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function.apply(self.layer(x))  # type: ignore[return-value]


class Functional(nn.Module):
    """The functional form of a lookup with a padding index."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.table, self.options = nn.Parameter(torch.randn(6, 3)), options

    def forward(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.table, **self.options)  # type: ignore[arg-type]


class Named(nn.Embedding):
    """Inherits from nn.Embedding."""

    def scale(self) -> float:
        return 2.0


class Inherited(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = Named(6, 3, padding_idx=2)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.embed(tokens) * self.embed.scale() + 1


class Branching(nn.Module):
    """Which way it goes depends on the numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return y * 2 if y.mean() > 0 else y


class Experts(nn.Module):
    """One of two layers is used, by the numbers of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList([nn.Linear(8, 3), nn.Linear(8, 3)])

    def forward(self, x: Tensor) -> Tensor:
        return self.experts[int(x[0, 0] > 0)](x)


class Alternating(Experts):
    """One in every other call, by a count of calls."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.steps = self.steps + 1
        return self.experts[int(self.steps) % 2](x)


class OfLargeBatches(Experts):
    """A part that small batches do not use, and one that is used in evaluation only."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.experts[0](x)
        y = y + self.experts[1](x) if len(x) > 12 else y
        return y if self.training else y * self.last


class NoGradient(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, bias):  # type: ignore[no-untyped-def]
        return x + bias

    @staticmethod
    def setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
        pass

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return grad, None


class WithoutGradient(nn.Module):
    """A function that gives its parameter no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.bias = nn.Linear(8, 3), nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return NoGradient.apply(self.layer(x), self.bias)  # type: ignore[no-any-return]


class WritesIntoInput(Branching):
    def forward(self, x: Tensor) -> Tensor:
        x *= 2
        return self.layer(x)


def pruned() -> nn.Module:
    layer = nn.Linear(8, 3)
    prune.random_unstructured(layer, "weight", amount=0.5)  # type: ignore[no-untyped-call]
    return layer


class TensorHook(Branching):
    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        if y.requires_grad:
            y.register_hook(lambda grad: grad * 3)
        return y


class Cast(Branching):
    """Autocast in forward."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.layer(x)


class DrawnOrder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        order = torch.randperm(6).tolist()
        activations = [nn.Tanh(), nn.Softplus(), nn.Sigmoid(), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 8)]
        self.layers = nn.ModuleDict({str(at): activations[at] for at in order})

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers.values():
            x = layer(x)
        return x


class DrawnFrozen(Branching):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(8, 3).requires_grad_(bool(torch.rand(()) > 0.5)) for _ in range(8)])

    def forward(self, x: Tensor) -> Tensor:
        return sum(part(x) for part in self.parts)  # type: ignore[return-value]


class OwnModes(Branching):
    """Sets an attribute by the mode, in a train() of its own."""

    scale = 1.0

    def train(self, mode: bool = True) -> OwnModes:
        self.scale = 2.0 if mode else 3.0
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.scale


class CountsModes(OwnModes):
    def train(self, mode: bool = True) -> CountsModes:
        self.scale += 1
        return nn.Module.train(self, mode)  # type: ignore[return-value]


class MergesModes(OwnModes):
    def train(self, mode: bool = True) -> MergesModes:
        with torch.no_grad():
            self.layer.weight.mul_(2 if mode else 0.5)
        return nn.Module.train(self, mode)  # type: ignore[return-value]


STRUCTURES: dict[str, Case] = {
    "tied weights": Case(Tied, words),
    "a layer used twice": Case(UsedTwice),
    "several inputs": Case(Several, both),
    "nested containers and outputs": Case(Nested),
    "frozen parts": Case(Frozen),
    "a part without gradients": Case(PartlyFrozen),
    "a part in evaluation mode": Case(HalfInTraining),
    "attributes alike in all runs": Case(Stateless),
    "a loop in forward": Case(Residual),
    "inherits from Embedding": Case(Inherited, words),
    "functional embedding": Case(Functional, words),
    "functional embedding padded": Case(
        lambda: Functional(padding_idx=0), words, not_stacked=r"calls F.embedding\(padding_idx=...\) itself"
    ),
    "functional embedding sparse": Case(
        lambda: Functional(sparse=True), words, not_stacked=r"calls F.embedding\(sparse=True\)"
    ),
    "checkpoint": Case(Checkpointed, not_stacked="torch.utils.checkpoint does not work in a stack"),
    "checkpoint reentrant": Case(
        lambda: Checkpointed(reentrant=True),
        not_stacked="or torch.utils.checkpoint with use_reentrant=True",
        in_studies="set use_reentrant=False",
    ),
    "checkpoint of dropout": Case(lambda: Checkpointed(dropout=True), refused="torch.utils.checkpoint"),
    "autograd function": Case(lambda: WithFunction(Square), not_stacked="generate_vmap_rule = True"),
    "autograd function for vmap": Case(lambda: WithFunction(Straight)),
    "a branch on numbers": Case(Branching, not_stacked="failed in a stack: .*placement 'loop'"),
    "experts by the numbers": Case(
        Experts,
        not_stacked="failed in a stack: .*placement 'loop'",
        in_own_loop="has a gradient in run . of a stack and none in run .*SGD would move it",
    ),
    "experts by turns": Case(Alternating, not_stacked="failed in a stack: .*placement 'loop'"),
    "a part of large batches": Case(OfLargeBatches),
    "a function without a gradient": Case(WithoutGradient),
    "a hook of a tensor": Case(TensorHook, not_stacked="calls register_hook on a tensor in forward"),
    "autocast": Case(Cast, not_stacked="uses torch.autocast in forward"),
    "layers in a drawn order": Case(DrawnOrder, refused="'order of the layers of .*layers' is "),
    "drawn, which are trained": Case(DrawnFrozen, refused="'requires_grad of .*' is .*Draw the same for all runs"),
    "train() of its own": Case(OwnModes),
    "train() that counts": Case(CountsModes, refused="eval.. changes '.*scale'"),
    "train() that writes weights": Case(MergesModes, refused="eval.. changes '.*layer.weight'"),
    "compiled by torch.compile": Case(
        lambda: nn.Sequential(torch.compile(nn.Linear(8, 3), backend="eager")),  # type: ignore[arg-type]
        refused="'.*0' is compiled, by torch.compile",
    ),
    "pruned": Case(pruned, refused="torch.nn.utils.prune"),
    "writes into its input": Case(WritesIntoInput, refused="writes into its input 0"),
    "sequence in, sequence out": Case(lambda: nn.Sequential(nn.Linear(8, 8), nn.Softmax(-1)), sequence),
    "nothing to train": Case(nn.Identity, features),
}
