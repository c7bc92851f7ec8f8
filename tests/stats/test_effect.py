"""Effect size and superiority: definitions, published factor, properties."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tenfold.errors import ShapeError
from tenfold.stats import effect_size, superiority


@pytest.mark.parametrize(("n", "factor"), [(3, 0.5642), (6, 0.8408), (11, 0.9228), (51, 0.9849)])
def test_hedges_factor_is_the_published_one(n: int, factor: float) -> None:
    # Hedges 1981, table 1, exact c(m) for m = n - 1 degrees of freedom
    d = np.random.default_rng(n).normal(0.5, 1, n)
    assert effect_size(d, np.zeros(n)) == pytest.approx(d.mean() / d.std(ddof=1) * factor, rel=2e-4)


def test_the_correction_takes_the_bias_away() -> None:
    rng = np.random.default_rng(0)
    sizes = [effect_size(row, np.zeros(6)) for row in rng.normal(0.8, 1, (4000, 6))]
    plain = [row.mean() / row.std(ddof=1) for row in rng.normal(0.8, 1, (4000, 6))]
    assert np.mean(sizes) == pytest.approx(0.8, abs=0.04)
    assert np.mean(plain) > 0.88


def test_signs_and_limits() -> None:
    a, b = np.array([0.9, 0.8, 0.85, 0.7]), np.array([0.8, 0.82, 0.8, 0.6])
    assert effect_size(a, b) == -effect_size(b, a)
    assert effect_size(a, a) == 0
    assert effect_size(a, a - 0.1) == math.inf
    assert effect_size(a - 0.1, a) == -math.inf
    assert math.isnan(effect_size(a[:2], b[:2]))
    assert effect_size([*a, math.nan], [*b, 0.5]) == effect_size(a, b)


def test_superiority_counts() -> None:
    a, b = np.array([0.9, 0.8, 0.85, 0.7]), np.array([0.8, 0.82, 0.85, 0.6])
    assert superiority(a, b) == (2 + 0.5) / 4
    assert superiority(a, b) + superiority(b, a) == 1
    assert superiority(a, a) == 0.5
    assert superiority([math.nan, 0.9], [0.1, 0.8]) == 1.0
    assert math.isnan(superiority([math.nan], [0.1]))


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ShapeError, match="expected as many for first as for second, got 3 and 2"):
        effect_size([1, 2, 3], [1, 2])
