"""Worker processes: the same numbers, errors in words, nothing left behind; scripts need no __main__ guard."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from tenfold.errors import RequestError, TrainingError
from tenfold.execute import Workers
from tenfold.execute._workers import portable
from tenfold.models import ModelFactory
from tenfold.train import Epoch, Job, Outcome

MODULES = """
import torch
from torch import nn

calls = []  # of this process; an attribute that changes in forward is refused

class Plain(nn.Module):
    def __init__(self, size=8, trouble=""):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, 2))
        self.trouble = trouble

    def forward(self, pairs):
        logits = self.layers(pairs)
        calls.append(self.training)
        if self.trouble == "branch" and float(logits.detach().sum()) > 1e9:
            return -logits
        if self.trouble == "late" and self.training and len(calls) > 4:
            raise ZeroDivisionError("in the fifth call")
        return logits
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    (folder / "mine.py").write_text(MODULES)
    return folder


@pytest.fixture(scope="module")
def workers(engine: Any) -> Iterator[Workers]:
    with Workers(engine.task(), 2) as workers:
        yield workers


def job_of(engine: Any, folder: Path, trouble: str = "", **recipe: Any) -> Job:
    job = engine.job("baseline", options={}, **recipe)
    return replace(job, factory=ModelFactory("mine.py:Plain", {"size": 8, "trouble": trouble}, folder))


def outcomes_of(events: Any) -> tuple[dict[int, Outcome], dict[int, list[Epoch]]]:
    outcomes: dict[int, Outcome] = {}
    epochs: dict[int, list[Epoch]] = {}
    for number, event in events:
        if isinstance(event, Outcome):
            outcomes[number] = event
        else:
            epochs.setdefault(number, []).append(event)
    return outcomes, epochs


def test_more_jobs_than_workers_give_the_numbers_of_this_process(engine: Any, workers: Workers, folder: Path) -> None:
    job = engine.job("siamese-rnn", options={"size": 8}, n_runs=5, epochs=3, dtype="float32", auxiliary=[1, 1, 1])
    parts = [job.of_runs((run,)) for run in job.runs]
    parts[1] = engine.loop(parts[1])
    parts[2] = job_of(engine, folder, epochs=3)  # one from a file, among the others
    outcomes, epochs = outcomes_of(workers.train(parts))
    assert sorted(outcomes) == list(range(5))
    for number, part in enumerate(parts):
        its_epochs, its = engine.train(part, engine.task())
        assert [epoch.scores for epoch in epochs[number]] == [epoch.scores for epoch in its_epochs]
        for name, value in its.weights.items():
            assert value.tobytes() == outcomes[number].weights[name].tobytes()
        assert all(np.array_equal(its.scores[name], outcomes[number].scores[name]) for name in its.scores)


def test_after_a_failed_probe_the_answers_are_to_the_questions(engine: Any, workers: Workers, folder: Path) -> None:
    """Both workers fail: the second one's error must not be taken for its next answer."""
    stuck = job_of(engine, folder, "branch")
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"Plain failed in a stack: vmap: .*\.item\(\)"):
            workers.time_steps([stuck, stuck])
    assert 0 < workers.time_steps([engine.loop(stuck), engine.loop(stuck)]) < 10
    outcomes, _ = outcomes_of(workers.train([engine.loop(stuck), engine.loop(stuck)]))
    assert sorted(outcomes) == [0, 1]


def test_known_errors_keep_their_kind_and_words(engine: Any, workers: Workers, folder: Path) -> None:
    missing = replace(job_of(engine, folder), factory=ModelFactory("gone.py:Net", {}, folder))
    with pytest.raises(RequestError, match=r"module file .*gone\.py does not exist; did you mean 'mine\.py'"):
        list(workers.train([missing]))


def test_what_the_module_raises_comes_with_its_traceback(engine: Any, workers: Workers, folder: Path) -> None:
    late = engine.loop(job_of(engine, folder, "late", n_runs=1))
    with pytest.raises(
        TrainingError, match=r"(?s)^a worker process failed: ZeroDivisionError: in the fifth call\n.*mine\.py"
    ):
        list(workers.train([late]))


@pytest.mark.parametrize("when", ["idle", "training"])
def test_a_killed_worker_is_said_with_what_to_do(engine: Any, folder: Path, when: str) -> None:
    job = job_of(engine, folder, epochs=5000)
    with Workers(engine.task(), 1) as workers:
        workers.start()
        if when == "idle":
            workers._processes[0].kill()
            workers._processes[0].wait()

        def train_and_kill() -> None:
            for _ in workers.train([job]):
                workers._processes[0].kill()

        with pytest.raises(TrainingError, match=r"a worker process ended \(out of memory\?\).*run again to go on"):
            train_and_kill()


def test_workers_end_with_their_block(engine: Any) -> None:
    with Workers(engine.task(), 2) as workers:
        workers.start()
        processes = list(workers._processes)
        assert all(process.poll() is None for process in processes)
    assert all(process.returncode is not None for process in processes)


def test_a_worker_that_cannot_start_is_said_at_once(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.execute._workers._PROGRAM", "raise SystemExit(7)")
    started = time.monotonic()
    workers = Workers(engine.task(), 2)
    with (
        pytest.raises(TrainingError, match=r"a worker process did not start \(exit code 7\); use --placement"),
        workers,
    ):
        workers.start()
    assert time.monotonic() - started < 30


def test_a_long_tmpdir_is_no_matter(engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Sockets with an address stand in TMPDIR, and their path may have 107 letters."""
    (tmp_path / (110 * "x")).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / (110 * "x")))
    monkeypatch.setitem(multiprocessing.current_process()._config, "tempdir", None)  # type: ignore[attr-defined]
    monkeypatch.setattr("tenfold.execute._workers._PROGRAM", "raise SystemExit(7)")
    with pytest.raises(TrainingError, match=r"did not start \(exit code 7\)"):
        Workers(engine.task(), 1).start()


def test_no_process_to_be_had_is_said(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with pytest.raises(TrainingError, match=r"did not start \(No such file or directory\); use --placement stack"):
        Workers(engine.task(), 1).start()


# -- what can be sent to a worker -------------------------------------------------------------------------------------


def test_what_is_portable(engine: Any, mixed: type[nn.Module], folder: Path) -> None:
    class Local(nn.Module):
        pass

    here = engine.job("baseline", options={})
    assert portable(here)
    assert portable(job_of(engine, folder))
    assert portable(replace(here, factory=ModelFactory(nn.Linear, {})))
    assert not portable(replace(here, factory=ModelFactory(Local)))
    assert not portable(replace(here, factory=ModelFactory(lambda: nn.Linear(1, 1))))


def test_what_lives_in_the_main_script_is_not_portable() -> None:
    """Directly, inside a partial, or in the options."""
    program = """
import functools
from torch import nn
from tenfold.models import ModelFactory
from tenfold.train import Job
from tenfold.execute._workers import portable

class Main(nn.Module):
    pass

def job(source):
    return Job("m", source, (), 0, "vmap", 1)

print(portable(job(ModelFactory(Main))), portable(job(ModelFactory(functools.partial(Main)))),
      portable(job(ModelFactory(nn.Linear, {"kind": Main}))), portable(job(ModelFactory(functools.partial(nn.Linear)))))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False", "False", "True"]
    assert portable(Job("m", ModelFactory(functools.partial(nn.Linear)), (), 0, "vmap", 1))


SCRIPT = """
import json, pathlib, sys
from torch import nn
import tenfold
from beside import Beside

print("started")

class Here(Beside):
    pass

study = {
    "name": "script", "repeats": 2,
    "task": {"kind": "compare-pairs", "data": "digits", "size": 8, "train": 60, "test": 40},
    "train": {"epochs": 3, "batch_size": 20, "dtype": "float64", "compile": "never"},
    "models": [
        {"name": "built in", "module": "baseline"},
        {"name": "beside", "module": Beside},
        {"name": "here", "module": Here},
        {"name": "file", "module": "beside.py:Beside"},
    ],
}
out = {}
for placement in ("processes", "stack"):
    plans = {}
    def watch(event):
        if type(event).__name__ == "ModelStarted":
            plans[event.model] = [event.plan.placement, event.plan.reason]
    results = tenfold.run(
        tenfold.parse_study(study, base=pathlib.Path(__file__).parent),
        out=sys.argv[1] + placement, placement=placement, watch=watch,
    )
    scores = {}
    for metric in ("accuracy", "loss", "auc"):
        scores[metric] = {name: list(values) for name, values in results.scores(metric).items()}
    out[placement] = {"plans": plans, "scores": scores}
print(json.dumps(out))
"""
BESIDE = """
from torch import nn

class Beside(nn.Module):
    def __init__(self, size=8):
        super().__init__()
        first, last = nn.Linear(2 * size * size, 8), nn.Linear(8, 2)
        self.layers = nn.Sequential(nn.Flatten(), first, nn.Dropout(0.2), nn.BatchNorm1d(8), last)

    def forward(self, pairs):
        return self.layers(pairs)
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_script_without_a_main_guard_spreads_what_it_can(tmp_path: Path) -> None:
    """Run from elsewhere: classes beside the script travel, its own are trained here; scores are those of a stack."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "script.py").write_text(SCRIPT)
    (scripts / "beside.py").write_text(BESIDE)
    command = [sys.executable, str(scripts / "script.py"), str(tmp_path / "record-")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert found.returncode == 0, found.stderr
    first, last = found.stdout.splitlines()
    assert first == "started"  # once: no worker ran the script again
    answer = json.loads(last)
    plans = answer["processes"]["plans"]
    assert {name: plan[0] for name, plan in plans.items()} == {
        "built in": "processes",
        "beside": "processes",
        "here": "stack",
        "file": "processes",
    }
    assert "module and task in files of their own; stacked" in plans["here"][1]
    for metric, models in answer["stack"]["scores"].items():
        for name, values in models.items():
            assert answer["processes"]["scores"][metric][name] == pytest.approx(values, rel=1e-9), (metric, name)
