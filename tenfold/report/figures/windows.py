"""Windows of signals that were taken for another class."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report.figures._canvas import (
    COLOURS,
    NARROW,
    SMALL,
    WIDE,
    axes_at,
    fit,
    legend,
    new_figure,
    whole,
    write,
)
from tenfold.report.figures._classes import taken_for
from tenfold.report.figures._predictions import SEQUENCES, names_of, readable

_MOST, _CHANNELS = 12, 9
_ABOVE, _BELOW, _LEFT, _BETWEEN = 40, 32, 42, 26  # pixels around the strips of a window
_TONES = {"x": "first", "y": "second", "z": "ink"}


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """A panel a window, with a strip for each group of channels; None where none were saved."""
    arrays = readable(results, results.gallery, SEQUENCES)
    if arrays is None or not _whole(arrays):
        return None
    windows = arrays["windows"][:_MOST, :, :_CHANNELS].astype(np.float64)
    n_channels = windows.shape[2]
    names = names_of(results, "channel", n_channels)
    strips = strips_of(names)
    narrow = width < (WIDE + NARROW) / 2
    columns = 1 if narrow else 2
    each = (width - _BETWEEN * (columns - 1)) / columns
    high = {1: 100, 2: 66, 3: 56}.get(len(strips), 42)
    block = _ABOVE + high * len(strips) + _BELOW
    hidden = arrays["windows"].shape[2] - n_channels
    top = 52 if any(len(strip) > 1 for _, strip in strips) or hidden else 26
    figure = new_figure(width, top + block * -(-len(windows) // columns))
    page = whole(figure)
    _heading(page, results, arrays, width, [strip for _, strip in strips], hidden)
    classes = names_of(results, "class", int(max(arrays["target"].max(), arrays["prediction"].max())) + 1)
    limits = [_limits(windows, arrays["length"], list(strip.values())) for _, strip in strips]
    for number, window in enumerate(windows):
        left, start = (number % columns) * (each + _BETWEEN), top + block * (number // columns)
        write(page, left, start + 12, _title(arrays, number, classes, each), va="center")
        length = int(np.clip(arrays["length"][number], 1, len(window)))
        for place, ((stem, strip), limit) in enumerate(zip(strips, limits, strict=True)):
            box = (left + _LEFT, start + _ABOVE + place * high, each - _LEFT - 6, high - 16)
            axes = axes_at(figure, *box)
            _strip(axes, window[:length], strip, limit, window.shape[0])
            write(page, box[0], box[1] - 7, fit(stem, box[2], 9.5), colour="muted", size=9.5, va="center")
            if place == len(strips) - 1:
                axes.set_xticks([0, window.shape[0]], ["0", f"{window.shape[0]} steps"])
                for tick, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
                    tick.set_horizontalalignment(side)
    return figure


def _whole(arrays: dict[str, np.ndarray]) -> bool:
    names = ("windows", "length", "target", "prediction", "probability")
    if not set(names) <= arrays.keys() or arrays["windows"].ndim != 3 or not arrays["windows"].size:
        return False
    flat = [arrays[name] for name in names[1:]]
    return all(values.shape == (len(arrays["windows"]),) for values in flat) and bool(
        (arrays["target"] >= 0).all() and (arrays["prediction"] >= 0).all()
    )


def strips_of(names: list[str]) -> list[tuple[str, dict[str, int]]]:
    """Channels that belong together: those whose names differ in the last letter alone, x, y or z.

    Returns:
        In the order of the channels: what their names share, and the place of each by its letter. A channel by itself
        has its whole name, and no letter.
    Example:
        >>> strips_of(["acc_x", "acc_y", "heart rate", "a_x + b_x", "a_y + b_y", "box"])
        [('acc', {'x': 0, 'y': 1}), ('heart rate', {'': 2}), ('a + b', {'x': 3, 'y': 4}), ('box', {'': 5})]
    """
    found: dict[str, dict[str, int]] = {}
    for place, name in enumerate(names):
        found.setdefault(_stem(name), {}).setdefault(name[-1:].lower(), place)
    shared = {stem for stem, its in found.items() if stem and len(its) > 1}
    strips: dict[str, dict[str, int]] = {}
    for place, name in enumerate(names):
        stem, letter = _stem(name), name[-1:].lower()
        if stem in shared and found[stem][letter] == place:
            strips.setdefault(stem, {})[letter] = place
        else:
            strips[f"{name}\0{place}"] = {"": place}  # two channels may have one name
    return [(stem.split("\0")[0], strip) for stem, strip in strips.items()]


def _stem(name: str) -> str:
    """The name without its axis, also that of a sum of channels; "" where it has none."""
    terms = name.split(" + ")
    if len({term[-1:].lower() for term in terms}) > 1 or name[-1:].lower() not in _TONES:
        return ""
    return " + ".join(term[:-1].rstrip(" _-.") for term in terms)


def _limits(windows: np.ndarray, lengths: np.ndarray, channels: list[int]) -> tuple[float, float]:
    """Common to all windows, so that a quiet one looks quiet."""
    values = np.concatenate([its[: max(int(n), 1), channels].ravel() for its, n in zip(windows, lengths, strict=False)])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or max(abs(low), 1.0) * 0.05
    return low - room, high + room


def _strip(axes: Axes, window: np.ndarray, strip: dict[str, int], limits: tuple[float, float], steps: int) -> None:
    for letter, channel in strip.items():
        tone = COLOURS[_TONES.get(letter, "first")]
        axes.plot(np.arange(len(window)), window[:, channel], color=tone, lw=1.2, marker="o" * (len(window) == 1))
    axes.set_xlim(0, steps)
    axes.set_ylim(*limits)
    axes.set_xticks([])
    low, high = limits
    inside = (low + 0.12 * (high - low), high - 0.12 * (high - low))
    axes.set_yticks(inside, [f"{value:.2g}" for value in inside])
    axes.tick_params(axis="y", labelsize=9)
    axes.axhline(low, color=COLOURS["line"], lw=1)
    axes.grid(axis="y", color=COLOURS["line"], lw=0.6)


def _heading(
    page: Axes, results: Reader, arrays: dict[str, np.ndarray], width: float, strips: list[dict[str, int]], hidden: int
) -> None:
    models = arrays.get("model")
    known = range(len(results.models))
    names = [] if models is None else [results.models[at] for at in np.unique(models).tolist() if at in known]
    if names:
        write(page, 0, 10, fit("As classified by " + ", ".join(names), width), va="center")
    letters = sorted({letter for strip in strips for letter in strip if letter})
    legend(page, [("line", _TONES[letter], letter) for letter in letters], left=0, top=34)
    if hidden:
        words = f"{_CHANNELS} of {_CHANNELS + hidden} channels"
        write(page, width, 34, words, colour="muted", size=SMALL, ha="right", va="center")


def _title(arrays: dict[str, np.ndarray], number: int, classes: list[str], width: float) -> str:
    probability = float(arrays["probability"][number])
    end = f", {100 * probability:.0f} %" if np.isfinite(probability) else ""
    actual, said = (classes[int(arrays[name][number])] for name in ("target", "prediction"))
    return taken_for(actual, said, end, width)
