"""The sentence of a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tenfold.stats._collapse import collapsed
from tenfold.stats._paired import present
from tenfold.stats._wording import direction, gap, p_value, percent, score, span

if TYPE_CHECKING:
    from tenfold.stats._family import Judged


@dataclass(frozen=True)
class Metric:
    """What the sentences need to know about a metric."""

    name: str
    unit: str
    higher_is_better: bool

    @property
    def spoken(self) -> str:
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class Told:
    """What the sentence of a pair says beside its numbers.

    Attributes:
        outcome: of the verdict.
        ahead: what might settle an open pair, as a sentence; "" where nothing is known.
        beyond: what the verdict is meant for; "" for any data like these.
        equal_within: the margin; None where there is none.
        n_pairs: pairs compared together.
    """

    outcome: str
    ahead: str
    beyond: str
    equal_within: float | None
    n_pairs: int


def sentence(names: tuple[str, str], pair: Judged, metric: Metric, told: Told) -> str:
    """The verdict in plain words, complete without a table."""
    first, second = names
    meant = f" for {told.beyond}" if told.beyond else ""
    if pair.n < 2:
        have = "no repeat has" if pair.n == 0 else "only one repeat has"
        return f"Cannot tell which of {first} and {second} is better on {metric.spoken}: {have} a score of both."
    p = p_value(pair.p_corrected)
    chance = f"{p} after correction for {told.n_pairs} pairs" if told.n_pairs > 1 else p
    if told.outcome == "better":
        return _better(names, pair, chance, metric, meant)
    if told.outcome == "practically equal":
        within = gap(told.equal_within or 0.0, metric.unit)
        level = percent(1 - 2 * (1 - pair.level))
        interval = f"{level} interval: {span(pair.equal_low, pair.equal_high, metric.unit)}"
        return f"{first} and {second} are practically equal on {metric.spoken}{meant}, within {within} ({interval})."
    head = f"Cannot tell which of {first} and {second} is better on {metric.spoken}{meant}"
    ahead = f" {told.ahead}" if told.ahead else ""
    if pair.std == 0 and pair.difference == 0 and pair.low == pair.high == 0:
        return f"{head}: the same score in all {pair.n} repeats ({chance}).{ahead}"
    seen = f"{first} measured {gap(pair.difference, metric.unit)} {direction(pair.difference)}"
    possible = f"{percent(pair.level)} interval: {span(pair.low, pair.high, metric.unit)}"
    return f"{head}: {seen} ({possible}; {chance}).{ahead}"


def _better(names: tuple[str, str], pair: Judged, chance: str, metric: Metric, meant: str) -> str:
    """Written from the winner's side, whichever model is first."""
    first_wins = (pair.difference > 0) == metric.higher_is_better
    winner, loser = names if first_wins else names[::-1]
    word = "higher" if metric.higher_is_better else "lower"
    return (
        f"{winner} is better than {loser} on {metric.spoken}{meant}: {gap(pair.difference, metric.unit)} {word} "
        f"({percent(pair.level)} interval {_ends(pair.low, pair.high, metric.unit)}, {chance})."
    )


def here_sentence(winner: str, pair: Judged, metric: Metric, tested_on: str) -> str:
    """What is known of new training runs on the same test examples, where nothing is of others."""
    word = "higher" if metric.higher_is_better else "lower"
    where = f"On {tested_on}" if tested_on else "On these test examples"
    ends = _ends(pair.here_low, pair.here_high, metric.unit)
    return f"{where} alone, {winner} is better in new training runs ({ends} {word}, {p_value(pair.here_p)})."


def failures(names: tuple[str, str], failed: Mapping[str, NDArray[np.bool_]]) -> str:
    """Which of the two failed how often, as a sentence; "" where neither did."""
    parts = [
        f"{name} diverged in {int(failed[name].sum())} of {failed[name].size} runs" for name in names if name in failed
    ]
    return f"{' and '.join(parts)}." if parts else ""


def collapse_notes(names: tuple[str, str], arrays: Mapping[str, NDArray[np.float64]], metric: Metric) -> list[str]:
    """Runs far worse than the others of their model, and what typical runs differ by."""
    notes = []
    for name in names:
        rows = collapsed(arrays[name], higher_is_better=metric.higher_is_better)
        if rows.size:
            rest = present(np.delete(arrays[name], rows))
            bad = ", ".join(score(float(value), metric.unit) for value in arrays[name][rows])
            usual = f"{score(float(rest.min()), metric.unit)} to {score(float(rest.max()), metric.unit)}"
            notes.append(
                f"{rows.size} of {present(arrays[name]).size} runs of {name} collapsed ({bad}; the others {usual}): "
                "the mean and its interval depend on how often this happens, which so few runs cannot say."
            )
    if notes:
        first, second = (float(np.median(present(arrays[name]))) for name in names)
        notes[-1] += (
            f" In typical (median) runs {names[0]} is {gap(first - second, metric.unit)} {direction(first - second)} "
            f"than {names[1]}."
        )
    return notes


def _ends(low: float, high: float, unit: str) -> str:
    near, far = sorted((low, high), key=abs)
    return f"{gap(near, unit, bare=True)} to {gap(far, unit, bare=True)}"
