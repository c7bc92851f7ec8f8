"""A class that a script or a notebook defines: written down with what it uses, so that a record can build it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEFINITIONS = """\
import math
from functools import partial

import torch
from torch import nn
from layers import WIDTH
import layers as mine

HIDDEN = (4, 8)
TABLE = torch.zeros(3)

def double(x):
    return 2 * x * math.pi

class Base(nn.Module):
    def forward(self, x):
        return self.inner(double(x))

class Net(Base):
    def __init__(self, size: int = HIDDEN[0]) -> None:
        super().__init__()
        self.inner = partial(nn.Linear, size)(WIDTH + mine.WIDTH)

class NoSource(Net):
    def forward(self, x):
        return TABLE
"""
WRITE = """
from tenfold.own_files import NotWritable, live_sources
file, files = live_sources(Net)
from pathlib import Path
for name, content in files.items():
    (Path("out") / name).write_bytes(content)
print(file, sorted(files))
try:
    live_sources(NoSource)
except NotWritable as error:
    print(error)
"""
CELL = """
import linecache, pathlib
text = pathlib.Path("cell.txt").read_text()
linecache.cache["<ipython-input-1>"] = (len(text), None, text.splitlines(True), "<ipython-input-1>")
exec(compile(text, "<ipython-input-1>", "exec"), globals())
"""
USE = "import sys; sys.path.insert(0, '.'); import torch; from Net import Net; print(Net()(torch.ones(1, 4)).shape)"


def python(folder: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("notebook", [False, True])
def test_a_class_of_the_main_program(tmp_path: Path, notebook: bool) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "layers.py").write_text("WIDTH = 3\n")
    (tmp_path / "cell.txt").write_text(DEFINITIONS)
    (tmp_path / "script.py").write_text((CELL if notebook else DEFINITIONS) + WRITE)
    said = python(tmp_path, "script.py").splitlines()
    assert said[0] == "Net.py ['Net.py', 'layers.py']"
    assert said[1] == "it uses 'TABLE', which is neither defined there nor a plain value (Tensor)"
    written = (tmp_path / "out" / "Net.py").read_text()
    assert "TABLE" not in written
    assert "live_sources" not in written  # the main program itself is not run again
    assert python(tmp_path / "out", "-c", USE) == "torch.Size([1, 6])\n"


STUDY = """
import tenfold, sys
from torch import nn

class Mine(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, 2))

    def forward(self, pairs):
        return self.layers(pairs)

study = tenfold.parse_study({
    "name": "main", "repeats": 2, "train": {"epochs": 1},
    "task": {"kind": "compare-pairs", "data": "digits", "size": 8, "train": 40, "test": 20},
    "models": [{"name": "Mine", "module": Mine}],
})
tenfold.run(study, out="record", placement="stack", progress=False)
"""
OPEN = (
    "import tenfold, numpy as np; best = tenfold.Results('moved').best()\n"
    "print(type(best.module(1)).__name__, best.predict(np.zeros((3, 2, 8, 8), np.uint8)).probability.shape)"
)


def test_a_record_hands_over_a_class_of_a_script(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text(STUDY)
    python(tmp_path, "study.py")
    python(tmp_path, "study.py")  # the same study: finished
    (tmp_path / "study.py").unlink()
    (tmp_path / "record").rename(tmp_path / "moved")
    assert python(tmp_path, "-c", OPEN).startswith("Mine (3,")
