"""Looks: boundaries against published ones, and the rate of false positives over all looks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from tenfold.errors import RequestError
from tenfold.stats import Looks, verdicts

PLAN = (10, 20, 30, 40, 50)


@pytest.mark.parametrize(
    ("spending", "z"),
    # Jennison and Turnbull 2000, Group Sequential Methods, by Lan and DeMets' functions at five equal looks, 0.05.
    [("obrien-fleming", [4.877, 3.357, 2.680, 2.290, 2.031]), ("pocock", [2.438, 2.427, 2.410, 2.397, 2.386])],
)
def test_boundaries_are_the_published_ones(spending, z) -> None:
    found = [Looks(PLAN[:n], planned=PLAN, spending=spending).nominal(0.05) for n in range(1, 6)]
    np.testing.assert_allclose(norm.isf(np.array(found) / 2), z, atol=0.005)


def test_one_planned_look_has_the_whole_rate_and_nothing_is_left_after_a_plan() -> None:
    assert Looks((10,), planned=(10,)).nominal(0.05) == 0.05
    assert Looks((10,), planned=(10,)).p(0.03) == 0.03
    assert Looks((10, 20), planned=(10,)).nominal(0.05) == 0
    assert Looks((10, 20), planned=(10,)).p(1e-6) == 1


def test_six_repeats_can_decide_at_the_first_look() -> None:
    first, second = np.arange(1.0, 7.0), np.zeros(6)
    verdict = verdicts({"a": first, "b": second}, looks=Looks((6,)))[0]
    assert verdict.winner == "a"
    assert verdict.p == 2 / 64
    assert verdict.p_corrected == pytest.approx(0.05)
    assert verdict.low >= 0


@pytest.mark.parametrize("n_tests", [1, 10, 45])
@pytest.mark.parametrize("taken", [(10,), (10, 20), (10, 11, 20, 40)])
def test_the_p_of_all_looks_is_the_rate_at_which_it_is_called(taken, n_tests) -> None:
    looks = Looks(taken)
    for rate in (0.001, 0.05, 0.2):
        assert looks.p(looks.nominal(rate, n_tests), n_tests) == pytest.approx(rate, rel=0.03)
    assert looks.p(0.0, n_tests) == 0.0
    assert looks.p(1.0, n_tests) == 1.0


@pytest.mark.parametrize(
    ("n_models", "at", "planned"),
    [(2, (10, 20, 30, 40), ()), (2, tuple(range(6, 16)), ()), (4, (10, 20, 40), (10, 20, 40))],
)
def test_looking_again_and_again_calls_equal_models_different_in_at_most_5_percent(n_models, at, planned) -> None:
    rng, studies, false = np.random.default_rng(0), 150, 0
    for _ in range(studies):
        scores = rng.normal(size=(n_models, at[-1]))
        for look in range(len(at)):
            seen = {str(model): own[: at[look]] for model, own in enumerate(scores)}
            if any(v.winner for v in verdicts(seen, looks=Looks(at[: look + 1], planned=planned))):
                false += 1
                break
    assert false / studies <= 0.05 + 2 * (0.05 * 0.95 / studies) ** 0.5


@pytest.mark.parametrize(
    "given", [{"taken": ()}, {"taken": (10, 10)}, {"taken": (20, 10)}, {"taken": (10,), "planned": (0,)}]
)
def test_numbers_that_do_not_rise_are_refused(given) -> None:
    with pytest.raises(RequestError, match="expected rising numbers of repeats"):
        Looks(**given)
    with pytest.raises(RequestError, match="spending: no 'late'"):
        Looks((10,), spending="late")  # type: ignore[arg-type]
