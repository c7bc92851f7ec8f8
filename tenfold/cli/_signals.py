"""Ctrl-C and its relatives: once, a command ends in good order; again, at once."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

__all__ = ["Stopped", "stop_signals"]

# Interrupted (Ctrl-C), terminated, hung up (the terminal was closed); Windows knows no SIGHUP.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
# One request may come as several signals: from timeout, which tells the process and its group, or from a held key.
_SAME_SECONDS = 1.0
_AGAIN = "\nInterrupted again: ended at once. What the record holds is kept; the same command goes on.\n"
_SHOW_CURSOR = "\x1b[?25h"  # the display of progress hides it


class Stopped(KeyboardInterrupt):
    """A signal that asks to stop.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number  # as in shells


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], None]]:
    """Within the block, the first signal to stop raises ``Stopped``, and one a second later ends the process.

    The exception of a signal may be raised inside a bare ``except`` of a library and be lost (copyreg has one, which
    every ``copy.deepcopy`` of a new class passes through). So the function that is yielded raises it again, and the
    training calls it from time to time.
    """
    pending: list[Stopped] = []
    first = 0.0

    def stop(number: int, _: object) -> None:
        nonlocal first
        if not pending:
            first = time.monotonic()
            pending.append(Stopped(number))
            raise pending[0]
        if time.monotonic() - first > _SAME_SECONDS:
            _end(128 + number)

    def check() -> None:
        if pending:
            raise pending[0]

    before: dict[int, Any] = {}
    try:
        for number in [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]:
            if signal.getsignal(number) is not signal.SIG_IGN:  # ignored in background jobs of a script, or by nohup
                # ValueError outside the main thread: a program has called us and handles its own signals.
                with contextlib.suppress(ValueError):
                    before[number] = signal.signal(number, stop)
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(code: int) -> NoReturn:
    """End without cleaning up, as ``kill -9`` does: the record is safe at every moment."""
    with contextlib.suppress(OSError):
        os.write(2, ((_SHOW_CURSOR if os.isatty(2) else "") + _AGAIN).encode())
    os._exit(code)
