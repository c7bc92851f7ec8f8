"""The sources of the variance between repeats."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tenfold.errors import DataError, RequestError
from tenfold.stats._paired import as_scores, deviation, present


@dataclass(frozen=True)
class VarianceSplit:
    """Variance of one model's score between repeats, in parts.

    Attributes:
        total: sample variance over repeats (n - 1); NaN below 2 runs.
        test_set: the part due to the size of the test set alone, mean of p (1 - p) / n_test.
        seed_and_split: the rest: initial weights, order, and which examples were drawn for training. Never below 0.
        test_set_share: test_set / total, at most 1; NaN if total is 0 or unknown.
        n_test: test examples in one repeat.
        shared_test: whether all repeats were tested on the same examples.
        sentence: the split in plain words.
    """

    total: float
    test_set: float
    seed_and_split: float
    test_set_share: float
    n_test: int
    shared_test: bool
    sentence: str


def split_variance(scores: ArrayLike, *, n_test: int, shared_test: bool = False) -> VarianceSplit:
    """Split the variance of a fraction of correct answers into the part of the test set and the rest.

    A model that is correct with probability p scores p on average, with variance p (1 - p) / n_test from the draw of
    the test examples alone; an unbiased estimate from scores s is the mean of s (1 - s) / (n_test - 1). If every repeat
    has its own test examples, this is part of the observed variance; if all share one test set, it comes in addition.

    Args:
        scores: fractions (such as accuracies), shape (runs,), between 0 and 1; missing ones are left out.
        n_test: test examples in one repeat, at least 2.
        shared_test: True if all repeats are tested on the same examples.
    Returns:
        VarianceSplit. Seed and split cannot be separated with one run per split.
    Raises:
        ShapeError: if the scores are not of shape (runs,).
        DataError: if a score lies outside 0..1.
        RequestError: if n_test is below 2.
    Example:
        >>> split = split_variance([0.80, 0.82, 0.78, 0.81, 0.79], n_test=1000)
        >>> print(split.sentence)  # doctest: +NORMALIZE_WHITESPACE
        Scores deviate by 1.6 percentage points between repeats; 64 % of that variance is the size of the test set
        (1000 examples), the rest seed and split.

    Source: the binomial variance; Bouthillier et al. 2021, Accounting for variance in machine learning benchmarks.
    """
    values = present(as_scores(scores))
    if n_test < 2:
        raise RequestError(f"n_test: expected the number of test examples of one repeat, 2 or more, got {n_test!r}.")
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise DataError(
            f"split_variance needs fractions of correct answers between 0 and 1, got values from {values.min():g} to "
            f"{values.max():g}. A loss, or a score in percent, cannot be split this way."
        )
    test_set = float(np.mean(values * (1 - values)) / (n_test - 1)) if values.size else math.nan
    total = deviation(values) ** 2
    rest = total if shared_test else max(total - test_set, 0.0)
    share = min(test_set / total, 1.0) if total > 0 else math.nan
    return VarianceSplit(
        total, test_set, rest, share, n_test, shared_test, _told(total, test_set, share, n_test, shared_test)
    )


def _told(total: float, test_set: float, share: float, n_test: int, shared_test: bool) -> str:
    if math.isnan(total):
        return "One run or none: no spread between repeats to split."
    deviation = f"Scores deviate by {100 * math.sqrt(total):.1f} percentage points between repeats"
    if shared_test:
        own = 100 * math.sqrt(test_set)
        return f"{deviation}, from seed and split; the one test set ({n_test} examples) hides another {own:.1f}."
    if math.isnan(share):
        return "All repeats have the same score: no spread to split."
    return (
        f"{deviation}; {100 * share:.0f} % of that variance is the size of the test set ({n_test} examples), the rest "
        "seed and split."
    )
