"""Step-down max-T against a slow loop with Student's t, and its properties."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from tenfold.errors import ShapeError
from tenfold.stats import holm, max_t, permutation_test


def slow_max_t(differences: np.ndarray) -> np.ndarray:
    """Romano and Wolf's algorithm word for word, with |t| itself as the statistic."""
    n, pairs = differences.shape

    def student(d: np.ndarray) -> np.ndarray:
        return np.abs(d.mean(axis=0)) / (d.std(axis=0, ddof=1) / np.sqrt(n))

    observed = student(differences)
    order = list(np.argsort(-observed))
    flipped = np.array([student(np.array(signs)[:, None] * differences) for signs in product([1, -1], repeat=n)])
    p, floor = np.empty(pairs), 0.0
    for place, pair in enumerate(order):
        largest = flipped[:, order[place:]].max(axis=1)
        floor = max(floor, float(np.mean(largest >= observed[pair] * (1 - 1e-12))))
        p[pair] = floor
    return p


def pairwise(scores: np.ndarray) -> np.ndarray:
    """Differences of all pairs of columns, shape (runs, pairs)."""
    return np.column_stack([scores[:, a] - scores[:, b] for a, b in combinations(range(scores.shape[1]), 2)])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [5, 8])
def test_equals_the_slow_algorithm_with_student_t(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    d = pairwise(rng.normal(size=(n, 5)) + np.array([2.0, 1.0, 0, 0, 0]))
    assert max_t(d) == pytest.approx(slow_max_t(d), abs=1e-12)


@pytest.mark.parametrize("n", [4, 10, 15, 20])
def test_one_pair_alone_has_its_plain_p(n: int) -> None:
    d = np.random.default_rng(n).normal(0.4, 1, n)
    assert max_t(d[:, None])[0] == permutation_test(d).p


@pytest.mark.parametrize("n", [10, 20])
@pytest.mark.parametrize("seed", range(3))
def test_never_below_the_plain_p(n: int, seed: int) -> None:
    d = pairwise(np.random.default_rng(seed).normal(size=(n, 6)) + np.arange(6) / 2)
    plain = np.array([permutation_test(column).p for column in d.T])
    corrected = max_t(d)
    assert (corrected >= plain - 1e-12).all()
    assert corrected.max() <= 1


def test_45_pairs_can_be_called_with_10_repeats_where_holm_never_can() -> None:
    scores = np.random.default_rng(0).normal(0, 1, (10, 10)) + np.arange(10) * 8.0
    d = pairwise(scores)
    plain = np.array([permutation_test(column).p for column in d.T])
    assert d.shape == (10, 45)
    assert holm(plain).min() == pytest.approx(45 * 2 / 1024)  # 0.088: out of reach
    assert max_t(d).min() == 2 / 1024
    assert (max_t(d) <= 0.05).all()


def test_order_of_pairs_and_runs_and_signs_do_not_matter() -> None:
    rng = np.random.default_rng(7)
    d = pairwise(rng.normal(size=(9, 4)) + np.arange(4))
    shuffled = rng.permutation(d.shape[1])
    assert max_t(d[:, shuffled]) == pytest.approx(max_t(d)[shuffled])
    assert max_t(d[rng.permutation(9)]) == pytest.approx(max_t(d))
    assert max_t(d * rng.choice([-1.0, 1.0], d.shape[1])) == pytest.approx(max_t(d))


def test_pairs_without_spread_are_handled() -> None:
    noise = np.random.default_rng(1).normal(size=8)
    p = max_t(np.column_stack([np.zeros(8), np.full(8, 0.1), noise]))
    assert p[0] == 1.0
    assert p[1] == 2 / 2**8
    assert p[2] == permutation_test(noise).p  # the constant is called first, and zeros never reach anything


def test_missing_scores_count_for_nothing() -> None:
    d = pairwise(np.random.default_rng(2).normal(0, 1, (10, 3)) + np.arange(3))
    d[4, 1] = np.nan
    p = max_t(d)
    assert np.isfinite(p).all()
    alone = max_t(d[:, [1]])[0]
    assert alone == permutation_test(np.delete(d[:, 1], 4)).p
    assert max_t(np.full((5, 1), np.nan)).tolist() == [1.0]


def test_blocks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    d = pairwise(np.random.default_rng(3).normal(size=(12, 5)))
    whole = max_t(d)
    monkeypatch.setattr("tenfold.stats._max_t._BLOCK", 100)
    assert (max_t(d) == whole).all()


@pytest.mark.parametrize("shape", [(5,), (0, 3), (3, 0), (2, 2, 2)])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ShapeError, match=r"expected shape \(runs, pairs\) with at least one of each, got \(" + str(shape[0])
    ):
        max_t(np.zeros(shape))
