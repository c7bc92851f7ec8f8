"""The engine by itself, in a training loop of one's own: ten networks, any torch.optim optimiser, one taken out.

Every network has its own initial weights and sees the examples in its own order, as in ten separate trainings.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import tenfold
from tenfold.stats import summarise

RUNS, EPOCHS, BATCH = 10, 15, 100


def make() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))


torch.manual_seed(0)
digits = load_digits()
images, labels = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
train_images, test_images, train_labels, test_labels = images[:1400], images[1400:], labels[:1400], labels[1400:]

stack = tenfold.Stack([make() for _ in range(RUNS)])
optimiser = torch.optim.Adam(stack.parameters(), lr=0.01)
for _ in range(EPOCHS):
    orders = torch.stack([torch.randperm(len(train_images)) for _ in range(RUNS)])
    for batch in orders.split(BATCH, dim=1):  # (runs, batch)
        logits = stack(train_images[batch])  # (runs, batch, classes)
        losses = nn.functional.cross_entropy(logits.flatten(0, 1), train_labels[batch].flatten(), reduction="none")
        optimiser.zero_grad()
        # Mean over the batch, sum over the runs: no run's loss reaches another run's weights.
        losses.view(RUNS, -1).mean(1).sum().backward()
        optimiser.step()

stack.eval()
with torch.no_grad():
    predicted = stack(test_images, shared=True).argmax(-1)  # (runs, examples)
accuracies = (predicted == test_labels).double().mean(1).numpy()
summary = summarise(accuracies)
print(f"accuracy {100 * summary.mean:.1f} %, 95 % interval {100 * summary.low:.1f} to {100 * summary.high:.1f}")

best = stack.module(int(accuracies.argmax()))  # the plain nn.Sequential that it was, trained
print(best)
