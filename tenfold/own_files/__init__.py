"""Python files of the user's own: what a reference "FILE.py:NAME" names, and the files that it needs."""

from tenfold.own_files._folder import held as held
from tenfold.own_files._folder import import_own_file as import_own_file
from tenfold.own_files._folder import install as install
from tenfold.own_files._folder import own_file_of as own_file_of
from tenfold.own_files._folder import own_sources as own_sources
from tenfold.own_files._folder import snapshot as snapshot
from tenfold.own_files._live import NotWritable as NotWritable
from tenfold.own_files._live import live_sources as live_sources
from tenfold.own_files._reference import import_own as import_own
from tenfold.own_files._reference import own_path as own_path

__all__ = [
    "NotWritable",
    "held",
    "import_own",
    "import_own_file",
    "install",
    "live_sources",
    "own_file_of",
    "own_path",
    "own_sources",
    "snapshot",
]
