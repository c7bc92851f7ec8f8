"""How a model is trained: one frozen object with every default in one place; and the config of one run."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tenfold.wording import settings_text

__all__ = [
    "CHECKED",
    "Augmentation",
    "Config",
    "NotNegative",
    "Positive",
    "Rate",
    "Recipe",
    "Unit",
    "WindowAugmentation",
]

Rate = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Unit:
    """The unit of a setting, in its annotation: it is shown beside the setting and changes nothing."""

    name: str


# Strict: reject "50" and true as numbers; accept an int for a float.
CHECKED = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Augmentation(BaseModel):
    """Random changes of every training image, anew at every step.

    Attributes:
        rotate: degrees to either side.
        shift: pixels in any direction.
        scale: fraction of the size, 0.1 for 0.9 to 1.1.
        shear: degrees to either side.
        elastic: pixels by which a smooth random field moves each place, as root mean square in either direction
            (Simard, Steinkraus, Platt 2003). Their best for 29 x 29 pixels, strength 34 at smoothness 4, is 1.4.
        elastic_smooth: standard deviation in pixels of the Gaussian that smooths the field; see elastic.
        erase: largest fraction of an image that a random rectangle sets to 0; drawn uniformly up to it (Zhong et al.
            2020: 0.4).
        erase_probability: that an image gets such a rectangle.
        quarter_turns: turn by 0, 90, 180 or 270 degrees; images of one class in a balanced batch alike, so that a
            turned class is another class to train on (Santoro et al. 2016; Vinyals et al. 2016).
    """

    model_config = CHECKED

    rotate: Annotated[float, Field(ge=0, le=180), Unit("degrees")] = 0.0
    shift: Annotated[NotNegative, Unit("pixels")] = 0.0
    scale: Annotated[Rate, Unit("fraction of the size")] = 0.0
    shear: Annotated[float, Field(ge=0, lt=90), Unit("degrees")] = 0.0
    elastic: Annotated[NotNegative, Unit("pixels")] = 0.0
    elastic_smooth: Annotated[float, Field(ge=1), Unit("pixels")] = 4.0
    erase: Annotated[Rate, Unit("fraction of the image")] = 0.0
    erase_probability: Annotated[float, Field(ge=0, le=1), Unit("probability")] = 0.5
    quarter_turns: bool = False


class WindowAugmentation(BaseModel):
    """Random changes of every training window of signals, anew at every step.

    Attributes:
        rotate: standard deviation in degrees of a turn of the sensor about an axis of any direction: of all triads of
            channels whose names differ in a last x, y, z, alike.
        scale: standard deviation of a factor about 1 for the whole window, in standardised units.
        noise: standard deviation of noise on every number, in standardised units.
    """

    model_config = CHECKED

    rotate: Annotated[float, Field(ge=0, le=90), Unit("degrees")] = 0.0
    scale: Annotated[Rate, Unit("standard deviations")] = 0.0
    noise: Annotated[NotNegative, Unit("standard deviations")] = 0.0


class Recipe(BaseModel):
    """Budget, optimiser and schedule of a model, one value each; a study file sweeps over them in ``[models.sweep]``.

    A task adds the settings of its loss in a class of its own. It names those that the loss takes per run in
    ``loss_values``, and those that the examples depend on in ``data_values``: like the settings in ``per_run`` they may
    differ between the runs of one stack.

    Attributes:
        epochs: passes over the training examples.
        batch_size: examples a step.
        optimizer: as in torch.optim, with its defaults where nothing is set here.
        lr: learning rate of the optimiser; with a schedule the one that it starts from, with "one-cycle" its top.
        momentum: of the optimiser, for "sgd" and "rmsprop".
        nesterov: Nesterov momentum, for "sgd".
        weight_decay: of the optimiser; none unless set, for "adamw" too, where torch.optim has 0.01.
        schedule: "constant"; "cosine" to 0 over all steps; "step" (times gamma every step_epochs epochs); "one-cycle"
            (Smith and Topin 2018, as torch.optim.lr_scheduler.OneCycleLR without cycling momentum, lr at its top);
            "plateau" (times gamma where the validation loss has not improved for plateau_epochs epochs, per run).
        step_epochs: after so many epochs the schedule "step" multiplies lr by gamma, again and again.
        plateau_epochs: the schedule "plateau" waits for so many epochs without a better validation loss.
        gamma: factor of the schedules "step" and "plateau".
        clip: largest gradient norm of a run; None for no clipping.
        patience: early stopping: stop a run where its validation loss has not improved for so many epochs, and keep its
            best weights. It needs task.validation.
        augment: random changes of the training images.
        dtype: type of the numbers of parameters and inputs.
        compile: torch.compile of stacks: "auto" tries it where more training is left than compiling costs and keeps
            it where it is measured to be faster; "always", "never". A missing compiler is never a failure.
    """

    model_config = CHECKED
    per_run: ClassVar[tuple[str, ...]] = ("lr", "momentum", "weight_decay", "clip")
    loss_values: ClassVar[tuple[str, ...]] = ()
    data_values: ClassVar[tuple[str, ...]] = ()
    # Settings that always follow from others; accepted, so that a resolved recipe can be read back.
    derived: ClassVar[tuple[str, ...]] = ()

    epochs: Annotated[int, Field(ge=1), Unit("epochs")] = 50
    batch_size: Annotated[int, Field(ge=1), Unit("examples")] = 100
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "adam"
    lr: Positive = 1e-3
    momentum: Rate = 0.0
    nesterov: bool = False
    weight_decay: NotNegative = 0.0
    schedule: Literal["constant", "cosine", "step", "one-cycle", "plateau"] = "constant"
    step_epochs: Annotated[int, Field(ge=1), Unit("epochs")] = 30
    plateau_epochs: Annotated[int, Field(ge=0), Unit("epochs")] = 10
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    clip: Annotated[Positive | None, Unit("gradient norm")] = None
    patience: Annotated[Annotated[int, Field(ge=1)] | None, Unit("epochs")] = None
    augment: Augmentation | None = None
    dtype: Literal["float32", "float64"] = "float32"
    compile: Literal["auto", "always", "never"] = "auto"

    @field_validator("*", mode="before")
    @classmethod
    def _tuples_are_lists(cls, value: Any) -> Any:
        return [cls._tuples_are_lists(part) for part in value] if isinstance(value, tuple | list) else value

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.optimizer in ("adam", "adamw") and self.momentum != 0.0:
            raise ValueError(f"momentum is not a setting of '{self.optimizer}'; use optimizer 'sgd' or 'rmsprop'")
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0.0):
            raise ValueError("nesterov needs optimizer 'sgd' and a momentum above 0")
        return self

    def changed(self, values: Mapping[str, Any]) -> Self:
        """The same recipe with other values for some settings, checked again; derived settings follow."""
        return type(self)(**self.model_dump(exclude=set(self.derived)) | dict(values))

    def loss_settings(self) -> dict[str, Any]:
        """The numbers that the loss takes per run, by name."""
        return {name: getattr(self, name) for name in self.loss_values}

    @property
    def turned_together(self) -> int:
        """Number of consecutive examples of a batch that belong to one class and take the same quarter turn."""
        return 1

    @property
    def needs_validation(self) -> bool:
        return self.patience is not None or self.schedule == "plateau"


@dataclass(frozen=True)
class Config:
    """What one run of a model is built and trained with.

    Args:
        swept: the settings of the model's sweep, with this config's values; empty without a sweep.
        recipe: every setting with its one value, the swept ones included.
        options: constructor arguments of the module, the swept ones included.
        index: place among the configs of its model, and of its variant in the record.
    Example:
        >>> Config({"lr": 0.1, "depth": 3}, Recipe(lr=0.1), {"depth": 3}).label
        'lr=0.1, depth=3'
    """

    swept: Mapping[str, Any] = field(default_factory=dict)
    recipe: Recipe = field(default_factory=Recipe)
    options: Mapping[str, Any] = field(default_factory=dict)
    index: int = 0

    @property
    def label(self) -> str:
        """The swept settings in words, for people; nothing parses it."""
        return settings_text(self.swept)

    @property
    def loss(self) -> dict[str, Any]:
        """What the loss takes of this config, by name."""
        return self.recipe.loss_settings()

    @property
    def data(self) -> dict[str, Any]:
        """What the examples depend on, by name."""
        return {name: getattr(self.recipe, name) for name in self.recipe.data_values}

    @property
    def alike(self) -> Hashable:
        """What all runs of one stack must share: equal for configs whose recipes differ in settings per run only."""
        recipe = self.recipe
        free = {*recipe.per_run, *recipe.loss_values, *recipe.data_values}
        return json.dumps(recipe.model_dump(mode="json", exclude=free), sort_keys=True)
