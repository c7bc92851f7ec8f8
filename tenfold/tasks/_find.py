"""From the ``kind`` of a study to the task's class, built in or of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tenfold.errors import RequestError, nearest
from tenfold.own_files import import_own
from tenfold.tasks._catalogue import SPECS, TASKS
from tenfold.tasks._spec import TaskSpec

if TYPE_CHECKING:
    from tenfold.tasks._contract import Task

__all__ = ["find_spec", "find_task", "is_built_in"]

# What a task has to define beside its spec; ``info`` is there once it is made.
_MEMBERS = ("splits", "resampling", "batches", "loss", "sums", "metrics_of", "predictions")


def find_task(kind: str | type[Any], *, base: Path) -> type[Task]:
    """The class of a task.

    Args:
        kind: a built-in name, "FILE.py:CLASS", or a class.
        base: folder that FILE is relative to.
    Raises:
        RequestError: unknown name, missing file, a file that cannot be imported, no such class in it, or not a task.
    """
    if isinstance(kind, str) and ":" not in kind:
        if kind not in TASKS:
            raise RequestError(f"no task '{kind}'; {nearest(kind, TASKS)} (one of your own: \"my_task.py:MyTask\")")
        return TASKS[kind]
    found = import_own(kind, base, "task", like=_is_task) if isinstance(kind, str) else kind
    if not _is_task(found):
        name = getattr(found, "__qualname__", repr(found))
        raise RequestError(f"'{name}' is not a task: it lacks what tenfold.tasks.Task describes")
    missing = [name for name in _MEMBERS if not callable(getattr(found, name, None))]
    if missing:
        raise RequestError(f"the task '{found.__qualname__}' has no {', no '.join(missing)}; see docs/add-a-task.md")
    return cast("type[Task]", found)


def find_spec(kind: str | type[Any], *, base: Path) -> TaskSpec:
    """What is known of a task without its data; a built-in one is not imported for it. Raises as ``find_task``."""
    return SPECS[kind] if isinstance(kind, str) and kind in SPECS else find_task(kind, base=base).spec


def is_built_in(task: Task) -> bool:
    """Whether all of a task's code is tenfold's: it consists of tensor operations, which a recording repeats."""
    return type(task) in TASKS.values()


def _is_task(value: Any) -> bool:
    # The protocol itself has annotations only, so an imported one is not taken for a task.
    return isinstance(value, type) and isinstance(getattr(value, "spec", None), TaskSpec)
