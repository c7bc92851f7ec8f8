"""The number of cores: affinity, control groups of both versions, OMP_NUM_THREADS, and what is asked for."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

import tenfold
from tenfold.execute import Placement, _cores, cores, cores_asked
from tenfold.record import Record
from tenfold.study import _workers

STUDY = {
    "name": "cores",
    "repeats": 2,
    "task": {"kind": "compare-pairs", "data": "digits", "size": 8, "train": 40, "test": 20},
    "train": {"epochs": 1},
    "models": [{"name": "A", "module": "baseline"}],
}


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 8 cores without a limit."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(_cores, "_quota", lambda: math.inf)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("asked", "count"), [(None, 8), ("1", 1), ("3,2", 3), ("16", 8), ("", 8), ("0", 8), ("dynamic", 8), ("²", 8)]
)
def test_threads_that_are_asked_for_are_a_limit(monkeypatch: pytest.MonkeyPatch, asked: str | None, count: int) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert (cores_asked(), cores()) == (count, 8)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(("quota", "count"), [(0.5, 1), (1.5, 2), (2.0, 2), (64.0, 8)])
def test_a_container_has_a_limit(monkeypatch: pytest.MonkeyPatch, quota: float, count: int) -> None:
    monkeypatch.setattr(_cores, "_quota", lambda: quota)
    assert cores() == count


@pytest.mark.parametrize(
    ("lines", "files", "expected"),
    [
        ("0::/a/b\n", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1.5),
        ("0::/of/the/host\n", {"cpu.max": "200000 100000"}, 2.0),
        ("0::/\n", {}, math.inf),
        (
            "4:cpu,cpuacct:/job\n0::/\n",
            {"cpu/job/cpu.cfs_quota_us": "50000", "cpu/job/cpu.cfs_period_us": "100000"},
            0.5,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        ("0::/\n", {"cpu.max": "damaged"}, math.inf),
    ],
)
def test_limits_of_control_groups(tmp_path: Path, lines: str, files: dict[str, str], expected: float) -> None:
    (tmp_path / "cgroup").write_text(lines)
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert _cores._quota(tmp_path / "cgroup", tmp_path / "root") == expected


def test_no_control_groups(tmp_path: Path) -> None:
    assert _cores._quota(tmp_path / "none", tmp_path) == math.inf


@pytest.mark.parametrize(("jobs", "threads"), [(3, 3), (None, 1)])
def test_a_study_uses_so_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, jobs: int | None, threads: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    tenfold.run(tenfold.parse_study(STUDY), out=tmp_path, placement="stack", jobs=jobs)
    plan = Record.open(tmp_path, write=False).plan("A")
    assert plan is not None
    assert plan["threads"] == threads


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("placement", "jobs", "count"), [("auto", None, 0), ("processes", None, 8), ("auto", 3, 3), ("processes", 1, 0)]
)
def test_so_many_processes(
    monkeypatch: pytest.MonkeyPatch, engine, placement: Placement, jobs: int | None, count: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with _workers(engine.task(), placement, "cpu", jobs, fits=False) as workers:
        assert (0 if workers is None else workers.count) == count
