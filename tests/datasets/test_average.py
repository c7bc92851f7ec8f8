"""average_down against slow loops, and properties that hold for any image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tenfold.datasets import average_down
from tenfold.errors import DataError, ShapeError

SIDES = st.integers(1, 12)


@st.composite
def images_and_size(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, int]]:
    height, width = draw(SIDES), draw(SIDES)
    images = draw(arrays(np.uint8, (draw(st.integers(1, 3)), height, width)))
    return images, (draw(st.integers(1, height)), draw(st.integers(1, width)))


def slow_area_mean(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Repeat each pixel until both grids fit, then take plain block means."""
    fine = image.repeat(height, axis=0).repeat(width, axis=1).astype(np.float64)
    result = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            block = fine[row * image.shape[0] : (row + 1) * image.shape[0]]
            result[row, column] = block[:, column * image.shape[1] : (column + 1) * image.shape[1]].mean() / 255
    return result


@given(images_and_size())
def test_equals_a_slow_loop(case: tuple[np.ndarray, tuple[int, int]]) -> None:
    images, size = case
    expected = np.stack([slow_area_mean(image, *size) for image in images])
    averaged = average_down(images, size)
    assert averaged.shape == expected.shape
    assert averaged.dtype == np.float32
    np.testing.assert_allclose(averaged, expected, atol=1e-6)


@given(images_and_size())
def test_the_mean_is_kept(case: tuple[np.ndarray, tuple[int, int]]) -> None:
    images, size = case
    means = average_down(images, size).mean(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(means, images.mean(axis=(1, 2)) / 255, atol=1e-6)


@given(images_and_size())
def test_values_stay_between_the_darkest_and_the_brightest(case: tuple[np.ndarray, tuple[int, int]]) -> None:
    images, size = case
    averaged = average_down(images, size)
    assert averaged.min() >= images.min() / 255 - 1e-6
    assert averaged.max() <= min(images.max() / 255 + 1e-6, 1)


@given(images_and_size())
def test_integers_and_floats_agree(case: tuple[np.ndarray, tuple[int, int]]) -> None:
    images, size = case
    as_floats = average_down(images / 255, size)
    np.testing.assert_allclose(as_floats, average_down(images, size), atol=1e-6)
    np.testing.assert_array_equal(average_down(images.astype(np.int64), size), average_down(images, size))


@settings(max_examples=30)
@given(arrays(np.uint8, (5, 28, 28)), st.integers(0, 4))
def test_a_block_mean_does_not_depend_on_its_neighbours(images: np.ndarray, row: int) -> None:
    np.testing.assert_array_equal(average_down(images, 14)[row], average_down(images[row], 14))


def test_28_to_14_is_the_block_mean() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    blocks = images.reshape(4, 14, 2, 14, 2).mean(axis=(2, 4)) / 255
    np.testing.assert_array_equal(average_down(images, 14), blocks.astype(np.float32))


def test_105_to_28_is_exact() -> None:
    """Not a divisor: 15 old pixels make 4 new ones. Repeated 4 times, blocks of 15 fit."""
    images = np.random.default_rng(0).integers(0, 256, (3, 105, 105), dtype=np.uint8)
    fine = images.repeat(4, axis=1).repeat(4, axis=2).astype(np.int64)
    exact = fine.reshape(3, 28, 15, 28, 15).sum(axis=(2, 4)) / (255 * 15 * 15)
    np.testing.assert_array_equal(average_down(images, 28), exact.astype(np.float32))
    assert (average_down(np.full((1, 105, 105), 255, np.uint8), 28) == 1).all()
    ink = images > 100
    np.testing.assert_array_equal(average_down(ink, 28), average_down(ink * np.uint8(255), 28))


def test_large_images_are_exact_too() -> None:
    """Sums above 2 ** 24, where float32 skips integers; sides without a common factor, so that none cancels."""
    image = np.random.default_rng(0).integers(200, 256, (4001, 51), dtype=np.uint8)
    fine = image.repeat(7, axis=0).repeat(5, axis=1).astype(np.int64)
    exact = fine.reshape(7, 4001, 5, 51).sum(axis=(1, 3)) / (255 * 4001 * 51)
    np.testing.assert_array_equal(average_down(image, (7, 5)), exact.astype(np.float32))


@settings(max_examples=20)
@given(images_and_size(), st.integers(0, 2))
def test_integers_do_not_depend_on_their_neighbours(case: tuple[np.ndarray, tuple[int, int]], row: int) -> None:
    images, size = case
    row %= len(images)
    np.testing.assert_array_equal(average_down(images, size)[row], average_down(images[row], size))


def test_a_set_of_several_chunks_is_the_same_as_one_image_at_a_time() -> None:
    images = np.random.default_rng(1).integers(0, 256, (900, 105, 105), dtype=np.uint8)  # 380 images a chunk
    averaged = average_down(images.reshape(450, 2, 105, 105), 28)
    assert averaged.shape == (450, 2, 28, 28)
    for row in (0, 379, 380, 760, 899):
        np.testing.assert_array_equal(averaged.reshape(900, 28, 28)[row], average_down(images[row], 28))


def test_any_leading_axes() -> None:
    pairs = np.random.default_rng(0).random((3, 2, 9, 6)).astype(np.float32)
    averaged = average_down(pairs, (4, 3))
    assert averaged.shape == (3, 2, 4, 3)
    np.testing.assert_allclose(averaged[1, 1], average_down(pairs[1, 1], (4, 3)), atol=1e-6)
    assert average_down(np.zeros((0, 4, 4)), 2).shape == (0, 2, 2)


@pytest.mark.parametrize("size", [(4, 3), (3, 4)])  # blocks of whole pixels, and borders inside pixels
def test_channels_are_averaged_each_by_itself(size: tuple[int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 9), dtype=np.uint8)
    averaged = average_down(images, size)
    assert averaged.shape == (5, 3, *size)
    for channel in range(3):
        np.testing.assert_array_equal(averaged[:, channel], average_down(images[:, channel], size))


def test_the_same_size_only_scales() -> None:
    image = np.array([[0, 51], [102, 255]], np.uint8)
    np.testing.assert_allclose(average_down(image, 2), image / 255, rtol=1e-6)
    np.testing.assert_array_equal(average_down(np.array([[True, False]]), (1, 1)), np.float32([[0.5]]))


@pytest.mark.parametrize("size", [9, (8, 9), (9, 8)])
def test_enlarging_is_refused(size: int | tuple[int, int]) -> None:
    with pytest.raises(ShapeError, match="is larger than the images, which are 8 x 8"):
        average_down(np.zeros((2, 8, 8)), size)


@pytest.mark.parametrize("size", [0, -1, (4,), (1, 2, 3), 2.5, "4"])
def test_impossible_sizes(size: object) -> None:
    with pytest.raises(ShapeError, match="size must be one or two integers from 1; got"):
        average_down(np.zeros((2, 8, 8)), size)


def test_too_few_axes() -> None:
    with pytest.raises(ShapeError, match=r"expected images of shape \(..., height, width\); got shape \(8,\)"):
        average_down(np.zeros(8), 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.5])
def test_impossible_values(value: float) -> None:
    image = np.zeros((4, 4))
    image[1, 2] = value
    with pytest.raises(DataError, match=r"must lie in 0..1; got"):
        average_down(image, 2)


def test_impossible_integers_and_types() -> None:
    with pytest.raises(DataError, match=r"int64 images must lie in 0..255; got 0 to 256"):
        average_down(np.array([[0, 256]]), 1)
    with pytest.raises(DataError, match="got values of type complex128"):
        average_down(np.zeros((2, 2), complex), 1)
