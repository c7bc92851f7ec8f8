"""Peak memory of scoring 10,000 classes on a million examples: that of one batch, whatever the number of examples.

The inputs are made from the index, so that no data are in the way; a layer of 2 to 10,000 gives the logits.

    python benchmarks/memory.py [EXAMPLES] [--classes 10000]

Prints one line of JSON: examples, classes, seconds, peak_mebibytes, accuracy.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.execute import run_job
from tenfold.metrics import Metric
from tenfold.models import ModelFactory
from tenfold.recipe import Config, Recipe
from tenfold.sampling import Batch, Inputs, Part, Resampling, Split, shuffled
from tenfold.tasks import Hyper, TaskInfo, TaskSettings, TaskSpec
from tenfold.tasks._sums import class_metrics, class_predictions, class_sums
from tenfold.train import Job, Outcome, RunId, peak_bytes

# Examples that are scored together: 4 MB of logits of 10,000 classes in single precision, which stay in the caches.
# (Measured for 50, 100, 200 and 500 examples: 52, 37, 63 and 101 microseconds an example for sums and predictions.)
BLOCK = 100


@dataclass(frozen=True)
class Circle:
    """Example i is a point on a circle; its class is its place among ``n_classes`` equal arcs."""

    n_classes: int
    dtype: torch.dtype = torch.float32

    def take(self, index: Tensor) -> Inputs:
        angle = 2 * torch.pi * (index % self.n_classes).double() / self.n_classes
        return (torch.stack([angle.cos(), angle.sin()], dim=-1).to(self.dtype),)

    def targets(self, index: Tensor) -> dict[str, Tensor]:
        return {"target": index % self.n_classes}

    def example_bytes(self, index: Tensor) -> int:
        return 2 * self.dtype.itemsize

    def to(self, device: torch.device, dtype: torch.dtype) -> Circle:
        return replace(self, dtype=dtype)


class ManyClasses:
    """Classify points on a circle."""

    spec: ClassVar[TaskSpec] = TaskSpec(
        kind="many-classes",
        metrics=(
            Metric("accuracy", "Accuracy", "%", higher_is_better=True, primary=True),
            Metric("f1_macro", "F1, mean over classes", "%", higher_is_better=True),
            Metric("balanced_accuracy", "Balanced accuracy", "%", higher_is_better=True),
            Metric("loss", "Loss", "nats", higher_is_better=False),
        ),
        predictions="classes",
    )
    batches = staticmethod(shuffled)
    metrics_of = staticmethod(class_metrics)

    def __init__(self, settings: TaskSettings, data: tuple[int, int]) -> None:
        self.n_examples, self.n_classes = data
        self.info = TaskInfo("circle", module_kwargs={"n_classes": self.n_classes})

    def splits(
        self, repeats: Sequence[int], *, seed: int, configs: Sequence[Config] | None = None
    ) -> dict[Part, Split]:
        source, test = Circle(self.n_classes), torch.arange(self.n_examples).expand(len(repeats), -1)
        blocks = (BLOCK,) * -(-self.n_examples // BLOCK)
        return {"train": Split(source, test[:, :BLOCK]), "test": Split(source, test, blocks=blocks)}

    def resampling(self, configs: Sequence[Config] | None = None) -> Resampling:
        return Resampling(0.0, False, "the same points in every repeat")

    def loss(self, output: Any, batch: Batch, hyper: Hyper) -> Tensor:
        return F.cross_entropy(output, batch.targets["target"])

    def sums(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        return class_sums(output, batch.targets["target"], batch.valid)

    def predictions(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        return class_predictions(output, batch.targets["target"], batch.valid)


class OneLayer(nn.Module):
    """The weights point to the middles of the arcs, so that the right class is known before training."""

    def __init__(self, *, n_classes: int) -> None:
        super().__init__()
        self.logits = nn.Linear(2, n_classes, bias=False)
        angle = 2 * torch.pi * torch.arange(n_classes, dtype=torch.float64) / n_classes
        with torch.no_grad():
            self.logits.weight.copy_(100 * torch.stack([angle.cos(), angle.sin()], dim=1))

    def forward(self, points: Tensor) -> Tensor:
        return self.logits(points)


def measure(n_examples: int, n_classes: int) -> dict[str, float]:
    """One epoch of one batch, scoring included, of one run."""
    task = ManyClasses(TaskSettings(kind="many-classes", data="memory"), (n_examples, n_classes))
    factory = ModelFactory(OneLayer, {"n_classes": n_classes})
    config = Config({}, Recipe(epochs=1, batch_size=BLOCK, optimizer="sgd", lr=1e-6), factory.options)
    started = time.monotonic()
    *_, outcome = run_job(Job("one layer", factory, (RunId(config, 0),), 0, "vmap", 1), task)
    assert isinstance(outcome, Outcome)
    return {
        "examples": n_examples,
        "classes": n_classes,
        "kept": outcome.predictions["prediction"].shape[1],
        "seconds": round(time.monotonic() - started, 1),
        "peak_mebibytes": round((peak_bytes(torch.device("cpu")) or 0) / 2**20),
        "accuracy": float(outcome.scores["accuracy"][0]),
        "loss": float(outcome.scores["loss"][0]),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("examples", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--classes", type=int, default=10_000)
    asked = parser.parse_args(arguments)
    print(json.dumps(measure(asked.examples, asked.classes)))


if __name__ == "__main__":
    main()
