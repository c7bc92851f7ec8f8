"""Tasks of one's own in a study: found by file and class, their settings and metrics checked, refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold import load_study, parse_study
from tenfold.config import to_toml
from tenfold.errors import RequestError, StudyError
from tenfold.tasks import TASKS, ComparePairs, Task, TaskSpec, find_task

TASK = """
from typing import ClassVar
from tenfold.metrics import Metric
from tenfold.recipe import Recipe
from tenfold.tasks import ComparePairs, Task, TaskSettings, TaskSpec

class MySettings(TaskSettings):
    amount: int = 5

class MyRecipe(Recipe):
    loss_values: ClassVar[tuple[str, ...]] = ("sharpness",)
    sharpness: float = 1.0

class MyTask(ComparePairs):
    spec = TaskSpec(
        kind="mine",
        settings=MySettings,
        recipe=MyRecipe,
        metrics=(Metric("hits", "Hits", "%", higher_is_better=True, primary=True),),
    )

class NoTask:
    pass

def function():
    pass

NUMBER = 3
"""
STUDY = """
[task]
kind = "my_task.py:MyTask"
data = "digits"
amount = 7
[quick]
amount = 2
[[models]]
module = "baseline"
published = { hits = 50 }
[models.sweep]
sharpness = [1.0, 2.0]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_task.py").write_text(TASK)
    (tmp_path / "mine.toml").write_text(STUDY)
    return tmp_path


def test_a_study_of_ones_own_task(folder: Path) -> None:
    study = load_study(folder / "mine.toml")
    assert (study.task.kind, study.task.amount) == ("my_task.py:MyTask", 7)  # type: ignore[attr-defined]
    assert study.quickened().task.amount == 2  # type: ignore[attr-defined]
    assert [config.loss for config in study.models[0].configs()] == [{"sharpness": 1.0}, {"sharpness": 2.0}]
    assert study.models[0].published["hits"].mean == 0.5
    found = find_task(study.task.kind, base=study.base)
    assert found.spec.kind == "mine"
    assert found is find_task(f"{folder}/my_task.py:MyTask", base=Path())  # imported once
    path = folder / "again.toml"
    path.write_text(to_toml(study))
    assert load_study(path).to_dict() == study.to_dict()


def test_a_class_does_as_well() -> None:
    class Mine(ComparePairs):
        pass

    study = parse_study({"name": "x", "task": {"kind": Mine, "data": "digits"}, "models": [{"module": "baseline"}]})
    assert find_task(study.task.kind, base=Path()) is Mine
    assert study.to_dict()["task"]["kind"].endswith("Mine")


def test_one_metric_of_a_task_is_primary(folder: Path) -> None:
    (folder / "my_task.py").write_text(TASK.replace(", primary=True", ""))
    message = r"RequestError: the task 'mine' has 0 primary metrics \(none of hits\); give one of them primary=True"
    with pytest.raises(StudyError, match=message):
        load_study(folder / "mine.toml")


def test_built_in_names() -> None:
    assert len(TASKS) > 2
    for kind, task in TASKS.items():
        assert find_task(kind, base=Path()) is task
        assert isinstance(task.spec, TaskSpec)
        assert task.spec.kind == kind


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("mine", r"no task 'mine'; known: .*compare-pairs.* \(one of your own: \"my_task.py:MyTask\"\)"),
        ("my_tsk.py:MyTask", r"task file .*my_tsk\.py does not exist; did you mean 'my_task\.py'\?"),
        ("my_task.py:MyTsk", r"task 'my_task.py:MyTsk': my_task.py has no 'MyTsk'; did you mean 'MyTask'\?"),
        ("my_task.py:x", r"my_task.py has no 'x'; known: ComparePairs, MyTask$"),
        ("my_task.py:NUMBER", r"task 'my_task.py:NUMBER': 'NUMBER' is not a class but int"),
        ("my_task.py:NoTask", r"'NoTask' is not a task: it lacks what tenfold.tasks.Task describes"),
        ("my_task.py:function", r"'function' is not a task"),
        ("my_task.py:Task", r"'Task' is not a task"),  # what it should follow, not one
        ("broken.py:MyTask", r"task file .*broken\.py cannot be imported: SyntaxError: "),
        (3, r"'3' is not a task"),
        (Task, r"'Task' is not a task"),
        (int, r"'int' is not a task"),
    ],
)
def test_what_is_not_a_task_is_refused(folder: Path, kind: object, message: str) -> None:
    (folder / "broken.py").write_text("def (")
    with pytest.raises(RequestError, match=message):
        find_task(kind, base=folder)  # type: ignore[arg-type]
    raw = {"name": "x", "task": {"kind": kind, "data": "digits"}, "models": [{"module": "baseline"}]}
    with pytest.raises(StudyError, match=message) as caught:
        parse_study(raw, base=folder)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("task.kind: ")


def test_its_own_settings_and_metrics_are_checked(folder: Path) -> None:
    text = STUDY.replace("amount = 7", "amont = 7").replace("hits", "accuracy").replace("sharpness", "sharpnes")
    (folder / "wrong.toml").write_text(text)
    with pytest.raises(StudyError) as caught:
        load_study(folder / "wrong.toml")
    assert list(caught.value.problems) == [
        "unknown key 'task.amont'; did you mean 'amount'?",
        "unknown key 'models.baseline.sweep.sharpnes'; did you mean 'sharpness'?",
        "models.baseline.published: unknown metric 'accuracy'; known: hits",
    ]
