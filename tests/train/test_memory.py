"""Scoring takes the memory of one batch, however many examples there are; benchmarks/memory.py has the full size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "memory.py"


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
@pytest.mark.parametrize(
    ("examples", "most_mebibytes"),
    # All logits in single precision would take 1.5 and 3.7 GiB, beside the 400 MiB of an idle process.
    [(40_000, 800), pytest.param(100_000, 2048, marks=pytest.mark.slow)],
)
def test_ten_thousand_classes(examples: int, most_mebibytes: int) -> None:
    command = [sys.executable, str(SCRIPT), str(examples)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found["classes"] == 10_000
    assert found["examples"] == found["kept"] == examples
    assert found["accuracy"] == 1.0  # the layer was made so: every example was looked at
    assert found["peak_mebibytes"] < most_mebibytes
