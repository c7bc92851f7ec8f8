"""What training sets of PyTorch for its own time, and gives back."""

from __future__ import annotations

import pytest
import torch

from tenfold.train import cpu_numerics


def below_normal() -> float:
    return float(torch.tensor(torch.finfo(torch.float32).tiny) / 2)


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor cannot take them for zero")
@pytest.mark.parametrize("before", [False, True])
def test_numbers_below_the_normal_ones_are_zero_and_come_back(before: bool) -> None:
    threads = torch.get_num_threads()
    torch.set_flush_denormal(before)
    try:
        with cpu_numerics(1):
            assert below_normal() == 0
            assert torch.get_num_threads() == 1
        assert (below_normal() == 0) == before
        assert torch.get_num_threads() == threads
    finally:
        torch.set_flush_denormal(False)
