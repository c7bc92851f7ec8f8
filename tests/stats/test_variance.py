"""Where the variance comes from: against simulation, and its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tenfold.errors import DataError, RequestError
from tenfold.stats import split_variance


def test_a_spread_from_the_test_set_alone() -> None:
    scores = np.random.default_rng(0).binomial(500, 0.8, 4000) / 500
    split = split_variance(scores, n_test=500)
    assert split.test_set == pytest.approx(0.8 * 0.2 / 500, rel=0.01)
    assert split.test_set_share == pytest.approx(1, abs=0.06)


def test_both_parts_are_recovered() -> None:
    rng = np.random.default_rng(1)
    skill = rng.normal(0.8, 0.02, 20_000)
    split = split_variance(rng.binomial(400, skill) / 400, n_test=400)
    assert split.seed_and_split == pytest.approx(0.02**2, rel=0.06)
    assert split.total == pytest.approx(split.test_set + split.seed_and_split)


def test_one_test_set_for_all_comes_on_top() -> None:
    scores = [0.80, 0.82, 0.78, 0.81, 0.79]
    split = split_variance(scores, n_test=1000, shared_test=True)
    assert split.seed_and_split == split.total == pytest.approx(np.var(scores, ddof=1))
    assert split.sentence.endswith("the one test set (1000 examples) hides another 1.3.")


def test_limits() -> None:
    assert split_variance([0.8, 0.8001, 0.8], n_test=100).seed_and_split == 0
    assert split_variance([0.8, 0.8], n_test=100).sentence == "All repeats have the same score: no spread to split."
    one = split_variance([0.8, math.nan], n_test=100)
    assert math.isnan(one.total)
    assert one.sentence == "One run or none: no spread between repeats to split."
    assert math.isnan(split_variance([math.nan], n_test=100).test_set)


def test_what_is_no_share_or_no_test_set_is_refused() -> None:
    with pytest.raises(DataError, match="got values from 0.5 to 81"):
        split_variance([81, 0.5], n_test=100)
    with pytest.raises(RequestError, match="n_test: .* 2 or more, got 1"):
        split_variance([0.8, 0.9], n_test=1)
