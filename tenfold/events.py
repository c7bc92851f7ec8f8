"""What happens while a study runs, for whoever shows progress."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenfold.execute._plan import Plan

__all__ = ["EpochDone", "Event", "ModelDone", "ModelStarted", "Message"]


@dataclass(frozen=True)
class ModelStarted:
    """A model's placement is chosen and its training begins."""

    model: str
    plan: Plan
    n_runs: int
    epochs: int


@dataclass(frozen=True)
class EpochDone:
    """All runs of a model have this epoch behind them; ``scores`` are of the primary metric on the test part, one
    a run.
    """

    model: str
    epoch: int
    scores: np.ndarray


@dataclass(frozen=True)
class ModelDone:
    """A model is in the record. ``scores``: final scores of the primary metric, NaN where a run diverged."""

    model: str
    scores: np.ndarray
    seconds: float
    from_record: bool = False


@dataclass(frozen=True)
class Message:
    """Something worth saying while a study runs."""

    text: str
    model: str = ""


Event = ModelStarted | EpochDone | ModelDone | Message
