"""Perplexity."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn, tensor

from tenfold.errors import DataError
from tenfold.metrics import perplexity


def test_it_is_the_exponential_of_the_mean_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(3, 40, 7)), rng.integers(0, 7, (3, 40))
    summed = nn.CrossEntropyLoss(reduction="none")(tensor(logits).transpose(1, 2), tensor(target)).sum(1).numpy()
    probability = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    true = np.take_along_axis(probability, target[..., None], -1)[..., 0]
    np.testing.assert_allclose(perplexity(summed, np.array([40, 40, 40])), 1 / np.exp(np.log(true).mean(1)))


def test_guessing_evenly_gives_the_number_of_tokens() -> None:
    np.testing.assert_allclose(perplexity(np.array([5 * np.log(10_000)]), 5), 10_000)


def test_no_token_is_nan_and_a_huge_loss_is_infinity() -> None:
    values = perplexity(np.array([0.0, 1e6, np.nan, 2.0]), np.array([0, 1, 1, 2]))
    np.testing.assert_allclose(values, [np.nan, np.inf, np.nan, np.e])


def test_a_negative_number_of_tokens_is_refused() -> None:
    with pytest.raises(DataError, match="n_tokens"):
        perplexity(np.array([1.0]), -1)
