"""The sentence of a verdict."""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.stats._compare import Comparison
from tenfold.stats._wording import direction, gap, p_value, percent, span


@dataclass(frozen=True)
class Metric:
    """What the sentences need to know about a metric."""

    name: str
    unit: str
    higher_is_better: bool

    @property
    def spoken(self) -> str:
        return self.name.replace("_", " ")


def sentence(
    names: tuple[str, str],
    pair: Comparison,
    p: float,
    metric: Metric,
    outcome: str,
    ahead: str,
    n_pairs: int,
) -> str:
    """The verdict in plain words, complete without a table."""
    first, second = names
    head = "No difference found" if outcome == "no difference found" else "Cannot tell yet"
    head = f"{head} between {first} and {second} on {metric.spoken}"
    if pair.n < 2:
        return f"{head}: {'no repeat has' if pair.n == 0 else 'only one repeat has'} a score of both."
    chance = f"{p_value(p)} after correction for {n_pairs} pairs" if n_pairs > 1 else p_value(p)
    if outcome == "better":
        return _better(names, pair, chance, metric)
    if ahead:
        head = f"{head}, {ahead}"
    if pair.std == 0 and pair.difference == 0:
        return f"{head}: the same score in all {pair.n} repeats ({chance})."
    seen = f"{first} measured {gap(pair.difference, metric.unit)} {direction(pair.difference)}"
    possible = f"{percent(pair.level)} interval: {span(pair.low, pair.high, metric.unit)}"
    return f"{head}: {seen} ({possible}; {chance})."


def _better(names: tuple[str, str], pair: Comparison, chance: str, metric: Metric) -> str:
    """Written from the winner's side, whichever model is first."""
    first_wins = (pair.difference > 0) == metric.higher_is_better
    winner, loser = names if first_wins else names[::-1]
    word = "higher" if metric.higher_is_better else "lower"
    near, far = sorted((pair.low, pair.high), key=abs)
    interval = f"{gap(near, metric.unit, bare=True)} to {gap(far, metric.unit, bare=True)}"
    if pair.low < 0 < pair.high:  # with tied ranks, p and interval may disagree: show the sign
        interval = span(pair.low, pair.high, metric.unit)
    return (
        f"{winner} is better than {loser} on {metric.spoken}: {gap(pair.difference, metric.unit)} {word} "
        f"({percent(pair.level)} interval {interval}, {chance})."
    )
