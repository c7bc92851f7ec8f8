"""The contract of tasks: all that the engine knows of them. A new task joins by its line in ``TASKS`` and one here."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tenfold import datasets
from tenfold.tasks import TASKS, ClassifySequences, ComparePairs, Match, Task


def compare_pairs() -> ComparePairs:
    images = datasets.load("digits")
    assert isinstance(images, datasets.Images)
    return ComparePairs(images, size=8, train=20, test=12, validation=0.25)


def match() -> Match:
    images = datasets.load("digits")
    assert isinstance(images, datasets.Images)
    return Match(images, size=8, query_sets=4, candidates=2, pool_classes=2, validation=0.5, train_classes=4)


def classify_sequences() -> ClassifySequences:
    numbers = np.random.default_rng(0)
    recordings = datasets.Recordings(
        signals=numbers.normal(size=(720, 2)).astype(np.float32),
        starts=np.arange(0, 720, 40),
        lengths=np.full(18, 40),
        labels=np.arange(18) % 3,
        part=np.full(18, datasets.UNASSIGNED, np.uint8),
        class_names=("a", "b", "c"),
        channels=("x", "y"),
        groups=np.arange(18) // 2,
        group_names=tuple("123456789"),
    )
    return ClassifySequences(recordings, window=8, validation=0.2)


# A small one of each kind, with a validation part, and what a module for it gives for (runs, examples).
SMALL: dict[str, tuple[Callable[[], Task], Callable[[int, int], Any]]] = {
    "classify-sequences": (classify_sequences, lambda runs, n: torch.randn(runs, n, 3)),
    "compare-pairs": (compare_pairs, lambda runs, n: (torch.randn(runs, n, 2), torch.randn(runs, n, 2, 10))),
    "match": (match, lambda runs, n: torch.randn(runs, n, 6)),
}
# Recipes whose batches fit the ten examples below.
RECIPES: dict[str, dict] = {
    "classify-sequences": {},
    "compare-pairs": {},
    "match": {"classes_per_batch": 2, "images_per_class": 5},
}


@pytest.fixture(scope="module", params=sorted(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return SMALL[request.param][0]()


def outputs_for(task: Task, runs: int, n_examples: int) -> Any:
    torch.manual_seed(0)
    return SMALL[task.kind][1](runs, n_examples)


def some(outputs: Any, chosen: int | slice) -> Any:
    """Outputs of one run, or of some."""
    return outputs[chosen] if isinstance(outputs, Tensor) else tuple(part[chosen] for part in outputs)


def of_the_test_part(task: Task, repeats: list[int]) -> tuple[int, dict[str, Tensor]]:
    """How many test examples a run has, and their targets."""
    examples = task.examples(repeats, seed=0)["test"]
    return examples.n_examples, examples.targets


def test_every_task_has_a_small_one_here() -> None:
    assert set(SMALL) == set(TASKS)
    assert all(TASKS[kind].kind == kind for kind in TASKS)


def test_metrics_are_named_once_and_one_is_primary(task: Task) -> None:
    names = [metric.name for metric in task.metrics]
    assert len(set(names)) == len(names)
    assert sum(metric.primary for metric in task.metrics) == 1
    assert all(metric.label and metric.unit in ("%", "nats", "") for metric in task.metrics)
    assert "loss" in names


def test_repeats_have_their_own_data_and_always_the_same(task: Task) -> None:
    three = task.examples([0, 1, 2], seed=7)
    assert set(three) == {"train", "validation", "test"}
    again = task.examples([2, 0], seed=7)
    for part, examples in three.items():
        assert examples.n_runs == 3
        assert torch.equal(again[part].index, examples.of_runs([2, 0]).index)
        assert not torch.equal(examples.index[0], examples.index[1])
        for name, value in examples.targets.items():
            assert value.shape[:2] == examples.index.shape[:2], name
    assert not torch.equal(task.examples([0], seed=8)["train"].index, three["train"].index[:1])


def test_a_sample_is_a_batch_of_one_run(task: Task) -> None:
    inputs, targets = task.sample(3)
    (real,), real_targets = task.examples([0], seed=0)["train"].span(0, 3)
    assert (inputs.shape, inputs.dtype) == (real[0].shape, real.dtype)
    assert {k: (v.shape, v.dtype) for k, v in targets.items()} == {
        k: (v[0].shape, v.dtype) for k, v in real_targets.items()
    }


def test_losses_are_for_one_run_and_vmap(task: Task) -> None:
    _, targets = task.examples([0, 1], seed=0)["train"].span(0, 10)
    outputs = outputs_for(task, 2, 10)
    task.check(some(outputs, 0), 10)
    recipe = task.recipe_type(**RECIPES[task.kind])
    settings = [recipe.loss_settings()] * 2
    values = {name: torch.tensor([each[name] for each in settings]) for name in settings[0]}
    values |= {"key": torch.tensor([3, 4]), "step": torch.tensor([5, 5])}
    together = torch.func.vmap(lambda *each: task.loss(*each, recipe))(outputs, targets, values)
    assert together.shape == (2,)
    for run in range(2):
        its = {name: value[run] for name, value in targets.items()}
        own = {name: value[run] for name, value in values.items()}
        alone = task.loss(some(outputs, run), its, own, recipe)
        torch.testing.assert_close(together[run], alone)


def test_scores_are_those_of_each_run_by_itself(task: Task) -> None:
    n_examples, targets = of_the_test_part(task, [0, 1, 2])
    outputs = outputs_for(task, 3, n_examples)
    scores, measured = task.score(outputs, targets), task.measure(outputs, targets)
    assert set(measured) <= set(scores) <= {metric.name for metric in task.metrics}
    assert "loss" in measured
    for run in range(3):
        its = {name: value[run : run + 1] for name, value in targets.items()}
        alone = task.score(some(outputs, slice(run, run + 1)), its)
        assert all(alone[name][0] == pytest.approx(scores[name][run]) for name in scores)
    for name, values in scores.items():
        metric = next(metric for metric in task.metrics if metric.name == name)
        assert isinstance(values, np.ndarray)
        assert values.shape == (3,)
        if metric.unit == "%":
            assert ((values >= 0) & (values <= 1)).all()


def test_predictions_have_the_runs_first_and_no_objects(task: Task) -> None:
    n_examples, targets = of_the_test_part(task, [0, 1])
    kept = task.predictions(outputs_for(task, 2, n_examples), targets)
    assert kept
    assert all(value.shape[0] == 2 and value.dtype.kind in "fiub" for value in kept.values())
    shown = task.gallery({"m": kept | {"repeat": np.array([0, 1])}}, seed=0)
    assert all(value.dtype.kind in "fiub" for value in shown.values())
    assert len({len(value) for value in shown.values()}) <= 1


def test_an_epoch_is_of_the_run_s_own_examples_and_numbers(task: Task) -> None:
    targets = {name: value[0] for name, value in task.examples([0], seed=0)["train"].targets.items()}
    recipe = task.recipe_type(**RECIPES[task.kind])

    def order(seed: int) -> Tensor:
        return task.order(targets, recipe, torch.Generator().manual_seed(seed))

    first = order(1)
    assert first.dtype == torch.int64
    assert 0 <= int(first.min()) <= int(first.max()) < len(next(iter(targets.values())))
    assert torch.equal(first, order(1))
    assert not torch.equal(first, order(2))


def test_what_the_record_and_the_workers_need(task: Task) -> None:
    design = task.resampling()
    assert isinstance(design.resampled, bool)
    assert (design.test_over_train is None) == (not design.resampled)
    assert design.note
    assert dataclasses.asdict(design)
    assert all(isinstance(value, int) for value in task.facts().values())
    assert isinstance(task.fingerprint, str)
    assert len(task.fingerprint) >= 32
    copied = pickle.loads(pickle.dumps(task))
    assert torch.equal(copied.examples([3], seed=1)["train"].index, task.examples([3], seed=1)["train"].index)
