"""Where runs are trained: plans, memory groups, candidates that are left out; the scores do not depend on any of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import tenfold
from tenfold.config._sweep import configs_of
from tenfold.errors import RequestError, ShapeError, TenfoldError, TrainingError
from tenfold.execute import Plan, Workers, choose, cores, try_module
from tenfold.execute._memory import bytes_available, bytes_per_run, groups
from tenfold.execute._placement import _alike
from tenfold.record import Record
from tenfold.train import Job, RunId


@pytest.fixture(scope="module")
def workers(engine: Any) -> Iterator[Workers]:
    with Workers(engine.task(), 2) as workers:
        yield workers


def test_a_plan_comes_back_from_json() -> None:
    plan = Plan("processes", "loop", 1, ((0, 2), (1,)), {"stack": 0.5, "loops in processes": 0.25}, 1234, "fastest")
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert Plan.from_json(json.loads(json.dumps(Plan("stack", "vmap", 2, ((0,),)).to_json()))).groups == ((0,),)


@given(st.integers(1, 200), st.integers(1, 1000), st.integers(0, 100_000))
@settings(deadline=None, max_examples=200)
def test_groups_hold_every_run_and_fit(n_runs: int, per_run: int, available: int) -> None:
    sizes = groups(n_runs, per_run=per_run, available=available)
    assert sum(sizes) == n_runs
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) == 1 or max(sizes) * per_run <= available
    # Not more groups than it takes.
    assert len(sizes) == 1 or -(-n_runs // (len(sizes) - 1)) * per_run > available


class Wide(nn.Module):
    """A network whose memory can be counted by hand."""

    def __init__(self, *, size: int = 8, hidden: int = 1000) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, pairs: Tensor) -> Tensor:
        return self.layers(pairs)


@pytest.mark.parametrize(("hidden", "batch_size"), [(1000, 40), (4000, 40), (1000, 10)])
def test_bytes_of_a_run_are_those_counted_by_hand(engine: Any, hidden: int, batch_size: int) -> None:
    """Parameters five times, activations (input, hidden layer before or after the ReLU, logits) twice, in float32."""
    options = {"hidden": hidden}
    job = engine.job(Wide, options=options, batch_size=batch_size, dtype="float32", how="loop")
    parameters = 128 * hidden + hidden + 2 * hidden + 2
    activations = batch_size * (128 + hidden + 2 * 2)
    counted = 4 * (5 * parameters + 2 * activations)
    assert bytes_per_run(job, engine.task()) == pytest.approx(counted, rel=0.25)
    twice = bytes_per_run(
        engine.job(Wide, options=options, batch_size=batch_size, dtype="float64", how="loop"), engine.task()
    )
    assert twice == pytest.approx(2 * counted, rel=0.25)


def test_bytes_do_not_depend_on_how_many_runs_there_are(engine: Any) -> None:
    task = engine.task()
    one, ten = (bytes_per_run(engine.job("siamese-cnn", n_runs=n, how="loop"), task) for n in (1, 10))
    assert one == ten


def test_some_memory_is_free() -> None:
    assert bytes_available("cpu") > 2**26
    assert cores() >= 1


# -- choosing ---------------------------------------------------------------------------------------------------------


def test_auto_times_every_candidate_and_takes_the_fastest(engine: Any, workers: Workers) -> None:
    plan = choose(engine.job("baseline", n_runs=4), engine.task(), workers, wanted="auto")
    assert set(plan.milliseconds) == {"stacks in processes", "loops in processes", "stack", "loop"}
    fastest = min(plan.milliseconds, key=lambda name: plan.milliseconds[name])
    assert (plan.placement, plan.how) == {
        "stacks in processes": ("processes", "vmap"),
        "loops in processes": ("processes", "loop"),
        "stack": ("stack", "vmap"),
        "loop": ("loop", "loop"),
    }[fastest]
    assert sorted(at for group in plan.groups for at in group) == [0, 1, 2, 3]
    assert plan.reason == "fastest of those timed"
    assert plan.bytes_per_run > 0


@pytest.mark.parametrize("wanted", ["stack", "loop", "processes"])
def test_what_is_asked_for_is_done(engine: Any, workers: Workers, wanted: Any) -> None:
    plan = choose(engine.job("baseline", n_runs=3), engine.task(), workers, wanted=wanted)
    assert plan.placement == wanted
    assert plan.reason == f"placement '{wanted}' was asked for"
    assert len(plan.groups) == (2 if wanted == "processes" else 1)
    assert plan.threads == (1 if wanted == "processes" else cores())


def test_spread_without_workers_or_with_one_run_says_why_not(engine: Any, workers: Workers) -> None:
    for job, have in ((engine.job("baseline"), None), (engine.job("baseline", n_runs=1), workers)):
        plan = choose(job, engine.task(), have, wanted="processes")
        assert plan.placement == "stack"
        assert plan.reason.startswith("'processes' needs several cores and runs")


class Branch(nn.Module):
    def __init__(self, *, size: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, 2))

    def forward(self, pairs: Tensor) -> Tensor:
        logits = self.layers(pairs)
        return logits if logits.detach().sum() > 0 else 1.5 * logits


def test_a_module_that_cannot_be_stacked_is_looped_and_it_is_said(engine: Any) -> None:
    task, job = engine.task(), engine.job(Branch)
    plan = choose(job, task, None, wanted="auto")
    assert plan.how == "loop"
    assert plan.reason.startswith("fastest of those timed; left out: Branch failed in a stack: vmap: ")
    with pytest.raises(TrainingError, match="Branch failed in a stack"):
        engine.train(job, task)
    engine.train(engine.loop(job), task)


def test_when_nothing_works_the_modules_own_error_is_raised(engine: Any) -> None:
    class Never(Branch):
        def forward(self, pairs: Tensor) -> Tensor:
            if self.training:
                raise TrainingError("not today")
            return self.layers(pairs)

    with pytest.raises(TenfoldError, match="not today"):
        choose(engine.job(Never), engine.task(), None, wanted="auto")


def swept_job(job: Job, **options: list[Any]) -> Job:
    """The same repeats with every combination of these constructor arguments."""
    configs = configs_of(job.recipe, job.factory.options, options)
    repeats = sorted({run.repeat for run in job.runs})
    return job.of_runs(tuple(RunId(config, repeat) for config in configs for repeat in repeats))


class Remembers(nn.Module):
    """Keeps its rate as a number: a stack would compute every run with the first one's."""

    def __init__(self, *, size: int = 8, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers, self.dropout = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, 2)), dropout

    def forward(self, pairs: Tensor) -> Tensor:
        return self.layers(pairs) * (1 - self.dropout)


def test_runs_that_cannot_share_a_stack_get_one_each(engine: Any) -> None:
    task = engine.task()
    swept = swept_job(engine.job(Remembers, n_runs=2), dropout=[0.1, 0.5])
    assert _alike(swept, task) == [[0, 1], [2, 3]]
    assert _alike(swept_job(engine.job(n_runs=2), dropout=[0.1, 0.5]), task) == [[0, 1, 2, 3]]
    assert _alike(engine.job(n_runs=2, lr=[0.1, 0.5]), task) == [[0, 1, 2, 3]]
    assert _alike(engine.job(n_runs=2, batch_size=[10, 20]), task) == [[0, 1], [2, 3]]
    assert _alike(swept_job(engine.job(Wide, n_runs=2), hidden=[10, 20]), task) == [[0, 1], [2, 3]]
    plan = choose(swept, task, None, wanted="stack")
    assert plan.groups == ((0, 1), (2, 3))
    assert "split" not in plan.reason  # not for memory


def test_a_missing_compiler_is_no_failure(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("no working C++ compiler\nmore")

    monkeypatch.setattr(torch, "compile", no_compiler)
    plan = choose(engine.job("baseline", compile="always"), engine.task(), None, wanted="stack")
    assert not plan.compiled
    assert "torch.compile failed" in plan.reason
    assert "no working C++ compiler" in plan.reason


def test_short_trainings_are_not_compiled(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("compiled")

    monkeypatch.setattr(torch, "compile", never)
    for compile in ("auto", "never"):
        plan = choose(engine.job("baseline", compile=compile), engine.task(), None, wanted="auto")
        assert not plan.compiled
        assert "compile" not in plan.reason


# -- in a study --------------------------------------------------------------------------------------------------------


def study(**more: Any) -> tenfold.Study:
    raw: dict[str, Any] = {
        "name": "placed",
        "repeats": 4,
        "task": {"kind": "compare-pairs", "data": "digits", "size": 8, "train": 40, "test": 30},
        "train": {"epochs": 2, "batch_size": 10, "dtype": "float64", "compile": "never"},
        "models": [
            {"name": "dense", "module": "baseline"},
            {
                "name": "deep",
                "module": "deep-siamese-cnn",
                "first_channels": 2,  # one channel dies: examples with equal logits, which rounding orders at will
                "auxiliary": [1.0, 1.0, 1.0],
                "sweep": {"dropout": [0.1, 0.4]},
            },
        ],
    }
    return tenfold.parse_study(raw | more)


def plans_of(folder: Path, models: list[str]) -> dict[str, Plan]:
    with Record.open(folder) as record:
        found = {model: record.plan(model) for model in models}
    return {model: Plan.from_json(plan) for model, plan in found.items() if plan is not None}


def test_little_memory_makes_groups_and_changes_no_score(tmp_path: Path) -> None:
    whole = tenfold.run(study(), out=tmp_path / "whole", placement="stack")
    small = tenfold.run(study(), out=tmp_path / "small", placement="stack", memory_gib=1e-6)
    for metric in ("accuracy", "f1", "auc", "loss", "digit_accuracy"):
        ours, theirs = small.scores(metric), whole.scores(metric)
        assert list(ours) == list(theirs)
        for variant in ours:
            np.testing.assert_allclose(ours[variant], theirs[variant], rtol=0, atol=1e-10)
    for model in ("dense", "deep"):
        for variant in range(2 if model == "deep" else 1):
            mine, its = (each.weights(model, variant=variant) for each in (small, whole))
            assert list(mine) == list(its)
            assert mine
            for name in mine:
                np.testing.assert_allclose(mine[name], its[name], rtol=0, atol=1e-10)
    plans = plans_of(tmp_path / "small", ["dense", "deep"])
    assert [len(plan.groups) for plan in plans.values()] == [4, 8]
    for plan in plans.values():
        assert f"split into {len(plan.groups)} groups, since" in plan.reason
    with sqlite3.connect(tmp_path / "small" / "results.db") as database:
        texts = [row[0] for row in database.execute("select text from events where kind = 'group split'")]
    database.close()
    assert len(texts) == 2
    assert all(len(plan.groups) == 1 for plan in plans_of(tmp_path / "whole", ["dense", "deep"]).values())


@pytest.mark.parametrize("placement", ["loop", "processes"])
def test_scores_do_not_depend_on_the_placement(tmp_path: Path, placement: Any) -> None:
    stacked = tenfold.run(study(), out=tmp_path / "stack", placement="stack")
    other = tenfold.run(study(), out=tmp_path / placement, placement=placement)
    for metric in ("accuracy", "f1", "auc", "loss", "digit_accuracy"):
        for variant, scores in stacked.scores(metric).items():
            np.testing.assert_allclose(other.scores(metric)[variant], scores, rtol=0, atol=1e-10)


# -- trying a module before anything trains ---------------------------------------------------------------------------


class Two(nn.Module):
    def __init__(self, trouble: str = "", size: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
        self.trouble = trouble
        if trouble == "numpy":
            with torch.no_grad():
                self.layers[1].weight += float(np.random.default_rng().random())

    def forward(self, pairs: Tensor) -> Tensor:
        logits = self.layers(pairs)
        if self.trouble == "detach":
            return logits[:, :2].detach()
        return logits if self.trouble == "shape" else logits[:, :2]


def test_a_module_is_tried_in_training_too(engine: Any) -> None:
    try_module(engine.job(Two), engine.task())
    with pytest.raises(ShapeError, match=r"expected logits of shape \(2 pairs, 2\) .*, got \(2, 3\)"):
        try_module(engine.job(Two, options={"trouble": "shape"}), engine.task())
    with pytest.raises(RequestError, match="Two failed in training on a batch of 10 .*does not require grad"):
        try_module(engine.job(Two, options={"trouble": "detach"}), engine.task())


def test_the_smallest_batch_of_an_epoch_is_tried(engine: Any) -> None:
    """Batch norm on a last batch of one example: said now, not at the end of the first epoch."""
    with pytest.raises(
        RequestError, match=r"on a batch of 1 \(41 examples in batches of 10\): Expected more than 1 value"
    ):
        try_module(engine.job(Two), engine.task(train=41))


def test_initial_values_from_elsewhere_are_refused(engine: Any) -> None:
    with pytest.raises(
        RequestError, match=r"'layers.1.weight' of .*Two differs between two modules built from one seed"
    ):
        try_module(engine.job(Two, options={"trouble": "numpy"}), engine.task())


def test_trying_leaves_the_runs_as_they_were(engine: Any) -> None:
    task, job = engine.task(), engine.job(epochs=2)
    _, before = engine.train(job, task)
    try_module(job, task)
    choose(job, task, None, wanted="auto")
    _, after = engine.train(job, task)
    assert all(np.array_equal(before.weights[name], after.weights[name]) for name in before.weights)


def test_no_processes_are_started_for_a_few_seconds_of_training(engine: Any) -> None:
    job = engine.job(n_runs=2)
    with Workers(engine.task(), 2) as workers:
        plan = choose(job, engine.task(), workers, wanted="auto", spare_seconds=600.0)
        assert not workers.running
        assert set(plan.milliseconds) == {"stack", "loop"}
        plan = choose(job, engine.task(), workers, wanted="auto", spare_seconds=1e-9)
        assert workers.running
        assert set(plan.milliseconds) == {"stack", "loop", "stacks in processes", "loops in processes"}
        workers.start()  # those that run cost nothing more
        plan = choose(job, engine.task(), workers, wanted="auto", spare_seconds=600.0)
        assert "loops in processes" in plan.milliseconds
