"""A sweep over settings and over sizes at once, from the study file to the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tenfold
from tenfold import train_model
from tenfold.errors import StudyError
from tenfold.execute import Plan
from tenfold.record import Reader

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, size=8, hidden=(4,)):
        super().__init__()
        sizes = [2 * size * size, *hidden]
        layers = [nn.Flatten()]
        for n_in, n_out in zip(sizes, sizes[1:]):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Dropout(0.1), nn.Linear(sizes[-1], 2))

    def forward(self, pairs):
        return self.layers(pairs)
"""
STUDY = """
name = "sizes"
repeats = 3

[task]
kind = "compare-pairs"
data = "digits"
size = 8
train = 60
test = 30

[train]
epochs = 4
batch_size = 20
compile = "never"

[[models]]
name = "Net"
module = "net.py:Net"

[models.sweep]
lr = [1e-2, 1e-3]
hidden = [[4], [5, 3]]

[[models]]
name = "Baseline"
module = "baseline"
epochs = 3

[models.sweep]
batch_size = [20, 30]
"""
LABELS = [
    "Net (lr=0.01, hidden=4)",
    "Net (lr=0.01, hidden=5/3)",
    "Net (lr=0.001, hidden=4)",
    "Net (lr=0.001, hidden=5/3)",
    "Baseline (batch_size=20)",
    "Baseline (batch_size=30)",
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tenfold.Study:
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "net.py").write_text(NET)
    (folder / "sizes.toml").write_text(STUDY)
    return tenfold.load_study(folder / "sizes.toml")


@pytest.fixture(scope="module")
def whole(study: tenfold.Study) -> tenfold.Results:
    return tenfold.run(study, out=study.base / "whole", placement="stack", verify=True)


def test_the_record_has_a_variant_for_every_combination(whole: tenfold.Results) -> None:
    assert [variant.label for variant in whole.variants] == LABELS
    assert whole.variants[1].swept == (("lr", 0.01), ("hidden", (5, 3)))
    assert whole.variants[5].swept == (("batch_size", 30),)
    assert {variant.protocol for variant in whole.variants} == {()}
    assert whole.status == "finished"
    scores = whole.scores()
    assert list(scores) == LABELS
    assert all(values.shape == (3,) and np.isfinite(values).all() for values in scores.values())
    assert len(whole.compare()) == 6 * 5 // 2
    assert {(run.variant.label, run.repeat) for run in whole.runs} == {
        (label, repeat) for label in LABELS for repeat in range(3)
    }
    lines = (whole.folder / "results.csv").read_text().splitlines()
    assert lines[1].startswith('Net,"lr=0.01, hidden=4",0,accuracy,')


def test_weights_of_every_variant_have_their_own_shapes(whole: tenfold.Results) -> None:
    shapes = [(3, 4, 128), (3, 5, 128)]
    for variant in whole.variants[:4]:
        weights = whole.weights("Net", variant=variant.index)
        assert weights["layers.1.weight"].shape == shapes[variant.index % 2]
        assert ("layers.6.weight" in weights) == (variant.index % 2 == 1)
        kept = whole.predictions("Net", variant=variant.index)
        assert kept is not None
        assert kept["probability"].shape == (3, 30)
        assert kept["repeat"].tolist() == [0, 1, 2]
        for repeat in range(3):
            module = whole.winner(variant.label).module(repeat)
            state = module.state_dict()
            assert set(state) == set(weights)
            for name, value in state.items():
                np.testing.assert_array_equal(value.numpy(), weights[name][repeat])
    names = sorted(path.name for path in (whole.folder / "weights").iterdir())
    assert names == ["baseline.0.safetensors", "baseline.1.safetensors", *(f"net.{n}.safetensors" for n in range(4))]


def test_runs_of_one_shape_share_a_stack(whole: tenfold.Results) -> None:
    """Runs in the order of the configs, three repeats each: rates share a stack, sizes and batch sizes do not."""
    groups = [Plan.from_json(whole.plans[model]).groups for model in ("Net", "Baseline")]
    assert groups[0] == ((0, 1, 2, 6, 7, 8), (3, 4, 5, 9, 10, 11))
    assert groups[1] == ((0, 1, 2), (3, 4, 5))


def test_every_variant_is_what_it_is_alone(study: tenfold.Study, whole: tenfold.Results) -> None:
    for label, table in {
        LABELS[1]: {"name": "Net", "module": "net.py:Net", "lr": 1e-2, "hidden": [5, 3], "epochs": 4},
        LABELS[2]: {"name": "Net", "module": "net.py:Net", "lr": 1e-3, "hidden": [4], "epochs": 4},
        LABELS[5]: {"name": "Baseline", "module": "baseline", "batch_size": 30, "epochs": 3},
    }.items():
        raw = study.to_dict() | {"models": [{"batch_size": 20, "compile": "never"} | table]}
        alone = tenfold.run(tenfold.parse_study(raw, base=study.base), out=study.base / label.replace("/", "-"))
        variant = next(variant for variant in whole.variants if variant.label == label)
        mine, its = whole.weights(variant.model, variant=variant.index), alone.weights(variant.model)
        assert list(mine) == list(its)
        for name in mine:
            np.testing.assert_allclose(mine[name], its[name], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(whole.scores("loss")[label], next(iter(alone.scores("loss").values())), atol=1e-5)


def test_it_is_verified_and_reported(whole: tenfold.Results) -> None:
    certificate = whole.meta("certificate")
    assert set(certificate) == {"Net", "Baseline"}
    assert all(found["weights_float64"] < 1e-10 for found in certificate.values())
    page = tenfold.write_report(whole.folder).read_text(encoding="utf-8")
    assert all(label in page for label in LABELS)
    assert len([curve for curve in whole.curves() if curve.part == "test"]) == 6


class Stop(Exception):
    pass


# Net has two stacks of 4 epochs, Baseline two of 3: in the first, between two, in the second, in the other model.
@pytest.mark.parametrize("after", [1, 4, 5, 7, 8, 9, 12, 14])
def test_stopped_anywhere_it_goes_on_to_the_same_record(
    study: tenfold.Study, whole: tenfold.Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    out, add = tmp_path / "broken", train_model._Training.add_epoch
    epochs: list[Any] = []

    def counted(*arguments: Any) -> None:
        add(*arguments)
        epochs.append(arguments)
        if len(epochs) == after:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(train_model._Training, "add_epoch", counted)
        with pytest.raises(Stop):
            tenfold.run(study, out=out, placement="stack", checkpoint_seconds=0)
    assert Reader(out).status == "unfinished"
    assert len({run.variant.model for run in Reader(out).runs}) == (1 if after > 8 else 0)
    broken = tenfold.run(study, out=out, placement="stack", checkpoint_seconds=0)
    assert broken.status == "finished"
    for metric in ("accuracy", "loss", "auc"):
        for label, values in whole.scores(metric).items():
            np.testing.assert_array_equal(broken.scores(metric)[label], values)
    for folder in ("weights", "predictions"):
        files = sorted(path.name for path in (whole.folder / folder).iterdir() if path.name != "gallery.npz")
        assert len(files) == 6
        for name in files:
            assert (whole.folder / folder / name).read_bytes() == (out / folder / name).read_bytes(), name
    assert not list((out / "checkpoints").iterdir())
    for metric in ("loss", "accuracy"):
        for mine, its in zip(broken.curves(metric), whole.curves(metric), strict=True):
            assert mine.variant == its.variant
            np.testing.assert_array_equal(mine.values, its.values)


@pytest.mark.parametrize("how", ["loop", "processes"])
def test_placements_agree_on_a_sweep_of_sizes(
    study: tenfold.Study, whole: tenfold.Results, tmp_path: Path, how: Any
) -> None:
    other = tenfold.run(study, out=tmp_path / "other", placement=how)
    for variant in whole.variants:
        mine, its = (each.weights(variant.model, variant=variant.index) for each in (other, whole))
        for name in its:
            np.testing.assert_allclose(mine[name], its[name], rtol=1e-3, atol=1e-4)


def test_a_wrong_size_is_refused_with_its_value(study: tenfold.Study) -> None:
    """Every config's module is tried before anything trains."""
    wrong = tenfold.load_study(study.base / "sizes.toml", overrides=["models.Net.sweep.hidden=[[4], [-1]]"])
    with pytest.raises(StudyError, match=r"models\.Net: net\.py:Net"):
        tenfold.run(wrong, out=study.base / "wrong")
    assert not (study.base / "wrong").exists()
