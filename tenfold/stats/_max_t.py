"""Step-down max-T: p-values of all pairs at once, corrected for their number by joint sign flips."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tenfold.errors import ShapeError
from tenfold.stats._sign_flips import sign_flips

_TIE = 1e-9  # statistics lie between 0 and sqrt(runs); a smaller difference is rounding
_BLOCK = 2_000_000  # numbers held at once


def max_t(differences: ArrayLike, *, seed: int = 0) -> NDArray[np.float64]:
    """Two-sided p-values of all columns, corrected to control the probability of any false positive.

    The signs of a repeat are flipped for all pairs together, which keeps the dependence between pairs. The corrected p
    of a pair is the fraction of flips in which the largest statistic of this pair and all weaker ones reaches the
    observed statistic of the pair. The statistic is |sum d| / sqrt(sum d^2). For a fixed number of runs it increases
    with Student's |t|, so the order and every p are those of the studentised test, but it never divides by zero: a
    constant difference gives the largest possible value, sqrt(runs), and equal models give 0. The uncorrected p of a
    column is ``max_t`` of that column alone.

    Args:
        differences: shape (runs, pairs), first minus second; NaN where a pair has no score in that run.
        seed: for the random sign flips above 15 runs.
    Returns:
        Corrected p-values, shape (pairs,); none is below ``minimum_p(runs)``, whatever the number of pairs.
    Raises:
        ShapeError: if the shape of the differences is not (runs, pairs), with at least one of each.
    Example:
        >>> clear = [0.031, 0.028, 0.035, 0.030, 0.027, 0.033]
        >>> noise = [0.010, -0.012, 0.004, -0.003, 0.008, -0.006]
        >>> max_t(np.column_stack([clear, noise])).round(3).tolist()
        [0.031, 1.0]

    Source: Westfall and Young 1993, algorithm 4.1; Romano and Wolf 2005, JASA 100. The sign flips are
        exact where the noise of all models together is symmetric about its mean.
    """
    array = np.asarray(differences, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise ShapeError(f"differences: expected shape (runs, pairs) with at least one of each, got {array.shape}.")
    array = np.nan_to_num(array)  # a missing difference adds nothing to either sum
    norm = np.sqrt((array**2).sum(axis=0))
    scaled = array / np.where(norm > 0, norm, 1.0)
    observed = np.abs(scaled.sum(axis=0))
    order = np.argsort(-observed, kind="stable")
    scaled, observed = scaled[:, order], observed[order]
    flips = sign_flips(array.shape[0], seed)
    counts = np.zeros(observed.size)
    for block in np.array_split(flips, -(-flips.shape[0] * observed.size // _BLOCK)):
        flipped = np.abs(block.astype(np.float64) @ scaled)  # (flips, pairs)
        largest = np.maximum.accumulate(flipped[:, ::-1], axis=1)[:, ::-1]  # of this pair and all after it
        counts += (largest >= observed - _TIE).sum(axis=0)
    p = np.empty(observed.size)
    p[order] = np.maximum.accumulate(counts / flips.shape[0])
    return p
