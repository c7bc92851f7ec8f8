"""Every example runs as it stands, in a folder of its own, and says what it should."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tenfold
from tenfold import datasets

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


def test_own_task(tmp_path: Path) -> None:
    here = shutil.copytree(EXAMPLES / "own_task", tmp_path / "own_task")
    assert len((here / "my_task.py").read_text().splitlines()) <= 60
    said = run("-m", "tenfold", "run", "my_study.toml", "--verify", where=here)
    for cells in ("| Plain |  |", "| Sparse | sparsity=0.001, hidden=16 |", "| Sparse | sparsity=0.01, hidden=32 |"):
        assert cells in said
    record = here / "tenfold-runs" / "own-task"
    assert (record / "figures" / "reconstruction.csv").is_file()
    results = tenfold.Results(record)
    assert {curve.metric for curve in results.curves("objective")} == {"objective"}
    for plan in results.plans.values():
        assert "steps are not recorded and replayed: the task 'autoencoder' is not one of tenfold's" in plan["reason"]
    for found in results.meta("certificate").values():
        assert found["weights_float64"] < 1e-10
    # The mean of the squares is worse than what was learned, so the target is the clean image.
    errors = results.scores()
    assert max(scores.max() for scores in errors.values()) < 0.12
    # New images in their own units, from the record alone.
    shutil.move(record, tmp_path / "moved")
    shutil.rmtree(here)
    moved = tenfold.Results(tmp_path / "moved")
    images = datasets.load("digits").images[:5]
    (output,) = moved.winner("Plain").outputs(images, repeats=0)
    assert output["image"].shape == images.shape
    assert float((output["image"] - torch.from_numpy(images) / 255).square().mean()) < 0.12


def test_the_page_shows_the_own_task_as_it_is() -> None:
    page = (EXAMPLES.parent / "docs" / "add-a-task.md").read_text(encoding="utf-8")
    for name in ("my_task.py", "my_models.py", "my_study.toml"):
        assert f"\n{(EXAMPLES / 'own_task' / name).read_text(encoding='utf-8').strip()}\n```" in page


def test_every_example_is_run_here() -> None:
    found = {path.relative_to(EXAMPLES).parts[0].removesuffix(".py") for path in EXAMPLES.rglob("*.py")}
    assert found
    assert {f"test_{name}" for name in found} <= globals().keys()


def test_an_example_that_fails_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("import tenfold\ntenfold.load_study('quikstart')\n")
    with pytest.raises(AssertionError, match="did you mean 'quickstart'"):
        run("wrong.py", where=tmp_path)
