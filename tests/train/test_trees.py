"""Outputs of any structure: a dict, a named tuple, with parts that are no batch, or that are not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.execute import Plan, run_job, try_module, verify
from tenfold.metrics import Metric
from tenfold.models import ModelFactory
from tenfold.recipe import Config, Recipe
from tenfold.sampling import Batch, Part, Resampling, Split, TensorSource, shuffled
from tenfold.seeds import derive, generator
from tenfold.tasks import Hyper, TaskInfo, TaskSettings, TaskSpec
from tenfold.tasks._sums import class_metrics, class_predictions, class_sums
from tenfold.train import Job, Outcome, RunId, of_run, train_alone

TOLERANCE = 1e-10
N_RUNS = 4


class Output(NamedTuple):
    """What a module gives: logits, a penalty of the whole batch, and what only some modules have."""

    logits: Tensor
    penalty: Tensor
    second: Tensor | None = None


def as_output(output: Any) -> Output:
    if isinstance(output, dict):
        return Output(output["logits"], output["inner"]["penalty"], output["inner"].get("second"))
    return output


class Points:
    """Classify points in four dimensions; the penalty of the module is a part of the loss."""

    spec: ClassVar[TaskSpec] = TaskSpec(
        kind="points",
        metrics=(
            Metric("accuracy", "Accuracy", "%", higher_is_better=True, primary=True),
            Metric("f1_macro", "F1", "%", higher_is_better=True),
            Metric("balanced_accuracy", "Balanced accuracy", "%", higher_is_better=True),
            Metric("loss", "Loss", "nats", higher_is_better=False),
        ),
        predictions="classes",
    )
    batches = staticmethod(shuffled)
    metrics_of = staticmethod(class_metrics)

    def __init__(self, settings: TaskSettings, points: Tensor) -> None:
        self.points, self.labels = points, (points[:, 0] * 3).floor().long() % 3
        self.info = TaskInfo("points")

    def splits(
        self, repeats: Sequence[int], *, seed: int, configs: Sequence[Config] | None = None
    ) -> dict[Part, Split]:
        index = torch.stack([(torch.arange(60) + 7 * repeat) % 60 for repeat in repeats])
        parts = {"train": index[:, :25], "validation": index[:, 25:40], "test": index[:, 40:]}
        return {
            part: Split(TensorSource(self.points), rows, {"target": self.labels[rows]}) for part, rows in parts.items()
        }

    def resampling(self, configs: Sequence[Config] | None = None) -> Resampling:
        return Resampling(0.0, False, "points")

    def loss(self, output: Any, batch: Batch, hyper: Hyper) -> Tensor:
        output = as_output(output)
        return F.cross_entropy(output.logits, batch.targets["target"]) + output.penalty

    def sums(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        output = as_output(output)
        assert output.penalty.shape == (len(output.logits),)
        return class_sums(output.logits, batch.targets["target"], batch.valid)

    def predictions(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        return class_predictions(as_output(output).logits, batch.targets["target"], batch.valid)


class GivesNamedTuple(nn.Module):
    def __init__(self, *, second: bool = False, lost: float = 0.0) -> None:
        super().__init__()
        self.hidden, self.logits = nn.Linear(4, 6), nn.Linear(6, 3)
        self.second = second
        self.register_buffer("bad", torch.rand(()) < lost)

    def forward(self, points: Tensor) -> Any:
        hidden = torch.tanh(self.hidden(points))
        penalty = 0.1 * hidden.square().mean()
        if not self.training:
            penalty = torch.where(self.bad, torch.full_like(penalty, torch.nan), penalty)  # type: ignore[arg-type]
        return Output(self.logits(hidden), penalty, 2 * hidden if self.second else None)


class GivesDict(GivesNamedTuple):
    def forward(self, points: Tensor) -> Any:
        logits, penalty, second = super().forward(points)
        inner = {"penalty": penalty} | ({} if second is None else {"second": second})
        return {"logits": logits, "inner": inner}


MODULES = {
    "dict": (GivesDict, {}),
    "nested dict": (GivesDict, {"second": True}),
    "named tuple": (GivesNamedTuple, {"second": True}),
    "named tuple with None": (GivesNamedTuple, {}),
}


@pytest.fixture
def task() -> Points:
    points = torch.rand(60, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return Points(TaskSettings(kind="points", data="memory"), points)


def job_of(name: str, how: Any, **options: Any) -> Job:
    module, own = MODULES[name]
    factory = ModelFactory(module, own | options)
    config = Config({}, Recipe(dtype="float64", epochs=4, batch_size=10, optimizer="sgd", lr=0.2), factory.options)
    return Job("model", factory, tuple(RunId(config, repeat) for repeat in range(N_RUNS)), 0, how, 1)


def plain_loop(task: Points, job: Job, run: int) -> nn.Module:
    """Written from torch alone; of tenfold only seeds and data."""
    torch.manual_seed(derive(0, "model", run, "weights"))
    module: Any = job.factory.reference(**job.factory.options).double()  # type: ignore[operator]
    optimiser = torch.optim.SGD(module.parameters(), lr=0.2)
    rows = (torch.arange(60) + 7 * run) % 60
    points, labels = task.points[rows[:25]], task.labels[rows[:25]]
    for epoch in range(4):
        order = torch.randperm(25, generator=generator(0, run, "order", epoch))
        for batch in (order[:10], order[10:20], order[20:]):
            hidden = torch.tanh(module.hidden(points[batch]))
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(module.logits(hidden), labels[batch]) + 0.1 * (hidden**2).mean()
            loss.backward()
            optimiser.step()
    return module


@pytest.mark.parametrize("how", ["vmap", "loop"])
@pytest.mark.parametrize("name", MODULES)
def test_it_trains_as_a_plain_loop_does(task: Points, name: str, how: Any) -> None:
    job = job_of(name, how)
    try_module(job, task)
    *epochs, outcome = run_job(job, task)
    assert isinstance(outcome, Outcome)
    assert outcome.status == ["finished"] * N_RUNS
    assert len(epochs) == 4
    for run in range(N_RUNS):
        for alone in (plain_loop(task, job, run), train_alone(job, task, run)):
            for key, value in alone.state_dict().items():
                torch.testing.assert_close(
                    torch.as_tensor(outcome.weights[key][run]),
                    value,
                    rtol=0,
                    atol=TOLERANCE,
                    msg=lambda m, k=key: f"{k}: {m}",
                )
        rows = ((torch.arange(60) + 7 * run) % 60)[40:]
        with torch.no_grad():
            logits = alone.logits(torch.tanh(alone.hidden(task.points[rows])))  # type: ignore[operator]
        expected = nn.functional.cross_entropy(logits, task.labels[rows]).item()
        assert outcome.scores["loss"][run] == pytest.approx(expected, rel=0, abs=TOLERANCE)
        assert np.array_equal(outcome.predictions["prediction"][run], logits.argmax(1).numpy())


@pytest.mark.parametrize("name", MODULES)
def test_the_certificate_knows_them(task: Points, name: str) -> None:
    job = job_of(name, "vmap")
    *_, outcome = run_job(job, task)
    assert isinstance(outcome, Outcome)
    scores = [of_run(outcome.scores, run) for run in range(N_RUNS)]
    for how in ("vmap", "loop"):
        found = verify(
            job,
            task,
            Plan("stack", how, 1, (tuple(range(N_RUNS)),)),
            [of_run(outcome.weights, run) for run in range(N_RUNS)],
            scores,
        )
        assert found["weights_float64"] < TOLERANCE
        assert found["weights"] < TOLERANCE
        assert max(found["scores"].values()) < TOLERANCE


@pytest.mark.parametrize("how", ["vmap", "loop"])
@pytest.mark.parametrize("name", MODULES)
def test_a_run_that_is_lost_in_any_part_is_reported(task: Points, name: str, how: Any) -> None:
    """Its logits are fine; the penalty, one number for the batch, is not."""
    *_, outcome = run_job(job_of(name, how, lost=0.5), task)
    assert isinstance(outcome, Outcome)
    lost = outcome.weights["bad"].tolist()
    assert 0 < sum(lost) < N_RUNS
    for run, bad in enumerate(lost):
        assert outcome.status[run] == ("diverged" if bad else "finished")
        assert bool(np.isnan(outcome.scores["loss"][run])) == bad
