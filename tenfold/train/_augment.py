"""Random changes of images in tensors, with every run's own numbers: affine, elastic, erased rectangles."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold.recipe import Augmentation, Recipe, WindowAugmentation
from tenfold.seeds import uniform
from tenfold.tasks import Examples, Inputs, Windows
from tenfold.train._augment_windows import augment_windows

__all__ = ["augment", "augmented"]

# Longest to shortest side of an erased rectangle, at most (Zhong et al. 2020).
_LONGEST = 1 / 0.3


def augmented(inputs: Inputs, recipe: Recipe, keys: Tensor, step: int, examples: Examples) -> Inputs:
    """The inputs of a training step, changed as the recipe says; as they are where it says nothing."""
    how = recipe.augment
    if how is None:
        return inputs
    first, *others = inputs
    if isinstance(how, WindowAugmentation):
        assert isinstance(examples, Windows)
        first = augment_windows(first, how, keys, step, lengths=others[0] if others else None, **examples.scaling)
    else:
        first = augment(first, how, keys, step, together=recipe.turned_together)
    return (first, *others)


def augment(images: Tensor, how: Augmentation, keys: Tensor, step: int, *, together: int = 1) -> Tensor:
    """``images`` (runs, batch, channels, height, width), each channel turned, moved, scaled, sheared, bent and part
    of it erased by itself.

    The channels of a pair are two different images, hence numbers of its own for each channel. Outside is 0, sampling
    is bilinear and done once; the rectangle to erase is laid over the result.

    Args:
        images: floating point.
        how: ranges.
        keys: int64, shape (runs,).
        step: of training; the numbers are a pure function of key and step.
        together: consecutive examples that take the same quarter turn.
    """
    height, width = images.shape[-2:]
    each = images.shape[1] * images.shape[2]  # images of a run
    flat = images.reshape(-1, 1, height, width)
    if how.quarter_turns:
        flat = _turned(flat, keys, step, each, images.shape[2] * together)
    if how.rotate or how.shift or how.scale or how.shear or how.elastic:
        places = _places(how, keys, step, each, height, width, images.dtype)
        flat = F.grid_sample(flat, places.permute(0, 2, 3, 1), padding_mode="zeros", align_corners=False)
    if how.erase and how.erase_probability:
        # Counters below 0 are for what came later: those of the affine change stay what they were.
        numbers = _numbers(keys, -2 - 2 * step, each, 5, images.dtype)
        down, along = _rectangle(how, numbers, height, width)
        # x - x * 1 * 1 is exactly 0. Masks of truth values would take twice the time.
        flat = torch.addcmul(flat, flat * down[:, None, :, None], along[:, None, None, :], value=-1)
    return flat.view(images.shape)


def _turned(flat: Tensor, keys: Tensor, step: int, each: int, together: int) -> Tensor:
    """Every ``together`` consecutive images turned by the same number of quarters."""
    groups = -(-each // together)
    # Other keys, since all counters of these are taken.
    quarters = (_numbers(keys ^ 0x5DEECE66D, step, groups, 1, flat.dtype) * 4).long().view(-1, groups)
    quarters = quarters.repeat_interleave(together, dim=1)[:, :each].reshape(-1, 1, 1, 1)
    turned = flat
    for number in (1, 2, 3):
        turned = torch.where(quarters == number, torch.rot90(flat, number, (2, 3)), turned)
    return turned


def _numbers(keys: Tensor, calls: int, each: int, count: int, dtype: torch.dtype) -> Tensor:
    """``count`` uniform numbers in [0, 1) for each image: (runs * each, count)."""
    return uniform(keys, torch.full_like(keys, calls), each * count).view(-1, count).to(dtype)


# -- geometry ---------------------------------------------------------------------------------------------------------


def _places(
    how: Augmentation, keys: Tensor, step: int, each: int, height: int, width: int, dtype: torch.dtype
) -> Tensor:
    """Where each pixel of each image is taken from, as ``grid_sample`` counts: x and y, (images, 2, height, width)."""
    rows = _affine(how, _numbers(keys, step, each, 6, dtype) * 2 - 1, height, width)
    if not how.elastic:
        x, y = (_centres(torch.arange(size, device=rows.device).to(dtype), size) for size in (width, height))
        return _map(rows, x, y)
    # A spline of knots that lie on a plane is that plane. So the affine map is added at the few knots and not at every
    # pixel, and both come out of two products of matrices.
    knots_x, weights_x = _spline(width, how.elastic_smooth, dtype, rows.device)
    knots_y, weights_y = _spline(height, how.elastic_smooth, dtype, rows.device)
    places = _map(rows, _centres(knots_x, width), _centres(knots_y, height))  # (images, 2, knots, knots)
    field = _numbers(keys, -1 - 2 * step, each, places[0].numel(), dtype).view_as(places) * 2 - 1
    farthest = how.elastic * _KNOT_FOR_ROOT_MEAN_SQUARE  # pixels
    for axis, size in enumerate((width, height)):
        places[:, axis].add_(field[:, axis], alpha=farthest * 2 / size)
    return weights_y @ (places @ weights_x.T)  # (images, 2, height, width)


def _affine(how: Augmentation, numbers: Tensor, height: int, width: int) -> Tensor:
    """The map from output to input for six numbers in [-1, 1) each, in units of half the image: (images, 2, 3)."""
    turn, shear, scale_x, scale_y, move_x, move_y = numbers.unbind(1)
    angle, shear = turn * math.radians(how.rotate), torch.tan(shear * math.radians(how.shear))
    scale_x, scale_y = 1 + scale_x * how.scale, 1 + scale_y * how.scale
    cos, sin = torch.cos(angle), torch.sin(angle)
    return torch.stack(
        [
            torch.stack([cos / scale_x, (shear * cos - sin) / scale_y, move_x * (2 * how.shift / width)], dim=1),
            torch.stack([sin / scale_x, (shear * sin + cos) / scale_y, move_y * (2 * how.shift / height)], dim=1),
        ],
        dim=1,
    )


def _centres(pixels: Tensor, size: int) -> Tensor:
    """Places of pixel centres in units of half the image, from -1 at one edge to 1 at the other."""
    return (2 * pixels + 1) / size - 1


def _map(rows: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The affine maps ``rows`` (images, 2, 3) at all places (x, y): (images, 2, len(y), len(x)).

    The numbers of ``affine_grid``, to rounding, in a fifth of its time: no product of matrices, and x and y apart,
    which ``grid_sample`` reads faster than in pairs.
    """
    along = rows[:, :, 0, None] * x  # (images, 2, len(x))
    down = rows[:, :, 1, None] * y + rows[:, :, 2, None]  # (images, 2, len(y))
    return along[:, :, None, :] + down[:, :, :, None]


# A random number at every knot, uniform in [-1, 1), gives a field whose root mean square is sqrt(1/3) times, for each
# of the two axes, the root of 151/315, which is the integral of the squared cubic B-spline.
_KNOT_FOR_ROOT_MEAN_SQUARE = math.sqrt(3) * 315 / 151


@functools.lru_cache(maxsize=16)
def _spline(size: int, smooth: float, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Knots of a uniform cubic B-spline along ``size`` pixels, and what each weighs at each pixel.

    In place of smoothing a random number for every pixel (Simard et al. 2003): smooth the same noise on a coarse grid
    of knots. The cubic B-spline is all but the Gaussian of the same variance, spacing^2 / 3, and for 28 pixels at
    ``smooth`` 4 it takes 7 numbers instead of 28, and two small products.

    Args:
        size: pixels.
        smooth: standard deviation in pixels.
        dtype, device: of what is returned.
    Returns:
        (Tensor, Tensor): places of the knots in pixels, shape (knots,), about the middle; weights, shape (size,
        knots).
    """
    spacing = smooth * math.sqrt(3)
    n_knots = math.ceil((size - 1) / spacing) + 3  # every pixel has four knots around it
    knots = (size - 1) / 2 + spacing * (torch.arange(n_knots, dtype=torch.float64) - (n_knots - 1) / 2)
    away = (torch.arange(size, dtype=torch.float64)[:, None] - knots).abs() / spacing
    near = 2 / 3 - away**2 + away**3 / 2
    weights = torch.where(away < 1, near, (2 - away).clamp(min=0) ** 3 / 6)
    return knots.to(device, dtype), weights.to(device, dtype)


# -- erasing ----------------------------------------------------------------------------------------------------------


def _rectangle(how: Augmentation, numbers: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Which rows and columns a random rectangle covers, from five numbers in [0, 1) each: 1 for those, 0 for others.

    Zhong et al. 2020, algorithm 1, with sides relative to the image's. They draw again until a rectangle fits; here
    the ratio of the sides is drawn from those that fit. It is uniform in its logarithm, so that tall and wide are
    alike.

    Returns:
        (Tensor, Tensor): shapes (images, height) and (images, width); all 0 in one where there is no rectangle.
    """
    wanted, share, ratio, top, left = numbers.unbind(1)
    share = share * how.erase
    widest = (-share.log()).clamp(max=math.log(_LONGEST))
    ratio = torch.exp((2 * ratio - 1) * widest)
    down = _between(top, (share * ratio).sqrt(), height)
    along = _between(left, (share / ratio).sqrt(), width)
    return (down & (wanted < how.erase_probability)[:, None]).to(numbers), along.to(numbers)


def _between(start: Tensor, side: Tensor, size: int) -> Tensor:
    """Which of ``size`` pixels have their centres in an interval of relative length ``side``: bool, (images, size)."""
    first = (start * (1 - side))[:, None]  # from 0 to where it ends at the edge
    centres = (torch.arange(size, device=start.device).to(start.dtype) + 0.5) / size
    return (centres >= first) & (centres < first + side[:, None])
