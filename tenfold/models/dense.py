"""Dense networks for pairs: Baseline and Linear Siamese 1, 2. For one run."""

from __future__ import annotations

from torch import Tensor, nn

from tenfold.models._branches import Branches, ComparisonHead

__all__ = ["Baseline", "LinearSiamese"]


class Baseline(nn.Module):
    """One hidden layer on the flattened pair: (batch, 2, size, size) -> logits (batch, 2).

    Args:
        size: side of an image in pixels.
        hidden: units of the hidden layer. The published text does not give it; 128 is our choice.
    """

    def __init__(self, *, size: int = 14, hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, pairs: Tensor) -> Tensor:
        return self.layers(pairs)


class LinearSiamese(nn.Module):
    """A dense branch for each image, then a dense comparison: (batch, 2, size, size) -> logits (batch, 2).

    Args:
        size: side of an image in pixels.
        shared: one branch for both images (Linear Siamese 2) or one for each (1).
        hidden, features: units of the two layers of a branch. Not given in the published text; our choice.
    """

    def __init__(self, *, size: int = 14, shared: bool = False, hidden: int = 128, features: int = 64) -> None:
        super().__init__()

        def branch() -> nn.Module:
            layers = [nn.Flatten(), nn.Linear(size * size, hidden), nn.ReLU(), nn.Linear(hidden, features), nn.ReLU()]
            return nn.Sequential(*layers)

        self.branches = Branches(branch, shared=shared)
        self.head = ComparisonHead(features, (), n_classes=None)

    def forward(self, pairs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.head(self.branches(pairs))
