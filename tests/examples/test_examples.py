"""Every example runs as it stands, in a folder of its own, and says what it should."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(*command: str | Path, where: Path) -> str:
    done = subprocess.run([sys.executable, *map(str, command)], cwd=where, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python_api(tmp_path: Path) -> None:
    said = run(EXAMPLES / "python_api.py", where=tmp_path)
    assert "Linear Siamese 2 " in said
    assert " has the highest accuracy: " in said
    assert Path(tmp_path / said.splitlines()[-1]).is_file()


def test_own_loop(tmp_path: Path) -> None:
    said = run(EXAMPLES / "own_loop.py", where=tmp_path)
    accuracy = float(said.split()[1])
    assert accuracy > 85
    assert "(0): Linear(in_features=64, out_features=32, bias=True)" in said


def test_own_data(tmp_path: Path) -> None:
    here = shutil.copytree(EXAMPLES / "own_data", tmp_path / "own_data")
    run("make_pairs.py", where=here)
    said = run("-m", "tenfold", "run", "my_study.toml", where=here)
    for cells in ("| Mine | lr=0.03 |", "| Mine | lr=0.01 |", "| Baseline |  |"):
        assert cells in said
    assert "is better than" in said
    assert (here / "tenfold-runs" / "my-study" / "report.html").is_file()


def test_every_example_is_run_here() -> None:
    found = {path.relative_to(EXAMPLES).parts[0].removesuffix(".py") for path in EXAMPLES.rglob("*.py")}
    assert found
    assert {f"test_{name}" for name in found} <= globals().keys()


def test_an_example_that_fails_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("import tenfold\ntenfold.load_study('quikstart')\n")
    with pytest.raises(AssertionError, match="did you mean 'quickstart'"):
        run("wrong.py", where=tmp_path)
