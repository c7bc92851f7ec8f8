"""Runs that lie far from the others of their model: a mean over few repeats cannot carry them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tenfold.stats._paired import as_scores

FEWEST = 5
"""Below so many runs nothing is called far from the others."""


def collapsed(scores: ArrayLike, *, higher_is_better: bool = True) -> NDArray[np.int64]:
    """Which runs are far worse than all others of their model.

    At most a third of the runs, separated from the rest by more than twice the range of the rest. Ten normal scores
    have such a gap in fewer than 1 of 1,000 studies.

    Args:
        scores: of one model, shape (runs,); NaN for a missing one.
        higher_is_better: False for a loss.
    Returns:
        Indexes of these runs, in order; empty where there is none.
    Raises:
        ShapeError: if the scores are not of shape (runs,).
    Example:
        >>> collapsed([0.90, 0.88, 0.91, 0.89, 0.52, 0.90]).tolist(), collapsed([0.90, 0.88, 0.91, 0.86, 0.9]).tolist()
        ([4], [])
    """
    values = as_scores(scores)
    present = np.flatnonzero(~np.isnan(values))
    if present.size < FEWEST:
        return present[:0]
    sign = 1.0 if higher_is_better else -1.0
    order = present[np.argsort(sign * values[present], kind="stable")]
    ordered = sign * values[order]
    for count in range(present.size // 3, 0, -1):
        rest = ordered[-1] - ordered[count]
        if rest > 0 and ordered[count] - ordered[count - 1] > 2 * rest:
            return np.sort(order[:count])
    return present[:0]
