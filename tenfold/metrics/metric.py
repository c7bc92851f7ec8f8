"""What a metric is called, its unit and its direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Metric"]


@dataclass(frozen=True)
class Metric:
    """The description of a metric; the functions of this package compute values.

    Attributes:
        name: the identifier in the record, as scikit-learn spells it where scikit-learn has the metric.
        label: the name for people, in tables and figures.
        unit: "%" for a fraction that is shown in percent, "nats" for a cross-entropy, "" for a plain number.
        higher_is_better: False for losses and errors.
        primary: the metric by which models are compared; one per task.
    Example:
        >>> Metric("f1_macro", "F1, mean over classes", "%", higher_is_better=True).primary
        False
    """

    name: str
    label: str
    unit: Literal["%", "nats", ""]
    higher_is_better: bool
    primary: bool = False
