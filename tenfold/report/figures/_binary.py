"""Predictions of a two-class task by arm, as two figures need them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.report.figures._canvas import best_arms
from tenfold.results import Arm, Results

__all__ = ["binary_predictions", "class_names"]


def binary_predictions(results: Results) -> Iterator[tuple[Arm, np.ndarray, np.ndarray]]:
    """Arm, P(target 1) and target, both (runs, examples), best arm first; arms without such predictions are left out.

    Runs whose probabilities are not finite (diverged ones) are left out.
    """
    for arm in best_arms(results):
        arrays = results.predictions(arm.model)
        if arrays is None or not {"probability", "target"} <= arrays.keys():
            continue
        probability, target = arrays["probability"], arrays["target"]
        if probability.ndim != 2 or probability.shape != target.shape:
            continue
        diverged = {run.repeat for run in results.runs if run.arm == arm and run.status == "diverged"}
        mine = np.isfinite(probability).all(1)
        if "repeat" in arrays:
            mine &= ~np.isin(arrays["repeat"], list(diverged))
        if "setting" in arrays:
            mine &= arrays["setting"] == arm.setting
        if mine.any():
            yield arm, probability[mine], target[mine]


def class_names(results: Results) -> tuple[str, str]:
    """Words for target 0 and target 1."""
    kind = (results.study.get("task") or {}).get("kind")
    return ("first > second", "first ≤ second") if kind == "compare-pairs" else ("0", "1")
