"""Augmentation: each image by itself, its own numbers for each run and step, the geometry that the words say.

Against scipy for the whole change: B-splines and bilinear sampling, image by image.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import interpolate, ndimage, stats
from torch import Tensor

from tenfold.recipe import Augmentation, Recipe
from tenfold.sampling import augment_images
from tenfold.seeds import uniform

KEYS = torch.tensor([11, 22, 33])


def images(runs: int = 3, batch: int = 4, size: int = 9) -> Tensor:
    return torch.rand(runs, batch, 2, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


AFFINE = Augmentation(rotate=20, shift=1.5, scale=0.2, shear=10)
ALL = Augmentation(
    rotate=20, shift=1.5, scale=0.2, shear=10, elastic=0.8, elastic_smooth=2, erase=0.4, erase_probability=0.9
)


@pytest.mark.parametrize(
    "how", [{}, {"elastic_smooth": 2.0}, {"erase_probability": 1.0}, {"erase": 0.3, "erase_probability": 0.0}]
)
def test_nothing_asked_for_is_nothing_done(how: dict) -> None:
    assert torch.equal(augment_images(images(), Augmentation(**how), KEYS, 0), images())


def test_next_to_nothing_does_next_to_nothing() -> None:
    """Through the whole computation, which nothing at all leaves out."""
    tiny = dict.fromkeys(("rotate", "shift", "scale", "shear", "elastic"), 1e-12)
    torch.testing.assert_close(augment_images(images(), Augmentation(**tiny), KEYS, 0), images(), rtol=0, atol=1e-10)


@given(run=st.integers(0, 2), step=st.integers(0, 10**6), batch=st.integers(1, 5))
@settings(deadline=None, max_examples=20)
def test_a_run_alone_gets_the_same_changes(run: int, step: int, batch: int) -> None:
    pictures = images(batch=batch)
    for how in (AFFINE, ALL):
        together = augment_images(pictures, how, KEYS, step)
        alone = augment_images(pictures[run : run + 1], how, KEYS[run : run + 1], step)[0]
        # A product of matrices may round otherwise where there are more of them.
        torch.testing.assert_close(alone, together[run], rtol=0, atol=0 if how is AFFINE else 1e-12)
        # A shorter batch: the numbers belong to places in it.
        torch.testing.assert_close(
            augment_images(pictures[:, :1], how, KEYS, step)[:, 0], together[:, 0], rtol=0, atol=1e-12
        )


def test_runs_steps_examples_and_channels_differ() -> None:
    same = images(1, 1)[:, :, :1].expand(3, 4, 2, 9, 9).contiguous()
    for how in (AFFINE, Augmentation(elastic=1), Augmentation(erase=0.9, erase_probability=1)):
        changed = torch.stack([augment_images(same, how, KEYS, step) for step in (0, 1)]).flatten(0, 3)
        n_different = len(torch.unique(changed.flatten(1), dim=0))
        # Small rectangles may cover the same pixels.
        assert n_different == 2 * 3 * 4 * 2 if how.erase == 0 else n_different > 40


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
    moved = augment_images(pictures, Augmentation(shift=shift), KEYS, 3).flatten(0, 2)
    places = torch.tensor([centre(picture) for picture in moved])
    assert float(places.abs().max()) <= shift + 1e-9
    assert float(places.abs().max()) > 0.9 * shift
    assert abs(float(places.mean())) < 0.2 * shift


def test_a_rotation_turns_and_keeps_distances() -> None:
    size = 41
    picture = torch.zeros(size, size, dtype=torch.float64)
    picture[19:22, 34:37] = 1  # 15 pixels to the right of the middle
    turned = augment_images(
        picture.expand(1, 200, 2, size, size).contiguous(), Augmentation(rotate=90), KEYS[:1], 0
    ).flatten(0, 2)
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
    scaled = augment_images(
        picture.expand(1, 100, 2, size, size).contiguous(), Augmentation(scale=0.2), KEYS[:1], 0
    ).flatten(0, 2)
    areas = scaled.sum((1, 2)) / picture.sum()
    assert 0.8**2 - 0.05 < float(areas.min()) < 0.8
    assert 1.2 < float(areas.max()) < 1.2**2 + 0.05


def test_outside_is_nothing() -> None:
    moved = augment_images(torch.ones(1, 30, 2, 8, 8, dtype=torch.float64), Augmentation(shift=4), KEYS[:1], 0)
    assert float(moved.min()) == 0
    assert float(moved.max()) == pytest.approx(1)


# -- against scipy ----------------------------------------------------------------------------------------------------


def slow(picture: np.ndarray, how: Augmentation, key: int, step: int, position: int, n_images: int) -> np.ndarray:
    """One image moved and bent, from its numbers on with NumPy and scipy alone."""
    height, width = picture.shape
    its_key = torch.tensor([key])
    numbers = uniform(its_key, torch.tensor([step]), 6 * n_images).view(n_images, 6)[position].double().numpy() * 2 - 1
    turn, shear, scale_x, scale_y, move_x, move_y = numbers.tolist()
    angle, slant = math.radians(turn * how.rotate), math.tan(math.radians(shear * how.shear))
    matrix = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = (
        matrix
        @ np.array([[1, slant], [0, 1]])
        @ np.diag([1 / (1 + scale_x * how.scale), 1 / (1 + scale_y * how.scale)])
    )
    rows, columns = np.mgrid[:height, :width].astype(float)
    from_middle = np.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1])  # in units of half the image
    x, y = np.einsum("ij,jhw->ihw", matrix, from_middle)
    x = (x + 1) * width / 2 - 0.5 + move_x * how.shift
    y = (y + 1) * height / 2 - 0.5 + move_y * how.shift
    if how.elastic:
        splines = [basis(size, how.elastic_smooth) for size in (height, width)]
        counts = [len(weights[0]) for weights in splines]
        drawn = uniform(its_key, torch.tensor([-1 - 2 * step]), 2 * counts[0] * counts[1] * n_images)
        field = drawn.view(n_images, 2, *counts)[position].double().numpy() * 2 - 1
        moved = np.einsum("yk,ckl,xl->cyx", splines[0], field, splines[1]) * how.elastic * math.sqrt(3) / (151 / 315)
        x, y = x + moved[0], y + moved[1]
    return ndimage.map_coordinates(picture, [y, x], order=1, mode="grid-constant")


def basis(size: int, smooth: float) -> np.ndarray:
    """Cubic B-splines at spacing sqrt(3) * smooth, about the middle, at every pixel: (size, splines)."""
    spacing = math.sqrt(3) * smooth
    count = math.ceil((size - 1) / spacing) + 3
    breaks = (size - 1) / 2 + spacing * (np.arange(count + 4) - (count + 3) / 2)
    one_each = interpolate.BSpline(breaks, np.eye(count), 3, extrapolate=False)
    return one_each(np.arange(size, dtype=float))


@pytest.mark.parametrize(
    "how",
    [
        AFFINE,
        Augmentation(elastic=0.7, elastic_smooth=1),
        Augmentation(elastic=1.4),
        Augmentation(rotate=30, shift=2, scale=0.2, shear=15, elastic=1.0, elastic_smooth=3),
        Augmentation(elastic=2.0, elastic_smooth=100),
    ],
)
def test_moved_and_bent_as_scipy_does(how: Augmentation) -> None:
    pictures = torch.rand(2, 3, 2, 13, 18, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for step in (0, 7):
        changed = augment_images(pictures, how, KEYS[:2], step)
        for run, row, channel in np.ndindex(2, 3, 2):
            expected = slow(pictures[run, row, channel].numpy(), how, int(KEYS[run]), step, 2 * row + channel, 6)
            torch.testing.assert_close(changed[run, row, channel], torch.from_numpy(expected), rtol=0, atol=1e-9)
    assert float((changed - pictures).abs().mean()) > 0.02


def displacements(how: Augmentation, size: int, n_images: int, margin: int) -> np.ndarray:
    """By how many pixels the inner places move, read off images that hold their own coordinates: (images, 2, ...)."""
    rows, columns = torch.meshgrid(*[torch.arange(size, dtype=torch.float64)] * 2, indexing="ij")
    found = []
    for ramp in (columns, rows):  # one at a time, so that both get the same numbers
        changed = augment_images(ramp.expand(1, n_images, 1, size, size).contiguous(), how, KEYS[:1], 0)[0, :, 0] - ramp
        found.append(changed[:, margin:-margin, margin:-margin].numpy())
    return np.stack(found, axis=1)


@pytest.mark.parametrize(("strength", "smooth"), [(0.5, 4.0), (1.0, 4.0), (0.5, 2.0)])
def test_the_field_is_as_strong_and_as_smooth_as_asked_for(strength: float, smooth: float) -> None:
    """Uncorrelated in x and y; correlated along each as noise that a Gaussian has smoothed: exp(-d^2 / (4 s^2))."""
    how = Augmentation(elastic=strength, elastic_smooth=smooth)
    margin = math.ceil(4 * strength)  # the farthest that a place can move
    field = displacements(how, 41, 400, margin)
    assert float((field**2).mean()) ** 0.5 == pytest.approx(strength, rel=0.03)
    assert abs(float(field.mean())) < 0.05 * strength
    assert float(abs(field).max()) <= strength * math.sqrt(3) * 315 / 151
    power = (field**2).mean()
    assert abs(float((field[:, 0] * field[:, 1]).mean() / power)) < 0.05
    for distance in range(1, 11):
        along = (field[..., distance:] * field[..., :-distance]).mean() / power
        down = (field[..., distance:, :] * field[..., :-distance, :]).mean() / power
        expected = math.exp(-(distance**2) / (4 * smooth**2))
        assert float(along) == pytest.approx(expected, abs=0.06), distance
        assert float(down) == pytest.approx(expected, abs=0.06), distance


def test_the_strength_of_the_literature_is_what_the_settings_say() -> None:
    """Simard et al.: uniform noise for each pixel, smoothed by a Gaussian of 4 pixels, times 34."""
    noise = np.random.default_rng(0).uniform(-1, 1, (400, 400))
    assert 34 * float(ndimage.gaussian_filter(noise, 4).std()) == pytest.approx(1.4, abs=0.05)


def test_the_affine_part_is_the_same_with_and_without_bending() -> None:
    """Its numbers, and a plane through the knots of the spline is that plane."""
    how = AFFINE.model_copy(update={"elastic": 1e-12})
    torch.testing.assert_close(
        augment_images(images(), how, KEYS, 5), augment_images(images(), AFFINE, KEYS, 5), rtol=0, atol=1e-10
    )


def test_float32_is_float64_to_rounding() -> None:
    rounded = augment_images(images().float(), ALL, KEYS, 2)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded.double(), augment_images(images(), ALL, KEYS, 2), rtol=0, atol=1e-4)


# -- erasing ----------------------------------------------------------------------------------------------------------


def erased(how: Augmentation, n_images: int = 400, height: int = 60, width: int = 60) -> np.ndarray:
    """Where the rectangles are: bool, (images, height, width)."""
    return augment_images(torch.ones(1, n_images, 1, height, width), how, KEYS[:1], 0)[0, :, 0].numpy() == 0


def test_what_is_erased_is_one_rectangle_and_the_rest_stays() -> None:
    how = AFFINE.model_copy(update={"erase": 0.5, "erase_probability": 1.0})
    moved, both = augment_images(images(size=14), AFFINE, KEYS, 1), augment_images(images(size=14), how, KEYS, 1)
    gone = erased(Augmentation(erase=0.5, erase_probability=1.0), n_images=8, height=14, width=14)
    gone = torch.from_numpy(gone).view(4, 2, 14, 14)  # of the first run at step 0
    assert bool(((both == moved) | (both == 0)).all())
    assert not torch.equal(both, moved)
    first = augment_images(images(size=14)[:1], Augmentation(erase=0.5, erase_probability=1.0), KEYS[:1], 0)[0]
    assert torch.equal(first, images(size=14)[0].masked_fill(gone, 0))
    for mask in erased(Augmentation(erase=0.3, erase_probability=1.0)):
        rows, columns = mask.any(1), mask.any(0)
        assert np.array_equal(mask, rows[:, None] & columns[None])
        for side in (rows, columns):
            assert np.abs(np.diff(side.astype(int), prepend=0, append=0)).sum() <= 2  # all in one piece


@pytest.mark.parametrize("largest", [0.1, 0.4, 0.9])
def test_the_erased_share_is_uniform_up_to_the_largest(largest: float) -> None:
    shares = erased(Augmentation(erase=largest, erase_probability=1.0), n_images=1000, height=120, width=90).mean(
        (1, 2)
    )
    assert float(shares.max()) <= largest + 0.02  # whole pixels
    assert float(shares.mean()) == pytest.approx(largest / 2, rel=0.05)
    assert stats.kstest(shares / largest, "uniform").pvalue > 1e-3


def test_sides_are_between_equal_and_one_to_three() -> None:
    """Log-uniform between 0.3 and 1 / 0.3: no leaning to tall or wide."""
    masks = erased(Augmentation(erase=0.25, erase_probability=1.0), n_images=1000, height=150, width=150)
    masks = masks[masks.mean((1, 2)) > 0.05]
    ratios = np.log(masks.any(2).sum(1) / masks.any(1).sum(1))
    assert abs(ratios).max() < math.log(1 / 0.3) + 0.1
    assert abs(ratios).max() > math.log(1 / 0.3) - 0.1
    fits = (ratios + math.log(1 / 0.3)) / (2 * math.log(1 / 0.3))
    assert stats.kstest(fits, "uniform").pvalue > 1e-3


def test_large_rectangles_lie_in_the_image_whatever_their_sides() -> None:
    for mask in erased(Augmentation(erase=0.95, erase_probability=1.0), n_images=300, height=40, width=20):
        # At 0.9 of the image neither side can be longer than the image nor shorter than 0.9 of it.
        if mask.mean() > 0.9:
            assert mask.any(1).mean() >= 0.85
            assert mask.any(0).mean() >= 0.85
    ends = [
        np.flatnonzero(mask.any(1)) for mask in erased(Augmentation(erase=0.25, erase_probability=1.0)) if mask.any()
    ]
    # Anywhere: as many are nearer to one edge as to the other, and some reach each.
    above = np.array([rows[0] for rows in ends])
    below = np.array([59 - rows[-1] for rows in ends])
    assert (above.min(), below.min()) == (0, 0)
    assert abs(float((above > below).mean()) - 0.5) < 4 * math.sqrt(0.25 / len(ends))


@pytest.mark.parametrize("probability", [0.1, 0.5, 1.0])
def test_so_many_images_are_erased(probability: float) -> None:
    masks = erased(Augmentation(erase=0.4, erase_probability=probability), n_images=2000)
    touched = masks.any((1, 2)).mean()
    assert float(touched) == pytest.approx(probability, abs=4 * math.sqrt(0.25 / 2000))


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"elastic": -0.1}, "elastic\n  Input should be greater than or equal to 0"),
        ({"elastic": math.inf}, "elastic\n  Input should be a finite number"),
        ({"elastic": True}, "elastic\n  Input should be a valid number"),
        ({"elastic_smooth": 0.9}, "elastic_smooth\n  Input should be greater than or equal to 1"),
        ({"erase": 1.0}, "erase\n  Input should be less than 1"),
        ({"erase": "0.2"}, "erase\n  Input should be a valid number"),
        ({"erase_probability": 1.1}, "erase_probability\n  Input should be less than or equal to 1"),
        ({"erase_probability": -0.1}, "erase_probability\n  Input should be greater than or equal to 0"),
        ({"flip": 1}, "flip\n  Extra inputs are not permitted"),
    ],
)
def test_settings_that_are_none_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Augmentation(**values)
    assert message in str(caught.value)
    with pytest.raises(ValidationError, match="augment"):
        Recipe(augment=values)  # type: ignore[arg-type]


def test_quarter_turns_are_alike_for_images_that_belong_together() -> None:
    numbers = torch.Generator().manual_seed(0)
    images = torch.rand(2, 24, 1, 6, 6, generator=numbers)
    how, keys = Augmentation(quarter_turns=True), torch.tensor([3, 4])
    turned = augment_images(images, how, keys, 5, together=4)
    counts = torch.zeros(2, 24, dtype=torch.int64)
    for run in range(2):
        for at in range(24):
            found = [k for k in range(4) if torch.equal(torch.rot90(images[run, at], k, (1, 2)), turned[run, at])]
            assert len(found) == 1
            counts[run, at] = found[0]
    assert bool((counts.view(2, 6, 4) == counts.view(2, 6, 4)[:, :, :1]).all())
    assert len(counts.unique()) > 1
    # A run's turns do not depend on its neighbours, and change from step to step.
    assert torch.equal(augment_images(images[1:], how, keys[1:], 5, together=4), turned[1:])
    assert not torch.equal(augment_images(images, how, keys, 6, together=4), turned)


def test_all_quarter_turns_are_as_frequent() -> None:
    images = torch.arange(4.0).view(1, 1, 1, 2, 2).expand(1, 4000, 1, 2, 2)
    corner = augment_images(images, Augmentation(quarter_turns=True), torch.tensor([9]), 0)[0, :, 0, 0, 0]
    shares = torch.stack([(corner == value).float().mean() for value in range(4)])
    assert bool(((shares - 0.25).abs() < 0.03).all())
