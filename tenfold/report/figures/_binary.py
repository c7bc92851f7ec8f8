"""Predictions of a question with two answers by variant; used by two figures."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from tenfold.record import Reader, Variant
from tenfold.report.figures._predictions import sound_runs

__all__ = ["ARRAYS", "binary_predictions", "short_answer"]

ARRAYS = ("probability", "target")


def binary_predictions(results: Reader) -> Iterator[tuple[Variant, np.ndarray, np.ndarray]]:
    """Variants, best first, each with P(target 1) and target, both of shape (runs, examples).

    Variants without such predictions are left out, and runs whose probabilities are not finite.
    """
    for variant, arrays in sound_runs(results, *ARRAYS):
        probability, target = arrays["probability"], arrays["target"]
        if probability.ndim != 2 or probability.shape != target.shape:
            continue
        finite = np.isfinite(probability).all(1)
        if finite.any():
            yield variant, probability[finite], target[finite]


def short_answer(answer: str, first: object = "1st", second: object = "2nd") -> str:
    """An answer with other words for "first" and "second".

    Example:
        >>> short_answer("first > second"), short_answer("first > second", 7, 3), short_answer("same class")
        ('1st > 2nd', '7 > 3', 'same class')
        >>> short_answer("first after second", "second hand", "new")
        'second hand after new'
    """
    words = {"first": str(first), "second": str(second)}
    return re.sub(r"\b(first|second)\b", lambda found: words[found[0]], answer)
