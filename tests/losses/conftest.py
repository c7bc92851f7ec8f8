"""Distances and triplets by slow and obvious loops."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor


def apart(first: Tensor, second: Tensor, name: str) -> Tensor:
    if name == "cosine":
        return 1 - (first @ second) / (first.norm() * second.norm())
    squared = sum((a - b) ** 2 for a, b in zip(first, second, strict=True))
    assert isinstance(squared, Tensor)
    return squared if name == "squared-euclidean" else squared.sqrt()


def triplets(embeddings: Tensor, margin: float, mining: str, name: str, numbers: Tensor | None) -> list[tuple]:
    """(anchor, positive, negative) that a mining chooses, as indices into the flat batch."""
    images = embeddings.shape[1]
    batch = embeddings.detach().flatten(0, 1)
    d = [[float(apart(a, b, name)) for b in batch] for a in batch]
    given = iter([] if numbers is None else numbers.flatten().numpy())
    found = []
    for a in range(len(batch)):
        same = [i for i in range(len(batch)) if i // images == a // images and i != a]
        others = [i for i in range(len(batch)) if i // images != a // images]
        if mining == "batch-hard" and same and others:
            found.append((a, max(same, key=lambda i: d[a][i]), min(others, key=lambda i: d[a][i])))
        for p in same if mining != "batch-hard" else []:
            violating = [n for n in others if d[a][n] < d[a][p] + margin]
            if mining in ("random", "informative"):
                number, among = next(given), others if mining == "random" else violating
                found += [(a, p, among[int(number * np.float32(len(among)))])] if among else []
            elif mining == "semi-hard":
                farther = [n for n in violating if d[a][n] > d[a][p]]
                found += [(a, p, min(farther, key=lambda i: d[a][i]))] if farther else []
            elif mining == "hardest":
                found += [(a, p, min(others, key=lambda i: d[a][i]))] if others else []
            else:
                found += [(a, p, n) for n in violating]
    return found


def triplet_loss(
    embeddings: Tensor, *, margin: float, mining: str, distance: str, numbers: Tensor | None = None
) -> Tensor:
    chosen = triplets(embeddings, margin, mining, distance, numbers)
    batch = embeddings.flatten(0, 1)
    losses = [
        (margin + apart(batch[a], batch[p], distance) - apart(batch[a], batch[n], distance)).relu()
        for a, p, n in chosen
    ]
    return torch.stack(losses).mean() if losses else embeddings.sum() * 0


@pytest.fixture(scope="session")
def slow() -> SimpleNamespace:
    return SimpleNamespace(apart=apart, triplets=triplets, triplet_loss=triplet_loss)
