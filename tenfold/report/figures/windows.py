"""Windows of signals that were predicted as another class."""

from __future__ import annotations

from typing import NamedTuple

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
from tenfold.report.figures._numbers import Row, number
from tenfold.report.figures._predictions import labels_of, models_of
from tenfold.wording import significant

ARRAYS = (("windows", "length", "target", "prediction", "probability"),)

_MOST, _CHANNELS = 12, 9
_ABOVE, _BELOW, _LEFT, _BETWEEN = 40, 32, 42, 26  # pixels around the strips of a window
_TONES = {"x": "first", "y": "second", "z": "ink"}


class Windows(NamedTuple):
    """The windows to show, shape (windows, steps, channels); of each window its length in steps, its class, the class
    predicted and that class's probability, shape (windows,); labels; and the models that classified them."""

    windows: np.ndarray
    length: np.ndarray
    target: np.ndarray
    prediction: np.ndarray
    probability: np.ndarray
    class_labels: list[str]
    channel_labels: list[str]
    n_channels: int  # of the data; at most nine are shown
    models: list[str]


def collect(results: Reader) -> Windows | None:
    """The windows that the study saved to be shown; None where it saved none."""
    arrays = results.gallery()
    if arrays is None or not _complete(arrays):
        return None
    windows = arrays["windows"][:_MOST, :, :_CHANNELS].astype(np.float64)
    target, prediction = arrays["target"][:_MOST].astype(int), arrays["prediction"][:_MOST].astype(int)
    return Windows(
        windows,
        np.clip(arrays["length"][:_MOST], 1, windows.shape[1]).astype(int),
        target,
        prediction,
        arrays["probability"][:_MOST].astype(np.float64),
        labels_of(results, "class", int(max(target.max(), prediction.max())) + 1),
        labels_of(results, "channel", windows.shape[2]),
        arrays["windows"].shape[2],
        models_of(results, arrays.get("model")),
    )


def numbers(found: Windows) -> list[Row]:
    """One row per window, channel and step, up to the window's length; values in the units of the data."""
    rows: list[Row] = []
    for place, window in enumerate(found.windows):
        common: Row = {
            "window": place + 1,
            "true_label": found.class_labels[found.target[place]],
            "predicted_label": found.class_labels[found.prediction[place]],
            "probability": number(found.probability[place]),
        }
        for channel, label in enumerate(found.channel_labels):
            rows += [
                {**common, "channel": channel, "channel_label": label, "step": step, "value": number(value)}
                for step, value in enumerate(window[: found.length[place], channel])
            ]
    return rows


def draw(found: Windows, *, width: float = WIDE) -> Figure:
    """One panel per window, with one strip per group of channels."""
    windows = found.windows
    strips = strips_of(found.channel_labels)
    narrow = width < (WIDE + NARROW) / 2
    columns = 1 if narrow else 2
    each = (width - _BETWEEN * (columns - 1)) / columns
    high = {1: 100, 2: 66, 3: 56}.get(len(strips), 42)
    block = _ABOVE + high * len(strips) + _BELOW
    hidden = found.n_channels - len(found.channel_labels)
    top = 52 if any(len(strip) > 1 for _, strip in strips) or hidden else 26
    figure = new_figure(width, top + block * -(-len(windows) // columns))
    page = whole(figure)
    _heading(page, found, width, [strip for _, strip in strips])
    limits = [_limits(windows, found.length, list(strip.values())) for _, strip in strips]
    for place, (window, length) in enumerate(zip(windows, found.length, strict=True)):
        left, start = (place % columns) * (each + _BETWEEN), top + block * (place // columns)
        write(page, left, start + 12, _title(found, place, each), va="center")
        for level, ((stem, strip), limit) in enumerate(zip(strips, limits, strict=True)):
            box = (left + _LEFT, start + _ABOVE + level * high, each - _LEFT - 6, high - 16)
            axes = axes_at(figure, *box)
            _strip(axes, window[:length], strip, limit, window.shape[0])
            write(page, box[0], box[1] - 7, fit(stem, box[2], 9.5), colour="muted", size=9.5, va="center")
            if level == len(strips) - 1:
                axes.set_xticks([0, window.shape[0]], ["0", f"{window.shape[0]} steps"])
                for tick, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
                    tick.set_horizontalalignment(side)
    return figure


def _complete(arrays: dict[str, np.ndarray]) -> bool:
    """Whether all arrays are saved, in shapes that fit together."""
    (names,) = ARRAYS
    if not set(names) <= arrays.keys() or arrays["windows"].ndim != 3 or not arrays["windows"].size:
        return False
    flat = [arrays[name] for name in names[1:]]
    return all(values.shape == (len(arrays["windows"]),) for values in flat) and bool(
        (arrays["target"] >= 0).all() and (arrays["prediction"] >= 0).all()
    )


def strips_of(names: list[str]) -> list[tuple[str, dict[str, int]]]:
    """Channels that belong together: those whose names differ only in the last letter, x, y or z.

    Returns:
        In the order of the channels: the part that their names share, and the number of each channel by its letter.
        A channel that belongs to no other has its whole name, and the letter "".
    Example:
        >>> strips_of(["acc_x", "acc_y", "heart rate", "a_x + b_x", "a_y + b_y", "box"])
        [('acc', {'x': 0, 'y': 1}), ('heart rate', {'': 2}), ('a + b', {'x': 3, 'y': 4}), ('box', {'': 5})]
    """
    found: dict[str, dict[str, int]] = {}
    for place, name in enumerate(names):
        found.setdefault(_stem(name), {}).setdefault(name[-1:].lower(), place)
    shared = {stem for stem, letters in found.items() if stem and len(letters) > 1}
    strips: dict[str, dict[str, int]] = {}
    for place, name in enumerate(names):
        stem, letter = _stem(name), name[-1:].lower()
        if stem in shared and found[stem][letter] == place:
            strips.setdefault(stem, {})[letter] = place
        else:
            strips[f"{name}\0{place}"] = {"": place}  # two channels may have one name
    return [(stem.split("\0")[0], strip) for stem, strip in strips.items()]


def _stem(name: str) -> str:
    """The name without its axis, also of a sum of channels; "" where the name has no axis."""
    terms = name.split(" + ")
    if len({term[-1:].lower() for term in terms}) > 1 or name[-1:].lower() not in _TONES:
        return ""
    return " + ".join(term[:-1].rstrip(" _-.") for term in terms)


def _limits(windows: np.ndarray, lengths: np.ndarray, channels: list[int]) -> tuple[float, float]:
    """Common to all windows, so that a signal of small amplitude looks small."""
    values = np.concatenate([window[:n, channels].ravel() for window, n in zip(windows, lengths, strict=True)])
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
    axes.set_yticks(inside, [significant(value, 2) for value in inside])
    axes.tick_params(axis="y", labelsize=9)
    axes.axhline(low, color=COLOURS["line"], lw=1)
    axes.grid(axis="y", color=COLOURS["line"], lw=0.6)


def _heading(page: Axes, found: Windows, width: float, strips: list[dict[str, int]]) -> None:
    if found.models:
        write(page, 0, 10, fit("As classified by " + ", ".join(found.models), width), va="center")
    letters = sorted({letter for strip in strips for letter in strip if letter})
    legend(page, [("line", _TONES[letter], letter) for letter in letters], left=0, top=34)
    shown = len(found.channel_labels)
    if shown < found.n_channels:
        words = f"{shown} of {found.n_channels} channels"
        write(page, width, 34, words, colour="muted", size=SMALL, ha="right", va="center")


def _title(found: Windows, number: int, width: float) -> str:
    probability = found.probability[number]
    end = f", {100 * probability:.0f} %" if np.isfinite(probability) else ""
    actual, predicted = found.class_labels[found.target[number]], found.class_labels[found.prediction[number]]
    return taken_for(actual, predicted, end, width)
