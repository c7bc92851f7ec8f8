"""What a study file can say of ``classify-sequences``: settings, training, metrics.

No torch: reading a study is fast.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_serializer, field_validator

from tenfold import datasets
from tenfold.datasets import Layout
from tenfold.errors import nearest
from tenfold.metrics import Metric
from tenfold.recipe import Recipe, Unit, WindowAugmentation
from tenfold.tasks._settings import TaskSettings
from tenfold.tasks._spec import TaskSpec

__all__ = ["SPEC", "By", "SequenceRecipe", "SequenceSettings"]

By = Literal["auto", "group", "window"]

# A table of a study file has to have the right types; what is impossible beside that, Layout says itself.
_LAYOUT: TypeAdapter[Layout] = TypeAdapter(Layout)


class SequenceSettings(TaskSettings):
    """The ``[task]`` table.

    Attributes:
        data: a known data set, an .npz file with ``signals``, or a folder of recordings (see ``layout``).
        layout: how a folder is read: columns, label, group, files, time, rate_hz, ...; see docs/recordings.md.
        channels: those to use, in this order; "a + b" is the sum of two. None for all.
        window: steps of a window; None takes every piece as a whole, padded to the longest.
        overlap: fraction of a window that the next one has too.
        train, test: windows to train on (with those for validation) and to test on, drawn anew for every repeat; None
            takes all.
        official: use the data set's own split into training and testing, where it has one.
        test_share: fraction of the groups (or windows) for testing where there is neither an official split nor folds.
        folds: cross-validation: repeat r tests fold r of so many, "groups" for one group (person) at a time.
        validation: fraction of the training windows that is held back for early stopping, plateau schedules and
            choosing settings: whole groups where the split is by group.
        standardise: bring every channel to mean 0 and standard deviation 1 over the training windows of each repeat.
    """

    layout: Layout | None = None
    channels: Annotated[list[str], Field(min_length=1)] | None = None
    window: Annotated[Annotated[int, Field(ge=2)] | None, Unit("steps")] = None
    overlap: Annotated[float, Field(ge=0, lt=1), Unit("fraction of a window")] = 0.5
    train: Annotated[Annotated[int, Field(ge=2)] | None, Unit("windows")] = None
    test: Annotated[Annotated[int, Field(ge=1)] | None, Unit("windows")] = None
    official: bool = True
    test_share: Annotated[float, Field(gt=0, lt=1), Unit("fraction of the groups or windows")] = 0.3
    folds: Annotated[Annotated[int, Field(ge=2)] | Literal["groups"] | None, Unit("folds")] = None
    validation: Annotated[float, Field(ge=0, le=0.5), Unit("fraction of the training part")] = 0.0
    standardise: bool = True

    def load_data(self, *, base: Path) -> datasets.Recordings:
        return datasets.load_recordings(self.data, base=base, layout=self.layout)

    @field_validator("layout", mode="before")
    @classmethod
    def _layout_of_a_table(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        known = [field.name for field in dataclasses.fields(Layout)]
        if unknown := [key for key in value if key not in known]:
            raise ValueError(f"unknown key '{unknown[0]}': {nearest(unknown[0], known)}")
        try:
            return _LAYOUT.validate_python(dict(value))
        except ValidationError as error:
            said = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
            raise ValueError("; ".join(text.removeprefix(": Value error, ") for text in said)) from None

    @field_serializer("layout")
    def _layout_as_a_table(self, layout: Layout | None) -> dict[str, Any] | None:
        """What was set, as a TOML file can hold it."""
        if layout is None:
            return None
        values = {field.name: (getattr(layout, field.name), field.default) for field in dataclasses.fields(layout)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, (value, default) in values.items()
            if value != default
        }


class SequenceRecipe(Recipe):
    """How a classifier of sequences is trained.

    Attributes:
        split: what is kept apart in training and testing: "group" (all windows of a person are on one side) or "window"
            (windows at random: neighbours that share samples are on both sides, and the same people); both can be
            compared in a sweep. "auto" is "group" where there are groups or an official split.
        augment: random changes of the training windows.
        class_weights: "balanced" weighs every window by the inverse frequency of its class in training.
    """

    data_values: ClassVar[tuple[str, ...]] = ("split",)

    split: By = "auto"
    augment: WindowAugmentation | None = None  # type: ignore[assignment]  # in place of changes of images
    class_weights: Literal["none", "balanced"] = "none"


SPEC = TaskSpec(
    kind="classify-sequences",
    settings=SequenceSettings,
    recipe=SequenceRecipe,
    predictions="classes",
    metrics=(
        Metric("accuracy", "Accuracy", "%", higher_is_better=True, primary=True),
        Metric("f1_macro", "F1, mean over classes", "%", higher_is_better=True),
        Metric("balanced_accuracy", "Balanced accuracy", "%", higher_is_better=True),
        Metric("loss", "Loss", "nats", higher_is_better=False),
    ),
)
