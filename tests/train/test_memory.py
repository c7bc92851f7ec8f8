"""Scoring takes the memory of one batch, however many examples there are; benchmarks/memory.py has the full size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "memory.py"


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_ten_thousand_classes() -> None:
    examples = 20_000  # all logits in single precision would take 0.8 GiB, beside the 0.4 of an idle process
    command = [sys.executable, str(SCRIPT), str(examples)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found["classes"] == 10_000
    assert found["examples"] == found["kept"] == examples
    assert found["accuracy"] == 1.0  # the layer was made so: every example was looked at
    assert found["peak_mebibytes"] < 700


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only: elsewhere the system counts it so")
def test_memory_of_the_process_that_started_it_is_not_counted() -> None:
    held = np.ones(2**27)  # 1 GiB
    program = "import torch; from tenfold.train import peak_bytes; print(peak_bytes(torch.device('cpu')))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert int(done.stdout) < held.nbytes
