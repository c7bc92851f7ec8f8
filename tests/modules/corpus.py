"""The corpus: every module of the list is tried in every way by test_corpus.py, or refused by name.

A new entry is one line in LAYERS, STRUCTURES, STATES or MEMORY.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from corpus_case import N_FEATURES, N_STEPS, N_TOKENS, VOCABULARY, Case
from corpus_layers import LAYERS
from corpus_memory import MEMORY
from corpus_state import STATES
from corpus_structure import STRUCTURES
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from tenfold.metrics import Metric
from tenfold.recipe import Recipe
from tenfold.sampling import Splitter, shuffled
from tenfold.tasks import TaskInfo, TaskSettings, TaskSpec

CASES: dict[str, Case] = LAYERS | STRUCTURES | STATES | MEMORY


class Takes(nn.Module):
    """An entry as a module of the task below, with both inputs."""

    def __init__(self, case: str) -> None:
        super().__init__()
        self.inner, self.takes = CASES[case].make(), CASES[case].takes

    def forward(self, x: Tensor, tokens: Tensor) -> Any:
        return self.inner(*self.takes(x, tokens))


def penalty(output: Any) -> Tensor:
    """A loss of any output of one run: every number has a target of its own, so that no gradient is 0."""
    parts = [leaf for leaf in tree_leaves(output) if leaf.is_floating_point()]
    targets = [torch.linspace(-1, 2, part.numel(), dtype=part.dtype).reshape(part.shape) for part in parts]
    return torch.stack([(part - target).square().mean() for part, target in zip(parts, targets, strict=True)]).sum()


def batch_of(seed: int, size: int = 6) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(size, N_STEPS, N_FEATURES, generator=rng, dtype=torch.float64)
    return x, torch.randint(VOCABULARY, (size, N_TOKENS), generator=rng)


# -- the same as a task -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwoInputs:
    """Features and tokens of every example."""

    x: Tensor
    tokens: Tensor

    def take(self, index: Tensor) -> tuple[Tensor, ...]:
        return self.x[index], self.tokens[index]

    def targets(self, index: Tensor) -> dict[str, Tensor]:
        return {}

    def example_bytes(self, index: Tensor) -> int:
        return 400

    def to(self, device: torch.device, dtype: torch.dtype) -> TwoInputs:
        return TwoInputs(self.x.to(device, dtype), self.tokens.to(device))


class NoData(TaskSettings):
    data: str = "none"

    def load_data(self, *, base: Path) -> None:
        return None


class Penalty:
    """Any module of the corpus, by its penalty."""

    spec = TaskSpec(
        kind="penalty",
        metrics=(Metric("penalty", "Penalty", "", higher_is_better=False, primary=True),),
        settings=NoData,
        recipe=Recipe,
        monitor="penalty",
    )
    batches = staticmethod(shuffled)

    def __init__(self, settings: NoData, data: None) -> None:
        self.splitter = Splitter(30, test=0.2, validation=0.0, unit="examples")
        self.info = TaskInfo("the corpus")

    def splits(self, repeats: Sequence[int], *, seed: int, configs: Any = None) -> Any:
        return self.splitter.splits(TwoInputs(*batch_of(0, 30)), repeats, seed=seed)

    def resampling(self, configs: Any = None) -> Any:
        return self.splitter.resampling()

    def loss(self, output: Any, batch: Any, hyper: Any) -> Tensor:
        return penalty(output)

    def sums(self, output: Any, batch: Any) -> dict[str, Tensor]:
        n_runs, n_examples = batch.valid.shape
        of_runs = [tree_map(lambda leaf, run=run: leaf[run], output) for run in range(n_runs)]
        return {
            "penalty": torch.stack([penalty(own).double() for own in of_runs]) * n_examples,
            "count": batch.valid.double().sum(1),
        }

    def metrics_of(self, sums: Any) -> dict[str, Any]:
        return {"penalty": sums["penalty"] / sums["count"]}

    def predictions(self, output: Any, batch: Any) -> dict[str, Tensor]:
        return {"first": batch.inputs[1][..., 0]}
