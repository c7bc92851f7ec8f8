"""Random changes of windows of signals, with every run's own numbers: turned sensors, louder or softer, noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tenfold.recipe import WindowAugmentation
from tenfold.seeds import uniform

__all__ = ["augment_windows"]

# Keys of the kinds of numbers, apart from each other since all counters are taken by the steps.
_TURN, _SCALE, _NOISE = 0x2545F491, 0x4F6CDD1D, 0x5DEECE66D


def augment_windows(
    windows: Tensor,
    how: WindowAugmentation,
    keys: Tensor,
    step: int,
    *,
    shift: Tensor | None = None,
    scale: Tensor | None = None,
    triads: Tensor | None = None,
    lengths: Tensor | None = None,
) -> Tensor:
    """Windows changed by their own numbers each; what lies behind their lengths stays 0.

    A sensor that is worn a little turned gives, for every triad of axes, the same vectors in turned coordinates. The
    turn is that of physical units: windows are standardised, so a turn of them would mix axes of different scales.

    Args:
        windows: (runs, batch, steps, channels), standardised: (signal - shift) * scale.
        how: ranges.
        keys: int64, shape (runs,).
        step: of training; the numbers are a pure function of key and step.
        shift, scale: (runs, channels); None where windows are not standardised.
        triads: int64, (triads, 3): channels of the x, y and z axes of each sensor; all of them are turned alike. None
            where there are none.
        lengths: (runs, batch); None where all windows are full.
    Source: rotation, scaling and jittering of Um et al. 2017, with small angles in place of any.
    """
    runs, batch, steps, _ = windows.shape
    changed = windows
    if how.rotate and triads is not None and len(triads):
        scale = torch.ones_like(windows[:, 0, 0]) if scale is None else scale
        shift = torch.zeros_like(windows[:, 0, 0]) if shift is None else shift
        turn = _rotations(_normal(keys ^ _TURN, step, batch * 4, windows.dtype).view(runs, batch, 4), how.rotate)
        changed = changed.clone()
        for axes in triads:
            size, middle = 1 / scale[:, axes], shift[:, axes]  # (runs, 3)
            physical = windows[..., axes] * size[:, None, None] + middle[:, None, None]
            turned = torch.einsum("rbij,rbtj->rbti", turn, physical)
            changed[..., axes] = (turned - middle[:, None, None]) * scale[:, None, None, axes]
    if how.scale:
        louder = 1 + how.scale * _normal(keys ^ _SCALE, step, batch, windows.dtype).view(runs, batch, 1, 1)
        changed = changed * louder
    if how.noise:
        noise = _normal(keys ^ _NOISE, step, changed[0].numel(), windows.dtype).view(changed.shape)
        changed = changed + how.noise * noise
    if lengths is not None and changed is not windows:
        changed = changed * (torch.arange(steps, device=windows.device) < lengths[..., None])[..., None]
    return changed


def _normal(keys: Tensor, step: int, count: int, dtype: torch.dtype) -> Tensor:
    """Standard normal numbers, (runs, count), two of each pair of uniform ones (Box and Muller 1958)."""
    pairs = -(-count // 2)
    first, second = uniform(keys, torch.full_like(keys, step), 2 * pairs).double().view(-1, 2, pairs).unbind(1)
    radius, angle = (-2 * torch.log1p(-first)).sqrt(), 2 * math.pi * second
    return torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)[:, :count].to(dtype)


def _rotations(numbers: Tensor, degrees: float) -> Tensor:
    """Turns about an axis of any direction by normal angles: (..., 3, 3), from four normal numbers each."""
    axis = torch.nn.functional.normalize(numbers[..., :3], dim=-1)
    angle = (numbers[..., 3] * math.radians(degrees))[..., None, None]
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    eye = torch.eye(3, dtype=numbers.dtype, device=numbers.device)
    return eye + torch.sin(angle) * cross + (1 - torch.cos(angle)) * (cross @ cross)  # Rodrigues 1840
