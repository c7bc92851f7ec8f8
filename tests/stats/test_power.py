"""Power against published tables (R, Cohen, Dalgaard) and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tenfold.errors import RequestError
from tenfold.stats import detectable_difference, paired_power, repeats_needed


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_repeats_for_cohens_small_medium_and_large(effect: float, n: int) -> None:
    assert repeats_needed(effect, 1.0, limit=500) == n  # G*Power and R's pwr.t.test: 198.2, 33.4 and 14.3


def test_dalgaards_example() -> None:
    # Introductory Statistics with R, section 8.3: power.t.test(delta=10, sd=10*sqrt(2), power=0.85, "paired"): 19.97
    assert repeats_needed(10, 10 * math.sqrt(2), power=0.85) == 20
    assert paired_power(10, 10 * math.sqrt(2), 20) == pytest.approx(0.85, abs=0.002)


@pytest.mark.parametrize("ratio", [None, 0.25])
def test_power_is_the_share_of_simulated_studies_called(ratio: float | None) -> None:
    rng = np.random.default_rng(0)
    extra = ratio or 0.0
    rho = extra / (1 + extra)
    common = rng.normal(0, math.sqrt(rho), (20_000, 1))
    d = 0.8 + math.sqrt(1 + extra) * (common + rng.normal(0, math.sqrt(1 - rho), (20_000, 10)))
    t = d.mean(axis=1) / (d.std(axis=1, ddof=1) * math.sqrt(0.1 + extra))
    called = np.mean(t >= scipy_stats.t.ppf(0.975, 9))
    assert paired_power(0.8, 1.0, 10, test_over_train=ratio) == pytest.approx(called, abs=0.015)


@pytest.mark.parametrize("n", [3, 10, 50])
@pytest.mark.parametrize("ratio", [None, 0.1])
def test_detectable_difference_inverts_power(n: int, ratio: float | None) -> None:
    difference = detectable_difference(0.02, n, test_over_train=ratio)
    assert paired_power(difference, 0.02, n, test_over_train=ratio) == pytest.approx(0.8, abs=1e-6)


def test_repeats_needed_is_the_first_that_does() -> None:
    n = repeats_needed(0.006, 0.01)
    assert n is not None
    assert paired_power(0.006, 0.01, n) >= 0.8 > paired_power(0.006, 0.01, n - 1)


def test_shared_training_data_can_put_a_difference_out_of_reach() -> None:
    assert repeats_needed(0.5, 1.0) == 34
    assert repeats_needed(0.5, 1.0, test_over_train=0.25, limit=100_000) is None
    assert paired_power(0.5, 1.0, 10**6, test_over_train=0.25) < 0.2


def test_extremes() -> None:
    assert paired_power(1, 1, 1) == 0
    assert paired_power(0, 1, 10) == pytest.approx(0.025)
    assert paired_power(100, 0.1, 10) == 1
    assert paired_power(-1, 1, 10) == paired_power(1, 1, 10)
    assert detectable_difference(1, 1) == math.inf
    assert detectable_difference(0, 10) == 0
    assert repeats_needed(0.0, 1.0) is None
    assert repeats_needed(0.0, 0.0) is None
    assert repeats_needed(0.1, 0.0) == 2


def test_what_is_no_deviation_or_power_is_refused() -> None:
    with pytest.raises(RequestError, match="std: expected the standard deviation .*, 0 or more, got -1"):
        repeats_needed(1, -1)
    with pytest.raises(RequestError, match="power: expected a number strictly between 0 and 1, such as 0.8, got 80"):
        detectable_difference(1, 10, power=80)
