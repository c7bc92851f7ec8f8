"""search against slow loops in whole numbers and scikit-learn; its memory; and every message."""

from __future__ import annotations

import math
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.neighbors import NearestNeighbors

from tenfold.errors import DataError, RequestError, ShapeError
from tenfold.retrieval import SIMILARITIES, _search, _similarity, search


@st.composite
def small_cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Queries, references, k and block; whole numbers of a small range, so that ties are everywhere."""
    d, n_references = draw(st.integers(1, 4)), draw(st.integers(1, 20))
    values = st.integers(-3, 3)
    queries = draw(arrays(np.int64, (draw(st.integers(0, 4)), d), elements=values))
    references = draw(arrays(np.int64, (n_references, d), elements=values))
    return queries, references, draw(st.integers(1, n_references)), draw(st.integers(1, n_references + 2))


def slow_dot(first: list[int], second: list[int]) -> int:
    return sum(a * b for a, b in zip(first, second, strict=True))


def slow_square(first: list[int], second: list[int]) -> int:
    return sum((a - b) ** 2 for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("similarity", ["dot", "euclidean"])
@given(case=small_cases())
def test_equals_a_slow_loop_with_all_ties(case: tuple[np.ndarray, np.ndarray, int, int], similarity: str) -> None:
    queries, references, k, block = case
    found = search(queries, references, k=k, similarity=similarity, block=block)
    assert found.indices.shape == found.scores.shape == (len(queries), k)
    for row, query in enumerate(queries.tolist()):
        worse = [
            -slow_dot(query, other) if similarity == "dot" else slow_square(query, other)
            for other in references.tolist()
        ]
        expected = sorted(range(len(references)), key=lambda index: (worse[index], index))[:k]
        assert found.indices[row].tolist() == expected
        scores = [-worse[index] if similarity == "dot" else -math.sqrt(worse[index]) for index in expected]
        assert found.scores[row].tolist() == scores


def slow_cosine(first: list[float], second: list[float]) -> float:
    lengths = math.hypot(*first) * math.hypot(*second)
    return math.fsum(a * b for a, b in zip(first, second, strict=True)) / lengths if lengths else 0.0


@given(small_cases())
def test_cosine_equals_a_slow_loop(case: tuple[np.ndarray, np.ndarray, int, int]) -> None:
    queries, references, k, block = case
    found = search(queries, references, k=k, block=block)
    for row, query in enumerate(queries.tolist()):
        cosines = [slow_cosine(query, other) for other in references.tolist()]
        np.testing.assert_allclose(found.scores[row], sorted(cosines, reverse=True)[:k], atol=1e-12)
        np.testing.assert_allclose(found.scores[row], np.array(cosines)[found.indices[row]], atol=1e-12)
        places = list(zip((-found.scores[row]).tolist(), found.indices[row].tolist(), strict=True))
        assert places == sorted(set(places))  # by score, then by index, none twice


@pytest.mark.parametrize("similarity", SIMILARITIES)
@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n_references=st.integers(1, 300), d=st.integers(1, 70), twins=st.booleans())
def test_the_block_changes_nothing(similarity: str, seed: int, n_references: int, d: int, twins: bool) -> None:
    rng = np.random.default_rng(seed)
    queries, references = rng.standard_normal((5, d)), rng.standard_normal((n_references, d))
    if twins:  # equal rows all over: a matrix product may give them unequal scores
        references = references[rng.integers(0, max(1, n_references // 10), n_references)]
    k = int(rng.integers(1, n_references + 1))
    whole = search(queries, references, k=k, similarity=similarity, block=n_references)
    for block in (1, 7, int(rng.integers(1, n_references + 1)), None):
        other = search(queries, references, k=k, similarity=similarity, block=block)
        np.testing.assert_array_equal(other.indices, whole.indices)
        np.testing.assert_array_equal(other.scores, whole.scores)
    # Equal references: equal scores, and the smaller index first.
    ties = whole.scores[:, 1:] == whole.scores[:, :-1]
    assert (whole.indices[:, 1:] > whole.indices[:, :-1])[ties].all()
    if twins and k == n_references and n_references > 20:
        assert ties.sum() >= 5 * (n_references - n_references // 10)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equals_scikit_learn(similarity: str, dtype: type) -> None:
    rng = np.random.default_rng(3)
    queries, references = rng.standard_normal((40, 16)).astype(dtype), rng.standard_normal((3000, 16)).astype(dtype)
    oracle = NearestNeighbors(n_neighbors=12, metric=similarity, algorithm="brute")
    distances, indices = oracle.fit(references.astype(np.float64)).kneighbors(queries.astype(np.float64))
    found = search(queries, references, k=12, similarity=similarity)
    np.testing.assert_array_equal(found.indices, indices)
    expected = 1 - distances if similarity == "cosine" else -distances
    np.testing.assert_allclose(found.scores, expected, atol=1e-7)


def test_embeddings_far_from_zero_keep_their_digits() -> None:
    rng = np.random.default_rng(0)
    steps = rng.permutation(500)
    references = 1e8 + steps[:, None] * np.array([[1e-5, 0.0, 0.0]])
    found = search(references[:1], references, k=500, similarity="euclidean", block=50)
    expected = np.lexsort((np.arange(500), np.abs(references[:, 0] - references[0, 0])))
    np.testing.assert_array_equal(found.indices[0], expected)


def test_references_that_get_better_and_better() -> None:
    references = np.arange(10_000, 0, -1.0)[:, None]
    found = search(np.zeros((3, 1)), references, k=4, similarity="euclidean", block=100)
    np.testing.assert_array_equal(found.indices, np.tile([9999, 9998, 9997, 9996], (3, 1)))


def test_a_reference_is_the_best_match_of_itself() -> None:
    vectors = np.random.default_rng(1).standard_normal((1000, 33)).astype(np.float32)
    for similarity in ("cosine", "euclidean"):
        found = search(vectors, vectors, k=1, similarity=similarity, block=64)
        np.testing.assert_array_equal(found.indices[:, 0], np.arange(1000))
    assert (found.scores == 0).all()
    assert not np.signbit(found.scores).any()


def test_zero_vectors_have_cosine_0() -> None:
    found = search([[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [3.0, 0.0]], k=4)
    np.testing.assert_array_equal(found.indices, [[0, 1, 2, 3], [3, 0, 2, 1]])
    np.testing.assert_array_equal(found.scores, [[0, 0, 0, 0], [1, 0, 0, -1]])


def test_cosine_of_the_largest_and_smallest_numbers() -> None:
    found = search([[1e-320, 0.0], [1e308, 1e308]], [[1e300, 0.0], [0.0, 5e-324]], k=2)
    np.testing.assert_allclose(found.scores, [[1, 0], [0.5**0.5] * 2], rtol=1e-12)
    np.testing.assert_array_equal(found.indices[0], [0, 1])


def test_parallel_vectors_are_ties() -> None:
    found = search([[1.0, 2.0]], [[2.0, 6.0], [1.0, 3.0], [5.0, 15.0]], k=3)
    np.testing.assert_array_equal(found.indices, [[0, 1, 2]])


def test_tensors_lists_and_other_layouts() -> None:
    rng = np.random.default_rng(0)
    queries, references = (
        rng.standard_normal((4, 6)).astype(np.float32),
        rng.standard_normal((50, 6)).astype(np.float32),
    )
    expected = search(queries, references, k=5)
    graph = torch.from_numpy(references).requires_grad_() * 1
    for first, second in [
        (torch.from_numpy(queries), graph),
        (queries.tolist(), np.asfortranarray(references)),
        (np.repeat(queries, 2, axis=0)[::2], references[::-1][::-1].astype(np.longdouble)),
    ]:
        found = search(first, second, k=5)
        assert isinstance(found.indices, np.ndarray)
        assert (found.indices.dtype, found.scores.dtype) == (np.int64, np.float64)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.scores, expected.scores)
    halves = search(torch.from_numpy(queries).bfloat16(), torch.from_numpy(references).bfloat16(), k=1)
    assert halves.indices.shape == (4, 1)


def test_references_on_disk(tmp_path: Path) -> None:
    references = np.random.default_rng(0).standard_normal((500, 4)).astype(np.float32)
    np.save(tmp_path / "references.npy", references)
    mapped = np.load(tmp_path / "references.npy", mmap_mode="r")
    found = search(references[:3], mapped, k=2, block=100)
    np.testing.assert_array_equal(found.indices[:, 0], [0, 1, 2])


def hard_vectors(kind: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    queries, references = rng.standard_normal((30, 48)), rng.standard_normal((5000, 48))
    if kind == "close":
        references = references[0] + references * 1e-6
    elif kind == "far":
        queries, references = queries + 1e4, references + 1e4
    elif kind == "unequal":
        references *= np.exp(rng.standard_normal((5000, 1)) * 5)
    return queries, references


@pytest.mark.parametrize("kind", ["plain", "close", "far", "unequal"])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_margin_bounds_the_rounding_of_the_products(similarity: str, kind: str) -> None:
    queries, references = (_similarity.prepared(vectors, similarity) for vectors in hard_vectors(kind))
    keys, margin = _search._rough_keys(queries, references, similarity)
    rows, columns = np.divmod(np.arange(keys.size), len(references))
    scores = _similarity.pair_scores(queries, references, rows, columns, similarity=similarity).reshape(keys.shape)
    off = np.abs(keys - (-np.square(scores) if similarity == "euclidean" else scores))
    assert (off <= margin[:, None]).all()
    assert off.max() > 0  # so that a margin of 0 would not do


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_rounding_as_bad_as_the_margin_allows_changes_nothing(similarity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, exact_keys = np.random.default_rng(0), _search._rough_keys
    wide = 0.05  # far more than rounding makes, so that many references are in doubt

    def noisy(queries: np.ndarray, part: np.ndarray, similarity: str) -> tuple[np.ndarray, np.ndarray]:
        keys, margin = exact_keys(queries, part, similarity)
        return keys + wide * rng.choice([-1, 1], keys.shape), margin + wide

    queries, references = rng.standard_normal((20, 3)), rng.standard_normal((3000, 3))
    references[1000:] = references[rng.integers(0, 1000, 2000)]
    for k in (1, 10, 100):
        expected = search(queries, references, k=k, similarity=similarity)
        with monkeypatch.context() as patch:
            patch.setattr(_search, "_rough_keys", noisy)
            found = search(queries, references, k=k, similarity=similarity, block=500)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("kind", ["plain", "close", "far"])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_few_pairs_are_scored_one_by_one(similarity: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []

    def counting(
        queries: np.ndarray, references: np.ndarray, rows: np.ndarray, *rest: object, **named: object
    ) -> object:
        counted.append(len(rows))
        return _similarity.pair_scores(queries, references, rows, *rest, **named)

    monkeypatch.setattr(_search, "pair_scores", counting)
    queries, references = hard_vectors(kind)
    search(queries, references, k=3, similarity=similarity, block=500)
    assert 3 * 30 <= sum(counted) < 0.05 * len(queries) * len(references)


def test_no_queries() -> None:
    found = search(np.zeros((0, 3)), np.ones((5, 3)), k=2)
    assert found.indices.shape == found.scores.shape == (0, 2)


# -- memory -----------------------------------------------------------------------------------------------------------


def peak_mib(n_references: int, **options: object) -> float:
    """Most memory that a search takes beside its input, in MiB."""
    rng = np.random.default_rng(0)
    references = rng.standard_normal((n_references, 16), dtype=np.float32)
    queries = rng.standard_normal((300, 16), dtype=np.float32)
    tracemalloc.start()
    try:
        search(queries, references, k=10, **options)
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_memory_is_bounded_by_the_block(similarity: str) -> None:
    # All scores would take 92 and 366 MiB.
    small, large = peak_mib(40_000, similarity=similarity), peak_mib(160_000, similarity=similarity)
    assert large < 1.1 * small
    assert large < 32
    assert peak_mib(40_000, similarity=similarity, block=100) < 0.5 * large


def test_memory_is_bounded_where_all_are_equal() -> None:
    tracemalloc.start()
    try:
        found = search(np.ones((300, 4)), np.ones((40_000, 4)), k=3)
        assert tracemalloc.get_traced_memory()[1] / 2**20 < 64
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(found.indices, np.tile([0, 1, 2], (300, 1)))


def test_the_memory_test_can_fail() -> None:
    assert peak_mib(40_000, block=40_000) > 2 * peak_mib(40_000, block=100)


# -- faiss ------------------------------------------------------------------------------------------------------------


def test_without_faiss_there_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(RequestError, match=r"faiss-cpu, which is not installed: pip install 'tenfold\[faiss\]'"):
        search([[1.0]], [[1.0]], k=1, backend="faiss")
    assert search([[1.0]], [[1.0]], k=1).indices.tolist() == [[0]]


class FakeFaiss:
    """As faiss.knn, but it sorts by rounded scores and breaks ties by the larger index."""

    METRIC_L2, METRIC_INNER_PRODUCT = 1, 0

    def __init__(self) -> None:
        self.calls = 0

    def knn(self, queries: np.ndarray, references: np.ndarray, k: int, metric: int) -> tuple[np.ndarray, np.ndarray]:
        assert queries.dtype == references.dtype == np.float32
        self.calls += 1
        with np.errstate(all="ignore"):
            if metric == self.METRIC_L2:
                worse = np.square(queries[:, None] - references[None]).sum(axis=2)
            else:
                worse = -(queries @ references.T)
        order = np.argsort(worse[:, ::-1], axis=1, kind="stable")[:, :k]
        order = worse.shape[1] - 1 - order
        rough = np.take_along_axis(worse, order, 1)
        return (rough if metric == self.METRIC_L2 else -rough), order


def check_faiss(seed: int, similarity: str, kind: str) -> None:
    rng = np.random.default_rng(seed)
    queries, references = rng.standard_normal((6, 5)), rng.standard_normal((400, 5))
    if kind == "ties":
        references = references[rng.integers(0, 8, 400)]
    elif kind == "close":
        references = 1000 + references * 1e-7
    elif kind == "huge":
        queries, references = queries * 1e30, references * 1e30
    elif kind == "small":
        queries, references = queries * 1e-30, references * 1e-25
    for k in (1, 5, 200, 400):
        expected = search(queries, references, k=k, similarity=similarity)
        found = search(queries, references, k=k, similarity=similarity, backend="faiss")
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("kind", ["plain", "ties", "close", "huge", "small"])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_faiss_equals_the_exact_search(similarity: str, kind: str) -> None:
    pytest.importorskip("faiss")
    check_faiss(0, similarity, kind)


@pytest.mark.parametrize("kind", ["plain", "ties", "close", "huge", "small"])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_an_index_that_rounds_and_breaks_ties_otherwise(
    similarity: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeFaiss()
    monkeypatch.setitem(sys.modules, "faiss", fake)
    check_faiss(1, similarity, kind)
    assert fake.calls == 4


def test_faiss_is_asked_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeFaiss()
    monkeypatch.setitem(sys.modules, "faiss", fake)
    search([[1.0]], [[1.0]], k=1)
    assert fake.calls == 0


def test_faiss_answers_most_queries_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeFaiss()
    monkeypatch.setitem(sys.modules, "faiss", fake)
    monkeypatch.setattr("tenfold.retrieval._search._search_rows", None)  # would fail if any query were left
    rng = np.random.default_rng(0)
    assert search(rng.random((50, 4)), rng.random((900, 4)), k=3, backend="faiss").indices.shape == (50, 3)


# -- messages ---------------------------------------------------------------------------------------------------------

GOOD = np.ones((3, 2))


@pytest.mark.parametrize(
    ("queries", "references", "options", "error", "message"),
    [
        (np.ones(2), GOOD, {}, ShapeError, r"queries: expected embeddings of shape \(n, d\).*\(2,\); .*vector\[None\]"),
        (GOOD, np.ones((2, 2, 2)), {}, ShapeError, r"references: expected .* got shape \(2, 2, 2\)"),
        (GOOD, np.ones((2, 0)), {}, ShapeError, "d at least 1"),
        (GOOD, np.ones((2, 3)), {}, ShapeError, "the same number of dimensions; got 2 and 3"),
        ([[1.0], [1.0, 2.0]], GOOD, {}, ShapeError, "rows of different lengths"),
        (GOOD, np.ones((0, 2)), {}, RequestError, "nothing to search: references is empty"),
        (GOOD, GOOD, {"k": 4}, RequestError, "k must be at most the number of references, 3; got 4"),
        (GOOD, GOOD, {"k": 0}, RequestError, "k must be an integer from 1; got 0"),
        (GOOD, GOOD, {"k": 1.0}, RequestError, "k must be an integer from 1; got 1.0"),
        (GOOD, GOOD, {"k": True}, RequestError, "k must be an integer from 1; got True"),
        (GOOD, GOOD, {"block": 0}, RequestError, "block must be an integer from 1; got 0"),
        (GOOD, GOOD, {"similarity": "cosin"}, RequestError, "unknown similarity 'cosin'; did you mean 'cosine'?"),
        (GOOD, GOOD, {"backend": "exakt"}, RequestError, "unknown backend 'exakt'; did you mean 'exact'?"),
        ([[1.0, 2.0], [1.0, np.nan]], GOOD, {}, DataError, "queries: .* finite; row 1 holds NaN or infinity"),
        (GOOD, [[np.inf, 0.0]], {}, DataError, "references: .* finite; row 0 holds NaN or infinity"),
        (GOOD.astype(str), GOOD, {}, DataError, "queries: embeddings must be real numbers; got <U32"),
        (GOOD * 1j, GOOD, {}, DataError, "real numbers; got complex128"),
        (GOOD, -GOOD * 1e200, {"similarity": "dot"}, DataError, r"values up to 1e\+140 .* by 'dot'; got 1e\+200"),
    ],
)
def test_messages(queries: object, references: object, options: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        search(queries, references, **{"k": 1, **options})


def test_nan_is_found_in_any_row() -> None:
    references = np.zeros((300_000, 8), np.float32)
    references[271_828, 3] = np.nan
    with pytest.raises(DataError, match="row 271828 holds NaN"):
        search(np.ones((1, 8)), references, k=1)
