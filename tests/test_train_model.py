"""One model of a study: what fails beside its scores, and a plan that fails, end no study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tenfold
from tenfold import study as study_module
from tenfold import train_model as train_model_module
from tenfold.errors import TenfoldError
from tenfold.events import EpochDone, Event, Message
from tenfold.execute import choose
from tenfold.report.figures import strips
from tenfold.tasks import ComparePairs

EPOCHS = 2
# What is slow under vmap is said by PyTorch.
pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> type[ComparePairs]:
    """The task of the studies here, a class for this test alone."""

    class Own(ComparePairs):
        pass

    monkeypatch.setattr(study_module, "find_task", lambda kind, *, base: Own)
    return Own


class Small(nn.Module):
    def __init__(self, *, size: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, 2))

    def forward(self, pairs: Tensor) -> Tensor:
        return self.layers(pairs)


class Attention(Small):
    """Self-attention over the rows of a pair; with ``masked``, over those that are not empty."""

    def __init__(self, *, size: int = 8, masked: bool = True) -> None:
        super().__init__()
        self.masked = masked
        layer = nn.TransformerEncoderLayer(size, 2, 8, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=masked)

    def forward(self, pairs: Tensor) -> Tensor:
        rows = pairs.flatten(1, 2)
        empty = (rows.abs().sum(-1) == 0) if self.masked else None
        return self.layers(self.encoder(rows, src_key_padding_mask=empty).unflatten(1, (2, -1)))


def small_study(module: Any = Small, **model: Any) -> tenfold.Study:
    return tenfold.parse_study(
        {
            "name": "small",
            "repeats": 3,
            "task": {"kind": "compare-pairs", "data": "digits", "size": 8, "train": 20, "test": 12},
            "train": {"epochs": EPOCHS, "batch_size": 10},
            "models": [{"name": "Net", "module": module, **model}],
        }
    )


class Later:
    """Fails once the last epoch is done: what is tried before training does not show it. Also a watcher."""

    def __init__(self, error: BaseException, works: Any = None) -> None:
        self.error, self.works, self.trained, self.said = error, works, False, list[str]()

    def __call__(self, event: Event) -> None:
        self.trained |= isinstance(event, EpochDone) and event.epoch == EPOCHS
        self.said += [event.text] if isinstance(event, Message) else []

    def of_task(self) -> Any:
        def method(task: Any, *arguments: Any, **named: Any) -> Any:
            if self.trained or self.works is None:
                raise self.error
            return self.works(task, *arguments, **named)

        return method


@pytest.mark.parametrize("how", ["stack", "loop"])
@pytest.mark.parametrize("name", ["diagnose", "predictions", "final_metrics", "gallery"])
def test_what_fails_after_training_is_said_and_scores_are_kept(tmp_path: Path, own: Any, name: str, how: Any) -> None:
    later = Later(NotImplementedError("no derivative"), getattr(ComparePairs, name, None))
    setattr(own, name, later.of_task())
    results = tenfold.run(small_study(), out=tmp_path / "record", placement=how, watch=later)
    assert results.status == "finished"
    assert np.isfinite(results.scores()["Net"]).all()
    assert np.isfinite(results.scores("loss")["Net"]).all()
    event = next(event for event in results.events if event.kind == "failed")
    assert "could not be made: NotImplementedError: no derivative (test_train_model.py, line " in event.text
    assert any(event.text in text for text in later.said)
    assert any(event.text in text for text in results.limits())
    assert event.text[:40] in tenfold.write_report(results.folder).read_text(encoding="utf-8").replace("&#39;", "'")


@pytest.mark.parametrize(
    "arrays", [{"x": np.zeros(7)}, {"x": np.array([{}] * 3)}, {"x": 1.0}], ids=["runs", "object", "number"]
)
def test_what_a_record_cannot_keep_is_left_out_and_said(tmp_path: Path, own: Any, arrays: dict[str, Any]) -> None:
    own.diagnose = lambda *_: arrays
    results = tenfold.run(small_study(), out=tmp_path / "record", placement="stack")
    assert results.status == "finished"
    assert "'x': expected numbers or text with the 3 runs first" in results.failures[0]
    found = results.predictions("Net")
    assert found is not None
    assert "x" not in found


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("name", ["diagnose", "gallery"])
def test_an_interrupt_and_no_memory_are_not_taken_for_a_failure(
    tmp_path: Path, own: Any, name: str, error: BaseException
) -> None:
    setattr(own, name, Later(error).of_task())
    with pytest.raises(type(error)):
        tenfold.run(small_study(), out=tmp_path / "record", placement="loop")
    delattr(own, name)
    own.diagnose = lambda *_: {}
    assert tenfold.run(small_study(), out=tmp_path / "record", placement="loop").status == "finished"


def test_the_environment_may_be_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def once(**_: Any) -> dict[str, Any]:
        calls.append(1)
        if len(calls) > 1:
            raise OSError("no git")
        return {}

    monkeypatch.setattr(study_module, "describe_environment", once)
    results = tenfold.run(small_study(), out=tmp_path / "record", placement="loop")
    assert results.status == "finished"
    assert results.failures == [
        text for text in results.failures if text.startswith("the environment could not be made")
    ]
    assert len(results.failures) == 1


@pytest.mark.parametrize("part", ["collect", "draw", "numbers"])
def test_a_figure_that_fails_is_missing_from_the_report_and_said_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("nothing to divide")

    results = tenfold.run(small_study(), out=tmp_path / "record", placement="loop")
    monkeypatch.setattr(strips, part, fails)
    page = tenfold.write_report(results.folder).read_text(encoding="utf-8")
    place = page.index('<section id="strips">')
    assert "Not drawn: ZeroDivisionError: nothing to divide" in page[place : page.index("</section>", place)]
    assert '<section id="curves">' in page


def test_attention_is_diagnosed_run_by_run_where_a_stack_cannot(tmp_path: Path, own: Any) -> None:
    """Fused attention has no derivative under vmap, in evaluation mode."""

    def diagnose(task: Any, stack: Any, split: Any) -> dict[str, np.ndarray]:
        pairs = split.span(0, 4).inputs[0].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(stack(pairs).sum(), pairs)
        return {"gradient": gradient.abs().sum((1, 2, 3, 4)).numpy()}

    own.diagnose = diagnose
    results = tenfold.run(small_study(Attention, masked=False), out=tmp_path / "record", placement="stack")
    assert results.failures == []
    found = results.predictions("Net")
    assert found is not None
    assert (found["gradient"] > 0).all()


def test_what_of_a_diagnosis_can_be_found_is_kept(tmp_path: Path, own: Any) -> None:
    own.diagnose = lambda task, stack, split: {"kept": np.arange(3), "lost": NotImplementedError("no derivative")}
    results = tenfold.run(small_study(), out=tmp_path / "record", placement="stack")
    assert len(results.failures) == 1
    assert "'lost' of what the task finds" in results.failures[0]
    assert "NotImplementedError: no derivative" in results.failures[0]
    found = results.predictions("Net")
    assert found is not None
    assert found["kept"].tolist() == [0, 1, 2]
    assert "lost" not in found


# -- plans ------------------------------------------------------------------------------------------------------------


def test_what_fails_in_evaluation_only_is_no_candidate(engine: Any) -> None:
    plan = choose(engine.job(Attention), engine.task(), None, wanted="auto")
    assert plan.how == "loop"
    assert "left out: in evaluation, Attention" in plan.reason


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """A record whose plan, a stack, was asked for and has failed."""
    with pytest.raises(TenfoldError, match="Attention"):
        tenfold.run(small_study(Attention), out=tmp_path / "record", placement="stack", checkpoint_seconds=0)
    return tmp_path / "record"


@pytest.mark.parametrize("wanted", ["auto", "loop"])
def test_a_plan_that_has_failed_is_replaced(failing: Path, wanted: Any) -> None:
    results = tenfold.run(small_study(Attention), out=failing, placement=wanted, checkpoint_seconds=0)
    assert results.status == "finished"
    assert np.isfinite(results.scores()["Net"]).all()
    assert results.plans["Net"]["how"] == "loop"
    assert [event.model for event in results.events if event.kind == "placement changed"] == ["Net"]


def test_an_asked_for_plan_that_fails_again_is_an_error(failing: Path) -> None:
    with pytest.raises(TenfoldError, match="Attention"):
        tenfold.run(small_study(Attention), out=failing, placement="stack")


def test_a_failure_that_is_not_the_stacks_is_raised(tmp_path: Path, own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop fails as well: its error is the one that is said."""

    def stack_first(*arguments: Any, failed: str = "", **named: Any) -> Any:
        return choose(*arguments, **named | {"wanted": "loop" if failed else "stack"})

    monkeypatch.setattr(train_model_module, "choose", stack_first)
    later = Later(ValueError("not a metric"), ComparePairs.metrics_of)
    own.metrics_of = later.of_task()

    def watch(event: Event) -> None:
        later(event)
        later.trained |= isinstance(event, EpochDone)

    with pytest.raises(ValueError, match="not a metric"):
        tenfold.run(small_study(), out=tmp_path / "record", watch=watch)
    assert any("begun anew in 'loop'" in text for text in later.said)
