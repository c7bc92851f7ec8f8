"""Predictions of a two-class task by variant, as two figures need them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.record import Reader, Variant
from tenfold.report.figures._predictions import PAIRS, sound_runs

__all__ = ["binary_predictions", "class_names"]


def binary_predictions(results: Reader) -> Iterator[tuple[Variant, np.ndarray, np.ndarray]]:
    """Variant, P(target 1) and target, both (runs, examples), best variant first; variants without such predictions are left out.

    Runs whose probabilities are not finite (diverged ones) are left out.
    """
    for variant, arrays in sound_runs(results, PAIRS, "probability", "target"):
        probability, target = arrays["probability"], arrays["target"]
        if probability.ndim != 2 or probability.shape != target.shape:
            continue
        finite = np.isfinite(probability).all(1)
        if finite.any():
            yield variant, probability[finite], target[finite]


def class_names(results: Reader) -> tuple[str, str]:
    """Words for target 0 and target 1."""
    kind = (results.study.get("task") or {}).get("kind")
    return ("first > second", "first ≤ second") if kind == "compare-pairs" else ("0", "1")
