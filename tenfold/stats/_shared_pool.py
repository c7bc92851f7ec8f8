"""How much data repeats share that draw their data from one pool."""

from __future__ import annotations

from tenfold.errors import RequestError


def shared_pool_ratio(*, n_test: int, n_pool: int) -> float:
    """The ``test_over_train`` of repeats that each draw training and test examples from one pool.

    Two repeats have on average n_test / n_pool of their test examples in common. With this as the correlation rho
    between repeats, the variance of a mean is s^2 (1/n + rho / (1 - rho)), and rho / (1 - rho) = n_test / (n_pool -
    n_test). If every repeat uses the whole pool, this is n_test / n_train, the ratio of Nadeau and Bengio. If a repeat
    uses a part of it, n_test / n_train is far too conservative: with 80 + 40 of 400 examples two equal models are
    called different in under 1 % of all studies instead of 5 %, and in 4 to 5 % with this ratio
    (``docs/statistics.md``).

    Args:
        n_test: test examples of one repeat. Count the units that are drawn: for pairs of images, images.
        n_pool: examples in the pool: all that a repeat could draw for training or test.
    Returns:
        The ratio, above 0.
    Raises:
        RequestError: if not 0 < n_test < n_pool.
    Example:
        >>> shared_pool_ratio(n_test=50, n_pool=200) == 50 / 150
        True

    Source: Nadeau and Bengio 2003, with the overlap of test sets drawn from a larger pool; checked by simulation in
        tests/stats/test_calibration.py.
    """
    if not 0 < n_test < n_pool:
        raise RequestError(
            f"n_test: expected at least 1 and fewer than n_pool, got n_test={n_test!r}, n_pool={n_pool!r}."
        )
    return n_test / (n_pool - n_test)
