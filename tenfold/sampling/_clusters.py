"""Test examples in a few clusters whose scores the record keeps: what repeats share is measured by them."""

from __future__ import annotations

from torch import Tensor

__all__ = ["MOST_CLUSTERS", "clusters"]

MOST_CLUSTERS = 64
"""More would say little more: Student's quantile is 2.00 with 63 degrees of freedom, 1.96 with any number."""

_SPREAD = 2654435761  # Knuth's multiplicative hash


def clusters(units: Tensor, n_units: int) -> Tensor:
    """A cluster for each unit (a person, an item): units of one cluster are left out of a score together.

    The same unit has the same cluster in every repeat. A few units have one each. Many are spread over all clusters,
    since neighbours in a data set are often alike.

    Args:
        units: numbers from 0, int64, any shape.
        n_units: how many there are in the data.
    Returns:
        Numbers from 0 to ``MOST_CLUSTERS`` - 1, the shape of ``units``.
    """
    return units if n_units <= MOST_CLUSTERS else (units * _SPREAD & 0x7FFFFFFF) % MOST_CLUSTERS
