"""Distances: float32 against float64, near ones, equal ones, and their gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from tenfold.losses import DISTANCES
from tenfold.losses._distances import distance_matrix, of_other_classes, paired, positive_distances

SCIPY = {"squared-euclidean": "sqeuclidean", "euclidean": "euclidean", "cosine": "cosine"}


def clusters(*, centre: float, spread: float, width: float, n: int = 60, dimension: int = 20) -> Tensor:
    """float64 (2n, dimension): pairs ``width`` apart, ``spread`` around a point ``centre`` from the origin."""
    numbers = torch.Generator().manual_seed(0)
    points = centre + spread * torch.randn(n, 1, dimension, generator=numbers, dtype=torch.float64)
    return (points + width * torch.randn(n, 2, dimension, generator=numbers, dtype=torch.float64)).flatten(0, 1)


@pytest.mark.parametrize("distance", DISTANCES)
def test_all_forms_equal_scipy(distance: Any) -> None:
    first, second = clusters(centre=0, spread=1, width=0.1), clusters(centre=0.5, spread=2, width=0.3, n=10)
    expected = torch.from_numpy(cdist(first.numpy(), second.numpy(), SCIPY[distance]))
    torch.testing.assert_close(distance_matrix(first, second, distance), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(paired(first[:, None], second, distance), expected, rtol=1e-12, atol=1e-12)
    within = positive_distances(first.view(30, 4, 20), distance)
    for c in range(30):
        for i in range(4):
            others = [4 * c + j for j in range(4) if j != i]
            expected = cdist(first[4 * c + i : 4 * c + i + 1].numpy(), first[others].numpy(), SCIPY[distance])[0]
            torch.testing.assert_close(within[c, i], torch.from_numpy(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("centre", "spread"), [(0.0, 1.0), (100.0, 1.0), (0.0, 1e-3), (1.0, 1e-3)])
def test_the_matrix_in_float32_is_right_to_the_spread(centre: float, spread: float) -> None:
    """An error of a few roundings of the spread squared, however far away the embeddings are: a network whose
    embeddings have nearly collapsed onto one point is still mined rightly."""
    exact = clusters(centre=centre, spread=spread, width=0.1 * spread).float()
    expected = torch.from_numpy(cdist(exact.double().numpy(), exact.double().numpy(), "sqeuclidean"))
    found = distance_matrix(exact, exact, "squared-euclidean").double()
    largest = float(expected.max())
    assert float((found - expected).abs().max()) < 2e-6 * largest
    assert bool((found >= 0).all())


def test_without_the_centre_the_matrix_would_be_noise() -> None:
    """The twin: the plain formula fails the bound that the test above sets."""
    exact = clusters(centre=100.0, spread=1.0, width=0.1).float()
    sums = (exact * exact).sum(1)
    plain = (sums[:, None] + sums - 2 * exact @ exact.T).double()
    expected = torch.from_numpy(cdist(exact.double().numpy(), exact.double().numpy(), "sqeuclidean"))
    assert float((plain - expected).abs().max()) > 1e-4 * float(expected.max())


@pytest.mark.parametrize("distance", ["squared-euclidean", "euclidean"])
@pytest.mark.parametrize("width", [1e-1, 1e-4, 1e-7])
def test_near_pairs_keep_their_digits_where_they_stand_beside_each_other(distance: Any, width: float) -> None:
    exact = clusters(centre=0.0, spread=1.0, width=width).float().view(60, 2, 20)
    expected = positive_distances(exact.double(), distance)
    found = positive_distances(exact, distance)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("width", [0.0, 1e-8, 1e-6, 1e-4, 3e-4, 1e-3, 1e-2])
def test_gradients_of_near_pairs_stay_bounded(distance: Any, width: float) -> None:
    """The gradient of a Euclidean distance has length 1: noise below the root must not make it much longer."""
    points = clusters(centre=0.0, spread=1.0, width=width).float()
    for row in range(0, 120, 3):
        embeddings = points.clone().requires_grad_()
        partner = row ^ 1
        distance_matrix(embeddings, embeddings, distance)[row, partner].backward()
        assert embeddings.grad is not None
        assert bool(torch.isfinite(embeddings.grad).all())
        assert float(embeddings.grad[row].norm()) < (2.0 if distance == "euclidean" else 0.5)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("value", [0.0, 1e-30, 3.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_embeddings_are_nothing_apart(distance: Any, value: float, dtype: torch.dtype) -> None:
    embeddings = torch.full((4, 3, 5), value, dtype=dtype, requires_grad=True)
    batch = embeddings.flatten(0, 1)
    forms = (distance_matrix(batch, batch, distance), positive_distances(embeddings, distance))
    for found in forms:
        (grad,) = torch.autograd.grad(found.sum(), embeddings, retain_graph=True)
        assert bool(torch.isfinite(grad).all())
        # Squares of 1e-30 vanish in float32: then they count as zeros, whose cosine similarity is 0 to all.
        vanished = distance == "cosine" and float(torch.tensor(value, dtype=dtype) ** 2) == 0
        assert float((found - float(vanished)).detach().abs().max()) < 1e-6
        if distance != "cosine":
            assert bool((found == 0).all())
            assert bool((grad == 0).all())


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_lost_embedding_is_not_hidden(distance: Any) -> None:
    embeddings = torch.ones(3, 2, 4)
    embeddings[1, 1, 2] = torch.nan
    batch = embeddings.flatten(0, 1)
    assert bool(torch.isnan(distance_matrix(batch, batch, distance)[3]).all())
    assert bool(torch.isnan(positive_distances(embeddings, distance)[1]).all())


def test_other_classes_are_those_of_another_class() -> None:
    expected = [[a // 3 != b // 3 for b in range(12)] for a in range(12)]
    assert of_other_classes(4, 3, torch.device("cpu")).tolist() == expected
