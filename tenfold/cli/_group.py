"""What all commands share: every error is one message and an exit code, and a reader that has gone away is no error."""

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

INTERRUPTED, TERMINATED = 130, 143  # 128 + the signal's number, as shells have it
_DEBUG = "TENFOLD_DEBUG"
_TYPED, _CHECK = "tenfold.typed", "tenfold.check"


class Terminated(KeyboardInterrupt):
    """SIGTERM: treated like Ctrl-C, with an exit code of its own."""


class Group(click.Group):
    """Commands with exit codes: 0 done, 1 failed, 2 the request was wrong, 130 interrupted, 143 terminated."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_TYPED] = list(args)
        for stream in (sys.stdout, sys.stderr):
            # A name that the terminal cannot show must not end a study of an hour.
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
    """The arguments after ``tenfold`` as they were typed."""
    return list(ctx.meta.get(_TYPED, []))


def check_stopped(ctx: click.Context) -> None:
    """Raise if a signal has asked to stop, even where a library has swallowed what it raised."""
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
        # The reader has gone (| head). What is left goes nowhere, and the work goes on: no study is lost to a pipe.
        stream = sys.stderr if err else sys.stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _unexpected(error: Exception) -> str:
    """A fault of ours, or of a user's module: the message for people, the traceback in a file."""
    head = f"Error: tenfold failed where it should not: {type(error).__name__}: {error}"
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
    """SIGINT and SIGTERM raise; the function given raises again what was swallowed.

    An exception out of a signal may come up inside a bare ``except`` of a library (copyreg has one, which every
    ``copy.deepcopy`` of a new class goes through), and be lost there. What trains for long asks now and then.
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
            if signal.getsignal(number) is not signal.SIG_IGN:  # ignored for a job in the background of a script
                # Not in the main thread: called from a program, whose signals are its own.
                with contextlib.suppress(ValueError):
                    before[number] = signal.signal(number, stop)
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
