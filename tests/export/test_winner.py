"""The winner of a study, handed over: its modules are those that were trained, and match by example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tenfold
from tenfold import datasets
from tenfold.errors import DataError, RequestError
from tenfold.export import Results
from tenfold.record import Record, RunRow
from tenfold.study import load_task

STUDY: dict[str, Any] = {
    "name": "digits-by-example",
    "repeats": 2,
    "task": {"kind": "match", "data": "digits", "train_classes": 7, "candidates": 3, "query_sets": 40},
    "train": {"epochs": 4, "classes_per_batch": 7, "images_per_class": 6, "lr": 3e-3, "loss": "prototypical"},
    "models": [
        {"name": "swept", "module": "koch-embedding", "dimension": 8, "dropout": 0.1, "sweep": {"scale": [0.5, 1.0]}},
        {"name": "untrained", "module": "koch-embedding", "dimension": 8, "lr": 1e-9},
    ],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    out = tmp_path_factory.mktemp("winner") / "record"
    return tenfold.run(tenfold.parse_study(STUDY), out=out, placement="loop")


def test_repeats_are_in_order_in_whatever_order_they_ended(tmp_path: Path) -> None:
    metrics = [{"name": "accuracy", "label": "Accuracy", "unit": "%", "higher_is_better": True, "primary": True}]
    study = {"name": "s", "repeats": 12, "models": [{"name": "net"}]}
    with Record.create(
        tmp_path, study_toml="", study=study, environment={}, metrics=metrics, command="", quick=False
    ) as record:
        ended = [RunRow(variant=0, repeat=r, status="finished", epochs=1, scores={"accuracy": 0.5}) for r in (10, 9, 2)]
        record.finish_runs("net", [*ended, RunRow(variant=0, repeat=1, status="diverged", epochs=1)])
    assert Results(tmp_path).best().repeats == (2, 9, 10)


def test_the_best_is_the_one_with_the_best_mean(results: Results) -> None:
    best = results.best()
    means = {label: scores.mean() for label, scores in results.scores().items()}
    assert best.variant.label == max(means, key=lambda label: means[label])
    assert best.repeats == (0, 1)
    assert results.winner("untrained").variant.model == "untrained"
    with pytest.raises(RequestError, match="no model 'nobody'"):
        results.winner("nobody")


def test_its_modules_give_the_recorded_predictions(results: Results) -> None:
    task = load_task(tenfold.parse_study(STUDY))
    assert [variant.label for variant in results.variants] == ["swept (scale=0.5)", "swept (scale=1)", "untrained"]
    for variant in results.variants:
        winner = results.winner(variant.label)
        kept = results.predictions(variant.model, variant=variant.index)
        assert kept is not None
        for row, repeat in enumerate(winner.repeats):
            assert kept["repeat"][row] == repeat
            module = winner.module(repeat)
            assert not module.training
            for part, names in (("test", ["place", "order"]), ("pool", ["pool", "pool_class"])):
                split = task.splits([repeat], seed=0)[part]
                batch = split.span(0, split.n_examples)
                with torch.no_grad():
                    outputs = module(*(value[0] for value in batch.inputs))[None]
                again = task.predictions(outputs, batch)
                for name in names:
                    np.testing.assert_allclose(kept[name][row], again[name][0], rtol=0, atol=1e-5, err_msg=name)
    with pytest.raises(RequestError, match="repeat 5 of untrained is not there"):
        results.winner("untrained").module(5)


def test_a_matcher_recognises_by_example(results: Results, tmp_path: Path) -> None:
    digits = datasets.load("digits")
    assert isinstance(digits, datasets.Images)
    matcher = results.best().matcher()
    rows = [np.flatnonzero(digits.labels == label) for label in range(10)]
    for label in range(10):
        matcher.add(label, list(digits.images[rows[label][:5]]))
    hits = [
        matcher.match(digits.images[row], k=3)[0].label == str(label)
        for label in range(10)
        for row in rows[label][5:25]
    ]
    assert np.mean(hits) > 0.3  # of ten classes; seven were learnt from, for a few steps
    matcher.save(tmp_path / "digits.npz")
    again = type(matcher).load(tmp_path / "digits.npz", matcher._embed_images)
    assert again.match(digits.images[0], k=2) == matcher.match(digits.images[0], k=2)


def test_a_saved_matcher_is_read_back_by_public_names(results: Results, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    matcher = results.best().matcher()
    for label, image in enumerate(images):
        matcher.add(str(label), image)
    matcher.save(tmp_path / "kept.npz")
    again = tenfold.Matcher.load(tmp_path / "kept.npz", tenfold.Results(results.folder).best().embed)
    assert again.labels == matcher.labels
    for image in images:
        assert again.match(image, k=3) == matcher.match(image, k=3)
    best = results.best().variant
    other = next(variant.label for variant in results.variants if variant != best)
    with pytest.raises(DataError, match="another network"):
        tenfold.Matcher.load(tmp_path / "kept.npz", results.winner(other).embed)


def test_a_matcher_turns_light_and_dark_round_as_the_study_did(results: Results, tmp_path: Path) -> None:
    turned = tenfold.run(
        tenfold.parse_study(
            {**STUDY, "task": {**STUDY["task"], "invert": True}, "models": STUDY["models"][1:], "repeats": 1}
        ),
        out=tmp_path / "turned",
        placement="loop",
    )
    images = np.random.default_rng(0).random((3, 1, 8, 8)).astype(np.float32)
    winner = turned.best()
    with torch.no_grad():
        expected = torch.nn.functional.normalize(winner.module(0)(torch.from_numpy(1 - images)), dim=1)
    np.testing.assert_allclose(winner.matcher()._embed_images(images), expected.numpy(), atol=1e-5)


def test_a_record_read_from_its_folder_hands_over_too(results: Results) -> None:
    again = tenfold.Results(results.folder)
    mine, its = (each.best().module(1).state_dict() for each in (results, again))
    assert all(torch.equal(mine[name], its[name]) for name in mine)


def test_matchers_are_for_matching(tmp_path: Path) -> None:
    study = tenfold.parse_study(
        {
            "name": "pairs",
            "repeats": 1,
            "task": {"kind": "compare-pairs", "data": "digits", "train": 20, "test": 20},
            "train": {"epochs": 1},
            "models": [{"name": "A", "module": "baseline"}],
        }
    )
    results = tenfold.run(study, out=tmp_path / "record", placement="loop")
    assert results.best().module(0)(torch.zeros(2, 2, 8, 8)).shape == (2, 2)
    with pytest.raises(RequestError, match="a matcher needs a study of the task 'match'; this one is 'compare-pairs'"):
        results.best().matcher()
