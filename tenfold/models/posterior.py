"""Our own model for pairs: classify both images, then compute the comparison from the two posteriors. For one run."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PosteriorComparison"]


class PosteriorComparison(nn.Module):
    """(batch, 2, size, size) -> log P(greater), log P(less or equal) (batch, 2) and class logits (batch, 2, classes).

    The model need not learn "<=": with p and q the class posteriors of the two images, P(first <= second) = sum over
    i <= j of p_i q_j. Each image is a training example, and the comparison is as good as the classification.

    Args:
        size: side of an image in pixels.
        n_classes: classes, in the order of "<=".
        channels: of the first two convolutions; twice that in the last two.
        dropout: rate before the last layer.
    """

    before: Tensor

    def __init__(self, *, size: int = 14, n_classes: int = 10, channels: int = 32, dropout: float = 0.3) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, *, pool: bool) -> list[nn.Module]:
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)  # batch norm has the bias
            return [convolution, nn.BatchNorm2d(outputs), *([nn.MaxPool2d(2)] if pool else []), nn.ReLU()]

        side = size // 2 // 2
        self.classify = nn.Sequential(
            *block(1, channels, pool=False),
            *block(channels, channels, pool=True),
            *block(channels, 2 * channels, pool=False),
            *block(2 * channels, 2 * channels, pool=True),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(2 * channels * side * side, n_classes),
        )
        order = torch.arange(n_classes)
        self.register_buffer("before", order[:, None] <= order[None, :], persistent=False)

    def forward(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        batch, _, height, width = pairs.shape
        logits = self.classify(pairs.reshape(2 * batch, 1, height, width)).reshape(batch, 2, -1)
        posterior = logits.log_softmax(-1)
        joint = posterior[:, 0, :, None] + posterior[:, 1, None, :]  # (batch, classes, classes): log p_i q_j
        less_or_equal = joint.masked_fill(~self.before, -torch.inf).flatten(1).logsumexp(1)
        greater = joint.masked_fill(self.before, -torch.inf).flatten(1).logsumexp(1)
        return torch.stack([greater, less_or_equal], dim=1), logits
