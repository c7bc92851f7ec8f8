"""Recurrent siamese networks for pairs: Siamese RNN 1, 2. For one run."""

from __future__ import annotations

from torch import Tensor, nn

from tenfold.models._branches import Branches, ComparisonHead

__all__ = ["SiameseRNN"]


class _RowReader(nn.Module):
    """An Elman network over the rows of an image: (batch, 1, height, width) -> last hidden state (batch, hidden)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(width, hidden, nonlinearity="tanh", batch_first=True)

    def forward(self, images: Tensor) -> Tensor:
        outputs, _ = self.rnn(images.squeeze(1))  # hidden state starts at 0
        return outputs[:, -1]


class SiameseRNN(nn.Module):
    """An Elman network over the rows of each image: (batch, 2, size, size) -> logits and class logits.

    Source: Elman 1990. The published text does not give the sizes; 64 units are our choice.

    Args:
        size: side of an image in pixels; steps and features of the sequence.
        n_classes: classes of the auxiliary outputs.
        shared: one branch for both images or one for each.
        hidden: units of the recurrent layer.
        comparison: units of the layers of the comparison; longer in Siamese RNN 2.
    """

    def __init__(
        self,
        *,
        size: int = 14,
        n_classes: int = 10,
        shared: bool = True,
        hidden: int = 64,
        comparison: tuple[int, ...] = (64,),
    ) -> None:
        super().__init__()
        self.branches = Branches(lambda: _RowReader(size, hidden), shared=shared)
        self.head = ComparisonHead(hidden, tuple(comparison), n_classes=n_classes)

    def forward(self, pairs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.head(self.branches(pairs))
