"""The examples in the docstrings of tenfold.record are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import tenfold.record


def test_docstring_examples():
    tried = 0
    for module in pkgutil.iter_modules(tenfold.record.__path__, "tenfold.record."):
        outcome = doctest.testmod(importlib.import_module(module.name))
        assert outcome.failed == 0, module.name
        tried += outcome.attempted
    assert tried > 5


def test_every_public_name_is_there_and_documented():
    for name in tenfold.record.__all__:
        assert getattr(tenfold.record, name) is not None
        if name != "EpochRow":  # a tuple type
            assert getattr(tenfold.record, name).__doc__, name
