"""What is there, and that asking for it is quick."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tenfold as package
from tenfold.config import load_study

HEAVY = ("torch", "pandas", "matplotlib", "scipy", "sklearn", "rich")


def modules_after(*arguments: str) -> set[str]:
    """Modules in a fresh process after ``tenfold ARGUMENTS``."""
    program = (
        "import sys\nfrom tenfold.cli import main\n"
        f"main({list(arguments)!r}, standalone_mode=False)\n"
        "print('modules', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"], ["data", "path", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert not modules_after(*arguments).intersection(HEAVY)


def test_the_check_above_can_fail() -> None:
    assert "torch" in modules_after("list")


def test_commands_on_records_load_no_torch(first) -> None:
    assert "torch" not in modules_after("compare", str(first[0]))


def test_version(tenfold) -> None:
    assert tenfold("--version").stdout == f"tenfold, version {package.__version__}\n"


def test_the_command_and_the_module_are_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tenfold", "run", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: tenfold run [OPTIONS] STUDY")


def test_list_names_what_there_is(tenfold) -> None:
    from tenfold.config import built_in_studies
    from tenfold.datasets import DATASETS
    from tenfold.models import MODELS
    from tenfold.tasks import TASKS

    text = tenfold("list").stdout
    for name in [*built_in_studies(), *MODELS, *TASKS, *(dataset.name for dataset in DATASETS)]:
        assert f"\n  {name} " in text
    assert load_study("quickstart").title in text


def test_show_gives_the_study_as_resolved(tenfold, tiny, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    text = tenfold("show", tiny).stdout
    assert text.startswith("tiny: Two networks, two repeats\n")
    assert "repeats 2, seed 0" in text
    task = next(
        line for line in text.splitlines() if line.startswith("  task    kind compare-pairs, data digits, size 8,")
    )
    assert ", train 100, test 50" in task
    assert "  parameters  16,770\n" in text
    assert "  module      siamese-cnn (auxiliary_outputs true)\n" in text
    assert "  training    optimizer adam, lr 0.001, batch_size 50, epochs 2, auxiliary 0.8/0.8/1\n" in text
    assert "  published   accuracy 60 +- 3 %, f1 61.5 % over 10 repeats\n" in text


def test_show_downloads_nothing(tenfold, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TENFOLD_DATA", raising=False)
    result = tenfold("show", "mnist-pairs")
    assert result.exit_code == 0
    assert "Siamese CNN 3" in result.stdout
    assert "tenfold data fetch mnist" in result.stdout
    assert not (tmp_path / "cache").exists()


def test_data_commands(tenfold, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path))
    monkeypatch.delenv("TENFOLD_DATA", raising=False)
    assert tenfold("data", "path").stdout == f"{tmp_path}\n"
    assert "built in; licence CC BY 4.0" in tenfold("data", "list").stdout
    fetched = tenfold("data", "fetch", "digits")
    assert fetched.stdout == f"{tmp_path / 'digits.npz'}\n"
    assert f"digits: 1797 images prepared in {tmp_path / 'digits.npz'}" in fetched.stderr
    assert f"prepared in {tmp_path / 'digits.npz'}" in tenfold("data", "list").stdout
