"""What every paired test has to keep, one list of all through the same checks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tenfold.errors import RequestError
from tenfold.stats import PAIRED_TESTS, PairedTest, compare_pair

RATIO = 0.2
NAMES = sorted(PAIRED_TESTS)


def run(name: str, differences: object, *, level: float = 0.95, seed: int = 0) -> PairedTest:
    more = {"test_over_train": RATIO} if name == "corrected-t" else {}
    return PAIRED_TESTS[name](np.asarray(differences, dtype=float), level=level, seed=seed, **more)


def drawn(seed: int, n: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1.0, n)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [2, 3, 6, 10, 15, 20])
@pytest.mark.parametrize("seed", range(3))
def test_swapping_the_models_mirrors_the_answer(name: str, n: int, seed: int) -> None:
    d = drawn(seed, n, 0.5)
    one, other = run(name, d), run(name, -d)
    assert one.p == pytest.approx(other.p, abs=1e-12)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.notes == other.notes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [6, 10, 15])
def test_the_order_of_the_repeats_does_not_matter(name: str, n: int) -> None:
    d = drawn(1, n, 0.5)
    one, other = run(name, d), run(name, np.random.default_rng(2).permutation(d))
    assert (one.p, one.low, one.high) == pytest.approx((other.p, other.low, other.high))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [2, 5, 10, 30])
def test_a_model_against_itself(name: str, n: int) -> None:
    answer = run(name, np.zeros(n))
    assert (answer.p, answer.low, answer.high) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [2, 6, 10, 20])
def test_the_same_difference_every_time(name: str, n: int) -> None:
    answer = run(name, np.full(n, 0.1))
    assert (answer.low, answer.high) == pytest.approx((0.1, 0.1))
    most = 2 / 2 ** min(n, 13)  # 20 repeats: 1 in 10,001 drawn flips
    assert 0 < answer.p
    assert answer.p <= (most if name != "corrected-t" else 1.0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [0, 1])
def test_one_repeat_or_none(name: str, n: int) -> None:
    answer = run(name, np.full(n, 0.1))
    assert answer.p == 1.0
    assert math.isnan(answer.low)
    assert math.isnan(answer.high)
    assert answer.notes == ("One repeat or none has no spread: no interval and no test.",)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_interval_leaves_out_0_exactly_where_the_test_rejects(name: str, level: float) -> None:
    seen = set()
    for seed in range(150):
        rng = np.random.default_rng(seed)
        answer = run(name, rng.normal(rng.uniform(0, 2), 1, rng.integers(2, 17)), level=level)
        if not answer.notes:
            outside = not answer.low <= 0 <= answer.high
            assert outside == (answer.p <= round(1 - level, 12)), f"seed {seed}: {answer}"
            seen.add(outside)
    assert seen == {True, False}


@pytest.mark.parametrize("name", NAMES)
def test_a_higher_level_gives_a_wider_interval(name: str) -> None:
    d = drawn(3, 12)
    widths = [run(name, d, level=level).high - run(name, d, level=level).low for level in (0.5, 0.8, 0.9, 0.95, 0.99)]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


@pytest.mark.parametrize("name", NAMES)
def test_scaling_the_scores_scales_the_interval(name: str) -> None:
    d = drawn(4, 10, 0.4)
    one, other = run(name, d), run(name, 1e-3 * d)
    assert other.p == pytest.approx(one.p)
    assert (other.low, other.high) == pytest.approx((1e-3 * one.low, 1e-3 * one.high))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.1, math.nan])
def test_a_level_out_of_range_is_refused(name: str, level: float) -> None:
    with pytest.raises(RequestError, match=f"level: expected a number strictly between 0 and 1.*got {level!r}"):
        run(name, drawn(0, 10), level=level)


@pytest.mark.parametrize("name", NAMES)
def test_floating_point_dust_is_no_difference(name: str) -> None:
    first = np.array([0.81, 0.79, 0.92, 0.85, 0.83, 0.80, 0.78, 0.90])
    second = np.round(first - 0.03, 2)  # equal steps in decimal, several in binary
    more = {"test_over_train": RATIO} if name == "corrected-t" else {}
    assert np.ptp(first - second) > 0
    answer = compare_pair(first, second, test=name, **more)
    assert answer.std == 0
    assert answer.low == answer.high == pytest.approx(0.03)
    assert compare_pair(0.1 + first + 0.2, first + 0.3, test=name, **more).p == 1.0
