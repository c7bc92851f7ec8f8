"""Processes that train jobs side by side, one thread each.

Not multiprocessing's own pools: those import the caller's main script again, so that a script without a ``__main__``
guard would start itself; and a forked child cannot use autograd once its parent has.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Client, Connection, Listener, wait
from types import TracebackType
from typing import Any

from tenfold.errors import TenfoldError, TrainingError, WorkerError
from tenfold.execute._run_job import run_job, time_steps
from tenfold.own_files import import_own_file, own_file_of
from tenfold.tasks import Task
from tenfold.train import Epoch, Job, Outcome

__all__ = ["Workers", "portable"]

_KEY = "TENFOLD_WORKER_KEY"
_PROGRAM = """
import sys
sys.path[:] = sys.argv[2:]
from tenfold.execute._workers import serve_at
serve_at(sys.argv[1])
"""
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

    def start(self) -> None:
        """Start the processes; done by the first call that needs them."""
        if self._connections:
            return
        key = secrets.token_bytes(32)
        with Listener(authkey=key) as listener:
            listener_address = listener.address
            environment = os.environ | {_KEY: key.hex(), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
            environment["GLIBC_TUNABLES"] = ":".join(filter(None, (os.environ.get("GLIBC_TUNABLES"), _MEMORY)))
            # The same search path, so that the worker finds what the caller's script imported.
            command = [sys.executable, "-c", _PROGRAM, str(listener_address), *map(str, sys.path)]
            # A session of their own: Ctrl-C goes to the parent, which decides.
            self._processes = [
                subprocess.Popen(command, env=environment, start_new_session=True, stdin=subprocess.DEVNULL)
                for _ in range(self.count)
            ]
            for _ in self._processes:
                self._connections.append(_accept(listener, self._processes))
        for connection in self._connections:
            _ask(connection, own_file_of(type(self._task)))
            _ask(connection, self._task)

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


def _accept(listener: Listener, processes: Sequence[subprocess.Popen]) -> Connection:
    """The next worker's connection; an error instead of waiting for ever where a process died at its start."""
    server = listener._listener._socket  # type: ignore[attr-defined]  # multiprocessing has no accept with a timeout
    server.settimeout(1.0)
    started = time.monotonic()
    while True:
        try:
            return listener.accept()  # type: ignore[return-value]
        except TimeoutError:
            ended = [process.returncode for process in processes if process.poll() is not None]
            if ended or time.monotonic() - started > 120:
                raise WorkerError(
                    f"a worker process did not start (exit code {ended[0] if ended else None}); "
                    "use --placement stack or loop"
                ) from None


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
    if own := _get(connection):
        import_own_file(own)  # a task of the user's own is pickled by the name of its module
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


def serve_at(address: str) -> None:
    """What a worker process runs: connect to its parent, serve until the parent is gone or has no more work."""
    key = bytes.fromhex(os.environ.pop(_KEY))
    with (
        Client(address, authkey=key) as connection,
        contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt),
    ):
        _serve(connection)  # type: ignore[arg-type]
