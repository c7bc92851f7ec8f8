"""How much data there is, in words for people."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

__all__ = ["classes_and_groups", "in_each_repeat"]

_USES: dict[str, str] = {"train": "to train on", "validation": "for validation", "test": "to test"}


def classes_and_groups(labels: Tensor | None, groups: Tensor | None = None) -> dict[str, int]:
    """How many classes and groups occur, without those that are not given.

    Example:
        >>> import torch
        >>> classes_and_groups(torch.tensor([0, 2, 2]), torch.tensor([0, 0, 0]))
        {'classes': 2, 'groups': 1}
    """
    found = {"classes": labels, "groups": groups}
    return {word: len(numbers.unique()) for word, numbers in found.items() if numbers is not None}


def in_each_repeat(amounts: Mapping[str, int], items: str) -> dict[str, int]:
    """Items of each part of a repeat, by words.

    Example:
        >>> in_each_repeat({"train": 80, "validation": 0, "test": 20}, "windows")
        {'windows to train on': 80, 'windows to test': 20}
    """
    return {f"{items} {_USES[part]}": amount for part, amount in amounts.items() if amount}
