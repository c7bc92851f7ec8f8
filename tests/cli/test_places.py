"""Where a command runs: closed or full streams, folders that are gone or shut, no home, odd names, signals."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tenfold.cli import _signals
from tenfold.cli._streams import _SafeFile, safe_streams
from tenfold.files import atomic_write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, /dev/full and redirections of Linux")

LOST = "Error: cannot write to stdout: No space left on device. Text is lost, files that were made are kept.\n"


def shell(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``tenfold ARGUMENTS`` with streams as a shell redirects them; needs no torch."""
    command = shlex.join([sys.executable, "-m", "tenfold", *arguments])
    return subprocess.run(["bash", "-c", f"{command} {redirection}"], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "redirection", "code", "err"),
    [
        (["list"], ">&-", 0, ""),
        (["list"], "<&- >&- 2>&-", 0, ""),
        (["list"], "| true; exit ${PIPESTATUS[0]}", 0, ""),
        (["list"], ">/dev/full", 1, LOST),
        (["--version"], ">/dev/full", 1, LOST),
        (["show", "none.toml"], "2>/dev/full", 2, ""),
        (["show"], "2>&-", 2, ""),
    ],
)
def test_streams_that_take_nothing(arguments: list[str], redirection: str, code: int, err: str) -> None:
    done = shell(redirection, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", err)


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """Or what is meant for the screen would be written into it: into a record, at the worst."""
    program = (
        "import os, sys\nfrom tenfold.cli._streams import safe_streams\n"
        "os.close(1); sys.stdout = sys.__stdout__ = None\n"
        f"with safe_streams(), open({str(tmp_path / 'file')!r}, 'w') as file:\n"
        "    print('lost'); os.write(1, b'lost')\n"
        "    raise SystemExit(file.fileno() < 3)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
    assert (tmp_path / "file").read_text() == ""


def test_the_first_failure_is_kept_and_nothing_more_is_written() -> None:
    with Path("/dev/full").open("wb") as full, _SafeFile(full.fileno(), "wb", closefd=False) as file:
        assert [file.write(b"abc"), file.write(b"de")] == [3, 2]
        assert file.failure is not None
        assert file.failure.errno == errno.ENOSPC


def test_a_stream_that_does_not_block_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    sent, received = b"x" * 500_000, bytearray()

    def read() -> None:
        while piece := os.read(reader, 1000):
            received.extend(piece)

    thread = threading.Thread(target=read)
    thread.start()
    with _SafeFile(writer, "wb") as file:
        at = 0
        while at < len(sent):
            at += file.write(sent[at:])
        assert file.failure is None
    thread.join()
    os.close(reader)
    assert bytes(received) == sent


def test_streams_that_were_replaced_stay(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with safe_streams():
        assert sys.stdout is before
        print("kept")
    assert capsys.readouterr().out == "kept\n"


# -- folders and names ------------------------------------------------------------------------------------------------


def test_the_current_folder_is_gone(tenfold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    os.chdir("gone")
    (tmp_path / "gone").rmdir()
    result = tenfold("list")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: the current folder cannot be used: No such file or directory.")


def test_without_a_home_folder_data_sets_have_no_place(tenfold, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no entry among the users."""
    for name in ("HOME", "XDG_CACHE_HOME", "TENFOLD_CACHE", "TENFOLD_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])
    for asked in (None, "~/sets"):
        if asked:
            monkeypatch.setenv("TENFOLD_CACHE", asked)
        result = tenfold("data", "path")
        assert result.exit_code == 2
        assert result.stderr == (
            "Error: there is no home folder to keep data sets in; set TENFOLD_CACHE to the whole path of a folder, "
            "or set HOME\n"
        )
        assert tenfold("data", "fetch", "mnist").stderr == result.stderr
        listed = tenfold("data", "list")
        assert listed.exit_code == 0, listed.stderr
        assert "built in; licence" in listed.stdout


@pytest.mark.parametrize("command", ["show", "run", "compare", "report"])
def test_a_name_that_the_system_refuses(tenfold, command: str) -> None:
    name = 300 * "x"
    result = tenfold(command, name)
    assert result.exit_code == (2 if command in ("show", "run") else 1)
    assert result.stderr.startswith("Error: cannot read ")
    assert "File name too long" in result.stderr
    assert "raceback" not in result.stderr


def test_text_with_a_name_that_is_no_text_is_written(tmp_path: Path) -> None:
    name = os.fsdecode(b"b\xf6d.toml")
    with atomic_write(tmp_path / "report.html", "w") as file:
        file.write(f"tenfold run {name} ö")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "tenfold run b\\udcf6d.toml ö"


# -- signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_command_with_its_code(
    tenfold, monkeypatch: pytest.MonkeyPatch, kind: signal.Signals, code: int
) -> None:
    monkeypatch.setattr("tenfold.config.load_study", lambda *_, **__: os.kill(os.getpid(), kind))
    before = signal.getsignal(kind)
    result = tenfold("run", "study.toml")
    assert (result.exit_code, result.stderr) == (code, "Interrupted before anything was recorded.\n")
    assert signal.getsignal(kind) is before


def test_a_second_signal_does_not_disturb_the_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """timeout sends two at once; one that comes later is meant."""
    ended: list[int] = []
    monkeypatch.setattr(_signals, "_end", ended.append)
    with _signals.stop_signals():
        with pytest.raises(_signals.Stopped):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert ended == []
        monkeypatch.setattr(_signals, "_SAME_SECONDS", 0.0)
        signal.raise_signal(signal.SIGINT)
    assert ended == [130]


def test_ended_at_once_with_a_word() -> None:
    program = "from tenfold.cli._signals import _end\ntry:\n    _end(130)\nfinally:\n    print('cleaned up')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.startswith("\nInterrupted again: ended at once. What the record holds is kept")


def test_ignored_signals_stay_ignored() -> None:
    """As nohup and background jobs of a script ask for."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _signals.stop_signals() as check:
            signal.raise_signal(signal.SIGHUP)
            check()
    finally:
        signal.signal(signal.SIGHUP, before)
