"""run(): what is refused before anything starts, and a study that is taken up again elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tenfold
from tenfold import events
from tenfold.errors import RequestError

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, size=8):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, 8), nn.Dropout(0.3), nn.Linear(8, 2))

    def forward(self, pairs):
        logits = self.layers(pairs)
        return logits if float(logits.detach().sum()) > 0 else 1.1 * logits  # so that it cannot be stacked
"""


@pytest.fixture
def study(tmp_path: Path) -> tenfold.Study:
    (tmp_path / "net.py").write_text(NET)
    raw: dict[str, Any] = {
        "name": "mine",
        "repeats": 4,
        "task": {"kind": "compare-pairs", "data": "digits", "size": 8, "train": 60, "test": 20},
        "train": {"epochs": 8, "batch_size": 10, "compile": "never"},
        "models": [{"name": "net", "module": "net.py:Net"}],
    }
    return tenfold.parse_study(raw, base=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"repeats": 0}, r"repeats: expected an integer from 1, got 0"),
        ({"repeats": "5"}, r"repeats: expected an integer from 1, got '5'"),
        ({"repeats": True}, r"repeats: expected an integer from 1, got True"),
        ({"seed": -1}, r"seed: expected an integer from 0, got -1"),
        ({"seed": 0.5}, r"seed: expected an integer from 0, got 0.5"),
        ({"placement": "stacked"}, r"placement: no 'stacked'; did you mean 'stack'\?"),
        ({"device": "tpu"}, r"device: expected 'auto', 'cpu' or 'cuda', got 'tpu'"),
        ({"memory_gib": 0}, r"memory: expected a number of GiB above 0, got 0"),
        ({"checkpoint_seconds": -1}, r"checkpoint_seconds: expected 0 or more, got -1"),
        ({"quick": True}, r"study 'mine' has no \[quick\] part"),
    ],
)
def test_wrong_arguments_start_nothing(study: tenfold.Study, tmp_path: Path, arguments: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tenfold.run(study, out=tmp_path / "record", **arguments)
    assert not (tmp_path / "record").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one here")
@pytest.mark.parametrize(
    ("arguments", "terminal", "shown"),
    [({}, False, False), ({}, True, True), ({"progress": True}, False, True), ({"progress": False}, True, False)],
)
def test_progress_is_shown_where_it_can_be_seen_or_is_wanted(
    study: tenfold.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: dict, terminal: bool, shown: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr("tenfold.study.live", lambda: terminal)
    tenfold.run(study, out=tmp_path / "r", repeats=1, placement="loop", **arguments)
    captured = capsys.readouterr()
    assert ("net: accuracy" in captured.err) == shown
    assert captured.out == ""


def test_an_own_watcher_is_called_instead_of_the_display(
    study: tenfold.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tenfold.study.live", lambda: True)
    events: list[object] = []
    tenfold.run(study, out=tmp_path / "r", repeats=1, placement="loop", watch=events.append)
    assert events
    assert capsys.readouterr().err == ""


def test_a_gpu_that_is_not_there(study: tenfold.Study, tmp_path: Path) -> None:
    with pytest.raises(
        RequestError, match="device 'cuda' was asked for, but PyTorch finds no CUDA GPU here; use 'cpu'"
    ):
        tenfold.run(study, out=tmp_path / "record", device="cuda")


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs two cores, and reads /proc"
)
def test_begun_in_workers_and_ended_without(study: tenfold.Study, tmp_path: Path) -> None:
    """Ctrl-C in the middle ends the workers; taken up in this process alone, every number is the same."""
    whole = tenfold.run(study, out=tmp_path / "whole", placement="processes")

    def stop(event: events.Event) -> None:
        if isinstance(event, events.EpochDone) and event.epoch == 3:
            raise KeyboardInterrupt

    before = children()
    with pytest.raises(KeyboardInterrupt):
        tenfold.run(study, out=tmp_path / "broken", placement="processes", checkpoint_seconds=0, watch=stop)
    assert children() == before
    seen: list[events.Event] = []
    broken = tenfold.run(study, out=tmp_path / "broken", placement="stack", watch=seen.append)
    started = next(event for event in seen if isinstance(event, events.ModelStarted))
    assert (started.plan.placement, started.plan.threads) == (
        "processes",
        1,
    )  # the plan is kept, and with it every number
    for metric in ("accuracy", "loss", "auc"):
        np.testing.assert_array_equal(broken.scores(metric)["net"], whole.scores(metric)["net"])
    for name, value in whole.weights("net").items():
        assert value.tobytes() == broken.weights("net")[name].tobytes()


def test_the_same_seed_is_the_same_record_and_another_is_not(study: tenfold.Study, tmp_path: Path) -> None:
    found = [
        tenfold.run(study, out=tmp_path / str(at), placement="loop", seed=seed).scores("loss")["net"]
        for at, seed in enumerate((3, 3, 4))
    ]
    assert found[0].tobytes() == found[1].tobytes()
    assert not np.isclose(found[0], found[2]).any()


def test_more_repeats_keep_the_first_ones(study: tenfold.Study, tmp_path: Path) -> None:
    """Repeat r is repeat r, however many there are."""
    few, many = (
        tenfold.run(study, out=tmp_path / str(n), placement="loop", repeats=n).scores("loss")["net"] for n in (2, 4)
    )
    assert few.tobytes() == many[:2].tobytes()


# -- models whose data are divided in different ways -------------------------------------------------------------------


def divided(folder: Path, *tables: dict[str, Any], **train: Any) -> tenfold.Results:
    """A study of windows of ten groups; each table is a model's."""
    numbers = np.random.default_rng(0)
    np.savez(
        folder / "signals.npz",
        signals=numbers.normal(size=(1200, 2)).astype(np.float32),
        starts=np.arange(0, 1200, 20),
        lengths=np.full(60, 20),
        labels=np.arange(60) % 2,
        channels=np.array(["x", "y"]),
        class_names=np.array(["rest", "walk"]),
        groups=np.arange(60) // 6,
        group_names=np.array(list("abcdefghij")),
    )
    raw = {
        "name": "divided",
        "repeats": 3,
        "task": {"kind": "classify-sequences", "data": "signals.npz"},
        "train": {"epochs": 1, "batch_size": 10} | train,
        "models": [
            {"module": "recurrent-classifier", "units": 3, "layers": 1, "hidden": []} | table for table in tables
        ],
    }
    return tenfold.run(tenfold.parse_study(raw, base=folder), out=folder / "record", placement="loop")


def compared(results: tenfold.Results) -> set[frozenset[str]]:
    return {frozenset((verdict.first, verdict.second)) for verdict in results.compare()}


def test_models_with_different_fixed_splits_are_not_compared(tmp_path: Path) -> None:
    """Their tests are on other examples, whatever their labels say."""
    results = divided(
        tmp_path,
        {"name": "by group", "split": "group"},
        {"name": "by window", "split": "window"},
        {"name": "also by window", "split": "window"},
    )
    assert [variant.label for variant in results.variants] == ["by group", "by window", "also by window"]
    assert results.protocols == {
        "by group": (("split", "group"),),
        "by window": (("split", "window"),),
        "also by window": (("split", "window"),),
    }
    assert compared(results) == {frozenset(("by window", "also by window"))}
    ranking = [entry.label for entry in results.ranking()]
    assert ranking[0] == "by group"  # those of the first protocol come first
    assert " of those with split=group" in results.verdict_words().headline
    assert "by group" in tenfold.write_report(results.folder).read_text(encoding="utf-8")


def test_a_fixed_split_is_compared_with_the_same_of_a_sweep(tmp_path: Path) -> None:
    results = divided(
        tmp_path, {"name": "fixed", "split": "window"}, {"name": "swept", "sweep": {"split": ["group", "window"]}}
    )
    assert compared(results) == {
        frozenset(("fixed", "swept (split=window)")),
        frozenset(("swept (split=group)", "swept (split=window)")),
    }


@pytest.mark.parametrize("train", [{}, {"split": "window"}, {"sweep": {"split": ["window"]}}])
def test_one_split_for_all_is_no_protocol(tmp_path: Path, train: dict[str, Any]) -> None:
    results = divided(tmp_path, {"name": "A"}, {"name": "B", "units": 4}, **train)
    assert set(results.protocols.values()) == {()}
    assert len(compared(results)) == 1
    assert "of those with" not in results.verdict_words().headline


def test_auto_and_the_split_that_it_stands_for_are_one_protocol(tmp_path: Path) -> None:
    results = divided(tmp_path, {"name": "A"}, {"name": "B", "split": "group"}, {"name": "C", "split": "window"})
    assert results.protocols["A"] == results.protocols["B"] == (("split", "group"),)
    assert compared(results) == {frozenset("AB")}
