"""Importing tenfold.data is cheap, and its examples run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import tenfold.data

HEAVY = ("torch", "sklearn", "scipy", "pandas", "pooch", "requests", "PIL", "matplotlib")
MODULES = [module.name for module in pkgutil.iter_modules(tenfold.data.__path__, "tenfold.data.")]


def heavy_modules_after(code: str) -> list[str]:
    """Which of HEAVY a fresh process has imported after running ``code``."""
    report = f"import sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_is_cheap() -> None:
    every = "; ".join(f"import {name}" for name in ["tenfold.data", *MODULES])
    assert heavy_modules_after(every) == []


def test_the_test_above_can_fail() -> None:
    assert heavy_modules_after("import tenfold.data, PIL") == ["PIL"]
    assert "sklearn" in heavy_modules_after("import tenfold.data; tenfold.data.load('digits')")


def test_there_are_modules_to_look_at() -> None:
    assert len(MODULES) > 8


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    examples = [example for name in MODULES for example in finder.find(importlib.import_module(name))]
    assert sum(bool(example.examples) for example in examples) >= 4
