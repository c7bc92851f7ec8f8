"""Which models a figure does not show, and why: no model is left out without a word."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tenfold.record import Reader, Variant
from tenfold.report.figures._numbers import Row
from tenfold.wording import listed

__all__ = ["left_out"]

_MOST_NAMED = 6


def left_out(results: Reader, rows: Sequence[Row], most: int) -> str:
    """A sentence on the variants that have no row among the numbers of a figure; "" where all have one.

    Args:
        results: the record.
        rows: numbers of the figure, with the label of their variant.
        most: how many variants the figure shows at most.
    """
    there = {row["label"] for row in rows if "label" in row}
    gone = [variant for variant in results.variants if variant.label not in there]
    if not there or not gone:
        return ""
    names = [variant.label for variant in gone]
    more = len(names) - _MOST_NAMED
    said = listed(names if more <= 0 else [*names[:_MOST_NAMED], f"{more} more"])
    if len(there) >= most:
        return f"The best {len(there)} are shown, without {said}."
    return f"Not shown: {said}{_reason(results, gone, there)}."


def _reason(results: Reader, gone: Sequence[Variant], there: Collection[object]) -> str:
    """Why, where one reason holds for all of them."""
    built, counts = results.meta("models") or {}, [results.counts(variant) for variant in gone]
    shown = {results.protocols[label] for label in there if isinstance(label, str)}
    be, one = ("is", "run") if len(gone) == 1 else ("are", "run of theirs")
    if all(count["ended"] == count["diverged"] for count in counts):
        return f", since no {one} has ended with a score"
    if all((built.get(variant.model) or {}).get("estimator") for variant in gone):
        return f", which {be} fitted and not trained"
    if len(shown) == 1 and not any(variant.protocol in shown for variant in gone):
        return f", which {be} of another division of the data"
    return ", of which the record has no such numbers"
