"""Study files: every kind of bad value has its line, all in one message; overrides; the round trip through TOML."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from tenfold import Study, built_in_studies, load_study, parse_study
from tenfold.config import to_toml
from tenfold.errors import RequestError, StudyError
from tenfold.tasks.compare_pairs import PairRecipe

GOOD: dict[str, Any] = {
    "name": "good",
    "repeats": 3,
    "seed": 5,
    "task": {"kind": "compare-pairs", "data": "digits", "size": 8, "train": 50, "test": 20, "validation": 0.2},
    "train": {"epochs": 4, "batch_size": 10},
    "quick": {"repeats": 2, "epochs": 1, "train": 30},
    "models": [
        {"name": "A", "module": "baseline", "hidden": 16},
        {
            "name": "B",
            "module": "siamese-cnn",
            "pooling": True,
            "sweep": {"dropout": [0.1, 0.5]},
            "lr": 0.01,
            "patience": 2,
        },
    ],
}


def changed(**changes: Any) -> dict[str, Any]:
    """GOOD with one place changed: ``task__size=3`` is task.size; ``models__0__lr`` the first model's."""
    raw = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *tables, last = path.split("__")
        inner: Any = raw
        for table in tables:
            inner = inner[int(table)] if table.isdigit() else inner.setdefault(table, {})
        inner[last] = value
    return raw


def problems_of(raw: Any, **options: Any) -> list[str]:
    with pytest.raises(StudyError) as caught:
        parse_study(raw, **options)
    assert str(caught.value).startswith(f"{caught.value.where}: {len(caught.value.problems)} problem")
    assert str(caught.value).count("\n  - ") == len(caught.value.problems)
    return list(caught.value.problems)


def test_a_good_study_is_resolved() -> None:
    study = parse_study(GOOD)
    assert (study.name, study.repeats, study.seed) == ("good", 3, 5)
    first, second = study.models
    assert first.factory.options == {"hidden": 16}
    assert (first.recipe.epochs, first.recipe.batch_size, first.recipe.lr) == (4, 10, 1e-3)
    assert second.sweep == {"dropout": [0.1, 0.5]}
    assert second.factory.options == {"pooling": True, "dropout": 0.1}
    assert [config.label for config in second.configs()] == ["dropout=0.1", "dropout=0.5"]
    assert [config.options for config in second.configs()] == [{"pooling": True, "dropout": p} for p in (0.1, 0.5)]
    assert [config.label for config in first.configs()] == [""]


def test_defaults_stand_in_the_fields() -> None:
    study = parse_study(
        {"task": {"kind": "compare-pairs", "data": "digits"}, "models": [{"module": "baseline"}]},
        where="some/file.toml",
    )
    assert (study.name, study.repeats, study.seed) == ("file", 10, 0)
    assert study.models[0].name == "baseline"
    assert study.models[0].recipe == PairRecipe()
    assert study.task.train == 1000


# -- one bad value, one line ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"sed": 1}, "unknown key 'sed'; did you mean 'seed'?"),
        ({"name": "a/b"}, "name: expected letters, digits, '-', '_', '.', got 'a/b'"),
        ({"name": ""}, "name: expected letters, digits, '-', '_', '.', got ''"),
        ({"name": 3}, "name: expected letters, digits, '-', '_', '.', got 3"),
        ({"repeats": 0}, "repeats: expected an integer from 1, got 0"),
        ({"repeats": 2.0}, "repeats: expected an integer from 1, got 2.0"),
        ({"repeats": "10"}, "repeats: expected an integer from 1, got '10'"),
        ({"repeats": True}, "repeats: expected an integer from 1, got True"),
        ({"seed": -1}, "seed: expected an integer from 0, got -1"),
        ({"task": 3}, "task: expected a table, got 3"),
        ({"task__kind": "compare-pair"}, "task.kind: no task 'compare-pair'; did you mean 'compare-pairs'?"),
        ({"task__data": 3}, "task.data: input should be a valid string, got 3"),
        ({"task__siz": 3}, "unknown key 'task.siz'; did you mean 'size'?"),
        ({"task__size": 2}, "task.size: input should be greater than or equal to 4, got 2"),
        ({"task__size": "8"}, "task.size: input should be a valid integer, got '8'"),
        ({"task__train": 1}, "task.train: input should be greater than or equal to 2, got 1"),
        ({"task__test": 10.5}, "task.test: input should be a valid integer, got 10.5"),
        ({"task__validation": 0.6}, "task.validation: input should be less than or equal to 0.5, got 0.6"),
        ({"task__pixels": "norm"}, "task.pixels: input should be 'unit', 'standardised' or 'raw', got 'norm'"),
        ({"task__unreadable": "hide"}, "task.unreadable: input should be 'refuse' or 'skip', got 'hide'"),
        ({"train": []}, "train: expected a table, got []"),
        ({"train__epoch": 3}, "unknown key 'train.epoch'; did you mean 'epochs'?"),
        ({"quick": 3}, "quick: expected a table, got 3"),
        ({"quick__repeats": 0}, "quick.repeats: expected an integer from 1, got 0"),
        ({"quick__seed": 0}, "unknown key 'quick.seed'; known: epochs, repeats, test, train"),
        ({"models": []}, "models: expected at least one [[models]] table with a name and a module"),
        ({"models": "baseline"}, "models: expected at least one [[models]] table with a name and a module"),
        ({"models": {"name": "A"}}, "models: expected at least one [[models]] table with a name and a module"),
        ({"models": [3]}, "models[0]: expected a table, got 3"),
        ({"models__0__name": " "}, "models[0].name: expected a text, got ' '"),
        ({"models__1__name": "A"}, "models: two models are named 'A'; names must differ"),
        ({"models__0__module": "base"}, "models.A: module 'base' is not built in; did you mean 'baseline'? (one of "),
        ({"models__0__module": 7}, "models.A: module: expected a name or a class, got int"),
        ({"models__0__hiden": 7}, "unknown key 'models.A.hiden'; did you mean 'hidden'?"),
        ({"models__0__dropout": 0.5}, "unknown key 'models.A.dropout'; known: augment, auxiliary, "),
        ({"models__0__lr": -1}, "models.A.lr: input should be greater than 0, got -1"),
        ({"models__0__lr": "fast"}, "models.A.lr: input should be a valid number, got 'fast'"),
        ({"models__0__lr": []}, "models.A.lr: input should be a valid number, got []"),
        ({"models__0__lr": float("inf")}, "models.A.lr: input should be a finite number, got inf"),
        ({"models__0__epochs": "5"}, "models.A.epochs: input should be a valid integer, got '5'"),
        (
            {"models__0__optimizer": "adm"},
            "models.A.optimizer: input should be 'sgd', 'adam', 'adamw' or 'rmsprop', got",
        ),
        (
            {"models__0__momentum": 0.5},
            "models.A: momentum is not a setting of 'adam'; use optimizer 'sgd' or 'rmsprop'",
        ),
        ({"models__0__auxiliary": [1, "x", 1]}, "models.A.auxiliary: input should be a valid number, got 'x'"),
        (
            {"models__0__auxiliary": [1, 1]},
            "models.A: auxiliary: expected three weights (first, second, comparison), got",
        ),
        ({"models__0__augment": {"rotat": 5}}, "unknown key 'models.A.augment.rotat'; did you mean 'rotate'?"),
        ({"models__0__augment": {"scale": 2}}, "models.A.augment.scale: input should be less than 1, got 2"),
        ({"models__0__augment": 5}, "models.A.augment: input should be a valid dictionary or instance of Augmentation"),
        ({"models__0__published": 80.0}, "models.A.published: expected a table like { accuracy = [81.0, 2.9]"),
        ({"models__0__published": {"acc": 1}}, "models.A.published: unknown metric 'acc'; "),
        ({"models__0__published": {"f1": "x"}}, "models.A.published.f1: expected mean or [mean, deviation], got 'x'"),
        ({"models__0__published": {"f1": [1, 2, 3]}}, "models.A.published.f1: expected mean or [mean, deviation]"),
        ({"models__0__published": {"f1": float("nan")}}, "models.A.published.f1: expected mean or [mean, deviation]"),
        ({"models__0__published": {"repeats": 0}}, "models.A.published.repeats: expected a"),
        (
            {"task__validation": 0.0},
            "models.B: patience and the plateau schedule look at validation data; set task.validation, such as 0.1",
        ),
    ],
)
def test_a_bad_value_has_one_line(changes: dict[str, Any], line: str) -> None:
    problems = problems_of(changed(**changes))
    assert len(problems) == 1, problems
    assert problems[0].startswith(line), problems


@pytest.mark.parametrize("missing", ["module", "data", "task", "kind", "models"])
def test_what_is_missing_is_named(missing: str) -> None:
    raw = copy.deepcopy(GOOD)
    if missing == "module":
        del raw["models"][0]["module"]
        expected = 'models.A.module: missing; a built-in name or "my_models.py:MyNet"'
    elif missing == "data":
        del raw["task"]["data"]
        expected = "task.data: field required"
    elif missing == "models":
        del raw["models"]
        expected = "models: expected at least one [[models]] table"
    else:
        del (raw if missing == "task" else raw["task"])[missing]
        expected = "task.kind: missing; one of classify-sequences, compare-pairs, "
        assert 'or one of your own: "my_task.py:MyTask"' in problems_of(raw)[0]
    problems = problems_of(raw)
    assert len(problems) == 1, problems
    assert problems[0].startswith(expected)


def test_all_problems_come_in_one_message() -> None:
    raw = changed(
        sed=1,
        repeats=0,
        task__kind="compare-pair",
        task__size=1,
        train__epochs=0,
        quick__epochs=-1,
        models__0__module="basline",
        models__1__lr=-1,
        models__1__augment={"shif": 1, "scale": 1},
    )
    problems = problems_of(raw, overrides=["nothing", "repeats.x=1", "models.C.lr=1"])
    for start in (
        "--set nothing: expected key=value",
        "--set repeats.x=1: 'repeats' is not a table",
        "--set models.C.lr: no model 'C'; known: A, B",
        "unknown key 'sed'",
        "repeats: ",
        "task.kind: ",
        "task.size: ",
        "quick.epochs: ",
        "models.A: module 'basline'",
        "models.B.epochs: ",
        "models.B.lr: ",
        "models.B.augment.scale: ",
        "unknown key 'models.B.augment.shif'; did you mean 'shift'?",
    ):
        assert sum(problem.startswith(start) for problem in problems) == 1, (start, problems)
    assert len(problems) == 13


def test_it_is_not_the_callers_dict_that_is_changed() -> None:
    raw = copy.deepcopy(GOOD)
    parse_study(raw, overrides=["models.lr=0.5", "task.size=9", "train.epochs=1", "repeats=1"])
    assert raw == GOOD


# -- overrides --------------------------------------------------------------------------------------------------------


def test_overrides_reach_their_place() -> None:
    study = parse_study(
        GOOD,
        overrides=[
            "repeats=7",
            "task.size = 9",
            "task.data=mnist",
            "train.batch_size=5",
            "models.weight_decay=0.1",
            "models.B.sweep.lr=[0.1, 0.2]",
            'models."A".optimizer=sgd',
        ],
    )
    first, second = study.models
    assert (study.repeats, study.task.size, study.task.data) == (7, 9, "mnist")
    assert first.recipe.batch_size == second.recipe.batch_size == 5
    assert first.recipe.weight_decay == second.recipe.weight_decay == 0.1
    assert first.recipe.lr == 1e-3
    assert [config.recipe.lr for config in second.configs()] == [0.1, 0.2, 0.1, 0.2]
    assert (first.recipe.optimizer, second.recipe.optimizer) == ("sgd", "adam")


def test_an_override_of_all_models_is_stronger_than_a_models_own() -> None:
    assert [model.recipe.lr for model in parse_study(GOOD, overrides=["models.lr=0.5"]).models] == [0.5, 0.5]
    assert [model.recipe.lr for model in parse_study(GOOD, overrides=["train.lr=0.5"]).models] == [0.5, 0.01]


def test_model_names_with_spaces_and_dots() -> None:
    raw = changed(models__0__name="Siamese CNN v1.2")
    assert parse_study(raw, overrides=["models.Siamese CNN v1.2.lr=0.5"]).models[0].recipe.lr == 0.5


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("repeats", "--set repeats: expected key=value, such as models.lr=0.01"),
        ("repeats=few", "repeats: expected an integer from 1, got 'few'"),
        ("reapeats=1", "unknown key 'reapeats'; did you mean 'repeats'?"),
        ("models.AA.lr=1", "--set models.AA.lr: no model 'AA'; did you mean 'A'?"),
        ("models.learn=1", "unknown key 'models.A.learn'"),
        ("seed.x=1", "--set seed.x=1: 'seed' is not a table"),
    ],
)
def test_wrong_overrides(override: str, line: str) -> None:
    assert problems_of(GOOD, overrides=[override])[0].startswith(line)


# -- files ------------------------------------------------------------------------------------------------------------


def test_every_built_in_study_comes_back_from_its_toml(tmp_path: Path) -> None:
    assert len(built_in_studies()) >= 2
    for name in built_in_studies():
        study = load_study(name)
        path = tmp_path / f"{name}.toml"
        path.write_text(to_toml(study), encoding="utf-8")
        again = load_study(path)
        assert again.to_dict() == study.to_dict()
        assert [model.recipe for model in again.models] == [model.recipe for model in study.models]
        assert [model.factory.options for model in again.models] == [model.factory.options for model in study.models]
        assert [model.configs() for model in again.models] == [model.configs() for model in study.models]
        # As text, since an unknown deviation is NaN.
        assert [repr(model.published) for model in again.models] == [repr(model.published) for model in study.models]
        assert [model.published_table for model in again.models] == [model.published_table for model in study.models]
        assert (again.task, again.quick, again.repeats) == (study.task, study.quick, study.repeats)
        assert to_toml(again) == to_toml(study)


def test_sweeps_texts_and_notes_come_back() -> None:
    raw = changed(
        title='A "title"',
        description="two\nlines \\ and ünïcode",
        models__0__published={"note": "from a picture"},
        models__1__published={"accuracy": 81.5, "f1": [80.0, 2.5], "repeats": 10},
        models__1__augment={"shift": 1.5},
        models__1__sweep__auxiliary=[[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]],
    )
    study = parse_study(raw)
    again = parse_study(tomllib.loads(to_toml(study)))
    assert again.to_dict() == study.to_dict()
    assert again.models[0].published_table == {"note": "from a picture"}
    assert again.models[1].published["f1"].std == 0.025
    assert again.models[1].recipe == study.models[1].recipe
    assert again.models[1].configs() == study.models[1].configs()
    assert len(study.models[1].configs()) == 4


class Inline(nn.Module):
    def __init__(self, size: int = 8, activation: type = nn.ReLU, extra: Any = None, widths: tuple = (1, 2)) -> None:
        super().__init__()


def test_options_that_toml_cannot_hold_are_kept_in_words() -> None:
    raw = changed(models=[{"name": "A", "module": Inline, "activation": nn.Tanh, "extra": None, "widths": (3, 4)}])
    study = parse_study(raw)
    entry = tomllib.loads(to_toml(study))["models"][0]
    assert (entry["module"], entry["activation"], entry["widths"]) == ("Inline", "Tanh", [3, 4])
    assert "extra" not in entry
    assert study.models[0].factory.options["activation"] is nn.Tanh


def test_a_file_is_read_with_names_relative_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "net.py").write_text("from torch import nn\nclass Net(nn.Identity):\n    pass\n")
    text = '[task]\nkind = "compare-pairs"\ndata = "digits"\n[[models]]\nmodule = "net.py:Net"\n'
    (tmp_path / "deep" / "mine.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    study = load_study("deep/mine.toml")
    assert study.name == "mine"
    assert study.base == tmp_path / "deep"
    assert type(study.models[0].factory.build(0)).__name__ == "Net"


def test_files_that_are_not_there_or_no_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        RequestError, match=r"no study 'quikstart': neither built in nor a file; did you mean 'quickstart'\?"
    ):
        load_study("quikstart")
    Path("mine.toml").write_text("repeats = = 3\n")
    with pytest.raises(RequestError, match=r"no study 'mine.tom': .*; did you mean 'mine.toml'\?"):
        load_study("mine.tom")
    with pytest.raises(StudyError, match=r"(?s)mine.toml: 1 problem\n  - not a TOML file: .*line 1"):
        load_study("mine.toml")
    Path("mine.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(StudyError, match="not a TOML file"):
        load_study("mine.toml")


# -- a study is changed by making another -----------------------------------------------------------------------------


def test_quick_cuts_and_never_grows() -> None:
    study = parse_study(GOOD)
    quick = study.quickened()
    assert (quick.is_quick, quick.repeats, quick.task.train, quick.task.test) == (True, 2, 30, 20)
    assert [model.recipe.epochs for model in quick.models] == [1, 1]
    assert (study.is_quick, study.repeats, study.task.train) == (False, 3, 50)
    grown = parse_study(changed(quick={"repeats": 99, "epochs": 99, "train": 999, "test": 999})).quickened()
    assert (grown.repeats, grown.task.train, grown.task.test) == (3, 50, 20)
    assert [model.recipe.epochs for model in grown.models] == [4, 4]


def test_some_models_only_in_the_studys_order() -> None:
    study = parse_study(GOOD)
    assert [model.name for model in study.with_models(["B", "A"]).models] == ["A", "B"]
    with pytest.raises(StudyError, match="no model 'C' in this study; known: A, B"):
        study.with_models(["A", "C"])


def test_a_study_is_frozen() -> None:
    study: Study = parse_study(GOOD)
    with pytest.raises(AttributeError):
        study.repeats = 5  # type: ignore[misc]


def test_published_errors_of_others_are_read_and_kept() -> None:
    study = parse_study(GOOD | {"references": {"people": 4.5}})
    assert study.references == {"people": 4.5}
    assert parse_study(study.to_dict()).references == study.references
    with pytest.raises(StudyError, match=r"references\.people: expected an error in percent, from 0 to 100, got 450"):
        parse_study(GOOD | {"references": {"people": 450}})
    with pytest.raises(StudyError, match="references: expected a table of published errors in percent, got 4.5"):
        parse_study(GOOD | {"references": 4.5})
