"""Triplet losses against pytorch-metric-learning, slow loops and what a random choice promises."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import distances, losses, miners, reducers
from scipy import stats
from torch import Tensor

from tenfold.errors import RequestError, ShapeError
from tenfold.losses import DISTANCES, DRAWING, MININGS, _triplet, numbers_needed, triplet_loss, violating_fraction
from tenfold.losses._distances import distance_matrix, of_other_classes, positive_distances
from tenfold.seeds import derive, uniform

PEER_DISTANCES = {
    "squared-euclidean": distances.LpDistance(normalize_embeddings=False, power=2),
    "euclidean": distances.LpDistance(normalize_embeddings=False),
    "cosine": distances.CosineSimilarity(),
}
MARGINS = {"squared-euclidean": 6.0, "euclidean": 0.8, "cosine": 0.3}
SIZES = [(12, 4, 16), (5, 2, 10), (3, 6, 64)]


def embeddings_of(classes: int, images: int, dimension: int, *, seed: int = 0, spread: float = 0.8) -> Tensor:
    """Classes around centres of their own, overlapping."""
    numbers = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, 1, dimension, generator=numbers, dtype=torch.float64)
    noise = torch.randn(classes, images, dimension, generator=numbers, dtype=torch.float64)
    return (centres * spread + noise).requires_grad_()


def numbers_of(classes: int, images: int, *, seed: int = 0, step: int = 0) -> Tensor:
    return uniform(torch.tensor(derive(seed, "loss")), torch.tensor(step), numbers_needed(classes, images))


def assert_same(ours: Tensor, theirs: Tensor, embeddings: Tensor, *, within: float = 1e-10) -> None:
    torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=within, atol=within)
    (mine,) = torch.autograd.grad(ours, embeddings)
    (other,) = torch.autograd.grad(theirs, embeddings)
    torch.testing.assert_close(mine, other, rtol=within, atol=within)


def peer(
    embeddings: Tensor, *, margin: float, distance: str, miner: Any = None, triplets: Any = None, mean: bool = False
) -> Tensor:
    """TripletMarginLoss; ``mean`` over all triplets instead of over those above 0."""
    classes, images, _ = embeddings.shape
    labels = torch.arange(classes).repeat_interleave(images)
    options = {"reducer": reducers.MeanReducer()} if mean else {}
    loss = losses.TripletMarginLoss(margin=margin, distance=PEER_DISTANCES[distance], **options)
    batch = embeddings.flatten(0, 1)
    if miner is not None:
        triplets = miner(batch, labels)
    return loss(batch, labels, triplets)


# -- against pytorch-metric-learning ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [*SIZES, (60, 4, 20)])
@pytest.mark.parametrize("distance", DISTANCES)
def test_all_is_triplet_margin_loss_with_and_without_its_miner(distance: Any, size: tuple[int, int, int]) -> None:
    embeddings, margin = embeddings_of(*size), MARGINS[distance]
    ours = triplet_loss(embeddings, margin=margin, mining="all", distance=distance)
    assert float(ours.detach()) > 0.05
    assert_same(ours, peer(embeddings, margin=margin, distance=distance), embeddings)
    ours = triplet_loss(embeddings, margin=margin, mining="all", distance=distance)
    miner = miners.TripletMarginMiner(margin, "all", distance=PEER_DISTANCES[distance])
    assert_same(ours, peer(embeddings, margin=margin, distance=distance, miner=miner), embeddings)


@pytest.mark.parametrize("size", [*SIZES, (60, 4, 20)])
@pytest.mark.parametrize("distance", DISTANCES)
def test_batch_hard_is_batch_hard_miner(distance: Any, size: tuple[int, int, int]) -> None:
    embeddings, margin = embeddings_of(*size, spread=2.0), MARGINS[distance]
    ours = triplet_loss(embeddings, margin=margin, mining="batch-hard", distance=distance)
    miner = miners.BatchHardMiner(distance=PEER_DISTANCES[distance])
    assert_same(ours, peer(embeddings, margin=margin, distance=distance, miner=miner, mean=True), embeddings)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("distance", DISTANCES)
def test_hardest_is_all_positives_with_the_hardest_negative(distance: Any, size: tuple[int, int, int]) -> None:
    embeddings, margin = embeddings_of(*size), MARGINS[distance]
    ours = triplet_loss(embeddings, margin=margin, mining="hardest", distance=distance)
    miner = miners.BatchEasyHardMiner("all", "hard", distance=PEER_DISTANCES[distance])
    assert_same(ours, peer(embeddings, margin=margin, distance=distance, miner=miner, mean=True), embeddings)


@pytest.mark.parametrize("size", [*SIZES, (60, 4, 20)])
@pytest.mark.parametrize("distance", DISTANCES)
def test_semi_hard_is_the_nearest_of_the_semi_hard_triplets(distance: Any, size: tuple[int, int, int]) -> None:
    embeddings, margin = embeddings_of(*size), MARGINS[distance]
    labels, batch = torch.arange(size[0]).repeat_interleave(size[1]), embeddings.detach().flatten(0, 1)
    d = PEER_DISTANCES[distance]
    found = miners.TripletMarginMiner(margin, "semihard", distance=d)(batch, labels)
    near = d(batch) if distance != "cosine" else 1 - d(batch)
    best: dict[tuple[int, int], int] = {}
    for a, p, n in zip(*(index.tolist() for index in found), strict=True):
        if (a, p) not in best or near[a, n] < near[a, best[a, p]]:
            best[a, p] = n
    assert 0 < len(best)
    assert len(best) < numbers_needed(*size[:2]) or size[0] == 60  # pairs without one are among them
    chosen = tuple(torch.tensor([(a, p, n) for (a, p), n in best.items()]).T)
    ours = triplet_loss(embeddings, margin=margin, mining="semi-hard", distance=distance)
    assert_same(ours, peer(embeddings, margin=margin, distance=distance, triplets=chosen), embeddings)


@pytest.mark.parametrize("mining", DRAWING)
@pytest.mark.parametrize("distance", DISTANCES)
def test_drawn_triplets_given_to_triplet_margin_loss(distance: Any, mining: Any, slow: SimpleNamespace) -> None:
    size = (7, 4, 12)
    embeddings, margin, numbers = embeddings_of(*size, spread=1.5), MARGINS[distance], numbers_of(7, 4)
    found = slow.triplets(embeddings, margin, mining, distance, numbers)
    chosen = tuple(torch.tensor(found).T)
    ours = triplet_loss(embeddings, margin=margin, mining=mining, distance=distance, numbers=numbers)
    assert_same(ours, peer(embeddings, margin=margin, distance=distance, triplets=chosen, mean=True), embeddings)
    if mining == "informative":
        # Each of them is a triplet that the peer's own miner finds.
        miner = miners.TripletMarginMiner(margin, "all", distance=PEER_DISTANCES[distance])
        every = miner(embeddings.flatten(0, 1), torch.arange(7).repeat_interleave(4))
        assert set(found) <= set(zip(*(index.tolist() for index in every), strict=True))


# -- against slow loops -----------------------------------------------------------------------------------------------


@given(
    st.sampled_from(MININGS),
    st.sampled_from(DISTANCES),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(2, 5)),
    st.floats(0, 3),
    st.floats(0, 2),
    st.integers(0, 2**20),
)
@settings(deadline=None, max_examples=80)
def test_every_mining_equals_a_slow_loop(
    slow: SimpleNamespace,
    mining: Any,
    distance: Any,
    size: tuple[int, int, int],
    margin: float,
    spread: float,
    seed: int,
) -> None:
    embeddings = embeddings_of(*size, seed=seed, spread=spread)
    numbers = numbers_of(*size[:2], seed=seed) if mining in DRAWING else None
    asked = {"margin": margin, "mining": mining, "distance": distance, "numbers": numbers}
    assert_same(triplet_loss(embeddings, **asked), slow.triplet_loss(embeddings, **asked), embeddings, within=1e-9)


@given(
    st.sampled_from(DISTANCES),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(2, 5)),
    st.floats(0, 3),
    st.integers(0, 2**20),
)
@settings(deadline=None, max_examples=25)
def test_violating_fraction_counts(
    slow: SimpleNamespace, distance: Any, size: tuple[int, int, int], margin: float, seed: int
) -> None:
    embeddings = embeddings_of(*size, seed=seed)
    count = len(slow.triplets(embeddings, margin, "all", distance, None))
    every = size[0] * size[1] * (size[1] - 1) * (size[0] - 1) * size[1]
    share = violating_fraction(embeddings, margin=margin, distance=distance)
    assert not share.requires_grad
    assert float(share) == pytest.approx(count / max(every, 1))


@given(st.sampled_from(MININGS), st.sampled_from(DISTANCES), st.integers(0, 2**20), st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_order_of_classes_does_not_matter(mining: Any, distance: Any, seed: int, shift: int) -> None:
    if mining in DRAWING:
        return  # other numbers meet other pairs
    embeddings = embeddings_of(5, 3, 4, seed=seed)
    asked = {"margin": 0.5, "mining": mining, "distance": distance}
    assert_same(triplet_loss(embeddings, **asked), triplet_loss(embeddings.roll(shift, 0), **asked), embeddings)


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_equal_finite_differences(mining: Any, distance: Any) -> None:
    embeddings, numbers = embeddings_of(4, 3, 3, seed=1), numbers_of(4, 3)
    assert torch.autograd.gradcheck(
        lambda e: triplet_loss(e, margin=MARGINS[distance], mining=mining, distance=distance, numbers=numbers),
        embeddings,
    )


# -- what is drawn ----------------------------------------------------------------------------------------------------


def drawn_negatives(embeddings: Tensor, mining: str, *, margin: float, n_steps: int) -> np.ndarray:
    """The negative of every positive pair at every step: (steps, batch, images - 1)."""
    classes, images, _ = embeddings.shape
    steps = torch.arange(n_steps)
    numbers = uniform(torch.full_like(steps, derive(3, "loss")), steps, numbers_needed(classes, images))
    numbers = numbers.view(n_steps, classes * images, images - 1)
    if mining == "random":
        return torch.func.vmap(lambda given: _triplet._any_negative(given, classes, images))(numbers).numpy()
    near = distance_matrix(embeddings.flatten(0, 1), embeddings.flatten(0, 1), "euclidean")
    near = near.masked_fill(~of_other_classes(classes, images, near.device), torch.inf)
    positive = positive_distances(embeddings, "euclidean").flatten(0, 1)
    every = near.expand(n_steps, -1, -1)
    mine = torch.func.vmap(lambda near, given: _triplet._mine(near, positive, margin, mining, given)[0])
    return mine(every, numbers).numpy()


@pytest.mark.parametrize(("mining", "margin"), [("random", 0.0), ("informative", 0.3)])
def test_every_candidate_is_drawn_equally_often(mining: str, margin: float, slow: SimpleNamespace) -> None:
    embeddings = embeddings_of(4, 3, 5, spread=1.0).detach()
    drawn = drawn_negatives(embeddings, mining, margin=margin, n_steps=6000)
    allowed: dict[tuple[int, int], list[int]] = {}
    wide = 1e6 if mining == "random" else margin
    for a, p, n in slow.triplets(embeddings, wide, "all", "euclidean", None):
        allowed.setdefault((a, p), []).append(n)
    p_values = []
    for (a, p), candidates in allowed.items():
        pair = p - a // 3 * 3 - (p > a)  # the other images of the class, in order
        kinds, counts = np.unique(drawn[:, a, pair], return_counts=True)
        assert kinds.tolist() == candidates
        p_values += [stats.chisquare(counts).pvalue] if len(candidates) > 1 else []
    assert len(p_values) > 10
    assert len({len(candidates) for candidates in allowed.values()}) == 1 or mining == "informative"
    assert min(p_values) > 1e-3 / len(p_values)
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_the_largest_number_stays_within_the_candidates() -> None:
    """1 - 2^-24 times a count must not round up to the count."""
    below_one = torch.full((3000,), 1 - 2.0**-24)
    assert bool((_triplet._any_negative(below_one[:16].view(8, 2), 2, 4) < 8).all())
    embeddings = embeddings_of(150, 2, 4).detach()
    numbers = torch.full((150, 2, 1), 1 - 2.0**-24)
    asked = {"margin": 1e6, "distance": "euclidean", "numbers": numbers}
    for mining in DRAWING:  # every negative violates: both take the last image of another class
        expected = 1e6 + float(
            positive_distances(embeddings, "euclidean").mean()
            - torch.cat([embeddings[:-1, :, None] - embeddings[-1, -1], embeddings[-1:, :, None] - embeddings[-2, -1]])
            .norm(dim=-1)
            .mean()
        )
        assert float(triplet_loss(embeddings, mining=mining, **asked)) == pytest.approx(expected, abs=1e-6)


def test_fewer_numbers_or_none_are_refused() -> None:
    embeddings = embeddings_of(3, 4, 5)
    with pytest.raises(RequestError, match=r"mining 'random' needs numbers.*shape \(3, 4, 3\)"):
        triplet_loss(embeddings, margin=1.0, mining="random", distance="euclidean")
    with pytest.raises(ShapeError, match=r"expected 36 numbers, shape \(3, 4, 3\) or flat, got \(35,\)"):
        triplet_loss(embeddings, margin=1.0, mining="informative", distance="euclidean", numbers=torch.zeros(35))


# -- edges ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("size", [(1, 4, 3), (4, 1, 3), (1, 1, 3), (3, 4, 1)])
def test_no_triplet_gives_nothing(mining: Any, distance: Any, size: tuple[int, int, int]) -> None:
    """One class, one image of each, or classes so far apart that no triplet violates the margin."""
    far = torch.arange(size[0], dtype=torch.float32)[:, None, None] * 100
    embeddings = (far + torch.rand(size, generator=torch.Generator().manual_seed(0))).requires_grad_()
    if distance == "cosine" and min(size[:2]) > 1:
        angle = torch.arange(size[0]) * 2.0
        embeddings = torch.stack([angle.cos(), angle.sin()], 1)[:, None].repeat(1, size[1], 1).requires_grad_()
    numbers = numbers_of(*size[:2])
    loss = triplet_loss(embeddings, margin=0.1, mining=mining, distance=distance, numbers=numbers)
    loss.backward()
    assert loss.shape == ()
    assert float(loss.detach()) == 0.0
    assert embeddings.grad is not None
    assert bool((embeddings.grad == 0).all())
    assert float(violating_fraction(embeddings, margin=0.1, distance=distance)) == 0.0


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("value", [0.0, 0.37])
def test_equal_embeddings_have_finite_gradients(mining: Any, distance: Any, value: float) -> None:
    """A collapsed network, also onto zero: the loss is the margin where there are triplets."""
    embeddings = torch.full((4, 3, 5), value, requires_grad=True)
    loss = triplet_loss(embeddings, margin=0.5, mining=mining, distance=distance, numbers=numbers_of(4, 3))
    loss.backward()
    assert embeddings.grad is not None
    assert bool(torch.isfinite(embeddings.grad).all())
    if mining != "semi-hard":
        assert float(loss.detach()) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("distance", DISTANCES)
def test_a_run_that_diverged_shows(mining: Any, distance: Any) -> None:
    embeddings = embeddings_of(4, 3, 5).detach().clone()
    embeddings[1, 2, 0] = torch.nan
    assert torch.isnan(triplet_loss(embeddings, margin=1.0, mining=mining, distance=distance, numbers=numbers_of(4, 3)))


def test_unknown_words_and_shapes_are_refused() -> None:
    embeddings = torch.zeros(3, 4, 5)
    with pytest.raises(RequestError, match="unknown mining 'semihard'; did you mean 'semi-hard'"):
        triplet_loss(embeddings, margin=1.0, mining="semihard", distance="cosine")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="unknown distance 'euclidian'; did you mean 'euclidean'"):
        triplet_loss(embeddings, margin=1.0, mining="all", distance="euclidian")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"\(classes, images, dimension\).*got \(12, 5\)"):
        triplet_loss(embeddings.flatten(0, 1), margin=1.0, mining="all", distance="cosine")
    with pytest.raises(ShapeError, match=r"got \(12, 5\)"):
        violating_fraction(embeddings.flatten(0, 1), margin=1.0, distance="cosine")
