"""Common to all tests: one thread, where real data is, what is skipped, and short ways to the engine."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tenfold import datasets
from tenfold.config._sweep import configs_of
from tenfold.execute import run_job
from tenfold.models import ModelFactory
from tenfold.stack import How
from tenfold.tasks import ClassifySequences, ComparePairs, Match, Task
from tenfold.train import (
    Epoch,
    Job,
    Outcome,
    RunId,
    State,
    _loop,
    epoch_batches,
    prepare,
    restore,
    step,
    train_epochs,
)
from tenfold.train._state import EpochSoFar

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"


def pytest_configure() -> None:
    # In the background of a shell script SIGINT is ignored, and so it would be in the processes that tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    have_data = bool(os.environ.get("TENFOLD_DATA")) or (SHARED / "data").is_dir()
    for item in items:
        if item.get_closest_marker("real_data") and not have_data:
            item.add_marker(pytest.mark.skip(reason="real data sets not at hand (set TENFOLD_DATA)"))
        if item.get_closest_marker("network") and not os.environ.get("TENFOLD_NETWORK_TESTS"):
            item.add_marker(pytest.mark.skip(reason="needs the internet (set TENFOLD_NETWORK_TESTS=1)"))
        if item.get_closest_marker("gpu") and not _have_gpu():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def _have_gpu() -> bool:
    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def prepared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``TENFOLD_DATA`` with the real sets: the one that is set, or one made of the development copies.

    Tests that use it carry the marker ``real_data``, which skips them where there is neither.
    """
    if chosen := os.environ.get("TENFOLD_DATA"):
        return Path(chosen)
    script = REPOSITORY / "scripts" / "prepare_shared.py"
    spec = importlib.util.spec_from_file_location("prepare_shared", script)
    assert spec is not None
    assert spec.loader is not None
    prepare_shared = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = prepare_shared  # dataclasses look their module up
    spec.loader.exec_module(prepare_shared)
    folder = tmp_path_factory.mktemp("prepared")
    assert prepare_shared.main([str(SHARED / "data"), str(folder)]) == 0
    return folder


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """OpenMP on small tensors and a busy machine is slower than none, by far."""
    before, setter = torch.get_num_threads(), torch.set_num_threads
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "set_num_threads", lambda count: None)  # whatever a plan says
        yield
    setter(before)


@pytest.fixture(autouse=True)
def denormals_kept() -> Iterator[None]:
    """Training flushes denormals to zero, of the whole thread; a test that leaves it so would fail others, far away."""
    yield
    flushed = sys.float_info.min / 2 == 0
    torch.set_flush_denormal(False)
    assert not flushed, "denormals are flushed to zero after this test"


class Ended(BaseException):
    """Stands for a process that is ended."""


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


def small_task(kind: type[Any], data: Any, **settings: Any) -> Any:
    """A task on data in memory."""
    return kind(kind.spec.settings(kind=kind.spec.kind, data="memory", **settings), data)


@dataclass(frozen=True, repr=False)
class Engine:
    """Short ways to the engine, for tests."""

    images: datasets.Images

    def task(self, *, train: int = 40, test: int = 20, validation: float = 0.0) -> ComparePairs:
        return small_task(ComparePairs, self.images, size=8, train=train, test=test, validation=validation)

    def match(self) -> Match:
        """Eight of the ten digits to learn from, five images of each."""
        chosen = np.concatenate([np.flatnonzero(self.images.labels == label)[:5] for label in range(10)])
        few = replace(
            self.images,
            images=self.images.images[chosen],
            labels=self.images.labels[chosen],
            part=self.images.part[chosen],
        )
        return small_task(Match, few, size=8, train_classes=8, query_sets=4, candidates=2, pool_classes=2)

    def sequences(self) -> ClassifySequences:
        """60 windows of 20 steps and 9 channels, of ten groups in two parts; 40 to learn from."""
        recordings = datasets.Recordings(
            signals=np.random.default_rng(0).normal(size=(1200, 9)).astype(np.float32),
            starts=np.arange(0, 1200, 120),
            lengths=np.full(10, 120),
            labels=np.arange(10) % 6,
            part=np.array([datasets.TRAIN] * 7 + [datasets.TEST] * 3, np.uint8),
            class_names=tuple("abcdef"),
            channels=tuple("123456789"),
            groups=np.arange(10),
            group_names=tuple("0123456789"),
        )
        return small_task(ClassifySequences, recordings, window=20, overlap=0.0, train=40)

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
        """A job over ``n_runs`` repeats of every config, by default 20 steps in float64. Lists in ``recipe`` are swept
        (of ``auxiliary`` a list of lists); what is no setting of the recipe is a constructor argument."""
        settings: dict[str, Any] = {"dtype": "float64", "epochs": 5, "batch_size": 10} | recipe
        swept = {name: values for name, values in settings.items() if isinstance(values, list)}
        if "auxiliary" in swept and not isinstance(swept["auxiliary"][0], list):
            del swept["auxiliary"]
        first = {name: values[0] if name in swept else values for name, values in settings.items()}
        fields = ComparePairs.spec.recipe.model_fields
        resolved = ComparePairs.spec.recipe(**{name: value for name, value in first.items() if name in fields})
        own = {name: value for name, value in first.items() if name not in fields}
        factory = ModelFactory(module, ({"size": 8} if options is None else options) | own)
        configs = configs_of(resolved, factory.options, swept)
        runs = tuple(RunId(config, repeat) for config in configs for repeat in range(n_runs))
        return Job("model", factory, runs, seed, how, 1)

    def steps(self, job: Job, task: Task, n_steps: int = 20) -> State:
        """The state after some steps, without evaluation in between."""
        state = prepare(job, task)
        state.stack.train()
        n_steps = min(n_steps, state.n_steps)
        while state.steps_done < n_steps:
            for rows in epoch_batches(state):
                if state.steps_done < n_steps:
                    step(state, rows)
            state.epoch, state.epochs_done = EpochSoFar(), state.epochs_done + 1
        return state

    def interrupted(self, job: Job, task: Task, after: int, path: Path | None) -> State:
        """The state of a training that was ended right after the step ``after``, once its checkpoint was written.

        It goes on from the file at ``path``, where there is one; None writes none.
        """
        state, write = prepare(job, task), _loop.save_checkpoint
        if path is not None and path.is_file():
            restore(state, path)

        def save(state: State, to: Path) -> None:
            if path is not None:
                write(state, to)
            if state.steps_done == after:
                raise Ended

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_loop, "save_checkpoint", save)
            with pytest.raises(Ended):
                list(train_epochs(state, checkpoint=path or Path("nowhere"), every_seconds=1e-9))
        return state

    def train(self, job: Job, task: Task) -> tuple[list[Epoch], Outcome]:
        *epochs, outcome = run_job(job, task)
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
    images = datasets.load("digits")
    assert isinstance(images, datasets.Images)
    return Engine(images)


@pytest.fixture
def mixed() -> type[nn.Module]:
    return Mixed
