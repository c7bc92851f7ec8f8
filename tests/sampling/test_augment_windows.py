"""Changed windows: turned in physical units, own numbers for each run and step, nothing behind a window's end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.transform import Rotation
from torch import Tensor

from tenfold.recipe import WindowAugmentation
from tenfold.sampling import augment_windows
from tenfold.sampling._augment_windows import _normal, _rotations

KEYS = torch.tensor([11, 22])
TRIADS = torch.tensor([[0, 1, 2], [5, 4, 3]])
SHIFT = torch.tensor([[0.0, 9.8, 1.0, 0.1, 0.2, 0.3, 5.0], [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
SCALE = torch.tensor([[1.0, 0.5, 2.0, 10.0, 20.0, 5.0, 3.0], [1.0, 3.0, 2.0, 1.0, 1.0, 4.0, 1.0]], dtype=torch.float64)


def windows(batch: int = 4) -> Tensor:
    return torch.randn(2, batch, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def changed(its: Tensor, step: int = 3, *, lengths: Tensor | None = None, **how: float) -> Tensor:
    rest: dict[str, Any] = {"shift": SHIFT, "scale": SCALE, "triads": TRIADS, "lengths": lengths}
    return augment_windows(its, WindowAugmentation(**how), KEYS, step, **rest)  # type: ignore[arg-type]


def physical(its: Tensor) -> np.ndarray:
    return (its / SCALE[:, None, None] + SHIFT[:, None, None]).numpy()


def test_nothing_asked_for_is_nothing_done() -> None:
    assert torch.equal(changed(windows()), windows())


def test_sensors_are_turned_as_scipy_turns_and_both_alike() -> None:
    before, after = physical(windows()), physical(changed(windows(), rotate=30))
    np.testing.assert_allclose(after[..., 6], before[..., 6], atol=1e-12)
    for run in range(2):
        for at in range(4):
            turns = []
            for axes in TRIADS.tolist():
                turn, residual, *_ = Rotation.align_vectors(after[run, at][:, axes], before[run, at][:, axes])
                assert residual < 1e-6
                turns.append(turn.as_matrix())
            np.testing.assert_allclose(turns[0], turns[1], atol=1e-7)
            assert np.abs(turns[0] - np.eye(3)).max() > 1e-3


def test_angles_are_normal_and_axes_have_no_direction() -> None:
    numbers = _normal(torch.arange(5), 7, 4000, torch.float64)
    assert stats.kstest(numbers.flatten().numpy(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(numbers[0, :2000].numpy(), numbers[0, 2000:].numpy())[0, 1]) < 0.07
    turns = Rotation.from_matrix(_rotations(numbers.view(-1, 4), 10).numpy())
    vectors = turns.as_rotvec()
    assert np.abs(vectors.mean(0)).max() < 0.02
    half = stats.kstest(np.degrees(turns.magnitude()), stats.halfnorm(scale=10).cdf)
    assert half.pvalue > 0.01


@pytest.mark.parametrize(
    "how", [{"rotate": 20.0}, {"scale": 0.2}, {"noise": 0.3}, {"rotate": 9.0, "scale": 0.1, "noise": 0.1}]
)
def test_a_run_has_its_own_numbers_and_the_same_alone(how: dict[str, float]) -> None:
    its = windows()
    its[1] = its[0]
    together = changed(its, **how)
    assert not torch.allclose(together[0], changed(its, step=4, **how)[0])
    alone = augment_windows(
        its[1:], WindowAugmentation(**how), KEYS[1:], 3, shift=SHIFT[1:], scale=SCALE[1:], triads=TRIADS
    )
    torch.testing.assert_close(alone[0], together[1], rtol=0, atol=1e-12)
    assert not torch.allclose(together[0, :, :, 6], together[1, :, :, 6]) or set(how) == {"rotate"}
    assert not torch.allclose(together[0, 0], together[0, 1])


def test_scale_and_noise_are_as_large_as_said() -> None:
    its = torch.ones(2, 3000, 6, 7, dtype=torch.float64)
    factors = changed(its, scale=0.2)
    assert torch.equal(factors, factors[:, :, :1, :1].expand_as(factors))
    assert float(factors[0, :, 0, 0].std()) == pytest.approx(0.2, rel=0.05)
    assert float(changed(its, noise=0.3).std()) == pytest.approx(0.3, rel=0.05)


def test_padding_stays_zero() -> None:
    lengths = torch.tensor([[6, 2, 4, 1], [3, 3, 6, 5]])
    its = windows() * (torch.arange(6) < lengths[..., None])[..., None]
    after = changed(its, lengths=lengths, rotate=20, noise=0.1, scale=0.1)
    for run in range(2):
        for at in range(4):
            length = int(lengths[run, at])
            assert not after[run, at, length:].any()
            assert (after[run, at, :length] != its[run, at, :length]).all()
