"""Sweeps from the command line: set, shown, run, compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tenfold import Results

TABLE = """
[models.sweep]
hidden = [8, 16]
lr = [0.1, 0.01]
"""


def test_show_lists_what_is_swept(tenfold, tiny: Path, tmp_path: Path) -> None:
    text = tiny.read_text()
    before, models = text.split("[[models]]\n", 1)
    baseline, other = models.split("[[models]]\n", 1)
    path = tmp_path / "swept.toml"
    path.write_text(f"{before}[[models]]\n{baseline}{TABLE}\n[[models]]\n{other}")
    result = tenfold("show", path)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert "  sweep       hidden 8, 16; lr 0.1, 0.01" in lines
    assert "  module      baseline" in lines  # what is swept is in its own line
    assert "  training    optimizer adam, batch_size 50, epochs 2" in lines
    assert "  parameters  1,050 to 2,098" in lines
    assert sum("sweep" in line for line in lines) == 1


@pytest.mark.usefixtures("no_figures")
def test_a_sweep_of_all_models(tenfold, tiny: Path, tmp_path: Path) -> None:
    options = ("--set", "models.sweep.lr=[0.1, 0.01]", "--placement", "stack", "--epochs", "1")
    result = tenfold("run", tiny, *options, "--out", tmp_path / "record")
    assert result.exit_code == 0, result.stderr
    labels = [f"{model} (lr={rate})" for model in ("Baseline", "Siamese CNN") for rate in ("0.1", "0.01")]
    assert list(Results(tmp_path / "record").scores()) == labels
    assert "Baseline: 4 runs, 1 epochs" in result.stderr
    for model in ("Baseline", "Siamese CNN"):
        for rate in ("0.1", "0.01"):
            assert f"| {model} | lr={rate} |" in re.sub(" +", " ", result.stdout)
    compared = tenfold("compare", tmp_path / "record")
    assert compared.exit_code == 0
    assert sum(line.startswith("- ") and "(lr=0.1)" in line for line in compared.stdout.splitlines()) > 3


@pytest.mark.usefixtures("no_figures")
def test_a_sweep_of_one_model_over_its_size(tenfold, tiny: Path, tmp_path: Path) -> None:
    options = ("--set", "models.Baseline.sweep.hidden=[8, 16]", "--placement", "loop", "--epochs", "1", "--verify")
    result = tenfold("run", tiny, *options, "--out", tmp_path / "record")
    assert result.exit_code == 0, result.stderr
    results = Results(tmp_path / "record")
    assert list(results.scores()) == ["Baseline (hidden=8)", "Baseline (hidden=16)", "Siamese CNN"]
    shapes = [results.weights("Baseline", variant=index)["layers.1.weight"].shape for index in (0, 1)]
    assert shapes == [(2, 8, 128), (2, 16, 128)]
    again = tenfold("run", tiny, *options, "--out", tmp_path / "record")
    assert again.exit_code == 0
    assert "is finished: nothing to train" in again.stderr


@pytest.mark.usefixtures("no_figures")
def test_another_sweep_is_another_study(tenfold, tiny: Path, tmp_path: Path) -> None:
    options = ("--model", "Baseline", "--placement", "loop", "--epochs", "1", "--out", tmp_path / "record")
    assert tenfold("run", tiny, "--set", "models.sweep.lr=[0.1, 0.01]", *options).exit_code == 0
    result = tenfold("run", tiny, "--set", "models.sweep.lr=[0.1, 0.02]", *options)
    assert result.exit_code == 1
    assert "holds the record of another study" in result.stderr
    assert "models" in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("models.sweep.lr=0.1", "sweep.lr: expected a list of values, got 0.1; write lr = [0.1, ...]"),
        ("models.lr=[0.1, 0.01]", "lr: expected one value, got [0.1, 0.01]; to train with each, put it under"),
        ("models.sweep.lrr=[0.1, 0.2]", "unknown key 'models.sweep.lrr'; did you mean 'lr'?"),
        ("models.sweep.lr=[0.1, 'fast']", "sweep.lr: input should be a valid number, got 'fast'"),
        ("models.sweep.lr=[]", "sweep.lr: expected at least one value, got []"),
    ],
)
def test_wrong_sweeps_are_refused(tenfold, tiny: Path, tmp_path: Path, change: str, message: str) -> None:
    result = tenfold("run", tiny, "--model", "Baseline", "--set", change, "--out", tmp_path / "record")
    assert result.exit_code != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "record").exists()
