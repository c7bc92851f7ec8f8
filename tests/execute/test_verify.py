"""The certificate: small where all is well, large where a run is not the run that it would be alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tenfold.execute import Plan, verify


@pytest.mark.parametrize("how", ["vmap", "loop"])
def test_the_certificate_of_a_true_record(engine: Any, how: Any) -> None:
    task, job = engine.task(), engine.job(dtype="float32", epochs=6, how=how)
    _, outcome = engine.train(job, task)
    plan = Plan("stack", how, 1, ((0, 1, 2),))
    scores = {name: float(values[0]) for name, values in outcome.scores.items()}
    found = verify(job, task, plan, outcome.weights, scores)
    assert found["steps_float64"] == 20
    assert 0 <= found["weights_float64"] < 1e-10
    assert 0 <= found["weights"] < 1e-3
    assert set(found["scores"]) == {"accuracy", "f1", "loss", "auc", "digit_accuracy"}
    assert max(found["scores"].values()) < 0.06  # at most one pair of 20


def test_the_twin_a_record_that_was_changed_is_noticed(engine: Any) -> None:
    task, job = engine.task(), engine.job(dtype="float32", epochs=3)
    _, outcome = engine.train(job, task)
    weights = {name: value.copy() for name, value in outcome.weights.items()}
    weights["compare.bias"][0] += 0.5
    found = verify(job, task, Plan("stack", "vmap", 1, ((0, 1, 2),)), weights, {"accuracy": 2.0})
    assert found["weights"] == pytest.approx(0.5, abs=1e-3)
    assert list(found["scores"]) == ["accuracy"]
    assert found["scores"]["accuracy"] > 1


def test_the_first_run_is_found_in_whatever_group_it_is(engine: Any) -> None:
    task, job = engine.task(), engine.job(dtype="float32", epochs=2)
    _, outcome = engine.train(job, task)
    plan = Plan("processes", "vmap", 1, ((2, 1), (0,)))
    assert verify(job, task, plan, outcome.weights, {})["weights_float64"] < 1e-10


def test_rules_that_look_at_validation_are_compared_in_double_precision_only(engine: Any) -> None:
    task, job = engine.task(validation=0.2), engine.job(patience=2, epochs=3)
    _, outcome = engine.train(job, task)
    found = verify(job, task, Plan("stack", "vmap", 1, ((0, 1, 2),)), outcome.weights, {})
    assert found["weights_float64"] < 1e-10
    assert found["weights"] is None
    assert found["scores"] is None


def test_a_short_budget_is_not_overrun(engine: Any) -> None:
    task, job = engine.task(), engine.job(epochs=1, schedule="one-cycle")
    _, outcome = engine.train(job, task)
    found = verify(job, task, Plan("stack", "vmap", 1, ((0, 1, 2),)), outcome.weights, {})
    assert found["weights_float64"] < 1e-10
    assert np.isfinite(found["weights"])
    assert found["steps_float64"] == 4  # not the 20 that there were no examples for


def test_nan_is_neither_hidden_nor_a_difference_where_both_have_it(engine: Any) -> None:
    """Python's max forgets a NaN that is not the first."""
    task, job = engine.task(), engine.job(optimizer="sgd", lr=1e38, epochs=2, dtype="float32")
    _, outcome = engine.train(job, task)
    assert outcome.status == ["diverged"] * 3
    plan = Plan("stack", "vmap", 1, ((0, 1, 2),))
    weights = {name: value.copy() for name, value in outcome.weights.items()}
    weights["classify.bias"][0] = 1.0
    assert verify(job, task, plan, weights, {})["weights"] == np.inf
