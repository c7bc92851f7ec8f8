"""The command as people call it, in this process; and one finished record for all tests of a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tenfold.cli import main

Tenfold = Callable[..., Result]

TINY = """\
name = "tiny"
title = "Two networks, two repeats"
repeats = 2

[task]
kind = "compare-pairs"
data = "digits"
size = 8
train = 100
test = 50
pixels = "raw"

[train]
epochs = 2
batch_size = 50

[quick]
repeats = 1
epochs = 1
train = 60

[[models]]
name = "Baseline"
module = "baseline"
published = { accuracy = [60.0, 3.0], f1 = 61.5, repeats = 10 }

[[models]]
name = "Siamese CNN"
module = "siamese-cnn"
auxiliary_outputs = true
auxiliary = [0.8, 0.8, 1.0]
published = { accuracy = 80.1 }
"""


def call(*arguments: str | Path) -> Result:
    """``tenfold ARGUMENTS``: an unexpected exception fails the test that did not ask for it."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="tenfold")


@pytest.fixture(scope="session")
def tenfold() -> Tenfold:
    return call


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a report takes seconds; for tests that do not look at it."""
    monkeypatch.setattr("tenfold.report.write_report", lambda folder: Path(folder) / "report.html")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study file that trains in a moment."""
    path = tmp_path_factory.mktemp("study") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def first(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The folder of a finished record, and what the run that made it said."""
    folder = tmp_path_factory.mktemp("records") / "tiny"
    result = call("run", tiny, "--out", folder, "--placement", "stack", "--verify")
    assert result.exit_code == 0, result.stderr
    return folder, result
