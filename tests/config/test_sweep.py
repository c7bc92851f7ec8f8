"""Sweeps: which configs they make, how they are written, overridden and cut, and what is refused."""

from __future__ import annotations

import copy
import tomllib
from typing import Any

import pytest
from torch import nn

from tenfold import Study, load_study, parse_study
from tenfold.config import to_toml
from tenfold.errors import StudyError

GOOD: dict[str, Any] = {
    "name": "good",
    "task": {"kind": "compare-pairs", "data": "digits", "validation": 0.2},
    "train": {"epochs": 4},
    "models": [{"name": "A", "module": "baseline"}, {"name": "B", "module": "siamese-cnn"}],
}


def raw_with(*, train: dict[str, Any] | None = None, **models: dict[str, Any]) -> dict[str, Any]:
    """GOOD with more in [train] and in the tables of models by name."""
    raw = copy.deepcopy(GOOD)
    raw["train"] |= train or {}
    for entry in raw["models"]:
        entry |= models.get(entry["name"], {})
    return raw


def labels(study: Study) -> dict[str, list[str]]:
    return {model.name: [config.label for config in model.configs()] for model in study.models}


def problems_of(raw: dict[str, Any], **options: Any) -> list[str]:
    with pytest.raises(StudyError) as caught:
        parse_study(raw, **options)
    return list(caught.value.problems)


def comes_back(study: Study) -> Study:
    """Through TOML, checked to be the same."""
    again = parse_study(tomllib.loads(to_toml(study)), base=study.base)
    assert again.to_dict() == study.to_dict()
    for model, other in zip(study.models, again.models, strict=True):
        assert model.configs() == other.configs()
        assert (model.recipe, model.factory.options, model.sweep) == (other.recipe, other.factory.options, other.sweep)
    return again


# -- what a sweep makes -----------------------------------------------------------------------------------------------


def test_settings_and_constructor_arguments_in_the_order_of_the_keys() -> None:
    study = parse_study(
        raw_with(B={"sweep": {"dropout": [0.0, 0.5], "lr": [0.1, 0.01], "channels": [[4, 8], [8, 16]]}})
    )
    first, second = study.models
    assert [config.label for config in first.configs()] == [""]
    assert [config.label for config in second.configs()][:3] == [
        "dropout=0, lr=0.1, channels=4/8",
        "dropout=0, lr=0.1, channels=8/16",
        "dropout=0, lr=0.01, channels=4/8",
    ]
    assert len(second.configs()) == 8
    last = second.configs()[-1]
    assert last.swept == {"dropout": 0.5, "lr": 0.01, "channels": [8, 16]}
    assert (last.recipe.lr, last.recipe.epochs) == (0.01, 4)
    assert last.options == {"dropout": 0.5, "channels": [8, 16]}
    # What is built without a config is the first one.
    assert (second.recipe, second.factory.options) == (second.configs()[0].recipe, second.configs()[0].options)
    comes_back(study)


def test_values_are_what_the_recipe_makes_of_them() -> None:
    sweep = {"lr": [1, 2], "augment": [{"rotate": 5, "shift": 0.0}, {"scale": 0.1}], "nesterov": (True, False)}
    study = parse_study(raw_with(A={"optimizer": "sgd", "momentum": 0.9, "sweep": sweep}))
    config = study.models[0].configs()[0]
    assert config.swept == {"lr": 1.0, "augment": {"rotate": 5.0}, "nesterov": True}
    assert isinstance(config.swept["lr"], float)
    assert config.label == "lr=1, augment={rotate = 5}, nesterov=true"
    comes_back(study)


def test_a_sweep_of_all_models() -> None:
    study = parse_study(raw_with(train={"sweep": {"lr": [0.1, 0.01]}}, B={"sweep": {"dropout": [0.1, 0.2]}}))
    assert labels(study) == {
        "A": ["lr=0.1", "lr=0.01"],
        "B": ["lr=0.1, dropout=0.1", "lr=0.1, dropout=0.2", "lr=0.01, dropout=0.1", "lr=0.01, dropout=0.2"],
    }
    assert [entry["sweep"]["lr"] for entry in study.to_dict()["models"]] == [[0.1, 0.01]] * 2
    assert [model.own for model in study.models] == [(), ()]
    comes_back(study)


def test_a_models_own_table_is_stronger_than_train() -> None:
    study = parse_study(
        raw_with(
            train={"weight_decay": 0.1, "sweep": {"lr": [0.1, 0.01]}},
            A={"lr": 0.5},
            B={"sweep": {"lr": [3.0, 4.0], "weight_decay": [0.2, 0.3]}},
        )
    )
    assert labels(study)["A"] == [""]
    assert study.models[0].recipe.lr == 0.5
    assert labels(study)["B"][0] == "lr=3, weight_decay=0.2"
    assert [model.own for model in study.models] == [("lr",), ("lr", "weight_decay")]


def test_settings_that_only_fit_together_with_swept_ones() -> None:
    study = parse_study(raw_with(A={"momentum": 0.9, "sweep": {"optimizer": ["sgd", "rmsprop"]}}))
    assert [config.recipe.optimizer for config in study.models[0].configs()] == ["sgd", "rmsprop"]
    comes_back(study)


def test_what_follows_from_a_swept_setting_follows() -> None:
    raw = {
        "name": "match",
        "task": {"kind": "match", "data": "digits"},
        "models": [{"module": "koch-embedding", "sweep": {"images_per_class": [2, 3], "dimension": [5, 6]}}],
    }
    study = parse_study(raw)
    assert [config.recipe.batch_size for config in study.models[0].configs()] == [120, 120, 180, 180]
    assert "batch_size" not in study.to_dict()["models"][0]
    comes_back(study)


class Inline(nn.Module):
    def __init__(self, activation: type = nn.ReLU, widths: tuple = (1, 2)) -> None:
        super().__init__()


def test_values_that_toml_cannot_hold_are_written_in_words() -> None:
    raw = {
        **GOOD,
        "models": [{"module": Inline, "sweep": {"activation": [nn.Tanh, nn.ReLU], "widths": [(1, 2), (3,)]}}],
    }
    study = parse_study({**raw, "models": [{**raw["models"][0], "name": "M"}]})
    configs = study.models[0].configs()
    assert configs[0].options == {"activation": nn.Tanh, "widths": (1, 2)}
    assert configs[-1].label == "activation=ReLU, widths=3"
    assert tomllib.loads(to_toml(study))["models"][0]["sweep"] == {
        "activation": ["Tanh", "ReLU"],
        "widths": [[1, 2], [3]],
    }


def test_an_estimator_has_no_runs_for_settings_of_training() -> None:
    raw = {
        "name": "sequences",
        "task": {"kind": "classify-sequences", "data": "har-smartphone"},
        "train": {"sweep": {"lr": [0.1, 0.2], "split": ["group", "window"]}},
        "models": [{"name": "F", "module": "random-forest", "sweep": {"n_estimators": [10, 20]}}],
    }
    (model,) = parse_study(raw).models
    assert len(model.configs()) == 8
    fitted = model.configs(fitted=True)
    assert [config.swept for config in fitted[:2]] == [
        {"split": "group", "n_estimators": 10},
        {"split": "group", "n_estimators": 20},
    ]
    assert len(fitted) == 4


def test_an_estimator_comes_back_without_settings_of_training() -> None:
    """In its own table they are refused; a record's study has everything in the models' own tables."""
    raw = {
        "name": "sequences",
        "task": {"kind": "classify-sequences", "data": "har-smartphone"},
        "train": {"epochs": 3, "sweep": {"lr": [0.1, 0.2], "split": ["group", "window"]}},
        "models": [{"module": "random-forest", "n_estimators": 5}, {"module": "conv-classifier"}],
    }
    study = parse_study(raw)
    assert study.to_dict()["models"][0] == {
        "name": "random-forest",
        "module": "random-forest",
        "n_estimators": 5,
        "sweep": {"split": ["group", "window"]},
    }
    again = parse_study(study.to_dict())
    assert again.to_dict() == study.to_dict()
    assert again.models[0].own == ("split",)
    assert again.models[0].configs(fitted=True)[1].swept == {"split": "window"}
    assert again.models[1].configs() == study.models[1].configs()
    # What was refused before is refused after.
    raw["models"][0]["epochs"] = 5
    assert "epochs" in parse_study(parse_study(raw).to_dict()).models[0].own


def test_the_built_in_studies_sweep_as_before() -> None:
    har = load_study("har-lstm")
    assert all([config.label for config in model.configs()] == ["split=group", "split=window"] for model in har.models)
    omniglot = labels(load_study("omniglot-oneshot"))
    assert omniglot["Informative 20"] == ["margin=1", "margin=5"]
    assert all(found == [""] for name, found in omniglot.items() if name != "Informative 20")


# -- overrides and cuts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("models.sweep.lr=[0.1, 0.01]", {"A": ["lr=0.1", "lr=0.01"], "B": ["lr=0.1", "lr=0.01"]}),
        ("models.B.sweep.lr=[0.1, 0.01]", {"A": [""], "B": ["lr=0.1", "lr=0.01"]}),
        ('models."B".sweep.lr=[0.1]', {"A": [""], "B": ["lr=0.1"]}),
        ("train.sweep.lr=[0.1, 0.01]", {"A": ["lr=0.1", "lr=0.01"], "B": [""]}),  # B has its own
        ("models.B.sweep.dropout=[0.1, 0.2]", {"A": [""], "B": ["dropout=0.1", "dropout=0.2"]}),
        ('models.B.sweep.optimizer=["sgd", "adam"]', {"A": [""], "B": ["optimizer=sgd", "optimizer=adam"]}),
    ],
)
def test_a_sweep_from_outside(override: str, expected: dict[str, list[str]]) -> None:
    raw = raw_with(B={"lr": 0.3})
    before = copy.deepcopy(raw)
    assert labels(parse_study(raw, overrides=[override])) == expected
    assert raw == before


@pytest.mark.parametrize("override", ["models.lr=0.5", "models.A.lr=0.5", "train.lr=0.5"])
def test_a_single_value_takes_the_place_of_a_sweep(override: str) -> None:
    where = {"train": {"sweep": {"lr": [0.1, 0.2], "gamma": [0.1, 0.2]}}}
    if not override.startswith("train"):
        where = {"A": where["train"]}
    raw = raw_with(**where)
    study = parse_study(raw, overrides=[override])
    assert labels(study)["A"] == ["gamma=0.1", "gamma=0.2"]
    assert study.models[0].recipe.lr == 0.5
    assert labels(parse_study(raw))["A"][0] == "lr=0.1, gamma=0.1"


def test_a_sweep_of_a_model_whose_name_has_dots() -> None:
    raw = raw_with()
    raw["models"][0]["name"] = "A v1.2"
    study = parse_study(raw, overrides=["models.A v1.2.sweep.lr=[0.1, 0.2]"])
    assert labels(study) == {"A v1.2": ["lr=0.1", "lr=0.2"], "B": [""]}


def test_epochs_that_are_swept_are_cut_and_replaced() -> None:
    raw = raw_with(train={"sweep": {"epochs": [2, 5, 9]}}) | {"quick": {"epochs": 3}}
    del raw["train"]["epochs"]
    study = parse_study(raw)
    assert labels(study)["A"] == ["epochs=2", "epochs=5", "epochs=9"]
    assert labels(study.quickened())["A"] == ["epochs=2", "epochs=3"]
    assert [config.recipe.epochs for config in study.quickened().models[0].configs()] == [2, 3]
    again = study.with_epochs(7)
    assert [config.recipe.epochs for config in again.models[0].configs()] == [7]
    assert labels(parse_study(raw, overrides=["models.epochs=1"]))["A"] == [""]


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ({"sweep": 3}, "models.A.sweep: expected a table of lists, such as sweep = { lr = [0.01, 0.001] }, got 3"),
        ({"sweep": {"lrr": [1, 2]}}, "unknown key 'models.A.sweep.lrr'; did you mean 'lr'?"),
        ({"sweep": {"dropout": [0.1, 0.2]}}, "unknown key 'models.A.sweep.dropout'; known: "),
        ({"sweep": {"hiden": [1, 2]}}, "unknown key 'models.A.sweep.hiden'; did you mean 'hidden'?"),
        ({"sweep": {"name": ["x", "y"]}}, "models.A.sweep.name: cannot be swept; write a [[models]] table for each"),
        ({"sweep": {"module": ["x", "y"]}}, "models.A.sweep.module: cannot be swept"),
        ({"sweep": {"published": [{}]}}, "models.A.sweep.published: cannot be swept"),
        ({"sweep": {"sweep": [{}]}}, "models.A.sweep.sweep: cannot be swept"),
        ({"sweep": {"lr": 0.1}}, "models.A.sweep.lr: expected a list of values, got 0.1; write lr = [0.1, ...]"),
        ({"sweep": {"hidden": "x"}}, "models.A.sweep.hidden: expected a list of values, got 'x'; write hidden = ['x'"),
        ({"sweep": {"lr": []}}, "models.A.sweep.lr: expected at least one value, got []"),
        (
            {"sweep": {"clip": [None, 1.0]}},
            "models.A.sweep.clip: expected values that a study file can hold, got [None",
        ),
        ({"sweep": {"lr": [0.1, 0.1]}}, "models.A.sweep.lr: the values of a sweep must differ, got [0.1, 0.1]"),
        ({"sweep": {"lr": [1, 1.0]}}, "models.A.sweep.lr: the values of a sweep must differ, got [1, 1.0]"),
        ({"sweep": {"hidden": [5, 6, 5]}}, "models.A.sweep.hidden: the values of a sweep must differ, got [5, 6, 5]"),
        (
            {"sweep": {"auxiliary": [[1, 1, 1], (1.0, 1.0, 1.0)]}},
            "models.A.sweep.auxiliary: the values of a sweep must differ",
        ),
        ({"sweep": {"lr": [0.1, 0]}}, "models.A.sweep.lr: input should be greater than 0, got 0"),
        ({"sweep": {"lr": ["fast"]}}, "models.A.sweep.lr: input should be a valid number, got 'fast'"),
        ({"sweep": {"optimizer": ["adm"]}}, "models.A.sweep.optimizer: input should be 'sgd', 'adam', "),
        ({"sweep": {"augment": [{"rotat": 5}]}}, "unknown key 'models.A.sweep.augment.rotat'; did you mean 'rotate'?"),
        ({"sweep": {"augment": [{"scale": 2}]}}, "models.A.sweep.augment.scale: input should be less than 1, got 2"),
        ({"sweep": {"auxiliary": [[1, 1, 1], [1, 1]]}}, "models.A: auxiliary: expected three weights "),
        (
            {"sweep": {"momentum": [0.0, 0.9], "lr": [0.1, 0.2]}},
            "models.A: momentum is not a setting of 'adam'; use optimizer 'sgd' or 'rmsprop'",
        ),
        ({"lr": 0.1, "sweep": {"lr": [0.1, 0.2]}}, "models.A.lr: is set both here and under sweep; leave one out"),
        # A list where one value is expected: what made a sweep in the past.
        (
            {"lr": [0.1, 0.01]},
            "models.A.lr: expected one value, got [0.1, 0.01]; to train with each, put it under [models.sweep]",
        ),
        ({"lr": (0.1, 0)}, "models.A.lr: expected one value, got (0.1, 0); to train with each, put it under [models"),
        ({"optimizer": ["sgd", "adam"]}, "models.A.optimizer: expected one value, got ['sgd', 'adam']; to train with "),
        ({"auxiliary": [[1, 1, 1], [0, 0, 1]]}, "models.A.auxiliary: expected one value, got [[1, 1, 1], [0, 0, 1]]; "),
        (
            {"hidden": [8, 16]},
            "models.A.hidden: expected one value, got [8, 16]; to train with each, put it under [mod",
        ),
        # The other settings are not blamed for what was left out.
        ({"optimizer": ["sgd", "rmsprop"], "momentum": 0.9}, "models.A.optimizer: expected one value, got "),
        ({"sweep": {"optimizer": ["sgdd"]}, "momentum": 0.9}, "models.A.sweep.optimizer: input should be 'sgd', "),
    ],
)
def test_a_bad_sweep_has_one_line(table: dict[str, Any], line: str) -> None:
    problems = problems_of(raw_with(A=table))
    assert len(problems) == 1, problems
    assert problems[0].startswith(line), problems


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ({"sweep": 3}, "train.sweep: expected a table of lists"),
        ({"sweep": {"lr": 0.1}}, "train.sweep.lr: expected a list of values, got 0.1; write lr = [0.1, ...]"),
        ({"lr": 0.1, "sweep": {"lr": [0.1]}}, "train.lr: is set both here and under sweep; leave one out"),
        (
            {"lr": [0.1, 0.01]},
            "models.lr: expected one value, got [0.1, 0.01]; to train with each, put it under [train.sweep] (all mod",
        ),
        ({"sweep": {"lr": [0]}}, "models.sweep.lr: input should be greater than 0, got 0 (all models)"),
        ({"sweep": {"lrr": [0]}}, "unknown key 'models.sweep.lrr'; did you mean 'lr'? (all models)"),
        ({"sweep": {"dropout": [0.1, 0.2]}}, "unknown key 'models.A.sweep.dropout'; known: "),  # B takes it
    ],
)
def test_a_bad_sweep_of_all_models_has_one_line(table: dict[str, Any], line: str) -> None:
    problems = problems_of(raw_with(train=table))
    assert len(problems) == 1, problems
    assert problems[0].startswith(line), problems


def test_validation_data_for_a_schedule_that_is_swept() -> None:
    raw = raw_with(A={"sweep": {"schedule": ["constant", "plateau"]}})
    parse_study(raw)
    raw["task"]["validation"] = 0.0
    assert problems_of(raw) == [
        "models.A: patience and the plateau schedule look at validation data; set task.validation, such as 0.1"
    ]
