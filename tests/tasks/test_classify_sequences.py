from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from torch import nn

import tenfold
from tenfold import Stack, datasets
from tenfold.config import parse_study
from tenfold.datasets import TEST, TRAIN, UNASSIGNED
from tenfold.errors import DataError, RequestError, ShapeError, StudyError
from tenfold.metrics import confusion_counts
from tenfold.recipe import Config
from tenfold.sampling import Batch, Split
from tenfold.tasks import ClassifySequences, Hyper, Predicted
from tenfold.tasks.classify_sequences import SequenceRecipe


def recordings(
    lengths: list[int], *, groups: list[int] | None = None, seed: int = 0, **values: Any
) -> datasets.Recordings:
    """Noise in pieces of these lengths, three channels of different scale, three classes in turn."""
    numbers, total = np.random.default_rng(seed), sum(lengths)
    signals = numbers.normal([5, 0, -2], [1, 10, 0.1], (total, 3)).astype(np.float32)
    stops = np.cumsum(lengths)
    given: dict[str, Any] = {
        "signals": signals,
        "starts": (stops - lengths).astype(np.int64),
        "lengths": np.array(lengths, np.int64),
        "labels": np.arange(len(lengths), dtype=np.int64) % 3,
        "part": np.full(len(lengths), UNASSIGNED, np.uint8),
        "class_names": ("sit", "stand", "walk"),
        "channels": ("x", "y", "z"),
        "name": "noise",
    }
    if groups is not None:
        given |= {"groups": np.array(groups, np.int64), "group_names": tuple(f"p{at}" for at in range(max(groups) + 1))}
    return datasets.Recordings(**given | values)


def many(**values: Any) -> datasets.Recordings:
    """48 pieces of eight people."""
    lengths = [25 + 7 * (at % 5) for at in range(48)]
    return recordings(lengths, groups=[at // 6 for at in range(48)], **values)


def twelve(**values: Any) -> datasets.Recordings:
    """Twelve pieces of four people."""
    return recordings(
        [40, 30, 50, 35, 45, 25, 60, 30, 20, 40, 41, 42], groups=[0] * 3 + [1] * 4 + [2] * 2 + [3] * 3, **values
    )


def sequences(data: Any, **settings: Any) -> ClassifySequences:
    its: Any = ClassifySequences.spec.settings(kind="classify-sequences", data="memory", **settings)
    return ClassifySequences(its, data)


def by(*splits: str) -> list[Config]:
    """One config per run."""
    return [Config({"split": split}, SequenceRecipe(split=split), index=at) for at, split in enumerate(splits)]  # type: ignore[arg-type]


def every(split: Split) -> Batch:
    return split.span(0, split.n_examples)


def windows_of(split: Split, run: int = 0) -> np.ndarray:
    return every(split).inputs[0][run].numpy()


def arrays_of(kept: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in kept.items()}


def scored(task: ClassifySequences, output: Any, batch: Batch) -> dict[str, np.ndarray]:
    return task.metrics_of(arrays_of(task.sums(output, batch)))


# -- cutting ----------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=3, max_size=8), st.integers(2, 12), st.sampled_from([0.0, 0.25, 0.5, 0.9]))
def test_windows_are_cut_inside_pieces(lengths: list[int], window: int, overlap: float) -> None:
    its = recordings(lengths)
    stride = max(1, round(window * (1 - overlap)))
    expected = []
    for start, length in zip(its.starts, its.lengths, strict=True):
        at = 0
        while at + window <= length:
            expected.append(its.signals[start + at : start + at + window])
            at += stride
    labels = {label for label, length in zip(its.labels, its.lengths, strict=True) if length >= window}
    if not expected or len(labels) < 2 or len(expected) < 4:
        return
    task = sequences(its, window=window, overlap=overlap, standardise=False)
    assert task.n_windows == len(expected)
    test = task.splits([0], seed=0)["test"]
    for got, at in zip(windows_of(test), test.targets["window"][0].tolist(), strict=True):
        np.testing.assert_array_equal(got, expected[at])


def test_short_pieces_are_left_out_and_said() -> None:
    task = sequences(recordings([40, 40, 40, 9, 40]), window=10)
    assert any("1 of 5 pieces are shorter than a window of 10 steps" in note for note in task.info.warnings)
    with pytest.raises(DataError, match="no piece is as long as a window of 50 steps; the longest has 40"):
        sequences(recordings([40, 30, 20]), window=50)


def test_whole_pieces_come_padded_with_their_lengths() -> None:
    its = recordings([5, 9, 3, 7, 8, 6, 9])
    task = sequences(its, test_share=0.5, standardise=False)
    test = task.splits([0, 1], seed=0)["test"]
    (windows, lengths), clean, targets, valid = test.batch(torch.tensor([[2, 0], [1, 1]]))
    assert torch.equal(clean[0], windows)
    assert bool(valid.all())
    assert windows.shape == (2, 2, 9, 3)
    for run, rows in enumerate(([2, 0], [1, 1])):
        for place, row in enumerate(rows):
            at = int(test.targets["window"][run, row])
            assert int(lengths[run, place]) == its.lengths[at]
            whole = its.signals[its.starts[at] : its.starts[at] + its.lengths[at]]
            np.testing.assert_array_equal(windows[run, place, : len(whole)].numpy(), whole)
            assert not windows[run, place, len(whole) :].any()
            assert int(targets["target"][run, place]) == its.labels[at]
    whole = every(test).inputs
    assert torch.equal(whole[0][1, 1], windows[1, 0])
    assert torch.equal(test.of_runs([1]).span(0, 2).inputs[1], whole[1][1:, :2])


def test_channels_are_chosen_and_summed() -> None:
    its = twelve()
    task = sequences(its, window=10, channels=["z", "x + y"], standardise=False)
    assert task.channels == ("z", "x + y")
    np.testing.assert_allclose(
        task._source.signals.numpy(), np.stack([its.signals[:, 2], its.signals[:, 0] + its.signals[:, 1]], 1)
    )
    with pytest.raises(RequestError, match="no channel 'xx' in noise.*'x'"):
        sequences(its, window=10, channels=["xx"])
    with pytest.raises(RequestError, match="stands twice"):
        sequences(its, window=10, channels=["x", "x"])


# -- splits -----------------------------------------------------------------------------------------------------------


def parts_of(task: ClassifySequences, repeat: int, split: str, seed: int = 0) -> dict[str, set[int]]:
    rows = task._rows(repeat, seed, split)  # type: ignore[arg-type]
    return {part: set(its.tolist()) for part, its in rows.items()}


@pytest.mark.parametrize("split", ["group", "window"])
@pytest.mark.parametrize("folds", [None, 2, "groups"])
@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_nothing_is_on_two_sides(split: str, folds: Any, validation: float) -> None:
    task = sequences(many(), window=10, folds=folds, validation=validation)
    groups = task._groups
    assert groups is not None
    for repeat in range(8):
        parts = parts_of(task, repeat, split)
        assert len(parts["train"]) == task._amounts["train"]
        assert 0 < len(parts["test"]) <= task._amounts["test"]
        assert bool(parts["validation"]) == (validation > 0)
        assert sum(map(len, parts.values())) == len(set.union(*parts.values()))
        if split == "group":
            people = [set(groups[sorted(rows)].tolist()) for rows in parts.values() if rows]
            assert sum(map(len, people)) == len(set.union(*people))


def test_every_window_is_tested_once_in_the_folds() -> None:
    for split in ("group", "window"):
        for folds, n in ((3, 3), ("groups", 4)):
            task = sequences(twelve(), window=10, folds=folds)  # type: ignore[arg-type]
            for first in (0, n):
                tested = [parts_of(task, repeat, split)["test"] for repeat in range(first, first + n)]
                assert sum(map(len, tested)) == task.n_windows
                assert set.union(*tested) == set(range(task.n_windows))
    found = sequences(twelve(), window=10, folds=3).resampling()
    assert (found.overlap, found.one_pool, found.folds) == (pytest.approx(1 / 3), True, 3)
    assert "3 folds of groups" in found.reason
    assert "3 folds of windows" in sequences(twelve(), window=10, folds=3).resampling(by("window", "window")).reason


def test_the_official_split_is_used_and_a_person_on_both_sides_is_refused() -> None:
    part = np.array([TRAIN] * 7 + [TEST] * 5, np.uint8)
    task = sequences(twelve(part=part), window=10)
    _, pieces = datasets.cut_windows(twelve().starts, twelve().lengths, 10, 0.5)
    of_window = part[pieces]
    for repeat in (0, 1):
        parts = parts_of(task, repeat, "group")
        assert set(of_window[sorted(parts["test"])].tolist()) == {TEST}
        assert set(of_window[sorted(parts["train"])].tolist()) == {TRAIN}
    assert len(parts_of(task, 0, "window")["test"]) == int((of_window == TEST).sum())
    official = task.resampling()
    assert (official.overlap, official.one_pool, official.tested_on) == (1.0, False, "these 2 groups")
    assert task.resampling(by("group", "window")).one_pool
    with pytest.raises(DataError, match=r"'p1' is in training and in testing \(1 such groups\)"):
        sequences(twelve(part=np.array([TRAIN] * 5 + [TEST] * 7, np.uint8)), window=10)
    assert sequences(twelve(part=np.array([TRAIN] * 5 + [TEST] * 7, np.uint8)), window=10, official=False)


def test_amounts_that_are_asked_for_are_drawn() -> None:
    task = sequences(twelve(), window=10, train=30, test=8, validation=0.2)
    drawn = [parts_of(task, repeat, "group") for repeat in range(5)]
    assert {tuple(len(rows) for rows in parts.values()) for parts in drawn} == {(24, 6, 8)}
    assert drawn[0] != drawn[1]
    with pytest.raises(DataError, match="train = 1000 windows asked for"):
        sequences(twelve(), window=10, train=1000)
    with pytest.raises(DataError, match="test = 1000 windows asked for"):
        sequences(twelve(), window=10, test=1000)


def test_without_groups_windows_are_drawn() -> None:
    task = sequences(recordings([40] * 6), window=10)
    assert task.splits([0], seed=0, configs=by("auto"))["test"].n_examples == task._amounts["test"]
    with pytest.raises(RequestError, match="has no groups; use 'window'"):
        task.splits([0], seed=0, configs=by("group"))
    with pytest.raises(RequestError, match="has no groups; give a number"):
        sequences(recordings([40] * 6), window=10, folds="groups")
    with pytest.raises(RequestError, match="folds = 9: noise has 4 groups"):
        sequences(twelve(), window=10, folds=9)


def test_one_class_and_images_are_refused() -> None:
    with pytest.raises(DataError, match="are of one class, 'stand'"):
        sequences(recordings([40] * 4, labels=np.ones(4, np.int64)), window=10)
    with pytest.raises(DataError, match="needs recordings"):
        sequences(datasets.load("digits"))  # type: ignore[arg-type]


# -- standardising and weights ----------------------------------------------------------------------------------------


def lengths_of(task: ClassifySequences) -> list[int]:
    lengths = task._source.lengths
    return [task.n_steps] * task.n_windows if lengths is None else lengths.tolist()


@pytest.mark.parametrize("window", [10, None])
def test_each_run_is_standardised_by_its_own_training_windows(window: int | None) -> None:
    its = twelve()
    task = sequences(its, window=window, test_share=0.4)
    parts = task.splits([0, 1], seed=3, configs=by("group", "window"))
    for run, split in enumerate(("group", "window")):
        rows = task._rows([0, 1][run], 3, split)["train"].tolist()  # type: ignore[arg-type]
        starts, lengths = task._source.starts.tolist(), lengths_of(task)
        cut = [its.signals[starts[at] : starts[at] + lengths[at]] for at in range(task.n_windows)]
        scaler = StandardScaler().fit(np.concatenate([cut[at] for at in rows]))
        test = every(parts["test"])
        valid, numbers = test.valid[run].tolist(), test.targets["window"][run].tolist()
        for there, got, at in zip(valid, windows_of(parts["test"], run), numbers, strict=True):
            if there:
                np.testing.assert_allclose(got[: lengths[at]], scaler.transform(cut[at]), atol=1e-4)


@pytest.mark.parametrize("split", ["group", "window"])
def test_no_sample_outside_the_training_windows_has_a_say_in_them(split: str) -> None:
    """Not even in the rounding: the numbers are equal to the last bit, however large the other samples are."""
    options: dict[str, Any] = {"window": 10, "validation": 0.2, "test_share": 0.3}
    data, configs = twelve(), by(split)
    task = sequences(data, **options)
    fitted = task.splits([0], seed=3, configs=configs)["train"].preprocess
    used = np.zeros(len(data.signals), bool)
    for at in task._rows(0, 3, split)["train"].tolist():  # type: ignore[arg-type]
        used[task._source.starts[at] : task._source.starts[at] + 10] = True
    assert 0 < used.sum() < len(used)
    for rows, same in ((~used, True), (used, False)):
        signals = data.signals.copy()
        signals[rows] = 1e6 + 3 * signals[rows]
        again = sequences(replace(data, signals=signals), **options).splits([0], seed=3, configs=configs)
        for part in again.values():
            assert fitted is not None
            assert part.preprocess is not None
            assert torch.equal(part.preprocess.shift, fitted.shift) == same
            assert torch.equal(part.preprocess.scale, fitted.scale) == same


def test_a_constant_channel_becomes_zero() -> None:
    its = twelve()
    its.signals[:, 1] = 7.25
    windows = windows_of(sequences(its, window=10).splits([0], seed=0)["train"])
    assert np.isfinite(windows).all()
    assert np.abs(windows[..., 1]).max() < 1e-3


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    task = sequences(twelve(), window=10)
    train = task.splits([0], seed=0)["train"]
    target, weight = train.targets["target"][0], train.targets["weight"][0]
    np.testing.assert_allclose(weight.numpy(), compute_sample_weight("balanced", target.numpy()), rtol=1e-6)
    logits = torch.randn(len(target), 3)
    batch = Batch((), (), {"target": target, "weight": weight}, torch.ones_like(target, dtype=torch.bool))
    zero = torch.tensor(0)
    plain = task.loss(logits, batch, Hyper(SequenceRecipe(), {}, zero, zero))
    balanced = task.loss(logits, batch, Hyper(SequenceRecipe(class_weights="balanced"), {}, zero, zero))
    torch.testing.assert_close(plain, nn.functional.cross_entropy(logits, target))
    by_class = torch.tensor([float(weight[target == at][0]) for at in range(3)])
    torch.testing.assert_close(balanced, nn.functional.cross_entropy(logits, target, weight=by_class))


# -- scores -----------------------------------------------------------------------------------------------------------


def test_scores_are_those_of_scikit_learn_and_filled_up_windows_do_not_count() -> None:
    task = sequences(twelve(), window=10)
    test = task.splits(range(4), seed=0)["test"]
    batch = every(test)
    assert not bool(batch.valid.all())
    torch.manual_seed(0)
    outputs = torch.randn(4, test.n_examples, 3)
    scores, kept = scored(task, outputs, batch), arrays_of(task.predictions(outputs, batch))
    for run in range(4):
        target, there = test.targets["target"][run].numpy(), batch.valid[run].numpy()
        predicted, truth = outputs[run].argmax(-1).numpy()[there], target[there]
        probability = outputs[run].softmax(-1).numpy()[there]
        assert scores["accuracy"][run] == pytest.approx((predicted == truth).mean())
        assert scores["f1_macro"][run] == pytest.approx(f1_score(truth, predicted, average="macro"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class that is predicted and not there
            expected = balanced_accuracy_score(truth, predicted)
        assert scores["balanced_accuracy"][run] == pytest.approx(expected)
        assert scores["loss"][run] == pytest.approx(log_loss(truth, probability, labels=range(3)), rel=1e-5)
        counts = confusion_counts(kept["target"][run : run + 1], kept["prediction"][run : run + 1], 3)[0]
        assert counts.sum() == there.sum()
        assert (kept["target"][run][there] == truth).all()
    assert bool((kept["target"] < 0).any())
    for name in ("prediction", "window", "group"):
        assert ((kept[name] == -1) == (kept["target"] < 0)).all()
    groups = np.array([task._groups[at] for at in kept["window"][0]])  # type: ignore[index]
    np.testing.assert_array_equal(kept["group"][0][kept["target"][0] >= 0], groups[kept["target"][0] >= 0])


def test_a_wrong_output_is_told() -> None:
    task = sequences(twelve(), window=10)
    with pytest.raises(ShapeError, match=r"expected logits of shape \(2, 3\) .*got \(2, 4\)"):
        task.check(torch.zeros(2, 4), Batch((), (), {}, torch.ones(2, dtype=torch.bool)))


class LastStep(nn.Module):
    """Looks at the last step alone, and at the one three before."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3))

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return (windows[:, -1] + 0.5 * windows[:, -4]) @ self.weight


@pytest.mark.parametrize("how", ["vmap", "loop"])
def test_what_is_examined(how: Any) -> None:
    task = sequences(twelve(), window=12)
    test = task.splits([0, 1], seed=0)["test"]
    torch.manual_seed(1)
    stack = Stack([LastStep() for _ in range(2)], how=how).eval()
    found = task.diagnose(stack, test)
    assert found["seen_steps"].tolist() == [list(range(1, 13))] * 2
    assert np.isnan(found["seen_accuracy"][:, :3]).all()  # windows[:, -4] is not there
    assert np.isfinite(found["seen_accuracy"][:, 3:]).all()
    batch = every(test)
    assert not bool(batch.valid.all())
    with torch.no_grad():
        outputs = stack(*batch.inputs)
    np.testing.assert_allclose(found["seen_accuracy"][:, -1], scored(task, outputs, batch)["accuracy"])
    norms = found["gradient_norm"]
    assert norms.shape == (2, 12)
    assert (norms[:, [8, 11]] > 0).all()
    assert (np.delete(norms, [8, 11], axis=1) == 0).all()
    np.testing.assert_allclose(norms[:, 8], 0.5 * norms[:, 11], rtol=1e-5)
    # By hand, for one run: the gradient of cross-entropy is (softmax - one hot) through the weight.
    logits = outputs[0]
    wrong = logits.softmax(-1) - nn.functional.one_hot(batch.targets["target"][0], 3)
    by_hand = (wrong @ stack.module(0).weight.detach().T).norm(dim=-1)[batch.valid[0]].mean()  # type: ignore[operator]
    assert norms[0, 11] == pytest.approx(float(by_hand), rel=1e-4)


class Cut(torch.autograd.Function):
    """Has no derivative."""

    @staticmethod
    def forward(ctx: Any, windows: torch.Tensor) -> torch.Tensor:
        return windows.clone()

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError("derivative is not implemented")


@pytest.mark.parametrize("cut", [Cut.apply, torch.Tensor.detach])
def test_accuracy_by_steps_seen_needs_no_derivative(cut: Any) -> None:
    class Module(LastStep):
        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            return super().forward(cut(windows))

    task = sequences(twelve(), window=12)
    test = task.splits([0, 1], seed=0)["test"]
    found = task.diagnose(Stack([Module() for _ in range(2)], how="loop").eval(), test)
    assert np.isfinite(found["seen_accuracy"][:, 3:]).all()
    if cut == Cut.apply:
        assert isinstance(found["gradient_norm"], NotImplementedError)
    else:
        assert "gradient_norm" not in found


def test_all_windows_are_examined_not_the_first_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    task = sequences(twelve(), window=12)
    test = task.splits([0, 1], seed=0)["test"]
    torch.manual_seed(1)
    stack = Stack([LastStep() for _ in range(2)]).eval()
    at_once = task.diagnose(stack, test)
    assert at_once["seen_windows"].tolist() == every(test).valid.sum(1).tolist()
    monkeypatch.setattr("tenfold.tasks.classify_sequences._LOOKED_AT", 2)  # fewer than there are, as with a large set
    for name, expected in at_once.items():
        np.testing.assert_allclose(task.diagnose(stack, test)[name], expected, rtol=1e-6)


def test_the_most_frequent_confusions_are_shown() -> None:
    its = twelve()
    task = sequences(its, window=10, standardise=True)
    batch = every(task.splits([0, 1], seed=0)["test"])
    right_logits = 4.0 * nn.functional.one_hot(batch.targets["target"], 3).float()
    logits = right_logits.clone()
    walking = batch.targets["target"] == 2
    logits[walking] = torch.tensor([0.0, 5.0, 1.0])
    at = tuple((walking & batch.valid).nonzero()[1].tolist())
    logits[at] = torch.tensor([0.0, 9.0, 1.0])  # the surest

    def kept(output: torch.Tensor) -> dict[str, np.ndarray]:
        return arrays_of(task.predictions(output, batch)) | {"repeat": np.array([0, 1])}

    config = Config(recipe=SequenceRecipe())
    shown = task.gallery([Predicted("bad", config, {}), Predicted("m", config, kept(logits))], seed=0)
    assert shown["target"].tolist() == [2]
    assert shown["prediction"].tolist() == [1]
    assert shown["model"].tolist() == [1]
    starts, _ = datasets.cut_windows(its.starts, its.lengths, 10, 0.5)
    start = int(starts[int(batch.targets["window"][at])])
    np.testing.assert_array_equal(shown["windows"], its.signals[None, start : start + 10])
    assert task.gallery([Predicted("m", config, kept(right_logits))], seed=0) == {}
    # A random split is easier: what is shown is of the split by group, however much better the other one is.
    both = [
        Predicted("m", each, kept(output))
        for each, output in zip(by("window", "group"), (right_logits, logits), strict=True)
    ]
    assert task.gallery(both, seed=0)["target"].tolist() == [2]


# -- studies ----------------------------------------------------------------------------------------------------------

STUDY: dict[str, Any] = {
    "name": "sensors",
    "repeats": 2,
    "task": {
        "kind": "classify-sequences",
        "data": "recordings",
        "window": 20,
        "layout": {"label": "activity", "group": "person", "rate_hz": 50, "columns": ["x", "y"]},
    },
    "train": {"epochs": 1, "batch_size": 10},
    "models": [
        {"name": "GRU", "module": "recurrent-classifier", "cell": "gru", "units": 4, "layers": 1, "hidden": [4]}
    ],
}


def a_folder(folder: Path) -> None:
    numbers = np.random.default_rng(0)
    (folder / "recordings").mkdir()
    for person in range(5):
        lines = ["x,y,activity,person"]
        for activity in ("rest", "run"):
            for x, y in numbers.normal(size=(100, 2)):
                lines.append(f"{x:.3f},{y:.3f},{activity},p{person}")
        (folder / "recordings" / f"{person}.csv").write_text("\n".join(lines) + "\n")


def test_a_folder_of_recordings_is_a_study(tmp_path: Path) -> None:
    a_folder(tmp_path)
    study = parse_study(STUDY, base=tmp_path)
    results = tenfold.run(study, out=tmp_path / "record", placement="loop")
    assert np.isfinite(results.scores()["GRU"]).all()
    assert results.meta("task")["labels"]["group"] == [f"p{at}" for at in range(5)]
    # The record's own description is a study file again, with what was set and no more.
    (tmp_path / "again.toml").write_text((tmp_path / "record" / "study.toml").read_text())
    again = tenfold.load_study(tmp_path / "again.toml")
    assert again.task == study.task
    assert again.to_dict()["task"]["layout"] == STUDY["task"]["layout"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labl": "activity"}, r"task.layout: .*unknown key 'labl': did you mean 'label'"),
        ({"rate_hz": "fast"}, r"task.layout: .*rate_hz: .*number"),
        ({"rate_hz": -1}, r"task.layout: .*rate_hz must be a number above 0"),
        ({"label": "x"}, r"task.layout: .*cannot be both"),
    ],
)
def test_a_wrong_layout_is_told(change: dict[str, Any], said: str) -> None:
    wrong = {**STUDY, "task": {**STUDY["task"], "layout": {**STUDY["task"]["layout"], **change}}}
    with pytest.raises(StudyError, match=said):
        parse_study(wrong)
