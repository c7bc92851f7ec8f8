"""What is there, and that asking for it is quick."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
    assert "torch" in modules_after("show", "quickstart")


def test_list_loads_no_torch() -> None:
    assert not modules_after("list").intersection(HEAVY)


STUDY = """\
task = {{ kind = "compare-pairs", data = "digits" }}
train = {{ epochs = 3, {typo} }}
[[models]]
module = "siamese-cnn"
[[models]]
name = "mine"
module = "nets.py:Net"
width = 3
[models.sweep]
lr = [0.1, 0.01]
"""
NETS = """\
import torch
class Net(torch.nn.Module):
    def __init__(self, *, width: int = 1):
        super().__init__()
"""


def heavy_after_reading(folder: Path, *, typo: str, more: str = "") -> str:
    """Which heavy modules a fresh process has loaded after reading a study, and what was wrong with it."""
    (folder / "study.toml").write_text(STUDY.format(typo=typo))
    (folder / "nets.py").write_text(NETS)
    program = (
        "import sys, tenfold\n"
        f"try: study = tenfold.load_study({str(folder / 'study.toml')!r}); print(len(study.models))\n"
        f"except tenfold.TenfoldError as error: print(error)\n{more}\n"
        f"print([name for name in {(*HEAVY, 'nets')!r} if name in sys.modules])"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("typo", "said"), [("lr = 0.1", "2"), ("epoch = 1", "did you mean 'epochs'?")])
def test_reading_a_study_loads_nothing_heavy(tmp_path: Path, typo: str, said: str) -> None:
    text = heavy_after_reading(tmp_path, typo=typo)
    assert said in text
    assert text.endswith("[]\n")


def test_the_check_of_reading_can_fail(tmp_path: Path) -> None:
    assert "torch" in heavy_after_reading(tmp_path, typo="lr = 0.1", more="study.models[1].factory.build(0)")


@pytest.mark.parametrize("command", ["run", "show"])
def test_a_typo_is_said_without_torch(tmp_path: Path, command: str) -> None:
    (tmp_path / "study.toml").write_text(STUDY.format(typo="epoch = 1"))
    (tmp_path / "nets.py").write_text(NETS.replace("import torch", "raise SystemExit('torch was asked for')"))
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tenfold", command, str(tmp_path / "study.toml")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")}
    assert "pydantic" in imported
    assert not imported.intersection(HEAVY)
    assert "unknown key 'train.epoch'; did you mean 'epochs'?" in done.stderr


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


def test_show_prints_every_key_of_a_task_and_the_schema(tenfold, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    text = tenfold("show", "--keys", "match").stdout
    assert "  patience: integer from 1, in epochs; default none\n      Early stopping: " in text
    assert "  candidates: integer from 2, in images; default 5" in text
    assert "docs/study-file.md" in json.loads(tenfold("show", "--schema").stdout)["description"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_task.py").write_text(
        "from tenfold.tasks import ComparePairs, TaskSettings, TaskSpec\n"
        "class Mine(TaskSettings):\n    depth: int = 4\n"
        "class MyTask(ComparePairs):\n    spec = TaskSpec('mine', ComparePairs.spec.metrics, settings=Mine)\n"
    )
    assert "  depth: integer; default 4" in tenfold("show", "--keys", "my_task.py:MyTask").stdout


@pytest.mark.parametrize("arguments", [[], ["quickstart", "--schema"], ["--keys", "match", "--schema"]])
def test_show_shows_one_thing(tenfold, arguments: list[str]) -> None:
    result = tenfold("show", *arguments)
    assert result.exit_code == 2
    assert "expected one of STUDY, --keys TASK and --schema" in result.stderr


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
