"""A state that is carried from batch to batch: a text cut into streams, against a loop that knows nothing of ours."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.errors import RequestError, ShapeError
from tenfold.execute import Plan, choose, try_module, verify
from tenfold.execute._memory import bytes_per_run
from tenfold.metrics import Metric, perplexity
from tenfold.models import ModelFactory
from tenfold.recipe import Config, Recipe
from tenfold.sampling import Batch, Part, Resampling, Split, TokenSource, streams
from tenfold.seeds import derive
from tenfold.tasks import Hyper, TaskInfo, TaskSettings, TaskSpec
from tenfold.train import Job, RunId, evaluate_final, of_run, prepare, restore, train_alone, train_epochs

TOLERANCE = 1e-10
HOWS = ["vmap", "loop"]
N_RUNS, N_TOKENS = 10, 7

# Where a stretch of the text begins, how many streams it is cut into, and how many steps of how many tokens they have.
STEPS = 4


@dataclass(frozen=True)
class Cut:
    start: int
    streams: int
    batches: int


CUTS = {"train": Cut(0, 3, 6), "validation": Cut(100, 2, 3), "test": Cut(140, 4, 2)}


class Characters:
    """Predict the next token of a text; every repeat reads it from another place on."""

    carries: ClassVar[Literal[True]] = True
    spec: ClassVar[TaskSpec] = TaskSpec(
        kind="characters",
        metrics=(
            Metric("perplexity", "Perplexity", "", higher_is_better=False, primary=True),
            Metric("loss", "Loss", "nats", higher_is_better=False),
            Metric("accuracy", "Accuracy", "%", higher_is_better=True),
        ),
        predictions="tokens",
    )
    batches = staticmethod(streams)

    def __init__(self, settings: TaskSettings, tokens: Tensor) -> None:
        self.source = TokenSource(tokens, STEPS)
        self.info = TaskInfo("characters", module_kwargs={"n_tokens": N_TOKENS})

    def splits(
        self, repeats: Sequence[int], *, seed: int, configs: Sequence[Config] | None = None
    ) -> dict[Part, Split]:
        return {
            part: Split(
                self.source,
                torch.stack([starts_of(cut, repeat).flatten() for repeat in repeats]),
                blocks=(cut.streams,) * cut.batches,
            )
            for part, cut in CUTS.items()
        }

    def resampling(self, configs: Sequence[Config] | None = None) -> Resampling:
        return Resampling(0.0, False, "one text")

    def check(self, output: Any, batch: Batch) -> None:
        if output.shape != (*batch.targets["next"].shape, N_TOKENS):
            raise ShapeError(f"expected logits (streams, steps, {N_TOKENS}), got {tuple(output.shape)}")

    def loss(self, output: Any, batch: Batch, hyper: Hyper) -> Tensor:
        return F.cross_entropy(output.flatten(0, 1), batch.targets["next"].flatten())

    def sums(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        right = output.argmax(-1) == batch.targets["next"]
        nats = self.predictions(output, batch)["nats"]
        return {
            "nats": nats.sum((1, 2)),
            "right": right.sum((1, 2)),
            "count": torch.full_like(right[:, 0, 0], right[0].numel(), dtype=torch.int64),
        }

    def metrics_of(self, sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            "perplexity": perplexity(sums["nats"], sums["count"]),
            "loss": sums["nats"] / sums["count"],
            "accuracy": sums["right"] / sums["count"],
        }

    def predictions(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        return {"nats": -output.log_softmax(-1).gather(-1, batch.targets["next"][..., None])[..., 0]}


def starts_of(cut: Cut, repeat: int) -> Tensor:
    """First tokens, (batches, streams): a stream goes on where its last batch ended."""
    first = cut.start + repeat + torch.arange(cut.streams) * cut.batches * STEPS
    return first + torch.arange(cut.batches)[:, None] * STEPS


class Reader(nn.Module):
    """Embedding, recurrent layers, logits; the state is that of the recurrent layers."""

    def __init__(self, *, n_tokens: int, kind: str = "GRU", units: int = 5) -> None:
        super().__init__()
        self.kind, self.units = kind, units
        self.embed = nn.Embedding(n_tokens, 3)
        self.recurrent = getattr(nn, kind)(3, units, num_layers=2, batch_first=True)
        self.decode = nn.Linear(units, n_tokens)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        zero = self.decode.bias.new_zeros(2, batch_size, self.units)
        return (zero, zero.clone()) if self.kind == "LSTM" else (zero,)

    def forward(self, tokens: Tensor, *state: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        outputs, state = self.recurrent(self.embed(tokens), state if self.kind == "LSTM" else state[0])
        return self.decode(outputs), state if self.kind == "LSTM" else (state,)  # type: ignore[return-value]


@pytest.fixture
def text() -> Tensor:
    """Tokens that depend on those before them, so that a state has something to carry."""
    tokens = torch.randint(N_TOKENS, (200,), generator=torch.Generator().manual_seed(0))
    for at in range(6, len(tokens)):
        tokens[at] = (tokens[at - 6] + tokens[at - 1]) % N_TOKENS if at % 5 else tokens[at]
    return tokens.to(torch.uint8)


@pytest.fixture
def task(text: Tensor) -> Characters:
    return Characters(TaskSettings(kind="characters", data="memory"), text)


def job_of(module: Any = Reader, *, how: Any = "vmap", n_runs: int = N_RUNS, kind: str = "GRU", **recipe: Any) -> Job:
    options = {"n_tokens": N_TOKENS} | ({"kind": kind} if module is Reader else {})
    resolved = Recipe(**{"dtype": "float64", "epochs": 2, "optimizer": "sgd", "lr": 0.5, "momentum": 0.9} | recipe)
    config = Config({}, resolved, options)
    runs = tuple(RunId(config, repeat) for repeat in range(n_runs))
    return Job("model", ModelFactory(module, options), runs, 0, how, 1)


# -- a loop that knows nothing of tenfold.train -----------------------------------------------------------------------


def batches_of(text: Tensor, part: str, repeat: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets (streams, steps) of each batch, sliced by hand."""
    cut = CUTS[part]
    length = cut.batches * STEPS
    for batch in range(cut.batches):
        starts = [cut.start + repeat + stream * length + batch * STEPS for stream in range(cut.streams)]
        rows = torch.stack([text[start : start + STEPS + 1].long() for start in starts])
        yield rows[:, :-1], rows[:, 1:]


def zeros(kind: str, streams: int) -> Any:
    zero = torch.zeros(2, streams, 5, dtype=torch.float64)
    return (zero, zero) if kind == "LSTM" else zero


def detached(state: Any) -> Any:
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


def plain_pass(module: Any, text: Tensor, part: str, repeat: int, kind: str, optimiser: Any = None) -> dict[str, Any]:
    """Once through a part with carried state; metrics, and the losses of single tokens."""
    state, losses, right, objective = zeros(kind, CUTS[part].streams), [], [], []
    for inputs, targets in batches_of(text, part, repeat):
        outputs, state = module.recurrent(module.embed(inputs), state)
        logits = module.decode(outputs)
        state = detached(state)
        each = nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
        if optimiser is not None:
            optimiser.zero_grad()
            each.mean().backward()
            nn.utils.clip_grad_norm_(module.parameters(), 0.5)
            optimiser.step()
        objective.append(each.mean().item())
        losses.append(each.detach())
        right.append((logits.argmax(-1) == targets).double())
    mean = float(torch.cat(losses).mean())
    metrics = {"loss": mean, "perplexity": float(np.exp(mean)), "accuracy": float(torch.cat(right).mean())}
    return metrics | {"objective": float(np.mean(objective)), "nats": torch.cat(losses), "state": state}


def plain_loop(
    text: Tensor, repeat: int, kind: str, optimiser_of: Callable, epochs: int = 2
) -> tuple[nn.Module, list[dict[str, dict[str, Any]]]]:
    """The module of one run, and what every part gave in every epoch."""
    torch.manual_seed(derive(0, "model", repeat, "weights"))
    module = Reader(n_tokens=N_TOKENS, kind=kind).double()
    optimiser = optimiser_of(module.parameters())
    history = []
    for _ in range(epochs):
        of_epoch = {"train": plain_pass(module, text, "train", repeat, kind, optimiser)}
        with torch.no_grad():
            of_epoch |= {part: plain_pass(module, text, part, repeat, kind) for part in ("validation", "test")}
        history.append(of_epoch)
    return module, history


OPTIMISERS: dict[str, tuple[Callable, dict[str, Any]]] = {
    "sgd": (lambda p: torch.optim.SGD(p, lr=0.5, momentum=0.9), {}),
    "adam": (lambda p: torch.optim.Adam(p, lr=0.02), {"optimizer": "adam", "lr": 0.02, "momentum": 0.0}),
}


@pytest.mark.parametrize("kind", ["GRU", "LSTM", "RNN"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("how", HOWS)
def test_against_a_loop_that_knows_nothing_of_ours(
    engine: Any, task: Characters, text: Tensor, how: Any, optimiser: str, kind: str
) -> None:
    """Weights, training losses, validation and test metrics of every epoch, and the losses of single tokens."""
    optimiser_of, settings = OPTIMISERS[optimiser]
    epochs, outcome = engine.train(job_of(how=how, kind=kind, clip=0.5, **settings), task)
    assert len(epochs) == 2
    for run in range(N_RUNS):
        module, history = plain_loop(text, run, kind, optimiser_of)
        for name, value in module.state_dict().items():
            found = torch.from_numpy(outcome.weights[name][run])
            torch.testing.assert_close(found, value, rtol=0, atol=TOLERANCE, msg=lambda m, n=name: f"{n}: {m}")
        for epoch, expected in zip(epochs, history, strict=True):
            for part, metrics in epoch.scores.items():
                for name, values in metrics.items():
                    assert values[run] == pytest.approx(expected[part][name], rel=0, abs=TOLERANCE), (part, name)
            assert set(epoch.scores) == {"train", "validation", "test"}
            assert set(epoch.scores["train"]) == {"perplexity", "loss", "accuracy", "objective"}
        for name, values in outcome.scores.items():
            assert values[run] == pytest.approx(history[-1]["test"][name], rel=0, abs=TOLERANCE)
        kept = torch.from_numpy(outcome.predictions["nats"][run])
        torch.testing.assert_close(kept, history[-1]["test"]["nats"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("how", HOWS)
def test_the_twin_a_loop_that_forgets_its_state_is_another(
    engine: Any, task: Characters, text: Tensor, how: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, outcome = engine.train(job_of(how=how, clip=0.5), task)
    monkeypatch.setattr(f"{__name__}.detached", lambda state: zeros("GRU", state.shape[1]))
    module, history = plain_loop(text, 0, "GRU", OPTIMISERS["sgd"][0])
    weight = module.state_dict()["decode.weight"]
    assert float((torch.from_numpy(outcome.weights["decode.weight"][0]) - weight).abs().max()) > 1e-3
    assert abs(outcome.scores["loss"][0] - history[-1]["test"]["loss"]) > 1e-4


def test_the_state_of_the_steps_is_that_of_the_plain_loop(engine: Any, task: Characters, text: Tensor) -> None:
    """After the last step of an epoch, before the next one begins anew."""
    for how in HOWS:
        state = engine.interrupted(job_of(how=how, clip=0.5), task, 12, None)
        for run in range(N_RUNS):
            _, history = plain_loop(text, run, "GRU", OPTIMISERS["sgd"][0])
            torch.testing.assert_close(state.epoch.carry[0][run], history[1]["train"]["state"], rtol=0, atol=TOLERANCE)


# -- going on in the middle of an epoch -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("after", [[1], [4], [6], [7], [11], [12], [2, 3, 9]])
def test_going_on_in_the_middle_of_an_epoch(
    engine: Any, task: Characters, tmp_path: Path, how: Any, after: list[int]
) -> None:
    """Epochs have 6 steps. Bit for bit: carried state, curves, weights, scores and predictions."""
    path, job = tmp_path / "c.safetensors", job_of(how=how, kind="LSTM", dtype="float32", clip=0.5)
    for steps in after:
        broken = engine.interrupted(job, task, steps, path)
    state = prepare(job, task)
    restore(state, path)
    assert (state.steps_done, state.epochs_done) == (after[-1], (after[-1] - 1) // 6)
    assert state.epoch.steps == (after[-1] - 1) % 6 + 1
    assert len(state.epoch.carry) == 2
    for mine, its in zip(state.epoch.carry, broken.epoch.carry, strict=True):
        assert bool(mine.any())
        assert torch.equal(mine, its)
    epochs = list(train_epochs(state))
    again = evaluate_final(state, seconds=0.0)
    unbroken, outcome = engine.train(job, task)
    assert [epoch.scores for epoch in epochs] == [epoch.scores for epoch in unbroken]
    for kind in ("scores", "weights", "predictions"):
        mine, its = getattr(again, kind), getattr(outcome, kind)
        assert list(mine) == list(its)
        for name in mine:
            assert mine[name].tobytes() == its[name].tobytes(), (kind, name)


def test_the_twin_a_checkpoint_without_the_carried_state_goes_on_otherwise(
    engine: Any, task: Characters, tmp_path: Path
) -> None:
    path, job = tmp_path / "c.safetensors", job_of()
    engine.interrupted(job, task, 4, path)
    state = prepare(job, task)
    restore(state, path)
    state.epoch.carry = ()
    *_, last = train_epochs(state)
    expected, _ = engine.train(job, task)
    assert last.scores != expected[-1].scores


# -- the certificate, placement, and what is refused ------------------------------------------------------------------


def test_a_run_alone_is_the_run_in_the_stack(engine: Any, task: Characters) -> None:
    job = job_of(kind="LSTM", epochs=4)
    _, outcome = engine.train(job, task)
    for run in range(N_RUNS):
        for name, value in train_alone(job, task, run).state_dict().items():
            torch.testing.assert_close(torch.from_numpy(outcome.weights[name][run]), value, rtol=0, atol=TOLERANCE)
    for how, groups in (("vmap", (tuple(range(N_RUNS)),)), ("loop", ((4, 5, 6, 7, 8, 9), (1, 0, 2, 3)))):
        scores = [of_run(outcome.scores, run) for run in range(N_RUNS)]
        found = verify(
            job, task, Plan("stack", how, 1, groups), [of_run(outcome.weights, run) for run in range(N_RUNS)], scores
        )  # type: ignore[arg-type]
        assert found["steps_float64"] == 20
        assert found["weights_float64"] < TOLERANCE
        assert found["weights"] < TOLERANCE
        assert set(found["scores"]) == {"perplexity", "loss", "accuracy"}
        assert max(found["scores"].values()) < TOLERANCE


class LearnsItsStart(Reader):
    """Its first state is a parameter: given to the engine as it is and not trained, by whichever way."""

    def __init__(self, *, n_tokens: int) -> None:
        super().__init__(n_tokens=n_tokens)
        self.start = nn.Parameter(torch.randn(2, 1, 5))

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        return (self.start.expand(-1, batch_size, -1),)


def test_a_first_state_made_of_parameters_is_the_same_each_way(engine: Any, task: Characters) -> None:
    outcomes = [engine.train(job_of(LearnsItsStart, how=how, n_runs=3), task)[1] for how in HOWS]
    alone = train_alone(job_of(LearnsItsStart, n_runs=3), task, 2)
    for name, value in alone.state_dict().items():
        for outcome in outcomes:
            torch.testing.assert_close(torch.from_numpy(outcome.weights[name][2]), value, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("wanted", ["auto", "stack", "loop"])
def test_placement_times_and_weighs_it(task: Characters, wanted: Any) -> None:
    plan = choose(job_of(), task, None, wanted=wanted)
    assert plan.bytes_per_run == bytes_per_run(job_of(how="loop", n_runs=1), task) > 0
    assert sorted(run for group in plan.groups for run in group) == list(range(N_RUNS))
    try_module(job_of(), task)


def test_it_goes_to_other_processes(engine: Any, task: Characters) -> None:
    copied = pickle.loads(pickle.dumps(task))
    job = job_of(n_runs=2)
    assert engine.train(job, copied)[1].scores["loss"].tolist() == engine.train(job, task)[1].scores["loss"].tolist()


class NoStart(nn.Module):
    def __init__(self, *, n_tokens: int) -> None:
        super().__init__()
        self.reader = Reader(n_tokens=n_tokens)

    def forward(self, tokens: Tensor, hidden: Tensor) -> Any:
        return self.reader(tokens, hidden)


class BareStart(NoStart):
    def initial_state(self, batch_size: int) -> Any:
        return self.reader.initial_state(batch_size)[0]


class KeepsItsState(NoStart):
    def initial_state(self, batch_size: int) -> Any:
        return self.reader.initial_state(batch_size)

    def forward(self, tokens: Tensor, hidden: Tensor) -> Any:
        return self.reader(tokens, hidden)[0]


class BareState(KeepsItsState):
    def forward(self, tokens: Tensor, hidden: Tensor) -> Any:
        logits, (hidden,) = self.reader(tokens, hidden)
        return logits, hidden


class OtherState(KeepsItsState):
    def forward(self, tokens: Tensor, hidden: Tensor) -> Any:
        logits, (hidden,) = self.reader(tokens, hidden)
        return logits, (hidden[:1],)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (NoStart, r"NoStart: the task 'characters' carries a state .* needs initial_state\(batch_size\)"),
        (BareStart, r"BareStart: the task 'characters' carries a state .* a tuple of tensors"),
        (KeepsItsState, r"KeepsItsState: expected \(output, state\), .* got Tensor$"),
        (BareState, r"BareState: expected \(output, state\), .*\[\(2, 3, 5\)\] .* got tuple with Tensor"),
        (OtherState, r"OtherState: expected \(output, state\), .*\[\(2, 3, 5\)\] .* got tuple with \[\(1, 3, 5\)\]"),
    ],
)
def test_a_module_that_does_not_carry_is_refused_by_name(task: Characters, module: Any, said: str) -> None:
    with pytest.raises((RequestError, ShapeError), match=said):
        try_module(job_of(module), task)


def test_batches_go_on_where_the_last_one_ended(task: Characters, text: Tensor) -> None:
    split = task.splits([0, 3], seed=0)["train"]
    rows = streams(split.of_run(0), Recipe(), torch.Generator())
    assert [len(batch) for batch in rows] == [3] * 6
    for run, repeat in enumerate((0, 3)):
        read = torch.cat([split.batch(batch.expand(2, -1)).inputs[0][run] for batch in rows], dim=1)
        assert torch.equal(
            read, torch.stack([text[repeat + at * 24 : repeat + at * 24 + 24] for at in range(3)]).long()
        )
        following = torch.cat([split.batch(batch.expand(2, -1)).targets["next"][run] for batch in rows], dim=1)
        assert torch.equal(following[:, :-1], read[:, 1:])


class Uneven(Characters):
    """Its last test batch is one stream short."""

    def splits(self, repeats: Sequence[int], *, seed: int, configs: Any = None) -> dict[Part, Split]:
        found, cut = super().splits(repeats, seed=seed, configs=configs), CUTS["test"]
        sizes = (*(cut.streams,) * (cut.batches - 1), cut.streams - 1)
        return found | {"test": replace(found["test"], index=found["test"].index[:, : sum(sizes)], blocks=sizes)}


def test_batches_of_several_sizes_are_said_before_anything_is_trained(task: Characters) -> None:
    uneven = Uneven(TaskSettings(kind="characters", data=""), task.source.tokens)
    message = "carries a state from batch to batch; expected batches of one size, got 3, 4 in the test part"
    with pytest.raises(RequestError, match=message):
        try_module(job_of(), uneven)
