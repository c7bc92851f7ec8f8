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
# Inputs that are looked at again after every epoch are gathered once, if all runs' fit into this.
_HOLD_BYTES = 2**28


def evaluate(state: State, part: Part) -> tuple[Any, dict[str, Tensor]]:
    """Outputs (runs, examples, ...) and targets of a part, with the stack in evaluation mode."""
    examples = state.parts[part]
    held = _held(state, part)
    was_training = state.stack.training
    state.stack.eval()
    outputs = []
    with torch.no_grad():
        for start in range(0, examples.n_examples, _CHUNK):
            stop = min(start + _CHUNK, examples.n_examples)
            outputs.append(state.stack(examples.span(start, stop)[0] if held is None else held[:, start:stop]))
    state.stack.train(was_training)
    return join_batches(outputs), examples.targets


def _held(state: State, part: Part) -> Tensor | None:
    """The inputs of a part for all runs (runs, examples, ...), gathered once; None where they are too large to keep."""
    if part not in state.held:
        examples = state.parts[part]
        bytes_needed = examples.index.numel() * examples.items[0].numel() * examples.items.element_size()
        state.held[part] = examples.span(0, examples.n_examples)[0] if bytes_needed <= _HOLD_BYTES else None
    return state.held[part]
