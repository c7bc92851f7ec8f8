"""kill -9 at random moments, then run again until it ends: the same numbers as a study that nobody killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tenfold import Results

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and forks")]

STUDY = {
    "name": "killed",
    "repeats": 4,
    "task": {"kind": "compare-pairs", "data": "digits", "size": 8, "train": 100, "test": 40, "validation": 0.2},
    "train": {"epochs": 15, "batch_size": 20, "compile": "never"},
    "models": [
        {"name": "dense", "module": "baseline", "schedule": "one-cycle", "sweep": {"hidden": [16, 32]}},
        {"name": "recurrent", "module": "siamese-rnn", "auxiliary": [0.8, 0.8, 1.0], "patience": 5, "lr": 0.01},
        {
            "name": "deep",
            "module": "deep-siamese-cnn",
            "sweep": {"dropout": [0.1, 0.4], "lr": [1e-3, 3e-3]},
            "schedule": "plateau",
            "plateau_epochs": 2,
        },
    ],
}
# It cannot be stacked, so that there is one way to spread it and no race decides.
BRANCHING = """
import torch
from torch import nn

class Branching(nn.Module):
    def __init__(self, size=8):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, 256), nn.BatchNorm1d(256), nn.ReLU(),
                                    nn.Dropout(0.3), nn.Linear(256, 2))

    def forward(self, pairs):
        logits = self.layers(pairs)
        return logits if float(logits.detach().sum()) > 0 else 1.1 * logits
"""
# torch is imported once; every study runs in a child of its own, which is forked before anything was computed.
SERVER = """
import json, os, sys
os.sched_setaffinity(0, [sorted(os.sched_getaffinity(0))[0]])
import tenfold, tenfold.study
print("ready", flush=True)
for line in sys.stdin:
    study, out = json.loads(line)
    child = os.fork()
    if child == 0:
        status = 3
        try:
            tenfold.run(tenfold.parse_study(study), out=out, placement="stack", checkpoint_seconds=0.0)
            status = 0
        finally:
            os._exit(status)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""
ALONE = """
import json, sys, tenfold
study, out = json.loads(sys.argv[1])
tenfold.run(tenfold.parse_study(study), out=out, placement="processes", checkpoint_seconds=0.0)
"""


class Server:
    """Studies in killable processes without the seconds of importing torch each time."""

    def __init__(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._read() == "ready"

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def run(self, study: dict, out: Path, kill_after: float | None) -> bool:
        """Whether the study came to its end; killed after so many seconds if not."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([study, str(out)]) + "\n")
        self.process.stdin.flush()
        child = int(self._read())
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)  # it is waited for by the server, so the number is still its own
        status = int(self._read())
        assert status == 0 or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL), status
        return status == 0


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.process.communicate(timeout=30)  # closes its input, which ends it


def assert_same_record(one: Path, other: Path) -> None:
    """Scores, curves, predictions and weights, bit for bit; no checkpoint left over."""
    first, second = Results(one), Results(other)
    assert first.status == second.status == "finished"
    for metric in ("accuracy", "f1", "loss", "auc", "digit_accuracy"):
        mine, theirs = first.scores(metric), second.scores(metric)
        assert list(mine) == list(theirs)
        for variant in mine:
            np.testing.assert_array_equal(mine[variant], theirs[variant], err_msg=f"{metric} of {variant}")
        for curve, its in zip(first.curves(metric), second.curves(metric), strict=True):
            assert (curve.variant, curve.part) == (its.variant, its.part)
            np.testing.assert_array_equal(curve.epochs, its.epochs)
            np.testing.assert_array_equal(curve.values, its.values)
    files = sorted(path.relative_to(one) for kind in ("weights", "predictions") for path in (one / kind).iterdir())
    assert len(files) >= 2
    for name in files:
        if name.suffix == ".npz":
            mine, theirs = np.load(one / name), np.load(other / name)
            assert all(np.array_equal(mine[key], theirs[key]) for key in mine.files), name
        else:
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert not [path for path in (one / "checkpoints").rglob("*") if path.is_file()]


def test_a_stacked_study_killed_17_times(server: Server, tmp_path: Path) -> None:
    assert server.run(STUDY, tmp_path / "whole", None)
    numbers = random.Random(17)
    kills = studies = 0
    while kills < 17:
        out = tmp_path / f"broken {studies}"
        while not server.run(STUDY, out, numbers.uniform(0.02, 0.9) if kills < 17 else None):
            kills += 1
        assert_same_record(out, tmp_path / "whole")
        studies += 1


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2 if sys.platform == "linux" else True, reason="needs two cores")
def test_a_spread_study_killed_3_times_leaves_no_worker_behind(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BRANCHING)
    study = {
        **STUDY,
        "models": [{"name": "branching", "module": f"{tmp_path / 'mine.py'}:Branching", "patience": 150}],
        "train": {"epochs": 140, "batch_size": 20},
    }
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    started: list[subprocess.Popen] = []

    def begin(out: Path) -> subprocess.Popen:
        """Start the study and come back when its first worker is there, or when it has ended."""
        process = subprocess.Popen([sys.executable, "-c", ALONE, json.dumps([study, str(out)])], env=environment)
        started.append(process)
        deadline = time.monotonic() + 60
        while process.poll() is None and not children_of(process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        return process

    try:
        whole = begin(tmp_path / "whole")
        begun = time.monotonic()
        assert whole.wait(timeout=120) == 0
        unbroken = time.monotonic() - begun
        numbers = random.Random(3)
        kills = studies = 0
        while kills < 3:
            assert studies < 20, "the workers were always gone already"
            out = tmp_path / f"broken {studies}"
            studies += 1
            while (process := begin(out)).poll() is None and kills < 3:
                time.sleep(numbers.uniform(0.1, 0.7) * unbroken)
                # A fast study may have ended its workers, or itself, by now: then it is left to end.
                if process.poll() is not None or not (workers := children_of(process.pid)):
                    break
                process.kill()
                process.wait()
                kills += 1
                ended = time.monotonic() + 15
                while any(map(alive, workers)) and time.monotonic() < ended:
                    time.sleep(0.05)
                assert not any(map(alive, workers))
            assert process.wait(timeout=120) == 0
            assert_same_record(out, tmp_path / "whole")
    finally:
        for process in started:
            process.kill()
            process.wait()
