"""Splits: batches and stretches of the same examples, some of the runs, laid out, on another device or dtype."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tenfold.sampling import Batch, Split, Standardise, TensorSource, TokenSource, WindowSource

N_RUNS, N_EXAMPLES = 3, 11
KINDS = ("bytes", "pairs", "windows", "windows of one length", "tokens")


def split_of(kind: str, *, valid: bool = True) -> Split:
    """Examples of three runs, eleven each; the last two of run 1 only fill up."""
    rng = torch.Generator().manual_seed(0)
    index = torch.randint(20, (N_RUNS, N_EXAMPLES), generator=rng)
    targets = {"class": torch.randint(5, (N_RUNS, N_EXAMPLES), generator=rng)}
    there = torch.ones(N_RUNS, N_EXAMPLES, dtype=torch.bool)
    there[1, -2:] = False
    given_valid = there if valid else None
    if kind == "tokens":
        tokens = torch.randint(99, (40,), generator=rng, dtype=torch.int16)
        return Split(TokenSource(tokens, 6), index, targets, given_valid)
    if kind.startswith("windows"):
        lengths = None if kind.endswith("length") else torch.randint(1, 8, (20,), generator=rng)
        source = WindowSource(torch.randn(50, 2, generator=rng), torch.arange(20) * 2, 7, lengths)
        fitted = Standardise(torch.randn(N_RUNS, 1, 2, generator=rng), torch.rand(N_RUNS, 1, 2, generator=rng))
        return Split(source, index, targets, given_valid, fitted)
    items = torch.randint(256, (20, 1, 4, 5), generator=rng, dtype=torch.uint8)
    if kind == "pairs":
        fitted = Standardise(torch.randn(N_RUNS, 1, 1, 1, generator=rng), torch.rand(N_RUNS, 1, 1, 1, generator=rng))
        pairs = torch.randint(20, (N_RUNS, N_EXAMPLES, 2), generator=rng)
        return Split(TensorSource(items[:, 0]), pairs, targets, given_valid, fitted)
    return Split(TensorSource(items), index, targets, given_valid)


def assert_same(one: Batch, other: Batch) -> None:
    assert len(one.inputs) == len(other.inputs) > 0
    assert all(torch.equal(first, second) for first, second in zip(one.inputs, other.inputs, strict=True))
    assert all(torch.equal(first, second) for first, second in zip(one.clean, other.clean, strict=True))
    assert one.targets.keys() == other.targets.keys()
    assert all(torch.equal(value, other.targets[name]) for name, value in one.targets.items())
    assert torch.equal(one.valid, other.valid)


@pytest.fixture(params=KINDS)
def split(request: pytest.FixtureRequest) -> Split:
    return split_of(request.param)


def test_a_batch_of_consecutive_rows_is_a_stretch(split: Split) -> None:
    assert (split.n_runs, split.n_examples) == (N_RUNS, N_EXAMPLES)
    for start, stop in ((0, 11), (3, 7), (10, 11)):
        rows = torch.arange(start, stop).expand(N_RUNS, -1)
        assert_same(split.batch(rows), split.span(start, stop))


@given(kind=st.sampled_from(KINDS), laid_out=st.booleans(), seed=st.integers(0, 1000), n=st.integers(1, 15))
@settings(deadline=None, max_examples=40)
def test_a_batch_is_gathered_run_by_run(kind: str, laid_out: bool, seed: int, n: int) -> None:
    split = split_of(kind)
    rows = torch.randint(N_EXAMPLES, (N_RUNS, n), generator=torch.Generator().manual_seed(seed))
    every = split.span(0, N_EXAMPLES)
    batch = (split.laid_out(most_bytes=10**6) if laid_out else split).batch(rows)
    assert batch.clean is batch.inputs
    for run in range(N_RUNS):
        for got, whole in zip(batch.inputs, every.inputs, strict=True):
            assert torch.equal(got[run], whole[run, rows[run]])
        for name, whole in every.targets.items():
            assert torch.equal(batch.targets[name][run], whole[run, rows[run]])
        assert torch.equal(batch.valid[run], every.valid[run, rows[run]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("valid", [True, False])
def test_laid_out_gives_the_same(kind: str, valid: bool) -> None:
    split = split_of(kind, valid=valid)
    laid_out = split.laid_out(most_bytes=10**6)
    assert laid_out is not split
    # Taken from another source it would be something else: the inputs are read from where they were laid out.
    gone = replace(laid_out, source=TensorSource(torch.zeros(0)))
    rows = torch.randint(N_EXAMPLES, (N_RUNS, 6), generator=torch.Generator().manual_seed(1))
    for each in (laid_out, gone):
        assert_same(each.batch(rows), split.batch(rows))
        assert_same(each.span(2, 9), split.span(2, 9))
        assert_same(each.of_run(1).span(0, 4), split.of_run(1).span(0, 4))
        assert_same(each.of_runs([2, 0]).batch(rows[:2]), split.of_runs([2, 0]).batch(rows[:2]))


def test_what_takes_too_much_memory_is_not_laid_out(split: Split) -> None:
    inputs = split.span(0, N_EXAMPLES).inputs[0]
    n_bytes = inputs.numel() * inputs.element_size()
    assert N_RUNS * N_EXAMPLES * split.source.example_bytes(split.index) == n_bytes
    assert split.laid_out(most_bytes=n_bytes - 1) is split
    assert split.laid_out(most_bytes=n_bytes) is not split


def test_some_of_the_runs(split: Split) -> None:
    every = split.span(0, N_EXAMPLES)

    def of(runs: list[int]) -> Batch:
        inputs = tuple(value[runs] for value in every.inputs)
        return Batch(inputs, inputs, {name: value[runs] for name, value in every.targets.items()}, every.valid[runs])

    assert_same(split.of_run(1).span(0, N_EXAMPLES), of([1]))
    assert_same(split.of_runs([2, 0, 2]).span(0, N_EXAMPLES), of([2, 0, 2]))
    assert split.of_run(2).index.data_ptr() == split.index[2].data_ptr()  # nothing is copied


def test_without_valid_all_examples_count() -> None:
    split = split_of("pairs", valid=False)
    for batch in (split.span(0, 4), split.batch(torch.zeros(N_RUNS, 4, dtype=torch.int64))):
        assert batch.valid.shape == (N_RUNS, 4)
        assert batch.valid.dtype == torch.bool
        assert bool(batch.valid.all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_bytes_are_scaled_when_they_are_used(dtype: torch.dtype) -> None:
    split = split_of("bytes").to(torch.device("cpu"), dtype)
    source = split.source
    assert isinstance(source, TensorSource)
    assert source.items.dtype == torch.uint8
    for each in (split, split.laid_out(most_bytes=10**6)):
        (inputs,) = each.span(0, N_EXAMPLES).inputs
        assert inputs.dtype == dtype
        torch.testing.assert_close(inputs, source.items[split.index].to(dtype) / 255)
        assert 0 <= float(inputs.min()) < float(inputs.max()) <= 1


@pytest.mark.parametrize("kind", ["pairs", "windows", "windows of one length"])
def test_inputs_are_in_the_dtype_asked_for(kind: str) -> None:
    split = split_of(kind)
    doubled = split.to(torch.device("cpu"), torch.float64)
    first, *others = doubled.span(0, 5).inputs
    assert first.dtype == torch.float64
    assert_same(split.laid_out(most_bytes=10**6).to(torch.device("cpu"), torch.float64).span(0, 5), doubled.span(0, 5))
    torch.testing.assert_close(first, split.span(0, 5).inputs[0].double(), rtol=1e-5, atol=1e-5)
    assert all(value.dtype == torch.int64 for value in others)
    assert all(value.dtype == torch.int64 for value in doubled.span(0, 5).targets.values())


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_gpu(kind: str) -> None:
    split, device = split_of(kind), torch.device("cuda")
    rows = torch.randint(N_EXAMPLES, (N_RUNS, 6), generator=torch.Generator().manual_seed(1))
    there = split.to(device, torch.float32)
    for each in (there, there.laid_out(most_bytes=10**6)):
        for got, expected in ((each.batch(rows.to(device)), split.batch(rows)), (each.span(1, 5), split.span(1, 5))):
            values: list[tuple[Tensor, Tensor]] = list(zip(got.inputs, expected.inputs, strict=True))
            values += [(got.targets[name], expected.targets[name]) for name in expected.targets]
            for value, other in [*values, (got.valid, expected.valid)]:
                assert value.device.type == "cuda"
                torch.testing.assert_close(value.cpu(), other)


def test_evaluations_go_through_every_example_once() -> None:
    large = Split(TensorSource(torch.zeros(1, 2)), torch.zeros(1, 450, dtype=torch.int64))
    assert list(large.spans()) == [(0, 200), (200, 400), (400, 450)]
    assert list(replace(large, blocks=(300, 150)).spans()) == [(0, 300), (300, 450)]
    assert list(split_of("bytes").spans()) == [(0, 11)]
    # Sizes of the examples before they are cut short.
    assert list(replace(large, blocks=(300, 300)).spans()) == [(0, 300), (300, 450)]


def test_a_preprocessing_is_that_of_the_run() -> None:
    split = split_of("pairs")
    assert split.preprocess is not None
    raw = replace(split, preprocess=None).span(0, 4).inputs[0]
    seen = split.span(0, 4).inputs[0]
    for run in range(N_RUNS):
        expected = (raw[run] - split.preprocess.shift[run]) * split.preprocess.scale[run]
        torch.testing.assert_close(seen[run], expected)
    assert not torch.allclose((seen - raw)[0], (seen - raw)[1])
