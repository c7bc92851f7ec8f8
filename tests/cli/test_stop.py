"""Stopped in the middle by a signal, by a second process, by a reader that goes away."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tenfold import Results

LONG = """\
name = "long"
repeats = 2
task = { kind = "compare-pairs", data = "digits", size = 8, train = 200, test = 50 }
train = { epochs = 2 }
models = [
    { name = "Short", module = "baseline" },
    { name = "Long", module = "siamese-cnn", epochs = 80 },
]
"""
OPTIONS = ("--placement", "loop")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "long.toml").write_text(LONG)
    return tmp_path / "long.toml"


def begin(study: Path, folder: Path) -> tuple[subprocess.Popen[str], list[str]]:
    """A real process, held in the middle of its second model; ``stop`` lets it go with a signal."""
    command = [sys.executable, "-m", "tenfold", "run", str(study), "--out", str(folder), *OPTIONS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith("Long: 2 runs"):
            process.send_signal(signal.SIGSTOP)  # held there, however slow the machine or the test
            return process, seen
    raise AssertionError(f"the study never came to its second model: {seen}")


def stop(process: subprocess.Popen[str], kind: signal.Signals) -> tuple[str, str]:
    process.send_signal(kind)
    process.send_signal(signal.SIGCONT)
    return process.communicate(timeout=60)


@pytest.mark.usefixtures("no_figures")
def test_ctrl_c_keeps_the_record_and_going_on_gives_the_same_scores(tenfold, study: Path, tmp_path: Path) -> None:
    process, seen = begin(study, tmp_path / "broken")

    second = tenfold("run", study, "--out", tmp_path / "broken", *OPTIONS)
    assert second.exit_code == 1
    assert f"is in use by another process (pid {process.pid} on " in second.stderr

    out, err = stop(process, signal.SIGINT)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    message = err.splitlines()[-1]
    assert message.startswith(f"Interrupted. The record in {tmp_path / 'broken'} is kept; go on with: tenfold run ")
    assert Results(tmp_path / "broken").status == "unfinished"
    assert any(line.startswith("Short: accuracy") for line in seen)

    went_on = tenfold(*shlex.split(message.partition(": tenfold ")[2]))
    assert went_on.exit_code == 0, went_on.stderr
    assert "Short: accuracy" in went_on.stderr
    assert "already in the record" in went_on.stderr

    assert tenfold("run", study, "--out", tmp_path / "whole", *OPTIONS).exit_code == 0
    for metric in ("accuracy", "loss"):
        broken, whole = (Results(tmp_path / name).scores(metric) for name in ("broken", "whole"))
        assert broken.keys() == whole.keys() == {"Short", "Long"}
        for label in whole:
            np.testing.assert_array_equal(broken[label], whole[label])


def test_sigterm_is_like_ctrl_c(study: Path, tmp_path: Path) -> None:
    process, _ = begin(study, tmp_path / "broken")
    _, err = stop(process, signal.SIGTERM)
    assert process.returncode == 143
    assert "Interrupted. The record in" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("kind", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_that_a_library_swallows_stops_all_the_same(tenfold, tmp_path: Path, kind: str, code: int) -> None:
    (tmp_path / "nets.py").write_text(SWALLOWS.replace("SIGINT", kind))
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "x"\ntask = { kind = "compare-pairs", data = "digits", size = 8, train = 40, test = 20 }\n'
        "train = { epochs = 200 }\n"
        'models = [{ name = "M", module = "nets.py:Swallows" }]\n'
    )
    before = signal.getsignal(signal.SIGINT)
    result = tenfold("run", study, "--out", tmp_path / "record", *OPTIONS)
    assert result.exit_code == code
    assert "M: accuracy" not in result.stderr
    assert signal.getsignal(signal.SIGINT) is before


SWALLOWS = """
import os, signal
from torch import nn

calls = []

class Swallows(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(128, 2)
    def forward(self, pairs):
        calls.append(1)
        try:
            if len(calls) == 8:
                os.kill(os.getpid(), signal.SIGINT)
        except BaseException:
            pass
        return self.layer(pairs.flatten(1))
"""


def test_interrupted_before_there_is_a_record(tenfold, study: Path, tmp_path: Path, monkeypatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tenfold.config.load_study", interrupt)
    result = tenfold("run", study, "--out", tmp_path / "record")
    assert result.exit_code == 130
    assert result.stderr == "Interrupted before anything was recorded.\n"


def test_a_reader_that_goes_away_is_no_error(first) -> None:
    """As in ``tenfold run ... | head -1``: what is left to print goes nowhere, the work is finished."""
    (first[0] / "report.html").unlink()
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "tenfold", "run", str(first[0])]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"{first[0]} is finished: nothing to train.\n"
    assert (first[0] / "report.html").is_file()
