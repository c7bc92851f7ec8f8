"""The contract of tasks: all that the engine knows of them. A new task joins by its line in ``TASKS`` and one here."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from tenfold import datasets
from tenfold.errors import ShapeError
from tenfold.recipe import Config, Recipe
from tenfold.sampling import Batch, Resampling, Split
from tenfold.tasks import (
    TASKS,
    ChecksOutput,
    ClassifySequences,
    ComparePairs,
    FinalMetrics,
    FitsEstimators,
    HasGallery,
    Hyper,
    Match,
    Predicted,
    Task,
    TaskInfo,
)
from tenfold.train._by_cluster import ByCluster


def small(kind: type[Any], data: Any, **settings: Any) -> Any:
    """A task on data in memory."""
    return kind(kind.spec.settings(kind=kind.spec.kind, data="memory", **settings), data)


def compare_pairs() -> ComparePairs:
    return small(ComparePairs, datasets.load("digits"), size=8, train=20, test=12, validation=0.25)


def match() -> Match:
    settings = {"query_sets": 4, "candidates": 2, "pool_classes": 2, "validation": 0.5, "train_classes": 4}
    return small(Match, datasets.load("digits"), size=8, **settings)


def classify_sequences() -> ClassifySequences:
    numbers = np.random.default_rng(0)
    # Pieces of different lengths, so that groups have different numbers of windows.
    lengths = np.array([40 + 8 * (at % 4) for at in range(18)], np.int64)
    stops = np.cumsum(lengths)
    recordings = datasets.Recordings(
        signals=numbers.normal(size=(int(stops[-1]), 2)).astype(np.float32),
        starts=stops - lengths,
        lengths=lengths,
        labels=np.arange(18) % 3,
        part=np.full(18, datasets.UNASSIGNED, np.uint8),
        class_names=("a", "b", "c"),
        channels=("x", "y"),
        groups=np.arange(18) // 2,
        group_names=tuple("123456789"),
    )
    return small(ClassifySequences, recordings, window=8, validation=0.2)


class Small(NamedTuple):
    """A small task of one kind, with a validation part.

    Attributes:
        make: makes it.
        output: what a module gives for a batch of so many examples: random tensors (batch, ...).
        recipe: settings whose batches fit the data.
        separate: what no two parts of a repeat may share: of a part and a run, a set.
    """

    make: Callable[[], Any]
    output: Callable[[int], Any]
    recipe: dict[str, Any]
    separate: Callable[[Split, int], set[int]]


def items(split: Split, run: int) -> set[int]:
    """Images or windows that a run uses."""
    index = split.index[run]
    return set((index if split.valid is None else index[split.valid[run]]).flatten().tolist())


def classes(split: Split, run: int) -> set[int]:
    found = split.targets["class"][run]
    return set(found[found >= 0].tolist())


SMALL: dict[str, Small] = {
    "classify-sequences": Small(classify_sequences, lambda n: torch.randn(n, 3), {}, items),
    "compare-pairs": Small(compare_pairs, lambda n: (torch.randn(n, 2), torch.randn(n, 2, 10)), {}, items),
    "match": Small(match, lambda n: torch.randn(n, 6), {"classes_per_batch": 2, "images_per_class": 5}, classes),
}
LEARNING = ("train", "validation")


@pytest.fixture(scope="module", params=sorted(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return SMALL[request.param].make()


def small_of(task: Task) -> Small:
    return SMALL[task.spec.kind]


def recipe_of(task: Task) -> Recipe:
    return task.spec.recipe(**small_of(task).recipe)


def outputs_for(task: Task, split: Split, seed: int = 0) -> Any:
    """What the runs of a stack give for all examples of a part, runs first. A run's outputs are its own, whatever runs
    are beside it."""
    of_runs = []
    for run in range(split.n_runs):
        torch.manual_seed(seed + int(split.index[run].sum()))
        of_runs.append(small_of(task).output(split.n_examples))
    return tree_map(lambda *each: torch.stack(each), *of_runs)


def cut(tree: Any, start: int, stop: int) -> Any:
    """Outputs of some of the examples."""
    return tree_map(lambda value: value[:, start:stop], tree)


def run_of(tree: Any, run: int) -> Any:
    return tree_map(lambda value: value[run], tree)


def for_testing(splits: dict[str, Split]) -> dict[str, Split]:
    """The test part and the further test sets."""
    return {part: split for part, split in splits.items() if part not in LEARNING}


def units_of(split: Split) -> list[tuple[int, int]]:
    """The smallest batches that an evaluation may take: examples, or what belongs together in a block."""
    size = 1
    for name in ("set", "episode"):
        if name in split.targets:
            size = int((split.targets[name][0] == 0).sum())
    return [(start, start + size) for start in range(0, split.n_examples, size)]


def cuts(split: Split) -> Iterator[list[tuple[int, int]]]:
    """Some ways of cutting a part into batches: at once, as evaluated, by threes, one by one."""
    units = units_of(split)
    yield [(0, split.n_examples)]
    yield list(split.spans())
    yield [(units[at][0], units[min(at + 2, len(units) - 1)][1]) for at in range(0, len(units), 3)]
    yield units


def summed(task: Task, split: Split, outputs: Any, stretches: list[tuple[int, int]]) -> dict[str, np.ndarray]:
    total: dict[str, np.ndarray] = {}
    for start, stop in stretches:
        for name, value in task.sums(cut(outputs, start, stop), split.span(start, stop)).items():
            total[name] = total.get(name, 0) + value.numpy()
    return total


def kept(task: Task, split: Split, outputs: Any, stretches: list[tuple[int, int]]) -> dict[str, np.ndarray]:
    pieces: dict[str, list[Tensor]] = {}
    for start, stop in stretches:
        for name, value in task.predictions(cut(outputs, start, stop), split.span(start, stop)).items():
            pieces.setdefault(name, []).append(value)
    return {name: torch.cat(values, dim=1).numpy() for name, values in pieces.items()}


def evaluated(task: Task, repeats: list[int], seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Sums and predictions over all test sets."""
    total: dict[str, np.ndarray] = {}
    predictions: dict[str, np.ndarray] = {}
    for split in for_testing(task.splits(repeats, seed=seed)).values():
        outputs, stretches = outputs_for(task, split, seed), list(split.spans())
        for name, value in summed(task, split, outputs, stretches).items():
            total[name] = total.get(name, 0) + value
        predictions |= kept(task, split, outputs, stretches)
    return total, predictions


# -- what is known without data ---------------------------------------------------------------------------------------


def test_every_task_has_a_small_one_here() -> None:
    assert set(SMALL) == set(TASKS)
    assert all(TASKS[kind].spec.kind == kind for kind in TASKS)


def test_metrics_are_named_once_and_one_is_primary(task: Task) -> None:
    names = [metric.name for metric in task.spec.metrics]
    assert len(set(names)) == len(names)
    assert [metric.name for metric in task.spec.metrics if metric.primary] == [task.spec.primary]
    assert all(metric.label for metric in task.spec.metrics)
    monitor = next(metric for metric in task.spec.metrics if metric.name == task.spec.monitor)
    assert not monitor.higher_is_better


def test_it_has_all_that_the_contract_asks_for(task: Task) -> None:
    needed = [name for name, value in vars(Task).items() if inspect.isfunction(value) and name[0] != "_"]
    assert len(needed) == 7
    assert all(callable(getattr(task, name)) for name in needed)
    assert isinstance(task.info, TaskInfo)
    assert isinstance(task, ChecksOutput)


# -- data -------------------------------------------------------------------------------------------------------------


def test_repeats_have_their_own_data_and_always_the_same(task: Task) -> None:
    three = task.splits([0, 1, 2], seed=7)
    assert {"train", "validation", "test"} <= set(three)
    again = task.splits([2, 0], seed=7, configs=[Config(recipe=recipe_of(task))] * 2)
    assert set(again) == set(three)
    for part, split in three.items():
        assert split.n_runs == 3
        chosen = split.of_runs([2, 0])
        assert torch.equal(again[part].index, chosen.index)
        assert not torch.equal(split.index[0], split.index[1])
        for name, value in split.targets.items():
            assert value.shape[:2] == split.index.shape[:2], name
            assert torch.equal(again[part].targets[name], value[[2, 0]]), name
        ours, others = chosen.span(0, 5), again[part].span(0, 5)
        assert all(torch.equal(one, other) for one, other in zip(ours.inputs, others.inputs, strict=True))
        # Runs are equally long, whatever other repeats are in their stack.
        assert torch.equal(ours.valid, others.valid)
    assert not torch.equal(task.splits([0], seed=8)["train"].index, three["train"].index[:1])


def test_nothing_is_trained_on_and_tested(task: Task) -> None:
    splits = task.splits(range(4), seed=3)
    separate = small_of(task).separate
    for run in range(4):
        tested_on = set.union(*(separate(split, run) for split in for_testing(splits).values()))
        sides = [separate(splits["train"], run), separate(splits["validation"], run), tested_on]
        assert all(sides)
        assert sum(map(len, sides)) == len(set.union(*sides))


def test_batches_say_which_examples_count(task: Task) -> None:
    for part, split in task.splits([0, 1], seed=0).items():
        batch = split.span(0, split.n_examples)
        assert batch.valid.dtype == torch.bool
        assert batch.valid.shape == (2, split.n_examples)
        assert bool(batch.valid.any(1).all())
        for inputs in batch.inputs:
            assert inputs.shape[:2] == batch.valid.shape
            assert bool(torch.isfinite(inputs.double()).all())
        assert all(value.shape[:2] == batch.valid.shape for value in batch.targets.values()), part


def test_an_epoch_is_of_the_run_s_own_examples_and_numbers(task: Task) -> None:
    splits = task.splits([0, 1], seed=0)
    recipe = recipe_of(task)

    def batches(run: int, seed: int) -> list[Tensor]:
        return list(task.batches(splits["train"].of_run(run), recipe, torch.Generator().manual_seed(seed)))

    first = batches(0, 1)
    # Runs of a stack take as many steps of the same sizes.
    assert [len(rows) for rows in first] == [len(rows) for rows in batches(1, 5)]
    every = torch.cat(first)
    assert every.dtype == torch.int64
    assert 0 <= int(every.min()) <= int(every.max()) < splits["train"].n_examples
    assert bool(splits["train"].span(0, splits["train"].n_examples).valid[0, every].all())
    assert torch.equal(every, torch.cat(batches(0, 1)))
    assert not torch.equal(every, torch.cat(batches(0, 2)))
    assert all(len(rows) <= recipe.batch_size for rows in first)


# -- the loss of one run ----------------------------------------------------------------------------------------------


def one_step(task: Task, n_runs: int = 2) -> tuple[Batch, Any, dict[str, Tensor], Recipe]:
    """A training batch of all runs, outputs for it, the settings of the loss, runs first, and the recipe."""
    train, recipe = task.splits(range(n_runs), seed=0)["train"], recipe_of(task)
    rows = [task.batches(train.of_run(run), recipe, torch.Generator().manual_seed(run))[0] for run in range(n_runs)]
    batch = train.batch(torch.stack(rows))
    torch.manual_seed(0)
    of_runs = [small_of(task).output(len(rows[0])) for _ in range(n_runs)]
    outputs = tree_map(lambda *each: torch.stack(each), *of_runs)
    settings = Config(recipe=recipe).loss
    values = {name: torch.tensor([value] * n_runs) for name, value in settings.items()}
    return batch, outputs, values, recipe


def test_losses_are_for_one_run_and_vmap(task: Task) -> None:
    batch, outputs, values, recipe = one_step(task)
    key, step = torch.tensor([3, 4]), torch.tensor([5, 5])

    def loss(output: Any, own: Batch, its: dict[str, Tensor], key: Tensor, step: Tensor) -> Tensor:
        return task.loss(output, own, Hyper(recipe, its, key, step))

    together = torch.func.vmap(loss)(outputs, batch, values, key, step)
    assert together.shape == (2,)
    for run in range(2):
        alone = loss(*(run_of(each, run) for each in (outputs, batch, values, key, step)))
        assert alone.shape == ()
        torch.testing.assert_close(together[run], alone)
    assert bool(torch.isfinite(together).all())
    assert together[0] != together[1]


def test_an_output_is_checked_before_training(task: Task) -> None:
    batch, outputs, _, _ = one_step(task)
    assert isinstance(task, ChecksOutput)
    task.check(run_of(outputs, 0), run_of(batch, 0))
    with pytest.raises(ShapeError, match="expected"):
        task.check(torch.zeros(len(batch.valid[0]) + 1, 2), run_of(batch, 0))
    with pytest.raises(ShapeError, match="expected"):
        task.check(None, run_of(batch, 0))


def test_sums_of_a_training_batch_have_the_runs_first(task: Task) -> None:
    batch, outputs, _, _ = one_step(task)
    for name, value in task.sums(outputs, batch).items():
        assert value.shape[0] == 2, name
        # Counts and losses of millions of examples add up without rounding that shows.
        assert value.dtype == torch.float64, name


# -- scores -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["validation", "test", "others"])
def test_sums_add_up_whatever_the_batches(task: Task, part: str) -> None:
    splits = task.splits([0, 1], seed=0)
    chosen = [name for name in splits if name not in (*LEARNING, "test")] if part == "others" else [part]
    for name in chosen:
        split = splits[name]
        outputs = outputs_for(task, split)
        whole, *others = [task.metrics_of(summed(task, split, outputs, stretches)) for stretches in cuts(split)]
        assert name not in ("validation", "test") or whole
        for found in others:
            assert found.keys() == whole.keys()
            for metric, values in found.items():
                np.testing.assert_allclose(values, whole[metric], rtol=1e-9)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_early_stopping_and_choosing_have_their_metrics(task: Task, part: str) -> None:
    split = task.splits([0], seed=0)[part]
    found = task.metrics_of(summed(task, split, outputs_for(task, split), list(split.spans())))
    assert {task.spec.monitor, task.spec.primary} <= set(found)


def test_metrics_are_those_of_each_run_by_itself(task: Task) -> None:
    total, _ = evaluated(task, [0, 1, 2])
    together = task.metrics_of(total)
    known = {metric.name: metric for metric in task.spec.metrics}
    assert set(together) <= set(known)
    for name, values in together.items():
        assert isinstance(values, np.ndarray)
        assert values.shape == (3,)
        assert np.isfinite(values).all()
        if known[name].unit == "%":
            assert ((values >= 0) & (values <= 1)).all()
    for run in range(3):
        alone = task.metrics_of(evaluated(task, [run])[0])
        for name, values in alone.items():
            assert values[0] == pytest.approx(together[name][run]), name


def test_outputs_that_are_not_numbers_give_no_numbers_and_no_crash(task: Task) -> None:
    splits = task.splits([0, 1], seed=0)
    for split in for_testing(splits).values():
        outputs = tree_map(lambda value: torch.full_like(value, torch.nan), outputs_for(task, split))
        found = task.metrics_of(summed(task, split, outputs, list(split.spans())))
        assert task.spec.monitor not in found or np.isnan(found[task.spec.monitor]).all()
        kept(task, split, outputs, list(split.spans()))


def test_predictions_have_the_runs_first_and_the_same_order_whatever_the_batches(task: Task) -> None:
    for split in for_testing(task.splits([0, 1], seed=0)).values():
        outputs = outputs_for(task, split)
        whole, *others = [kept(task, split, outputs, stretches) for stretches in cuts(split)]
        assert whole
        for name, value in whole.items():
            assert value.shape[0] == 2, name
            assert value.dtype.kind in "fiub", name
            for found in others:
                np.testing.assert_array_equal(found[name], value)
        alone = kept(task, split.of_run(1), tree_map(lambda value: value[1:], outputs), list(split.spans()))
        assert all(np.array_equal(alone[name][0], whole[name][1], equal_nan=True) for name in whole)


def test_final_metrics_come_from_what_the_record_keeps(task: Task) -> None:
    if not isinstance(task, FinalMetrics):
        pytest.skip("all its metrics add up over batches")
    _, predictions = evaluated(task, [0, 1, 2])
    read_back = {name: np.ascontiguousarray(value.copy()) for name, value in predictions.items()}
    found = task.final_metrics(read_back)
    assert found
    known = {metric.name for metric in task.spec.metrics}
    for name, values in found.items():
        assert name in known
        assert values.shape == (3,)
        assert np.isfinite(values).all()
    # What the record adds, and another task on the same data, as for a record that is read later.
    later = small_of(task).make().final_metrics(read_back | {"repeat": np.arange(3)})
    assert all(np.array_equal(later[name], values) for name, values in found.items())
    for run in range(3):
        alone = task.final_metrics({name: value[run : run + 1] for name, value in predictions.items()})
        assert all(alone[name][0] == pytest.approx(values[run]) for name, values in found.items())


def test_scores_without_a_cluster_are_those_of_the_other_examples(task: Task) -> None:
    test = task.splits([0, 1, 2], seed=0)["test"]
    outputs, clusters = outputs_for(task, test), test.clusters()
    by_cluster, sums = ByCluster(3), dict[str, Tensor]()
    for start, stop in test.spans():
        part, batch = cut(outputs, start, stop), test.span(start, stop)
        by_cluster.add(task, part, batch, clusters[:, start:stop])
        sums = {name: sums.get(name, 0) + value for name, value in task.sums(part, batch).items()}
    scores = task.metrics_of({name: value.numpy() for name, value in sums.items()})
    found = by_cluster.left_out(task, sums, scores)
    assert set(found) == {*scores, "examples"}
    for cluster in clusters.unique().tolist():
        inside = (clusters == cluster).any(-1)
        others: dict[str, Any] = {}
        for start, stop in test.spans():
            batch = test.span(start, stop)
            batch = batch._replace(valid=batch.valid & ~inside[:, start:stop])
            for name, value in task.sums(cut(outputs, start, stop), batch).items():
                others[name] = others.get(name, 0) + value.numpy()
        tested = (test.span(0, test.n_examples).valid & inside).sum(1).numpy()
        np.testing.assert_array_equal(found["examples"][:, cluster], tested)
        with np.errstate(all="ignore"):
            without = task.metrics_of(others)
        for name, value in without.items():
            expected = np.where(tested > 0, scores[name] - value, 0.0)
            np.testing.assert_allclose(found[name][:, cluster], expected, atol=1e-9, err_msg=name)


def test_every_metric_is_measured_somewhere(task: Task) -> None:
    total, predictions = evaluated(task, [0])
    found = set(task.metrics_of(total))
    if isinstance(task, FinalMetrics):
        found |= set(task.final_metrics(predictions))
    without_episodes = {"oneshot_accuracy"}  # of data that bring episodes; tests/tasks/test_match.py
    assert {metric.name for metric in task.spec.metrics} - found <= without_episodes


# -- what else the engine uses ----------------------------------------------------------------------------------------


def test_galleries_are_arrays_of_as_many_examples(task: Task) -> None:
    if not isinstance(task, HasGallery):
        pytest.skip("it shows nothing")
    assert task.gallery([], seed=0) == {}
    config = Config(recipe=recipe_of(task))
    predicted = [Predicted(name, config, evaluated(task, [0, 1])[1] | {"repeat": np.array([0, 1])}) for name in "ab"]
    shown = task.gallery(predicted, seed=0)
    assert shown
    assert all(value.dtype.kind in "fiub" for value in shown.values())
    assert len({len(value) for value in shown.values()}) == 1
    again = task.gallery(predicted, seed=0)
    assert all(np.array_equal(again[name], value) for name, value in shown.items())


def test_estimators_get_a_class_for_every_example(task: Task) -> None:
    if not isinstance(task, FitsEstimators):
        pytest.skip("its models are modules only")
    train = task.splits([0, 1], seed=0)["train"]
    target, n_classes = task.fit_targets(train)
    assert target.shape == (2, train.n_examples)
    assert target.dtype == torch.int64
    assert 0 <= int(target.min()) <= int(target.max()) < n_classes


def test_it_says_how_repeats_relate(task: Task) -> None:
    for configs in (None, [Config(recipe=recipe_of(task))]):
        found = task.resampling(configs)
        assert isinstance(found, Resampling)
        assert 0 <= found.overlap <= 1
        assert not (found.one_pool and found.overlap == 1)
        assert (found.overlap == 0) or (found.tested_on and found.beyond)
        assert found.reason
        assert dataclasses.asdict(found)


def test_what_the_record_and_the_workers_need(task: Task) -> None:
    info = task.info
    assert all(isinstance(value, int) for value in info.module_kwargs.values())
    assert len(info.fingerprint) >= 32
    assert info.fingerprint == small_of(task).make().info.fingerprint
    assert all(isinstance(word, str) for words in info.labels.values() for word in words)
    assert info.inputs["kind"] in ("images", "pairs", "windows", "arrays")
    assert task.spec.predictions in ("classes", "binary", "ranking", "reconstruction", "tokens", "")
    copied = pickle.loads(pickle.dumps(task))
    for part, split in task.splits([3], seed=1).items():
        other = copied.splits([3], seed=1)[part]
        assert torch.equal(other.index, split.index)
        assert torch.equal(other.span(0, 3).inputs[0], split.span(0, 3).inputs[0])


# -- that the tests above can fail ------------------------------------------------------------------------------------


class Means(ComparePairs):
    """Its sums are means, which do not add up."""

    def sums(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        found = super().sums(output, batch)
        return found | {"nats": found["nats"] / batch.valid.sum(1)}


class Unordered(ComparePairs):
    """Its predictions stand in the order of their values."""

    def predictions(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        return {name: value.sort(dim=1).values for name, value in super().predictions(output, batch).items()}


class Shared(ComparePairs):
    """It tests on what it trained on."""

    def splits(self, *arguments: Any, **named: Any) -> dict[str, Split]:
        found = super().splits(*arguments, **named)
        return found | {"test": found["train"]}


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (Means, lambda task: test_sums_add_up_whatever_the_batches(task, "test")),
        (Unordered, test_predictions_have_the_runs_first_and_the_same_order_whatever_the_batches),
        (Shared, test_nothing_is_trained_on_and_tested),
    ],
)
def test_a_wrong_task_is_found(kind: type[ComparePairs], check: Callable[[Any], None]) -> None:
    wrong = small(kind, datasets.load("digits"), size=8, train=20, test=12, validation=0.25)
    with pytest.raises(AssertionError):
        check(wrong)
