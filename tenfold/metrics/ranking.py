"""Metrics of scores that rank examples of two classes."""

from __future__ import annotations

import numpy as np

from tenfold.errors import DataError, ShapeError

__all__ = ["roc_auc"]


def roc_auc(score: np.ndarray, target: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Area under the ROC curve: how often an example of class 1 has a larger score than one of class 0; ties count 1/2.

    Args:
        score: larger where class 1 is more likely, such as a logit difference or a probability; (runs, examples).
        target: 0 or 1, shape (runs, examples).
        valid: bool, shape (runs, examples): the examples to use; None uses all.
    Returns:
        Shape (runs,); NaN where a run has examples of one class only, or a score that is not finite.
    Raises:
        ShapeError: if the arrays do not have one shape (runs, examples).
        DataError: if a target that is used is neither 0 nor 1.
    Example:
        >>> roc_auc(np.array([[0.1, 0.4, 0.35, 0.8]]), np.array([[0, 0, 1, 1]])).tolist()
        [0.75]

    Source: Mann and Whitney 1947; Hanley and McNeil 1982.
    """
    from scipy.stats import rankdata  # here, since reading a study needs the names of metrics only

    score, target = np.asarray(score), np.asarray(target)
    used = np.ones(target.shape, dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
    if score.ndim != 2 or not score.shape == target.shape == used.shape:
        raise ShapeError(
            "score, target and valid: expected one shape (runs, examples), "
            f"got {score.shape}, {target.shape} and {used.shape}"
        )
    if not np.isin(target[used], (0, 1)).all():
        raise DataError(f"target: expected 0 or 1, got {np.setdiff1d(target[used], (0, 1))[0]}")
    areas = np.full(len(score), np.nan)
    for run in range(len(score)):
        values, positives = score[run, used[run]], target[run, used[run]] == 1
        n_positive = int(positives.sum())
        n_negative = len(positives) - n_positive
        if n_positive and n_negative and np.isfinite(values).all():
            rank_sum = rankdata(values)[positives].sum()
            areas[run] = (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)
    return areas
