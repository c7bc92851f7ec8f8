"""One ranking from many verdicts on pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from tenfold.stats import Verdict

__all__ = ["Rank", "groups_not_told_apart", "rank"]


@dataclass(frozen=True)
class Rank:
    """One variant's place among the others.

    Attributes:
        label: its name.
        place: 1 for the best mean.
        groups: numbers of the groups it belongs to; two variants that share a group are not told apart.
        better_than, worse_than: labels, in ranking order.
        equal: labels of those that are practically equal, within the margin of the study.
        undecided: label -> the verdict that cannot tell, and says what might.
    """

    label: str
    place: int
    groups: tuple[int, ...]
    better_than: tuple[str, ...]
    worse_than: tuple[str, ...]
    equal: tuple[str, ...]
    undecided: dict[str, Verdict]

    @property
    def compared(self) -> frozenset[str]:
        """Labels of those it was compared with."""
        return frozenset((*self.better_than, *self.worse_than, *self.equal, *self.undecided))


def rank(order: Sequence[str], verdicts: Iterable[Verdict]) -> list[Rank]:
    """Each variant with what it is better than and what it is not told apart from.

    Args:
        order: labels, the best mean first.
        verdicts: on pairs of them. Two that were not compared share no group.
    """
    by_pair = {frozenset((verdict.first, verdict.second)): verdict for verdict in verdicts}
    different = [
        pair
        for pair in combinations(order, 2)
        if (verdict := by_pair.get(frozenset(pair))) is None or verdict.outcome == "better"
    ]
    groups = groups_not_told_apart(order, different)
    ranks = []
    for place, label in enumerate(order, start=1):
        found = {other: by_pair[pair] for other in order if (pair := frozenset((label, other))) in by_pair}
        ranks.append(
            Rank(
                label=label,
                place=place,
                groups=tuple(number for number, group in enumerate(groups) if label in group),
                better_than=tuple(other for other, v in found.items() if v.winner == label),
                worse_than=tuple(other for other, v in found.items() if v.winner == other),
                equal=tuple(other for other, v in found.items() if v.outcome == "practically equal"),
                undecided={other: v for other, v in found.items() if v.outcome == "cannot tell"},
            )
        )
    return ranks


def groups_not_told_apart(order: Sequence[str], different: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """A small set of groups such that two labels share a group exactly when they are not told apart.

    Args:
        order: labels, the best first.
        different: pairs that are told apart.
    Returns:
        Groups in the order of their best member; a label may be in several.
    Example:
        >>> groups_not_told_apart("abc", [("a", "c")])
        [('a', 'b'), ('b', 'c')]

    Source: Piepho 2004, An algorithm for a letter-based representation of all-pairwise comparisons (insert and absorb).
    """
    place = {label: number for number, label in enumerate(order)}
    groups = [frozenset(order)] if order else []
    for first, second in different:
        split = []
        for group in groups:
            split += [group - {first}, group - {second}] if {first, second} <= group else [group]
        split = list(dict.fromkeys(split))
        groups = [group for group in split if not any(group < other for other in split)]
    ordered = [tuple(sorted(group, key=place.__getitem__)) for group in groups]
    return sorted(ordered, key=lambda group: [place[label] for label in group])
