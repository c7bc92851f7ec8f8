"""The scores against pytorch-metric-learning's AccuracyCalculator and against slow loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.errors import DataError, RequestError, ShapeError
from tenfold.retrieval import (
    SCORES,
    mean_average_precision,
    mean_average_precision_at_r,
    order_of,
    precision_at_1,
    r_precision,
    retrieval_scores,
    search,
    top_k_accuracy,
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
    """Queries, their labels, references, their labels, and whether the references begin with the queries."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_queries, n_more, d = draw(st.integers(1, 12)), draw(st.integers(0, 15)), draw(st.integers(1, 5))
    includes = draw(st.booleans())
    n_classes = draw(st.integers(1, 6))
    # Of one class each more or less: some queries have no relevant reference.
    queries, more = rng.standard_normal((n_queries, d)), rng.standard_normal((n_more + 2, d))
    query_labels, more_labels = rng.integers(0, n_classes, n_queries), rng.integers(0, n_classes + 1, n_more + 2)
    if not includes:
        return queries, query_labels, more, more_labels, False
    return queries, query_labels, np.concatenate([queries, more]), np.concatenate([query_labels, more_labels]), True


class OwnDistances:
    """A knn function for AccuracyCalculator by whole distances in float64, ties by index, the query itself left out."""

    def __call__(self, queries: torch.Tensor, k: int, references: torch.Tensor, includes: bool) -> tuple:
        distances = (queries[:, None].double() - references[None].double()).square().sum(-1)
        if includes:
            distances[range(len(queries)), range(len(queries))] = torch.inf
        order = distances.argsort(dim=1, stable=True)[:, :k]
        return distances.gather(1, order), order


@settings(max_examples=150, deadline=None)
@given(cases())
def test_equal_accuracy_calculator(case: tuple) -> None:
    utils = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    # It computes in float32: the same values for both.
    queries, query_labels, references, reference_labels, includes = case
    queries, references = queries.astype(np.float32), references.astype(np.float32)
    calculator = utils.AccuracyCalculator(
        include=tuple(SCORES),
        k="max_bin_count",
        knn_func=OwnDistances(),
        kmeans_func=lambda *_: None,  # by default one that needs faiss
        device=torch.device("cpu"),
    )
    counts = (query_labels[:, None] == reference_labels).sum(axis=1) - includes
    if counts.max() < 1:
        return  # AccuracyCalculator asks for 0 neighbours and fails
    expected = calculator.get_accuracy(queries, query_labels, references, reference_labels, includes)
    arguments = (queries, query_labels, references, reference_labels)
    found = retrieval_scores(*arguments, ref_includes_query=includes, similarity="euclidean", top_k=[1])
    assert set(found) == {*expected, "top_1_accuracy"}
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-12), name
        assert found[name].n_queries == (counts > 0).sum()
        assert found[name].n_left_out == (counts == 0).sum()
    assert found["top_1_accuracy"].value == found["precision_at_1"].value


@settings(max_examples=30, deadline=None)
@given(cases())
def test_equal_accuracy_calculator_among_themselves_and_by_class(case: tuple) -> None:
    utils = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    queries, labels = case[2].astype(np.float32), case[3]
    if len(labels) == len(set(labels.tolist())):
        return
    calculator = utils.AccuracyCalculator(
        include=tuple(SCORES),
        k="max_bin_count",
        knn_func=OwnDistances(),
        kmeans_func=lambda *_: None,
        device=torch.device("cpu"),
        return_per_class=True,
    )
    expected = calculator.get_accuracy(queries, labels)
    found = retrieval_scores(queries, labels, similarity="euclidean")
    for name, per_class in expected.items():
        kept = [label for label in np.unique(labels) if (labels == label).sum() > 1]
        means = [found[name].per_query[labels == label].mean() for label in kept]
        np.testing.assert_allclose(means, per_class, atol=1e-12)


def slow_scores(order: list[list[int]], labels: list, references: list, includes: bool, k: int) -> dict[str, list]:
    """Per query, from the definitions; None for a query that has no relevant reference."""
    names = [*SCORES, "top_k"]
    found = {name: [] for name in names}
    for row, (places, label) in enumerate(zip(order, labels, strict=True)):
        places = [place for place in places if not (includes and place == row)]
        r = sum(other == label for at, other in enumerate(references) if not (includes and at == row))
        if r == 0:
            for name in names:
                found[name].append(math.nan)
            continue
        right = [references[place] == label for place in places]
        precision_at = [sum(right[: n + 1]) / (n + 1) for n in range(len(right))]
        found["precision_at_1"].append(float(right[0]))
        found["r_precision"].append(sum(right[:r]) / r)
        found["mean_average_precision_at_r"].append(sum(precision_at[n] for n in range(r) if right[n]) / r)
        found["mean_average_precision"].append(sum(precision_at[n] for n in range(len(right)) if right[n]) / r)
        found["top_k"].append(float(any(right[:k])))
    return found


@settings(max_examples=100)
@given(cases(), st.integers(1, 4), st.booleans())
def test_equal_a_slow_loop(case: tuple, k: int, as_text: bool) -> None:
    _, query_labels, references, reference_labels, includes = case
    order = np.argsort(np.random.default_rng(len(references)).random((len(query_labels), len(references))), axis=1)
    k = min(k, len(references) - includes)
    labels = (query_labels.astype(str), reference_labels.astype(str)) if as_text else (query_labels, reference_labels)
    expected = slow_scores(order.tolist(), labels[0].tolist(), labels[1].tolist(), includes, k)
    found = {name: score(order, *labels, ref_includes_query=includes) for name, score in SCORES.items()}
    found["top_k"] = top_k_accuracy(order, *labels, k=k, ref_includes_query=includes)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name].per_query, values, atol=1e-12)
        asked = [value for value in values if not math.isnan(value)]
        assert (found[name].n_queries, found[name].n_left_out) == (len(asked), len(values) - len(asked))
        mean = sum(asked) / len(asked) if asked else math.nan
        assert found[name].value == pytest.approx(mean, abs=1e-12, nan_ok=True)
        assert float(found[name]) == found[name].value or not asked


def test_the_figures_of_the_paper() -> None:
    # Musgrave et al. 2020, the toy example: 10 relevant references, all scores agree on R-precision but not on order.
    labels = [1] + [1] * 10 + [0] * 10
    first_only = [[1, *range(11, 20), *range(2, 11), 20]]
    two_first = [[1, 2, *range(11, 20), *range(3, 11), 20]]
    first_and_last = [[1, *range(11, 19), 2, *range(3, 11), 19, 20]]
    for order, r_wanted, map_wanted in [
        (first_only, 0.1, 0.1),
        (two_first, 0.2, 0.2),
        (first_and_last, 0.2, (1 + 2 / 10) / 10),
    ]:
        assert precision_at_1(order, [1], labels).value == 1
        # The query stands first among the references and not in the order: one fewer relevant is to be counted.
        own = {"ref_includes_query": True}
        padded = [[*order[0], 0]]
        assert r_precision(padded, [1], labels, **own).value == pytest.approx(r_wanted)
        assert mean_average_precision_at_r(padded, [1], labels, **own).value == pytest.approx(map_wanted)


def test_the_query_itself_is_left_out_wherever_it_stands() -> None:
    labels = [0, 0, 1]
    for order in ([[0, 1, 2], [1, 0, 2], [2, 0, 1]], [[1, 0, 2], [0, 2, 1], [0, 1, 2]]):
        score = precision_at_1(order, labels)
        np.testing.assert_array_equal(score.per_query, [1, 1, np.nan])
        assert (score.value, score.n_queries, score.n_left_out) == (1, 2, 1)
    # Not among the columns: the last one goes, as many stay for each.
    np.testing.assert_array_equal(precision_at_1([[1, 2], [1, 0], [0, 1]], labels).per_query, [1, 1, np.nan])


def test_many_twins_of_the_query() -> None:
    # A search for k + 1 need not find the query itself where more than k equal ones have a smaller index.
    vectors, labels = np.zeros((6, 2)), [0, 1, 0, 1, 0, 1]
    found = retrieval_scores(vectors, labels, similarity="euclidean")
    # References in the order 0..5 for all, R = 2. Query 0 sees 1, 2; 1 sees 0, 2; 2 sees 0, 1; and so on.
    np.testing.assert_array_equal(found["r_precision"].per_query, [0.5, 0, 0.5, 0.5, 0.5, 0.5])


def test_no_query_has_a_relevant_reference() -> None:
    score = r_precision([[0, 1]], ["c"], ["a", "b"])
    assert math.isnan(score.value)
    assert (score.n_queries, score.n_left_out) == (0, 1)
    found = retrieval_scores([[1.0]], ["c"], [[1.0], [2.0]], ["a", "b"], top_k=[1, 2])
    assert all(math.isnan(score.value) for score in found.values())
    assert len(found) == 6


def test_top_k_grows_to_1() -> None:
    rng = np.random.default_rng(0)
    queries, labels = rng.standard_normal((30, 3)), rng.integers(0, 5, 30)
    found = retrieval_scores(queries, labels, top_k=range(1, 30))
    values = [found[f"top_{k}_accuracy"].value for k in range(1, 30)]
    assert values == sorted(values)
    assert values[-1] == 1
    assert values[0] == found["precision_at_1"].value < 1
    # Asking for more columns moves no other score.
    plain = retrieval_scores(queries, labels)
    assert all(found[name].value == plain[name].value for name in SCORES)


def test_order_of_sorts_by_distance_then_index() -> None:
    distances = np.array([[0.5, 0.1, 0.5, 0.1], [3, 2, 1, np.inf]])
    np.testing.assert_array_equal(order_of(distances), [[1, 3, 0, 2], [2, 1, 0, 3]])
    np.testing.assert_array_equal(order_of(torch.from_numpy(distances), k=1), [[1], [2]])
    vectors = np.random.default_rng(0).standard_normal((40, 3))
    whole = np.sqrt(np.square(vectors[:, None] - vectors[None]).sum(-1))
    np.testing.assert_array_equal(order_of(whole), search(vectors, vectors, k=40, similarity="euclidean").indices)


# -- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "labels", "references", "error", "message"),
    [
        ([0, 1], [1], [1, 2], ShapeError, r"order: expected rows of references.*got shape \(2,\)"),
        (
            [[0.0, 1.0]],
            [1],
            [1, 2],
            DataError,
            "order: expected integers, as search or order_of give them; got float64",
        ),
        ([[0, 2]], [1], [1, 2], DataError, "there are 2 reference labels, so rows end at 1; query 0 holds 2"),
        ([[0, -1]], [1], [1, 2], DataError, "query 0 holds -1"),
        ([[0, 1], [1, 1]], [1, 1], [1, 2], DataError, "the row of query 1 holds a reference twice"),
        ([[0, 1]], [1, 2], [1, 2], ShapeError, "the same number of each; got 1 rows of order, 2 query_labels"),
        ([[0, 1]], [1.5], [1, 2], DataError, "query_labels: labels must be integers or text; got float64"),
        (
            [[0, 1]],
            [[1]],
            [1, 2],
            ShapeError,
            r"query_labels: expected one label each, shape \(n,\); got shape \(1, 1\)",
        ),
        ([[0, 1]], ["1"], [1, 2], DataError, "must be of one kind; got text and numbers"),
        (np.zeros((1, 0), int), [1], [1, 2], RequestError, "needs 1 references of each query"),
    ],
)
def test_messages(order: object, labels: object, references: object, error: type, message: str) -> None:
    for score in (precision_at_1, mean_average_precision):
        with pytest.raises(error, match=message):
            score(order, labels, references)


def test_too_few_columns() -> None:
    for score in (r_precision, mean_average_precision_at_r):
        with pytest.raises(RequestError, match=r"needs 2 references .* order has 1: search with a larger k"):
            score([[0]], [1], [1, 1])
    with pytest.raises(RequestError, match="top_k_accuracy with k=3 needs 3 references"):
        top_k_accuracy([[0, 1]], [1], [1, 2], k=3)
    with pytest.raises(RequestError, match="k must be an integer from 1; got 0"):
        top_k_accuracy([[0, 1]], [1], [1, 2], k=0)


def test_other_messages() -> None:
    with pytest.raises(DataError, match="the first reference_labels differ from the query_labels"):
        precision_at_1([[0, 1]], [1], [2, 1], ref_includes_query=True)
    with pytest.raises(DataError, match="distances must not be NaN; query 0 and reference 1 hold one"):
        order_of([[0.0, np.nan]])
    with pytest.raises(ShapeError, match=r"expected distances of shape \(queries, references\); got shape \(2,\)"):
        order_of([0.0, 1.0])
    with pytest.raises(DataError, match="distances must be real numbers"):
        order_of([["a"]])
    with pytest.raises(RequestError, match="k must be at most the number of references, 1; got 2"):
        order_of([[1.0]], k=2)
    vectors = np.ones((3, 2))
    with pytest.raises(RequestError, match="pass references and reference_labels together"):
        retrieval_scores(vectors, [1, 2, 3], vectors)
    with pytest.raises(ShapeError, match="got 3 queries, 2 query_labels"):
        retrieval_scores(vectors, [1, 2])
    with pytest.raises(ShapeError, match="got 3 references, 1 reference_labels"):
        retrieval_scores(vectors, [1, 2, 3], vectors, [1])
    with pytest.raises(RequestError, match="top_k must be at most the number of references, 2; got 3"):
        retrieval_scores(vectors, [1, 2, 3], top_k=[3])
    with pytest.raises(RequestError, match="nothing to search"):
        retrieval_scores(vectors[:1], [1])
