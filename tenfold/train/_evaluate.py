"""Outputs of all runs on a part of the data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tenfold.tasks import Part
from tenfold.train._state import State, join_batches

__all__ = ["evaluate"]

# Examples of a run in one forward pass: measured best or nearly so for dense, convolutional and recurrent networks
# on a CPU.
_CHUNK = 200


def evaluate(state: State, part: Part) -> tuple[Any, dict[str, Tensor]]:
    """Outputs (runs, examples, ...) and targets of a part, with the stack in evaluation mode."""
    examples = state.parts[part]
    was_training = state.stack.training
    state.stack.eval()
    outputs = []
    with torch.no_grad():
        for start in range(0, examples.n_examples, _CHUNK):
            stop = min(start + _CHUNK, examples.n_examples)
            outputs.append(state.stack(*examples.span(start, stop)[0]))
    state.stack.train(was_training)
    return join_batches(outputs), examples.targets
