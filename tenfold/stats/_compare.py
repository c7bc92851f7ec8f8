"""Two models, one metric, paired by repeat: the difference, its test, interval and effect size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from numpy.typing import ArrayLike

from tenfold.errors import RequestError, nearest
from tenfold.stats._corrected_t import corrected_t_test
from tenfold.stats._effect import effect_size, superiority
from tenfold.stats._paired import PairedTest, as_pair, deviation, differences, present
from tenfold.stats._permutation import permutation_test
from tenfold.stats._student import paired_t_test
from tenfold.stats._wilcoxon import wilcoxon_test

PAIRED_TESTS: MappingProxyType[str, Callable[..., PairedTest]] = MappingProxyType(
    {
        "permutation": permutation_test,
        "wilcoxon": wilcoxon_test,
        "t": paired_t_test,
        "corrected-t": corrected_t_test,
    }
)
"""Every paired test by name; each takes differences (runs,), ``level`` and ``seed``, and returns a ``PairedTest``."""


@dataclass(frozen=True)
class Comparison:
    """The comparison of two models, not corrected for other pairs.

    Attributes:
        n: repeats in which both have a score.
        difference: mean of first minus second, same unit as the scores; NaN without a common repeat.
        std: standard deviation of that difference between repeats; NaN below 2 repeats.
        low, high: interval for the mean difference that belongs to the test (see ``PairedTest``).
        level: coverage of the interval.
        p: two-sided p-value.
        effect_size: Cohen's d_z with Hedges' correction, positive where first is higher.
        superiority: fraction of repeats in which first is higher; a tie counts half.
        test: name of the test used.
        notes: what a reader must know, such as repeats that are left out.
    """

    n: int
    difference: float
    std: float
    low: float
    high: float
    level: float
    p: float
    effect_size: float
    superiority: float
    test: str
    notes: tuple[str, ...] = ()


def compare_pair(
    first: ArrayLike,
    second: ArrayLike,
    *,
    test: str = "auto",
    test_over_train: float | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Mean of ``first - second`` over repeats, with a test, its interval and the effect size.

    Args:
        first, second: scores of two models, shape (runs,), same repeats in the same order; NaN for a missing score.
        test: "permutation", "wilcoxon", "t" or "corrected-t". "auto" uses the permutation test for independent
            repeats and the corrected resampled t test if ``test_over_train`` is given.
        test_over_train: n_test / n_train of one repeat where repeats share training data, else None.
        level: coverage of the interval, strictly between 0 and 1.
        seed: for the random sign flips above 15 repeats.
    Returns:
        Comparison; positive means ``first`` is higher.
    Raises:
        ShapeError: if the two differ in length, or either is not of shape (runs,).
        RequestError: if the test is unknown or does not fit the resampling, or the level is out of range.
    Example:
        >>> answer = compare_pair([0.81, 0.80, 0.83, 0.79, 0.82, 0.80], [0.78, 0.79, 0.80, 0.77, 0.80, 0.79])
        >>> round(answer.difference, 3), answer.p, answer.superiority
        (0.02, 0.03125, 1.0)
    """
    test = choose_test(test, test_over_train)
    first, second = as_pair(first, second)
    gaps = present(differences(first, second))
    n, missing = gaps.size, first.size - gaps.size
    notes: tuple[str, ...] = ()
    if missing:
        notes = (
            f"{missing} of {first.size} repeats lack a score of one or both models and are left out. This favours a "
            "model whose worst runs diverge.",
        )
    ratio = {"test_over_train": test_over_train} if test == "corrected-t" else {}
    answer = PAIRED_TESTS[test](gaps, level=level, seed=seed, **ratio)
    return Comparison(
        n=n,
        difference=float(gaps.mean()) if n else math.nan,
        std=deviation(gaps),
        low=answer.low,
        high=answer.high,
        level=level,
        p=answer.p,
        effect_size=effect_size(first, second),
        superiority=superiority(first, second),
        test=test,
        notes=notes + answer.notes,
    )


def choose_test(test: str, test_over_train: float | None) -> str:
    """The name of the test to use for a kind of resampling.

    Raises:
        RequestError: if the name is unknown, or the test does not fit the resampling.
    """
    if test == "auto":
        return "permutation" if test_over_train is None else "corrected-t"
    if test not in PAIRED_TESTS:
        raise RequestError(f"Unknown test '{test}': {nearest(test, [*PAIRED_TESTS, 'auto'])}")
    if test_over_train is not None and test != "corrected-t":
        raise RequestError(
            f"test='{test}' assumes independent repeats, but test_over_train={test_over_train!r} says that they "
            "share training data: use 'auto' or 'corrected-t'."
        )
    if test_over_train is None and test == "corrected-t":
        raise RequestError("test='corrected-t' needs test_over_train = n_test / n_train of one repeat, got None.")
    return test
