"""The network of the task: one hidden layer."""

from torch import nn


class OneLayer(nn.Module):
    def __init__(self, *, n_inputs, hidden=32):
        super().__init__()
        self.encode = nn.Linear(n_inputs, hidden)
        self.decode = nn.Linear(hidden, n_inputs)

    def forward(self, images):  # (batch, channels, height, width)
        hidden = self.encode(images.flatten(1)).sigmoid()
        return {"image": self.decode(hidden).sigmoid().view(images.shape), "hidden": hidden}
