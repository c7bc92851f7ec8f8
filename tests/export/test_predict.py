"""New data in their own units: every built-in study's test items give the test predictions of its record again."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tenfold
from tenfold import datasets
from tenfold.config import built_in_studies
from tenfold.errors import RequestError, ShapeError
from tenfold.export._models import _options
from tenfold.export._winner import _logits
from tenfold.models import ESTIMATORS
from tenfold.recipe import Config
from tenfold.record import Variant
from tenfold.study import load_task

# A few examples, two repeats, one epoch: what is predicted matters here, not how well.
SHORT = {
    "compare-pairs": ["task.train=60", "task.test=40"],
    "match": ["task.train_classes=64", "task.query_sets=12", "task.pool_classes=3"],
    "classify-sequences": ["task.train=120", "task.test=60", "task.validation=0.1"],
}


def short(name: str) -> tenfold.Study:
    kind = tenfold.load_study(name).task.kind
    overrides = ["repeats=2", "train.compile=never", *SHORT[str(kind)]]
    if name == "har-lstm":  # the official division tests on all of its windows
        overrides.append("models.Random forest.n_estimators=5")
    return tenfold.load_study(name, overrides=overrides).with_epochs(1)


def needs_data(name: str) -> list[pytest.MarkDecorator]:
    at_hand = tenfold.load_study(name).task.data == "digits"
    return [] if at_hand else [pytest.mark.real_data, pytest.mark.slow]


@dataclass(frozen=True)
class Moved:
    """A finished record in another place than where it was made, and the study that made it."""

    study: tenfold.Study
    folder: Path

    @property
    def results(self) -> tenfold.Results:
        return tenfold.Results(self.folder)

    @functools.cached_property
    def task(self) -> Any:
        return load_task(self.study)

    @functools.cached_property
    def data(self) -> Any:
        return self.study.task.load_data(base=self.study.base)

    def networks(self) -> list[tuple[Variant, Config]]:
        """Every variant of every network, with its config."""
        configs = {model.name: model for model in self.study.models}
        found = []
        for variant in self.results.variants:
            model = configs[variant.model]
            if model.factory.name not in ESTIMATORS:
                found.append((variant, model.configs()[variant.index]))
        return found

    def test_items(self, config: Config, repeat: int, part: str = "test") -> tuple[Any, np.ndarray]:
        """The test items of a repeat as the data set has them, and which of them count."""
        split = self.task.splits([repeat], seed=self.study.seed, configs=[config])[part]
        index = split.index[0].numpy()
        valid = np.ones(len(index), bool) if split.valid is None else split.valid[0].numpy()
        data = self.data
        if isinstance(data, datasets.Images):
            return data.images[index] if index.ndim == 1 else data.images[index, 0], valid  # (n, 1, h, w); (n, 2, h, w)
        assert isinstance(data, datasets.Recordings)
        starts, steps = self.task._source.starts.numpy()[index], self.task.n_steps
        return [data.signals[start : start + steps] for start in starts], valid


@pytest.fixture(scope="module", params=[pytest.param(name, marks=needs_data(name)) for name in built_in_studies()])
def moved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    with pytest.MonkeyPatch.context() as patch:
        if needs_data(request.param):
            patch.setenv("TENFOLD_DATA", str(request.getfixturevalue("prepared_data")))
        study, folder = short(request.param), tmp_path_factory.mktemp("made")
        tenfold.run(study, out=folder / "record", placement="stack")
        other = tmp_path_factory.mktemp("moved") / "elsewhere"
        shutil.move(folder / "record", other)
        yield Moved(study, other)


def test_every_built_in_study_has_networks(moved: Moved) -> None:
    assert len(moved.networks()) >= len(moved.study.models) - 2
    assert len(moved.networks()) >= 4


def test_every_network_of_every_repeat_gives_its_recorded_predictions_again(moved: Moved) -> None:
    results, kind = moved.results, moved.results.meta("task")["predictions"]
    assert kind in ("binary", "classes", "ranking")
    for variant, config in moved.networks():
        winner = results.winner(variant.label)
        kept = results.predictions(variant.model, variant=variant.index)
        assert kept is not None
        assert winner.repeats == (0, 1)
        for row, repeat in enumerate(kept["repeat"].tolist()):
            said = f"{variant.label}, repeat {repeat}"
            if kind == "ranking":
                items, valid = moved.test_items(config, repeat, "pool")
                expected = kept["pool"][row][valid].astype(np.float64)
                (outputs,) = winner.outputs(items[valid], repeats=repeat)
                np.testing.assert_allclose(outputs.numpy(), expected, rtol=1e-4, atol=1e-5, err_msg=said)
                expected /= np.linalg.norm(expected, axis=1, keepdims=True)
                embedded = winner.embed(items[valid], repeats=repeat)
                np.testing.assert_allclose(embedded, expected, rtol=0, atol=1e-5, err_msg=said)
                continue
            items, valid = moved.test_items(config, repeat)
            answers = winner.predict(
                [item for item, counts in zip(items, valid, strict=True) if counts], repeats=repeat
            )
            assert answers.of_repeats.shape[0] == 1
            if kind == "binary":
                expected, found = kept["probability"][row][valid], answers.probability[:, 1]
            else:
                expected, found = kept["class_probability"][row][valid], answers.probability
                names = results.meta("task")["labels"]["class"]
                sure = np.sort(expected, axis=1)[:, -2:] @ [-1, 1] > 1e-4
                said_then = [names[at] for at in kept["prediction"][row][valid]]
                assert [name for name, keep in zip(answers.classes, sure, strict=True) if keep] == [
                    name for name, keep in zip(said_then, sure, strict=True) if keep
                ]
            assert len(found) == valid.sum() > 0
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=said)


def test_all_repeats_together_are_their_mean(moved: Moved) -> None:
    results = moved.results
    variant, config = moved.networks()[0]
    winner, ranking = results.winner(variant.label), results.meta("task")["predictions"] == "ranking"
    items, _ = moved.test_items(config, 0, "pool" if ranking else "test")
    items = items[:20]
    if ranking:
        each = [winner.embed(items, repeats=repeat) for repeat in (0, 1)]
        together = winner.embed(items)
        np.testing.assert_allclose(
            together @ together.T / 2, np.mean([one @ one.T for one in each], axis=0), rtol=0, atol=1e-6
        )
        return
    each = [winner.predict(items, repeats=repeat).probability for repeat in (0, 1)]
    together = winner.predict(items)
    np.testing.assert_array_equal(together.of_repeats, np.stack(each))
    np.testing.assert_allclose(together.probability, np.mean(each, axis=0), rtol=0, atol=1e-7)
    np.testing.assert_array_equal(winner.predict(items, repeats=[1, 0]).of_repeats, np.stack(each[::-1]))
    likeliest = together.probability.argmax(1)
    agreement = [np.mean([one[at].argmax() == likeliest[at] for one in each]) for at in range(20)]
    np.testing.assert_allclose(together.agreement, agreement)
    np.testing.assert_allclose(together.probability.sum(1), 1, rtol=0, atol=1e-6)


def test_the_twin_other_items_and_other_repeats_are_noticed(moved: Moved) -> None:
    """Predictions that are compared to 1e-5 differ by far more where the items or the weights are others."""
    variant, config = moved.networks()[-1]
    winner, ranking = moved.results.winner(variant.label), moved.results.meta("task")["predictions"] == "ranking"
    items, others = (moved.test_items(config, repeat, "pool" if ranking else "test")[0][:20] for repeat in (0, 1))

    def said(items: Any, repeat: int) -> np.ndarray:
        return winner.embed(items, repeats=repeat) if ranking else winner.predict(items, repeats=repeat).probability

    assert np.abs(said(items, 0) - said(others, 0)).max() > 1e-3
    assert np.abs(said(items, 0) - said(items, 1)).max() > 1e-3


def test_estimators_of_a_study_have_no_modules(moved: Moved) -> None:
    fitted = [model.name for model in moved.study.models if model.factory.name in ESTIMATORS]
    _, config = moved.networks()[0]
    for variant in moved.results.variants:
        if variant.model in fitted:
            items, _ = moved.test_items(config, 0)
            message = (
                rf"^{re.escape(variant.label)} is an estimator \(.*\): it has no weights, and the record keeps its"
            )
            with pytest.raises(RequestError, match=message):
                moved.results.winner(variant.label).predict(items[:2])


# -- another process --------------------------------------------------------------------------------------------------

PREDICT = """
import json, sys
import numpy as np
import tenfold
folder, items, label, out = sys.argv[1:]
answers = tenfold.Results(folder).winner(label).predict(np.load(items))
np.savez(out, probability=answers.probability, of_repeats=answers.of_repeats)
print(json.dumps(answers.labels))
"""


def in_another_process(folder: Path, items: np.ndarray, label: str, scratch: Path) -> tuple[Any, list[str]]:
    """What a process that knows nothing but the record predicts; its working directory is an empty folder."""
    scratch.mkdir()
    np.save(scratch / "items.npy", items)
    arguments = [str(folder), str(scratch / "items.npy"), label, str(scratch / "out.npz")]
    empty = scratch / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, *arguments], cwd=empty, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return np.load(scratch / "out.npz"), json.loads(done.stdout)


@pytest.fixture(scope="module")
def digits_pairs() -> np.ndarray:
    images = datasets.load("digits")
    assert isinstance(images, datasets.Images)
    return np.stack([images.images[:30, 0], images.images[30:60, 0]], axis=1)


MINE = """
import torch
from torch import nn
from parts.blocks import half

class MyNet(nn.Module):
    def __init__(self, size, hidden=4):
        super().__init__()
        self.register_buffer("mask", (torch.rand(2 * size * size) > 0.3).float(), persistent=False)  # not in state_dict
        self.layers = nn.Sequential(nn.Linear(2 * size * size, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, pairs):
        return self.layers(half(pairs.flatten(1)) * self.mask)
"""


def test_a_module_of_ones_own_needs_neither_its_file_nor_its_place(tmp_path: Path, digits_pairs: np.ndarray) -> None:
    home = tmp_path / "home"
    (home / "parts").mkdir(parents=True)
    (home / "mine.py").write_text(MINE)
    (home / "parts" / "blocks.py").write_text("def half(values):\n    return values / 2\n")
    raw = {
        "name": "mine",
        "repeats": 2,
        "task": {
            "kind": "compare-pairs",
            "data": "digits",
            "size": 8,
            "train": 60,
            "test": 40,
            "pixels": "standardised",
        },
        "train": {"epochs": 2, "batch_size": 20},
        "models": [{"name": "Mine", "module": "mine.py:MyNet", "sweep": {"hidden": [4, 7]}}],
    }
    study = tenfold.parse_study(raw, base=home)
    tenfold.run(study, out=home / "record", placement="stack")
    shutil.move(home / "record", tmp_path / "elsewhere")
    shutil.rmtree(home)
    moved = Moved(study, tmp_path / "elsewhere")
    for variant, config in moved.networks():
        for row in range(2):
            pairs, _ = moved.test_items(config, row)
            kept = moved.results.predictions("Mine", variant=variant.index)
            assert kept is not None
            found, labels = in_another_process(moved.folder, pairs, variant.label, tmp_path / f"{variant.index} {row}")
            np.testing.assert_allclose(found["of_repeats"][row, :, 1], kept["probability"][row], rtol=0, atol=1e-5)
            assert labels == ["first > second", "first ≤ second"]
    assert moved.results.weights("Mine", variant=1)["layers.0.weight"].shape == (2, 7, 128)


def test_a_built_in_module_in_another_process(tmp_path: Path, digits_pairs: np.ndarray) -> None:
    study = tenfold.load_study("quickstart", overrides=["repeats=2", "task.train=60", "task.test=40"]).with_epochs(1)
    tenfold.run(study.with_models(["Deep Siamese CNN"]), out=tmp_path / "made", placement="loop")
    shutil.move(tmp_path / "made", tmp_path / "moved")
    here = tenfold.Results(tmp_path / "moved").winner("Deep Siamese CNN").predict(digits_pairs)
    there, _ = in_another_process(tmp_path / "moved", digits_pairs, "Deep Siamese CNN", tmp_path / "scratch")
    np.testing.assert_allclose(there["of_repeats"], here.of_repeats, rtol=0, atol=1e-6)


# -- what does not fit ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs_of_8(tmp_path_factory: pytest.TempPathFactory) -> tenfold.Results:
    raw = {
        "name": "pairs",
        "repeats": 1,
        "task": {"kind": "compare-pairs", "data": "digits", "train": 20, "test": 20},
        "train": {"epochs": 1},
        "models": [
            {"name": "A", "module": "baseline"},
            {"name": "Forest", "module": "random-forest", "n_estimators": 3},
        ],
    }
    return tenfold.run(tenfold.parse_study(raw), out=tmp_path_factory.mktemp("p") / "r", placement="loop")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"^expected at least one example, got none$"),
        (np.zeros((0, 2, 8, 8)), r"^expected at least one example, got none$"),
        (7, r"^expected one example or several, got int$"),
        (
            np.zeros((4, 3, 8, 8)),
            r"^expected pairs of images: \(first, second\), or an array of shape \(n, 2, height, width\), got one of "
            r"shape \(3, 8, 8\)$",
        ),
        (["a.png"], r"^expected pairs of images: .*, got str$"),
        (
            np.zeros((1, 2, 9, 8)),
            r"^the first image of pair 0: expected an image of 8 x 8 pixels \(height x width\), as the study's, "
            r"got 9 x 8;",
        ),
        (
            [(np.zeros((2, 8, 8)), np.zeros((2, 8, 8)))],
            r"^the first image of pair 0: expected an image of shape \(height, width\), .* with 1 or 3 channels .*; "
            r"got shape \(2, 8, 8\)",
        ),
        (
            np.full((1, 2, 8, 8), "x"),
            r"^the first image of pair 0: expected an image: a path, a Pillow image, or an array; got an array of <U1$",
        ),
        ([([[0, 1], [2]], [[0, 1], [2]])], r"^expected an array, got rows of different lengths \("),
    ],
)
def test_pairs_that_do_not_fit(pairs_of_8: tenfold.Results, data: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        pairs_of_8.winner("A").predict(data)


def test_pairs_in_every_form_are_the_same(pairs_of_8: tenfold.Results, digits_pairs: np.ndarray) -> None:
    winner, first = pairs_of_8.winner("A"), digits_pairs[0]
    expected = winner.predict(digits_pairs).probability
    for one in (first, (first[0], first[1]), [first[0][None], first[1][None]], [first], first[None], [list(first)]):
        np.testing.assert_allclose(winner.predict(one).probability, expected[:1], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(winner.predict(list(digits_pairs)).probability, expected)
    colour = np.repeat(digits_pairs[:, :, None], 3, axis=2)  # grey in three channels
    tuples = [(a, b) for a, b in colour]
    np.testing.assert_allclose(winner.predict(tuples).probability, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(winner.predict(digits_pairs / 255).probability, expected, rtol=0, atol=1e-6)


def test_repeats_and_models_that_are_not_there(pairs_of_8: tenfold.Results, digits_pairs: np.ndarray) -> None:
    winner = pairs_of_8.winner("A")
    with pytest.raises(RequestError, match=r"^repeat 3 of A is not there; there are \(0,\)$"):
        winner.predict(digits_pairs, repeats=3)
    with pytest.raises(RequestError, match=r"^no repeat of A was trained to its end$"):
        winner.predict(digits_pairs, repeats=[])
    with pytest.raises(RequestError, match=r"^Forest is an estimator \(random-forest\): it has no weights, and the"):
        pairs_of_8.winner("Forest").predict(digits_pairs)
    with pytest.raises(RequestError, match=r"^no model 'B' in the record .*; there are A, Forest$"):
        pairs_of_8.winner("B")
    np.testing.assert_array_equal(
        winner.predict(digits_pairs, repeats=np.int64(0)).probability,  # type: ignore[arg-type]
        winner.predict(digits_pairs).probability,
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tenfold.Results:
    """A study of windows of three channels, one of them a sum."""
    folder = tmp_path_factory.mktemp("recordings")
    numbers = np.random.default_rng(0)
    np.savez(
        folder / "signals.npz",
        signals=numbers.normal(size=(900, 3)).astype(np.float32),
        starts=np.arange(0, 900, 90),
        lengths=np.full(10, 90),
        labels=np.arange(10) % 2,
        channels=np.array(["x", "y", "z"]),
        class_names=np.array(["rest", "walk"]),
    )
    raw = {
        "name": "windows",
        "repeats": 2,
        "task": {
            "kind": "classify-sequences",
            "data": "signals.npz",
            "window": 30,
            "overlap": 0.5,
            "channels": ["z", "x + y"],
        },
        "train": {"epochs": 1, "batch_size": 10},
        "models": [
            {"name": "GRU", "module": "recurrent-classifier", "cell": "gru", "units": 4, "layers": 1, "hidden": []}
        ],
    }
    return tenfold.run(tenfold.parse_study(raw, base=folder), out=folder / "record", placement="loop")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"^expected at least one example, got none$"),
        (np.zeros((0, 30, 3)), r"^expected at least one example, got none$"),
        (np.zeros((40, 2)), r"^expected a recording of shape \(samples, 3 channels: x, y, z\), got \(40, 2\)$"),
        (np.zeros((2, 40, 4)), r"^expected a recording of shape \(samples, 3 channels: x, y, z\), got \(40, 4\)$"),
        (np.zeros(30), r"^expected a recording of shape \(samples, 3 channels: x, y, z\), got \(\)$"),
        (np.zeros((29, 3)), r"^expected a recording of at least 30 samples, got 29$"),
        (np.full((40, 3), np.nan), r"^a recording holds numbers that are not finite; cut it there, or fill the gap$"),
        (
            np.full((40, 3), "a"),
            r"^expected a recording of shape \(samples, 3 channels: x, y, z\), got \(40, 3\) of <U1$",
        ),
    ],
)
def test_recordings_that_do_not_fit(recorded: tenfold.Results, data: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        recorded.winner("GRU").predict(data)


def test_a_recording_is_cut_into_windows_as_the_study_cut_its_own(recorded: tenfold.Results) -> None:
    signals = np.random.default_rng(1).normal(size=(100, 3))
    winner = recorded.winner("GRU")
    windows = [signals[start : start + 30] for start in range(0, 71, 15)]
    answers = winner.predict(signals)
    assert len(answers) == len(windows) == 5
    np.testing.assert_allclose(answers.probability, winner.predict(windows).probability, rtol=0, atol=1e-6)
    assert set(answers.classes) <= {"rest", "walk"}
    with pytest.raises(RequestError, match=r"^a matcher needs a study of the task 'match'; this one is 'classify-seq"):
        winner.matcher()


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> tenfold.Results:
    raw = {
        "name": "match",
        "repeats": 1,
        "task": {"kind": "match", "data": "digits", "size": 4, "train_classes": 6, "candidates": 2, "query_sets": 5},
        "train": {"epochs": 1, "classes_per_batch": 6, "images_per_class": 4},
        "models": [{"name": "E", "module": "koch-embedding", "dimension": 3}],
    }
    return tenfold.run(tenfold.parse_study(raw), out=tmp_path_factory.mktemp("m") / "r", placement="loop")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"^expected at least one example, got none$"),
        (
            np.zeros((2, 2, 8, 8)),
            r"^image 0: expected an image of shape .* with 1 or 3 channels .*; got shape \(2, 8, 8\)",
        ),
        (
            np.zeros((5, 3, 2)),
            r"^image 0: is 3 x 2 pixels; at least 4 x 4 are needed, since averaging only makes smaller",
        ),
        (5, r"^expected one example or several, got int$"),
        (
            np.full((1, 8, 8), np.nan),
            r"^image 0: pixels must be integers 0..255 or floats 0..1; got float64 from nan",
        ),
        (np.full((1, 8, 8), 16.0), r"^image 0: pixels must be .*; got float64 from 16.0 to 16.0$"),
        (np.full((1, 8, 8), 300), r"^image 0: pixels must be .*; got int64 from 300 to 300$"),
        ("nowhere.png", r"^image 0 \(nowhere\.png\): there is no such file$"),
    ],
)
def test_images_that_do_not_fit(embeddings: tenfold.Results, data: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        embeddings.winner("E").embed(data)


def test_files_of_several_sizes_are_prepared_as_in_training(tmp_path: Path) -> None:
    """A folder of images that differ in size is brought to one by its reader; so are its files, and larger ones."""
    rng = np.random.default_rng(0)
    files = []
    for at in range(30):
        shape = (10, 10, 3) if at % 3 else (14, 12, 3)
        file = tmp_path / "images" / "abcde"[at % 5] / f"{at}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(file)
        files.append(file)
    for size in (8, 12):
        raw = {
            "name": "sizes",
            "repeats": 1,
            "task": {
                "kind": "match", "data": "images", "size": size, "train_classes": 3, "candidates": 2, "query_sets": 5,
                "pool_classes": 2,
            },
            "train": {"epochs": 1, "classes_per_batch": 3, "images_per_class": 4},
            "models": [{"name": "E", "module": "koch-embedding", "dimension": 3}],
        }  # fmt: skip
        results = tenfold.run(tenfold.parse_study(raw, base=tmp_path), out=tmp_path / f"r{size}", placement="loop")
        kept = results.predictions("E")
        assert kept is not None
        found = results.best().outputs(sorted(files, key=lambda file: (file.parent.name, int(file.stem))), repeats=0)[0]
        labels = np.repeat(np.arange(5), 6)
        for label in np.unique(kept["pool_class"][kept["pool_class"] >= 0]):
            recorded = kept["pool"][kept["pool_class"] == label]
            again = found.numpy()[labels == label]
            # The reader may give the files of a class in another order.
            apart = np.abs(recorded[:, None] - again[None]).max(-1)
            assert apart.min(1).max() < 1e-5


def test_embeddings_have_no_classes_to_choose_from(embeddings: tenfold.Results) -> None:
    with pytest.raises(
        RequestError, match=r"^predict: the task 'match' has no classes to choose from; use matcher\(\)$"
    ):
        embeddings.winner("E").predict(np.zeros((1, 8, 8)))


# -- what a record cannot hold ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"sizes": (3, 4), "name": "x", "rate": 0.5}, True),
        ({"sizes": {"a": [1, (2, 3)]}}, True),
        ({"names": {1: "one"}}, False),  # JSON would give {"1": "one"} back
        ({"layer": torch.nn.ReLU}, False),
    ],
)
def test_options_are_kept_where_json_gives_them_back(options: dict[str, Any], kept: bool) -> None:
    found = _options([options])
    assert found["options"] == ([options] if kept else [])
    assert ("reason" in found) is not kept


def test_outputs_that_are_no_logits_are_said() -> None:
    logits = torch.zeros(3, 2)
    assert _logits(logits) is logits
    assert _logits((logits, None)) is logits
    with pytest.raises(RequestError, match="expected logits, or a tuple with logits first, got dict"):
        _logits({"logits": logits})
