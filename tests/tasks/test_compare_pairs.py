"""compare-pairs: who is compared with whom, scores against scikit-learn, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn import metrics
from torch import Tensor
from torch.nn import functional as F

from tenfold import datasets
from tenfold.errors import DataError, RequestError, ShapeError
from tenfold.recipe import Config
from tenfold.sampling import Batch, Split, TensorSource
from tenfold.tasks import ComparePairs, Hyper, Predicted


def random_images(n: int = 60, *, size: int = 6, part: list[int] | None = None, n_classes: int = 4) -> datasets.Images:
    numbers = np.random.default_rng(0)
    return datasets.Images(
        images=numbers.integers(0, 256, (n, 1, size, size), dtype=np.uint8),
        labels=np.arange(n, dtype=np.int64) % n_classes,
        part=np.array([2] * n if part is None else part, dtype=np.uint8),
        class_names=tuple(map(str, range(n_classes))),
        name="random",
    )


def ready_pairs(n: int = 50, *, part: list[int] | None = None, labels: bool = True) -> datasets.Pairs:
    numbers = np.random.default_rng(1)
    return datasets.Pairs(
        pairs=numbers.random((n, 2, 6, 6), dtype=np.float32),
        targets=np.arange(n, dtype=np.int64) % 2,
        part=np.array([2] * n if part is None else part, dtype=np.uint8),
        labels=numbers.integers(0, 3, (n, 2)) if labels else None,
        class_names=("a", "b", "c") if labels else (),
        name="ready",
    )


def pairs_task(data: datasets.Images | datasets.Pairs, **settings: Any) -> ComparePairs:
    its: Any = ComparePairs.spec.settings(kind="compare-pairs", data="memory", **settings)
    return ComparePairs(its, data)


def batch_of(targets: dict[str, Tensor], *, valid: Tensor | None = None) -> Batch:
    """A batch without inputs: metrics and losses do not look at them."""
    shape = targets["target"].shape
    return Batch((), (), targets, torch.ones(shape, dtype=torch.bool) if valid is None else valid)


def arrays_of(kept: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in kept.items()}


def scored(task: ComparePairs, output: Any, batch: Batch) -> dict[str, np.ndarray]:
    """All metrics, as at the end of training."""
    sums = arrays_of(task.sums(output, batch))
    return task.metrics_of(sums) | task.final_metrics(arrays_of(task.predictions(output, batch)))


def items_of(split: Split, run: int) -> set[int]:
    return set(split.index[run].flatten().tolist())


def pairs_of(split: Split, run: int) -> list[tuple[int, ...]]:
    return [tuple(np.atleast_1d(pair).tolist()) for pair in split.index[run].numpy()]


# -- drawing ----------------------------------------------------------------------------


@given(
    train=st.integers(2, 200),
    test=st.integers(2, 90),
    validation=st.sampled_from([0.0, 0.1, 0.3, 0.5]),
    official=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=40)
def test_no_image_in_two_parts_and_no_pair_twice(
    train: int, test: int, validation: float, official: bool, seed: int
) -> None:
    n_validation = round(train * validation)
    if validation and not 0 < n_validation < train:
        return
    images = random_images(100, part=[0] * 60 + [1] * 40 if official else None)
    task = pairs_task(images, train=train, test=test, validation=validation)
    splits = task.splits(range(3), seed=seed)
    assert set(splits) == {"train", "test"} | ({"validation"} if n_validation else set())
    assert splits["train"].n_examples == train - n_validation
    assert splits["test"].n_examples == test
    for run in range(3):
        parts = [items_of(part, run) for part in splits.values()]
        assert sum(map(len, parts)) == len(set.union(*parts))
        if official:
            assert items_of(splits["train"], run) <= set(range(60))
            assert items_of(splits["test"], run) <= set(range(60, 100))
        for part in splits.values():
            drawn = pairs_of(part, run)
            assert len(set(drawn)) == len(drawn)
            assert all(first != second for first, second in drawn)


def test_every_repeat_draws_its_own_and_the_same_for_every_model() -> None:
    task = pairs_task(random_images(), train=20, test=10, validation=0.2)
    many = task.splits(range(4), seed=3)
    for part, split in many.items():
        drawn = [tuple(map(tuple, pairs_of(split, run))) for run in range(4)]
        assert len(set(drawn)) == 4
        for run in (0, 3):  # asked for alone, in another order, by another task object
            again = pairs_task(random_images(), train=20, test=10, validation=0.2).splits([9, run], seed=3)[part]
            assert torch.equal(again.index[1], split.index[run])
    assert not torch.equal(task.splits([0], seed=4)["train"].index, many["train"].index[:1])


def test_every_image_is_used_before_any_is_used_again() -> None:
    task = pairs_task(random_images(100, part=[0] * 60 + [1] * 40), train=30, test=20)
    splits = task.splits(range(5), seed=0)
    for run in range(5):
        assert len(items_of(splits["train"], run)) == 60
        assert len(items_of(splits["test"], run)) == 40


def test_every_pair_there_is_can_be_drawn() -> None:
    task = pairs_task(random_images(12, part=[0] * 8 + [1] * 4), train=8 * 7, test=4 * 3)
    splits = task.splits([0], seed=0)
    assert len(set(pairs_of(splits["train"], 0))) == 56
    assert len(set(pairs_of(splits["test"], 0))) == 12


def test_targets_say_whether_the_first_is_at_most_the_second() -> None:
    images = random_images()
    split = pairs_task(images, train=40, test=20).splits(range(3), seed=0)["train"]
    for run in range(3):
        for row, (first, second) in enumerate(pairs_of(split, run)):
            assert split.targets["digits"][run, row].tolist() == [images.labels[first], images.labels[second]]
            assert split.targets["target"][run, row] == int(images.labels[first] <= images.labels[second])
    (inputs,), _, targets, valid = split.batch(torch.tensor([[3, 1], [0, 0], [2, 5]]))
    assert inputs.shape == (3, 2, 2, 6, 6)
    first, second = split.index[0, 3]
    expected = images.images[[int(first), int(second)], 0] / np.float32(255)
    np.testing.assert_allclose(inputs[0, 0].numpy(), expected, rtol=1e-6)
    assert targets["digits"].shape == (3, 2, 2)
    assert bool(valid.all())


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("part", [None, [0] * 30 + [1] * 20])
def test_ready_pairs_keep_what_they_are(labels: bool, part: list[int] | None) -> None:
    pairs = ready_pairs(part=part, labels=labels)
    task = pairs_task(pairs, train=25, test=15, validation=0.2)
    splits = task.splits(range(3), seed=0)
    for run in range(3):
        used = [items_of(splits[name], run) for name in ("train", "validation", "test")]
        assert [len(items) for items in used] == [20, 5, 15]
        assert len(set.union(*used)) == 40
        if part is not None:
            assert used[0] | used[1] <= set(range(30))
            assert used[2] <= set(range(30, 50))
    index = splits["train"].index
    assert torch.equal(splits["train"].targets["target"], torch.from_numpy(pairs.targets)[index])
    assert ("digits" in splits["train"].targets) == labels
    (inputs,) = splits["train"].span(0, 2).inputs
    torch.testing.assert_close(inputs[1, 1], torch.from_numpy(pairs.pairs)[index[1, 1]])
    assert task.info.module_kwargs == ({"size": 6, "n_classes": 3} if labels else {"size": 6})


def seen(task: ComparePairs, n: int) -> Tensor:
    """All images as a module gets them, (images, height, width)."""
    split = task.splits([0], seed=0)["train"]
    return split.inputs_at(torch.arange(n).view(1, n, 1))[0][0, :, 0]


def test_sizes_and_pixels() -> None:
    images = random_images(40, size=6, part=[0] * 20 + [1] * 20)
    unit = seen(pairs_task(images, train=5, test=5), 40)
    assert 0 <= float(unit.min()) < float(unit.max()) <= 1
    raw = seen(pairs_task(images, train=5, test=5, pixels="raw"), 40)
    torch.testing.assert_close(raw, unit * 255)
    task = pairs_task(images, train=5, test=5, pixels="standardised")
    standard = seen(task, 40)
    assert float(standard[:20].mean()) == pytest.approx(0, abs=1e-5)  # over the training images
    assert float(standard[:20].std(correction=0)) == pytest.approx(1, abs=1e-5)
    # The same numbers in every part and for every run.
    for split in task.splits([0, 1], seed=0).values():
        (inputs,) = split.span(0, 5).inputs
        torch.testing.assert_close(inputs, standard[split.index])
    halved = pairs_task(images, train=5, test=5, size=4)
    assert halved.info.module_kwargs["size"] == 4
    larger = random_images(40, size=8, part=[0] * 20 + [1] * 20)
    halved = pairs_task(larger, train=5, test=5, size=4)
    torch.testing.assert_close(
        seen(halved, 40), F.avg_pool2d(seen(pairs_task(larger, train=5, test=5), 40)[:, None], 2)[:, 0]
    )
    assert halved.info.inputs == {
        "kind": "pairs", "channels": 1, "height": 4, "width": 4, "size": 4, "fit": "squeeze", "cut_to": None,
        "pixel_range": 255, "float_range": 1, "stored": "uint8",
    }  # fmt: skip


def with_other_items(data: datasets.Images | datasets.Pairs, items: set[int]) -> Any:
    """The same data, but white where these items are."""
    rows = sorted(items)
    if isinstance(data, datasets.Pairs):
        pairs = data.pairs.copy()
        pairs[rows] = 1
        return replace(data, pairs=pairs)
    images = data.images.copy()
    images[rows] = 255
    return replace(data, images=images)


@pytest.mark.parametrize("data", [random_images(), random_images(part=[0] * 40 + [1] * 20), ready_pairs()])
@pytest.mark.parametrize("folds", [None, 3])
def test_standardised_pixels_are_fitted_to_the_training_images_of_each_repeat(data: Any, folds: int | None) -> None:
    its: dict[str, Any] = {"train": 24, "test": 12, "validation": 0.25, "pixels": "standardised", "folds": folds}
    task = pairs_task(data, **its)
    for repeat in range(3):
        splits = task.splits([repeat], seed=0)
        fitted = splits["train"].preprocess
        assert fitted is not None
        rows = {part: set(found.tolist()) for part, found in task.splitter.rows(repeat, 0).items()}
        assert items_of(splits["test"], 0) <= rows["test"]
        for part in ("test", "validation"):  # whatever these hold
            again = pairs_task(with_other_items(data, rows[part]), **its).splits([repeat], seed=0)
            for split in again.values():
                assert split.preprocess is not None
                assert torch.equal(split.preprocess.shift, fitted.shift)
                assert torch.equal(split.preprocess.scale, fitted.scale)
        other = pairs_task(with_other_items(data, rows["train"]), **its).splits([repeat], seed=0)["train"].preprocess
        assert other is not None
        assert not torch.equal(other.shift, fitted.shift)  # the check can fail
        items = data.pairs if isinstance(data, datasets.Pairs) else data.images / 255
        kept = items[sorted(rows["train"])].astype(np.float64)
        np.testing.assert_allclose(fitted.shift.item(), kept.mean(), rtol=1e-6)
        np.testing.assert_allclose(fitted.scale.item(), 1 / kept.std(), rtol=1e-6)


def test_each_run_of_a_stack_has_the_pixels_it_has_alone() -> None:
    task = pairs_task(random_images(), train=10, test=5, pixels="standardised")
    together = task.splits([2, 0, 1], seed=0)["test"]
    shifts = set()
    for run, repeat in enumerate([2, 0, 1]):
        alone = task.splits([repeat], seed=0)["test"]
        torch.testing.assert_close(together.of_run(run).span(0, 5).inputs, alone.span(0, 5).inputs, rtol=0, atol=0)
        assert alone.preprocess is not None
        shifts.add(alone.preprocess.shift.item())
    assert len(shifts) == 3


def test_images_stay_bytes_in_memory() -> None:
    split = pairs_task(random_images(), train=5, test=5).splits([0], seed=0)["train"]
    assert isinstance(split.source, TensorSource)
    assert split.source.items.dtype == torch.uint8


def test_images_in_colour_are_refused_and_read_in_grey(tmp_path: Path) -> None:
    colour = replace(random_images(), images=np.random.default_rng(1).integers(0, 256, (60, 3, 6, 6)).astype(np.uint8))
    with pytest.raises(DataError, match="random: compare-pairs takes grey images, these have 3 channels"):
        pairs_task(colour, train=4, test=4)
    path = datasets.save(colour, tmp_path / "colour.npz")
    settings = ComparePairs.spec.settings(kind="compare-pairs", data=str(path), train=4, test=4)  # type: ignore[call-arg]
    task = ComparePairs(settings, settings.load_data(base=Path()))  # type: ignore[arg-type]
    grey = datasets.with_channels(colour.images, 1)
    np.testing.assert_allclose(seen(task, 60).numpy(), grey[:, 0] / 255, atol=1e-6)


def test_constant_images_are_not_divided_by_zero() -> None:
    images = replace(random_images(40), images=np.full((40, 1, 6, 6), 7, dtype=np.uint8))
    constant = seen(pairs_task(images, train=5, test=5, pixels="standardised"), 40)
    assert torch.equal(constant, torch.zeros(40, 6, 6))


# -- scores ----------------------------------------------------------------------------


@given(seed=st.integers(0, 10_000), n=st.integers(2, 60), ties=st.booleans(), digits=st.booleans())
@settings(deadline=None, max_examples=60)
@pytest.mark.filterwarnings("ignore:F-score is ill-defined")
def test_scores_are_those_of_scikit_learn(seed: int, n: int, ties: bool, digits: bool) -> None:
    numbers = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, n, 2, generator=numbers, dtype=torch.float64)
    logits = logits.round() if ties else logits
    classes = torch.randn(2, n, 2, 4, generator=numbers, dtype=torch.float64)
    targets = {
        "target": torch.randint(2, (2, n), generator=numbers),
        "digits": torch.randint(4, (2, n, 2), generator=numbers),
    }
    task = pairs_task(random_images(), train=5, test=5)
    scores = scored(task, (logits, classes) if digits else logits, batch_of(targets))
    assert set(scores) == {"accuracy", "f1", "auc", "loss"} | ({"digit_accuracy"} if digits else set())
    for run in range(2):
        truth, predicted = targets["target"][run].numpy(), logits[run].argmax(1).numpy()
        probability = logits[run].softmax(1)[:, 1].numpy()
        assert scores["accuracy"][run] == pytest.approx(metrics.accuracy_score(truth, predicted))
        assert scores["f1"][run] == pytest.approx(metrics.f1_score(truth, predicted, zero_division=0.0))
        assert scores["loss"][run] == pytest.approx(metrics.log_loss(truth, probability, labels=[0, 1]))
        if len(set(truth)) == 2:
            margin = (logits[run, :, 1] - logits[run, :, 0]).numpy()
            assert scores["auc"][run] == pytest.approx(metrics.roc_auc_score(truth, margin))
        else:
            assert np.isnan(scores["auc"][run])
        if digits:
            expected = metrics.accuracy_score(targets["digits"][run].flatten(), classes[run].argmax(-1).flatten())
            assert scores["digit_accuracy"][run] == pytest.approx(expected)


def test_curves_measure_what_the_end_scores() -> None:
    task = pairs_task(random_images(), train=5, test=5)
    batch = batch_of({"target": torch.tensor([[0, 1, 1]])})
    logits = torch.tensor([[[1.0, 0.0], [0.0, 3.0], [1.0, 0.5]]])
    measured, at_the_end = task.metrics_of(arrays_of(task.sums(logits, batch))), scored(task, logits, batch)
    assert set(at_the_end) - set(measured) == {"auc"}
    assert {metric.name for metric in task.spec.metrics} == set(at_the_end) | {"digit_accuracy"}
    assert task.spec.primary == "accuracy"


def test_what_fills_up_does_not_count() -> None:
    task = pairs_task(random_images(), train=5, test=5)
    numbers = torch.Generator().manual_seed(0)
    output = torch.randn(2, 9, 2, generator=numbers), torch.randn(2, 9, 2, 4, generator=numbers)
    targets = {
        "target": torch.randint(2, (2, 9), generator=numbers),
        "digits": torch.randint(4, (2, 9, 2), generator=numbers),
    }
    valid = torch.arange(9).expand(2, -1) < torch.tensor([[6], [6]])
    whole = task.sums(output, batch_of(targets, valid=valid))
    short = (output[0][:, :6], output[1][:, :6]), batch_of({name: value[:, :6] for name, value in targets.items()})
    for name, value in task.sums(*short).items():
        torch.testing.assert_close(whole[name], value)


def test_the_loss_is_the_weighted_sum_of_three() -> None:
    numbers = torch.Generator().manual_seed(0)
    logits, classes = torch.randn(7, 2, generator=numbers), torch.randn(7, 2, 4, generator=numbers)
    targets = {"target": torch.arange(7) % 2, "digits": torch.randint(4, (7, 2), generator=numbers)}
    task = pairs_task(random_images(), train=5, test=5)
    parts = [
        F.cross_entropy(classes[:, 0], targets["digits"][:, 0]),
        F.cross_entropy(classes[:, 1], targets["digits"][:, 1]),
        F.cross_entropy(logits, targets["target"]),
    ]
    weights = torch.tensor([0.8, 0.3, 1.5])
    zero = torch.tensor(0)
    hyper = Hyper(ComparePairs.spec.recipe(), {"auxiliary": weights}, zero, zero)
    expected = sum(float(weight) * part for weight, part in zip(weights, parts, strict=True))
    torch.testing.assert_close(task.loss((logits, classes), batch_of(targets), hyper), expected)
    torch.testing.assert_close(task.loss(logits, batch_of(targets), hyper), 1.5 * parts[2])
    without = {"target": targets["target"]}
    torch.testing.assert_close(task.loss((logits, classes), batch_of(without), hyper), 1.5 * parts[2])


def test_nan_outputs_give_nan_losses_and_no_crash() -> None:
    task = pairs_task(random_images(), train=5, test=5)
    logits = torch.zeros(2, 6, 2)
    logits[1] = torch.nan
    scores = scored(task, logits, batch_of({"target": torch.tensor([[0, 1, 0, 1, 0, 1]] * 2)}))
    assert scores["auc"][0] == 0.5
    assert np.isnan(scores["auc"][1])
    assert np.isnan(scores["loss"][1])


def test_predictions_are_what_the_record_keeps() -> None:
    task = pairs_task(random_images(), train=5, test=5)
    logits, classes = torch.randn(2, 5, 2), torch.randn(2, 5, 2, 4)
    targets = {"target": torch.tensor([[0, 1, 0, 1, 1]] * 2), "digits": torch.randint(4, (2, 5, 2))}
    kept = arrays_of(task.predictions((logits, classes), batch_of(targets)))
    assert {name: (value.dtype.name, value.shape) for name, value in kept.items()} == {
        "probability": ("float32", (2, 5)),
        "margin": ("float64", (2, 5)),
        "target": ("uint8", (2, 5)),
        "digits": ("uint8", (2, 5, 2)),
        "digit_targets": ("uint8", (2, 5, 2)),
    }
    np.testing.assert_allclose(kept["probability"], logits.softmax(-1)[..., 1].numpy(), rtol=1e-6)
    np.testing.assert_allclose(kept["margin"], (logits[..., 1] - logits[..., 0]).numpy(), rtol=1e-6)
    assert set(task.predictions(logits, batch_of(targets))) == {"probability", "margin", "target"}


def test_the_gallery_holds_the_pairs_that_most_models_got_wrong() -> None:
    task = pairs_task(random_images(), train=10, test=8)
    split = task.splits([0, 1], seed=5)["test"]
    target = split.targets["target"].numpy()
    right = np.where(target == 1, 0.9, 0.1).astype(np.float32)
    first, second = right.copy(), right.copy()
    first[0, 3] = 1 - first[0, 3]  # repeat 0, pair 3: wrong in both; repeat 1, pair 6: in one
    second[0, 3], second[1, 6] = 1 - second[0, 3], 1 - second[1, 6]
    predictions = [
        Predicted(
            name, Config(), {"probability": values, "target": target.astype(np.uint8), "repeat": np.array([0, 1])}
        )
        for name, values in (("a", first), ("b", second))
    ]
    shown = task.gallery(predictions, seed=5)
    assert (shown["repeat"][:2].tolist(), shown["row"][:2].tolist()) == ([0, 1], [3, 6])
    assert shown["wrong_share"][:3].tolist() == [1.0, 0.5, 0.0]
    assert shown["images"].shape == (16, 2, 6, 6)  # all pairs of both repeats: fewer than 24
    assert shown["images"].dtype == np.uint8
    drawn = random_images().images[split.index[0, 3].numpy(), 0].astype(float)
    assert np.corrcoef(shown["images"][0].flatten(), drawn.flatten())[0, 1] > 0.9999
    assert shown["labels"][0].tolist() == split.targets["digits"][0, 3].tolist()
    assert shown["target"][0] == target[0, 3]
    assert task.gallery([], seed=5) == {}


SIGNS, WORDS, NEUTRAL = (
    ("first > second", "first ≤ second"),
    ("first after second", "first not after second"),
    ("target 0", "target 1"),
)


@pytest.mark.parametrize(
    ("names", "answers"),
    [
        (("0", "1", "2", "3"), SIGNS),
        (("-1", "7.5", "30", "100"), SIGNS),
        (("3", "2", "1", "0"), WORDS),  # an order of one's own: 3 > 0 would be wrong
        (("bag", "coat", "dress", "shirt"), WORDS),
        (("1", "2", "3", "many"), WORDS),
        (("nan", "1", "2", "3"), WORDS),
    ],
)
def test_answers_are_in_the_words_of_the_classes(names: tuple[str, ...], answers: tuple[str, str]) -> None:
    task = pairs_task(replace(random_images(), class_names=names), train=4, test=4)
    assert task.info.labels == {"class": names, "answer": answers}


def test_ready_pairs_say_of_their_targets_what_is_known() -> None:
    pairs = ready_pairs()
    assert pairs_task(pairs, train=4, test=4).info.labels["answer"] == NEUTRAL  # they mean something else than an order
    assert pairs.labels is not None
    ordered = replace(pairs, targets=(pairs.labels[:, 0] <= pairs.labels[:, 1]).astype(np.int64))
    assert pairs_task(ordered, train=4, test=4).info.labels["answer"] == WORDS
    numbers = replace(ordered, class_names=("1", "2", "3"))
    assert pairs_task(numbers, train=4, test=4).info.labels["answer"] == SIGNS
    unknown = ready_pairs(labels=False)
    assert pairs_task(unknown, train=4, test=4).info.labels["answer"] == NEUTRAL


def test_no_label_of_a_metric_is_about_digits() -> None:
    assert not [metric.label for metric in ComparePairs.spec.metrics if "digit" in metric.label.lower()]


def test_a_diverged_model_shows_nothing() -> None:
    task = pairs_task(random_images(), train=10, test=8)
    bad = {"probability": np.full((1, 8), np.nan, np.float32), "target": np.zeros((1, 8)), "repeat": np.array([0])}
    assert task.gallery([Predicted("bad", Config(), bad)], seed=0) == {}


# -- how the repeats relate ----------------------------------------------------------------------------


@pytest.mark.parametrize(("test", "overlap"), [(2, 0.02), (50, 0.5), (51, 0.51), (100, 1.0), (300, 1.0)])
def test_repeats_share_as_many_test_images_as_they_draw(test: int, overlap: float) -> None:
    found = pairs_task(random_images(1000, part=[0] * 800 + [1] * 200), train=600, test=test).resampling()
    assert found.overlap == pytest.approx(overlap)  # without a jump
    assert not found.one_pool  # a test image is never trained on
    assert (found.tested_on, found.beyond) == ("these 200 images", "other images than these 200")
    assert f"from 800 images for training and 200 for testing, and uses {overlap:.0%} of the latter" in found.reason


def test_without_an_official_division_training_images_are_test_images_elsewhere() -> None:
    found = pairs_task(random_images(1000), train=30, test=50).resampling()
    assert found.one_pool
    assert found.overlap == pytest.approx(100 / 1000)


def test_ready_pairs_count_once() -> None:
    found = pairs_task(ready_pairs(50), train=30, test=20).resampling()
    assert found.one_pool
    assert found.overlap == pytest.approx(20 / 50)


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (
            lambda: pairs_task(random_images(10), train=100, test=2),
            DataError,
            r"random: train = 100 pairs cannot be drawn from 8 images",
        ),
        (
            lambda: pairs_task(random_images(10), train=2, test=3),
            DataError,
            r"random: test = 3 pairs cannot be drawn from 2 images",
        ),
        (
            lambda: pairs_task(random_images(10, part=[0] * 10), train=2, test=2),
            DataError,
            r"random: test = 2 pairs cannot be drawn from 0 images",
        ),
        (
            lambda: pairs_task(random_images(40), train=100, test=2, validation=0.05),
            DataError,
            r"random: validation = 5 pairs cannot be drawn from 2 images",
        ),
        (
            lambda: pairs_task(ready_pairs(50, part=[0] * 30 + [1] * 20), train=31, test=20),
            DataError,
            r"ready: train = 31 pairs asked for, 30 there; lower train",
        ),
        (
            lambda: pairs_task(ready_pairs(50), train=40, test=20),
            DataError,
            r"ready: train = 40 pairs asked for, 33 there; lower train",
        ),
        (
            lambda: pairs_task(random_images(), train=4, test=4, validation=0.1),
            RequestError,
            r"validation: 0.1 of train = 4 pairs leaves 0 for validation and 4 for training; both need at least one",
        ),
        (
            lambda: pairs_task(random_images(), train=4, test=4, pixels="norm"),
            ValidationError,
            r"pixels\n  Input should be 'unit', 'standardised' or 'raw' .*input_value='norm'",
        ),
        (
            lambda: pairs_task(replace(random_images(), images=np.zeros((60, 1, 6, 8), np.uint8)), train=4, test=4),
            DataError,
            r"random: images must be square, got 6 x 8; set size in \[task\]",
        ),
    ],
)
def test_data_that_does_not_do_is_refused_in_words(make: Any, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


def three() -> Batch:
    """A batch of three examples of one run."""
    return batch_of({"target": torch.zeros(3, dtype=torch.int64)})


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            torch.zeros(3, 2, 1),
            r"expected logits of shape \(3 pairs, 2\) for a batch of \(3, 2, 6, 6\), got \(3, 2, 1\)",
        ),
        (torch.zeros(3), r"got \(3,\)"),
        (torch.zeros(2, 2), r"got \(2, 2\)"),
        (
            (torch.zeros(3, 2), torch.zeros(3, 2, 5)),
            r"expected class logits of shape \(3 pairs, 2, 4\), got \(3, 2, 5\)",
        ),
        ((torch.zeros(3, 2), torch.zeros(3, 4)), r"expected class logits .* got \(3, 4\)"),
        ((torch.zeros(3, 2),), r"expected logits, or a tuple of logits and class logits, got tuple of length 1"),
        ((torch.zeros(3, 2), 1.0), r"got tuple of length 2"),
        ({"logits": torch.zeros(3, 2)}, r"got dict"),
        (None, r"got NoneType"),
        (3.0, r"got float"),
    ],
)
def test_outputs_that_do_not_do_are_refused_in_words(output: Any, message: str) -> None:
    task = pairs_task(random_images(), train=5, test=5)
    with pytest.raises(ShapeError, match=message):
        task.check(output, three())


def test_outputs_that_do() -> None:
    task = pairs_task(random_images(), train=5, test=5)
    task.check(torch.zeros(3, 2), three())
    task.check((torch.zeros(3, 2), torch.zeros(3, 2, 4)), three())
    task.check([torch.zeros(3, 2), torch.zeros(3, 2, 4)], three())


def test_without_labels_any_number_of_classes_does() -> None:
    task = pairs_task(ready_pairs(labels=False), train=5, test=5)
    task.check((torch.zeros(3, 2), torch.zeros(3, 2, 10)), three())
    with pytest.raises(ShapeError, match=r"expected class logits of shape \(3 pairs, 2, classes\), got \(3, 10\)"):
        task.check((torch.zeros(3, 2), torch.zeros(3, 10)), three())
    with pytest.raises(ShapeError, match=r"got \(\)"):
        task.check((torch.zeros(3, 2), torch.zeros(())), three())


def test_a_fingerprint_knows_the_data() -> None:
    images = random_images()
    other = replace(images, labels=np.roll(images.labels, 1))
    prints = [pairs_task(one, train=5, test=5).info.fingerprint for one in (images, random_images(), other)]
    assert prints[0] == prints[1] != prints[2]


# -- folds ----------------------------------------------------------------------------


def test_folds_test_every_image_in_one_of_them() -> None:
    task = pairs_task(random_images(50), train=20, test=10, folds=5, validation=0.2)
    rows = [task.splitter.rows(repeat, 3) for repeat in range(5)]
    assert sorted(torch.cat([own["test"] for own in rows]).tolist()) == list(range(50))
    splits = task.splits(range(5), seed=3)
    for run, own in enumerate(rows):
        train, held_back, test = (set(own[part].tolist()) for part in ("train", "validation", "test"))
        assert not train & test
        assert not train & held_back
        assert not held_back & test
        assert len(train) + len(held_back) == 40
        for part, split in splits.items():
            assert items_of(split, run) <= set(own[part].tolist())
    found = task.resampling()
    assert (found.overlap, found.one_pool, found.folds) == (0.2, True, 5)
    with pytest.raises(RequestError, match="folds = 51: there are 50 images to divide"):
        pairs_task(random_images(50), train=20, test=10, folds=51)


def test_the_smallest_fold_has_enough_for_its_pairs() -> None:
    pairs_task(random_images(32), train=20, test=12, folds=8)  # 4 images a fold
    with pytest.raises(DataError, match="test = 12 pairs cannot be drawn from 3 images"):
        pairs_task(random_images(31), train=20, test=12, folds=8)  # 3 in the last; drawing from them would not end
    with pytest.raises(DataError, match="test = 4 pairs asked for, 3 there; lower test"):
        pairs_task(ready_pairs(31), train=20, test=4, folds=8)
