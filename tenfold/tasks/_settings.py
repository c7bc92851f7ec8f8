"""What every ``[task]`` table holds; a task adds its own settings in a class of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from tenfold import datasets
from tenfold.recipe import CHECKED, Positive, Unit

__all__ = ["ImageSettings", "TaskSettings"]


class TaskSettings(BaseModel):
    """Which task on which data.

    Attributes:
        kind: name of the task, "FILE.py:CLASS", or the class itself where a study is made in Python.
        data: a known data set, a file or a folder.
        metric: the primary metric, by which models are ranked and compared, chosen before training; None for the task's
            own. Early stopping and the plateau schedule go by the validation loss all the same.
        folds: N-fold cross-validation: repeat r tests fold r of a division into so many, repeats N to 2 N - 1 those of
            the next division, and so on; the same for every model. None for a division drawn anew for every repeat.
    """

    model_config = CHECKED

    kind: str | type
    data: str
    metric: str | None = None
    folds: Annotated[Annotated[int, Field(ge=2)] | None, Unit("folds")] = None

    def not_measured(self) -> dict[str, str]:
        """Metrics of the task that say nothing with these settings, each with the reason."""
        return {}

    def load_data(self, *, base: Path) -> Any:
        """The data, as the task takes them; relative paths start from ``base``."""
        return datasets.load(self.data, base=base)


class ImageSettings(TaskSettings):
    """The ``[task]`` table of a task on images.

    Attributes:
        data: a known data set, an .npz file or a folder of images by class.
        size: side in pixels to average images down to.
        validation: fraction of the training part for early stopping, plateau schedules and choosing settings.
        colour: True for three channels, False for grey; None as the images are.
        unreadable: what to do with image files that cannot be read: "refuse" or "skip".
        pixel_range: value of a white pixel in the files, such as 4095 for a camera of 12 bits, for training and for new
            images. None for 255, for numbers with a fraction 1, and for files of 16 bits the smallest of 255, 1023,
            4095, 16383 and 65535 that holds them all.
    """

    size: Annotated[Annotated[int, Field(ge=4, le=256)] | None, Unit("pixels")] = None
    validation: Annotated[float, Field(ge=0, le=0.5), Unit("fraction of the training part")] = 0.0
    colour: bool | None = None
    unreadable: Literal["refuse", "skip"] = "refuse"
    pixel_range: Positive | None = None

    def load_data(self, *, base: Path) -> datasets.Images | datasets.Pairs:
        return datasets.load(
            self.data,
            base=base,
            size=self.size,
            colour=self.colour,
            unreadable=self.unreadable,
            pixel_range=self.pixel_range,
        )
