"""At which numbers of repeats the verdicts of a study were looked at, and what that costs, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tenfold.stats import Looks, Verdict
from tenfold.wording import listed

__all__ = ["LOOKS", "added_look", "command_for_more", "look_sentences", "looks_of", "looks_together"]

# Key of the table `meta`: the looks of a study so far.
LOOKS = "looks"

_ORDINALS = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth")


def looks_of(taken: Sequence[Mapping[str, Any]], verdict: Mapping[str, Any], repeats: int) -> Looks:
    """The looks at a study, up to the present one.

    Args:
        taken: the looks in the record. A plan holds as it was at the first of them: one that is made after a look is
            no plan.
        verdict: the study's ``[verdict]``, for the plan of a study that was not looked at yet.
        repeats: how many the study has. Beyond a plan only those of its last look are judged.
    Example:
        >>> looks_of([{"repeats": 10}], {}, 20).taken
        (10, 20)
        >>> looks_of([], {"looks": [10, 20]}, 25)
        Looks(taken=(20,), planned=(10, 20), spending='obrien-fleming')
    """
    planned, spending = _plan(taken[0] if taken else verdict)
    judged = max(min(repeats, *planned[-1:]) if planned else repeats, 1)
    before = {int(look["repeats"]) for look in taken}
    return Looks(tuple(sorted({n for n in before if n < judged} | {judged})), planned, spending)


def looks_together(one: Looks, two: Looks, repeats: int) -> Looks:
    """Those at two records, whose first ``repeats`` are compared: all that either has, by the plan of both."""
    taken = tuple(sorted({n for n in (*one.taken, *two.taken) if n < repeats} | {repeats}))
    same = (one.planned, one.spending) == (two.planned, two.spending)
    return Looks(taken, one.planned, one.spending) if same else Looks(taken)


def _plan(source: Mapping[str, Any]) -> tuple[tuple[int, ...], Any]:
    return tuple(source.get("looks") or ()), source.get("spending") or "obrien-fleming"


def added_look(taken: Sequence[Mapping[str, Any]], verdict: Mapping[str, Any], repeats: int) -> list[dict[str, Any]]:
    """The looks in the record after one more; the same number of repeats again is no new look.

    Example:
        >>> added_look([{"repeats": 10}], {}, 20), added_look([{"repeats": 10}], {}, 10)
        ([{'repeats': 10}, {'repeats': 20}], [{'repeats': 10}])
    """
    looks = looks_of(taken, verdict, repeats)
    plan = {"looks": list(looks.planned), "spending": looks.spending} if looks.planned else {}
    found = [dict(look) for look in taken]
    return found if looks.taken[-1] in {look["repeats"] for look in found} else [
        *found, {"repeats": looks.taken[-1]} | plan,
    ]  # fmt: skip


def look_sentences(looks: Looks, verdict: Mapping[str, Any], repeats: int, level: float) -> list[str]:
    """Which look the present one is, and what all looks together keep to.

    Example:
        >>> look_sentences(Looks((10, 20)), {}, 20, 0.95)[0]
        'Second look, at 20 repeats, after one at 10, not planned. All looks together call at most 5 % of studies of equal models different (4.1 % by now): p-values and intervals are of all looks together.'
    """  # noqa: E501
    rate = 1 - level
    now, before = looks.taken[-1], [str(n) for n in looks.taken[:-1]]
    which = f"{_which(len(looks.taken))}, at {_repeats(now)}"
    after = f", after {'one' if len(before) == 1 else 'those'} at {listed(before)}" if before else ""
    spent = f"at most {100 * rate:.2g} % of studies of equal models different"
    by_now = f"{100 * looks.spent(rate, now):.2g} %"
    found = []
    if looks.planned:
        plan = f"{listed([str(n) for n in looks.planned])} repeats, {looks.spending}"
        planned = "as planned" if set(looks.taken) <= set(looks.planned) else "of which not all were planned"
        found.append(
            f"{which}{after}, {planned} ({plan}). All looks together call {spent} ({by_now} by now): p-values and "
            "intervals are of all looks together."
        )
        if repeats > now:
            found.append(f"The plan ends at {_repeats(now)}: the first {now} of {repeats} are judged, and no others.")
    elif before:
        found.append(
            f"{which}{after}, not planned. All looks together call {spent} ({by_now} by now): p-values and intervals "
            "are of all looks together."
        )
    else:
        found.append(
            f"{which}, not planned: {by_now} of the {100 * rate:.2g} % of false positives may come from it, the rest "
            "is kept for looks at more repeats. For one look only, say so before training: "
            f"[verdict] looks = [{now}]."
        )
    if _plan(verdict)[0] != looks.planned:
        found.append("`[verdict] looks` was changed after the first look: the plan of the first look holds.")
    return found


def command_for_more(folder: str, looks: Looks, verdicts: Iterable[Verdict], folds: Iterable[int]) -> str:
    """What to type for the repeats that might settle open pairs, as a sentence; "" where none might.

    Args:
        folder: of the record, as a shell takes it.
        looks: so far.
        verdicts: all of the study.
        folds: of cross-validations, of which the repeats have to be a multiple.
    """
    now = looks.taken[-1]
    open_ones = [verdict for verdict in verdicts if verdict.remedy == "more repeats"]
    if not open_ones:
        return ""
    if looks.planned:
        later = [n for n in looks.planned if n > now]
        if not later:
            return f"The plan of looks ends at {_repeats(now)}: more repeats would not be judged."
        return f"The next planned look: tenfold run {folder} --repeats {later[0]}"
    known = [v.repeats_needed or v.repeats_fewest or 2 * now for v in open_ones]
    step = math.lcm(1, *folds)
    target = math.ceil(max(*known, now + 1) / step) * step
    return f"To add repeats (those recorded stay): tenfold run {folder} --repeats {target}"


def _which(number: int) -> str:
    return f"{_ORDINALS[number - 1]} look" if number <= len(_ORDINALS) else f"Look {number}"


def _repeats(count: int) -> str:
    return f"{count} repeat{'s' if count != 1 else ''}"
