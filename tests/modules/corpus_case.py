"""What an entry of the corpus is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

N_FEATURES, N_STEPS, N_TOKENS, VOCABULARY = 8, 4, 5, 6


def features(x: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
    """The first step of every example, (batch, 8)."""
    return (x[:, 0],)


def sequence(x: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
    """All steps, (batch, 4, 8): four channels of eight positions, or four steps of eight features."""
    return (x,)


def image(x: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
    """One channel, (batch, 1, 4, 8)."""
    return (x.unsqueeze(1),)


def volume(x: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
    """One channel, (batch, 1, 4, 4, 2)."""
    return (x.reshape(-1, 1, 4, 4, 2),)


def words(x: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
    """Integers below 6, (batch, 5)."""
    return (tokens,)


def both(x: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
    return x, tokens


def steps(x: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
    """Two inputs, (batch, 8) each."""
    return x[:, 0], x[:, 1]


@dataclass(frozen=True)
class Case:
    """One small module, and what is expected of it.

    Args:
        make: builds it; numbers are drawn from the generators that were seeded before.
        takes: its inputs, of the features and the tokens of a batch.
        refused: the message where it is refused in every placement.
        not_stacked: the message where vmap refuses it, and a loop trains it.
        in_studies: the message where only a study refuses it, whose record could not keep it.
        in_own_loop: the message where only an optimiser over stacked parameters refuses it.
    """

    make: Callable[[], nn.Module]
    takes: Callable[[Tensor, Tensor], tuple[Any, ...]] = features
    refused: str = ""
    not_stacked: str = ""
    in_studies: str = ""
    in_own_loop: str = ""
