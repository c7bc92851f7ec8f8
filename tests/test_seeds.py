"""Random numbers: golden values, uniformity, independence of streams, the same numbers however they are asked for."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tenfold.seeds import derive, generator, hash_bits, key_words, uniform

# An accidental change of these changes the results of every study: see CHANGELOG before touching them.
GOLDEN_SEEDS = [
    ((0,), 6711488920161924273),
    ((0, "Baseline", 0, "weights"), 9164982406070755838),
    ((1, "Baseline", 0, "weights"), 5201644898729501102),
    ((0, "Baseline", 1, "weights"), 1203163417266036036),
    ((0, 3, "order", 7), 6943778601283913057),
    ((0, "Größe", 2, "dropout"), 704080069753808196),
]


@pytest.mark.parametrize(("address", "seed"), GOLDEN_SEEDS)
def test_derived_seeds_are_golden(address: tuple, seed: int) -> None:
    assert derive(*address) == seed


def test_hashed_words_and_uniform_numbers_are_golden() -> None:
    key, calls = torch.tensor([1, 2**62 + 12345]), torch.tensor([5, 1000])
    first, second = key_words(key, calls)
    assert first.tolist() == [-788417095, -1686209037]
    assert second.tolist() == [1908102360, 973107698]
    assert hash_bits(first, second, 4).tolist() == [
        [-172408315, -321889038, 1641261376, -1923732309],
        [829945834, 516109072, 1798055588, 72883235],
    ]
    assert (uniform(key, calls, 2) * 2**24).tolist() == [[16103746, 15519836], [3241975, 2016051]]


def test_seeds_are_the_same_in_another_process() -> None:
    """Python's own hash() of a text differs from process to process; ours must not."""
    program = "from tenfold.seeds import derive; print(derive(0, 'Baseline', 0, 'weights'))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(found.stdout) == derive(0, "Baseline", 0, "weights")


def test_addresses_do_not_run_together() -> None:
    parts = ["a", "b", "ab", "1", "11", 1, 11, 0, "0", ""]
    addresses = [pair for n in range(4) for pair in itertools.product(parts, repeat=n)]
    assert len({derive(0, *address) for address in addresses}) == len(addresses)


def test_a_numpy_integer_is_the_number_that_it_is() -> None:
    assert derive(np.int64(3), "a", np.int32(5)) == derive(3, "a", 5)
    with pytest.raises(TypeError):
        derive(0, 0.5)  # type: ignore[arg-type]


@given(st.integers(0, 2**63 - 1), st.text(max_size=5), st.integers(0, 10**6))
@settings(deadline=None, max_examples=50)
def test_seeds_fit_into_63_bits(seed: int, word: str, number: int) -> None:
    assert 0 <= derive(seed, word, number) < 2**63


def test_generators_of_one_address_agree_and_of_two_differ() -> None:
    draws = [torch.rand(5, generator=generator(0, "x", run)) for run in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@given(st.integers(0, 2**63 - 1), st.integers(0, 10**6), st.integers(1, 300), st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_uniform_numbers_depend_on_key_and_call_only(key: int, calls: int, count: int, n_runs: int) -> None:
    """Not on how many runs there are, how many numbers are drawn, or whether vmap is around."""
    alone = uniform(torch.tensor(key), torch.tensor(calls), count)
    assert alone.shape == (count,)
    assert bool(((alone >= 0) & (alone < 1)).all())
    keys = torch.tensor([derive(7, run) for run in range(n_runs - 1)] + [key])
    together = uniform(keys, torch.full((n_runs,), calls), count)
    mapped = torch.func.vmap(lambda k, c: uniform(k, c, count))(keys, torch.full((n_runs,), calls))
    longer = uniform(torch.tensor(key), torch.tensor(calls), count + 17)
    assert torch.equal(together[-1], alone)
    assert torch.equal(mapped, together)
    assert torch.equal(longer[:count], alone)


def test_every_bit_of_the_words_is_even() -> None:
    """Each of the 32 bits over 2**18 positions and several keys: no count is 5 deviations off."""
    n = 2**18
    keys = torch.tensor([derive(0, "bits", i) for i in range(4)] + [1, 2, 3])
    words = hash_bits(*key_words(keys, torch.zeros_like(keys)), n)
    for bit in range(32):
        ones = ((words >> bit) & 1).sum(1).double()
        assert float((ones - n / 2).abs().max()) < 5 * (n / 4) ** 0.5, bit


@pytest.mark.parametrize("key", [1, derive(0, "a"), 2**63 - 1])
def test_numbers_are_uniform(key: int) -> None:
    numbers = uniform(torch.tensor(key), torch.tensor(0), 200_000).double().numpy()
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    counts = np.histogram(numbers, bins=256, range=(0, 1))[0]
    assert stats.chisquare(counts).pvalue > 1e-3
    # Neighbours in pairs: 16 x 16 cells.
    cells = np.histogram2d(numbers[::2], numbers[1::2], bins=16, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(cells.ravel()).pvalue > 1e-3


def test_streams_are_not_correlated() -> None:
    """Neighbouring keys, neighbouring calls, and keys as studies derive them: 60 streams, all pairs, small shifts."""
    keys = torch.tensor([100, 101, 102, *(derive(0, "m", run, "dropout") for run in range(17))])
    n = 20_000
    streams = torch.stack([uniform(keys, torch.full_like(keys, call), n) for call in (0, 1, 2)]).flatten(0, 1).double()
    bound = 5.0 / n**0.5
    correlations = torch.corrcoef(streams) - torch.eye(len(streams))
    assert float(correlations.abs().max()) < bound
    centred = streams - streams.mean(1, keepdim=True)
    for shift in (1, 2, 3, 64):
        own = (centred[:, shift:] * centred[:, :-shift]).mean(1) / centred.var(1)
        assert float(own.abs().max()) < bound, shift


def test_consecutive_steps_of_one_position_are_uniform() -> None:
    """What one weight sees over the steps of a training: the numbers at one position, call after call."""
    calls = torch.arange(50_000)
    numbers = uniform(torch.full_like(calls, derive(0, "steps")), calls, 2).double().numpy()
    for position in range(2):
        assert stats.kstest(numbers[:, position], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(numbers[:-1, 0], numbers[1:, 0])[0, 1]) < 5 / 50_000**0.5
