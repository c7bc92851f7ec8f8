"""The contrastive loss against pytorch-metric-learning and slow loops."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import distances, losses

from tenfold.errors import RequestError, ShapeError
from tenfold.losses import DISTANCES, contrastive_loss

PEER_DISTANCES = {
    "squared-euclidean": distances.LpDistance(normalize_embeddings=False, power=2),
    "euclidean": distances.LpDistance(normalize_embeddings=False),
    "cosine": distances.CosineSimilarity(),
}


def embeddings_of(*size: int, seed: int = 0) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(seed)
    return torch.randn(*size, generator=numbers, dtype=torch.float64).requires_grad_()


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, embeddings: torch.Tensor, *, within: float) -> None:
    torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=within, atol=within)
    mine, other = (torch.autograd.grad(loss, embeddings)[0] for loss in (ours, theirs))
    torch.testing.assert_close(mine, other, rtol=within, atol=within)


@pytest.mark.parametrize("size", [(12, 4, 16), (5, 2, 10), (60, 4, 20), (6, 1, 10), (1, 6, 10)])
@pytest.mark.parametrize(
    ("distance", "positive_margin", "margin"),
    [
        ("squared-euclidean", 0.0, 30.0),
        ("squared-euclidean", 20.0, 25.0),
        ("euclidean", 1.5, 5.0),
        ("cosine", 0.4, 1.1),
    ],
)
def test_equals_the_peers_loss(distance: Any, positive_margin: float, margin: float, size: tuple[int, ...]) -> None:
    embeddings = embeddings_of(*size)
    labels = torch.arange(size[0]).repeat_interleave(size[1])
    # The peer's margins of a similarity are similarities.
    margins = (1 - positive_margin, 1 - margin) if distance == "cosine" else (positive_margin, margin)
    peer = losses.ContrastiveLoss(*margins, distance=PEER_DISTANCES[distance])
    ours = contrastive_loss(embeddings, positive_margin=positive_margin, margin=margin, distance=distance)
    assert float(ours.detach()) > 0
    assert_same(ours, peer(embeddings.flatten(0, 1), labels), embeddings, within=1e-10)


@given(
    st.sampled_from(DISTANCES),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(2, 5)),
    st.floats(0, 2),
    st.floats(0, 4),
    st.integers(0, 2**20),
)
@settings(deadline=None, max_examples=40)
def test_equals_a_slow_loop(
    slow: SimpleNamespace, distance: Any, size: tuple[int, ...], positive_margin: float, margin: float, seed: int
) -> None:
    embeddings = embeddings_of(*size, seed=seed)
    batch, images = embeddings.flatten(0, 1), size[1]
    near, far = [embeddings.sum() * 0], [embeddings.sum() * 0]
    for a in range(len(batch)):
        for b in range(a):  # the loss is a mean, so either order of a pair will do
            apart = slow.apart(batch[a], batch[b], distance)
            if a // images == b // images:
                near += [apart - positive_margin] if apart > positive_margin else []
            else:
                far += [margin - apart] if apart < margin else []
    expected = sum(sum(part) / max(len(part) - 1, 1) for part in (near, far))
    ours = contrastive_loss(embeddings, positive_margin=positive_margin, margin=margin, distance=distance)
    assert_same(ours, expected, embeddings, within=1e-9)  # type: ignore[arg-type]


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("size", [(1, 1, 3), (3, 2, 2)])
def test_no_pair_with_a_loss_gives_nothing(distance: Any, size: tuple[int, int, int]) -> None:
    angle = torch.arange(size[0]) * 2.0
    embeddings = torch.stack([angle.cos(), angle.sin()], 1)[:, None].repeat(1, size[1], 1).requires_grad_()
    loss = contrastive_loss(embeddings, positive_margin=0.1, margin=0.3, distance=distance)
    loss.backward()
    assert (loss.shape, float(loss.detach())) == ((), 0.0)
    assert embeddings.grad is not None
    assert bool((embeddings.grad == 0).all())


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("value", [0.0, 0.37])
def test_equal_embeddings_have_finite_gradients(distance: Any, value: float) -> None:
    embeddings = torch.full((4, 3, 5), value, requires_grad=True)
    loss = contrastive_loss(embeddings, positive_margin=0.0, margin=1.5, distance=distance)
    loss.backward()
    assert embeddings.grad is not None
    assert bool(torch.isfinite(embeddings.grad).all())
    # A vector of zeros has cosine similarity 0 to all, also to itself.
    expected = 1.0 + 0.5 if (distance, value) == ("cosine", 0.0) else 1.5
    assert float(loss.detach()) == pytest.approx(expected, abs=1e-5)


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(RequestError, match="unknown distance 'cosin'; did you mean 'cosine'"):
        contrastive_loss(torch.zeros(2, 2, 2), positive_margin=0, margin=1, distance="cosin")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"got \(2, 2\)"):
        contrastive_loss(torch.zeros(2, 2), positive_margin=0, margin=1, distance="cosine")
