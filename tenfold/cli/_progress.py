"""Progress on stderr while a study runs: one live line per model, or plain lines if stderr is not a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from tenfold.cli._group import say

if TYPE_CHECKING:
    from tenfold.events import EpochDone, Event, ModelDone, ModelStarted
    from tenfold.metrics import Metric

__all__ = ["Progress", "progress"]


class Progress(Protocol):
    """Shows the events of a study. A context manager, because a live line must be removed at the end."""

    def __call__(self, event: Event) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


def progress(metric: Metric) -> Progress:
    """The live display on a terminal, plain lines elsewhere."""
    live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return _Live(metric) if live else _Plain(metric)


class _Plain:
    """A line when a model starts, one when it is done, and one every ``every_seconds`` in between."""

    def __init__(self, metric: Metric, *, every_seconds: float = 30.0, clock: Callable[[], float] = time.monotonic):
        self.metric, self.every_seconds, self.clock = metric, every_seconds, clock
        self.pace, self.said, self.epochs, self.unit = _Pace(clock), 0.0, 0, "epoch"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, event: Event) -> None:
        from tenfold.events import EpochDone, ModelDone, ModelStarted

        if isinstance(event, ModelStarted):
            self.pace, self.said, self.epochs = _Pace(self.clock), self.clock(), event.epochs
            self.unit = "fit" if event.plan.placement == "fit" else "epoch"
            say(_started(event))
        elif isinstance(event, EpochDone):
            left = self.pace.seconds_left(event.epoch, self.epochs)
            if self.clock() - self.said >= self.every_seconds and event.epoch < self.epochs:
                self.said = self.clock()
                say(_in_progress(event, self.unit, self.epochs, self.metric, left))
        elif isinstance(event, ModelDone):
            say(_done(event, self.metric))
        else:
            say(_note(event.model, event.text))


class _Live:
    """One live line for the model in training, with a fixed line for each finished model above it."""

    def __init__(self, metric: Metric) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        self.metric = metric
        self.console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        columns: list[Any] = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=12)]
        columns.append(TextColumn("{task.completed:.0f}/{task.total:.0f}", markup=False))
        columns += [
            TextColumn(f"{{task.fields[{field}]}}", markup=False) for field in ("score", "pace", "left", "placement")
        ]
        self.bars = Bars(*columns, console=self.console, transient=True)
        self.pace, self.bar, self.started = _Pace(time.monotonic), None, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def __call__(self, event: Event) -> None:
        from tenfold.events import EpochDone, ModelDone, ModelStarted

        if isinstance(event, ModelStarted):
            self._begin(event)
        elif isinstance(event, EpochDone):
            if self.bar is not None:
                left = self.pace.seconds_left(event.epoch, int(self.bars.tasks[0].total or 0))
                self.bars.update(
                    self.bar,
                    completed=event.epoch,
                    score=_score(event.scores, self.metric),
                    left="" if left is None else f"{_duration(left)} left",
                )
        elif isinstance(event, ModelDone):
            self._end()
            self.console.print(_done(event, self.metric))
        else:
            self.console.print(_note(event.model, event.text))

    def _begin(self, event: ModelStarted) -> None:
        self._end()
        self.pace = _Pace(time.monotonic)
        fastest = min(event.plan.milliseconds.values(), default=None)
        self.bar = self.bars.add_task(
            event.model if len(event.model) <= 26 else f"{event.model[:25]}…",
            total=event.epochs,
            score="",
            pace="" if fastest is None else f"{_milliseconds(fastest)} ms",
            left="",
            placement="fitting" if event.plan.placement == "fit" else event.plan.placement,
        )
        self.bars.start()

    def _end(self) -> None:
        if self.bar is not None:
            self.bars.remove_task(self.bar)
            self.bars.stop()
            self.bar = None


class _Pace:
    """Time left, estimated from the epochs seen here; epochs restored from a checkpoint took no time here."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock, self.first = clock, (0, 0.0)

    def seconds_left(self, epoch: int, epochs: int) -> float | None:
        """None before two epochs have been seen."""
        now = self.clock()
        if not self.first[0]:
            self.first = epoch, now
        first, since = self.first
        return None if epoch == first else (now - since) / (epoch - first) * (epochs - epoch)


def _started(event: ModelStarted) -> str:
    plan = event.plan
    times = ", ".join(f"{name} {_milliseconds(value)}" for name, value in plan.milliseconds.items())
    measured = f"; ms per run-step: {times}" if times else ""
    runs = f"{event.n_runs} run{'s' if event.n_runs > 1 else ''}"
    if plan.placement == "fit":
        return f"{event.model}: {runs} to fit ({plan.reason})"
    how = f"{plan.placement}, compiled" if plan.compiled else plan.placement
    return f"{event.model}: {runs}, {event.epochs} epochs, placement {how} ({plan.reason}{measured})"


def _in_progress(event: EpochDone, unit: str, epochs: int, metric: Metric, left: float | None) -> str:
    remaining = "" if left is None else f", about {_duration(left)} left"
    return f"{event.model}: {unit} {event.epoch} of {epochs}, {_score(event.scores, metric)}{remaining}"


def _done(event: ModelDone, metric: Metric) -> str:
    ending = "already in the record" if event.from_record else f"in {_duration(event.seconds)}"
    return f"{event.model}: {metric.label.lower()} {_score(event.scores, metric)}, {ending}"


def _note(model: str, text: str) -> str:
    return f"{model}: {text}" if model else text


def _score(scores: np.ndarray, metric: Metric) -> str:
    """Mean and standard deviation over the runs that have a score."""
    values = scores[np.isfinite(scores)]
    if not values.size:
        return "no score"
    scale, decimals = (100, 1) if metric.unit == "%" else (1, 3)
    std = f" +- {scale * values.std(ddof=1):.{decimals}f}" if values.size > 1 else ""
    return f"{scale * values.mean():.{decimals}f}{std} {metric.unit}".rstrip()


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def _duration(seconds: float) -> str:
    """Example: 4.2 s, 1 min 05 s, 2 h 03 min."""
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
