"""Augmentation: each image by itself, its own numbers for each run and step, the geometry that the words say."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tenfold.recipe import Augmentation
from tenfold.train._augment import augment

KEYS = torch.tensor([11, 22, 33])


def images(runs: int = 3, batch: int = 4, size: int = 9) -> Tensor:
    return torch.rand(runs, batch, 2, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


ALL = Augmentation(rotate=20, shift=1.5, scale=0.2, shear=10)


def test_nothing_asked_for_is_nothing_done() -> None:
    torch.testing.assert_close(augment(images(), Augmentation(), KEYS, 0), images(), rtol=0, atol=1e-12)


@given(run=st.integers(0, 2), step=st.integers(0, 10**6), batch=st.integers(1, 5))
@settings(deadline=None, max_examples=20)
def test_a_run_alone_gets_the_same_changes(run: int, step: int, batch: int) -> None:
    pictures = images(batch=batch)
    together = augment(pictures, ALL, KEYS, step)
    assert torch.equal(augment(pictures[run : run + 1], ALL, KEYS[run : run + 1], step)[0], together[run])
    # A shorter batch: the numbers belong to places in it.
    assert torch.equal(augment(pictures[:, :1], ALL, KEYS, step)[:, 0], together[:, 0])


def test_runs_steps_examples_and_channels_differ() -> None:
    same = images(1, 1)[:, :, :1].expand(3, 4, 2, 9, 9).contiguous()
    changed = torch.stack([augment(same, ALL, KEYS, step) for step in (0, 1)]).flatten(0, 3)
    assert len(torch.unique(changed.flatten(1), dim=0)) == 2 * 3 * 4 * 2


def centre(picture: Tensor) -> tuple[float, float]:
    """Centre of mass in pixels from the middle: (right, down)."""
    size = picture.shape[-1]
    places = torch.arange(size, dtype=picture.dtype) - (size - 1) / 2
    mass = picture.sum()
    return float((picture.sum(0) * places).sum() / mass), float((picture.sum(1) * places).sum() / mass)


def spot(size: int = 21) -> Tensor:
    picture = torch.zeros(size, size, dtype=torch.float64)
    picture[size // 2 - 1 : size // 2 + 2, size // 2 - 1 : size // 2 + 2] = 1
    return picture


@pytest.mark.parametrize("shift", [0.5, 2.0, 5.0])
def test_a_shift_is_in_pixels(shift: float) -> None:
    pictures = spot().expand(3, 50, 2, 21, 21).contiguous()
    moved = augment(pictures, Augmentation(shift=shift), KEYS, 3).flatten(0, 2)
    places = torch.tensor([centre(picture) for picture in moved])
    assert float(places.abs().max()) <= shift + 1e-9
    assert float(places.abs().max()) > 0.9 * shift
    assert abs(float(places.mean())) < 0.2 * shift


def test_a_rotation_turns_and_keeps_distances() -> None:
    size = 41
    picture = torch.zeros(size, size, dtype=torch.float64)
    picture[19:22, 34:37] = 1  # 15 pixels to the right of the middle
    turned = augment(picture.expand(1, 200, 2, size, size).contiguous(), Augmentation(rotate=90), KEYS[:1], 0).flatten(
        0, 2
    )
    angles = []
    for one in turned:
        right, down = centre(one)
        assert math.hypot(right, down) == pytest.approx(15, abs=0.2)
        angles.append(math.degrees(math.atan2(down, right)))
    assert max(angles) == pytest.approx(90, abs=5)
    assert min(angles) == pytest.approx(-90, abs=5)


def test_scaling_changes_the_area_within_its_range() -> None:
    size = 41
    picture = torch.zeros(size, size, dtype=torch.float64)
    picture[10:31, 10:31] = 1
    scaled = augment(picture.expand(1, 100, 2, size, size).contiguous(), Augmentation(scale=0.2), KEYS[:1], 0).flatten(
        0, 2
    )
    areas = scaled.sum((1, 2)) / picture.sum()
    assert 0.8**2 - 0.05 < float(areas.min()) < 0.8
    assert 1.2 < float(areas.max()) < 1.2**2 + 0.05


def test_outside_is_nothing() -> None:
    moved = augment(torch.ones(1, 30, 2, 8, 8, dtype=torch.float64), Augmentation(shift=4), KEYS[:1], 0)
    assert float(moved.min()) == 0
    assert float(moved.max()) == pytest.approx(1)
