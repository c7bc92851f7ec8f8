"""The siamese part of the models for pairs: one branch for both images, or one for each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["Branches", "ComparisonHead"]


class Branches(nn.Module):
    """Apply a branch to each of two images: (batch, 2, height, width) -> (batch, 2, features).

    Args:
        make: builds a branch that takes (batch, 1, height, width) and gives (batch, features).
        shared: one branch for both images (in one call, as a batch of twice the size), or one for each image.
    """

    def __init__(self, make: Callable[[], nn.Module], *, shared: bool) -> None:
        super().__init__()
        self.branches = nn.ModuleList([make() for _ in range(1 if shared else 2)])

    def forward(self, pairs: Tensor) -> Tensor:
        batch, _, height, width = pairs.shape
        if len(self.branches) == 1:
            features = self.branches[0](pairs.reshape(2 * batch, 1, height, width))  # (2 * batch, features)
            return features.reshape(batch, 2, -1)
        return torch.stack([branch(pairs[:, i : i + 1]) for i, branch in enumerate(self.branches)], dim=1)


class ComparisonHead(nn.Module):
    """Features of two images (batch, 2, features) -> comparison logits (batch, 2), and class logits if wanted.

    Args:
        features: of one image.
        hidden: sizes of the hidden layers of the comparison.
        n_classes: classes for the auxiliary outputs; None for none.
    """

    def __init__(self, features: int, hidden: tuple[int, ...], *, n_classes: int | None) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        size = 2 * features
        for width in hidden:
            layers += [nn.Linear(size, width), nn.ReLU()]
            size = width
        self.compare = nn.Sequential(*layers, nn.Linear(size, 2))
        self.classify = None if n_classes is None else nn.Linear(features, n_classes)

    def forward(self, features: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        logits = self.compare(features.flatten(1))
        return logits if self.classify is None else (logits, self.classify(features))
