"""How a model is trained: one frozen object with every default in one place."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["LANE_VALUES", "Augmentation", "Lane", "Recipe"]

Rate = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

# The settings that may differ from run to run in one stack. A list makes one lane group for each of its values.
LANE_VALUES = ("lr", "momentum", "weight_decay", "clip", "dropout", "auxiliary")

# Strict: "50" and true are no numbers. A whole number does where a float is expected.
_CHECKED = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Augmentation(BaseModel):
    """Random affine changes of every training image, anew at every step.

    Attributes:
        rotate: degrees to either side.
        shift: pixels in any direction.
        scale: share of the size, 0.1 for 0.9 to 1.1.
        shear: degrees to either side.
    """

    model_config = _CHECKED

    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    shift: NotNegative = 0.0
    scale: Rate = 0.0
    shear: Annotated[float, Field(ge=0, lt=90)] = 0.0


class Recipe(BaseModel):
    """Budget, optimiser, schedule and loss weights of a model. A list for a lane value makes a sweep in one stack.

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
        auxiliary: loss weights (first image, second image, comparison); None is 0, 0, 1.
        patience: stop a run where its validation loss has not improved for so many epochs, and keep its best weights.
        augment: random changes of the training images.
        dtype: of parameters and inputs.
        compile: torch.compile for stacks: "auto" tries it where more training is left than compiling costs and keeps
            it where it is
            measured to be faster; "always", "never". A missing compiler is never a failure.
    """

    model_config = _CHECKED

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
    auxiliary: list[NotNegative] | list[list[NotNegative]] | None = None
    patience: Annotated[int, Field(ge=1)] | None = None
    augment: Augmentation | None = None
    dtype: Literal["float32", "float64"] = "float32"
    compile: Literal["auto", "always", "never"] = "auto"

    @field_validator(*LANE_VALUES, mode="before")
    @classmethod
    def _tuples_are_lists(cls, value: Any) -> Any:
        return [cls._tuples_are_lists(part) for part in value] if isinstance(value, tuple | list) else value

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.optimizer in ("adam", "adamw") and self.momentum != 0.0:
            raise ValueError(f"momentum is not a setting of '{self.optimizer}'; use optimizer 'sgd' or 'rmsprop'")
        if self.nesterov and (self.optimizer != "sgd" or 0.0 in _as_list(self.momentum)):
            raise ValueError("nesterov needs optimizer 'sgd' and a momentum above 0")
        for name in LANE_VALUES:
            value = getattr(self, name)
            if _is_sweep(value, name) and any(value.count(one) > 1 for one in value):
                raise ValueError(f"{name}: the values of a sweep must differ, got {value}")
        for weights in self.auxiliary if _is_sweep(self.auxiliary) else [self.auxiliary]:  # type: ignore[union-attr]
            if weights is not None and len(weights) != 3:  # type: ignore[arg-type]
                raise ValueError(f"auxiliary: expected three weights (first, second, comparison), got {weights}")
        return self

    def lanes(self) -> list[Lane]:
        """Every combination of the listed lane values; one lane with an empty label where nothing is listed."""
        swept = [name for name in LANE_VALUES if _is_sweep(getattr(self, name), name)]
        grid = itertools.product(*(getattr(self, name) for name in swept))
        fixed = {name: getattr(self, name) for name in LANE_VALUES if name not in swept}
        lanes = []
        for values in grid:
            chosen = dict(zip(swept, values, strict=True))
            label = ", ".join(f"{name}={_short(value)}" for name, value in chosen.items())
            lanes.append(Lane(setting=label, **(fixed | chosen)))
        return lanes

    @property
    def needs_validation(self) -> bool:
        return self.patience is not None or self.schedule == "plateau"


class Lane(BaseModel):
    """The settings of one run that may differ from its neighbours'; ``setting`` names them, empty where none differ."""

    model_config = ConfigDict(frozen=True)

    setting: str = ""
    lr: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip: float | None = None
    dropout: float | None = None
    auxiliary: list[float] | None = None

    @property
    def loss_weights(self) -> tuple[float, ...]:
        return (0.0, 0.0, 1.0) if self.auxiliary is None else tuple(self.auxiliary)


def _is_sweep(value: Any, name: str = "auxiliary") -> bool:
    return isinstance(value, list) and (name != "auxiliary" or (len(value) > 0 and isinstance(value[0], list)))


def _as_list(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(_short(part) for part in value)
    text = f"{value:g}"
    return text if float(text) == value else repr(value)  # two values never share a label
