"""Holm's correction against R's p.adjust and a slow loop."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.errors import ShapeError
from tenfold.stats import holm


def test_the_known_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_slow_definition(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(size=9) ** 3
    order, floor, slow = np.argsort(p), 0.0, np.empty(9)
    for place, test in enumerate(order):
        floor = max(floor, min(1.0, float(p[test]) * (9 - place)))
        slow[test] = floor
    assert holm(p) == pytest.approx(slow)


def test_none_and_one() -> None:
    assert holm([]).shape == (0,)
    assert holm([0.2]).tolist() == [0.2]


@pytest.mark.parametrize("p", [[0.1, 1.2], [-0.1], [float("nan")], [[0.1]]])
def test_what_is_no_list_of_p_values_is_refused(p: list) -> None:
    with pytest.raises(ShapeError, match="expected p-values between 0 and 1"):
        holm(p)
