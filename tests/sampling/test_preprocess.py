"""Preprocessing: fitted per run, kept in the record, nothing behind a window's end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tenfold.sampling import Standardise


def fitted() -> Standardise:
    rng = torch.Generator().manual_seed(0)
    return Standardise(torch.randn(3, 1, 2, generator=rng), 0.5 + torch.rand(3, 1, 2, generator=rng))


def windows() -> torch.Tensor:
    return torch.randn(3, 4, 5, 2, generator=torch.Generator().manual_seed(1))


def test_each_run_has_its_own_numbers() -> None:
    its = fitted()
    (found,) = its((windows(),))
    for run in range(3):
        expected = (windows()[run].numpy() - its.shift[run].numpy()) * its.scale[run].numpy()
        np.testing.assert_allclose(found[run].numpy(), expected, rtol=1e-6)


def test_its_own_mean_and_deviation_make_zero_and_one() -> None:
    values = windows() * 7 + 3
    mean, deviation = values.mean((1, 2)), values.std((1, 2), correction=0)
    (found,) = Standardise(mean[:, None], 1 / deviation[:, None])((values,))
    torch.testing.assert_close(found.mean((1, 2)), torch.zeros(3, 2), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.std((1, 2), correction=0), torch.ones(3, 2))


def test_behind_shorter_windows_is_zero() -> None:
    lengths = torch.tensor([[5, 1, 3, 2], [5, 5, 5, 5], [1, 1, 2, 4]])
    found, kept = fitted()((windows(), lengths))
    (full,) = fitted()((windows(),))
    assert kept is lengths
    for run, at in np.ndindex(3, 4):
        length = int(lengths[run, at])
        assert torch.equal(found[run, at, :length], full[run, at, :length])
        assert not found[run, at, length:].any()


def test_images_are_standardised_as_a_whole() -> None:
    images = torch.rand(2, 6, 3, 4, 4)
    its = Standardise(torch.tensor([0.5, 0.1]).view(2, 1, 1, 1), torch.tensor([2.0, 4.0]).view(2, 1, 1, 1))
    (found,) = its((images,))
    torch.testing.assert_close(found[1], (images[1] - 0.1) * 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_record_keeps_it(dtype: torch.dtype) -> None:
    its = fitted().to(torch.device("cpu"), dtype)
    assert its.shift.dtype == its.scale.dtype == dtype
    arrays = its.arrays()
    assert {name: (value.dtype, value.shape) for name, value in arrays.items()} == {
        "shift": (np.float32, (3, 1, 2)),
        "scale": (np.float32, (3, 1, 2)),
    }
    back = Standardise.from_arrays(arrays)
    assert torch.equal(back.shift, fitted().shift)
    assert torch.equal(back.scale, fitted().scale)


def test_some_of_the_runs() -> None:
    (every,) = fitted()((windows(),))
    for runs in ([2, 0], slice(1, 2), torch.tensor([1, 1])):
        (some,) = fitted().of_runs(runs)((windows()[runs],))
        assert torch.equal(some, every[runs])
