"""What all commands share: every error is one message and an exit code; a closed pipe is not an error."""

from __future__ import annotations

import os
import tempfile
import traceback
from pathlib import Path
from typing import Any

import click

from tenfold.cli._signals import Stopped, stop_signals
from tenfold.cli._streams import safe_streams
from tenfold.errors import RequestError, TenfoldError

__all__ = ["Group", "check_stopped", "out", "say", "typed"]

INTERRUPTED = 130  # 128 + the number of the signal, as in shells
_DEBUG = "TENFOLD_DEBUG"
_TYPED, _CHECK = "tenfold.typed", "tenfold.check"


class Group(click.Group):
    """Commands with exit codes: 0 done, 1 failed, 2 wrong request, 129 hung up, 130 interrupted, 143 terminated."""

    main = safe_streams()(click.Group.main)  # a decorator, so that tracebacks are no longer

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_TYPED] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with stop_signals() as check:
                ctx.meta[_CHECK] = check
                _expect_current_folder()
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except TenfoldError as error:
            if os.environ.get(_DEBUG):
                say(traceback.format_exc())
            say(f"Error: {error}")
            ctx.exit(error.exit_code)
        except KeyboardInterrupt as stop:
            ctx.exit(stop.exit_code if isinstance(stop, Stopped) else INTERRUPTED)
        except Exception as error:
            if os.environ.get(_DEBUG):
                raise
            say(_unexpected(error))
            ctx.exit(1)


def typed(ctx: click.Context) -> list[str]:
    """The arguments after ``tenfold``, as typed."""
    # As UTF-8 whatever the locale is; a byte of a file name that is none is shown by its number.
    return [os.fsencode(argument).decode("utf-8", "backslashreplace") for argument in ctx.meta.get(_TYPED, [])]


def check_stopped(ctx: click.Context) -> None:
    """Raise if a signal has asked to stop, even if a library has caught the exception that the signal raised."""
    ctx.meta[_CHECK]()


def out(text: str = "") -> None:
    """A result, to stdout."""
    click.echo(text)


def say(text: str) -> None:
    """Anything else, to stderr."""
    click.echo(text, err=True)


def _expect_current_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise RequestError(
            f"the current folder cannot be used: {error.strerror or error}. It was removed or its disk is gone: "
            "change to another folder (cd)"
        ) from error


def _unexpected(error: Exception) -> str:
    """An unexpected error, in tenfold, a user's module or the system: a short message, with the traceback in a file."""
    where = "the operating system refused" if isinstance(error, OSError) else "unexpected failure in tenfold"
    head = f"Error: {where}: {type(error).__name__}: {error}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="tenfold-error-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError:
        return f"{head}\nSet {_DEBUG}=1 to see the traceback."
    return f"{head}\nThe traceback is in {file.name}; {_DEBUG}=1 shows it here."
