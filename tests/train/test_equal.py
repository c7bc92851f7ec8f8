"""A run in a stack of R is the run in a loop, in a stack of one, and in a plain PyTorch loop."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tenfold import built_in_studies, load_study
from tenfold.config import ModelSettings
from tenfold.models import MODELS, ModelFactory, with_module_kwargs
from tenfold.sampling import Split, TensorSource
from tenfold.seeds import derive, generator
from tenfold.stack import replayable
from tenfold.tasks import TASKS
from tenfold.train import Job, RunId, prepare, train_alone, train_epochs

TOLERANCE = 1e-10


# Batch norm of maps of one pixel over ten images multiplies rounding from step to step; so does Adam, where a gradient
# is 0 but for rounding. Few channels and embeddings of length 1 keep it below the tolerance.
WITHOUT_A_STUDY: dict[str, dict[str, Any]] = {"conv4-embedding": {"channels": 16, "normalised": True}}


# Of these it takes fewer than the studies have: the layers are the same, and the test takes a tenth of the time.
NARROW: dict[str, dict[str, Any]] = {
    "recurrent-classifier": {"units": 12, "hidden": [8]},
    "deep-conv-lstm": {"units": 12, "kernels": 8},
}


def built_in_models() -> dict[str, tuple[str, ModelSettings]]:
    """Every different model of the built-in studies with its task's kind, as they train it; budgets apart."""
    found: dict[tuple, tuple[str, str, ModelSettings]] = {}
    for name in built_in_studies():
        study = load_study(name)
        for model in study.models:
            if model.factory.is_estimator:
                continue
            options = dict(model.factory.options) | NARROW.get(model.factory.name, {})
            model = replace(model, factory=replace(model.factory, options=options))
            recipe = model.recipe.model_copy(update={"epochs": 1, "batch_size": 1})
            sweep = {key: values for key, values in model.sweep.items() if key not in ("epochs", "batch_size")}
            key = (model.factory.name, repr(sorted(model.factory.options.items())), repr(recipe), repr(sweep))
            found.setdefault(key, (f"{name}: {model.name}", study.task.kind, model))
    there = {model.factory.name for _, _, model in found.values()}
    for name in set(MODELS) - there:  # for studies of one's own
        kind = "match" if name.endswith("-embedding") else "compare-pairs"
        settings: dict[str, Any] = {"loss": "prototypical", "optimizer": "sgd"} if kind == "match" else {}
        recipe = TASKS[kind].spec.recipe(**settings)
        model = ModelSettings(name, ModelFactory(name, WITHOUT_A_STUDY[name]), recipe)
        found[(name,)] = (name, kind, model)
    return {name: (kind, model) for name, kind, model in sorted(found.values(), key=lambda entry: entry[0])}


BUILT_IN = built_in_models()
# Ten examples a batch, 40 examples to learn from.
BATCHES: dict[str, dict[str, Any]] = {
    "classify-sequences": {"batch_size": 10},
    "compare-pairs": {"batch_size": 10},
    "match": {"batch_size": 10, "classes_per_batch": 2, "images_per_class": 5},
}


def test_every_model_of_the_list_is_tested_here() -> None:
    assert {model.factory.name for _, model in BUILT_IN.values()} == set(MODELS)
    assert {kind for kind, _ in BUILT_IN.values()} == set(BATCHES) == set(TASKS)
    assert len(BUILT_IN) >= 10


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_model_is_the_run_that_it_would_be_alone(engine: Any, name: str) -> None:
    """Float64, 20 steps; parameters and buffers, against the loop, stacks of one and a plain PyTorch loop."""
    kind, model = BUILT_IN[name]
    task = {"compare-pairs": engine.task, "match": engine.match, "classify-sequences": engine.sequences}[kind]()
    changes = {"dtype": "float64", "epochs": 5} | BATCHES[kind]
    sweep = {key: values for key, values in model.sweep.items() if key not in changes}
    factory = with_module_kwargs(model.factory, task.info.module_kwargs)
    configs = replace(model, factory=factory, recipe=model.recipe.changed(changes), sweep=sweep).configs()
    assert len({config.alike for config in configs}) == 1
    runs = tuple(RunId(config, repeat) for config in configs for repeat in range(2 if len(configs) > 1 else 3))
    job = Job(model.name, factory, runs, 0, "vmap", 1)
    stack = engine.steps(job, task).stack
    looped = engine.steps(engine.loop(job), task).stack
    recorded = engine.steps(replace(job, recorded=True), task).stack
    assert recorded.recorded
    for run in range(len(runs)):
        in_stack = stack.module(run)
        single = engine.steps(job.of_runs(runs[run : run + 1]), task).stack.module(0)
        alone = train_alone(job, task, run, max_steps=20)
        assert engine.distance(in_stack, recorded.module(run)) < TOLERANCE
        assert engine.distance(in_stack, looped.module(run)) < TOLERANCE
        assert engine.distance(in_stack, single) < TOLERANCE
        assert engine.distance(in_stack, alone) < TOLERANCE
        start = factory.build(derive(0, model.name, runs[run].repeat, "weights"), **runs[run].config.options).double()
        assert engine.distance(in_stack, start) > 1e-4  # it did train


def recipes() -> st.SearchStrategy[dict[str, Any]]:
    """Recipes of every optimiser with every schedule that does not look at validation scores, and all config values."""

    def optimiser(name: str) -> st.SearchStrategy[dict[str, Any]]:
        kinds: dict[str, dict[str, st.SearchStrategy]] = {
            "sgd": {"momentum": st.sampled_from([0.0, 0.5, 0.9]), "lr": st.sampled_from([0.01, 0.1])},
            "nesterov": {"momentum": st.sampled_from([0.5, 0.9]), "nesterov": st.just(True)},
            "rmsprop": {"momentum": st.sampled_from([0.0, 0.9])},
            "adam": {},
            "adamw": {},
        }
        kind = st.just({"nesterov": "sgd"}.get(name, name))
        return st.fixed_dictionaries({"optimizer": kind, "lr": st.sampled_from([1e-3, 1e-2])} | kinds[name])

    common = st.fixed_dictionaries(
        {
            "schedule": st.sampled_from(["constant", "cosine", "step", "one-cycle"]),
            "weight_decay": st.sampled_from([0.0, 1e-3, 0.1]),
            "clip": st.sampled_from([None, 0.01, 1.0]),
            "dropout": st.sampled_from([0.0, 0.3, 0.5]),
            "auxiliary": st.sampled_from([None, [0.8, 0.8, 1.0], [1.0, 0.0, 0.5]]),
            "augment": st.sampled_from([None, {"rotate": 10.0, "shift": 1.0, "scale": 0.1, "shear": 5.0}]),
            "batch_size": st.sampled_from([10, 16, 40]),
            "step_epochs": st.integers(1, 2),
            "gamma": st.sampled_from([0.1, 0.5]),
        }
    )
    names = st.sampled_from(["sgd", "nesterov", "rmsprop", "adam", "adamw"])
    return st.tuples(names.flatmap(optimiser), common).map(lambda both: both[0] | both[1])


@given(recipe=recipes(), seed=st.integers(0, 1000), n_runs=st.integers(1, 3))
@settings(
    deadline=None, max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)  # shrinking takes minutes
def test_every_recipe_is_the_run_that_it_would_be_alone(engine: Any, recipe: dict, seed: int, n_runs: int) -> None:
    task = engine.task()
    job = engine.job(n_runs=n_runs, seed=seed, **recipe)
    stack = engine.steps(job, task, 12).stack
    looped = engine.steps(engine.loop(job), task, 12).stack
    for run in range(n_runs):
        alone = train_alone(job, task, run, max_steps=12)
        single = engine.steps(job.of_runs(job.runs[run : run + 1]), task, 12).stack.module(0)
        # The last part of Adam's square root: gradients that are exactly 0 in truth are rounding here.
        assert engine.distance(stack.module(run), looped.module(run)) < TOLERANCE
        assert engine.distance(stack.module(run), single) < TOLERANCE
        assert engine.distance(stack.module(run), alone) < TOLERANCE


# -- a loop that knows nothing of tenfold.train ---------------------------------------------------------------------

OPTIMISERS = {
    "sgd": (lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.01), {"optimizer": "sgd", "lr": 0.05}),
    "momentum": (
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
        {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9},
    ),
    "nesterov": (
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
        {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
    ),
    "adam": (lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.01), {"optimizer": "adam", "lr": 0.01}),
    "adamw": (lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.01), {"optimizer": "adamw", "lr": 0.01}),
    "rmsprop": (
        lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, weight_decay=0.01),
        {"optimizer": "rmsprop", "lr": 0.01, "momentum": 0.5},
    ),
}
SCHEDULES = {
    "constant": lambda opt, n: (torch.optim.lr_scheduler.LambdaLR(opt, lambda _: 1.0), "step"),
    "cosine": lambda opt, n: (torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=n), "step"),
    "step": lambda opt, n: (torch.optim.lr_scheduler.StepLR(opt, step_size=2, gamma=0.3), "epoch"),
    "one-cycle": lambda opt, n: (
        torch.optim.lr_scheduler.OneCycleLR(opt, opt.param_groups[0]["lr"], total_steps=n, cycle_momentum=False),
        "step",
    ),
    "plateau": lambda opt, n: (
        torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.3, patience=0, threshold=1e-4),
        "validation",
    ),
}


def plain_loop(job: Job, task: Any, run: int, optimiser_of: Any, schedule_of: Any, clip: float) -> nn.Module:
    """Written from torch alone; of tenfold only seeds, data and replayable dropout."""
    seed, repeat, recipe = job.seed, job.runs[run].repeat, job.recipe
    torch.manual_seed(derive(seed, job.model, repeat, "weights"))
    module = job.factory.reference(**job.factory.options)  # type: ignore[operator]
    module = replayable(module.double(), key=derive(seed, job.model, repeat, "dropout"))
    parts = task.splits([repeat], seed=seed)
    images, (target, digits) = (
        images_of(parts["train"]),
        (parts["train"].targets[name][0] for name in ("target", "digits")),
    )
    optimiser = optimiser_of(module.parameters())
    n_batches = math.ceil(len(images) / recipe.batch_size)
    scheduler, when = schedule_of(optimiser, recipe.epochs * n_batches)
    cross_entropy = nn.CrossEntropyLoss()
    for epoch in range(recipe.epochs):
        module.train()
        order = torch.randperm(len(images), generator=generator(seed, repeat, "order", epoch))
        for start in range(0, len(images), recipe.batch_size):
            rows = order[start : start + recipe.batch_size]
            optimiser.zero_grad()
            logits, classes = module(images[rows])
            loss: Tensor = 0.7 * cross_entropy(logits, target[rows])
            loss = loss + 0.8 * cross_entropy(classes[:, 0], digits[rows, 0])
            loss = loss + 0.9 * cross_entropy(classes[:, 1], digits[rows, 1])
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), clip)
            optimiser.step()
            if when == "step":
                scheduler.step()
        if when == "epoch":
            scheduler.step()
        if when == "validation":
            module.eval()
            held = parts["validation"]
            with torch.no_grad():
                logits, _ = module(images_of(held))
            scheduler.step(cross_entropy(logits, held.targets["target"][0]).item())
    return module


def images_of(split: Split) -> Tensor:
    """All pairs of the only run of a split, from the images in memory: standardised where the split does so."""
    assert isinstance(split.source, TensorSource)
    pairs = split.source.items[split.index[0]].double()
    if split.source.items.dtype == torch.uint8:
        pairs = pairs / 255
    return pairs if split.preprocess is None else (pairs - split.preprocess.shift[0]) * split.preprocess.scale[0]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_against_a_loop_that_knows_nothing_of_ours(engine: Any, optimiser: str, schedule: str) -> None:
    """Dropout, batch norm, recurrence, auxiliary losses, clipping, an uneven last batch; with evaluation in between."""
    validation = 0.25 if schedule == "plateau" else 0.0
    task = engine.task(train=48, validation=validation)
    optimiser_of, settings_of = OPTIMISERS[optimiser]
    settings_of = {"weight_decay": 0.01, "schedule": schedule, "clip": 0.5, "auxiliary": [0.8, 0.9, 0.7]} | settings_of
    job = engine.job(n_runs=2, batch_size=10, epochs=4, step_epochs=2, gamma=0.3, plateau_epochs=0, **settings_of)
    for how in (job, engine.loop(job)):
        _, outcome = engine.train(how, task)
        for run in range(2):
            alone = plain_loop(job, task, run, optimiser_of, SCHEDULES[schedule], 0.5)
            for name, value in alone.state_dict().items():
                torch.testing.assert_close(
                    torch.as_tensor(outcome.weights[name][run]),
                    value,
                    rtol=0,
                    atol=TOLERANCE,
                    msg=lambda m, n=name: f"{n}: {m}",
                )


def test_plateau_schedules_part_in_the_test_above(engine: Any) -> None:
    """The twin: the plateau case would pass unnoticed if no rate were ever reduced, or all at once."""
    task = engine.task(train=48, validation=0.25)
    job = engine.job(n_runs=4, schedule="plateau", plateau_epochs=0, gamma=0.3, epochs=8, optimizer="sgd", lr=0.5)
    state = prepare(job, task)
    list(train_epochs(state))
    assert state.plateau is not None
    assert float(state.plateau.factors.min()) < 1
    assert len(set(state.plateau.factors.tolist())) > 1


# -- configs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "more"),
    [
        ("lr", [0.001, 0.03], {"optimizer": "sgd"}),
        ("lr", [0.001, 0.03], {"optimizer": "adam"}),
        ("momentum", [0.0, 0.9], {"optimizer": "sgd", "lr": 0.05}),
        ("momentum", [0.0, 0.9], {"optimizer": "rmsprop"}),
        ("weight_decay", [0.0, 0.2], {"optimizer": "adamw"}),
        ("clip", [0.01, 5.0], {"optimizer": "sgd", "lr": 0.1}),
        ("dropout", [0.0, 0.2, 0.9], {}),
        ("auxiliary", [[0.0, 0.0, 1.0], [1.0, 0.5, 0.2]], {}),
    ],
)
def test_a_list_of_values_per_run_is_a_study_for_each(engine: Any, name: str, values: list, more: dict) -> None:
    task = engine.task()
    swept = engine.job(n_runs=2, **{name: values}, **more)
    assert len(swept.runs) == 2 * len(values)
    assert len({run.config.label for run in swept.runs}) == len(values)
    stack = engine.steps(swept, task).stack
    looped = engine.steps(engine.loop(swept), task).stack
    for at, value in enumerate(values):
        single = engine.steps(engine.job(n_runs=2, **{name: value}, **more), task).stack
        for run in range(2):
            assert engine.distance(stack.module(2 * at + run), single.module(run)) < TOLERANCE
            assert engine.distance(looped.module(2 * at + run), single.module(run)) < TOLERANCE
    assert engine.distance(stack.module(0), stack.module(2)) > 1e-4  # the value matters


def test_a_grid_of_values_per_run_is_every_combination(engine: Any) -> None:
    task = engine.task()
    grid = engine.job(n_runs=1, optimizer="sgd", lr=[0.01, 0.1], momentum=[0.0, 0.9], dropout=[0.1, 0.5])
    assert len(grid.runs) == 8
    stack = engine.steps(grid, task).stack
    config = grid.runs[6].config
    assert config.label == "lr=0.1, momentum=0.9, dropout=0.1"
    single = engine.job(n_runs=1, optimizer="sgd", lr=0.1, momentum=0.9, dropout=0.1)
    assert engine.distance(stack.module(6), engine.steps(single, task).stack.module(0)) < TOLERANCE


# -- modules with parts that are not trained ------------------------------------------------------------------------


class Frozen(nn.Module):
    """Some parameters frozen, one never used."""

    def __init__(self, *, size: int = 8, dropout: float = 0.2) -> None:
        super().__init__()
        self.base = nn.Linear(2 * size * size, 16)
        self.head = nn.Linear(16, 2)
        self.unused = nn.Parameter(torch.ones(3))
        self.drop = nn.Dropout(dropout)
        self.base.weight.requires_grad_(False)

    def forward(self, pairs: Tensor) -> Tensor:
        return self.head(self.drop(torch.relu(self.base(pairs.flatten(1)))))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_frozen_parameters_are_not_trained(engine: Any, optimizer: str) -> None:
    """Not by weight decay either, which needs no gradient."""
    task = engine.task()
    job = engine.job(Frozen, optimizer=optimizer, weight_decay=0.1, clip=0.1)
    stack = engine.steps(job, task).stack
    looped = engine.steps(engine.loop(job), task).stack
    for run in range(3):
        start = job.factory.build(derive(0, "model", run, "weights")).double()
        trained, alone = stack.module(run), train_alone(job, task, run, max_steps=20)
        assert torch.equal(trained.base.weight, start.base.weight)
        assert torch.equal(looped.module(run).base.weight, start.base.weight)
        for name in ("base.bias", "head.weight", "head.bias"):
            theirs = alone.get_parameter(name)
            torch.testing.assert_close(trained.get_parameter(name), theirs, rtol=0, atol=TOLERANCE)
            torch.testing.assert_close(looped.module(run).get_parameter(name), theirs, rtol=0, atol=TOLERANCE)
        assert not torch.equal(trained.base.bias, start.base.bias)


class Constant(nn.Module):
    """Nothing to train: the share of target 1, say."""

    def forward(self, pairs: Tensor) -> Tensor:
        return pairs.new_tensor([0.4, 0.6]).log().expand(len(pairs), 2)


@pytest.mark.parametrize("how", ["vmap", "loop"])
def test_a_module_without_parameters_is_scored(engine: Any, how: Any) -> None:
    task = engine.task()
    job = engine.job(Constant, options={}, epochs=2, how=how)
    epochs, outcome = engine.train(job, task)
    assert len(epochs) == 2
    assert outcome.status == ["finished"] * 3
    targets = task.splits(range(3), seed=0)["test"].targets["target"].double()
    torch.testing.assert_close(torch.from_numpy(outcome.scores["accuracy"]), targets.mean(1))


class Noisy(nn.Module):
    """Draws from PyTorch's own generator: cannot be stacked, replays in a loop."""

    def __init__(self, *, size: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, 2))

    def forward(self, pairs: Tensor) -> Tensor:
        noise = 0.5 * torch.randn_like(pairs) if self.training else 0
        return self.layers(nn.functional.dropout(pairs + noise, 0.2, self.training))


def test_random_numbers_inside_a_module_replay_in_a_loop(engine: Any) -> None:
    task = engine.task()
    job = engine.loop(engine.job(Noisy))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = engine.steps(job, task).stack
    assert torch.equal(torch.get_rng_state(), before)  # the caller's own numbers are not touched
    torch.manual_seed(1)
    for run in range(3):
        single = engine.steps(job.of_runs(job.runs[run : run + 1]), task).stack.module(0)
        assert engine.distance(first.module(run), single) == 0
        assert engine.distance(first.module(run), train_alone(job, task, run, max_steps=20)) < TOLERANCE


def test_augmentation_changes_what_is_trained_and_not_the_data(engine: Any) -> None:
    task = engine.task()
    before = task.splits([0], seed=0)["train"].source.items.clone()
    plain = engine.steps(engine.job(), task).stack
    augmented = engine.steps(engine.job(augment={"shift": 1.0}), task).stack
    nothing = engine.steps(engine.job(augment={}), task).stack
    assert engine.distance(plain.module(0), augmented.module(0)) > 1e-4
    assert (
        engine.distance(plain.module(0), nothing.module(0)) < 1e-9
    )  # sampling at the pixels themselves, but for rounding
    assert torch.equal(task.splits([0], seed=0)["train"].source.items, before)


def test_single_precision_stays_near(engine: Any) -> None:
    """Where rounding is 1e-7 a step: no guarantee, but no other arithmetic either."""
    task = engine.task()
    job = engine.job(dtype="float32", optimizer="sgd", lr=0.05)
    stack = engine.steps(job, task).stack
    for run in range(3):
        assert engine.distance(stack.module(run), train_alone(job, task, run, max_steps=20)) < 1e-5


class Dense(nn.Module):
    """Small enough to compile in seconds."""

    def __init__(self, *, size: int = 8, dropout: float = 0.3) -> None:
        super().__init__()
        layers = [nn.Flatten(), nn.Linear(2 * size * size, 8), nn.BatchNorm1d(8), nn.Dropout(dropout), nn.Linear(8, 2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, pairs: Tensor) -> Tensor:
        return self.layers(pairs)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # of the compiler's own making
def test_a_compiled_stack_is_the_run_that_it_would_be_alone(engine: Any) -> None:
    """An uneven last batch, evaluation in between, dropout and batch norm."""
    task = engine.task(train=44)
    job = replace(engine.job(Dense, n_runs=2, epochs=4, clip=0.5, dropout=[0.2, 0.6]), compiled=True)
    _, outcome = engine.train(job, task)
    for run in range(len(job.runs)):
        alone = train_alone(job, task, run)
        for name, value in engine.tensors(alone).items():
            found = torch.as_tensor(outcome.weights[name][run])
            torch.testing.assert_close(found, value, rtol=0, atol=TOLERANCE, msg=lambda m, n=name: f"{n}: {m}")
