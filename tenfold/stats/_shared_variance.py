"""The variance of a mean difference where repeats share test examples, from scores by cluster of examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from tenfold.stats._paired import deviation
from tenfold.stats._student import student_interval


@dataclass(frozen=True)
class MeanVariance:
    """Variance of a mean over repeats, in two parts.

    Attributes:
        repeats: the part that more repeats make smaller, s^2 / R.
        shared: the part of the test examples that repeats share, which they do not.
        degrees: of freedom of the sum (Satterthwaite).
    """

    repeats: float
    shared: float
    degrees: float

    @property
    def total(self) -> float:
        return self.repeats + self.shared

    def test(self, mean: float, level: float) -> tuple[float, float, float]:
        """Two-sided p of a mean, and its interval: Student's with these degrees of freedom."""
        error = self.total**0.5
        p = 2 * float(stdtr(self.degrees, -abs(mean) / error))
        return p, *student_interval(mean, error, self.degrees, level)


def shared_variance(
    differences: NDArray[np.float64], parts: NDArray[np.float64], *, effective: float, overlap: float = 1.0
) -> MeanVariance:
    """Variance of the mean of ``differences`` for new training runs and new test examples (clusters of them) together.

    Scores of R repeats on B clusters vary by repeat and by cluster. The variance between repeats around their mean,
    s^2 / R, leaves out what all repeats share. This is estimated by the covariance of different repeats on the same
    cluster, summed over clusters. So it is 0 where no cluster is tested twice, and the variance between clusters where
    every repeat has the same: it follows the overlap without a rule. A covariance is noisy: where all repeats have the
    same clusters, the sum is never below the variance between clusters alone.

    Args:
        differences: first minus second, shape (runs,), none missing, at least 2.
        parts: what each cluster adds to them, shape (runs, clusters), as in ``Clusters``.
        effective: number of clusters, as in ``Clusters.effective``.
        overlap: as in ``Design``, above 0.
    Returns:
        MeanVariance; both parts are 0 if the two models never differ.
    Example:
        >>> always = np.full(3, 0.2)  # two models without any randomness, five people, three equal repeats
        >>> people = np.tile(np.array([0.1, -0.1, 0.05, -0.05, 0.0]) / 5, (3, 1))
        >>> found = shared_variance(always, people, effective=5)
        >>> found.repeats, round(found.shared, 5), round(found.degrees, 1)
        (0.0, 0.00125, 4.0)

    Source: Cameron, Gelbach and Miller 2011, Journal of Business & Economic Statistics 29 (two-way clusters);
        Satterthwaite 1946. Checked by simulation in tests/stats/test_calibration.py.
    """
    n_runs = differences.size
    repeats = deviation(differences) ** 2 / n_runs
    unbiased = effective / max(effective - 1, 1e-9)
    by_cluster = parts.mean(axis=0)
    between = unbiased * float((by_cluster**2).sum())
    within = unbiased * float((parts**2).sum()) / n_runs**2
    covariance = (between - within) * n_runs / (n_runs - 1)
    shared = max(covariance, overlap * between - repeats, 0.0)
    squares = repeats**2 / (n_runs - 1) + shared**2 / max(effective - 1, 1e-9)
    degrees = (repeats + shared) ** 2 / squares if squares > 0 else float(n_runs - 1)
    return MeanVariance(repeats, shared, degrees)
