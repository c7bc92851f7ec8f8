"""Lines and bars, from events made by hand. The display is private; only its texts are promised, on stderr."""

from __future__ import annotations

import io
import sys
import types

import numpy as np
import pytest

from tenfold import progress as _progress
from tenfold.events import EpochDone, Message, ModelDone, ModelStarted
from tenfold.execute import Plan
from tenfold.progress import live, progress
from tenfold.tasks import TASKS

ACCURACY = TASKS["compare-pairs"].spec.metrics[0]
PLAN = Plan(
    placement="processes",
    how="vmap",
    threads=1,
    groups=((0,), (1,)),
    milliseconds={"stack": 1.25, "loop": 31.7},
    reason="fastest of those timed",
)


@pytest.fixture
def seconds() -> list[float]:
    return [0.0]


def plain(seconds: list[float]) -> _progress._Plain:
    return _progress._Plain(ACCURACY, every_seconds=30, clock=lambda: seconds[0])


def test_plain_lines(capsys: pytest.CaptureFixture[str], seconds: list[float]) -> None:
    watch = plain(seconds)
    watch(ModelStarted("CNN", PLAN, 2, 10))
    for epoch in range(1, 11):
        seconds[0] += 12
        watch(EpochDone("CNN", epoch, np.array([0.80, 0.82])))
    watch(ModelDone("CNN", np.array([0.80, np.nan, 0.82]), 120.4))
    watch(Message("3 files were skipped"))
    watch(Message("diverged: repeat 1", "CNN"))
    assert capsys.readouterr().err.splitlines() == [
        "CNN: 2 runs, 10 epochs, placement processes (fastest of those timed; ms per run-step: stack 1.2, loop 31.7)",
        "CNN: epoch 3 of 10, 81.0 +- 1.4 %, about 1 min 24 s left",
        "CNN: epoch 6 of 10, 81.0 +- 1.4 %, about 48 s left",
        "CNN: epoch 9 of 10, 81.0 +- 1.4 %, about 12 s left",
        "CNN: accuracy 81.0 +- 1.4 %, in 2 min 00 s",
        "3 files were skipped",
        "CNN: diverged: repeat 1",
    ]


def test_epochs_from_a_checkpoint_do_not_count_as_fast(
    capsys: pytest.CaptureFixture[str], seconds: list[float]
) -> None:
    watch = plain(seconds)
    watch(ModelStarted("CNN", PLAN, 2, 100))
    seconds[0] += 1
    watch(EpochDone("CNN", 90, np.array([0.8, 0.8])))
    seconds[0] += 40
    watch(EpochDone("CNN", 91, np.array([0.8, 0.8])))
    assert capsys.readouterr().err.splitlines()[-1].endswith("about 6 min 00 s left")


def test_the_live_line_moves_and_leaves_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stderr = Terminal()
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    with progress(ACCURACY) as watch:
        watch(ModelStarted("Net [red]", PLAN, 2, 4))
        watch(EpochDone("Net [red]", 1, np.array([0.5, 0.6])))
        watch(EpochDone("Net [red]", 2, np.array([0.7, 0.8])))
        watch(Message("diverged: repeat 1", "Net [red]"))
        watch(ModelDone("Net [red]", np.array([0.7, 0.8]), 3.21))
        watch(ModelDone("Other", np.array([0.9]), 0.0, from_record=True))
    text = stderr.getvalue()
    assert "Net [red]: diverged: repeat 1" in text
    assert "Net [red]: accuracy 75.0 +- 7.1 %, in 3.2 s" in text
    assert "Other: accuracy 90.0 %, already in the record" in text
    assert "0/4" in text
    assert "processes" in text


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress(ACCURACY), _progress._Plain)


class Notebook:
    """Stands for IPython's displays: the text of each display, by its id."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
        self.shown: dict[str, list[str]] = {}
        module = types.ModuleType("IPython")
        module.display = types.SimpleNamespace(display=self.begin, update_display=self.update)
        module.get_ipython = lambda: shell
        monkeypatch.setitem(sys.modules, "IPython", module)

    def begin(self, data: dict[str, str], *, raw: bool, display_id: str) -> None:
        assert raw
        assert display_id not in self.shown
        self.shown[display_id] = [data["text/plain"]]

    def update(self, data: dict[str, str], *, raw: bool, display_id: str) -> None:
        assert raw
        self.shown[display_id].append(data["text/plain"])


def test_a_notebook_gets_one_output_that_is_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook(monkeypatch, types.SimpleNamespace(kernel=object()))
    assert live()
    with progress(ACCURACY) as watch:
        watch.every_seconds = 0.0
        watch(Message("3 files were skipped"))
        watch(ModelStarted("CNN", PLAN, 2, 4))
        watch(EpochDone("CNN", 2, np.array([0.7, 0.8])))
        watch(ModelDone("CNN", np.array([0.7, 0.8]), 3.21))
    (texts,) = notebook.shown.values()
    assert f"3 files were skipped\nCNN  {'█' * 12}{'░' * 12} 2/4  75.0 +- 7.1 %" in texts
    assert texts[-1] == "3 files were skipped\nCNN: accuracy 75.0 +- 7.1 %, in 3.2 s"


def test_ipython_in_a_pipe_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook(monkeypatch, types.SimpleNamespace())
    assert not live()
    assert isinstance(progress(ACCURACY), _progress._Plain)
    assert notebook.shown == {}


def test_no_stderr_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    assert not live()
    progress(ACCURACY)(Message("text for nobody"))
