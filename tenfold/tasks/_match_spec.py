"""What a study file can say of ``match``: settings, training, metrics.

No torch: reading a study is fast.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tenfold.metrics import Metric
from tenfold.recipe import Positive, Recipe, Unit
from tenfold.tasks._settings import ImageSettings
from tenfold.tasks._spec import TaskSpec

__all__ = ["SPEC", "MatchRecipe", "MatchSettings"]


class MatchSettings(ImageSettings):
    """The ``[task]`` table.

    Attributes:
        train_classes: classes to train on, drawn anew for every repeat; None takes all that are not for testing.
        train_groups: groups of classes (alphabets) that they are drawn from; None takes all. Where neither is given and
            the data set keeps no classes for testing, a quarter is set aside, drawn anew for every repeat.
        query_sets: sets of one query image and its candidates, all of classes not trained on.
        candidates: images to choose from, one of each class; the first top-k metrics need more than k.
        pool_classes: classes not trained on whose images are searched among each other for the retrieval scores.
        validation: fraction of the classes to train on that is held back for early stopping, plateau schedules and
            choosing settings.
        similarity: by which candidates are ranked.
        invert: turn light and dark round: for dark strokes on light paper, since what augmentation moves in from
            outside is dark. A matcher does the same to the images that it gets.
        folds: cross-validation: of the groups of classes, or of the classes where there are no groups, also where the
            data set keeps classes for testing.
    """

    train_classes: Annotated[Annotated[int, Field(ge=2)] | None, Unit("classes")] = None
    train_groups: Annotated[Annotated[int, Field(ge=1)] | None, Unit("groups")] = None
    query_sets: Annotated[int, Field(ge=1), Unit("sets")] = 100
    candidates: Annotated[int, Field(ge=2), Unit("images")] = 5
    pool_classes: Annotated[int, Field(ge=2), Unit("classes")] = 20
    similarity: Literal["cosine", "euclidean"] = "cosine"
    invert: bool = False

    def not_measured(self) -> dict[str, str]:
        found = {}
        if self.candidates <= 3:
            found["top3"] = f"one of {self.candidates} candidates is always among the first three"
        if self.folds is not None:
            found["oneshot_accuracy"] = "folds put the classes of the published episodes into training too"
        return found


class MatchRecipe(Recipe):
    """How an embedding is trained: balanced batches and the loss on them.

    Attributes:
        classes_per_batch, images_per_class: a batch is so many classes with so many images each.
        loss: "triplet", "contrastive" or "prototypical"; see tenfold.losses.
        mining: which negative goes with each positive pair; for "triplet".
        distance: between embeddings, in the loss.
        margin: of the triplet loss; of negative pairs in the contrastive loss.
        shots: images of each class in a batch that make its prototype, for "prototypical"; the others are queries.
        scale: of distances before the softmax, for "prototypical"; about 16 for cosine distances.
    """

    loss_values: ClassVar[tuple[str, ...]] = ("margin", "scale")
    derived: ClassVar[tuple[str, ...]] = ("batch_size",)

    classes_per_batch: Annotated[int, Field(ge=2), Unit("classes")] = 60
    images_per_class: Annotated[int, Field(ge=2), Unit("images")] = 4
    loss: Literal["triplet", "contrastive", "prototypical"] = "triplet"
    mining: Literal["random", "informative", "semi-hard", "hardest", "batch-hard", "all"] = "informative"
    distance: Literal["squared-euclidean", "euclidean", "cosine"] = "squared-euclidean"
    margin: Annotated[Positive, Unit("distance")] = 1.0
    shots: Annotated[int, Field(ge=1), Unit("images")] = 1
    scale: Positive = 1.0

    @model_validator(mode="before")
    @classmethod
    def _a_batch_is_balanced(cls, values: Any) -> Any:
        amounts = [
            values.get(name, cls.model_fields[name].default) for name in ("classes_per_batch", "images_per_class")
        ]
        if "batch_size" in values or not all(isinstance(amount, int) for amount in amounts):
            return values
        return {**values, "batch_size": amounts[0] * amounts[1]}

    @model_validator(mode="after")
    def _fits(self) -> MatchRecipe:
        product = self.classes_per_batch * self.images_per_class
        if self.batch_size != product:
            raise ValueError(
                f"batch_size: a batch is classes_per_batch x images_per_class = {product} images; set those instead"
            )
        if self.loss == "prototypical" and self.shots >= self.images_per_class:
            raise ValueError(f"shots: expected fewer than images_per_class = {self.images_per_class}, got {self.shots}")
        return self

    @property
    def turned_together(self) -> int:
        return self.images_per_class


SPEC = TaskSpec(
    kind="match",
    settings=MatchSettings,
    recipe=MatchRecipe,
    predictions="ranking",
    metrics=(
        Metric("top1", "Top-1 of the candidates", "%", higher_is_better=True, primary=True),
        Metric("top3", "Top-3 of the candidates", "%", higher_is_better=True),
        Metric("oneshot_accuracy", "Accuracy in the published episodes", "%", higher_is_better=True),
        Metric("precision_at_1", "Precision at 1", "%", higher_is_better=True),
        Metric("r_precision", "R-precision", "%", higher_is_better=True),
        Metric("mean_average_precision_at_r", "MAP@R", "%", higher_is_better=True),
        Metric("mean_average_precision", "MAP", "%", higher_is_better=True),
        Metric("loss", "Candidate loss", "nats", higher_is_better=False),
    ),
)
