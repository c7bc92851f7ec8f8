"""Random affine changes of images in tensors, with every run's own numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold.recipe import Augmentation
from tenfold.seeds import uniform

__all__ = ["augment"]


def augment(images: Tensor, how: Augmentation, keys: Tensor, step: int) -> Tensor:
    """``images`` (runs, batch, channels, height, width), each channel turned, moved, scaled and sheared by itself.

    The channels of a pair are two different images, hence one transformation a channel. Outside is 0, sampling is
    bilinear.

    Args:
        images: floating point.
        how: ranges.
        keys: int64, shape (runs,).
        step: of training; the numbers are a pure function of key and step.
    """
    runs, batch, channels, height, width = images.shape
    count = batch * channels
    numbers = uniform(keys, torch.full_like(keys, step), 6 * count).view(runs * count, 6).to(images.dtype) * 2 - 1
    turn, shear, scale_x, scale_y, move_x, move_y = numbers.unbind(1)
    angle, shear = turn * math.radians(how.rotate), torch.tan(shear * math.radians(how.shear))
    scale_x, scale_y = 1 + scale_x * how.scale, 1 + scale_y * how.scale
    cos, sin = torch.cos(angle), torch.sin(angle)
    # affine_grid wants the map from output to input, in units of half the image.
    rows = torch.stack(
        [
            torch.stack([cos / scale_x, (shear * cos - sin) / scale_y, move_x * (2 * how.shift / width)], dim=1),
            torch.stack([sin / scale_x, (shear * sin + cos) / scale_y, move_y * (2 * how.shift / height)], dim=1),
        ],
        dim=1,
    )  # (runs * batch * channels, 2, 3)
    flat = images.reshape(runs * count, 1, height, width)
    grid = F.affine_grid(rows, list(flat.shape), align_corners=False)
    return F.grid_sample(flat, grid, padding_mode="zeros", align_corners=False).view(images.shape)
