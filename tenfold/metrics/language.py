"""Metrics of language models."""

from __future__ import annotations

import numpy as np

from tenfold.errors import DataError

__all__ = ["perplexity"]


def perplexity(nats: np.ndarray, n_tokens: np.ndarray) -> np.ndarray:
    """exp of the mean negative log-probability per token. 1 is perfect; guessing among V equally likely tokens gives V.

    Args:
        nats: negative natural log-probabilities of the true tokens, summed over the tokens; shape (runs,).
        n_tokens: how many tokens the sum is over; shape (runs,), or one number for all runs.
    Returns:
        float64, shape (runs,); NaN where a run has no token, infinity where the exponential is beyond float64.
    Raises:
        DataError: if a number of tokens is negative.
    Example:
        >>> perplexity(np.array([3 * np.log(50), 0.0]), 3).round(6).tolist()
        [50.0, 1.0]

    Source: Jelinek, Mercer, Bahl, Baker 1977, "Perplexity - a measure of the difficulty of speech recognition tasks".
    """
    nats, n_tokens = np.asarray(nats, dtype=np.float64), np.asarray(n_tokens)
    if (n_tokens < 0).any():
        raise DataError(f"n_tokens: expected 0 or more, got {n_tokens.min()}")
    with np.errstate(over="ignore"):
        return np.exp(nats / np.where(n_tokens > 0, n_tokens, np.nan))
