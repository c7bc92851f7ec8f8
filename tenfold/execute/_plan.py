"""How the runs of one model are trained, as the record keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tenfold.stack import How

__all__ = ["Placement", "Plan"]

Placement = Literal["auto", "stack", "processes", "loop"]


@dataclass(frozen=True)
class Plan:
    """How the runs of one model are trained. Kept in the record: a study that goes on keeps it, and with it every
    number.

    Args:
        placement: "stack", "processes" or "loop"; "fit" for estimators, which are not trained.
        how: computing within a process, see Stack.
        threads: of each process.
        groups: positions of the runs trained together. In turn, or with "processes" side by side.
        compiled: with torch.compile.
        milliseconds: measured time of one step of one run, by candidate.
        bytes_per_run: estimated.
        memory_groups: whether the runs were cut into groups because all together exceed the memory.
        reason: in words, for people.
        failed: why training so ended with an error, "" where it did not.
    """

    placement: Literal["stack", "processes", "loop", "fit"]
    how: How
    threads: int
    groups: tuple[tuple[int, ...], ...]
    compiled: bool = False
    milliseconds: dict[str, float] = field(default_factory=dict)
    bytes_per_run: int = 0
    memory_groups: bool = False
    reason: str = ""
    failed: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Plan:
        return cls(**{**values, "groups": tuple(tuple(group) for group in values["groups"])})
