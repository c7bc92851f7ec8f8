"""Packages that are cheap to import, and whose examples run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

HEAVY = ("torch", "faiss", "sklearn", "scipy", "pandas", "pooch", "requests", "PIL", "matplotlib")
# Package -> at least so many modules and so many examples.
PACKAGES = {"tenfold.datasets": (9, 4), "tenfold.retrieval": (6, 9)}


def modules_of(package: str) -> list[str]:
    path = importlib.import_module(package).__path__
    return [module.name for module in pkgutil.iter_modules(path, f"{package}.")]


MODULES = {package: modules_of(package) for package in PACKAGES}


def heavy_modules_after(code: str) -> list[str]:
    """Which of HEAVY a fresh process has imported after running ``code``."""
    report = f"import sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_is_cheap(package: str) -> None:
    assert heavy_modules_after("; ".join(f"import {name}" for name in [package, *MODULES[package]])) == []


def test_searching_and_matching_are_cheap() -> None:
    search = "import numpy as np, tenfold.retrieval as r; r.search(np.ones((2, 3)), np.ones((4, 3)), k=2)"
    assert heavy_modules_after(search) == []
    match = "m = r.Matcher(lambda x: x[:, 0, 0], size=2); m.add('a', np.ones((4, 4))); m.match(np.ones((4, 4)), k=1)"
    assert heavy_modules_after(f"{search}; {match}") == ["PIL"]


def test_the_tests_above_can_fail() -> None:
    assert heavy_modules_after("import tenfold.datasets, PIL") == ["PIL"]
    assert "sklearn" in heavy_modules_after("import tenfold.datasets; tenfold.datasets.load('digits')")
    ranks = "import numpy as np, tenfold.retrieval as r; r.episode_ranks(np.ones((2, 3)), np.ones((4, 3)), [0, 1])"
    assert "torch" in heavy_modules_after(ranks)


@pytest.mark.parametrize("name", [name for names in MODULES.values() for name in names])
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_there_are_modules_and_examples(package: str) -> None:
    finder = doctest.DocTestFinder()
    examples = [example for name in MODULES[package] for example in finder.find(importlib.import_module(name))]
    assert len(MODULES[package]) >= PACKAGES[package][0]
    assert sum(bool(example.examples) for example in examples) >= PACKAGES[package][1]
