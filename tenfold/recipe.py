"""How a model is trained: one frozen object with every default in one place."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["CHECKED", "Augmentation", "Config", "NotNegative", "Positive", "Rate", "Recipe"]

Rate = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

# Strict: "50" and true are no numbers. A whole number does where a float is expected.
CHECKED = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Augmentation(BaseModel):
    """Random changes of every training image, anew at every step.

    Attributes:
        rotate: degrees to either side.
        shift: pixels in any direction.
        scale: share of the size, 0.1 for 0.9 to 1.1.
        shear: degrees to either side.
        elastic: pixels by which a smooth random field moves each place, as root mean square in either direction
            (Simard, Steinkraus, Platt 2003). Their best for 29 x 29 pixels, strength 34 at smoothness 4, is 1.4.
        elastic_smooth: standard deviation in pixels of the Gaussian that smooths the field; see elastic.
        erase: largest share of an image that a random rectangle sets to 0, the share uniform up to it (Zhong et al.
            2020: 0.4).
        erase_probability: that an image gets such a rectangle.
        quarter_turns: turn by 0, 90, 180 or 270 degrees; images of one class in a balanced batch alike, so that a
            turned class is another class to learn from (Santoro et al. 2016; Vinyals et al. 2016).
    """

    model_config = CHECKED

    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    shift: NotNegative = 0.0
    scale: Rate = 0.0
    shear: Annotated[float, Field(ge=0, lt=90)] = 0.0
    elastic: NotNegative = 0.0
    elastic_smooth: Annotated[float, Field(ge=1)] = 4.0
    erase: Rate = 0.0
    erase_probability: Annotated[float, Field(ge=0, le=1)] = 0.5
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

    rotate: Annotated[float, Field(ge=0, le=90)] = 0.0
    scale: Rate = 0.0
    noise: NotNegative = 0.0


class Recipe(BaseModel):
    """Budget, optimiser and schedule of a model. A list for a config value makes a sweep in one stack.

    A task adds the settings of its loss in a class of its own: names of those that may differ from run to run in one
    stack go into ``loss_values`` (or ``data_values``, where the examples depend on them), and into ``vectors`` where
    one value is a list itself.

    Attributes:
        epochs: passes over the training examples.
        batch_size: examples a step.
        optimizer: as in torch.optim, with its defaults where nothing is set here.
        lr, momentum, weight_decay: of the optimiser; momentum is for "sgd" and "rmsprop". No weight decay unless
            set, for "adamw" too,
            where torch.optim has 0.01.
        nesterov: Nesterov momentum, for "sgd".
        schedule: "constant"; "cosine" to 0 over all steps; "step" (times gamma every step_epochs epochs);
            "one-cycle" (Smith and Topin
            2018, as torch.optim.lr_scheduler.OneCycleLR without cycling momentum, lr at its top); "plateau" (times
            gamma where the
            validation loss has not improved for plateau_epochs epochs, each run by itself).
        clip: largest gradient norm of a run; None for no clipping.
        dropout: passed on to the module's constructor.
        patience: stop a run where its validation loss has not improved for so many epochs, and keep its best weights.
        augment: random changes of the training images.
        dtype: of parameters and inputs.
        compile: torch.compile for stacks: "auto" tries it where more training is left than compiling costs and keeps
            it where it is
            measured to be faster; "always", "never". A missing compiler is never a failure.
    """

    model_config = CHECKED
    optimiser_values: ClassVar[tuple[str, ...]] = ("lr", "momentum", "weight_decay", "clip", "dropout")
    loss_values: ClassVar[tuple[str, ...]] = ()
    data_values: ClassVar[tuple[str, ...]] = ()
    vectors: ClassVar[tuple[str, ...]] = ()

    epochs: Annotated[int, Field(ge=1)] = 50
    batch_size: Annotated[int, Field(ge=1)] = 100
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "adam"
    lr: Positive | Annotated[list[Positive], Field(min_length=1)] = 1e-3
    momentum: Rate | Annotated[list[Rate], Field(min_length=1)] = 0.0
    nesterov: bool = False
    weight_decay: NotNegative | Annotated[list[NotNegative], Field(min_length=1)] = 0.0
    schedule: Literal["constant", "cosine", "step", "one-cycle", "plateau"] = "constant"
    step_epochs: Annotated[int, Field(ge=1)] = 30
    plateau_epochs: Annotated[int, Field(ge=0)] = 10
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    clip: Positive | Annotated[list[Positive], Field(min_length=1)] | None = None
    dropout: Rate | Annotated[list[Rate], Field(min_length=1)] | None = None
    patience: Annotated[int, Field(ge=1)] | None = None
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
        if self.nesterov and (self.optimizer != "sgd" or 0.0 in _as_list(self.momentum)):
            raise ValueError("nesterov needs optimizer 'sgd' and a momentum above 0")
        for name in (*self.optimiser_values, *self.loss_values, *self.data_values):
            values = self.values_of(name)
            if any(values.count(one) > 1 for one in values):
                raise ValueError(f"{name}: the values of a sweep must differ, got {values}")
        return self

    def values_of(self, name: str) -> list:
        """The values of a config setting: one, or those of its sweep."""
        value = getattr(self, name)
        swept = isinstance(value, list) and (
            name not in self.vectors or (len(value) > 0 and isinstance(value[0], list))
        )
        return value if swept else [value]

    def configs(self) -> list[Config]:
        """Every combination of the listed config values; one config with an empty label where nothing is listed."""
        names = (*self.optimiser_values, *self.loss_values, *self.data_values)
        configs = []
        for values in itertools.product(*(self.values_of(name) for name in names)):
            chosen = dict(zip(names, values, strict=True))
            swept = {name: value for name, value in chosen.items() if getattr(self, name) is not value}
            label = ", ".join(f"{name}={_short(value)}" for name, value in swept.items())
            loss = {name: chosen.pop(name) for name in self.loss_values}
            of_data = {name: chosen.pop(name) for name in self.data_values}
            configs.append(Config(setting=label, loss=loss, data=of_data, **chosen))
        return configs

    def loss_settings(self, config: Config) -> dict[str, Any]:
        """The numbers that the loss of a run takes, by name: those of its config."""
        return dict(config.loss)

    @property
    def images_together(self) -> int:
        """Consecutive examples of a batch that belong to one class, where batches are balanced."""
        return 1

    @property
    def needs_validation(self) -> bool:
        return self.patience is not None or self.schedule == "plateau"


class Config(BaseModel):
    """The settings of one run that may differ from its neighbours'; ``setting`` names them, empty where none differ.

    ``loss`` holds those of the task's loss, by name, and ``data`` those of its data, such as the kind of split.
    """

    model_config = ConfigDict(frozen=True)

    setting: str = ""
    lr: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip: float | None = None
    dropout: float | None = None
    loss: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)


def _as_list(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "/".join(_short(part) for part in value)
    text = f"{value:g}"
    return text if float(text) == value else repr(value)  # two values never share a label
