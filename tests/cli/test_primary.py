"""A primary metric chosen in the study, before training: in the record, the table, the verdict and the best model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tenfold import Results


@pytest.fixture(scope="module")
def record(tenfold, tiny: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("primary") / "record"
    result = tenfold("run", tiny, "--out", folder, "--placement", "stack", "--set", "task.metric=loss")
    assert result.exit_code == 0, result.stderr
    return folder, result


def test_it_decides_everywhere(record) -> None:
    folder, result = record
    results = Results(folder)
    assert results.primary == "loss"
    assert [metric["name"] for metric in results.metrics if metric["primary"]] == ["loss"]
    assert "| Model | Mean loss nats |" in result.stdout
    assert "has the lowest mean loss" in result.stdout
    assert ": mean loss " in result.stderr  # the progress
    assert "chosen after training" not in result.stdout
    means = {label: summary.mean for label, summary in results.summaries().items()}
    assert results.best().variant.label == min(means, key=means.__getitem__)
    assert results.study["task"]["metric"] == "loss"
    assert "lowest mean loss" in (folder / "report.html").read_text()


def test_another_metric_afterwards_is_marked(tenfold, record) -> None:
    said = tenfold("compare", record[0], "--metric", "accuracy")
    assert "'accuracy' was chosen after training: the primary metric of the study is 'loss'" in said.stdout
    for metric, after in (("accuracy", True), ("loss", False)):
        found = json.loads(tenfold("compare", record[0], "--metric", metric, "--json").stdout)
        assert [entry["chosen_after_training"] for entry in found] == [after]
    assert "chosen after training" not in tenfold("compare", record[0]).stdout


def test_another_primary_metric_is_another_study(tenfold, tiny: Path, record) -> None:
    result = tenfold("run", tiny, "--out", record[0])
    assert result.exit_code != 0
    assert 'task.metric: recorded "loss", not asked for' in result.stderr


def test_a_model_that_does_not_give_it_is_refused(tenfold, tiny: Path, tmp_path: Path) -> None:
    result = tenfold("run", tiny, "--out", tmp_path / "record", "--set", "task.metric=digit_accuracy")
    assert result.exit_code == 2
    assert (
        "models.Baseline: the task 'compare-pairs' does not give the primary metric 'digit_accuracy' for baseline; "
        "it gives accuracy, auc, f1, loss" in result.stderr
    )
    assert "models.Siamese CNN" not in result.stderr


def test_show_names_it(tenfold, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(tiny.read_text().replace("[train]", 'metric = "f1"\n\n[train]'))
    assert "compared by f1" in tenfold("show", tmp_path / "tiny.toml").stdout
