"""The loss of prototypical networks against a slow loop, and where it is known."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.errors import RequestError, ShapeError
from tenfold.losses import DISTANCES, prototypical_loss


@given(
    st.sampled_from(DISTANCES),
    st.tuples(st.integers(1, 4), st.integers(2, 4), st.integers(2, 5)),
    st.integers(1, 3),
    st.floats(0.1, 5),
    st.integers(0, 2**20),
)
@settings(deadline=None, max_examples=60)
def test_equals_a_slow_loop(
    slow: SimpleNamespace, distance: Any, size: tuple[int, int, int], n_support: int, scale: float, seed: int
) -> None:
    classes, images, _ = size
    n_support = min(n_support, images - 1)
    numbers = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(size, generator=numbers, dtype=torch.float64).requires_grad_()
    prototypes = [sum(embeddings[c, i] for i in range(n_support)) / n_support for c in range(classes)]
    terms = []
    for c in range(classes):
        for i in range(n_support, images):
            weights = [torch.exp(-scale * slow.apart(embeddings[c, i], each, distance)) for each in prototypes]
            terms.append(-torch.log(weights[c] / sum(weights)))
    expected = torch.stack(terms).mean()
    ours = prototypical_loss(embeddings, n_support=n_support, distance=distance, scale=scale)
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)
    mine, other = (torch.autograd.grad(loss, embeddings)[0] for loss in (ours, expected))
    torch.testing.assert_close(mine, other, rtol=1e-8, atol=1e-9)


def test_with_squared_distances_it_is_a_linear_classifier() -> None:
    """Snell et al. 2017, eq. 8: logits 2 c.x - c.c up to what all classes share."""
    embeddings = torch.randn(7, 5, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    prototypes = embeddings[:, :2].mean(1)
    queries = embeddings[:, 2:].flatten(0, 1)
    logits = 2 * queries @ prototypes.T - (prototypes**2).sum(1)
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(7).repeat_interleave(3))
    ours = prototypical_loss(embeddings, n_support=2, distance="squared-euclidean")
    assert float(ours) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("distance", DISTANCES)
def test_equal_embeddings_know_nothing(distance: Any) -> None:
    for value in (0.0, 0.37):
        embeddings = torch.full((6, 4, 5), value, requires_grad=True)
        loss = prototypical_loss(embeddings, n_support=1, distance=distance)
        loss.backward()
        assert float(loss.detach()) == pytest.approx(math.log(6), abs=1e-5)
        assert embeddings.grad is not None
        assert bool(torch.isfinite(embeddings.grad).all())


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_single_class_gives_nothing(distance: Any) -> None:
    embeddings = torch.rand(1, 4, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = prototypical_loss(embeddings, n_support=2, distance=distance)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert embeddings.grad is not None
    assert bool((embeddings.grad == 0).all())


@pytest.mark.parametrize("n_support", [0, 4, -1])
def test_no_prototype_or_no_query_is_refused(n_support: int) -> None:
    with pytest.raises(RequestError, match=rf"n_support: expected 1 to 3, .* 4 images of each class, got {n_support}"):
        prototypical_loss(torch.zeros(3, 4, 5), n_support=n_support, distance="cosine")


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(
        RequestError, match="unknown distance 'squared'; did you mean|unknown distance 'squared'; known"
    ):
        prototypical_loss(torch.zeros(2, 2, 2), n_support=1, distance="squared")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"got \(2, 2\)"):
        prototypical_loss(torch.zeros(2, 2), n_support=1, distance="cosine")
