"""A study with a module of one's own: its files are part of what the study is, and the record has them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tenfold import Results

STUDY = """\
name = "own"
repeats = 2
task = { kind = "compare-pairs", data = "digits", size = 8, train = 60, test = 40 }
train = { epochs = 1, batch_size = 30 }
[[models]]
module = "nets/net.py:Net"
name = "Net"
[[models]]
module = "logistic-regression"
"""
NET = """\
from torch import nn
from layers import WIDTH

class Net(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 2))

    def forward(self, pairs):
        return self.layers(pairs)
"""

pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.fixture
def home(tmp_path: Path, tenfold) -> Path:
    """A folder with a study, its module, and the finished record of both."""
    (tmp_path / "nets").mkdir()
    for name, text in {"study.toml": STUDY, "nets/net.py": NET, "nets/layers.py": "WIDTH = 4\n"}.items():
        (tmp_path / name).write_text(text)
    done = tenfold("run", tmp_path / "study.toml", "--out", tmp_path / "record", "--placement", "stack")
    assert done.exit_code == 0, done.stderr
    return tmp_path


def width(record: Path) -> int:
    return Results(record).weights("Net")["layers.1.weight"].shape[1]


@pytest.mark.parametrize("file", ["net.py", "layers.py"])
def test_edited_code_is_another_study(home: Path, tenfold, file: str) -> None:
    command = ("run", home / "study.toml", "--out", home / "record", "--placement", "stack")
    assert tenfold(*command).exit_code == 0  # as it was
    path = home / "nets" / file
    path.write_text(path.read_text().replace("WIDTH = 4", "WIDTH = 6") + "\n")
    refused = tenfold(*command)
    assert refused.exit_code == 1
    assert f"code of model Net: {file} has changed since" in refused.stderr
    assert "--force" in refused.stderr
    assert width(home / "record") == 4
    anew = tenfold(*command, "--force")
    assert anew.exit_code == 0, anew.stderr
    assert width(home / "record") == (6 if file == "layers.py" else 4)


def test_a_record_is_a_study_wherever_it_is(home: Path, tenfold) -> None:
    moved = home / "elsewhere" / "moved"
    shutil.move(home / "record", moved)
    shutil.rmtree(home / "nets")
    (home / "study.toml").unlink()
    shown = tenfold("run", moved)
    assert shown.exit_code == 0, shown.stderr
    assert "is finished: nothing to train" in shown.stderr
    for asked in (moved, moved / "study.toml"):
        again = tenfold("run", asked, "--out", home / f"again-{asked.name}", "--placement", "stack")
        assert again.exit_code == 0, again.stderr
        scores = Results(home / f"again-{asked.name}").scores()
        assert {name: list(own) for name, own in scores.items()} == {
            name: list(own) for name, own in Results(moved).scores().items()
        }
    longer = tenfold("run", moved, "--force", "--repeats", "1", "--placement", "stack")
    assert longer.exit_code == 0, longer.stderr
    assert width(moved) == 4
