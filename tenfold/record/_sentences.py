"""The whole verdict of a study in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.record._ranking import Rank
from tenfold.stats import AgainstPublished, AgainstSingle, Summary, Verdict
from tenfold.wording import listed, number, repeats_range

__all__ = [
    "VerdictWords",
    "against_sentence",
    "headline",
    "in_words",
    "none_told",
    "note_of",
    "rank_sentence",
    "tally",
]


@dataclass(frozen=True)
class VerdictWords:
    """The verdict of a study on one metric, sentence by sentence; "" where there is nothing to say.

    Attributes:
        headline: the best model and its score.
        best: what the best is better than and not told apart from.
        others: the same for each of the others, in ranking order, against those below.
        protocols: the same model under several protocols, such as a split by group and a random one.
        tally: how many pairs have which outcome.
        published: how the measured means compare with the published ones.
        advice: what to type for the repeats that might settle open pairs.
    """

    headline: str
    best: str = ""
    others: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    tally: str = ""
    published: str = ""
    advice: str = ""

    def all(self) -> list[str]:
        """Every sentence, the most important first."""
        sentences = (self.headline, self.best, *self.others, *self.protocols, self.tally, self.published, self.advice)
        return [sentence for sentence in sentences if sentence]


def in_words(metric: Mapping[str, Any]) -> str:
    """A metric's name inside a sentence: its label, with a small first letter unless it is an abbreviation."""
    label = str(metric.get("label") or metric["name"])
    return label if label[:2].isupper() or any(c.isdigit() for c in label[:2]) else label[:1].lower() + label[1:]


def headline(best: Rank, n_variants: int, summary: Summary, metric: Mapping[str, Any], protocol: str = "") -> str:
    """Which variant is first (of those of one protocol, such as "split=group"), and how sure that is."""
    unit = metric["unit"]
    word = "highest" if metric["higher_is_better"] else "lowest"
    interval = ""
    if math.isfinite(summary.low):
        ends = f"{number(summary.low, unit, bare=True)} to {number(summary.high, unit, bare=True)}"
        interval = f", {100 * summary.level:g} % interval {ends}"
    repeats = f"mean of {summary.n} repeats" if summary.n > 1 else "one repeat"
    value = f"{number(summary.mean, unit)} ({repeats}{interval})"
    if n_variants == 1:
        return f"{best.label}: {in_words(metric)} {value}. With one model there is nothing to compare."
    under = f" of those with {protocol}" if protocol else ""
    return f"{best.label} has the {word} {in_words(metric)}{under}: {value}."


def rank_sentence(rank: Rank, order: Sequence[str]) -> str:
    """What one variant is better than, among those ranked below it, and what it is not told apart from."""
    below = [label for label in order[rank.place :] if label in rank.compared]
    first = len(below) == len(rank.compared)
    if not below:
        return ""
    beaten = [label for label in below if label in rank.better_than]
    rest = f"{len(below)} {'others' if first else 'below it'}"
    apart = _not_told_apart(rank, below, rest)
    everything = f"all {rest}" if len(below) > 1 else below[0]
    if not apart:
        return f"{rank.label} is better than {everything}."
    if not beaten:
        return f"{rank.label} is not told apart from {apart}."
    whom = listed(beaten) if len(beaten) <= 3 else f"{len(beaten)} of the {rest}"
    return f"{rank.label} is better than {whom}; not told apart from {apart}."


def _not_told_apart(rank: Rank, below: Sequence[str], rest: str) -> str:
    """The variants below one that it is not better than, by outcome; all of many are called ``rest``."""

    def named(labels: Sequence[str]) -> str:
        return f"any of the {rest}" if len(labels) == len(below) > 3 else listed(labels)

    same = [label for label in below if label in rank.equal]
    undecided = {label: verdict for label, verdict in rank.undecided.items() if label in below}
    # Ranks and means can disagree; the notes of the pair say so.
    reversed_ones = [label for label in below if label in rank.worse_than]
    parts = [f"{named(same)} (practically equal)"] if same else []
    parts += [f"{named(list(undecided))} (cannot tell{remedies(undecided.values())})"] if undecided else []
    parts += [f"{named(reversed_ones)} (the verdict goes the other way)"] if reversed_ones else []
    return ", nor from ".join(parts)


def remedies(verdicts: Iterable[Verdict]) -> str:
    """What might settle open pairs, all together, behind a colon; "" where nothing is known.

    Of several pairs the range is from the fewest repeats that any needs to the most.
    """
    open_ones = [verdict for verdict in verdicts if verdict.remedy]
    parts = []
    if repeated := [verdict for verdict in open_ones if verdict.remedy == "more repeats"]:
        fewest = [v.repeats_fewest for v in repeated if v.repeats_fewest is not None]
        seen = [v.repeats_needed for v in repeated]
        known = [count for count in (*fewest, *seen) if count is not None]
        if known and None not in seen:
            parts.append(f"{repeats_range([min(known), max(known)])} repeats might")
        elif known:
            parts.append(f"{min(known)} repeats or more might")
        else:
            parts.append("more repeats might")
    if any(verdict.remedy == "more data" for verdict in open_ones):
        parts.append("only more data can" if not repeated else "for some only more data can")
    return f": {', '.join(parts)}" if parts else ""


def note_of(note: str, names: Sequence[str], n_all: int) -> str:
    """A note with the comparisons it belongs to: their names where they are few, their number where they are many.

    Example:
        >>> note_of("It is so.", ["a and b"], 3), note_of("It is so.", ["a"] * 5, 9), note_of("It is so.", ["a"], 1)
        ('a and b: It is so.', 'It is so. (5 of 9 comparisons)', 'It is so.')
    """
    if len(names) == n_all:
        return note
    if len(names) <= 2:
        return f"{'; '.join(names)}: {note}"
    return f"{note} ({len(names)} of {n_all} comparisons)"


def none_told(verdicts: Sequence[Verdict]) -> bool:
    """Whether every one of several pairs is undecided, as with a single repeat."""
    return len(verdicts) > 1 and all(verdict.outcome == "cannot tell" for verdict in verdicts)


def tally(verdicts: Sequence[Verdict]) -> str:
    """How many pairs have which outcome."""
    if len(verdicts) < 2:
        return ""
    if none_told(verdicts):
        return f"None of the {len(verdicts)} pairs can be told apart{remedies(verdicts)}."
    counts = {outcome: sum(v.outcome == outcome for v in verdicts) for outcome in _TALLY}
    parts = [words.format(count) for outcome, words in _TALLY.items() if (count := counts[outcome])]
    return f"Of {len(verdicts)} pairs, {listed(parts)}."


_TALLY = {
    "better": "{} differ",
    "practically equal": "{} are practically equal",
    "cannot tell": "{} cannot be told apart",
}


def against_sentence(against: Mapping[str, AgainstPublished | AgainstSingle], metric: Mapping[str, Any]) -> str:
    """How the measured means compare with the published ones, all models in one sentence."""
    tested = {label: answer for label, answer in against.items() if isinstance(answer, AgainstPublished)}
    if not tested:
        return ""
    parts = []
    for outcome, words in _AGAINST.items():
        labels = [label for label, answer in tested.items() if answer.outcome == outcome]
        if labels:
            whom = f"all {len(labels)}" if len(labels) == len(tested) > 1 else listed(labels)
            parts.append(f"{words} {whom}")
    return f"Measured against published {in_words(metric)} (Welch's test): {'; '.join(parts)}."


_AGAINST = {
    "higher": "higher for",
    "lower": "lower for",
    "no difference found": "no difference found for",
    "cannot tell yet": "cannot be told for",
}
