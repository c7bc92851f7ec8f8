"""Matching by example: which classes are trained on, balanced batches, query sets, episodes, scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tenfold import datasets
from tenfold.config import configs_of, parse_study
from tenfold.errors import DataError, RequestError, ShapeError, StudyError
from tenfold.losses import triplet_loss
from tenfold.recipe import Config
from tenfold.sampling import Batch, Split
from tenfold.seeds import uniform
from tenfold.tasks import Hyper, Match, Predicted
from tenfold.tasks.match import MatchRecipe

COUNTS = [1, 3, 4, 5, 6, 7, 8, 9, 10, 3, 4, 5]


def images(counts: list[int] | None = None, *, groups: bool = False, size: int = 6) -> datasets.Images:
    counts = COUNTS if counts is None else counts
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    numbers = np.random.default_rng(0)
    return datasets.Images(
        images=numbers.integers(0, 256, (len(labels), 1, size, size)).astype(np.uint8),
        labels=labels,
        part=np.full(len(labels), datasets.UNASSIGNED, np.uint8),
        class_names=tuple(f"c{number}" for number in range(len(counts))),
        name="some",
        groups=np.arange(len(counts), dtype=np.int64) // 3 if groups else None,
        group_names=tuple(f"g{number}" for number in range(-(-len(counts) // 3))) if groups else (),
    )


def matching(data: Any, **settings: Any) -> Match:
    its: Any = Match.spec.settings(kind="match", data="memory", **settings)
    return Match(its, data)


def task(**settings: Any) -> Match:
    return matching(images(), **({"candidates": 3, "query_sets": 5, "pool_classes": 2} | settings))


def classes_of(split: Split, run: int) -> set[int]:
    classes = split.targets["class"][run]
    return set(classes[classes >= 0].tolist())


def arrays_of(kept: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in kept.items()}


def evaluated(its: Match, splits: dict[str, Split], embed: Callable[[Batch], Tensor]) -> tuple[dict, dict]:
    """Scores and predictions on all test sets, each at once."""
    sums: dict[str, np.ndarray] = {}
    kept: dict[str, np.ndarray] = {}
    for part, split in splits.items():
        if part not in ("train", "validation"):
            batch = split.span(0, split.n_examples)
            output = embed(batch)
            sums |= arrays_of(its.sums(output, batch))
            kept |= arrays_of(its.predictions(output, batch))
    return its.metrics_of(sums) | its.final_metrics(kept), kept


def noise(batch: Batch, *, width: int = 4, seed: int = 0) -> Tensor:
    """Embeddings that say nothing."""
    return torch.randn(*batch.valid.shape, width, generator=torch.Generator().manual_seed(seed))


# -- classes and examples ---------------------------------------------------------------------------------------------


def test_images_in_colour_have_three_channels(tmp_path: Path) -> None:
    data = images()
    colour = replace(data, images=np.random.default_rng(1).integers(0, 256, (65, 3, 6, 6)).astype(np.uint8))
    path = datasets.save(colour, tmp_path / "colour.npz")
    values = {"candidates": 3, "query_sets": 5, "pool_classes": 2}
    settings = Match.spec.settings(kind="match", data=str(path), **values)  # type: ignore[call-arg]
    its = Match(settings, settings.load_data(base=Path()))  # type: ignore[arg-type]
    assert its.info.module_kwargs == {"size": 6, "n_channels": 3}
    assert its.info.inputs == {
        "kind": "images", "channels": 3, "height": 6, "width": 6, "size": None, "fit": "none", "cut_to": None,
        "pixel_range": 255, "float_range": 1, "stored": "uint8",
    }  # fmt: skip
    pool = its.splits([0], seed=0)["pool"]
    (inputs,) = pool.span(0, 3).inputs
    np.testing.assert_allclose(inputs[0].numpy(), colour.images[pool.index[0, :3].numpy()] / 255, atol=1e-6)
    assert task().info.module_kwargs == {"size": 6, "n_channels": 1}


def test_no_class_is_trained_on_and_asked_for() -> None:
    parts = task(train_classes=6).splits(range(5), seed=3)
    learnt = [classes_of(parts["train"], run) for run in range(5)]
    for run in range(5):
        assert len(learnt[run]) == 6
        assert not learnt[run] & (classes_of(parts["test"], run) | classes_of(parts["pool"], run))
        assert 0 not in learnt[run]  # one image: no pair to train on
        index, classes = parts["train"].index[run], parts["train"].targets["class"][run]
        own = index[classes >= 0].tolist()
        assert sorted(own) == sorted(set(own))
        assert len(own) == sum(COUNTS[each] for each in learnt[run])
    assert len({frozenset(each) for each in learnt}) > 1  # drawn anew for every repeat


def test_a_repeat_is_the_same_among_others_and_alone() -> None:
    whole = task(train_classes=5, validation=0.5, candidates=2).splits([0, 1, 2], seed=1)
    for repeat in range(3):
        alone = task(train_classes=5, validation=0.5, candidates=2).splits([repeat], seed=1)
        for part, split in alone.items():
            assert torch.equal(split.index[0], whole[part].index[repeat])
            assert torch.equal(split.targets["class"][0], whole[part].targets["class"][repeat])


def test_classes_that_the_data_set_keeps_for_testing_are_never_trained_on() -> None:
    few = images()
    part = np.where(few.labels >= 8, datasets.TEST, datasets.TRAIN).astype(np.uint8)
    its = matching(replace(few, part=part), candidates=3, query_sets=5, pool_classes=2)
    parts = its.splits(range(4), seed=0)
    for run in range(4):
        assert classes_of(parts["train"], run) == set(range(1, 8))
        assert classes_of(parts["test"], run) <= {0, *range(8, 12)}


def test_groups_are_drawn_first_and_held_back_whole() -> None:
    its = matching(
        images([5] * 12, groups=True), train_groups=3, train_classes=9, candidates=3, query_sets=5, validation=0.3
    )
    parts = its.splits(range(6), seed=0)
    chosen = set()
    for run in range(6):
        learnt, held = classes_of(parts["train"], run), classes_of(parts["validation"], run)
        assert len(learnt) == 6
        assert not {each // 3 for each in learnt} & {each // 3 for each in held}
        assert len({each // 3 for each in learnt | held}) == 3
        assert not held & classes_of(parts["test"], run)
        chosen.add(frozenset(each // 3 for each in learnt))
    assert len(chosen) > 1


def test_a_query_set_is_a_query_another_image_of_its_class_and_other_classes() -> None:
    its = task(train_classes=5, query_sets=40)
    test = its.splits(range(3), seed=0)["test"]
    sets = test.index.view(3, 40, 4)
    classes = test.targets["class"].view(3, 40, 4)
    assert bool((classes[:, :, 0] == classes[:, :, 1]).all())
    assert bool((sets[:, :, 0] != sets[:, :, 1]).all())
    for run in range(3):
        for each in classes[run]:
            assert len(set(each[1:].tolist())) == 3
    asked = classes[:, :, 0].unique()
    assert 0 not in asked  # one image cannot be both
    assert len(asked) > 4
    number = test.targets["set"][0].view(40, 4)
    assert torch.equal(number, torch.arange(40)[:, None].expand(-1, 4))


def test_query_sets_and_episodes_are_evaluated_whole() -> None:
    parts = task(train_classes=5, query_sets=123).splits([0], seed=0)
    stretches = [stop - start for start, stop in parts["test"].spans()]
    assert sum(stretches) == 123 * 4
    assert all(size % 4 == 0 for size in stretches)
    assert stretches[:2] == [200, 200]
    assert parts["pool"].blocks is None


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(DataError, match=r"candidates = 8 of different classes asked for, 7 classes are not trained on"):
        task(candidates=8, train_classes=5)
    with pytest.raises(DataError, match=r"train_classes = 12 asked for, 11 with at least two images are there"):
        task(train_classes=12)
    with pytest.raises(RequestError, match="train_groups: some has no groups of classes"):
        task(train_groups=2)
    with pytest.raises(RequestError, match="train_groups = 9: some has 4 groups"):
        matching(images(groups=True), train_groups=9, candidates=3)
    with pytest.raises(DataError, match="held back for validation"):
        task(train_classes=4, validation=0.25)
    with pytest.raises(DataError, match="images must be square"):
        matching(replace(images(), images=np.zeros((65, 1, 6, 5), np.uint8)), candidates=3)


def test_classes_with_one_image_are_named() -> None:
    (note,) = task().info.warnings
    assert note.startswith("1 classes have one image ('c0')")


# -- batches ----------------------------------------------------------------------------------------------------------


def test_batches_are_balanced_and_of_the_runs_own_numbers() -> None:
    its = task(train_classes=6)
    recipe = MatchRecipe(classes_per_batch=4, images_per_class=3)
    assert recipe.batch_size == 12
    train = its.splits([0, 1], seed=0)["train"]
    for run in range(2):
        batches = its.batches(train.of_run(run), recipe, torch.Generator().manual_seed(1))
        assert len(batches) == -(-train.n_examples // 12)
        for rows in batches:
            classes = train.targets["class"][run, rows].view(4, 3)
            assert bool((classes == classes[:, :1]).all())
            assert bool((classes >= 0).all())
            assert len(set(classes[:, 0].tolist())) == 4
            assert len(set(rows.tolist())) == 12
        assert len(set(torch.cat(list(batches)).tolist())) > 12


def test_too_few_classes_or_images_for_a_batch() -> None:
    its = task(train_classes=6)
    train = its.splits([0], seed=0)["train"]
    with pytest.raises(RequestError, match=r"classes_per_batch = 60: some has 6 classes to train on; lower it"):
        its.batches(train, MatchRecipe(), torch.Generator())
    with pytest.raises(RequestError, match=r"images_per_class = 10: class 'c\d+' of some has \d images"):
        its.batches(train, MatchRecipe(classes_per_batch=4, images_per_class=10), torch.Generator())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch_size": 100}, "classes_per_batch x images_per_class = 240 images"),
        ({"classes_per_batch": 1}, "greater than or equal to 2"),
        ({"images_per_class": 1}, "greater than or equal to 2"),
        ({"loss": "triplets"}, "Input should be 'triplet', 'contrastive' or 'prototypical'"),
        ({"mining": "hard"}, "Input should be 'random', 'informative'"),
        ({"margin": 0.0}, "greater than 0"),
        ({"margin": [1.0, 2.0]}, "valid number"),
        ({"loss": "prototypical", "shots": 4}, "fewer than images_per_class = 4"),
    ],
)
def test_recipes_that_are_none(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MatchRecipe(**values)


def test_a_recipe_comes_back_from_its_dump() -> None:
    recipe = MatchRecipe(classes_per_batch=5, images_per_class=3, margin=2.0)
    assert MatchRecipe(**recipe.model_dump()) == recipe
    assert [config.label for config in configs_of(recipe, {}, {"margin": [1.0, 2.0]})] == ["margin=1", "margin=2"]


# -- loss -------------------------------------------------------------------------------------------------------------


def test_the_loss_takes_the_margin_and_the_numbers_of_its_run() -> None:
    embeddings = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    recipe = MatchRecipe(classes_per_batch=4, images_per_class=3, mining="random")
    values = {"margin": torch.tensor(2.0), "scale": torch.tensor(1.0)}
    batch = Batch((), (), {}, torch.ones(12, dtype=torch.bool))
    hyper = Hyper(recipe, values, key=torch.tensor(7), step=torch.tensor(3))
    expected = triplet_loss(
        embeddings.view(4, 3, 5),
        margin=2.0,
        mining="random",
        distance="squared-euclidean",
        numbers=uniform(torch.tensor(7), torch.tensor(3), 4 * 3 * 2),
    )
    assert torch.equal(task().loss(embeddings, batch, hyper), expected)
    later = task().loss(embeddings, batch, replace(hyper, step=torch.tensor(4)))
    assert not torch.equal(later, expected)


# -- scores -----------------------------------------------------------------------------------------------------------


def one_hot(classes: Tensor, n_classes: int = 12) -> Tensor:
    return torch.nn.functional.one_hot(classes.clamp(min=0), n_classes).float()


def test_perfect_embeddings_and_collapsed_ones() -> None:
    its = task(train_classes=5)
    parts = its.splits([0, 1], seed=0)

    def embed(batch: Batch) -> Tensor:
        perfect = one_hot(batch.targets["class"])
        return torch.stack([perfect[0], torch.ones_like(perfect[0])])

    scores, _ = evaluated(its, parts, embed)
    for name in ("top1", "precision_at_1", "r_precision", "mean_average_precision_at_r", "mean_average_precision"):
        assert scores[name][0] == 1.0
    # An embedding that tells nothing apart has nothing right: ties count against it.
    assert scores["top1"][1] == 0.0
    assert scores["loss"][1] == pytest.approx(np.log(3))
    diverged, _ = evaluated(its, parts, lambda batch: torch.full((*batch.valid.shape, 12), torch.nan))
    assert diverged["top1"].tolist() == [0.0, 0.0]
    assert np.isnan(diverged["r_precision"]).all()


def test_scores_against_a_slow_loop() -> None:
    its = task(train_classes=5, query_sets=30)
    parts = its.splits([0, 1], seed=0)
    scores, kept = evaluated(its, parts, noise)
    outputs = noise(parts["test"].span(0, parts["test"].n_examples))
    for run in range(2):
        places = []
        for number in range(30):
            query, *candidates = outputs[run, number * 4 : number * 4 + 4].double().numpy()
            alike = [query @ c / np.linalg.norm(query) / np.linalg.norm(c) for c in candidates]
            places.append(sum(other >= alike[0] for other in alike[1:]))
            assert kept["order"][run, number].tolist() == np.argsort([-value for value in alike]).tolist()
        assert kept["place"][run].tolist() == places
        assert scores["top1"][run] == pytest.approx(np.mean([place == 0 for place in places]))
        assert scores["top3"][run] == pytest.approx(1.0)


def test_episodes_are_scored_where_the_data_bring_them() -> None:
    few = images([6] * 8)
    part = np.where(few.labels >= 4, datasets.TEST, datasets.TRAIN).astype(np.uint8)
    rows = np.flatnonzero(few.labels >= 4).reshape(4, 6)
    episodes = np.stack([np.stack([rows[:, at], rows[::-1, at + 1]]) for at in (0, 2, 4)]).astype(np.int64)
    its = matching(replace(few, part=part, episodes=episodes), candidates=2, query_sets=5, pool_classes=2)
    parts = its.splits([0, 1], seed=0)
    assert set(parts) == {"train", "test", "episodes", "pool"}

    def embed(batch: Batch) -> Tensor:
        return torch.stack([one_hot(batch.targets["class"][0], 8), noise(batch, width=8)[1]])

    scores, kept = evaluated(its, parts, embed)
    assert scores["oneshot_accuracy"][0] == 1.0
    assert parts["episodes"].index[0].tolist() == episodes.flatten().tolist()
    bad = embed(parts["episodes"].span(0, 3 * 2 * 4))[1]
    hits = []
    for examples, queries in bad.view(3, 2, 4, 8).double():
        alike = torch.nn.functional.cosine_similarity(queries[:, None], examples[None], dim=-1)
        hits += [int(alike[query].argmax()) == 3 - query for query in range(4)]
    assert scores["oneshot_accuracy"][1] == pytest.approx(np.mean(hits))
    assert kept["episode_place"].shape == (2, 3, 4)
    assert (kept["episode_place"][0] == 0).all()


def test_predictions_say_the_group_of_every_query() -> None:
    few = images([6] * 9, groups=True)
    part = np.where(few.labels >= 6, datasets.TEST, datasets.TRAIN).astype(np.uint8)
    rows = np.flatnonzero(few.labels >= 6).reshape(3, 6)
    episodes = np.stack([np.stack([rows[:, 0], rows[[2, 0, 1], 1]])]).astype(np.int64)
    its = matching(replace(few, part=part, episodes=episodes), candidates=2, query_sets=7, pool_classes=2)
    assert its.info.labels["group"] == ("g0", "g1", "g2")
    parts = its.splits([0, 3], seed=0)
    _, kept = evaluated(its, parts, noise)
    queries = parts["test"].index[:, ::3]
    np.testing.assert_array_equal(kept["group"], few.labels[queries.numpy()] // 3)
    np.testing.assert_array_equal(kept["episode_group"], np.broadcast_to(few.labels[episodes[:, 1]] // 3, (2, 1, 3)))


@pytest.mark.parametrize("groups", [False, True])
def test_folds_test_every_class_once(groups: bool) -> None:
    its = matching(images([5] * 12, groups=groups), candidates=2, query_sets=5, pool_classes=3, folds=4)
    asked = [set(its._classes(repeat, 0)[2].tolist()) for repeat in range(4)]
    assert sum(map(len, asked)) == 12
    assert set.union(*asked) == set(range(12))
    for repeat in range(4):
        learnt, _, unseen = its._classes(repeat, 0)
        assert not set(learnt.tolist()) & set(unseen.tolist())
    if groups:
        assert all(len({label // 3 for label in its_test}) == 1 for its_test in asked)
    parts = its.splits(range(4), seed=0)
    for repeat in range(4):
        assert classes_of(parts["pool"], repeat) <= asked[repeat]
        assert not classes_of(parts["train"], repeat) & asked[repeat]
    assert its.resampling().folds == 4
    with pytest.raises(RequestError, match="folds = 99: there are (12 classes|4 groups of classes) to divide"):
        matching(images([5] * 12, groups=groups), candidates=2, pool_classes=3, folds=99)


def test_dark_on_light_is_turned_round() -> None:
    plain, turned = (task(train_classes=5, invert=invert).splits([0, 1], seed=0) for invert in (False, True))
    for part, split in plain.items():
        batch, inverted = (each.span(0, 7).inputs[0] for each in (split, turned[part]))
        torch.testing.assert_close(inverted, 1 - batch)


def predicted(its: Match, repeats: list[int], embed: Callable[[Batch], Tensor], model: str = "m") -> Predicted:
    _, kept = evaluated(its, its.splits(repeats, seed=0), embed)
    return Predicted(model, Config(), kept | {"repeat": np.array(repeats)})


def test_galleries_show_what_was_ranked() -> None:
    its = task(train_classes=5, query_sets=20)
    poor = predicted(its, [4], noise, "poor")
    good = predicted(its, [4], lambda batch: one_hot(batch.targets["class"]), "good")
    shown = its.gallery([poor, good], seed=0)
    assert shown["model"].tolist() == [1] * 16
    assert shown["query"].shape == (16, 6, 6)
    assert shown["ranked"].shape == (16, 3, 6, 6)
    items = images().images[:, 0]
    for query, ranked in zip(shown["query"], shown["ranked"], strict=True):
        labels = [int(images().labels[np.flatnonzero((items == image).all((1, 2)))[0]]) for image in (query, ranked[0])]
        assert labels[0] == labels[1]  # the perfect model's first candidate is of the query's class
    assert its.gallery([], seed=0) == {}


def test_outputs_that_are_no_embeddings() -> None:
    batch = Batch((torch.zeros(4, 1, 6, 6),), (), {}, torch.ones(4, dtype=torch.bool))
    for output in (torch.zeros(4), torch.zeros(3, 5), (torch.zeros(4, 5),), torch.zeros(4, 0)):
        with pytest.raises(
            ShapeError, match=r"expected embeddings of shape \(4 images, dimension\) for .*\(4, 1, 6, 6\)"
        ):
            task().check(output, batch)
    task().check(torch.zeros(4, 5), batch)


# -- studies ----------------------------------------------------------------------------------------------------------


def test_a_study_says_what_is_wrong_with_it() -> None:
    raw: dict[str, Any] = {
        "name": "mine",
        "task": {"kind": "match", "data": "digits", "candidats": 5, "query_sets": 0},
        "quick": {"query_sets": 10, "train": 5},
        "models": [{"name": "A", "module": "koch-embedding", "minnig": "random", "published": {"accuracy": 1.0}}],
    }
    with pytest.raises(StudyError) as caught:
        parse_study(raw)
    text = str(caught.value)
    assert "unknown key 'task.candidats'; did you mean 'candidates'?" in text
    assert "task.query_sets: input should be greater than or equal to 1, got 0" in text
    assert "unknown key 'quick.train'" in text
    assert "unknown key 'models.A.minnig'; did you mean 'mining'?" in text


def test_load_reads_a_folder_and_says_its_groups(tmp_path: Path) -> None:
    from PIL import Image

    numbers = np.random.default_rng(0)
    for name in ("a/one", "a/two", "b/three", "b/four", "b/five", "c/six"):
        (tmp_path / name).mkdir(parents=True)
        for at in range(4):
            side = 9 + at
            pixels = numbers.integers(0, 256, (side, side)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{at}.png")
    settings = Match.spec.settings(kind="match", data=str(tmp_path), size=8, candidates=2, train_groups=2)  # type: ignore[call-arg]
    its = Match(settings, settings.load_data(base=Path()))  # type: ignore[arg-type]
    assert its.info.labels["group"] == ("a", "b", "c")
    assert its.size == 8
    assert len(classes_of(its.splits([0], seed=0)["train"], 0)) >= 2


def test_galleries_leave_out_a_run_that_diverged() -> None:
    its = task(train_classes=5, query_sets=20)

    def embed(batch: Batch) -> Tensor:
        outputs = noise(batch, seed=1)
        outputs[0] = torch.nan
        return outputs

    both = predicted(its, [3, 4], embed)
    sound = both._replace(arrays={name: values[1:] for name, values in both.arrays.items()})
    shown, expected = (its.gallery([each], seed=0) for each in (both, sound))
    assert shown.keys() == expected.keys()
    assert len(shown) == 4
    assert all(np.array_equal(shown[name], expected[name]) for name in expected)
