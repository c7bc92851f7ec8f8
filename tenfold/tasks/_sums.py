"""Additive counts of a batch of all runs, for ``Task.sums``, and the metrics that follow from them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold.metrics import ClassCounts, accuracy, balanced_accuracy, f1_macro

__all__ = ["class_metrics", "class_predictions", "class_sums", "counts_by", "nats"]

# With more classes than these the record keeps the likeliest few of every example.
_MOST_CLASSES, _LIKELIEST = 256, 5


def counts_by(index: Tensor, weight: Tensor, size: int) -> Tensor:
    """How much weight falls on each index, per run: float64, shape (runs, size).

    Args:
        index: int64, shape (runs, ...), from 0 to size - 1.
        weight: bool or number, the same shape.
    """
    counts = torch.zeros(len(index), size, dtype=torch.float64, device=index.device)
    return counts.scatter_add_(1, index.flatten(1), weight.flatten(1).double())


def nats(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Summed cross-entropy of the valid examples, per run: float64, shape (runs,).

    Args:
        logits: shape (runs, examples, classes). target, valid: shape (runs, examples).
    """
    losses = F.cross_entropy(logits.flatten(0, 1).double(), target.flatten(), reduction="none")
    return torch.where(valid, losses.view(target.shape), 0.0).sum(1)


def class_sums(logits: Tensor, target: Tensor, valid: Tensor) -> dict[str, Tensor]:
    """Counts of each class, (runs, classes), and the summed cross-entropy, (runs,).

    Memory grows with the number of classes, not with its square, nor with the number of examples.
    """
    n_classes, prediction = logits.shape[-1], logits.argmax(-1)
    return {
        "correct": counts_by(target, valid & (prediction == target), n_classes),
        "actual": counts_by(target, valid, n_classes),
        "predicted": counts_by(prediction, valid, n_classes),
        "nats": nats(logits, target, valid),
    }


def class_metrics(sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Accuracy, F1 and balanced accuracy over classes, and the mean loss, from ``class_sums``: shape (runs,) each."""
    counts = ClassCounts(sums["correct"], sums["actual"], sums["predicted"])
    return {
        "accuracy": accuracy(counts),
        "f1_macro": f1_macro(counts),
        "balanced_accuracy": balanced_accuracy(counts),
        "loss": sums["nats"] / counts.actual.sum(1),
    }


def class_predictions(logits: Tensor, target: Tensor, valid: Tensor) -> dict[str, Tensor]:
    """What the record keeps of classes, runs first: target and prediction, -1 for what only fills up; probabilities.

    Of many classes the likeliest five: "likeliest" (runs, examples, 5) and "likeliest_probability".
    """
    small = torch.int16 if logits.shape[-1] < 2**15 else torch.int32
    kept = {
        "target": torch.where(valid, target, -1).to(small),
        "prediction": torch.where(valid, logits.argmax(-1), -1).to(small),
    }
    probability = logits.float().softmax(-1)
    if logits.shape[-1] <= _MOST_CLASSES:
        return kept | {"class_probability": probability}
    values, classes = probability.topk(_LIKELIEST, dim=-1)
    return kept | {"likeliest": classes.to(small), "likeliest_probability": values}
