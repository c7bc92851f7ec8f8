"""The commands and the Python of the README and docs/ run as they stand, on smaller budgets where they are long."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SMALLER = ("--repeats", "2", "--epochs", "1")


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line.partition("#")[0].strip() for block in blocks("README.md", "") for line in block.splitlines()]
    return [line.removeprefix(".venv/bin/tenfold ") for line in lines if line.startswith(".venv/bin/tenfold ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study and module that docs/add-a-model.md writes down."""
    folder = tmp_path_factory.mktemp("readme")
    (module,) = [block for block in blocks("docs/add-a-model.md", "python") if "class MyNet" in block]
    (study,) = [block for block in blocks("docs/add-a-model.md", "toml") if "my_models.py:MyNet" in block]
    (folder / "my_models.py").write_text(module)
    (folder / "my_study.toml").write_text(study)
    return folder


@pytest.mark.slow
@pytest.mark.real_data
def test_commands_of_the_readme(folder: Path, prepared_data: Path) -> None:
    assert len(commands()) >= 5
    environment = os.environ | {"TENFOLD_DATA": str(prepared_data)}
    for command in commands():
        words = shlex.split(command)
        if words[0] == "run":
            words += SMALLER
        done = subprocess.run(
            [sys.executable, "-m", "tenfold", *words], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"tenfold {command}:\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/engine.md"])
def test_python_of_the_pages(page: str, tmp_path: Path) -> None:
    found = blocks(page, "python")
    assert found
    for number, block in enumerate(found):
        smaller = block.replace('load_study("quickstart")', 'load_study("quickstart", overrides=["train.epochs=1"])')
        smaller = smaller.replace("repeats=10", "repeats=2")
        program = tmp_path / f"block_{number}.py"
        program.write_text(smaller)
        done = subprocess.run([sys.executable, program.name], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{page}, block {number}:\n{done.stderr}"


def test_the_readme_has_its_figures() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not re.search(r"RESULT_TABLE|SPEED_TEXT|TODO", text)
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert link.startswith("http") or (ROOT / link).exists(), f"README links to {link}, which is not there"
    assert shutil.which("make") is None or "make run" in text
