"""The examples in the docstrings of tenfold.results are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import tenfold.results


def test_docstring_examples():
    tried = 0
    for module in pkgutil.iter_modules(tenfold.results.__path__, "tenfold.results."):
        outcome = doctest.testmod(importlib.import_module(module.name))
        assert outcome.failed == 0, module.name
        tried += outcome.attempted
    assert tried > 5


def test_every_public_name_is_there_and_documented():
    for name in tenfold.results.__all__:
        assert getattr(tenfold.results, name) is not None
        if name != "PARTS":
            assert getattr(tenfold.results, name).__doc__, name
