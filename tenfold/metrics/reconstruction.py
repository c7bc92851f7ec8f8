"""Metrics of reconstructions, such as the outputs of an autoencoder."""

from __future__ import annotations

import numpy as np

from tenfold.errors import ShapeError

__all__ = ["mean_squared_error"]


def mean_squared_error(output: np.ndarray, target: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Squared difference, averaged over the examples of a run and all their values; in squared units of the target.

    Args:
        output: shape (runs, examples, ...).
        target: the same shape, or (examples, ...) where all runs have the same targets.
        valid: bool, shape (runs, examples): the examples to use; None uses all.
    Returns:
        float64, shape (runs,); NaN where a run has no example.
    Raises:
        ShapeError: if the shapes do not fit.
    Example:
        >>> mean_squared_error(np.array([[[0.0, 2.0]], [[1.0, 1.0]]]), np.array([[1.0, 1.0]])).tolist()
        [1.0, 0.0]
    """
    output, target = np.asarray(output), np.asarray(target)
    used = np.ones(output.shape[:2], dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
    shared = target.shape == output.shape[1:]
    if output.ndim < 2 or not (shared or target.shape == output.shape) or used.shape != output.shape[:2]:
        raise ShapeError(
            "expected output (runs, examples, ...), target of the same shape or (examples, ...), "
            f"valid (runs, examples); got {output.shape}, {target.shape} and {used.shape}"
        )
    errors = np.full(len(output), np.nan)
    for run in range(len(output)):  # one run at a time: no float64 copy of all outputs
        truth = (target if shared else target[run])[used[run]]
        if truth.size:
            errors[run] = np.square(output[run, used[run]].astype(np.float64) - truth).mean()
    return errors
