"""A module of one's own: any nn.Module that takes (batch, 2, height, width) and gives logits (batch, 2)."""

import torch
from torch import Tensor, nn


class MyNet(nn.Module):
    """The energy of each image behind a few filters, weighed; the one with less is the flatter."""

    def __init__(self, filters: int = 4) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, filters, 3)
        self.weigh = nn.Linear(filters, 1)

    def forward(self, pairs: Tensor) -> Tensor:
        images = pairs.flatten(0, 1).unsqueeze(1)  # (batch * 2, 1, height, width)
        energy = self.filters(images).square().mean((2, 3))  # (batch * 2, filters)
        contrast = self.weigh(energy).view(-1, 2)  # (batch, 2)
        flatter = contrast[:, 1] - contrast[:, 0]
        return torch.stack([-flatter, flatter], dim=1)
