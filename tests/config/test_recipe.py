"""Recipes: strict values; configs: what they share, labels that tell runs apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tenfold.config import configs_of
from tenfold.recipe import Config, Recipe
from tenfold.tasks.classify_sequences import SequenceRecipe
from tenfold.tasks.compare_pairs import PairRecipe
from tenfold.tasks.match import MatchRecipe


def test_nothing_swept_is_one_config_without_a_label() -> None:
    assert configs_of(Recipe(), {}, {}) == (Config(),)
    for auxiliary, expected in (([0.8, 0.8, 1.0], (0.8, 0.8, 1.0)), (None, (0.0, 0.0, 1.0))):
        recipe = PairRecipe(auxiliary=auxiliary)
        (config,) = configs_of(recipe, {}, {})
        assert config.label == ""
        assert tuple(recipe.loss_settings()["auxiliary"]) == tuple(config.loss["auxiliary"]) == expected


def test_a_list_of_one_value_is_a_sweep_with_its_label() -> None:
    assert [config.label for config in configs_of(Recipe(), {}, {"lr": [0.1]})] == ["lr=0.1"]


def test_a_grid_has_every_combination_in_order() -> None:
    sweep = {"lr": [0.1, 0.01], "dropout": [0.0, 0.5], "auxiliary": [[1, 1, 1], [0.5, 0, 1]]}
    configs = configs_of(PairRecipe(), {"hidden": 3}, sweep)
    assert [config.label for config in configs[:3]] == [
        "lr=0.1, dropout=0, auxiliary=1/1/1",
        "lr=0.1, dropout=0, auxiliary=0.5/0/1",
        "lr=0.1, dropout=0.5, auxiliary=1/1/1",
    ]
    assert len({config.label for config in configs}) == 8
    assert configs[2].swept == {"lr": 0.1, "dropout": 0.5, "auxiliary": [1, 1, 1]}
    assert configs[2].recipe == PairRecipe(lr=0.1, auxiliary=[1, 1, 1])
    assert configs[2].options == {"hidden": 3, "dropout": 0.5}


def test_what_the_data_depend_on_is_in_the_config_swept_or_not() -> None:
    configs = configs_of(SequenceRecipe(), {}, {"lr": [0.1, 0.2], "split": ["group", "window"]})
    assert [config.data for config in configs] == [{"split": "group"}, {"split": "window"}] * 2
    (alone,) = configs_of(SequenceRecipe(split="group"), {}, {})
    assert (alone.data, alone.swept) == ({"split": "group"}, {})


@pytest.mark.parametrize(
    ("base", "sweep", "n_stacks"),
    [
        (Recipe(optimizer="sgd"), {"lr": [0.1, 0.2], "momentum": [0.0, 0.9], "weight_decay": [0.0, 0.1]}, 1),
        (Recipe(), {"clip": [1.0, 2.0], "epochs": [1, 2]}, 2),
        (Recipe(), {"epochs": [1, 2], "batch_size": [10, 20], "lr": [0.1, 0.2]}, 4),
        (Recipe(), {"augment": [{"shift": 1}, {"shift": 2}]}, 2),
        (PairRecipe(), {"auxiliary": [[1, 1, 1], [0, 0, 1]]}, 1),
        (MatchRecipe(), {"margin": [1.0, 2.0], "scale": [1.0, 2.0]}, 1),
        (MatchRecipe(), {"mining": ["random", "all"]}, 2),
        (SequenceRecipe(), {"split": ["group", "window"]}, 1),
        (Recipe(), {"hidden": [3, 4]}, 1),  # constructor arguments are compared by the modules' shapes
    ],
)
def test_what_runs_of_one_stack_share(base: Recipe, sweep: dict[str, list], n_stacks: int) -> None:
    configs = configs_of(base, {}, sweep)
    assert len(configs) > 1
    assert len({config.alike for config in configs}) == n_stacks


def test_a_changed_recipe_is_checked_and_what_follows_from_it_follows() -> None:
    assert MatchRecipe().batch_size == 240
    assert MatchRecipe().changed({"classes_per_batch": 5}).batch_size == 20
    with pytest.raises(ValidationError, match="momentum is not a setting of 'adam'"):
        Recipe(optimizer="sgd", momentum=0.9).changed({"optimizer": "adam"})


def test_images_that_turn_together() -> None:
    assert Recipe().turned_together == PairRecipe().turned_together == 1
    assert MatchRecipe(images_per_class=3).turned_together == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (3, "3"),
        (12345678, "12345678"),
        (0.5, "0.5"),
        ("adam", "adam"),
        ([[4, 8], [True]], "4/8/true"),
        ({"rotate": 10.0, "shift": 0.5}, "{rotate = 10, shift = 0.5}"),
        (Recipe, "Recipe"),
    ],
)
def test_values_in_a_label(value: Any, text: str) -> None:
    assert Config({"x": value}).label == f"x={text}"


@given(st.lists(st.floats(1e-300, 1e300, allow_subnormal=False), min_size=1, max_size=6, unique=True))
@settings(deadline=None, max_examples=200)
def test_two_values_never_share_a_label(values: list[float]) -> None:
    configs = configs_of(Recipe(), {}, {"lr": values})
    assert len({config.label for config in configs}) == len(values)
    assert [float(config.label.removeprefix("lr=")) for config in configs] == values


def test_tuples_do_for_lists() -> None:
    assert PairRecipe(auxiliary=(1, 1, 1)) == PairRecipe(auxiliary=[1, 1, 1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "where", "message"),
    [
        ({"epochs": 0}, "epochs", "greater than or equal to 1"),
        ({"epochs": "50"}, "epochs", "valid integer"),
        ({"epochs": True}, "epochs", "valid integer"),
        ({"epochs": 2.0}, "epochs", "valid integer"),
        ({"batch_size": 0}, "batch_size", "greater than or equal to 1"),
        ({"optimizer": "lion"}, "optimizer", "'sgd', 'adam', 'adamw' or 'rmsprop'"),
        ({"lr": 0}, "lr", "greater than 0"),
        ({"lr": float("inf")}, "lr", "finite"),
        ({"lr": float("nan")}, "lr", "finite"),
        ({"lr": "0.1"}, "lr", "valid number"),
        ({"lr": True}, "lr", "valid number"),
        ({"lr": [0.1, 0.2]}, "lr", "valid number"),
        ({"auxiliary": [[1, 1, 1], [1.0, 1.0, 1.0]]}, "auxiliary", "valid number"),
        ({"momentum": 1.0, "optimizer": "sgd"}, "momentum", "less than 1"),
        ({"momentum": 0.9}, "", "momentum is not a setting of 'adam'; use optimizer 'sgd' or 'rmsprop'"),
        ({"momentum": 0.9, "optimizer": "adamw"}, "", "momentum is not a setting of 'adamw'"),
        ({"nesterov": True, "optimizer": "sgd"}, "", "nesterov needs optimizer 'sgd' and a momentum above 0"),
        ({"nesterov": True, "optimizer": "rmsprop", "momentum": 0.9}, "", "nesterov needs"),
        ({"nesterov": "yes"}, "nesterov", "valid boolean"),
        ({"weight_decay": -1}, "weight_decay", "greater than or equal to 0"),
        ({"schedule": "linear"}, "schedule", "'one-cycle'"),
        ({"gamma": 1.0}, "gamma", "less than 1"),
        ({"clip": 0.0}, "clip", "greater than 0"),
        ({"dropout": 0.5}, "dropout", "not permitted"),
        ({"auxiliary": [1, 1]}, "", "auxiliary: expected three weights (first, second, comparison), got [1.0, 1.0]"),
        ({"auxiliary": []}, "", "auxiliary: expected three weights"),
        ({"patience": 0}, "patience", "greater than or equal to 1"),
        ({"augment": {"rotat": 1}}, "augment", "not permitted"),
        ({"augment": {"scale": 1.0}}, "augment", "less than 1"),
        ({"dtype": "float16"}, "dtype", "'float32' or 'float64'"),
        ({"compile": True}, "compile", "'auto', 'always' or 'never'"),
        ({"learning_rate": 0.1}, "learning_rate", "not permitted"),
    ],
)
def test_bad_values_are_refused(values: dict[str, Any], where: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PairRecipe(**values)
    errors = caught.value.errors()
    assert any((error["loc"][0] if error["loc"] else "") == where and message in error["msg"] for error in errors) or (
        where == "lr" and "nan" in repr(values) and errors
    ), errors


def test_a_recipe_comes_back_from_plain_values() -> None:
    recipe = Recipe(lr=0.1, augment={"rotate": 10, "shift": 1}, clip=1.0, patience=3)  # type: ignore[arg-type]
    assert Recipe(**recipe.model_dump()) == recipe
    assert Recipe(**recipe.model_dump(mode="json")) == recipe
