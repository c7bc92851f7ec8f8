"""How much repeats have in common that draw their data from one pool."""

from __future__ import annotations

from tenfold.errors import RequestError


def shared_pool_ratio(*, n_test: int, n_pool: int) -> float:
    """The ``test_over_train`` of repeats that each draw training and test examples from one pool.

    Two repeats have on average n_test / n_pool of their test examples in common; taking that for the correlation rho
    between repeats, the variance of a mean is s^2 (1/n + rho / (1 - rho)), and rho / (1 - rho) = n_test / (n_pool -
    n_test). Where every repeat uses the whole pool this is n_test / n_train, the ratio of Nadeau and Bengio. Where it
    uses a part, n_test / n_train would be far too careful: with 80 + 40 of 400 examples two equal models are called
    different in under 1 % of all studies instead of 5 %, against 4 to 5 % with this ratio (``docs/statistics.md``).

    Args:
        n_test: test examples of one repeat. Count what is drawn: for pairs of images, images.
        n_pool: examples in the pool, all that a repeat could draw for training or test.
    Returns:
        The ratio, above 0.
    Raises:
        RequestError: if not 0 < n_test < n_pool.
    Example:
        >>> shared_pool_ratio(n_test=50, n_pool=200) == 50 / 150
        True

    Source: Nadeau and Bengio 2003, with the overlap of test sets drawn from a larger pool; checked by
        simulation in tests/stats/test_calibration.py.
    """
    if not 0 < n_test < n_pool:
        raise RequestError(
            f"Expected fewer test examples than the pool has, and at least one: got n_test={n_test!r}, "
            f"n_pool={n_pool!r}."
        )
    return n_test / (n_pool - n_test)
