"""Mean squared error, compared with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from tenfold.errors import ShapeError
from tenfold.metrics import mean_squared_error


def test_it_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    output, target = rng.normal(size=(3, 10, 1, 4, 5)), rng.normal(size=(3, 10, 1, 4, 5))
    valid = rng.random((3, 10)) < 0.6
    flat = [(target[run].reshape(10, -1), output[run].reshape(10, -1)) for run in range(3)]
    expected = [sklearn_metrics.mean_squared_error(*pair) for pair in flat]
    np.testing.assert_allclose(mean_squared_error(output, target), expected)
    expected = [sklearn_metrics.mean_squared_error(*(part[valid[run]] for part in flat[run])) for run in range(3)]
    np.testing.assert_allclose(mean_squared_error(output, target, valid), expected)
    np.testing.assert_allclose(
        mean_squared_error(output, target[0]), mean_squared_error(output, np.stack([target[0]] * 3))
    )


def test_small_types_do_not_overflow() -> None:
    output, target = np.full((1, 2, 2), 250, dtype=np.uint8), np.zeros((1, 2, 2), dtype=np.uint8)
    assert mean_squared_error(output, target).tolist() == [250.0**2]


def test_a_run_without_an_example_is_nan_without_a_warning() -> None:
    valid = np.array([[False, False], [True, False]])
    assert np.isnan(mean_squared_error(np.zeros((2, 2, 3)), np.zeros((2, 2, 3)), valid)).tolist() == [True, False]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="valid"):
        mean_squared_error(np.zeros((2, 3, 4)), np.zeros((2, 3, 5)))
    with pytest.raises(ShapeError, match="valid"):
        mean_squared_error(np.zeros((2, 3, 4)), np.zeros((3, 4)), np.ones((3,), dtype=bool))
