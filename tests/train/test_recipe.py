"""Recipes: strict values, configs, labels that tell runs apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tenfold.recipe import Config, Recipe
from tenfold.tasks.compare_pairs import PairRecipe


def test_nothing_listed_is_one_lane_without_a_label() -> None:
    assert Recipe().configs() == [Config()]
    for auxiliary, expected in (([0.8, 0.8, 1.0], (0.8, 0.8, 1.0)), (None, (0.0, 0.0, 1.0))):
        recipe = PairRecipe(auxiliary=auxiliary)
        (config,) = recipe.configs()
        assert config.setting == ""
        assert tuple(recipe.loss_settings(config)["auxiliary"]) == expected


def test_defaults_stand_in_one_place() -> None:
    """A config's are the recipe's."""
    recipe = Recipe()
    assert all(getattr(recipe, name) == getattr(Config(), name) for name in Recipe.optimiser_values)


def test_a_list_of_one_value_is_a_sweep_with_its_label() -> None:
    assert [config.setting for config in Recipe(lr=[0.1]).configs()] == ["lr=0.1"]


def test_a_grid_has_every_combination_in_order() -> None:
    configs = PairRecipe(lr=[0.1, 0.01], dropout=[0.0, 0.5], auxiliary=[[1, 1, 1], [0.5, 0, 1]]).configs()
    assert [config.setting for config in configs[:3]] == [
        "lr=0.1, dropout=0, auxiliary=1/1/1",
        "lr=0.1, dropout=0, auxiliary=0.5/0/1",
        "lr=0.1, dropout=0.5, auxiliary=1/1/1",
    ]
    assert len({config.setting for config in configs}) == 8


@given(st.lists(st.floats(1e-300, 1e300, allow_subnormal=False), min_size=1, max_size=6, unique=True))
@settings(deadline=None, max_examples=200)
def test_two_values_never_share_a_label(values: list[float]) -> None:
    configs = Recipe(lr=values).configs()
    assert len({config.setting for config in configs}) == len(values)
    assert [float(config.setting.removeprefix("lr=")) for config in configs] == values


def test_tuples_do_for_lists() -> None:
    assert PairRecipe(lr=(0.1, 0.2), auxiliary=((1, 1, 1),)) == PairRecipe(lr=[0.1, 0.2], auxiliary=[[1, 1, 1]])  # type: ignore[arg-type]


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
        ({"lr": [0.1, 0.1]}, "", "lr: the values of a sweep must differ"),
        ({"auxiliary": [[1, 1, 1], [1.0, 1.0, 1.0]]}, "", "auxiliary: the values of a sweep must differ"),
        ({"momentum": 1.0, "optimizer": "sgd"}, "momentum", "less than 1"),
        ({"momentum": 0.9}, "", "momentum is not a setting of 'adam'; use optimizer 'sgd' or 'rmsprop'"),
        ({"momentum": [0.0, 0.9], "optimizer": "adamw"}, "", "momentum is not a setting of 'adamw'"),
        ({"nesterov": True, "optimizer": "sgd"}, "", "nesterov needs optimizer 'sgd' and a momentum above 0"),
        ({"nesterov": True, "optimizer": "sgd", "momentum": [0.0, 0.9]}, "", "nesterov needs"),
        ({"nesterov": True, "optimizer": "rmsprop", "momentum": 0.9}, "", "nesterov needs"),
        ({"nesterov": "yes"}, "nesterov", "valid boolean"),
        ({"weight_decay": -1}, "weight_decay", "greater than or equal to 0"),
        ({"schedule": "linear"}, "schedule", "'one-cycle'"),
        ({"gamma": 1.0}, "gamma", "less than 1"),
        ({"clip": 0.0}, "clip", "greater than 0"),
        ({"dropout": 1.0}, "dropout", "less than 1"),
        ({"auxiliary": [1, 1]}, "", "auxiliary: expected three weights (first, second, comparison), got [1.0, 1.0]"),
        ({"auxiliary": [[1, 1, 1], [1, 1]]}, "", "auxiliary: expected three weights"),
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
    recipe = Recipe(lr=[0.1, 0.2], augment={"rotate": 10, "shift": 1}, clip=1.0, patience=3)  # type: ignore[arg-type]
    assert Recipe(**recipe.model_dump()) == recipe
    assert Recipe(**recipe.model_dump(mode="json")) == recipe
