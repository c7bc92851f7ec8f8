"""Metrics of trained runs: NumPy arrays in, one number per run out. Runs come first in every array; never torch.

Fractions are from 0 to 1. One file per kind of prediction; the metrics of retrieval are in ``tenfold.retrieval``.
"""

from tenfold.metrics.classification import ClassCounts as ClassCounts
from tenfold.metrics.classification import accuracy as accuracy
from tenfold.metrics.classification import balanced_accuracy as balanced_accuracy
from tenfold.metrics.classification import confusion_counts as confusion_counts
from tenfold.metrics.classification import f1_binary as f1_binary
from tenfold.metrics.classification import f1_macro as f1_macro
from tenfold.metrics.classification import precision_and_recall as precision_and_recall
from tenfold.metrics.language import perplexity as perplexity
from tenfold.metrics.metric import Metric as Metric
from tenfold.metrics.ranking import roc_auc as roc_auc
from tenfold.metrics.reconstruction import mean_squared_error as mean_squared_error

__all__ = [
    "ClassCounts",
    "Metric",
    "accuracy",
    "balanced_accuracy",
    "confusion_counts",
    "f1_binary",
    "f1_macro",
    "mean_squared_error",
    "perplexity",
    "precision_and_recall",
    "roc_auc",
]
