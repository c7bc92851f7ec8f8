"""The ``[verdict]`` table: how models are compared, said before training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tenfold.config._check import validated
from tenfold.errors import nearest

__all__ = ["VerdictSettings", "read_verdict"]


class VerdictSettings(BaseModel):
    """How models are compared.

    Attributes:
        equal_within: two models are practically equal if the primary metric is known to differ by less than this: in
            percentage points where the metric is in percent, else in its unit. None for no such margin: then no two
            models are called equal.
        against: name of a model. It is compared with every other, and these not with each other: fewer comparisons find
            smaller differences. None for every pair.
        metrics: metrics that decide beside the primary one. They share the error rate, which makes each a little more
            careful; any other metric is for exploring.
        looks: numbers of repeats after which the verdicts are looked at, rising, such as [10, 20, 40]: all looks
            together keep the error rate, and repeats beyond the last are not judged. A single number is one look, which
            has the whole rate. None for no plan: then a part of the rate is kept for looks at more repeats.
        spending: how planned looks share the error rate: "obrien-fleming" keeps almost all of it for the last look,
            "pocock" gives to all alike. None for "obrien-fleming".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    equal_within: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    against: str | None = None
    metrics: list[str] = Field(default_factory=list)
    looks: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    spending: Literal["obrien-fleming", "pocock"] | None = None

    def as_dict(self) -> dict[str, Any]:
        """What is set, for the record and the study file."""
        return {key: value for key, value in self.model_dump().items() if value not in (None, [])}


def read_verdict(raw: Any, models: Sequence[str], metrics: Sequence[str], problems: list[str]) -> VerdictSettings:
    """The table as settings; what is wrong with it goes to ``problems``.

    Args:
        models: names of the study's.
        metrics: names of the task's; () where the task is not known.
    """
    if not isinstance(raw, Mapping):
        problems.append(f"verdict: expected a table, got {raw!r}")
        return VerdictSettings()
    found = validated(VerdictSettings, raw, "verdict.", problems) or VerdictSettings()
    problems += _unknown_names(found, models, metrics)
    return found


def _unknown_names(found: VerdictSettings, models: Sequence[str], metrics: Sequence[str]) -> Iterator[str]:
    if found.against is not None and models and found.against not in models:
        yield f"verdict.against: no model '{found.against}' in this study; {nearest(found.against, models)}"
    for name in found.metrics:
        if metrics and name not in metrics:
            yield f"verdict.metrics: no metric '{name}'; {nearest(name, metrics)}"
    if found.looks != sorted(set(found.looks)):
        yield f"verdict.looks: expected rising numbers of repeats, got {found.looks}"
    if found.spending is not None and not found.looks:
        yield "verdict.spending: is for planned looks; name them too, such as looks = [10, 20, 40]"
    if len(set(found.metrics)) < len(found.metrics):
        yield f"verdict.metrics: expected each metric once, got {found.metrics}"
