"""Importing tenfold.retrieval is cheap, and its examples run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import tenfold.retrieval

HEAVY = ("torch", "faiss", "sklearn", "scipy", "PIL")
MODULES = [module.name for module in pkgutil.iter_modules(tenfold.retrieval.__path__, "tenfold.retrieval.")]


def heavy_modules_after(code: str) -> list[str]:
    """Which of HEAVY a fresh process has imported after running ``code``."""
    report = f"import sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_and_searching_is_cheap() -> None:
    every = "; ".join(f"import {name}" for name in ["tenfold.retrieval", *MODULES])
    assert heavy_modules_after(every) == []
    search = "import numpy as np, tenfold.retrieval as r; r.search(np.ones((2, 3)), np.ones((4, 3)), k=2)"
    assert heavy_modules_after(search) == []
    match = "m = r.Matcher(lambda x: x[:, 0, 0], size=2); m.add('a', np.ones((4, 4))); m.match(np.ones((4, 4)), k=1)"
    assert heavy_modules_after(f"{search}; {match}") == ["PIL"]


def test_the_test_above_can_fail() -> None:
    ranks = "import numpy as np, tenfold.retrieval as r; r.episode_ranks(np.ones((2, 3)), np.ones((4, 3)), [0, 1])"
    assert "torch" in heavy_modules_after(ranks)


def test_there_are_modules_to_look_at() -> None:
    assert len(MODULES) > 5


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    examples = [example for name in MODULES for example in finder.find(importlib.import_module(name))]
    assert sum(bool(example.examples) for example in examples) >= 9
