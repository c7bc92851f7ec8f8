"""Tasks and modules tried on a few examples: what is wrong is said before anything is trained."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from tenfold.errors import RequestError, ShapeError
from tenfold.execute import try_module
from tenfold.metrics import Metric
from tenfold.tasks import ComparePairs, carries, find_task


def changed(engine: Any, *, spec: dict[str, Any] | None = None, **methods: Any) -> ComparePairs:
    """Compare pairs of digits, with other methods or another spec."""
    task = engine.task(validation=0.25)
    fields = {"spec": dataclasses.replace(ComparePairs.spec, **spec or {})} | methods
    task.__class__ = type("Changed", (ComparePairs,), fields)
    return task


def test_a_sound_task_passes(engine: Any) -> None:
    try_module(engine.job("baseline"), changed(engine))
    try_module(engine.job("baseline"), changed(engine, carries=False))
    assert not carries(changed(engine, carries=False))


def doubled(self: ComparePairs, sums: Any) -> dict[str, Any]:
    return ComparePairs.metrics_of(self, sums) | {"surprise": sums["nats"]}


def without_runs(self: ComparePairs, output: Any, batch: Any) -> dict[str, torch.Tensor]:
    kept = ComparePairs.predictions(self, output, batch)
    return kept | {"extra": torch.cat([kept["target"][0], kept["target"][0]])}


OBJECTIVE = Metric("objective", "Mine", "", higher_is_better=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics_of": doubled}, "gives a metric 'surprise', which its spec does not name"),
        (
            {
                "spec": {
                    "metrics": (*ComparePairs.spec.metrics, Metric("objective", "Mine", "", higher_is_better=False))
                }
            },
            "names a metric 'objective', as the training loss is called",
        ),
        ({"metrics_of": lambda self, sums: {}, "final_metrics": lambda self, kept: {}}, "primary metric 'accuracy'"),
    ],
)
def test_metrics_that_do_not_fit_are_refused(engine: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        try_module(engine.job("baseline"), changed(engine, **change))


def test_predictions_without_runs_are_refused(engine: Any) -> None:
    with pytest.raises(ShapeError, match=r"gives 'extra' of shape \(40,\); expected the runs, here 1, first"):
        try_module(engine.job("baseline"), changed(engine, predictions=without_runs))


def test_what_early_stopping_monitors_has_to_be_there_and_small(engine: Any) -> None:
    late = Metric("late", "Late", "", higher_is_better=False)
    task = changed(engine, spec={"monitor": "late", "metrics": (*ComparePairs.spec.metrics, late)})
    try_module(engine.job("baseline"), task)
    with pytest.raises(RequestError, match=r"monitors 'late', which its metrics_of does not give .* it gives accuracy"):
        try_module(engine.job("baseline", patience=2), task)
    with pytest.raises(RequestError, match="monitors 'accuracy', of which larger is better"):
        try_module(engine.job("baseline", patience=2), changed(engine, spec={"monitor": "accuracy"}))


def summed_over_runs(self: ComparePairs, output: Any, batch: Any) -> dict[str, torch.Tensor]:
    return {name: value.sum() for name, value in ComparePairs.sums(self, output, batch).items()}


def noisy(self: ComparePairs, output: Any, batch: Any, hyper: Any) -> torch.Tensor:
    return ComparePairs.loss(self, output, batch, hyper) * torch.rand(())


def test_sums_over_all_runs_are_refused(engine: Any) -> None:
    with pytest.raises(ShapeError, match=r"sums give 'confusion' of shape \(\); expected the runs, here 1, first"):
        try_module(engine.job("baseline"), changed(engine, sums=summed_over_runs))


def test_a_loss_with_random_numbers_of_its_own_is_refused(engine: Any) -> None:
    with pytest.raises(RequestError, match=r"computed again from the same seed.*tenfold\.seeds\.uniform"):
        try_module(engine.job("baseline"), changed(engine, loss=noisy))


def test_a_task_that_lacks_a_method_is_refused_by_name(engine: Any) -> None:
    class Half:
        spec = ComparePairs.spec
        loss = ComparePairs.loss

    with pytest.raises(RequestError, match="the task '.*Half' has no splits, no resampling, no batches, no sums"):
        find_task(Half, base=Path())
