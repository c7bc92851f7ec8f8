"""A tiny study from end to end: what stands on stdout, what on stderr, what in the folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result

from tenfold import Results


def test_results_go_to_stdout_and_progress_to_stderr(first: tuple[Path, Result]) -> None:
    folder, result = first
    out, err = result.stdout, result.stderr
    assert out.index("| Baseline |") < out.index("## Verdict") < out.index("## Certificate") < out.index("Report: ")
    assert out.rstrip().endswith(f"Report: {folder / 'report.html'}")
    assert (folder / "report.html").is_file()
    assert "Baseline: 2 runs, 2 epochs, placement stack (placement 'stack' was asked for)" in err
    assert "Siamese CNN: accuracy" in err
    assert "placement" not in out
    assert "| Baseline |" not in err


def test_the_table_holds_what_the_record_holds(first: tuple[Path, Result]) -> None:
    folder, result = first
    lines = [line for line in result.stdout.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    head = dict(zip(cells[0], cells[2], strict=True))
    summary = Results(folder).summaries("accuracy")["Baseline"]
    assert head["Model"] == "Baseline"
    assert head["Accuracy %"] == f"{100 * summary.mean:.2f} +- {100 * summary.std:.2f}"
    assert head["95 % interval"] == f"{100 * summary.low:.2f} to {100 * summary.high:.2f}"
    assert head["n"] == "2"
    assert head["Published"] == "60.00 +- 3.00"
    assert result.stdout.isascii()


def test_verdict_and_certificate_are_said_in_words(first: tuple[Path, Result]) -> None:
    folder, result = first
    for sentence in Results(folder).verdict_sentences():
        assert f"- {sentence}" in result.stdout
    assert "- Baseline: after" in result.stdout
    assert "steps in double precision no weight is further than" in result.stdout


@pytest.mark.usefixtures("no_figures")
def test_a_finished_record_says_so_and_shows_the_table_again(tenfold, tiny: Path, first: tuple[Path, Result]) -> None:
    folder, before = first
    for study in (folder, tiny):
        result = tenfold("run", study, "--out", folder) if study == tiny else tenfold("run", study)
        assert result.exit_code == 0
        assert "is finished: nothing to train" in result.stderr
        assert result.stdout == before.stdout


def test_a_finished_record_needs_no_data_to_be_shown(tenfold, first: tuple[Path, Result], tmp_path: Path) -> None:
    folder = tmp_path / "record"
    shutil.copytree(first[0], folder)
    (folder / "study.toml").write_text("the study's own files are gone")
    assert tenfold("run", folder).exit_code == 0


def test_another_study_in_the_same_folder_is_refused(tenfold, tiny: Path, first: tuple[Path, Result]) -> None:
    result = tenfold("run", tiny, "--out", first[0], "--repeats", "3", "--set", "models.Siamese CNN.lr=0.5")
    assert result.exit_code == 1
    assert "repeats" not in result.stderr.partition("another study")[2]  # more of them would be added
    assert "models[Siamese CNN].lr: recorded 0.001, asked for 0.5" in result.stderr


@pytest.mark.usefixtures("no_figures")
def test_an_unfinished_record_goes_on_from_its_folder_alone(tenfold, tmp_path: Path, monkeypatch) -> None:
    """The module stands beside the study file, not in the record, and the record keeps that it is quick."""
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "mine.toml").write_text(MINE)
    folder = tmp_path / "records" / "one"
    interrupted = tenfold("run", tmp_path / "mine.toml", "--quick", "--out", folder, "--placement", "stack")
    assert interrupted.exit_code == 1
    assert Results(folder).status == "unfinished"
    (tmp_path / "sound").touch()
    monkeypatch.chdir(tmp_path)
    result = tenfold("run", "records/one", "--placement", "stack")
    assert result.exit_code == 0, result.stderr
    assert "First: accuracy" in result.stderr
    assert "already in the record" in result.stderr
    assert "mine (quick): mean" in result.stdout
    results = Results(folder)
    assert (results.status, results.quick, len(results.repeats)) == ("finished", True, 1)


NETS = """
from pathlib import Path
from torch import nn

class First(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(128, 2)
    def forward(self, pairs):
        return self.layer(pairs.flatten(1))

class Second(First):
    def forward(self, pairs):
        here = Path(__file__).parent  # the record is begun when the modules have been tried
        if self.training and (here / "records").exists() and not (here / "sound").exists():
            raise RuntimeError("stopped in the middle")
        return super().forward(pairs)
"""
MINE = """
repeats = 3
name = "mine"
task = { kind = "compare-pairs", data = "digits", size = 8, train = 60, test = 20 }
quick = { repeats = 1, epochs = 1 }
train = { epochs = 2 }
models = [{ name = "First", module = "nets.py:First" }, { name = "Second", module = "nets.py:Second" }]
"""


@pytest.mark.usefixtures("no_figures")
def test_quick_is_marked_and_what_is_asked_for_wins(tenfold, tiny: Path, tmp_path: Path) -> None:
    options = ("--quick", "--epochs", "3", "--model", "Baseline", "--placement", "loop", "--seed", "5")
    result = tenfold("run", tiny, *options, "--out", tmp_path / "quick")
    assert result.exit_code == 0, result.stderr
    assert "Baseline: 1 run, 3 epochs" in result.stderr
    assert "tiny (quick): mean +- standard deviation over 1 repeat" in result.stdout
    study = Results(tmp_path / "quick").study
    assert (study["quick"], study["repeats"], study["seed"], study["task"]["train"]) == (True, 1, 5, 60)
    assert [model["name"] for model in study["models"]] == ["Baseline"]


@pytest.mark.usefixtures("no_figures")
def test_the_default_folder_is_named_after_the_study(tenfold, tiny: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--quick", "--model", "Baseline", "--placement", "loop")
    assert tenfold("run", tiny, *options).exit_code == 0
    assert Results(tmp_path / "tenfold-runs" / "tiny-quick").command == " ".join(
        ["tenfold", "run", str(tiny), *options]
    )


@pytest.mark.usefixtures("no_figures")
def test_data_are_looked_for_where_the_command_is_typed(tenfold, tiny: Path, tmp_path: Path, monkeypatch) -> None:
    import numpy as np

    numbers = np.random.default_rng(0)
    pairs = numbers.random((90, 2, 8, 8), dtype=np.float32)
    np.savez(tmp_path / "pairs.npz", pairs=pairs, targets=numbers.integers(0, 2, 90))
    monkeypatch.chdir(tmp_path)
    options = ("--set", "task.train=60", "--set", "task.test=20", "--model", "Baseline", "--placement", "loop")
    result = tenfold("run", tiny, "--data", "pairs.npz", *options, "--out", "record", "--epochs", "1")
    assert result.exit_code == 0, result.stderr
    assert (tiny.parent / Results("record").study["task"]["data"]).resolve() == tmp_path / "pairs.npz"


def test_compare_says_every_pair(tenfold, first: tuple[Path, Result]) -> None:
    result = tenfold("compare", first[0])
    assert result.exit_code == 0
    for verdict in Results(first[0]).compare():
        assert f"- {verdict.sentence}" in result.stdout
    assert "## Against published figures" in result.stdout


def test_compare_as_json_is_nothing_else(tenfold, first: tuple[Path, Result]) -> None:
    result = tenfold("compare", first[0], "--metric", "f1", "--json")
    found = json.loads(result.stdout)
    assert [(entry["first"], entry["second"], entry["metric"]) for entry in found] == [
        ("Baseline", "Siamese CNN", "F1")
    ]
    assert result.stderr == ""


def test_report_prints_its_path(tenfold, first: tuple[Path, Result]) -> None:
    (first[0] / "report.html").unlink()
    result = tenfold("report", first[0])
    assert result.stdout == f"{first[0] / 'report.html'}\n"
    assert (first[0] / "report.html").is_file()


@pytest.mark.parametrize("verb", ["compare", "report"])
def test_a_folder_without_a_record_is_an_error(tenfold, verb: str, tmp_path: Path) -> None:
    result = tenfold(verb, tmp_path / "nothing")
    assert result.exit_code == 1
    assert "nothing" in result.stderr
    assert "Traceback" not in result.stderr
