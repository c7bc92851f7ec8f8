"""Processes that train jobs side by side, one thread each.

Not multiprocessing's own pools: those import the caller's main script again, so that a script without a ``__main__``
guard would start itself; and a forked child cannot use autograd once its parent has.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from types import TracebackType
from typing import Any

from tenfold.errors import TenfoldError, TrainingError, WorkerError
from tenfold.execute._run_job import run_job, time_steps
from tenfold.own_files import install, snapshot
from tenfold.tasks import Task
from tenfold.train import Epoch, Job, Outcome

__all__ = ["Workers", "portable"]

_PROGRAM = """
import sys
sys.path[:] = sys.argv[2:]
from tenfold.execute._workers import serve_at
serve_at(int(sys.argv[1]))
"""
_START_SECONDS = 120  # importing torch from a slow disk takes a while
_NOT_STARTED, _OTHER_WAYS = "a worker process did not start", "use --placement stack or loop"
_ENDED = (
    "a worker process ended (out of memory?). The record keeps what was finished: run again to go on, "
    "with --placement loop if it happens again."
)
# Where the C library is glibc: memory that a step frees is kept for the next one instead of given back page by page,
# and taken in huge pages. Measured without and with: a recurrent stack 2.3 and 1.25 ms a run-step, a convolutional one
# 5.5 and 5.2. (As GLIBC_TUNABLES; the MALLOC_ variables refuse thresholds above 32 MiB without a word.)
_MEMORY = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=34359738368"


def portable(value: Any) -> bool:
    """Whether another process can build the modules of a job, or a task of this class: not where the class lives in
    the main script or in a function.
    """
    try:
        data = pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return b"__main__" not in data  # pickled by name, and the worker's main script is another one


class Workers:
    """``count`` processes that hold a task and train jobs. Use as a context manager; they end with the process that
    made them.

    Args:
        task: sent to each once.
        count: how many.
    """

    def __init__(self, task: Task, count: int) -> None:
        self.count = count
        self._task = task
        self._processes: list[subprocess.Popen] = []
        self._connections: list[Connection] = []

    def __enter__(self) -> Workers:
        return self

    @property
    def running(self) -> bool:
        """Whether the processes have been started."""
        return bool(self._connections)

    def start(self) -> None:
        """Start the processes; done by the first call that needs them."""
        if self._connections:
            return
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        environment["GLIBC_TUNABLES"] = ":".join(filter(None, (os.environ.get("GLIBC_TUNABLES"), _MEMORY)))
        try:
            for _ in range(self.count):
                connection, process = _started(environment)
                self._connections.append(connection)
                self._processes.append(process)
            for connection, process in zip(self._connections, self._processes, strict=True):
                _expect_ready(connection, process)
                _ask(connection, snapshot())
                _ask(connection, self._task)
        except BaseException:
            self.stop()
            raise

    def time_steps(self, jobs: Sequence[Job]) -> float:
        """Time jobs side by side, one a worker; the slowest, in seconds a step."""
        self.start()
        for connection, job in zip(self._connections, jobs, strict=False):
            _ask(connection, ("time", job))
        # All answers before any error: one left in its pipe would be taken for the answer to the next question.
        answers = [_get_answer(connection) for connection, _ in zip(self._connections, jobs, strict=False)]
        return max(_opened(answer) for answer in answers)

    def train(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Epoch | Outcome]]:
        """Train jobs, as many at a time as there are workers. Yields (position of the job, what it measured)."""
        self.start()
        waiting = list(enumerate(jobs))
        busy: dict[Connection, int] = {}
        for connection in self._connections:
            if waiting:
                busy[connection] = _send(connection, waiting.pop(0))
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                event = _answer(connection)
                yield busy[connection], event
                if isinstance(event, Outcome):
                    del busy[connection]
                    if waiting:
                        busy[connection] = _send(connection, waiting.pop(0))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the processes, whatever they do; a later call starts others."""
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait()
        self._connections, self._processes = [], []


def _started(environment: Mapping[str, str]) -> tuple[Connection, subprocess.Popen]:
    """A worker process and our end of a pair of sockets, of which it has the other.

    A pair has no address: no path that may be too long (TMPDIR), no port, and nobody else can connect.
    """
    ours, theirs = Pipe()
    # The same search path, so that the worker finds what the caller's script imported.
    command = [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), *map(str, sys.path)]
    with theirs:  # closed here, so that the end of the process is the end of the connection
        try:
            # A session of its own: Ctrl-C goes to the parent, which decides.
            process = subprocess.Popen(
                command,
                env=environment,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        except OSError as error:
            ours.close()
            raise WorkerError(f"{_NOT_STARTED} ({error.strerror or error}); {_OTHER_WAYS}") from error
    return ours, process


def _expect_ready(connection: Connection, process: subprocess.Popen) -> None:
    """Wait for the first word of a worker; an error instead of waiting for ever where it died at its start."""
    try:
        if not connection.poll(_START_SECONDS):
            raise WorkerError(f"{_NOT_STARTED} within {_START_SECONDS} s; {_OTHER_WAYS}")
        _get(connection)
    except (EOFError, OSError):
        raise WorkerError(f"{_NOT_STARTED} (exit code {process.wait()}); {_OTHER_WAYS}") from None


def _put(connection: Connection, value: Any) -> None:
    # Plain pickle: Connection.send uses torch's own reductions, which pass tensors as open files of this process.
    connection.send_bytes(pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))


def _get(connection: Connection) -> Any:
    return pickle.loads(connection.recv_bytes())


def _ask(connection: Connection, question: Any) -> None:
    try:
        _put(connection, question)
    except OSError:
        raise WorkerError(_ENDED) from None


def _send(connection: Connection, numbered: tuple[int, Job]) -> int:
    _ask(connection, ("train", numbered[1]))
    return numbered[0]


def _get_answer(connection: Connection) -> tuple[str, Any]:
    try:
        return _get(connection)
    except (EOFError, OSError):
        return "known error", WorkerError(_ENDED)


def _answer(connection: Connection) -> Any:
    return _opened(_get_answer(connection))


def _opened(answer: tuple[str, Any]) -> Any:
    kind, value = answer
    if kind == "known error":
        raise value
    if kind == "error":
        # What happened first, then where: some readers have room for one line.
        raise TrainingError(f"a worker process failed: {value.strip().splitlines()[-1]}\n{value}")
    return value


def _serve(connection: Connection) -> None:
    """The life of a worker: a task, then jobs until the other side closes."""
    import torch

    torch.set_num_threads(1)
    install(_get(connection))  # first, since a task of the user's own is pickled by the name of its module
    task = _get(connection)
    while True:
        data = connection.recv_bytes()
        try:
            verb, job = pickle.loads(data)  # inside: it imports the job's module
            if verb == "time":
                _put(connection, ("time", time_steps(job, task)))
            else:
                for event in run_job(job, task):
                    _put(connection, ("event", event))
        except TenfoldError as error:
            _put(connection, ("known error", error))
        except (BrokenPipeError, ConnectionResetError):
            return
        except Exception:
            _put(connection, ("error", traceback.format_exc()))


def serve_at(descriptor: int) -> None:
    """What a worker process runs: serve its parent, until the parent is gone or has no more work.

    Args:
        descriptor: of this process's end of the pair of sockets.
    """
    with (
        Connection(descriptor) as connection,
        contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt),
    ):
        _put(connection, "ready")
        _serve(connection)
