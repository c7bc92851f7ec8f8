"""A task that is a class of the user's own: in worker processes, in a moved record, and where it cannot travel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tenfold
from tenfold.events import ModelStarted
from tenfold.tasks import ComparePairs

TASK = """
import dataclasses
import torch
from tenfold.metrics import Metric
from tenfold.sampling import Standardise
from tenfold.tasks import ComparePairs, TaskSpec
from sums import Reversed  # beside it

SPEC = dataclasses.replace(
    ComparePairs.spec,
    kind="greater",
    metrics=(*ComparePairs.spec.metrics, Metric("wrong", "Wrong", "%", higher_is_better=False)),
)

class Greater(ComparePairs):
    spec = SPEC

    def __init__(self, settings, images):
        super().__init__(settings, images)
        self.helper = Reversed(1.0)  # an object of a class beside it travels with the task

    def metrics_of(self, sums):
        found = super().metrics_of(sums)
        return found | {"wrong": self.helper(found["accuracy"])}
"""
SUMS = """
class Reversed:
    def __init__(self, whole):
        self.whole = whole

    def __call__(self, values):
        return self.whole - values
"""
NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, size=8, hidden=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, hidden), nn.Tanh(), nn.Linear(hidden, 2))

    def forward(self, pairs):
        return self.layers(pairs)
"""
needs_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores"
)


def raw(kind: Any, module: Any = "net.py:Net") -> dict[str, Any]:
    return {
        "name": "own",
        "repeats": 4,
        "task": {"kind": kind, "data": "digits", "size": 8, "train": 60, "test": 30},
        "train": {"epochs": 3, "batch_size": 20, "dtype": "float64", "compile": "never"},
        "models": [{"name": "Net", "module": module, "sweep": {"hidden": [4, 6]}}],
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    for name, text in (("greater.py", TASK), ("sums.py", SUMS), ("net.py", NET)):
        (home / name).write_text(text)
    return home


@needs_cores
def test_it_travels_to_worker_processes(home: Path) -> None:
    study = tenfold.parse_study(raw("greater.py:Greater"), base=home)
    started: list[Any] = []
    spread = tenfold.run(study, out=home / "spread", placement="processes", watch=started.append)
    (plan,) = [event.plan for event in started if isinstance(event, ModelStarted)]
    assert plan.placement == "processes"
    stacked = tenfold.run(study, out=home / "stacked", placement="stack")
    for metric in ("accuracy", "loss", "wrong"):
        for label, values in stacked.scores(metric).items():
            np.testing.assert_allclose(spread.scores(metric)[label], values, rtol=0, atol=1e-10)
    for label, values in spread.scores("wrong").items():
        np.testing.assert_allclose(values, 1 - spread.scores("accuracy")[label])
    assert spread.meta("task")["kind"] == "greater"


PREDICT = """
import sys
import numpy as np
import tenfold
winner = tenfold.Results(sys.argv[1]).winner("Net (hidden=6)")
np.save(sys.argv[3], winner.predict(np.load(sys.argv[2])).of_repeats)
"""


def test_a_moved_record_predicts_without_any_of_the_users_files(home: Path, tmp_path: Path) -> None:
    study = tenfold.parse_study(raw("greater.py:Greater"), base=home)
    results = tenfold.run(study, out=home / "record", placement="stack")
    pairs = np.random.default_rng(0).integers(0, 256, (5, 2, 8, 8), dtype=np.uint8)
    expected = results.winner("Net (hidden=6)").predict(pairs).of_repeats
    assert {path.relative_to(home / "record" / "sources").as_posix() for path in (home / "record").rglob("*.py")} == {
        "0/net.py",
        "task/greater.py",
        "task/sums.py",
    }
    shutil.move(home / "record", tmp_path / "moved")
    shutil.rmtree(home)
    np.save(tmp_path / "pairs.npy", pairs)
    command = [sys.executable, "-c", PREDICT, *(str(tmp_path / name) for name in ("moved", "pairs.npy", "out.npy"))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, rtol=0, atol=1e-6)


@needs_cores
def test_one_that_cannot_travel_is_trained_here(home: Path) -> None:
    class Local(ComparePairs):
        pass

    started: list[Any] = []
    study = tenfold.parse_study(raw(Local), base=home)
    results = tenfold.run(study, out=home / "record", placement="processes", watch=started.append)
    (plan,) = [event.plan for event in started if isinstance(event, ModelStarted)]
    assert plan.placement == "stack"
    assert plan.reason.startswith(
        "'processes' needs several cores and runs, a CPU, module and task in files of their own"
    )
    assert all(np.isfinite(values).all() for values in results.scores().values())
    assert 'kind = "test_one_that_cannot_travel_is_trained_here.<locals>.Local"' in (
        home / "record" / "study.toml"
    ).read_text(encoding="utf-8")
