"""What the tests of training share: one thread, tiny tasks on real digits, jobs in double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tenfold import data
from tenfold.models import ModuleSource
from tenfold.stack import How
from tenfold.tasks import ClassifySequences, ComparePairs, Match, Task
from tenfold.train import Epoch, Job, Outcome, RunId, State, prepare, step, train


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """OpenMP on small tensors and a busy machine is slower than none, by far."""
    before, setter = torch.get_num_threads(), torch.set_num_threads
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "set_num_threads", lambda count: None)  # whatever a plan says
        yield
    setter(before)


class Mixed(nn.Module):
    """A bit of everything that a stack has to get right: convolution, batch norm, dropout (twice), recurrence."""

    def __init__(self, *, size: int = 8, n_classes: int = 10, dropout: float = 0.3) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 3, 3, padding=1, bias=False)
        self.normalise = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(dropout)
        self.read = nn.RNN(3 * size, 8, batch_first=True)
        self.compare = nn.Linear(8, 2)
        self.classify = nn.Linear(8, 2 * n_classes)

    def forward(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        maps = torch.tanh(self.normalise(self.convolution(pairs)))  # (batch, 3, size, size)
        rows = self.drop(maps.transpose(1, 2).flatten(2))  # (batch, size, 3 * size)
        last = self.drop(self.read(rows)[0][:, -1])
        return self.compare(last), self.classify(last).unflatten(1, (2, -1))


@dataclass(frozen=True, repr=False)
class Engine:
    """Short ways to the engine, for tests."""

    images: data.Images

    def task(self, *, train: int = 40, test: int = 20, validation: float = 0.0) -> ComparePairs:
        return ComparePairs(self.images, size=8, train=train, test=test, validation=validation)

    def match(self) -> Match:
        """Eight of the ten digits to learn from, five images of each."""
        chosen = np.concatenate([np.flatnonzero(self.images.labels == label)[:5] for label in range(10)])
        few = replace(
            self.images,
            images=self.images.images[chosen],
            labels=self.images.labels[chosen],
            part=self.images.part[chosen],
        )
        return Match(few, size=8, train_classes=8, query_sets=4, candidates=2, pool_classes=2)

    def sequences(self) -> ClassifySequences:
        """60 windows of 20 steps and 9 channels, of ten groups in two parts; 40 to learn from."""
        recordings = data.Recordings(
            signals=np.random.default_rng(0).normal(size=(1200, 9)).astype(np.float32),
            starts=np.arange(0, 1200, 120),
            lengths=np.full(10, 120),
            labels=np.arange(10) % 6,
            part=np.array([data.TRAIN] * 7 + [data.TEST] * 3, np.uint8),
            class_names=tuple("abcdef"),
            channels=tuple("123456789"),
            groups=np.arange(10),
            group_names=tuple("0123456789"),
        )
        return ClassifySequences(recordings, window=20, overlap=0.0, train=40)

    def job(
        self,
        module: str | Callable[..., nn.Module] = Mixed,
        *,
        n_runs: int = 3,
        seed: int = 0,
        how: How = "vmap",
        options: dict | None = None,
        **recipe: object,
    ) -> Job:
        """A job over ``n_runs`` repeats of every lane of the recipe; by default 20 steps in float64."""
        settings = {"dtype": "float64", "epochs": 5, "batch_size": 10} | recipe
        resolved = ComparePairs.recipe_type(**settings)  # type: ignore[arg-type]
        runs = tuple(RunId(lane, repeat) for lane in resolved.lanes() for repeat in range(n_runs))
        source = ModuleSource(module, {"size": 8} if options is None else options)
        return Job("model", source, resolved, runs, seed, how, 1)

    def steps(self, job: Job, task: Task, n_steps: int = 20) -> State:
        """The state after some steps, without evaluation in between."""
        from tenfold.train._state import epoch_order

        state = prepare(job, task)
        state.stack.train()
        n_steps = min(n_steps, state.n_steps)
        while state.steps_done < n_steps:
            order = epoch_order(state)
            for start in range(0, order.shape[1], job.recipe.batch_size):
                if state.steps_done < n_steps:
                    step(state, order[:, start : start + job.recipe.batch_size])
            state.epochs_done += 1
        return state

    def train(self, job: Job, task: Task) -> tuple[list[Epoch], Outcome]:
        *epochs, outcome = train(job, task)
        assert isinstance(outcome, Outcome)
        return [epoch for epoch in epochs if isinstance(epoch, Epoch)], outcome

    def loop(self, job: Job) -> Job:
        return replace(job, how="loop")

    def tensors(self, module: nn.Module) -> dict[str, Tensor]:
        """Parameters and buffers of a plain module; those of replayable dropout left out."""
        named = [*module.named_parameters(), *module.named_buffers()]
        return {
            name: value.detach() for name, value in named if name.rpartition(".")[2] not in ("rate", "key", "calls")
        }

    def distance(self, one: nn.Module, other: nn.Module) -> float:
        """Largest difference of a parameter or buffer between two plain modules."""
        first, second = self.tensors(one), self.tensors(other)
        assert list(first) == list(second)
        assert first
        return max(float((first[name].double() - second[name].double()).abs().max()) for name in first)


@pytest.fixture(scope="session")
def engine() -> Engine:
    images = data.load("digits")
    assert isinstance(images, data.Images)
    return Engine(images)


@pytest.fixture
def mixed() -> type[nn.Module]:
    return Mixed
