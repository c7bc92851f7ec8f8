"""How PyTorch computes on a CPU while a study trains."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

__all__ = ["cpu_numerics"]


@contextlib.contextmanager
def cpu_numerics(threads: int) -> Iterator[None]:
    """So many threads for PyTorch's operations; and flush denormals (numbers below 1e-38, slow on a CPU) to zero.

    Vanishing gradients and Adam's squares of small gradients get there: an RNN of 128 steps takes 2.8 times as long
    with them.
    """
    for kind in (np.float32, np.float64):
        np.finfo(kind)  # made now and kept: where such numbers are zero already, NumPy warns of it
    threads_before = torch.get_num_threads()
    flushed_before = float(torch.tensor(torch.finfo(torch.float32).tiny) / 2) == 0
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_flush_denormal(flushed_before)
