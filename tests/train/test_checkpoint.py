"""A run that goes on from a checkpoint is the unbroken run, bit for bit; damaged and foreign files are refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tenfold.errors import TrainingError
from tenfold.execute import run_job
from tenfold.models import ModelFactory, with_module_kwargs
from tenfold.recipe import Config
from tenfold.tasks import TASKS
from tenfold.train import Job, Outcome, RunId, prepare, restore, save_checkpoint, train_epochs

OPTIMISERS: list[dict[str, Any]] = [
    {"optimizer": "sgd", "lr": 0.05},
    {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9},
    {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
    {"optimizer": "adam", "lr": 0.01},
    {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1},
    {"optimizer": "rmsprop", "lr": 0.01, "momentum": 0.5},
]
SCHEDULES = ["constant", "cosine", "step", "one-cycle", "plateau"]


def assert_same_outcome(one: Outcome, other: Outcome) -> None:
    """Everything but the time."""
    assert one.status == other.status
    assert (one.epochs, one.best_epoch, one.messages) == (other.epochs, other.best_epoch, other.messages)
    for kind in ("scores", "predictions", "weights"):
        mine, theirs = getattr(one, kind), getattr(other, kind)
        assert list(mine) == list(theirs)
        for name in mine:
            assert mine[name].tobytes() == theirs[name].tobytes(), (kind, name)


def broken(job: Any, task: Any, path: Path, after: list[int]) -> tuple[list[Any], Outcome]:
    """Train with a stop after each of the given epochs, each time from a new state and the file."""
    path.unlink(missing_ok=True)
    for epoch in after:
        state = prepare(job, task)
        if path.is_file():
            restore(state, path)
        for _ in itertools.islice(train_epochs(state), epoch):
            pass
        save_checkpoint(state, path)
    *epochs, outcome = run_job(replace(job, checkpoint=path, checkpoint_seconds=1e9), task)
    assert isinstance(outcome, Outcome)
    return epochs, outcome


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimiser", range(len(OPTIMISERS)))
def test_a_broken_run_is_the_unbroken_run(engine: Any, tmp_path: Path, optimiser: int, schedule: str) -> None:
    """Every optimiser with every schedule, in a stack of configs, single precision, stopped twice."""
    task = engine.task(train=48, validation=0.25)
    job = engine.job(
        n_runs=2,
        dtype="float32",
        epochs=6,
        schedule=schedule,
        step_epochs=2,
        plateau_epochs=0,
        dropout=[0.1, 0.5],
        clip=1.0,
        augment={"shift": 1.0},
        **OPTIMISERS[optimiser],
    )
    epochs, outcome = engine.train(job, task)
    epochs_again, again = broken(job, task, tmp_path / "c.safetensors", [2, 4])
    assert_same_outcome(outcome, again)
    assert [epoch.scores for epoch in epochs] == [epoch.scores for epoch in epochs_again]
    assert [epoch.epoch for epoch in epochs_again] == list(range(1, 7))


@given(after=st.integers(0, 12), patience=st.integers(1, 3), how=st.sampled_from(["vmap", "loop"]))
@settings(deadline=None, max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_early_stopping_goes_on_where_it_was(
    engine: Any, tmp_path_factory: pytest.TempPathFactory, after: int, patience: int, how: Any
) -> None:
    """Stopped runs stay stopped, best weights and waiting times are kept; a diverged run stays one."""
    task = engine.task(train=60, validation=0.4)
    job = engine.job(
        n_runs=2, lr=[0.02, 1e38], epochs=12, patience=patience, how=how, dtype="float32", optimizer="sgd", momentum=0.9
    )
    path = tmp_path_factory.mktemp("stop") / "c.safetensors"
    epochs, outcome = engine.train(job, task)
    epochs_again, again = broken(job, task, path, [after])
    assert_same_outcome(outcome, again)
    assert repr([epoch.scores for epoch in epochs]) == repr([epoch.scores for epoch in epochs_again])  # NaN is NaN


class Noisy(nn.Module):
    def __init__(self, *, size: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, 2))

    def forward(self, pairs: Tensor) -> Tensor:
        return self.layers(nn.functional.dropout(pairs, 0.5, self.training))


def test_modules_with_random_numbers_of_their_own_go_on_too(engine: Any, tmp_path: Path) -> None:
    job = engine.job(Noisy, how="loop", epochs=4)
    task = engine.task()
    _, outcome = engine.train(job, task)
    torch.manual_seed(123)
    _, again = broken(job, task, tmp_path / "c.safetensors", [2])
    assert_same_outcome(outcome, again)


def test_checkpoints_are_written_while_training(engine: Any, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "c.safetensors"
    job = replace(engine.job(epochs=3), checkpoint=path, checkpoint_seconds=0.0)
    seen = 0
    for event in run_job(job, engine.task()):
        seen += path.is_file() and not isinstance(event, Outcome)
    assert seen == 2  # after the first epoch, and after the second; the last one's is written after it was handed out
    assert not list(path.parent.glob(".*.tmp"))


def test_a_finished_checkpoint_gives_its_outcome_without_training(engine: Any, tmp_path: Path) -> None:
    task, job = engine.task(), engine.job(epochs=3)
    epochs, outcome = engine.train(job, task)
    epochs_again, again = broken(job, task, tmp_path / "c.safetensors", [3])
    assert_same_outcome(outcome, again)
    assert all(epoch.seconds == 0.0 for epoch in epochs_again)
    assert len(epochs_again) == len(epochs)


# -- in the middle of an epoch ----------------------------------------------------------------------------------------


def some_job(engine: Any, mixed: Any, kind: str, how: Any) -> tuple[Any, Job]:
    """A small task of a kind and a job of two runs for it; five steps an epoch or more, the last batch smaller."""
    module, more = {
        "compare-pairs": (mixed, {"batch_size": 10, "augment": {"shift": 1.0}, "auxiliary": [0.5, 0.5, 1.0]}),
        "match": ("conv4-embedding", {"classes_per_batch": 4, "images_per_class": 2, "mining": "random"}),
        "classify-sequences": ("recurrent-classifier", {"batch_size": 9, "augment": {"noise": 0.1}}),
    }[kind]
    task = {"compare-pairs": lambda: engine.task(train=60, validation=0.25), "match": engine.match}.get(
        kind, engine.sequences
    )()
    options = {"conv4-embedding": {"channels": 4, "dropout": 0.2}, "recurrent-classifier": {"dropout": 0.2}}
    factory = ModelFactory(module, options.get(str(module), {}))
    factory = with_module_kwargs(factory, task.info.module_kwargs)
    recipe = TASKS[kind].spec.recipe(**{"epochs": 3, "lr": 0.01, "schedule": "one-cycle"} | more)
    if kind == "compare-pairs":
        recipe = recipe.changed({"patience": 1, "schedule": "plateau", "plateau_epochs": 0})
    config = Config({}, recipe, factory.options)
    return task, Job("model", factory, tuple(RunId(config, repeat) for repeat in range(2)), 0, how, 1)


@pytest.mark.parametrize("how", ["vmap", "loop"])
@pytest.mark.parametrize("after", [[1], [3, 4], [5], [2, 8]])
@pytest.mark.parametrize("kind", sorted(TASKS))
def test_going_on_in_the_middle_of_an_epoch(
    engine: Any, mixed: Any, tmp_path: Path, kind: str, after: list[int], how: Any
) -> None:
    """Losses and sums of the epoch are those of the unbroken one, and so is all that comes after."""
    path, (task, job) = tmp_path / "c.safetensors", some_job(engine, mixed, kind, how)
    epochs, outcome = engine.train(job, task)
    for steps in after:
        ended = engine.interrupted(job, task, steps, path)
    state = prepare(job, task)
    assert state.steps_per_epoch >= 5
    restore(state, path)
    so_far, its = state.epoch, ended.epoch
    assert so_far.steps == its.steps == (after[-1] - 1) % state.steps_per_epoch + 1
    assert so_far.examples == its.examples > 0
    assert so_far.losses is not None
    assert torch.equal(so_far.losses, its.losses)
    assert set(so_far.sums) == set(its.sums)
    assert all(torch.equal(so_far.sums[name], its.sums[name]) for name in its.sums)
    assert state.epochs_done == ended.epochs_done == (after[-1] - 1) // state.steps_per_epoch
    epochs_again, again = engine.train(replace(job, checkpoint=path, checkpoint_seconds=1e9), task)
    assert_same_outcome(outcome, again)
    assert [epoch.scores for epoch in epochs] == [epoch.scores for epoch in epochs_again]


def test_the_twin_a_checkpoint_without_the_sums_of_its_epoch_gives_another_curve(
    engine: Any, mixed: Any, tmp_path: Path
) -> None:
    path, (task, job) = tmp_path / "c.safetensors", some_job(engine, mixed, "compare-pairs", "vmap")
    epochs, _ = engine.train(job, task)
    engine.interrupted(job, task, 3, path)
    state = prepare(job, task)
    restore(state, path)
    state.epoch = replace(state.epoch, sums={}, losses=None)
    first = next(iter(train_epochs(state)))
    for name in ("loss", "accuracy", "objective"):
        assert first.scores["train"][name] != epochs[0].scores["train"][name]
    assert first.scores["test"] == epochs[0].scores["test"]


def test_a_study_ended_at_any_step_goes_on(engine: Any, mixed: Any, tmp_path: Path) -> None:
    """Ended after each step in turn: every process makes one step."""
    path, (task, job) = tmp_path / "c.safetensors", some_job(engine, mixed, "compare-pairs", "vmap")
    epochs, outcome = engine.train(job, task)
    n_steps = prepare(job, task).steps_per_epoch * len(epochs)
    for steps in range(1, n_steps + 1):
        engine.interrupted(job, task, steps, path)
    epochs_again, again = engine.train(replace(job, checkpoint=path, checkpoint_seconds=1e9), task)
    assert_same_outcome(outcome, again)
    assert [epoch.scores for epoch in epochs] == [epoch.scores for epoch in epochs_again]


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.fixture
def written(engine: Any, tmp_path: Path) -> tuple[Any, Any, Path]:
    task, job = engine.task(), engine.job(epochs=3, n_runs=2)
    state = prepare(job, task)
    next(iter(train_epochs(state)))
    path = tmp_path / "c.safetensors"
    save_checkpoint(state, path)
    return task, job, path


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "folder", "flipped header", "missing"])
def test_damaged_files_are_refused_in_words(written: tuple[Any, Any, Path], damage: str) -> None:
    task, job, path = written
    content = path.read_bytes()
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "text":
        path.write_text("not a checkpoint")
    elif damage == "flipped header":
        path.write_bytes(content[:8] + b"\xff" + content[9:])
    else:
        path.unlink()
        if damage == "folder":
            path.mkdir()
    with pytest.raises(
        TrainingError, match=r"checkpoint .*c\.safetensors cannot be read .*; delete it to train its runs"
    ):
        restore(prepare(job, task), path)


def test_a_safetensors_file_of_someone_else_is_refused(written: tuple[Any, Any, Path]) -> None:
    from safetensors.torch import save_file

    task, job, path = written
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(TrainingError, match="cannot be read"):
        restore(prepare(job, task), path)
    save_file({"a": torch.zeros(2)}, path, metadata={"tenfold": "{}"})
    with pytest.raises(TrainingError, match=r"is of other runs: its version is None, expected \d+"):
        restore(prepare(job, task), path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"n_runs": 3}, "its runs is"),
        ({"lr": 0.5}, "its lr is 0.001, expected 0.5"),
        ({"lr": [0.1, 0.2]}, "its runs is"),
        ({"optimizer": "sgd", "schedule": "cosine"}, "its optimizer is 'adam', expected 'sgd'"),
        ({"epochs": 4}, "its epochs is 3, expected 4"),
        ({"clip": 1.0}, "its clip is None, expected 1.0"),
        ({"auxiliary": [1.0, 1.0, 1.0]}, r"its auxiliary is None, expected \[1.0, 1.0, 1.0\]"),
        ({"dropout": 0.5}, "its dropout is None, expected '0.5'"),
        ({"seed": 1}, "its seed is 0, expected 1"),
    ],
)
def test_a_checkpoint_of_other_runs_is_refused(
    engine: Any, written: tuple[Any, Any, Path], changes: dict, named: str
) -> None:
    task, _, path = written
    other = engine.job(**{"epochs": 3, "n_runs": 2} | changes)
    with pytest.raises(TrainingError, match=f"is of other runs: {named}"):
        restore(prepare(other, task), path)
    with pytest.raises(TrainingError, match="is of other runs: its model is 'model', expected 'other'"):
        restore(prepare(replace(engine.job(epochs=3, n_runs=2), model="other"), task), path)


class Wider(nn.Module):
    """Stands for a module file that was changed after the checkpoint was written."""

    def __init__(self, *, size: int = 8, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, width), nn.Linear(width, 2))

    def forward(self, pairs: Tensor) -> Tensor:
        return self.layers(pairs)


class Changed(Wider):
    def __init__(self, *, width: int) -> None:
        super().__init__(width=width + 1)


class Renamed(nn.Module):
    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.parts = Wider(width=width).layers

    def forward(self, pairs: Tensor) -> Tensor:
        return self.parts(pairs)


def test_a_module_that_has_changed_since_is_noticed(engine: Any, tmp_path: Path) -> None:
    task, path = engine.task(), tmp_path / "c.safetensors"
    save_checkpoint(prepare(engine.job(Wider, options={"width": 4}), task), path)
    for other in (Changed, Renamed):
        with pytest.raises(TrainingError, match="is of another version of the module"):
            restore(prepare(engine.job(other, options={"width": 4}), task), path)
    with pytest.raises(TrainingError, match="is of other runs: its width is '4', expected '5'"):
        restore(prepare(engine.job(Wider, options={"width": 5}), task), path)


def test_a_refused_file_leaves_the_state_as_it_was(engine: Any, written: tuple[Any, Any, Path]) -> None:
    task, _, path = written
    state = prepare(engine.job(epochs=3, n_runs=2, seed=5), task)
    before = state.stack.flatten_().clone()
    with pytest.raises(TrainingError):
        restore(state, path)
    assert torch.equal(state.stack.flatten_(), before)
    assert state.steps_done == 0
    assert np.isinf(state.best_loss.numpy()).all()
