"""What a study file can say of ``compare-pairs``: settings, training, metrics.

No torch: reading a study is fast.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tenfold.metrics import Metric
from tenfold.recipe import NotNegative, Recipe, Unit
from tenfold.tasks._settings import ImageSettings
from tenfold.tasks._spec import TaskSpec

__all__ = ["SPEC", "PairRecipe", "PairSettings"]


class PairSettings(ImageSettings):
    """The ``[task]`` table.

    Attributes:
        colour: always false: images are made grey.
        train, test: pairs drawn for training and for testing, anew for every repeat.
        pixels: "unit" (0 to 1), "standardised" (mean 0, standard deviation 1 over the training images) or "raw" (0 to
            255).
        folds: cross-validation: of the images (of ready-made pairs: the pairs), also where the data set has a division
            of its own.
    """

    colour: Literal[False] = False  # type: ignore[assignment]  # the two images of a pair are the channels of an example

    train: Annotated[int, Field(ge=2), Unit("pairs")] = 1000
    test: Annotated[int, Field(ge=2), Unit("pairs")] = 1000
    pixels: Literal["unit", "standardised", "raw"] = "unit"


class PairRecipe(Recipe):
    """How a model is trained to compare pairs.

    Attributes:
        auxiliary: loss weights (first image, second image, comparison); None is 0, 0, 1.
    """

    loss_values: ClassVar[tuple[str, ...]] = ("auxiliary",)

    auxiliary: list[NotNegative] | None = None

    @model_validator(mode="after")
    def _three_weights(self) -> PairRecipe:
        if self.auxiliary is not None and len(self.auxiliary) != 3:
            raise ValueError(f"auxiliary: expected three weights (first, second, comparison), got {self.auxiliary}")
        return self

    def loss_settings(self) -> dict[str, Any]:
        return {"auxiliary": [0.0, 0.0, 1.0] if self.auxiliary is None else self.auxiliary}


SPEC = TaskSpec(
    kind="compare-pairs",
    settings=PairSettings,
    recipe=PairRecipe,
    predictions="binary",
    metrics=(
        Metric("accuracy", "Accuracy", "%", higher_is_better=True, primary=True),
        Metric("f1", "F1", "%", higher_is_better=True),
        Metric("digit_accuracy", "Class accuracy", "%", higher_is_better=True),
        Metric("auc", "ROC AUC", "%", higher_is_better=True),
        Metric("loss", "Mean loss", "nats", higher_is_better=False),
    ),
)
