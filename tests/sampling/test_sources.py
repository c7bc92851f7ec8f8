"""Sources: windows of signals and their lengths, stretches of tokens and what follows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.sampling import TensorSource, TokenSource, WindowSource

CPU = torch.device("cpu")


@given(starts=st.lists(st.integers(0, 40), min_size=1, max_size=12), steps=st.integers(1, 9), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=50)
def test_windows_are_cut_out_of_the_signals(starts: list[int], steps: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    signals = torch.randn(49, 3, generator=rng)
    source = WindowSource(signals, torch.tensor(starts), steps)
    index = torch.randint(len(starts), (2, 5), generator=rng)
    (windows,) = source.take(index)
    assert windows.shape == (2, 5, steps, 3)
    for run, place in np.ndindex(2, 5):
        start = starts[index[run, place]]
        assert torch.equal(windows[run, place], signals[start : start + steps])


def test_shorter_windows_come_with_their_lengths() -> None:
    signals = torch.arange(20.0)[:, None]
    lengths = torch.tensor([4, 2, 3])
    source = WindowSource(signals, torch.tensor([0, 10, 17]), 4, lengths)
    index = torch.tensor([[2, 1], [0, 0]])
    windows, found = source.take(index)
    assert found.tolist() == [[3, 2], [4, 4]]
    assert windows[0, 1, :2, 0].tolist() == [10, 11]
    assert windows[1, 0, :, 0].tolist() == [0, 1, 2, 3]
    # The last window ends with the signals: what is behind it is read from the last sample.
    assert windows[0, 0, :, 0].tolist() == [17, 18, 19, 19]


def test_windows_in_another_dtype_keep_their_whole_numbers() -> None:
    source = WindowSource(torch.randn(20, 2), torch.arange(5), 3, torch.full((5,), 2), torch.tensor([[0, 1, 0]]))
    moved = source.to(CPU, torch.float64)
    windows, lengths = moved.take(torch.zeros(1, 2, dtype=torch.int64))
    assert windows.dtype == torch.float64
    assert lengths.dtype == torch.int64
    assert moved.triads is not None
    assert moved.triads.dtype == torch.int64
    assert moved.example_bytes(torch.zeros(1, 1)) == 3 * 2 * 8


@given(
    start=st.integers(0, 30), steps=st.integers(1, 12), dtype=st.sampled_from([torch.uint8, torch.int16, torch.int64])
)
@settings(deadline=None, max_examples=40)
def test_the_target_of_a_token_is_the_next(start: int, steps: int, dtype: torch.dtype) -> None:
    tokens = torch.randint(100, (44,), generator=torch.Generator().manual_seed(0)).to(dtype)
    source = TokenSource(tokens, steps)
    index = torch.tensor([[start, 0]])
    (inputs,), targets = source.take(index), source.targets(index)
    assert inputs.shape == (1, 2, steps)
    assert inputs.dtype == targets["next"].dtype == torch.int64
    assert inputs[0, 0].tolist() == tokens[start : start + steps].tolist()
    assert targets["next"][0, 0].tolist() == tokens[start + 1 : start + steps + 1].tolist()
    assert torch.equal(inputs[..., 1:], targets["next"][..., :-1])


def test_stretches_that_follow_each_other_leave_no_token_out() -> None:
    tokens = torch.arange(13)
    source = TokenSource(tokens, 4)
    index = torch.tensor([[0, 4, 8]])
    assert source.take(index)[0].flatten().tolist() == list(range(12))
    assert source.targets(index)["next"].flatten().tolist() == list(range(1, 13))


def test_tokens_are_whole_numbers_in_every_dtype() -> None:
    source = TokenSource(torch.arange(9, dtype=torch.int16), 3).to(CPU, torch.bfloat16)
    assert source.tokens.dtype == torch.int16  # small in memory
    (inputs,) = source.take(torch.tensor([[5]]))
    assert inputs.tolist() == [[[5, 6, 7]]]
    assert inputs.dtype == torch.int64


@pytest.mark.parametrize(
    ("items", "dtype", "expected"),
    [
        (torch.tensor([[0, 51, 255]], dtype=torch.uint8), torch.float32, torch.tensor([0, 0.2, 1.0])),
        (torch.tensor([[1.5, 2.0]]), torch.float64, torch.tensor([1.5, 2.0], dtype=torch.float64)),
        (torch.tensor([[3, -1]]), torch.float32, torch.tensor([3, -1])),
    ],
)
def test_items_are_scaled_only_where_they_are_bytes(
    items: torch.Tensor, dtype: torch.dtype, expected: torch.Tensor
) -> None:
    source = TensorSource(items).to(CPU, dtype)
    (taken,) = source.take(torch.zeros(1, 1, dtype=torch.int64))
    assert taken.dtype == expected.dtype
    torch.testing.assert_close(taken[0, 0], expected)
    assert source.targets(torch.zeros(1, 1, dtype=torch.int64)) == {}


def test_an_example_may_be_several_items() -> None:
    items = torch.randn(9, 2, 3)
    index = torch.tensor([[[1, 8], [0, 0]]])
    source = TensorSource(items)
    (taken,) = source.take(index)
    assert torch.equal(taken, items[index])
    assert source.example_bytes(index) == 2 * 2 * 3 * 4
    assert TensorSource(items.to(torch.uint8), torch.float64).example_bytes(index) == 2 * 2 * 3 * 8
