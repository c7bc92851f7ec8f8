"""From the ``kind`` of a study to the task's class, built in or of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.errors import RequestError, nearest
from tenfold.own_files import import_own
from tenfold.recipe import Recipe
from tenfold.tasks._settings import TaskSettings
from tenfold.tasks._task import Metric, Task

__all__ = ["Spec", "find_task", "spec_of"]


@dataclass(frozen=True)
class Spec:
    """What is known of a task without its data."""

    kind: str
    settings: type[TaskSettings]
    recipe: type[Recipe]
    metrics: tuple[Metric, ...]


def spec_of(task: type[Task]) -> Spec:
    """What a task's class says of itself; the only place that knows where it stands there."""
    return Spec(task.kind, task.settings_type, task.recipe_type, task.metrics)


def find_task(kind: str | type[Any], *, base: Path) -> type[Task]:
    """The class of a task.

    Args:
        kind: a built-in name, "FILE.py:CLASS", or a class.
        base: folder that FILE is relative to.
    Raises:
        RequestError: unknown name, missing file, a file that cannot be imported, no such class in it, or not a task.
    """
    from tenfold.tasks import TASKS

    if isinstance(kind, str) and ":" not in kind:
        if kind not in TASKS:
            raise RequestError(f"no task '{kind}'; {nearest(kind, TASKS)} (one of your own: \"my_task.py:MyTask\")")
        return TASKS[kind]
    found: Any = import_own(kind, base, "task", like=_is_task) if isinstance(kind, str) else kind
    if not _is_task(found):
        name = getattr(found, "__qualname__", repr(found))
        raise RequestError(f"'{name}' is not a task: it lacks what tenfold.tasks.Task describes")
    return found


def _is_task(value: Any) -> bool:
    # The protocol itself has annotations only, so an imported one is not taken for a task.
    return isinstance(value, type) and hasattr(value, "settings_type")
