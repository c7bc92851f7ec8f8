"""What all commands share: every error is one message and an exit code; a closed pipe is not an error."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import click

from tenfold.errors import TenfoldError

__all__ = ["Group", "check_stopped", "out", "say", "typed"]

INTERRUPTED, TERMINATED = 130, 143  # 128 + the number of the signal, as in shells
_DEBUG = "TENFOLD_DEBUG"
_TYPED, _CHECK = "tenfold.typed", "tenfold.check"


class Terminated(KeyboardInterrupt):
    """SIGTERM: treated like Ctrl-C, with a different exit code."""


class Group(click.Group):
    """Commands with exit codes: 0 done, 1 failed, 2 wrong request, 130 interrupted, 143 terminated."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_TYPED] = list(args)
        for stream in (sys.stdout, sys.stderr):
            # A name that the terminal cannot encode must not end a long study.
            with contextlib.suppress(AttributeError):
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _stop_signals() as check:
                ctx.meta[_CHECK] = check
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except TenfoldError as error:
            if os.environ.get(_DEBUG):
                say(traceback.format_exc())
            say(f"Error: {error}")
            ctx.exit(error.exit_code)
        except KeyboardInterrupt as stop:
            ctx.exit(TERMINATED if isinstance(stop, Terminated) else INTERRUPTED)
        except Exception as error:
            if os.environ.get(_DEBUG):
                raise
            say(_unexpected(error))
            ctx.exit(1)


def typed(ctx: click.Context) -> list[str]:
    """The arguments after ``tenfold``, as typed."""
    return list(ctx.meta.get(_TYPED, []))


def check_stopped(ctx: click.Context) -> None:
    """Raise if a signal has asked to stop, even if a library has caught the exception that the signal raised."""
    ctx.meta[_CHECK]()


def out(text: str = "") -> None:
    """A result, to stdout."""
    _write(text, err=False)


def say(text: str) -> None:
    """Anything else, to stderr."""
    _write(text, err=True)


def _write(text: str, *, err: bool) -> None:
    try:
        click.echo(text, err=err)
    except BrokenPipeError:
        # The reader has closed the pipe (| head). Further output is discarded and the study continues.
        stream = sys.stderr if err else sys.stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _unexpected(error: Exception) -> str:
    """An unexpected error, in tenfold or a user's module: a short message, with the traceback in a file."""
    head = f"Error: unexpected failure in tenfold: {type(error).__name__}: {error}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="tenfold-error-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError:
        return f"{head}\nSet {_DEBUG}=1 to see the traceback."
    return f"{head}\nThe traceback is in {file.name}; {_DEBUG}=1 shows it here."


@contextlib.contextmanager
def _stop_signals() -> Iterator[Callable[[], None]]:
    """SIGINT and SIGTERM raise; the function that is yielded raises again an exception that was caught elsewhere.

    The exception of a signal may be raised inside a bare ``except`` of a library and be lost (copyreg has one, which
    every ``copy.deepcopy`` of a new class passes through). So the training calls the function from time to time.
    """
    pending: list[KeyboardInterrupt] = []

    def stop(number: int, _: object) -> None:
        pending.append(Terminated() if number == signal.SIGTERM else KeyboardInterrupt())
        raise pending[-1]

    def check() -> None:
        if pending:
            raise pending[-1]

    before: dict[int, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # ignored in background jobs of a script
                # ValueError outside the main thread: a program has called us and handles its own signals.
                with contextlib.suppress(ValueError):
                    before[number] = signal.signal(number, stop)
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
