"""All ways to swap two equal models in some of the repeats: the sign patterns of the permutation tests."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tenfold.errors import RequestError

EXACT_RUNS = 15
"""Up to this number of runs all sign patterns are used: 16,384 for 15 runs, as in Fisher's test of Darwin's maize."""

RANDOM_FLIPS = 10_000
"""Number of random patterns for more runs."""


@lru_cache(maxsize=4)
def sign_flips(n_runs: int, seed: int) -> NDArray[np.int8]:
    """Patterns of +1 and -1, shape (flips, runs); the first is all +1, the data unchanged.

    A pattern and its opposite give the same absolute mean, so only those with + in the first run are listed: half the
    work, the same p. Counting the first row too is the +1 rule of Phipson and Smyth (2010), without which random
    patterns could give p = 0.

    Args:
        n_runs: number of runs, at least 1.
        seed: for the random patterns above ``EXACT_RUNS`` runs; otherwise not used.
    """
    if n_runs <= EXACT_RUNS:
        codes = np.arange(2 ** (n_runs - 1))[:, None]
        minus = codes >> np.arange(n_runs) & 1  # (flips, runs); the last bit is never set
        minus = minus[:, ::-1]  # so that the first run is never flipped
    else:
        minus = np.random.default_rng(seed).integers(0, 2, size=(RANDOM_FLIPS + 1, n_runs))
        minus[0] = 0
    flips = (1 - 2 * minus).astype(np.int8)
    flips.flags.writeable = False  # the array is shared by all callers
    return flips


def minimum_p(n_repeats: int) -> float:
    """The smallest p-value that sign flips can give, however large the difference: 2 / 2^n, never below 1 / 10,001.

    Args:
        n_repeats: repeats in which the two models differ, 0 or more.
    Returns:
        The p-value if one model is far better in every repeat.
    Raises:
        RequestError: if the number is negative.
    Example:
        >>> minimum_p(5), minimum_p(6)
        (0.0625, 0.03125)

    Source: Fisher 1935, The Resampling of Experiments, section 21.
    """
    if n_repeats < 0:
        raise RequestError(f"n_repeats: expected 0 or more, got {n_repeats}.")
    if n_repeats > EXACT_RUNS:
        return 1 / (RANDOM_FLIPS + 1)
    return min(1.0, 2.0 / 2**n_repeats)
