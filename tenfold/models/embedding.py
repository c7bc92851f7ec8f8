"""Embeddings of one image, to compare by distance: Koch, Conv-4 and a residual network. For one run."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.errors import RequestError

__all__ = ["Conv4Embedding", "KochEmbedding", "ResidualEmbedding"]


class KochEmbedding(nn.Module):
    """Four convolutions (three with pooling), a dense layer: (batch, n_channels, size, size) -> (batch, dimension).

    Source: Koch, Zemel, Salakhutdinov 2015, figure 4: for 105 x 105 pixels, with 64, 128, 128, 256 channels, kernels of
    10, 7, 4, 4, and a dense layer of 4096. Ours is smaller, for small images: fewer channels, smaller kernels, and zero
    padding, so that small maps lose no rows and columns. The output is not normalised. Pooling comes before the ReLU,
    which gives the same values with a quarter of the work.

    Args:
        size: side of an image in pixels. Maps of one pixel are not pooled.
        n_channels: of an image, 1 or 3.
        dimension: of the embedding.
        channels: of the four convolutions. Our choice.
        kernels: sides of the four kernels, odd. Our choice.
        sigmoid: end with a sigmoid, as the original does for its weighted L1 distance. Off by default: at the start
            all embeddings would be near (0.5, 0.5, ...), with the same direction, which the cosine cannot distinguish.
        dropout: rate before the dense layer; None for no dropout layer.
    Raises:
        RequestError: if a kernel is even, or there are not as many kernels as channels.
    """

    def __init__(
        self,
        *,
        size: int = 28,
        n_channels: int = 1,
        dimension: int = 20,
        channels: Sequence[int] = (16, 24, 32, 64),
        kernels: Sequence[int] = (5, 3, 3, 3),
        sigmoid: bool = False,
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        if len(channels) != len(kernels) or not all(kernel % 2 for kernel in kernels):
            raise RequestError(
                f"channels and kernels: expected as many odd kernels as channels, got channels {list(channels)} and "
                f"kernels {list(kernels)}"
            )
        layers: list[nn.Module] = []
        before, side = n_channels, size
        for depth, (after, kernel) in enumerate(zip(channels, kernels, strict=True)):
            layers.append(nn.Conv2d(before, after, kernel, padding=kernel // 2))
            if depth < len(channels) - 1 and side > 1:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            layers.append(nn.ReLU())
            before = after
        layers += [nn.Flatten(), *_dropout(dropout), nn.Linear(before * side * side, dimension)]
        self.layers = nn.Sequential(*layers, *([nn.Sigmoid()] if sigmoid else []))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Conv4Embedding(nn.Module):
    """Four blocks of convolution, batch norm, pooling, ReLU: (batch, n_channels, size, size) -> (batch, dimension).

    Source: Vinyals et al. 2016, section 4.1; Snell et al. 2017, section 3.1: 64 channels, and for 28 x 28 pixels the
    flattened maps are an embedding of 64. They pool after the ReLU; pooling before it gives the same values with a
    quarter of the work. The convolutions have no bias: batch norm has it.

    Args:
        size: side of an image in pixels. Maps of one pixel, as in the last block for sizes below 16, are not pooled.
        n_channels: of an image, 1 or 3.
        dimension: of a dense layer at the end; None, as published, for the flattened maps: channels x side x side, with
            the side halved four times and rounded down.
        channels: of every block.
        normalised: scale every embedding to length 1.
        dropout: rate after the last block; None for no dropout layer.
    """

    def __init__(
        self,
        *,
        size: int = 28,
        n_channels: int = 1,
        dimension: int | None = None,
        channels: int = 64,
        normalised: bool = False,
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        side = size
        for before in (n_channels, channels, channels, channels):
            layers += [nn.Conv2d(before, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)]
            if side > 1:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            layers.append(nn.ReLU())
        layers += [nn.Flatten(), *_dropout(dropout)]
        if dimension is not None:
            layers.append(nn.Linear(channels * side * side, dimension))
        self.layers = nn.Sequential(*layers)
        self.normalised = normalised

    def forward(self, images: Tensor) -> Tensor:
        embedding = self.layers(images)
        return F.normalize(embedding, dim=1) if self.normalised else embedding


class ResidualEmbedding(nn.Module):
    """A small residual network: (batch, n_channels, size, size) -> (batch, dimension).

    A strided first convolution, then one stage of ``blocks`` residual blocks for each of ``channels``, strided from the
    second stage on, the mean over all positions, and a dense layer. Our own arrangement of the blocks of He et al.
    2016, figure 2. It has about as many multiplications as Conv-4 and takes three quarters of its time on a CPU,
    because nothing is computed at full size, where batch norm and ReLU cost more than the convolution.

    Args:
        size: side of an image in pixels. Any size: the network ends with a mean over positions.
        n_channels: of an image, 1 or 3.
        dimension: of the embedding.
        channels: of the stages.
        blocks: in every stage.
        normalised: scale every embedding to length 1.
        dropout: rate before the dense layer; None for no dropout layer.
    """

    def __init__(
        self,
        *,
        size: int = 28,
        n_channels: int = 1,
        dimension: int = 64,
        channels: Sequence[int] = (32, 64, 128),
        blocks: int = 1,
        normalised: bool = False,
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        del size  # an argument of every embedding, so that a task can pass it
        before = channels[0]
        layers = [nn.Conv2d(n_channels, before, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(before), nn.ReLU()]
        for stage, after in enumerate(channels):
            for block in range(blocks):
                layers.append(_Residual(before, after, stride=2 if stage > 0 and block == 0 else 1))
                before = after
        self.maps = nn.Sequential(*layers)
        self.head = nn.Sequential(*_dropout(dropout), nn.Linear(before, dimension))
        self.normalised = normalised

    def forward(self, images: Tensor) -> Tensor:
        embedding = self.head(self.maps(images).mean((2, 3)))
        return F.normalize(embedding, dim=1) if self.normalised else embedding


class _Residual(nn.Module):
    """ReLU(change(x) + x); change is two convolutions. If the shapes differ, x gets a 1 x 1 convolution."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.keep: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.keep = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))
        self.activate = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        return self.activate(self.change(maps) + self.keep(maps))


def _dropout(rate: float | None) -> list[nn.Module]:
    return [] if rate is None else [nn.Dropout(rate)]
