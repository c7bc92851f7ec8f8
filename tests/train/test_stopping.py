"""Early stopping and divergence: what happens to one run leaves the others as they were, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tenfold.execute import run_job
from tenfold.train import Epoch, Outcome, evaluate_final, prepare, train_epochs

HOWS = ["vmap", "loop"]

# A rate at which the runs of this tiny task stop at different epochs.
STOPPING = {"optimizer": "adam", "lr": 0.02, "epochs": 14, "batch_size": 10, "dtype": "float64"}


def curves(epochs: list[Epoch], part: str, metric: str) -> np.ndarray:
    return np.array([epoch.scores[part][metric] for epoch in epochs])  # (epochs, runs)


def parts_of(outcome: Outcome, run: int) -> dict[str, np.ndarray]:
    return {name: np.asarray(value[run]) for name, value in outcome.weights.items()}


def assert_bit_identical(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert list(one) == list(other)
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize("how", HOWS)
def test_a_stopped_run_keeps_its_best_weights_and_statistics(engine: Any, how: Any) -> None:
    """By hand: the weights and batch-norm buffers after every epoch, and the epoch with the best validation loss."""
    task = engine.task(train=60, test=30, validation=0.4)
    job = engine.job(n_runs=4, patience=2, how=how, **STOPPING)
    free = prepare(engine.job(n_runs=4, how=how, **STOPPING), task)
    snapshots, losses = [], []
    for epoch in train_epochs(free):
        snapshots.append([free.stack.module(run).state_dict() for run in range(4)])
        losses.append(epoch.scores["validation"]["loss"])
    epochs, outcome = engine.train(job, task)
    best_epochs = set()
    for run in range(4):
        best, waited = math.inf, 0
        expected_best = expected_end = 0
        for epoch, loss in enumerate(np.array(losses)[:, run], start=1):
            best, waited, expected_best = (loss, 0, epoch) if loss < best else (best, waited + 1, expected_best)
            expected_end = epoch
            if waited == 2:
                break
        assert outcome.best_epoch[run] == expected_best
        assert outcome.epochs[run] == expected_end
        assert outcome.status[run] == ("stopped" if waited == 2 else "finished")
        kept = snapshots[expected_best - 1][run]
        assert_bit_identical(parts_of(outcome, run), {name: value.numpy() for name, value in kept.items()})
        best_epochs.add(expected_best)
        # The curves of the others, and its own until it stops, are those without early stopping.
        ours, without = (curves(epochs, "test", "loss")[:expected_end, run], None)
        without = np.array(losses)[:expected_end, run]
        np.testing.assert_array_equal(curves(epochs, "validation", "loss")[:expected_end, run], without)
        assert np.isfinite(ours).all()
    assert len(best_epochs) > 1  # otherwise nothing was tested
    assert "stopped" in outcome.status


@pytest.mark.parametrize("how", HOWS)
def test_a_stopped_run_does_not_move_and_its_curve_is_flat(engine: Any, how: Any) -> None:
    task = engine.task(train=60, test=30, validation=0.4)
    state = prepare(engine.job(n_runs=4, patience=2, how=how, **STOPPING), task)
    stopped_at: dict[int, tuple[int, dict[str, Tensor], float]] = {}
    for epoch in train_epochs(state):
        for run in range(4):
            now = {name: value.clone() for name, value in state.stack.module(run).state_dict().items()}
            if run in stopped_at:
                at, then, loss = stopped_at[run]
                assert all(torch.equal(now[name], then[name]) for name in then)
                if epoch.epoch > at + 1:
                    assert epoch.scores["test"]["loss"][run] == loss
                else:
                    stopped_at[run] = (at, then, epoch.scores["test"]["loss"][run])
            elif bool(state.frozen[run]):
                stopped_at[run] = (epoch.epoch, now, math.nan)
    assert len(stopped_at) >= 2


@pytest.mark.parametrize("how", HOWS)
def test_scores_of_stopped_runs_are_those_of_their_best_epoch(engine: Any, how: Any) -> None:
    task = engine.task(train=60, test=30, validation=0.4)
    epochs, outcome = engine.train(engine.job(n_runs=4, patience=2, how=how, **STOPPING), task)
    for run in range(4):
        best = outcome.best_epoch[run]
        assert best is not None
        for metric in ("accuracy", "f1", "loss", "digit_accuracy"):
            assert outcome.scores[metric][run] == pytest.approx(
                curves(epochs, "test", metric)[best - 1, run], rel=1e-12
            )


def test_training_ends_when_every_run_has_stopped(engine: Any) -> None:
    task = engine.task(train=60, validation=0.4)
    job = engine.job(n_runs=2, patience=1, epochs=200, lr=0.05)
    epochs, outcome = engine.train(job, task)
    assert len(epochs) < 200
    assert outcome.status == ["stopped", "stopped"]
    assert max(outcome.epochs) == len(epochs)


def test_without_patience_the_last_weights_are_kept(engine: Any) -> None:
    task = engine.task(train=60, validation=0.4)
    _, outcome = engine.train(engine.job(n_runs=2, epochs=3), task)
    assert outcome.best_epoch == [None, None]
    assert outcome.epochs == [3, 3]
    assert outcome.status == ["finished", "finished"]
    assert outcome.messages == ["", ""]


# -- runs that leave the finite numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_a_rate_far_too_large_is_reported_and_touches_no_other_run(engine: Any, how: Any, optimizer: str) -> None:
    task = engine.task()
    common = {"optimizer": optimizer, "epochs": 3, "batch_size": 10, "dtype": "float32", "how": how}
    wild = engine.job(n_runs=2, lr=[0.01, 1e38], **common)
    tame = engine.job(n_runs=2, lr=[0.01, 0.02], **common)
    epochs, outcome = engine.train(wild, task)
    _, reference = engine.train(tame, task)
    assert outcome.status == ["finished", "finished", "diverged", "diverged"]
    for run in (2, 3):
        assert all(math.isnan(values[run]) for values in outcome.scores.values())
        assert outcome.messages[run] == f"loss or weights were no longer finite in epoch {outcome.epochs[run]}"
    for run in (0, 1):
        assert_bit_identical(parts_of(outcome, run), parts_of(reference, run))
        assert all(outcome.scores[name][run] == reference.scores[name][run] for name in outcome.scores)
        assert outcome.messages[run] == ""
    assert len(epochs) == 3
    assert json_can_hold(epochs)


def json_can_hold(epochs: list[Epoch]) -> bool:
    import json

    return bool(json.dumps([epoch.scores for epoch in epochs]))


class SometimesNaN(nn.Module):
    """Gives NaN for one repeat: known by a buffer that its initial weights decide."""

    bad: Tensor

    def __init__(self, *, size: int = 8, when: str = "training", limit: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
        self.when = when
        self.register_buffer("bad", torch.rand(()) < limit)

    def forward(self, pairs: Tensor) -> Tensor:
        logits = self.layers(pairs)
        if self.training == (self.when == "training"):
            logits = torch.where(self.bad, torch.full_like(logits, torch.nan), logits)
        return logits


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("when", ["training", "evaluation"])
def test_a_module_that_gives_nan_in_one_repeat(engine: Any, how: Any, when: str) -> None:
    """Diverged is said of that repeat; the others are bit-identical to a study in which all is well."""
    task = engine.task()
    options = {"size": 8, "when": when}
    job = engine.job(SometimesNaN, n_runs=6, epochs=3, how=how, options=options | {"limit": 0.4})
    well = engine.job(SometimesNaN, n_runs=6, epochs=3, how=how, options=options)
    epochs, outcome = engine.train(job, task)
    _, reference = engine.train(well, task)
    bad = outcome.weights["layers.1.weight"].shape[0] * [False]
    for run in range(6):
        bad[run] = bool(outcome.weights["bad"][run])
        if bad[run]:
            assert outcome.status[run] == "diverged"
            assert outcome.messages[run] == (
                "loss or weights were no longer finite in epoch 1"
                if when == "training"
                else "outputs on the test part are not finite"
            )
            assert all(math.isnan(values[run]) for values in outcome.scores.values())
        else:
            assert outcome.status[run] == "finished"
            mine, theirs = parts_of(outcome, run), parts_of(reference, run)
            assert_bit_identical(mine, theirs)
            assert all(
                np.array_equal(outcome.scores[name][run], reference.scores[name][run]) for name in outcome.scores
            )
    assert 0 < sum(bad) < 6
    assert len(epochs) == 3


def test_a_diverged_run_is_not_brought_back_by_early_stopping(engine: Any) -> None:
    task = engine.task(train=60, validation=0.4)
    job = engine.job(n_runs=2, lr=[0.01, 1e38], optimizer="sgd", patience=2, epochs=6, dtype="float32")
    _, outcome = engine.train(job, task)
    assert outcome.status[2:] == ["diverged", "diverged"]
    assert all(math.isnan(outcome.scores["accuracy"][run]) for run in (2, 3))
    assert {"finished", "stopped"} >= set(outcome.status[:2])


def test_when_every_run_diverges_training_ends(engine: Any) -> None:
    task = engine.task()
    *epochs, outcome = run_job(engine.job(optimizer="sgd", lr=1e38, epochs=50, dtype="float32"), task)
    assert len(epochs) < 5
    assert isinstance(outcome, Outcome)
    assert outcome.status == ["diverged"] * 3


def test_finishing_needs_no_training(engine: Any) -> None:
    """The outcome of a fresh state: what untrained modules score."""
    task = engine.task()
    state = prepare(engine.job(), task)
    outcome = evaluate_final(state, seconds=0.0)
    assert outcome.epochs == [0, 0, 0]
    assert all(np.isfinite(values).all() for values in outcome.scores.values())
