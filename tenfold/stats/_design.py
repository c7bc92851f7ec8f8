"""How the repeats of a study share data, and so what a difference between two models can be said of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tenfold.errors import RequestError, ShapeError
from tenfold.stats._paired import overlap


@dataclass(frozen=True)
class Design:
    """How the test examples of two repeats overlap.

    The more test examples two repeats share, the less do more repeats say of other data: a model that is right on one
    odd example is right on it in every repeat. With ``overlap`` as correlation between repeats, the variance of a mean
    over R repeats is s^2 (1/R + overlap / (1 - overlap)). Where the examples that are tested are never trained on, and
    scores by cluster of examples are known, what the shared examples add is measured instead (``shared_variance``).
    This also works if all repeats have one test set.

    Args:
        overlap: fraction of the test examples of one repeat that another one has too, on average: 0 if every repeat
            has its own, n_test / n_pool if each draws from a pool, 1 if all have one test set.
        one_pool: an example that one repeat is tested on may be trained on in another.
        tested_on: the test examples of the study in words, such as "these 9 people"; "" where each repeat has its own.
        beyond: what the verdict is meant for, in words, such as "other people"; "" where each repeat has its own.
        more: what more data would be, in words.
    Raises:
        RequestError: if the overlap lies outside 0..1, or is 1 for one pool: nothing would be left to train on.
    Source: Nadeau and Bengio 2003, Machine Learning 52:239, with the overlap of test sets drawn from a pool.
    """

    overlap: float = 0.0
    one_pool: bool = False
    tested_on: str = ""
    beyond: str = ""
    more: str = "data"

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 1 or (self.one_pool and self.overlap == 1):
            raise RequestError(
                "overlap: expected the fraction of test examples that two repeats share, 0 to 1 (less for one pool), "
                f"got {self.overlap!r}."
            )

    @classmethod
    def from_ratio(cls, test_over_train: float, **words: str) -> Design:
        """Repeats that divide one pool: ``test_over_train`` is n_test / n_train where each uses all of it.

        Raises:
            RequestError: if the ratio is not a number above 0.
        Example:
            >>> Design.from_ratio(0.25).overlap
            0.2
        """
        extra = overlap(test_over_train)
        return cls(extra / (1 + extra), one_pool=True, **words)

    @property
    def independent(self) -> bool:
        """Whether no two repeats share test examples."""
        return self.overlap == 0

    @property
    def fixed(self) -> bool:
        """Whether all repeats have the same test examples."""
        return self.overlap == 1

    @property
    def ratio(self) -> float:
        """What shared test examples add to 1/R in the variance of a mean, in units of s^2; infinite for one test set.

        Example:
            >>> Design(overlap=0.25, one_pool=True).ratio == 50 / 150  # 50 of 200 examples for testing
            True
        """
        return self.overlap / (1 - self.overlap) if self.overlap < 1 else float("inf")


INDEPENDENT = Design()
"""Every repeat has data of its own."""


@dataclass(frozen=True)
class Clusters:
    """What each cluster of test examples (a person, a few images) adds to the scores.

    Args:
        parts: name of a model -> float64, shape (runs, clusters): the score of a run minus the one without it,
            0 where the run was not tested on it.
        share: of each cluster, its fraction of the test examples, shape (clusters,), sum 1.
    Raises:
        ShapeError: if the shapes do not fit each other, or there are fewer than 2 clusters.
    """

    parts: Mapping[str, NDArray[np.float64]]
    share: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        n_clusters = len(self.share)
        wrong = {name: part.shape for name, part in self.parts.items() if part.ndim != 2 or part.shape[1] != n_clusters}
        if n_clusters < 2 or wrong:
            raise ShapeError(
                f"clusters: expected 2 or more, parts of shape (runs, {n_clusters}), got {wrong or n_clusters}."
            )

    @property
    def effective(self) -> float:
        """How many clusters of equal size would say as much: 1 / sum of squared shares.

        Example:
            >>> Clusters({}, np.array([0.5, 0.25, 0.25])).effective
            2.6666666666666665
        """
        return float(1 / (self.share**2).sum())
