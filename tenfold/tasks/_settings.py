"""What every ``[task]`` table holds; a task adds its own settings in a class of its own."""

from __future__ import annotations

from pydantic import BaseModel

from tenfold.recipe import CHECKED

__all__ = ["TaskSettings"]


class TaskSettings(BaseModel):
    """Which task on which data.

    Attributes:
        kind: name of the task.
        data: a known data set, a file or a folder.
    """

    model_config = CHECKED

    kind: str
    data: str
