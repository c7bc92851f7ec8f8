"""The corrected resampled t test, for repeats that share training data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tenfold.errors import RequestError
from tenfold.stats._paired import PairedTest, overlap
from tenfold.stats._student import student_test


def corrected_t_test(
    differences: NDArray[np.float64], *, test_over_train: float | None, level: float = 0.95, seed: int = 0
) -> PairedTest:
    """Student's test with variance of the mean s^2 (1/n + n_test/n_train) and n - 1 degrees of freedom.

    Repeats that draw their training sets from one pool are correlated: the plain variance s^2/n is then too small, and
    two equal models are called different far too often. More repeats reduce only the first term.

    Args:
        differences: first minus second, shape (runs,), none missing.
        test_over_train: n_test / n_train of one repeat, for K folds 1 / (K - 1).
        level: coverage of the interval, strictly between 0 and 1.
        seed: not used; an argument of every paired test.
    Returns:
        p and the matching interval.
    Raises:
        RequestError: if the ratio is missing or not positive, or the level not between 0 and 1.
    Example:
        >>> gains = np.array([0.02, 0.01, 0.03, 0.00, 0.02])
        >>> round(corrected_t_test(gains, test_over_train=0.25).p, 3)
        0.105

    Source: Nadeau and Bengio 2003, Machine Learning 52 (corrected resampled t test). Differences without spread: see
        ``student_test``.
    """
    if test_over_train is None:
        raise RequestError("The corrected resampled t test needs test_over_train = n_test / n_train, got None.")
    return student_test(differences, level=level, extra=overlap(test_over_train))
