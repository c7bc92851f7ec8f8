"""episode_ranks against slow loops; ties and divergence never help."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.errors import DataError, RequestError, ShapeError
from tenfold.retrieval import SIMILARITIES, episode_ranks, search


def slow_score(first: list[float], second: list[float], similarity: str) -> float:
    if similarity == "euclidean":
        return -math.dist(first, second)
    dot = math.fsum(a * b for a, b in zip(first, second, strict=True))
    lengths = math.hypot(*first) * math.hypot(*second)
    return dot if similarity == "dot" else (dot / lengths if lengths else 0.0)


@st.composite
def episodes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    leading = draw(st.lists(st.integers(1, 3), max_size=3))
    n_queries, n_examples, d = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):  # many exact ties
        queries, examples = (
            rng.integers(-1, 2, (*leading, n_queries, d)),
            rng.integers(-1, 2, (*leading, n_examples, d)),
        )
    else:
        queries, examples = (
            rng.standard_normal((*leading, n_queries, d)),
            rng.standard_normal((*leading, n_examples, d)),
        )
    return queries, examples, rng.integers(0, n_examples, (*leading, n_queries))


@pytest.mark.parametrize("similarity", SIMILARITIES)
@settings(max_examples=60, deadline=None)
@given(case=episodes())
def test_equals_a_slow_loop(similarity: str, case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    queries, examples, right = case
    order, place = episode_ranks(queries, examples, right, similarity=similarity)
    assert isinstance(order, np.ndarray)
    assert order.shape == (*queries.shape[:-1], examples.shape[-2])
    assert place.shape == right.shape
    assert order.dtype == place.dtype == np.int64
    for at in np.ndindex(right.shape):
        scores = [slow_score(queries[at].tolist(), row.tolist(), similarity) for row in examples[at[:-1]]]
        # Whole numbers: a cosine may be off in the last bit here and there, so round before looking for ties.
        scores = [round(score, 9) + 0.0 for score in scores]
        expected = sorted(range(len(scores)), key=lambda index: (-scores[index], index == right[at], index))
        rank = order[at].tolist()
        assert sorted(rank) == list(range(len(scores)))
        assert [scores[index] for index in rank] == [scores[index] for index in expected]
        assert rank[place[at]] == right[at]
        if similarity != "cosine":
            assert rank == expected
            assert place[at] == expected.index(right[at])


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_run_that_tells_nothing_apart_is_never_right(similarity: str, dtype: torch.dtype) -> None:
    # The same point for every image, at sizes where a matrix product adds up in several orders.
    for n_examples, d in [(2, 1), (5, 3), (20, 64), (19, 65), (33, 130)]:
        point = torch.randn(d, dtype=torch.float64, generator=torch.Generator().manual_seed(d)).to(dtype)
        queries, examples = point.expand(3, 2, 7, d), point.expand(3, 2, n_examples, d)
        right = torch.randint(0, n_examples, (2, 7), generator=torch.Generator().manual_seed(1))
        order, place = episode_ranks(queries, examples, right, similarity=similarity)
        assert (place == n_examples - 1).all()
        assert (order[..., -1] == right).all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_run_that_diverged_is_never_right(similarity: str, value: float) -> None:
    generator = torch.Generator().manual_seed(0)
    queries, examples = torch.randn(2, 4, 5, 8, generator=generator), torch.randn(2, 4, 6, 8, generator=generator)
    right = torch.randint(0, 6, (4, 5), generator=generator)
    alone = episode_ranks(queries, examples, right, similarity=similarity)
    queries[1], examples[1] = value, value
    ranks = episode_ranks(queries, examples, right, similarity=similarity)
    assert (ranks.right_place[1] == 5).all()
    torch.testing.assert_close(ranks.right_place[0], alone.right_place[0])  # the other run does not notice
    torch.testing.assert_close(ranks.order[0], alone.order[0])
    queries[1] = 1.0
    assert (episode_ranks(queries, examples, right, similarity=similarity).right_place[1] == 5).all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_one_example_that_is_nan_goes_last(similarity: str) -> None:
    queries = np.array([[1.0, 0.0]])
    examples = np.array([[np.nan, 1.0], [0.0, 1.0], [1.0, 0.1]])
    order, place = episode_ranks(queries, examples, np.array([2]), similarity=similarity)
    assert (order.tolist(), place.tolist()) == ([[2, 1, 0]], [0])
    order, place = episode_ranks(queries, examples, np.array([0]), similarity=similarity)
    assert (order.tolist(), place.tolist()) == ([[2, 1, 0]], [2])


def test_zero_vectors_have_cosine_0() -> None:
    order, place = episode_ranks(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[-1.0, 0], [0, 0], [0, 1.0]]), [1, 1])
    assert order.tolist() == [[0, 2, 1], [2, 1, 0]]
    assert place.tolist() == [2, 1]


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_agrees_with_search(similarity: str) -> None:
    rng = np.random.default_rng(0)
    queries, examples = rng.standard_normal((30, 9)), rng.standard_normal((40, 9))
    order, place = episode_ranks(queries, examples, np.zeros(30, int), similarity=similarity)
    found = search(queries, examples, k=40, similarity=similarity)
    np.testing.assert_array_equal(order, found.indices)
    np.testing.assert_array_equal(place, (found.indices == 0).argmax(axis=1))


def test_tensors_stay_tensors_and_runs_may_share_what_is_right() -> None:
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(3, 4, 5, 8, generator=generator, requires_grad=True)
    examples = torch.randn(3, 4, 6, 8, generator=generator)
    right = torch.randint(0, 6, (4, 5), generator=generator)
    ranks = episode_ranks(queries, examples, right)
    assert isinstance(ranks.order, torch.Tensor)
    assert not ranks.right_place.requires_grad
    for one in (right[None], right.expand(3, 4, 5), right.numpy(), right.int()):
        torch.testing.assert_close(episode_ranks(queries, examples, one).order, ranks.order)
    for run in range(3):
        alone = episode_ranks(queries[run].detach().numpy(), examples[run].numpy(), right.numpy())
        np.testing.assert_array_equal(alone.order, ranks.order[run].numpy())
        np.testing.assert_array_equal(alone.right_place, ranks.right_place[run].numpy())


def test_many_episodes_are_taken_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    queries, examples = torch.randn(6, 7, 5, generator=generator), torch.randn(6, 4, 5, generator=generator)
    right = torch.randint(0, 4, (6, 7), generator=generator)
    whole = episode_ranks(queries, examples, right, similarity="euclidean")
    for values in (1, 45, 300):
        monkeypatch.setattr("tenfold.retrieval._episodes._VALUES_AT_ONCE", values)
        parts = episode_ranks(queries, examples, right, similarity="euclidean")
        torch.testing.assert_close(parts.order, whole.order)


def test_nothing_to_rank() -> None:
    assert episode_ranks(np.zeros((0, 3, 2)), np.zeros((0, 4, 2)), np.zeros((0, 3), int)).order.shape == (0, 3, 4)
    assert episode_ranks(np.zeros((2, 0, 2)), np.zeros((2, 4, 2)), np.zeros((2, 0), int)).right_place.shape == (2, 0)


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, examples = torch.randn(3, 9, 20, 64, generator=generator), torch.randn(3, 9, 20, 64, generator=generator)
    right = torch.randint(0, 20, (9, 20), generator=generator)
    for similarity in SIMILARITIES:
        here = episode_ranks(queries, examples, right, similarity=similarity)
        there = episode_ranks(queries.cuda(), examples.cuda(), right, similarity=similarity)
        assert there.order.is_cuda
        torch.testing.assert_close(there.order.cpu(), here.order)
        point = queries[0, 0, 0].cuda()
        same = episode_ranks(point.expand(3, 9, 20, 64), point.expand(3, 9, 20, 64), right, similarity=similarity)
        assert (same.right_place == 19).all()


@pytest.mark.parametrize(
    ("queries", "examples", "right", "options", "error", "message"),
    [
        ((2, 3), (4, 5), (2,), {}, ShapeError, r"the same d; got \(2, 3\) and \(4, 5\)"),
        ((2, 2, 3), (3, 4, 3), (2, 2), {}, ShapeError, r"the same leading axes .* got \(2, 2, 3\) and \(3, 4, 3\)"),
        ((2, 2, 3), (4, 3), (2, 2), {}, ShapeError, r"got \(2, 2, 3\) and \(4, 3\)"),
        ((3,), (3,), (), {}, ShapeError, r"got \(3,\) and \(3,\)"),
        ((2, 3), (0, 3), (2,), {}, ShapeError, "an episode needs an example"),
        ((2, 0), (4, 0), (2,), {}, ShapeError, "and an embedding a dimension"),
        ((2, 3), (4, 3), (3,), {}, ShapeError, r"right: expected the shape of the queries without d, \(2,\).* \(3,\)"),
        ((2, 3), (4, 3), (2,), {"similarity": "l2"}, RequestError, "unknown similarity 'l2'"),
    ],
)
def test_messages_on_shapes(
    queries: tuple, examples: tuple, right: tuple, options: dict, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        episode_ranks(np.ones(queries), np.ones(examples), np.zeros(right, int), **options)


def test_messages_on_values() -> None:
    ones = np.ones((2, 3))
    with pytest.raises(DataError, match=r"right: must lie in 0..1, the examples; got 0 to 2"):
        episode_ranks(ones, ones, [0, 2])
    with pytest.raises(DataError, match=r"got -1 to 0"):
        episode_ranks(ones, ones, [0, -1])
    with pytest.raises(DataError, match="right: expected integers"):
        episode_ranks(ones, ones, [0.0, 1.0])
    with pytest.raises(DataError, match="query_embeddings: embeddings must be real numbers; got <U"):
        episode_ranks(ones.astype(str), ones, [0, 1])
    with pytest.raises(DataError, match="example_embeddings: embeddings must be real numbers; got torch.complex64"):
        episode_ranks(torch.ones(2, 3), torch.ones(2, 3, dtype=torch.complex64), [0, 1])
