"""What every ``[task]`` table holds; a task adds its own settings in a class of its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, field_serializer

from tenfold.recipe import CHECKED

__all__ = ["TaskSettings"]


class TaskSettings(BaseModel):
    """Which task on which data.

    Attributes:
        kind: name of the task, "FILE.py:CLASS" for one of your own, or its class.
        data: a known data set, a file or a folder.
        folds: N-fold cross-validation: repeat r tests fold r of a division into so many, repeats N to 2 N - 1 those of
            the next division, and so on; the same for every model. None for a division drawn anew for every repeat.
    """

    model_config = CHECKED

    kind: str | type
    data: str
    folds: Annotated[int, Field(ge=2)] | None = None

    @field_serializer("kind")
    def _kind_as_text(self, kind: str | type) -> str:
        return kind if isinstance(kind, str) else kind.__qualname__
