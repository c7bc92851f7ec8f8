"""Where and how the runs of a model are trained: in a stack, in processes or in a loop, chosen by timing steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tenfold.errors import TenfoldError, TrainingError, what_failed
from tenfold.execute._cores import cores
from tenfold.execute._memory import bytes_available, bytes_per_run, groups
from tenfold.execute._plan import Placement, Plan
from tenfold.execute._run_job import time_steps, try_evaluation
from tenfold.execute._workers import Workers, portable
from tenfold.stack import How, signature
from tenfold.tasks import Task, is_built_in
from tenfold.train import Job, RunId, prepare

__all__ = ["choose"]

# Share of the free memory that a model may fill.
_MEMORY_SHARE = 0.6
# Compiling a step takes 5 to 25 s; it is tried where that is at most a few percent of the training left.
_COMPILE_FROM_SECONDS = 300.0
# Stacks larger than this are also timed in pieces of about this size, which may fit the processor's caches.
_PIECE = 5
# A candidate whose first step takes so many times the best one's is not timed further.
_HOPELESS = 4.0


@dataclass(frozen=True)
class _Candidate:
    """One way to train: where the runs go, how a process computes them, and with how many threads."""

    placement: Literal["stack", "processes", "loop"]
    how: How
    threads: int


@dataclass(frozen=True)
class _Probe:
    """What is the same for all candidates: the job with all runs of a model, and what limits its groups.

    Args:
        alike: positions of the runs that can share a stack.
        per_run: bytes that a run needs.
        memory: bytes that a model may fill.
    """

    job: Job
    task: Task
    workers: Workers | None
    alike: list[list[int]]
    per_run: int
    memory: int

    def parts(self, candidate: _Candidate) -> list[list[int]]:
        """Runs cut for the processes: each group of equal shapes, into as many parts as there are workers."""
        if candidate.placement != "processes" or self.workers is None:
            return self.alike
        count = self.workers.count
        return [group[at::count] for group in self.alike for at in range(count) if group[at::count]]

    def groups(self, candidate: _Candidate, largest: int | None = None) -> tuple[tuple[int, ...], ...]:
        """Positions of the runs trained together, as many as fit into memory, and no more than ``largest``."""
        if candidate.how == "loop":  # one run after the other: no more memory than one run needs
            return tuple(tuple(part) for part in self.parts(candidate))
        share = self.memory
        if candidate.placement == "processes" and self.workers is not None:
            share //= self.workers.count
        if largest is not None:
            share = min(share, largest * max(self.per_run, 1))
        cut: list[tuple[int, ...]] = []
        for part in self.parts(candidate):
            start = 0
            for size in groups(len(part), per_run=self.per_run, available=share):
                cut.append(tuple(part[start : start + size]))
                start += size
        return tuple(cut)

    def seconds(
        self, candidate: _Candidate, *, hopeless: float = math.inf, largest: int | None = None, compiled: bool = False
    ) -> float:
        """Seconds of wall time that one step of one run costs, from the first group (or the first of each worker)."""
        job = self.first(candidate, largest, compiled=compiled)
        cut = self.groups(candidate, largest)
        if candidate.placement == "processes":
            assert self.workers is not None
            together = cut[: self.workers.count]
            slowest = self.workers.time_steps([job.of_runs(_pick(self.job.runs, group)) for group in together])
            return slowest / sum(len(group) for group in together)
        return time_steps(job, self.task, hopeless=hopeless * len(cut[0])) / len(cut[0])

    def first(self, candidate: _Candidate, largest: int | None = None, *, compiled: bool = False) -> Job:
        """The job of the first group of runs that are trained together."""
        return replace(
            self.job,
            runs=_pick(self.job.runs, self.groups(candidate, largest)[0]),
            how=candidate.how,
            threads=candidate.threads,
            compiled=compiled or self.job.compiled,
        )


def choose(
    job: Job,
    task: Task,
    workers: Workers | None,
    *,
    wanted: Placement,
    memory: int | None = None,
    threads: int | None = None,
    spare_seconds: float = 0.0,
    failed: str = "",
) -> Plan:
    """A plan for all runs of ``job``.

    Args:
        job: with all runs of a model; ``how`` and ``threads`` are ignored.
        task: the study's.
        workers: processes for "processes"; None where there are none.
        wanted: "auto" times every candidate, another one decides where the runs go and times only how.
        memory: bytes that a model may fill; by default a share of what is free.
        threads: of a process that trains by itself; by default all cores.
        spare_seconds: workers that do not run yet are left out where all training takes less than so long without.
        failed: why training in a stack has failed, after which none is a candidate any more.
    Raises:
        TenfoldError: if no candidate works; the error of the module's own, where it has one.
    """
    if job.factory.is_estimator:
        return _to_fit(job, workers)
    memory = int(_MEMORY_SHARE * bytes_available(job.device)) if memory is None else memory
    alike = _alike(job, task)
    per_run = max(bytes_per_run(replace(job, how="loop", runs=(job.runs[group[0]],)), task) for group in alike)
    probe = _Probe(job, task, workers, alike, per_run, memory)
    several = workers is not None and job.device == "cpu" and len(job.runs) > 1 and portable(job)
    candidates = _candidates(wanted, several=several, threads=threads or cores())
    if failed:
        candidates = {name: candidate for name, candidate in candidates.items() if candidate.how == "loop"}
    times, failures = _timed(probe, candidates, wanted, spare_seconds)
    fastest = _fastest_that_evaluates(probe, candidates, times, failures) if wanted == "auto" else _fastest(times)
    candidate = candidates[fastest]
    largest = _faster_piece(probe, candidate, times, fastest)
    fastest = fastest if largest is None else "in pieces"
    compiled, compile_note = _whether_to_compile(probe, candidate, times, fastest, largest)
    sized = probe.groups(candidate, largest)
    memory_groups = largest is None and candidate.how == "vmap" and len(sized) > len(probe.parts(candidate))
    notes = [_why_placed(wanted, several, [failed, *failures] if failed else failures)]
    if largest is not None:
        notes.append(f"in stacks of {largest}, which are faster than larger ones here")
    if memory_groups:
        needed = f"{per_run / 2**20:.0f} MiB a run exceed {memory / 2**20:.0f} MiB"
        notes.append(f"split into {len(sized)} groups, since {needed}")
    if compile_note:
        notes.append(compile_note)
    if not is_built_in(task):
        notes.append(f"steps are not recorded and replayed: the task '{task.spec.kind}' is not one of tenfold's")
    return Plan(
        placement=candidate.placement,
        how=candidate.how,
        threads=candidate.threads,
        groups=sized,
        compiled=compiled,
        milliseconds={key: round(value * 1e3, 4) for key, value in times.items() if value},
        bytes_per_run=per_run,
        memory_groups=memory_groups,
        reason="; ".join(notes),
    )


# -- the steps of a choice --------------------------------------------------------------------------------------------


def _candidates(wanted: Placement, *, several: bool, threads: int) -> dict[str, _Candidate]:
    """The ways to train that are asked for, by name; with ``several``, also in processes."""
    every: dict[str, _Candidate] = {}
    if several:
        every["stacks in processes"] = _Candidate("processes", "vmap", 1)
        every["loops in processes"] = _Candidate("processes", "loop", 1)
    every |= {"stack": _Candidate("stack", "vmap", threads), "loop": _Candidate("loop", "loop", threads)}
    if wanted == "auto":
        return every
    chosen = {name: candidate for name, candidate in every.items() if candidate.placement == wanted}
    return chosen or {"stack": every["stack"]}


def _timed(
    probe: _Probe, candidates: Mapping[str, _Candidate], wanted: Placement, spare_seconds: float
) -> tuple[dict[str, float], list[str]]:
    """Seconds of each candidate that can train the module, and why the others cannot.

    A single candidate that was asked for is not timed: it has 0 seconds.
    """
    if len(candidates) == 1 and wanted != "auto":
        return dict.fromkeys(candidates, 0.0), []
    times: dict[str, float] = {}
    failures: list[Exception] = []
    spare = bool(spare_seconds) and wanted == "auto" and probe.workers is not None and not probe.workers.running
    # Without processes first, where it may turn out that none need to be started.
    for name in sorted(candidates, key=lambda name: spare and candidates[name].placement == "processes"):
        candidate = candidates[name]
        if spare and candidate.placement == "processes" and times:
            if _training_seconds(probe.job, probe.task, min(times.values())) < spare_seconds:
                break
        try:
            times[name] = probe.seconds(candidate, hopeless=_HOPELESS * min(times.values(), default=math.inf))
        except MemoryError:
            raise
        except Exception as error:  # this candidate cannot train the module; another may
            failures.append(error)
    if not times:
        raise _known(failures[0], probe.job)
    return times, [_first_line(error) for error in failures]


def _fastest(times: Mapping[str, float]) -> str:
    return min(times, key=times.__getitem__)


def _fastest_that_evaluates(
    probe: _Probe, candidates: Mapping[str, _Candidate], times: dict[str, float], failures: list[str]
) -> str:
    """The fastest candidate that can evaluate as well. Stacks that cannot go out of ``times`` into ``failures``."""
    while True:
        fastest = _fastest(times)
        candidate = candidates[fastest]
        if candidate.how == "loop":  # evaluated as alone, which was tried before
            return fastest
        try:
            try_evaluation(probe.first(candidate), probe.task)
        except MemoryError:
            raise
        except Exception as error:
            failures.append(f"in evaluation, {_first_line(error)}")
            for name in [name for name in times if candidates[name].how == candidate.how]:
                del times[name]
            if not times:
                raise _known(error, probe.job) from error
        else:
            return fastest


def _known(error: Exception, job: Job) -> TenfoldError:
    if isinstance(error, TenfoldError):
        return error
    known = TrainingError(f"{job.factory.name} failed in a step of training: {what_failed(error)}")
    known.__cause__ = error
    return known


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] if isinstance(error, TenfoldError) else what_failed(error)


def _faster_piece(probe: _Probe, candidate: _Candidate, times: dict[str, float], fastest: str) -> int | None:
    """Size of the pieces that a large stack is faster in; None where it is not. Adds its time to ``times``."""
    whole = max(map(len, probe.groups(candidate)))
    if candidate.how != "vmap" or whole <= _PIECE or probe.job.device != "cpu" or not times[fastest]:
        return None
    piece = -(-whole // -(-whole // _PIECE))
    times["in pieces"] = probe.seconds(candidate, largest=piece)
    return piece if times["in pieces"] < times[fastest] else None


def _whether_to_compile(
    probe: _Probe, candidate: _Candidate, times: dict[str, float], fastest: str, largest: int | None
) -> tuple[bool, str]:
    """Whether to compile, and why that failed, "" where it did not. Adds its time to ``times``."""
    if candidate.how != "vmap" or not _worth_compiling(probe.job, probe.task, times[fastest]):
        return False, ""
    try:
        times["compiled"] = probe.seconds(candidate, largest=largest, compiled=True)
    except Exception as error:  # no compiler, or one that fails: whatever it raises, there is a way without it
        return False, f"torch.compile failed: {str(error).splitlines()[0]}"
    return probe.job.recipe.compile == "always" or times["compiled"] < times[fastest], ""


def _why_placed(wanted: Placement, several: bool, failures: Sequence[str]) -> str:
    if wanted == "processes" and not several:
        return "'processes' needs several cores and runs, a CPU, module and task in files of their own; stacked"
    if wanted != "auto":
        return f"placement '{wanted}' was asked for"
    left_out = f"; left out: {'; '.join(dict.fromkeys(failures))}" if failures else ""
    return f"fastest of those timed{left_out}"


def _to_fit(job: Job, workers: Workers | None) -> Plan:
    """Each run by itself, on one thread; as many at a time as there are processes that can build it."""
    if workers is not None and len(job.runs) > 1 and portable(job):
        where = f"over {workers.count} processes"
    else:
        where = "one run after the other"
    return Plan("fit", "loop", 1, tuple((at,) for at in range(len(job.runs))), reason=f"one fit a run, {where}")


def _worth_compiling(job: Job, task: Task, seconds_per_step: float) -> bool:
    if job.recipe.compile != "auto":
        return job.recipe.compile == "always"
    return _training_seconds(job, task, seconds_per_step) > _COMPILE_FROM_SECONDS


def _training_seconds(job: Job, task: Task, seconds_per_step: float) -> float:
    """Time that training all runs takes at so much a step of one run, if all were as long as the longest."""
    longest = max(job.runs, key=lambda run: run.config.recipe.epochs)
    steps = prepare(replace(job, runs=(longest,), how="loop"), task).n_steps
    return seconds_per_step * steps * len(job.runs)


def _alike(job: Job, task: Task) -> list[list[int]]:
    """Positions of the runs that can share a stack: of one recipe, settings per run aside, and modules of one shape."""
    groups: dict[tuple, list[int]] = {}
    of_config: dict[int, tuple] = {}
    for at, run in enumerate(job.runs):
        if run.config.index not in of_config:
            module = job.factory.build(0, **run.config.options)
            of_config[run.config.index] = (run.config.alike, *signature(module).items())
        groups.setdefault(of_config[run.config.index], []).append(at)
    return list(groups.values())


def _pick(runs: Sequence[RunId], at: Sequence[int]) -> tuple[RunId, ...]:
    return tuple(runs[i] for i in at)
