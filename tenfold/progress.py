"""Progress of a study: a live line per model on a terminal or in a notebook, plain lines on stderr elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

if TYPE_CHECKING:
    from tenfold.events import EpochDone, Event, ModelDone, ModelStarted
    from tenfold.metrics import Metric

__all__ = ["Progress", "live", "progress"]


class Progress(Protocol):
    """Shows the events of a study. A context manager, because a live line must be removed at the end."""

    def __call__(self, event: Event) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


def live() -> bool:
    """Whether a line can be rewritten here: on a terminal, or in a notebook."""
    return _on_terminal() or _notebook() is not None


def progress(metric: Metric, *, say: Callable[[str], None] | None = None) -> Progress:
    """The live display on a terminal or in a notebook, plain lines elsewhere.

    Args:
        metric: whose scores are shown.
        say: writes a plain line; to stderr by default.
    """
    if _on_terminal():
        return _Live(metric)
    if (display := _notebook()) is not None:
        return _Notebook(metric, display)
    return _Plain(metric, say=say or _to_stderr)


def _on_terminal() -> bool:
    # A program without a console, such as pythonw, has no stderr.
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _notebook() -> Any:
    """IPython's module of displays inside a notebook; None elsewhere."""
    if "IPython" not in sys.modules:
        return None
    from IPython import display, get_ipython  # pyright: ignore[reportMissingImports]

    return display if hasattr(get_ipython(), "kernel") else None  # IPython in a terminal has no kernel


def _to_stderr(text: str) -> None:
    with contextlib.suppress(OSError, AttributeError):  # a closed pipe, or no stderr at all: the study goes on
        print(text, file=sys.stderr, flush=True)


class _Plain:
    """A line when a model starts, one when it is done, and one every ``every_seconds`` in between."""

    def __init__(
        self,
        metric: Metric,
        *,
        say: Callable[[str], None] = _to_stderr,
        every_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.metric, self.say, self.every_seconds, self.clock = metric, say, every_seconds, clock
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
            self.say(_started(event))
        elif isinstance(event, EpochDone):
            left = self.pace.seconds_left(event.epoch, self.epochs)
            if self.clock() - self.said >= self.every_seconds and event.epoch < self.epochs:
                self.said = self.clock()
                self.say(_in_progress(event, self.unit, self.epochs, self.metric, left))
        elif isinstance(event, ModelDone):
            self.say(_done(event, self.metric))
        else:
            self.say(_note(event.model, event.text))


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


class _Notebook:
    """One output of a notebook cell: a line for each finished model, and a bar for the one in training."""

    width = 24  # letters of the bar
    every_seconds = 0.2

    def __init__(self, metric: Metric, display: Any, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.metric, self.display, self.clock = metric, display, clock
        self.lines: list[str] = []
        self.pace, self.epochs, self.drawn, self.shown = _Pace(clock), 0, 0.0, False
        self.name = f"tenfold-{id(self)}-{time.time_ns()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._draw()

    def __call__(self, event: Event) -> None:
        from tenfold.events import EpochDone, ModelDone, ModelStarted

        if isinstance(event, ModelStarted):
            self.pace, self.epochs = _Pace(self.clock), event.epochs
            self._draw(f"{event.model}  {self._bar(0)}")
        elif isinstance(event, EpochDone):
            left = self.pace.seconds_left(event.epoch, self.epochs)
            if self.clock() - self.drawn >= self.every_seconds:
                ending = "" if left is None else f"  {_duration(left)} left"
                score = _score(event.scores, self.metric)
                self._draw(f"{event.model}  {self._bar(event.epoch)}  {score}{ending}")
        else:
            done = isinstance(event, ModelDone)
            self.lines.append(_done(event, self.metric) if done else _note(event.model, event.text))
            self._draw()

    def _bar(self, epoch: int) -> str:
        full = self.width * epoch // max(self.epochs, 1)
        return f"{'█' * full}{'░' * (self.width - full)} {epoch}/{self.epochs}"

    def _draw(self, last: str = "") -> None:
        self.drawn = self.clock()
        text = "\n".join([*self.lines, *([last] if last else [])])
        if text or self.shown:
            show = self.display.update_display if self.shown else self.display.display
            show({"text/plain": text}, raw=True, display_id=self.name)
            self.shown = True


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
