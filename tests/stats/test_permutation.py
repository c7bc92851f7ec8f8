"""The sign-flip test against SciPy, Fisher's own example and slow reference code."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tenfold.errors import RequestError
from tenfold.stats import minimum_p, permutation_test
from tenfold.stats._sign_flips import sign_flips

# Darwin's maize: height of the crossed minus the self-fertilised plant, eighths of an inch (Fisher 1935, table 3).
DARWIN = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)


def slow_p(differences: np.ndarray) -> float:
    """Every pattern of signs, one by one."""
    observed = abs(differences.sum())
    totals = [abs((np.array(signs) * differences).sum()) for signs in product([1, -1], repeat=differences.size)]
    return sum(total >= observed - 1e-9 for total in totals) / len(totals)


def test_fishers_example() -> None:
    assert permutation_test(DARWIN).p == 2 * 863 / 2**15  # Fisher counts 863 of 32,768 on one side


@pytest.mark.parametrize("seed", range(8))
def test_equals_the_slow_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = rng.normal(0.5, 1, rng.integers(2, 10))
    if seed % 2:
        d = np.round(d)  # ties and zeros
    assert permutation_test(d).p == pytest.approx(slow_p(d), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_equals_scipy(seed: int) -> None:
    d = np.random.default_rng(seed).normal(0.4, 1, 9)
    other = scipy_stats.permutation_test(
        (d, np.zeros(9)), lambda x, y: (x - y).mean(), permutation_type="samples", n_resamples=np.inf
    )
    assert permutation_test(d).p == pytest.approx(other.pvalue, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n", [6, 9, 18])
def test_the_interval_is_where_the_test_turns(seed: int, n: int) -> None:
    d = np.random.default_rng(seed).normal(0.3, 1, n)
    answer = permutation_test(d)
    for end, inwards in ((answer.low, 1e-6), (answer.high, -1e-6)):
        assert permutation_test(d - (end + inwards)).p > 0.05
        assert permutation_test(d - (end - inwards)).p <= 0.05


def test_drawn_flips_come_near_the_exact_p_and_repeat_with_the_seed() -> None:
    d = np.random.default_rng(5).normal(0.45, 1, 18)
    exact = scipy_stats.permutation_test(
        (d, np.zeros(18)), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", n_resamples=np.inf,
        vectorized=True, batch=4096,
    ).pvalue  # fmt: skip
    drawn = [permutation_test(d, seed=seed).p for seed in range(5)]
    assert drawn == pytest.approx([exact] * 5, abs=4 * (exact / 10_000) ** 0.5)
    assert len(set(drawn)) > 1
    assert permutation_test(d, seed=3) == permutation_test(d, seed=3)


def test_drawn_flips_never_give_0() -> None:
    assert permutation_test(np.full(40, 0.1)).p == 1 / 10_001


@pytest.mark.parametrize(("n", "smallest"), [(0, 1.0), (1, 1.0), (2, 0.5), (5, 0.0625), (6, 0.03125), (10, 2 / 1024)])
def test_smallest_p(n: int, smallest: float) -> None:
    assert minimum_p(n) == smallest
    if n > 1:
        assert permutation_test(np.arange(1.0, n + 1)).p == smallest


def test_smallest_p_of_a_negative_number_is_refused() -> None:
    with pytest.raises(RequestError, match="n_repeats: expected 0 or more, got -1"):
        minimum_p(-1)


def test_below_6_repeats_the_interval_is_students_and_says_so() -> None:
    d = np.array([0.03, 0.02, 0.03, 0.02, 0.04])
    answer = permutation_test(d)
    student = scipy_stats.ttest_1samp(d, 0).confidence_interval(0.95)
    assert (answer.low, answer.high) == pytest.approx(tuple(student))
    assert "Student's interval is given" in answer.notes[0]
    assert permutation_test(np.append(d, 0.03)).notes == ()


def test_many_equal_repeats_are_noted() -> None:
    answer = permutation_test(np.array([0, 0, 0, 0, 0, 0, 0, 0.01, 0.02, 0.01]))
    assert answer.p == 0.25
    assert answer.notes == ("The two are equal in 7 of 10 repeats: the smallest possible p is 0.25.",)


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_exact_flips_are_all_patterns_but_for_the_opposite_ones(n: int) -> None:
    flips = sign_flips(n, 0)
    assert flips.shape == (2 ** (n - 1), n)
    assert (flips[0] == 1).all()
    assert (flips[:, 0] == 1).all()
    assert len({tuple(row) for row in flips.tolist()}) == flips.shape[0]
    assert not flips.flags.writeable
