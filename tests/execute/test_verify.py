"""The certificate: small where all is well, large where a run is not the run that it would be alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tenfold.execute import Plan, verify
from tenfold.execute._compared import apart
from tenfold.stack import Stack
from tenfold.train import of_run


def of_runs(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Arrays, runs first, of each run."""
    return [of_run(arrays, run) for run in range(len(next(iter(arrays.values()))))]


@pytest.mark.parametrize("how", ["vmap", "loop"])
def test_the_certificate_of_a_true_record(engine: Any, how: Any) -> None:
    task, job = engine.task(), engine.job(dtype="float32", epochs=6, how=how)
    _, outcome = engine.train(job, task)
    plan = Plan("stack", how, 1, ((0, 1, 2),))
    found = verify(job, task, plan, of_runs(outcome.weights), of_runs(outcome.scores))
    assert found["failures"] == []
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
    found = verify(job, task, Plan("stack", "vmap", 1, ((0, 1, 2),)), of_runs(weights), [{"accuracy": 2.0}] * 3)
    assert found["weights"] == pytest.approx(0.5, abs=1e-3)
    assert list(found["scores"]) == ["accuracy"]
    assert found["scores"]["accuracy"] > 1


def test_the_first_run_is_found_in_whatever_group_it_is(engine: Any) -> None:
    task, job = engine.task(), engine.job(dtype="float32", epochs=2)
    _, outcome = engine.train(job, task)
    plan = Plan("processes", "vmap", 1, ((2, 1), (0,)))
    assert verify(job, task, plan, of_runs(outcome.weights), [{}] * 3)["weights_float64"] < 1e-10


def test_rules_that_look_at_validation_are_compared_in_double_precision_only(engine: Any) -> None:
    task, job = engine.task(validation=0.2), engine.job(patience=2, epochs=3)
    _, outcome = engine.train(job, task)
    found = verify(job, task, Plan("stack", "vmap", 1, ((0, 1, 2),)), of_runs(outcome.weights), [{}] * 3)
    assert found["weights_float64"] < 1e-10
    assert found["weights"] is None
    assert found["scores"] is None


def test_a_short_budget_is_not_overrun(engine: Any) -> None:
    task, job = engine.task(), engine.job(epochs=1, schedule="one-cycle")
    _, outcome = engine.train(job, task)
    found = verify(job, task, Plan("stack", "vmap", 1, ((0, 1, 2),)), of_runs(outcome.weights), [{}] * 3)
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
    assert verify(job, task, plan, of_runs(weights), [{}] * 3)["weights"] == np.inf


# -- a silent fault in the last run only ------------------------------------------------------------------------------


def broken(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Stacks whose run 2 is not the run alone."""
    right = Stack.gradients

    def gradients(stack: Stack, *arguments: Any) -> Any:
        losses, rest, grads = right(stack, *arguments)
        if stack.n_runs < 3:
            return losses, rest, grads
        if what == "loss":
            losses = losses + torch.tensor([0, 0, 1e-6])
        if what == "gradient":
            grads[-1][2] += 1e-6  # type: ignore[index]
        if what == "buffer":
            dict(stack.runs.named_buffers())["normalise.running_mean"][2] += 1e-6
        return losses, rest, grads

    monkeypatch.setattr(Stack, "gradients", gradients)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("loss", "loss differs by 1.0e-06 from the run alone in step 1, in double precision (tolerance 1e-08)"),
        ("gradient", "gradient 'classify.bias' differs by 1.0e-06 from the run alone in step 1"),
        ("buffer", "buffer 'normalise.running_mean' differs by"),
    ],
)
def test_a_fault_of_one_run_is_named(engine: Any, monkeypatch: pytest.MonkeyPatch, what: str, said: str) -> None:
    task, job = engine.task(), engine.job(epochs=1)
    _, outcome = engine.train(job, task)
    weights, scores = of_runs(outcome.weights), of_runs(outcome.scores)
    broken(monkeypatch, what)
    found = verify(job, task, Plan("stack", "vmap", 1, ((0, 1), (2,))), weights, scores)
    assert found["failures"] == []  # no stack of three
    found = verify(job, task, Plan("stack", "vmap", 1, ((0, 1, 2),)), weights, scores)
    assert any(text.startswith(f"repeat 2: {said}") for text in found["failures"])
    assert {text.partition(":")[0] for text in found["failures"]} == {"repeat 2"}
    if what != "gradient":  # by which all that comes after it is another
        assert len(found["failures"]) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_recorded_score_that_is_not_of_the_recorded_weights_is_named(engine: Any, dtype: str) -> None:
    task, job = engine.task(), engine.job(epochs=2, dtype=dtype)
    _, outcome = engine.train(job, task)
    plan = Plan("stack", "vmap", 1, ((0, 1, 2),))
    weights, scores = of_runs(outcome.weights), of_runs(outcome.scores)
    assert verify(job, task, plan, weights, scores)["failures"] == []
    changed = [*scores[:2], scores[2] | {"accuracy": scores[2]["accuracy"] + 0.05}]
    (failure,) = verify(job, task, plan, weights, changed)["failures"]
    assert failure.startswith("repeat 2: score 'accuracy' differs by 5.0e-02 from that of the recorded weights in a")
    weights[1] = {name: value.copy() for name, value in weights[1].items()}
    weights[1]["normalise.running_mean"] += 0.1
    failures = verify(job, task, plan, weights, scores)["failures"]
    assert {text.partition(" differs")[0] for text in failures} >= {"repeat 1: score 'loss'"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_of_another_run_are_named_with_its_scores_too(engine: Any, dtype: str) -> None:
    task, job = engine.task(), engine.job(epochs=2, dtype=dtype)
    _, outcome = engine.train(job, task)
    plan = Plan("stack", "vmap", 1, ((0, 1, 2),))
    weights, scores = of_runs(outcome.weights), of_runs(outcome.scores)
    mixed = verify(job, task, plan, [weights[0], weights[2], weights[1]], scores)["failures"]
    assert any(text.startswith("repeat 1: score ") for text in mixed)
    order = (0, 2, 1)
    whole = verify(job, task, plan, [weights[run] for run in order], [scores[run] for run in order])["failures"]
    assert "repeat 1: its recorded weights are those of repeat 2 trained alone, not its own" in whole
    assert "repeat 2: its recorded weights are those of repeat 1 trained alone, not its own" in whole
    assert not any(text.startswith("repeat 0") for text in whole)


def test_a_gradient_a_thousandth_too_large_is_named(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task, job = engine.task(), engine.job(epochs=1)
    _, outcome = engine.train(job, task)
    right = Stack.gradients

    def gradients(stack: Stack, *arguments: Any) -> Any:
        losses, rest, grads = right(stack, *arguments)
        for gradient in grads:
            gradient[2] *= 1.001
        return losses, rest, grads

    monkeypatch.setattr(Stack, "gradients", gradients)
    plan = Plan("stack", "vmap", 1, ((0, 1, 2),))
    failures = verify(job, task, plan, of_runs(outcome.weights), of_runs(outcome.scores))["failures"]
    assert any(text.startswith("repeat 2: gradient 'convolution.weight' differs by") for text in failures)
    assert {text.partition(":")[0] for text in failures} == {"repeat 2"}


class Tied(nn.Module):
    """Answers are ties but for rounding."""

    def __init__(self, *, size: int = 8) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, pairs: Tensor) -> Tensor:
        return 1.0 + 0.0 * pairs.flatten(1)[:, :2] * self.weight


def test_a_tie_that_falls_the_other_way_is_no_difference(engine: Any) -> None:
    task, job = engine.task(), engine.job(Tied, epochs=1, dtype="float32", n_runs=1)
    _, outcome = engine.train(job, task)
    scores = of_runs(outcome.scores)
    scores[0]["accuracy"] += 0.05
    plan = Plan("stack", "vmap", 1, ((0,),))
    assert verify(job, task, plan, of_runs(outcome.weights), scores)["failures"] == []


def test_arrays_of_any_kind_are_compared() -> None:
    inf, text = np.array([np.inf]), np.array(["a"])
    assert apart(inf, inf) == 0
    assert (
        apart(inf, -inf) == apart(None, inf) == apart(np.ones(2), np.ones(3)) == apart(text, np.array(["b"])) == np.inf
    )
    assert apart(text, text) == apart(np.zeros(0), np.zeros(0)) == 0
    assert apart(np.array([2**62 + 0j]), np.array([2**62 + 3j])) == 3
