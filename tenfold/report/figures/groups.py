"""The score in each group of the test data: a person, an alphabet."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Reader, Variant
from tenfold.report.figures._canvas import (
    COLOURS,
    FONT,
    HOLLOW,
    MOST_PANELS,
    NARROW,
    WIDE,
    fit,
    legend,
    mean_and_std,
    write,
)
from tenfold.report.figures._predictions import MATCH, SEQUENCES, names_of, sound_runs
from tenfold.report.figures._rows import LEFT, rows_of, value_at

_MOST = 40
_ROW = 32


class _Question(NamedTuple):
    """What is asked of each group, and what answers it."""

    words: str
    kind: str
    group: str
    answer: str  # an array of this name, in which ...
    right: str  # ... what equals the array of this name is right; 0 where there is no name
    error: bool  # the share that is wrong is shown, not the share that is right


_QUESTIONS = (
    _Question("Accuracy in each group", SEQUENCES, "group", "prediction", "target", error=False),
    _Question("Error in the published episodes", MATCH, "episode_group", "episode_place", "", error=True),
    _Question("Error in the query sets", MATCH, "group", "place", "", error=True),
)


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """One row a group, in the order of the best variant's scores; None where the record has no groups."""
    for question in _QUESTIONS:
        found = list(islice(_answers(results, question), MOST_PANELS))
        if found:
            # Under another protocol other groups are tested, in other ways.
            same = [entry for entry in found if entry[0].protocol == found[0][0].protocol]
            return _drawn(results, question, same, width)
    return None


def _answers(results: Reader, question: _Question) -> Iterator[tuple[Variant, np.ndarray]]:
    """Arms, best first, with the share in percent of each group: (runs, groups), NaN where a run lacks a group."""
    names = (question.group, question.answer, *([question.right] if question.right else []))
    for variant, arrays in sound_runs(results, question.kind, *names):
        group, answer = arrays[question.group], arrays[question.answer]
        right = arrays[question.right] if question.right else np.zeros_like(answer)
        if group.ndim < 2 or not group.shape == answer.shape == right.shape or group.dtype.kind not in "iu":
            continue
        shares = group_shares((answer == right) != question.error, np.where(right >= 0, group, -1))
        if np.isfinite(shares).any():
            yield variant, 100 * shares


def group_shares(true: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The share of each group for which something is true.

    Args:
        true: bool, shape (runs, ...). group: number of the group, the same shape; below 0 does not count.
    Returns:
        Shape (runs, groups), for groups up to the largest number; NaN where a run has none of a group.
    """
    runs, n_groups = len(group), int(group.max(initial=-1)) + 1
    place = np.where(group >= 0, group, n_groups).reshape(runs, -1).astype(np.int64)
    weights = true.reshape(runs, -1).astype(float)
    shares = np.full((runs, n_groups), np.nan)
    for run in range(runs):
        count = np.bincount(place[run], minlength=n_groups + 1)[:-1]
        hits = np.bincount(place[run], weights[run], minlength=n_groups + 1)[:-1]
        np.divide(hits, count, out=shares[run], where=count > 0)
    return shares


def _drawn(results: Reader, question: _Question, found: list[tuple[Variant, np.ndarray]], width: float) -> Figure:
    n_groups = max(shares.shape[1] for _, shares in found)
    filled = [np.pad(shares, ((0, 0), (0, n_groups - shares.shape[1])), constant_values=np.nan) for _, shares in found]
    means = np.stack([mean_and_std(shares)[0] for shares in filled])  # (variants, groups)
    stds = mean_and_std(filled[0])[1]
    have = np.isfinite(filled[0]).sum(0)
    shown, n_there = _order(means, error=question.error)
    names = names_of(results, "group", n_groups)
    best = found[0][0]
    rows = rows_of(
        [names[at] for at in shown], width=width, top=76 if width < (WIDE + NARROW) / 2 else 54, height=_ROW, right=78
    )
    _heading(rows.page, question, best, len(found) > 1, (len(shown), n_there), width, narrow=rows.narrow)
    for number, at in enumerate(shown):
        y = rows.middles[number]
        others = means[1:, at]
        look = {"ms": HOLLOW, "mfc": "none", "mec": COLOURS["third"], "mew": 1}
        rows.axes.plot(others[np.isfinite(others)], np.full(int(np.isfinite(others).sum()), y), "o", **look)
        mean, std = means[0, at], stds[at]
        if np.isfinite(std):
            ends = [max(mean - std, 0), min(mean + std, 100)]
            rows.axes.plot(ends, [y, y], color=COLOURS["first"], lw=2, solid_capstyle="butt")
        if np.isfinite(mean):
            rows.axes.plot([mean], [y], "o", ms=7, color=COLOURS["first"], mew=0)
        fewer = 0 < have[at] < len(filled[0])
        under = f"± {std:.1f}" if np.isfinite(std) else ""
        if fewer:
            under = f"{under}, {have[at]} of {len(filled[0])}".lstrip(", ")
        value = f"{mean:.1f} %" if np.isfinite(mean) else "none"
        value_at(rows, number, value, under, width=width, colour="second" if fewer else "muted")
    rows.axes.margins(x=0.03)
    rows.axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    return rows.figure


def _order(means: np.ndarray, *, error: bool) -> tuple[list[int], int]:
    """Groups from best to worst by the best variant, those that it lacks last; and how many there are.

    Of many, the best and the worst.
    """
    there = np.flatnonzero(np.isfinite(means).any(0))
    key = means[0, there] if error else -means[0, there]
    order = there[np.argsort(np.where(np.isfinite(key), key, np.inf), kind="stable")].tolist()
    if len(order) > _MOST:
        return order[: _MOST // 2] + order[-_MOST // 2 :], len(order)
    return order, len(order)


def _heading(
    page: Axes, question: _Question, best: Variant, others: bool, counts: tuple[int, int], width: float, *, narrow: bool
) -> None:
    words = question.words
    if counts[0] < counts[1]:
        words += f": of {counts[1]} groups the {_MOST // 2} best and the {_MOST // 2} worst"
    left = 6 if narrow else LEFT
    write(page, left, 10, fit(words, width - left, FONT * 1.15), va="center", weight="bold")
    name = fit(best.label, width - left - (190 if narrow else 310), 11)
    entries = [("range", "first", f"{name}, mean ± deviation")]
    more = [("hollow", "third", "other models")] if others else []
    legend(page, entries if narrow else entries + more, left=left, top=32)
    if narrow:
        legend(page, more, left=left, top=52)
