"""Metrics that a study names: its primary one, and those of published figures; each one of this study's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from tenfold import parse_study
from tenfold.config import to_toml
from tenfold.config._read import tomllib
from tenfold.errors import RequestError, StudyError
from tenfold.metrics import Metric
from tenfold.tasks import SPECS, TaskSettings, TaskSpec

PAIRS, SEQUENCES, MATCH = "compare-pairs", "classify-sequences", "match"
MODEL = {PAIRS: "baseline", SEQUENCES: "conv-classifier", MATCH: "conv4-embedding"}


def study(kind: str, *, published: Any = None, **task: Any) -> dict[str, Any]:
    model = {"name": "A", "module": MODEL[kind]} | ({} if published is None else {"published": published})
    return {"name": "s", "task": {"kind": kind, "data": "digits", **task}, "models": [model]}


def refused(raw: dict[str, Any]) -> str:
    with pytest.raises(StudyError) as error:
        parse_study(raw)
    (problem,) = error.value.problems
    return problem


@pytest.mark.parametrize("kind", [PAIRS, SEQUENCES, MATCH])
def test_every_metric_of_a_task_may_be_primary(kind: str, tmp_path: Path) -> None:
    for metric in SPECS[kind].metrics:
        found = parse_study(study(kind, metric=metric.name))
        assert [each.name for each in found.metrics if each.primary] == [metric.name] == [found.primary.name]
        assert parse_study(tomllib.loads(to_toml(found))).primary == found.primary
    assert parse_study(study(kind)).primary.name == SPECS[kind].primary


@pytest.mark.parametrize(
    ("kind", "task", "said"),
    [
        (PAIRS, {"metric": "top1"}, "'top1' in 'compare-pairs'; known: accuracy, auc, digit_accuracy, f1, loss"),
        (
            PAIRS,
            {"metric": "acuracy"},
            "did you mean 'accuracy'? (known: accuracy, auc, digit_accuracy, f1, loss)",
        ),
        (PAIRS, {"metric": "objective"}, "no metric 'objective'"),
        (SEQUENCES, {"metric": "f1"}, "; known: accuracy, balanced_accuracy, f1_macro, loss"),
        (MATCH, {"metric": "top3", "candidates": 3}, "one of 3 candidates is always among the first three; choose one"),
        (MATCH, {"metric": "oneshot_accuracy", "folds": 5}, "folds put the classes of the published episodes"),
        (PAIRS, {"metric": 3}, "input should be a valid string, got 3"),
    ],
)  # fmt: skip
def test_a_primary_metric_that_the_study_does_not_have(kind: str, task: dict[str, Any], said: str) -> None:
    problem = refused(study(kind, **task))
    assert problem.startswith("task.metric: ")
    assert said in problem


@pytest.mark.parametrize(
    ("kind", "task", "published", "said"),
    [
        (PAIRS, {}, {"top1": 81}, "unknown metric 'top1'; known: accuracy, auc, digit_accuracy, f1, loss"),
        (MATCH, {}, {"accuracy": 81}, "unknown metric 'accuracy'; did you mean 'oneshot_accuracy'?"),
        (MATCH, {"candidates": 2}, {"top3": 99}, "'top3' says nothing in this study: one of 2 candidates is always"),
        (MATCH, {"folds": 4}, {"oneshot_accuracy": 9}, "'oneshot_accuracy' says nothing in this study: folds put"),
        (PAIRS, {}, {"objective": 1}, "unknown metric 'objective'"),
        (PAIRS, {}, {"accuracy": 8103}, "accuracy: expected percent, a mean from 0 to 100, got 8103"),
        (PAIRS, {}, {"f1": [81, -2]}, "f1: expected a deviation of 0 or more, got [81, -2]"),
    ],
)
def test_a_published_figure_is_of_a_metric_of_this_study(
    kind: str, task: dict[str, Any], published: dict[str, Any], said: str
) -> None:
    problem = refused(study(kind, published=published, **task))
    assert problem.startswith("models.A.published")
    assert said in problem


def test_the_same_figures_pass_where_the_metric_is_measured() -> None:
    assert parse_study(study(MATCH, published={"top3": 99}, candidates=4)).models[0].published["top3"].mean == 0.99
    assert "oneshot_accuracy" in parse_study(study(MATCH, published={"oneshot_accuracy": 9})).models[0].published


def test_a_task_names_each_metric_once_and_leaves_the_key_metric_to_all() -> None:
    hits = Metric("hits", "Hits", "%", higher_is_better=True, primary=True)
    with pytest.raises(RequestError, match="the task 'mine' has two metrics 'hits'; names must differ"):
        TaskSpec("mine", (hits, Metric("hits", "Hits again", "%", higher_is_better=True)))

    class Settings(TaskSettings):
        metric: str = "cosine"  # type: ignore[assignment]
        other: ClassVar[int] = 3

    with pytest.raises(RequestError, match="the settings of the task 'mine' define 'metric', which in every"):
        TaskSpec("mine", (hits,), settings=Settings)
