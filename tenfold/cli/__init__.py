"""The command line: flags to the same public functions.

Results go to stdout, everything else to stderr. Nothing here imports torch before a command needs it, so that
``--help`` answers at once.
"""

from tenfold.cli._commands import main as main

__all__ = ["main"]
