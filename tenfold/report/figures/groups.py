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
from tenfold.report.figures._numbers import Row, columns_of, number
from tenfold.report.figures._predictions import labels_of, sound_runs
from tenfold.report.figures._rows import LEFT, rows_of, value_at

_MOST = 40
_ROW = 32


class _Question(NamedTuple):
    """What is asked of each group, and the arrays that answer it."""

    words: str
    group: str
    answer: str  # an array of this name, in which ...
    right: str  # ... what equals the array of this name is right; "" where 0 is right
    error: bool  # whether the share of wrong answers is shown, not of right ones

    @property
    def arrays(self) -> tuple[str, ...]:
        return (self.group, self.answer, *([self.right] if self.right else []))


_QUESTIONS = (
    _Question("Accuracy in each group", "group", "prediction", "target", error=False),
    _Question("Error in the published episodes", "episode_group", "episode_place", "", error=True),
    _Question("Error in the query sets", "group", "place", "", error=True),
)
ARRAYS = tuple(question.arrays for question in _QUESTIONS)


class Groups(NamedTuple):
    """Shares in percent of the groups shown, in the order of the figure.

    ``mean`` and ``std`` have shape (variants, groups), best variant first; ``runs`` is the number of runs that have the
    group, same shape, and ``n_runs`` that of all runs of each variant. ``n_groups`` counts all groups.
    """

    question: _Question
    variants: list[Variant]
    labels: list[str]
    mean: np.ndarray
    std: np.ndarray
    runs: np.ndarray
    n_runs: list[int]
    n_groups: int


def collect(results: Reader) -> Groups | None:
    """The groups by the first question that the record answers; None where it has no groups."""
    for question in _QUESTIONS:
        found = list(islice(_answers(results, question), MOST_PANELS))
        if found:
            return _of_first_protocol(results, question, found)
    return None


def numbers(groups: Groups) -> list[Row]:
    """One row per variant and group, without groups that the variant lacks."""
    rows: list[Row] = []
    for place, variant in enumerate(groups.variants):
        for column, label in enumerate(groups.labels):
            if groups.runs[place, column]:
                rows.append(
                    {
                        **columns_of(variant), "what": groups.question.words, "group": label,
                        "mean_percent": number(groups.mean[place, column]),
                        "deviation_percent": number(groups.std[place, column]),
                        "runs": int(groups.runs[place, column]),
                    }
                )  # fmt: skip
    return rows


def draw(groups: Groups, *, width: float = WIDE) -> Figure:
    """One row per group, in the order of the best variant's scores."""
    top = 76 if width < (WIDE + NARROW) / 2 else 54
    rows = rows_of(groups.labels, width=width, top=top, height=_ROW, right=78)
    _heading(rows.page, groups, width, narrow=rows.narrow)
    n_runs = groups.n_runs[0]
    for place, y in enumerate(rows.middles):
        others = groups.mean[1:, place]
        others = others[np.isfinite(others)]
        look = {"ms": HOLLOW, "mfc": "none", "mec": COLOURS["third"], "mew": 1}
        rows.axes.plot(others, np.full(len(others), y), "o", **look)
        mean, std, runs = groups.mean[0, place], groups.std[0, place], groups.runs[0, place]
        if np.isfinite(std):
            ends = [max(mean - std, 0), min(mean + std, 100)]
            rows.axes.plot(ends, [y, y], color=COLOURS["first"], lw=2, solid_capstyle="butt")
        if np.isfinite(mean):
            rows.axes.plot([mean], [y], "o", ms=7, color=COLOURS["first"], mew=0)
        fewer = 0 < runs < n_runs
        under = f"± {std:.1f}" if np.isfinite(std) else ""
        if fewer:
            under = f"{under}, {runs} of {n_runs}".lstrip(", ")
        value = f"{mean:.1f} %" if np.isfinite(mean) else "none"
        value_at(rows, place, value, under, width=width, colour="second" if fewer else "muted")
    rows.axes.margins(x=0.03)
    rows.axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    return rows.figure


def _answers(results: Reader, question: _Question) -> Iterator[tuple[Variant, np.ndarray]]:
    """Variants, best first, each with the share of each group in percent: (runs, groups), NaN where a run lacks it."""
    for variant, arrays in sound_runs(results, *question.arrays):
        group, answer = arrays[question.group], arrays[question.answer]
        right = arrays[question.right] if question.right else np.zeros_like(answer)
        if group.ndim < 2 or not group.shape == answer.shape == right.shape or group.dtype.kind not in "iu":
            continue
        shares = group_shares((answer == right) != question.error, np.where(right >= 0, group, -1))
        if np.isfinite(shares).any():
            yield variant, 100 * shares


def _of_first_protocol(results: Reader, question: _Question, found: list[tuple[Variant, np.ndarray]]) -> Groups:
    # Under another protocol other groups are tested, in other ways.
    found = [entry for entry in found if entry[0].protocol == found[0][0].protocol]
    n_groups = max(shares.shape[1] for _, shares in found)
    filled = [np.pad(shares, ((0, 0), (0, n_groups - shares.shape[1])), constant_values=np.nan) for _, shares in found]
    mean, std = (np.stack(values) for values in zip(*map(mean_and_std, filled), strict=True))  # (variants, groups)
    shown, n_there = _order(mean, error=question.error)
    labels = labels_of(results, "group", n_groups)
    return Groups(
        question=question,
        variants=[variant for variant, _ in found],
        labels=[labels[group] for group in shown],
        mean=mean[:, shown],
        std=std[:, shown],
        runs=np.stack([np.isfinite(shares).sum(0) for shares in filled])[:, shown],
        n_runs=[len(shares) for shares in filled],
        n_groups=n_there,
    )


def group_shares(true: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The share of each group for which something is true.

    Args:
        true: bool, shape (runs, ...).
        group: number of the group, same shape; negative numbers are not counted.
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


def _order(means: np.ndarray, *, error: bool) -> tuple[list[int], int]:
    """The groups to show, from best to worst by the best variant, those that it lacks last; and the number of groups.

    Of many groups, the best and the worst are shown.
    """
    scored = np.flatnonzero(np.isfinite(means).any(0))
    key = means[0, scored] if error else -means[0, scored]
    order = scored[np.argsort(np.where(np.isfinite(key), key, np.inf), kind="stable")].tolist()
    if len(order) > _MOST:
        return order[: _MOST // 2] + order[-_MOST // 2 :], len(order)
    return order, len(order)


def _heading(page: Axes, groups: Groups, width: float, *, narrow: bool) -> None:
    words = groups.question.words
    if len(groups.labels) < groups.n_groups:
        words += f": of {groups.n_groups} groups the {_MOST // 2} best and the {_MOST // 2} worst"
    left = 6 if narrow else LEFT
    write(page, left, 10, fit(words, width - left, FONT * 1.15), va="center", weight="bold")
    name = fit(groups.variants[0].label, width - left - (190 if narrow else 310), 11)
    entries = [("range", "first", f"{name}, mean ± deviation")]
    more = [("hollow", "third", "other models")] if len(groups.variants) > 1 else []
    legend(page, entries if narrow else entries + more, left=left, top=32)
    if narrow:
        legend(page, more, left=left, top=52)
