"""Really killed writers, really full disks, two processes on one folder."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from tenfold.errors import RecordError
from tenfold.record import Record, RunRow

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and limits")

START = """
import sys, time
from pathlib import Path
import numpy as np
from tenfold.errors import RecordError
from tenfold.record import Record, RunRow
folder = Path(sys.argv[1])
metrics = [{"name": "accuracy", "label": "Accuracy", "unit": "%", "higher_is_better": True, "primary": True}]
study = {"name": "s", "repeats": 10, "models": [{"name": "M"}]}
if Record.exists(folder):
    record = Record.open(folder, write=True, study=study)
else:
    variants = {"M": [{"swept": {"number": i}} for i in range(5000)]}
    record = Record.create(
        folder, study_toml="", study=study, environment={}, metrics=metrics, command="", quick=False, variants=variants
    )
"""

# Each transaction writes ten rows that carry one number; each file one array of one number.
WRITE_FOR_EVER = """
start = 1 + max([variant for variant, _ in record.finished("M")], default=0)
print("writing", flush=True)
for i in range(start, 5000):
    record.save_epochs("M", [(0, r, i, "train", "accuracy", i) for r in range(10)])
    rows = [RunRow(variant=i, repeat=r, status="finished", epochs=i, scores={"accuracy": i}) for r in range(10)]
    record.finish_runs("M", rows)
    record.save_predictions("M", {"a": np.full(20_000, i)})
"""


def python(code: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START + textwrap.dedent(code), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if line != word:
        pytest.fail(f"expected '{word}', got '{line}': {process.communicate()[1]}")


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@posix_only
def test_killed_at_twenty_moments_only_whole_transactions_are_there(tmp_path):
    seed = 20260101
    rng = random.Random(seed)
    for moment in range(20):
        process = python(WRITE_FOR_EVER, tmp_path / "study")
        wait_for(process, "writing")
        time.sleep(rng.uniform(0, 0.08))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        # A read first: the reader, too, must see past what the killed writer left.
        with Record.open(tmp_path / "study") as reader:
            check_whole(reader, f"seed {seed}, moment {moment}")
        Record.open(tmp_path / "study", write=True).close()  # the lock is free
    assert not list((tmp_path / "study" / "predictions").glob(".*"))


def check_whole(record: Record, where: str) -> None:
    variants = [variant for variant, _ in record.finished("M")]
    assert all(variants.count(variant) == 10 for variant in set(variants)), where
    connection = sqlite3.connect(record.folder / "results.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",), where
        assert connection.execute("SELECT DISTINCT count(*) FROM scores GROUP BY variant").fetchall() in ([], [(10,)])
        assert connection.execute("SELECT DISTINCT count(*) FROM epochs GROUP BY epoch").fetchall() in ([], [(10,)])
    finally:
        connection.close()
    if variants and (record.folder / "predictions" / "m.0.npz").exists():
        array = record.read_predictions("M")["a"]
        assert array.shape == (20_000,), where
        assert len(set(array.tolist())) == 1, where


@posix_only
def test_killed_while_creating_the_folder_can_be_used_again(tmp_path):
    rng = random.Random(7)
    for moment in range(5):
        process = python('print("writing", flush=True)\nrecord.close()\n', tmp_path / str(moment))
        time.sleep(rng.uniform(0.15, 0.35))
        process.kill()
        process.communicate()
        again = python('print("writing", flush=True)', tmp_path / str(moment))
        wait_for(again, "writing")
        end(again)


def test_the_second_process_is_told_who_has_the_folder(tmp_path):
    process = python('print("writing", flush=True)\ntime.sleep(60)', tmp_path / "study")
    try:
        wait_for(process, "writing")
        with pytest.raises(RecordError) as caught:
            Record.open(tmp_path / "study", write=True)
        assert f"in use by another process (pid {process.pid} on {socket.gethostname()})" in str(caught.value)
        assert "--out DIR" in str(caught.value)
        with Record.open(tmp_path / "study") as reader:
            assert reader.status == "unfinished"
    finally:
        end(process)
    Record.open(tmp_path / "study", write=True).close()


def test_the_second_opening_in_one_process_is_told_as_well(tmp_path):
    with create(tmp_path / "study"), pytest.raises(RecordError, match=f"pid {os.getpid()}"):
        Record.open(tmp_path / "study", write=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_worker_that_outlives_its_parent_does_not_keep_the_lock(tmp_path):
    code = """
    import os
    worker = os.fork()
    if not worker:
        time.sleep(60)
        os._exit(0)
    print(worker, flush=True)
    time.sleep(60)
    """
    process = python(code, tmp_path / "study")
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    try:
        time.sleep(0.1)
        process.kill()
        process.wait()
        Record.open(tmp_path / "study", write=True).close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        process.communicate()


def test_reading_goes_on_while_another_process_writes(tmp_path):
    process = python(WRITE_FOR_EVER, tmp_path / "study")
    try:
        wait_for(process, "writing")
        counts = []
        for _ in range(10):
            with Record.open(tmp_path / "study") as reader:
                counts.append(len(reader.finished("M")))
            time.sleep(0.01)
        assert all(count % 10 == 0 for count in counts)
        assert counts == sorted(counts)
        assert process.poll() is None
    finally:
        end(process)


@posix_only
def test_a_full_disk_is_said_and_leaves_earlier_content_intact(tmp_path):
    # RLIMIT_FSIZE fails writes as a full disk does (EFBIG for ENOSPC); its signal is ignored by Python.
    code = """
    import resource
    record.finish_runs("M", [RunRow(variant=0, repeat=0, status="finished", epochs=1, scores={"accuracy": 0.5})])
    record.save_predictions("M", {"a": np.arange(10)})
    record.save_weights("M", {"a": np.arange(10)})
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    noise = np.random.default_rng(0).random(100_000)
    for call in (
        lambda: record.save_epochs("M", [(0, r, e, "train", "accuracy", e) for r in range(10) for e in range(2000)]),
        lambda: record.save_predictions("M", {"a": noise}),
        lambda: record.save_weights("M", {"a": noise}),
    ):
        try:
            call()
            print("no error")
        except RecordError as error:
            print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    record.save_epochs("M", [(0, 0, 1, "train", "accuracy", 1.0)])  # the same record goes on once there is room
    """
    process = python(code, tmp_path / "study")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    lines = out.splitlines()
    assert len(lines) == 3
    assert "results.db: the disk is full" in lines[0]
    assert "m.0.npz: the disk is full" in lines[1]
    assert "m.0.safetensors" in lines[2]
    for line in lines:
        assert "is intact; free some space and run again" in line
    with Record.open(tmp_path / "study") as record:
        assert record.finished("M") == {(0, 0)}
        np.testing.assert_array_equal(record.read_predictions("M")["a"], np.arange(10))
        np.testing.assert_array_equal(record.read_weights("M")["a"], np.arange(10))
    assert not list((tmp_path / "study" / "predictions").glob(".*"))


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux")
def test_a_really_full_disk(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mount is not allowed here")
    try:
        with create(tmp_path / "study") as record:
            record.finish_runs("M", [RunRow(variant=0, repeat=0, status="finished", epochs=1, scores={})])
            with pytest.raises(RecordError, match="disk is full"):
                record.save_predictions("M", {"a": np.random.default_rng(0).random(100_000)})
            with pytest.raises(RecordError, match="disk is full"):
                record.save_weights("M", {"a": np.zeros(100_000)})
            with pytest.raises(RecordError, match="disk is full"):
                record.save_epochs("M", [(0, r, e, "train", "accuracy", e) for r in range(10) for e in range(9000)])
            assert record.finished("M") == {(0, 0)}
            record.event("still", "writing")
        with pytest.raises(RecordError, match="disk is full"):
            create(tmp_path / "second", study_toml="#" * 1_000_000)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def create(folder: Path, study_toml: str = "") -> Record:
    metrics = [{"name": "accuracy", "label": "Accuracy", "unit": "%", "higher_is_better": True, "primary": True}]
    study = {"name": "s", "repeats": 10, "models": [{"name": "M"}]}
    return Record.create(
        folder, study_toml=study_toml, study=study, environment={}, metrics=metrics, command="", quick=False
    )
