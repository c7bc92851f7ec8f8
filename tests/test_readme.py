"""The commands and the Python of the README and docs/ run as they stand, on smaller budgets where they are long."""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.stats import Design, verdicts

ROOT = Path(__file__).resolve().parent.parent
SMALLER = ("--repeats", "2", "--epochs", "1")


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


def commands() -> list[str]:
    lines = [line.partition("#")[0].strip() for block in blocks("README.md", "") for line in block.splitlines()]
    return [line.removeprefix(".venv/bin/tenfold ") for line in lines if line.startswith(".venv/bin/tenfold ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the README's first study, and the study and module that docs/add-a-model.md writes down."""
    folder = tmp_path_factory.mktemp("readme")
    (first,) = blocks("README.md", "toml")
    (folder / "examples").mkdir()
    (folder / "examples" / "first.toml").write_text(first)
    (module,) = [block for block in blocks("docs/add-a-model.md", "python") if "class MyNet" in block]
    # The first block is a whole study; later ones show a part.
    study = next(block for block in blocks("docs/add-a-model.md", "toml") if "my_models.py:MyNet" in block)
    (folder / "my_models.py").write_text(module)
    (folder / "my_study.toml").write_text(study)
    return folder


def test_the_first_study_is_the_example() -> None:
    (first,) = blocks("README.md", "toml")
    assert first == (ROOT / "examples" / "first.toml").read_text(encoding="utf-8")
    assert sum(bool(line) for line in first.splitlines()) == 10


def first_table(text: str) -> list[list[str]]:
    """Cells of the first table, without its head."""
    rows = [line for line in text.partition("\n\n> ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def recorded_table() -> list[list[str]]:
    """What the table of the README's first study is made of, the lowest accuracy first."""
    with (ROOT / "docs" / "results" / "first" / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Metric"] == "Accuracy"]
    return [[row["Model"], f"{row['Mean']} ± {row['Deviation']}", row["95 % interval"]] for row in reversed(rows)]


def test_the_first_table_is_the_recorded_one() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(recorded_table()) == 4
    assert first_table(text) == recorded_table()
    assert first_table(text.replace("94.2", "95.2")) != recorded_table()


def test_the_first_verdict_is_that_of_the_recorded_scores() -> None:
    scores: dict[str, list[float]] = {}
    with (ROOT / "docs" / "results" / "first" / "results.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["metric"] == "accuracy":
                label = f"{row['model']} ({row['setting']})" if row["setting"] else row["model"]
                scores.setdefault(label, []).append(float(row["value"]))
    its = Design(449 / 1797, one_pool=True, beyond="other images than these 1797")  # of which 449 are drawn for testing
    found = verdicts(scores, metric="accuracy", unit="%", design=its)
    quote = re.search(r"^> .*?(?=\n\n)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert quote
    assert quote[0].replace("\n> ", " ").removeprefix("> ") in [verdict.sentence for verdict in found]


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
@pytest.mark.parametrize("page", ["README.md", "docs/engine.md", "docs/predict.md"])
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


def test_the_map_of_the_folders_is_complete() -> None:
    (map_,) = [block for block in blocks("CONTRIBUTING.md", "") if "_contract" in block]
    named = set(re.findall(r"\w+", map_))
    package = ROOT / "tenfold"
    units = {path.stem for path in package.iterdir() if (path.suffix == ".py" or (path / "__init__.py").is_file())}
    assert len(units) > 25
    assert units - named == set()
