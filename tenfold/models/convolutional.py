"""Convolutional siamese networks for pairs: Siamese CNN 1, 2, 3 and Deep Siamese CNN. For one run."""

from __future__ import annotations

from torch import Tensor, nn

from tenfold.models._branches import Branches, ComparisonHead

__all__ = ["DeepSiameseCNN", "SiameseCNN"]


class SiameseCNN(nn.Module):
    """Three convolutional layers per branch: (batch, 2, size, size) -> logits, or logits and class logits.

    Kernels are 3 x 3. Pooling comes before the ReLU, which gives the same values with a quarter of the work. The
    published text does not give channels and units; the defaults are our choice.

    Args:
        size: side of an image in pixels.
        n_classes: classes of the auxiliary outputs.
        shared: one branch for both images (2, 3) or one for each (1).
        pooling: max pooling after the first two layers (3).
        auxiliary_outputs: also give class logits for both images (3).
        dropout: rate before the last layers (3); None for no dropout layer.
        channels: of the three layers.
        features: units of the dense layer at the end of a branch.
    """

    def __init__(
        self,
        *,
        size: int = 14,
        n_classes: int = 10,
        shared: bool = True,
        pooling: bool = False,
        auxiliary_outputs: bool = False,
        dropout: float | None = None,
        channels: tuple[int, ...] = (8, 16, 32),
        features: int = 64,
    ) -> None:
        super().__init__()

        def branch() -> nn.Module:
            layers: list[nn.Module] = []
            before, side = 1, size
            for depth, after in enumerate(channels):
                layers.append(nn.Conv2d(before, after, 3, padding=1 if pooling else 0))
                side = side if pooling else side - 2
                if pooling and depth < 2:
                    layers.append(nn.MaxPool2d(2))
                    side //= 2
                layers.append(nn.ReLU())
                before = after
            layers += [nn.Flatten(), nn.Linear(before * side * side, features), nn.ReLU()]
            return nn.Sequential(*layers, *([] if dropout is None else [nn.Dropout(dropout)]))

        self.branches = Branches(branch, shared=shared)
        self.head = ComparisonHead(features, (64,), n_classes=n_classes if auxiliary_outputs else None)

    def forward(self, pairs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.head(self.branches(pairs))


class DeepSiameseCNN(nn.Module):
    """Six convolutional layers that double the channels, batch norm in the middle, dropout, auxiliary outputs.

    (batch, 2, size, size) -> logits (batch, 2) and class logits (batch, 2, classes). The layers have ``first_channels``
    x 1, 2, 4, ... 32 channels; pooling follows the second, fourth and sixth layer. The published text does not give the
    sizes; these are our choice.

    Args:
        size: side of an image in pixels; at least 8.
        n_classes: classes of the auxiliary outputs.
        shared: one branch for both images or one for each.
        dropout: rate after the convolutions.
        first_channels: channels of the first layer.
        features: units of the dense layer at the end of a branch.
    """

    def __init__(
        self,
        *,
        size: int = 14,
        n_classes: int = 10,
        shared: bool = True,
        dropout: float = 0.3,
        first_channels: int = 4,
        features: int = 64,
    ) -> None:
        super().__init__()

        def branch() -> nn.Module:
            layers: list[nn.Module] = []
            before, side = 1, size
            for depth in range(6):
                after = first_channels * 2**depth
                normalised = depth in (2, 3)
                # Batch norm has the bias. The gradient of a bias before it is 0 except for rounding, which Adam would
                # scale to steps of full size.
                layers.append(nn.Conv2d(before, after, 3, padding=1, bias=not normalised))
                if normalised:
                    layers.append(nn.BatchNorm2d(after))
                if depth % 2:
                    layers.append(nn.MaxPool2d(2))
                    side //= 2
                layers.append(nn.ReLU())
                before = after
            layers += [nn.Flatten(), nn.Dropout(dropout), nn.Linear(before * side * side, features), nn.ReLU()]
            return nn.Sequential(*layers)

        self.branches = Branches(branch, shared=shared)
        self.head = ComparisonHead(features, (64,), n_classes=n_classes)

    def forward(self, pairs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.head(self.branches(pairs))
