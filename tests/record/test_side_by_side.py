"""Two records in one verdict: the numbers of one record, or a refusal that names all that differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import tenfold
from tenfold.cli import main
from tenfold.errors import RequestError
from tenfold.record import Reader, Record, RunRow

METRICS = [
    {"name": "accuracy", "label": "Accuracy", "unit": "%", "higher_is_better": True, "primary": True},
    {"name": "loss", "label": "Mean loss", "unit": "nats", "higher_is_better": False, "primary": False},
]
TASK = {"kind": "compare-pairs", "data": "digits", "train": 100}


@dataclass
class Told:
    """A record to build; by default of eight repeats."""

    task: dict[str, Any] = field(default_factory=lambda: dict(TASK))
    seed: int = 0
    repeats: int = 8
    data: str = "abc"
    resampling: list[dict[str, Any]] | None = None
    models: tuple[str, ...] = ("A",)
    split: str | None = None
    metrics: list[dict[str, Any]] = field(default_factory=lambda: METRICS)
    torch: str = "2"
    scored: str = "loss"  # the second metric

    def build(self, folder: Path) -> Reader:
        entries = [{"name": name} | ({"split": self.split} if self.split else {}) for name in self.models]
        study = {"name": "toy", "repeats": self.repeats, "seed": self.seed, "task": self.task, "models": entries}
        study |= {"data_fingerprint": self.data, "resampling": self.resampling}
        environment = {"tenfold": "1", "commit": "", "packages": {"torch": self.torch}}
        with Record.create(
            folder, study_toml="", study=study, environment=environment, metrics=self.metrics, command="c", quick=False
        ) as record:
            for model in self.models:
                values = np.random.default_rng(ord(model)).normal(0.8, 0.02, self.repeats)
                record.finish_runs(
                    model,
                    [
                        RunRow(
                            variant=0,
                            repeat=at,
                            status="finished",
                            epochs=1,
                            scores={"accuracy": v, self.scored: 1 - v},
                        )
                        for at, v in enumerate(values)
                    ],
                )
            record.finish()
        return Reader(folder)


@pytest.mark.parametrize(
    "resampling", [None, [{"protocol": {}, "overlap": 1 / 3, "one_pool": True, "reason": "as", "folds": None}]]
)
def test_two_records_give_the_verdict_of_one(tmp_path: Path, resampling: list[dict[str, Any]] | None) -> None:
    whole = Told(models=("A", "B"), resampling=resampling).build(tmp_path / "whole")
    Told(models=("A",), resampling=resampling).build(tmp_path / "one")
    Told(models=("B",), resampling=resampling).build(tmp_path / "two")
    both = tenfold.compare(tmp_path / "one", tmp_path / "two")
    assert both.verdicts == whole.compare()
    assert both.summaries == whole.summaries()
    for label, values in whole.scores().items():
        np.testing.assert_array_equal(both.scores[label], values)
    assert tenfold.compare(tmp_path / "one", tmp_path / "two", metric="loss").verdicts == whole.compare("loss")


def test_pairs_are_of_one_model_of_each_and_the_correction_is_for_them(tmp_path: Path) -> None:
    one, two = Told(models=("A", "B")).build(tmp_path / "one"), Told(models=("B", "C")).build(tmp_path / "two")
    both = tenfold.compare(one, two)
    first, second = f"B [{tmp_path / 'one'}]", f"B [{tmp_path / 'two'}]"
    assert [(v.first, v.second) for v in both.verdicts] == [("A", second), ("A", "C"), (first, second), (first, "C")]
    assert {v.n_pairs for v in both.verdicts} == {4}
    np.testing.assert_array_equal(both.scores[first], both.scores[second])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": "abd"}, "the data are others"),
        ({"seed": 1}, "seed: 0 and 1; repeats are divided by it: run one again with --seed"),
        ({"task": TASK | {"train": 50}}, "task.train: 100 and 50"),
        ({"task": TASK | {"size": 8}}, "task.size: "),
        (
            {"resampling": [{"overlap": 0.0, "one_pool": False, "reason": "", "folds": 4}]},
            "the data are divided otherwise",
        ),
        ({"split": "window"}, "the models have several divisions of the data (split: that of the task and window)"),
    ],
)
def test_what_was_not_given_the_same_data_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    Told().build(tmp_path / "one")
    Told(**change).build(tmp_path / "two")
    with pytest.raises(RequestError, match="cannot be compared") as refusal:
        tenfold.compare(tmp_path / "one", tmp_path / "two")
    assert said in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 2


def test_all_that_differs_is_said_at_once(tmp_path: Path) -> None:
    Told().build(tmp_path / "one")
    Told(seed=3, data="x").build(tmp_path / "two")
    with pytest.raises(RequestError, match=r"the data are others\n  - seed: 0 and 3"):
        tenfold.compare(tmp_path / "one", tmp_path / "two")


def test_one_record_and_a_task_of_ones_own_are_refused(tmp_path: Path) -> None:
    own = Told(task=TASK | {"kind": "mine.py:Task"})
    one, two = own.build(tmp_path / "one"), own.build(tmp_path / "two")
    with pytest.raises(RequestError, match="the task is in a file of your own"):
        tenfold.compare(one, two)
    with pytest.raises(RequestError, match="they are one record"):
        tenfold.compare(one, tmp_path / "two" / ".." / "one")


def test_the_metric_is_that_of_both(tmp_path: Path) -> None:
    other = [METRICS[0] | {"primary": False}, METRICS[1] | {"primary": True}]
    one, two = Told().build(tmp_path / "one"), Told(metrics=other, models=("B",)).build(tmp_path / "two")
    with pytest.raises(RequestError, match="the primary metric is 'accuracy' in .* and 'loss' in .*; choose one"):
        tenfold.compare(one, two)
    assert any("was chosen after training" in text for text in tenfold.compare(one, two, metric="loss").limits)
    with pytest.raises(RequestError, match="no metric 'f1'"):
        tenfold.compare(one, two, metric="f1")
    three = Told(metrics=[METRICS[0], METRICS[1] | {"name": "other"}], scored="other").build(tmp_path / "three")
    with pytest.raises(RequestError, match="no metric 'loss' in"):
        tenfold.compare(one, three, metric="loss")
    four = Told(metrics=[METRICS[0] | {"unit": ""}, METRICS[1]]).build(tmp_path / "four")
    with pytest.raises(RequestError, match="is another metric"):
        tenfold.compare(one, four)


def test_other_repeats_and_versions_are_limits_and_a_moved_data_set_is_none(tmp_path: Path) -> None:
    one = Told().build(tmp_path / "one")
    two = Told(repeats=5, torch="3", models=("B",), task=TASK | {"data": "../moved"}).build(tmp_path / "two")
    both = tenfold.compare(one, two)
    assert both.verdicts[0].n == 5
    assert "Of 8 and 5 repeats, those that both records have are compared." in both.limits
    assert any('torch: "2" and "3"' in text for text in both.limits)


def test_the_command(tmp_path: Path) -> None:
    for name, model in (("one", "A"), ("two", "B")):
        Told(models=(model,)).build(tmp_path / name)
    found = CliRunner().invoke(main, ["compare", str(tmp_path / "one"), str(tmp_path / "two")])
    assert found.exit_code == 0, found.stderr
    assert found.stdout.startswith("| Model | Accuracy % | 95 % interval | n |")
    assert tenfold.compare(tmp_path / "one", tmp_path / "two").verdicts[0].sentence in found.stdout
    listed = CliRunner().invoke(main, ["compare", "--json", str(tmp_path / "one"), str(tmp_path / "two")])
    assert '"first": "A"' in listed.stdout
    same = CliRunner().invoke(main, ["compare", str(tmp_path / "one"), str(tmp_path / "one")])
    assert (same.exit_code, same.stdout) == (2, "")
