"""Losses under vmap, recorded, in a stack and on several threads: a run in a stack is the run alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from tenfold.losses import (
    DISTANCES,
    MININGS,
    contrastive_loss,
    numbers_needed,
    prototypical_loss,
    triplet_loss,
    violating_fraction,
)
from tenfold.seeds import derive, uniform
from tenfold.stack import Stack

CLASSES, IMAGES, DIMENSION, RUNS = 6, 4, 7, 3
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def with_triplets(mining: str, distance: str, embeddings: Tensor, margin: Tensor, key: Tensor, step: Tensor) -> Tensor:
    numbers = uniform(key, step, numbers_needed(CLASSES, IMAGES))
    return triplet_loss(embeddings, margin=margin, mining=mining, distance=distance, numbers=numbers)  # type: ignore[arg-type]


def contrastive(distance: str, embeddings: Tensor, margin: Tensor, key: Tensor, step: Tensor) -> Tensor:
    return contrastive_loss(embeddings, positive_margin=margin / 4, margin=margin, distance=distance)  # type: ignore[arg-type]


def prototypical(distance: str, embeddings: Tensor, margin: Tensor, key: Tensor, step: Tensor) -> Tensor:
    return prototypical_loss(embeddings, n_support=1, distance=distance, scale=margin)  # type: ignore[arg-type]


LOSSES: dict[str, Loss] = {
    **{
        f"{mining}, {distance}": partial(with_triplets, mining, distance)
        for mining in MININGS
        for distance in DISTANCES
    },
    **{f"contrastive, {distance}": partial(contrastive, distance) for distance in DISTANCES},
    **{f"prototypical, {distance}": partial(prototypical, distance) for distance in DISTANCES},
}


def values(*, dtype: torch.dtype = torch.float64, n_runs: int = RUNS) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Embeddings, a margin of its own for each run, keys and steps."""
    numbers = torch.Generator().manual_seed(0)
    centres = torch.randn(n_runs, CLASSES, 1, DIMENSION, generator=numbers, dtype=torch.float64)
    embeddings = centres + torch.randn(n_runs, CLASSES, IMAGES, DIMENSION, generator=numbers, dtype=torch.float64)
    margins = torch.linspace(0.5, 2.0, n_runs, dtype=dtype)
    keys = torch.tensor([derive(0, "m", run, "loss") for run in range(n_runs)])
    return embeddings.to(dtype), margins, keys, torch.full((n_runs,), 11)


def loss_and_gradient(loss: Loss) -> Callable:
    def of_runs(embeddings: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        leaf = embeddings.detach().requires_grad_()
        losses = torch.func.vmap(loss, randomness="error")(leaf, *rest)
        (grad,) = torch.autograd.grad(losses.sum(), leaf)
        return losses.detach(), grad

    return of_runs


@pytest.mark.parametrize("name", LOSSES)
def test_stacked_equals_alone_with_margins_of_their_own(name: str) -> None:
    given = values()
    losses, grads = loss_and_gradient(LOSSES[name])(*given)
    assert losses.unique().numel() == RUNS
    for run in range(RUNS):
        embeddings = given[0][run].clone().requires_grad_()
        alone = LOSSES[name](embeddings, *(each[run] for each in given[1:]))
        alone.backward()
        torch.testing.assert_close(losses[run], alone.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(grads[run], embeddings.grad, rtol=1e-11, atol=1e-12)
        # A plain number as margin, as somebody without configs gives it.
        plain = LOSSES[name](embeddings, float(given[1][run]), *(each[run] for each in given[2:]))  # type: ignore[arg-type]
        torch.testing.assert_close(plain, alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_under_grad_of_vmap_and_vmap_of_grad(name: str) -> None:
    given = values()
    losses, grads = loss_and_gradient(LOSSES[name])(*given)
    inside, values_inside = torch.func.vmap(torch.func.grad_and_value(LOSSES[name]))(*given)
    torch.testing.assert_close(values_inside, losses, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(inside, grads, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_a_recording_holds_for_other_values(name: str) -> None:
    """Recorded with fake tensors: nothing in it may depend on what the values were."""
    function = loss_and_gradient(LOSSES[name])
    first = values(dtype=torch.float32)
    graph = make_fx(function, tracing_mode="fake")(*first)
    second = (first[0].flip(0) * 1.7, first[1] * 0.6, first[2].flip(0), first[3] + 5)
    for given in (first, second):
        for recorded, plain in zip(graph(*given), function(*given), strict=True):
            torch.testing.assert_close(recorded, plain, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(graph(*first)[0], graph(*second)[0])


@pytest.mark.parametrize("name", LOSSES)
def test_a_margin_in_another_precision_leaves_the_loss_in_its_own(name: str) -> None:
    embeddings, margins, keys, steps = values(dtype=torch.float32)
    alone = LOSSES[name](embeddings[0], margins[0].double(), keys[0], steps[0])
    stacked = torch.func.vmap(LOSSES[name])(embeddings, margins.double(), keys, steps)
    assert (alone.dtype, stacked.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(stacked[0], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
def test_violating_fraction_stacked(distance: str) -> None:
    embeddings, margins, *_ = values()
    share = partial(violating_fraction, distance=distance)  # type: ignore[arg-type]
    stacked = torch.func.vmap(lambda e, m: share(e, margin=m))(embeddings, margins)
    assert 0 < float(stacked[0]) < 1
    for run in range(RUNS):
        assert float(stacked[run]) == float(share(embeddings[run], margin=margins[run]))


@pytest.mark.parametrize("name", ["informative, squared-euclidean", "all, euclidean", "prototypical, cosine"])
def test_in_a_recorded_stack(name: str) -> None:
    """What the engine does with a task's loss, against a plain loop with autograd."""

    def then(output: Tensor, extras: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return LOSSES[name](output.unflatten(0, (CLASSES, IMAGES)), *extras), output

    torch.manual_seed(0)
    modules = [nn.Sequential(nn.Linear(9, 12), nn.Tanh(), nn.Linear(12, DIMENSION)).double() for _ in range(RUNS)]
    inputs = torch.randn(RUNS, CLASSES * IMAGES, 9, dtype=torch.float64)
    _, margins, keys, steps = values()
    for recorded in (False, True):
        stack = Stack(modules, keys=range(RUNS), recorded=recorded)
        losses, _, grads = stack.gradients(then, (inputs,), ((margins, keys, steps),))
        for run, module in enumerate(modules):
            alone, _ = then(module(inputs[run]), (margins[run], keys[run], steps[run]))
            expected = torch.autograd.grad(alone, list(module.parameters()))
            torch.testing.assert_close(losses[run], alone.detach(), rtol=1e-11, atol=1e-12)
            for found, wanted in zip(grads, expected, strict=True):
                torch.testing.assert_close(found[run], wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_same_bits_every_time(mining: str, device: str) -> None:
    """Gradients of a negative that many anchors chose are added up in one order, on two threads or a GPU."""
    numbers = torch.Generator().manual_seed(0)
    embeddings = torch.randn(8, 60, 4, 20, generator=numbers).to(device)
    keys = torch.arange(8, device=device)
    steps = torch.zeros_like(keys)

    def loss(embeddings: Tensor, key: Tensor, step: Tensor) -> Tensor:
        given = uniform(key, step, numbers_needed(60, 4))
        return triplet_loss(embeddings, margin=2.0, mining=mining, distance="euclidean", numbers=given)  # type: ignore[arg-type]

    def gradient() -> Tensor:
        leaf = embeddings.clone().requires_grad_()
        torch.func.vmap(loss)(leaf, keys, steps).sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first = gradient()
        assert all(torch.equal(gradient(), first) for _ in range(3))
    finally:
        torch.set_num_threads(before)
