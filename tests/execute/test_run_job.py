"""A job run in this process, as its caller sees it."""

from __future__ import annotations

import sys

import pytest

from tenfold.execute import run_job


@pytest.mark.parametrize("events", [1, 2, 100])
def test_the_caller_computes_as_before_between_two_events(engine, events: int) -> None:
    running = run_job(engine.job(epochs=2), engine.task())
    for _, _ in zip(range(events), running, strict=False):
        assert sys.float_info.min / 2 > 0
    assert sys.float_info.min / 2 > 0  # while the generator lives, as in the traceback of an error of the caller
