"""Where and how the runs of a model are trained: in a stack, in processes or in a loop, chosen by timing steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from tenfold.errors import TenfoldError
from tenfold.execute._cores import cores
from tenfold.execute._memory import bytes_available, bytes_per_run, groups
from tenfold.execute._plan import Placement, Plan
from tenfold.execute._run_job import time_steps
from tenfold.execute._workers import Workers, portable
from tenfold.stack import How, signature
from tenfold.tasks import Task
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


def choose(job: Job, task: Task, workers: Workers | None, *, wanted: Placement, memory: int | None = None) -> Plan:
    """A plan for all runs of ``job``.

    Args:
        job: with all runs of a model; ``how`` and ``threads`` are ignored.
        task: the study's.
        workers: processes for "processes"; None where there are none.
        wanted: "auto" times every candidate, another one decides where the runs go and times only how.
        memory: bytes that a model may fill; by default a share of what is free.
    Raises:
        TenfoldError: if no candidate works; the error of the module's own, where it has one.
    """
    if job.factory.is_estimator:
        return _to_fit(job, workers)
    threads = cores()
    memory = int(_MEMORY_SHARE * bytes_available(job.device)) if memory is None else memory
    alike = _alike(job, task)
    per_run = max(bytes_per_run(replace(job, how="loop", runs=(job.runs[group[0]],)), task) for group in alike)
    several = workers is not None and job.device == "cpu" and len(job.runs) > 1 and portable(job)
    candidates: dict[str, tuple[Literal["stack", "processes", "loop"], How, int]] = {}
    if several:
        candidates |= {"stacks in processes": ("processes", "vmap", 1), "loops in processes": ("processes", "loop", 1)}
    candidates |= {"stack": ("stack", "vmap", threads), "loop": ("loop", "loop", threads)}
    if wanted != "auto":
        chosen = {name: value for name, value in candidates.items() if value[0] == wanted}
        candidates = chosen or {"stack": candidates["stack"]}
    times: dict[str, float] = {}
    failures: list[TenfoldError] = []
    compile_note = ""
    for name, (placement, how, n_threads) in candidates.items():
        if len(candidates) == 1 and wanted != "auto":
            times[name] = 0.0
            break
        try:
            hopeless = _HOPELESS * min(times.values(), default=math.inf)
            candidate = replace(job, how=how, threads=n_threads)
            times[name] = _time(candidate, task, placement, alike, per_run, memory, workers, hopeless)
        except TenfoldError as error:  # this candidate cannot train the module; another may
            failures.append(error)
    if not times:
        raise failures[0]
    name = min(times, key=lambda key: times[key])
    placement, how, n_threads = candidates[name]
    largest = None
    whole = max(map(len, _groups(placement, how, alike, per_run, memory, workers)))
    if how == "vmap" and whole > _PIECE and job.device == "cpu" and times[name]:
        piece = -(-whole // -(-whole // _PIECE))
        candidate = replace(job, how=how, threads=n_threads)
        times["in pieces"] = _time(candidate, task, placement, alike, per_run, memory, workers, math.inf, piece)
        if times["in pieces"] < times[name]:
            largest, name = piece, "in pieces"
    compiled = False
    if how == "vmap" and _worth_compiling(job, task, times[name]):
        candidate = replace(job, how=how, threads=n_threads, compiled=True)
        try:
            times["compiled"] = _time(candidate, task, placement, alike, per_run, memory, workers, math.inf, largest)
        except Exception as error:  # no compiler, or one that fails: whatever it raises, there is a way without it
            compile_note = f"; torch.compile failed: {str(error).splitlines()[0]}"
        else:
            compiled = job.recipe.compile == "always" or times["compiled"] < times[name]
    sized = _groups(placement, how, alike, per_run, memory, workers, largest)
    reason = f"placement '{wanted}' was asked for" if wanted != "auto" else "fastest of those timed"
    if wanted == "processes" and not several:
        reason = "'processes' needs several cores and runs, a CPU, module and task in files of their own; stacked"
    if wanted == "auto" and failures:
        reason += f"; left out: {str(failures[0]).splitlines()[0]}"
    memory_groups = False
    if largest is not None:
        reason += f"; in stacks of {largest}, which are faster than larger ones here"
    elif how == "vmap" and len(sized) > len(_parts(placement, alike, workers)):
        memory_groups = True
        reason += (
            f"; split into {len(sized)} groups, since {per_run / 2**20:.0f} MiB a run exceed {memory / 2**20:.0f} MiB"
        )
    own_loss = not type(task).__module__.startswith("tenfold.")
    not_recorded = (
        f"; steps are not recorded and replayed: the task '{task.spec.kind}' is not one of tenfold's"
        if own_loss
        else ""
    )
    return Plan(
        placement=placement,
        how=how,
        threads=n_threads,
        groups=sized,
        compiled=compiled,
        milliseconds={key: round(value * 1e3, 4) for key, value in times.items() if value},
        bytes_per_run=per_run,
        memory_groups=memory_groups,
        reason=reason + compile_note + not_recorded,
    )


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
    # One plan serves all groups of a sweep: the longest of them decides.
    longest = max(job.runs, key=lambda run: run.config.recipe.epochs)
    steps = prepare(replace(job, runs=(longest,), how="loop"), task).n_steps
    return seconds_per_step * steps * len(job.runs) > _COMPILE_FROM_SECONDS


def _alike(job: Job, task: Task) -> list[list[int]]:
    """Positions of the runs that can share a stack: of one recipe, settings per run aside, and modules of one shape."""
    groups: dict[tuple, list[int]] = {}
    of_config: dict[str, tuple] = {}
    for at, run in enumerate(job.runs):
        if run.config.label not in of_config:
            module = job.factory.build(0, **run.config.options)
            of_config[run.config.label] = (run.config.alike, *signature(module).items())
        groups.setdefault(of_config[run.config.label], []).append(at)
    return list(groups.values())


def _parts(placement: str, alike: list[list[int]], workers: Workers | None) -> list[list[int]]:
    """Runs cut for the processes: each group of equal shapes, into as many parts as there are workers."""
    if placement != "processes" or workers is None:
        return alike
    return [group[at :: workers.count] for group in alike for at in range(workers.count) if group[at :: workers.count]]


def _groups(
    placement: str,
    how: How,
    alike: list[list[int]],
    per_run: int,
    memory: int,
    workers: Workers | None,
    largest: int | None = None,
) -> tuple[tuple[int, ...], ...]:
    if how == "loop":  # one run after the other: no more memory than one run needs
        return tuple(tuple(part) for part in _parts(placement, alike, workers))
    share = memory // workers.count if placement == "processes" and workers is not None else memory
    if largest is not None:
        share = min(share, largest * max(per_run, 1))
    cut: list[tuple[int, ...]] = []
    for part in _parts(placement, alike, workers):
        start = 0
        for size in groups(len(part), per_run=per_run, available=share):
            cut.append(tuple(part[start : start + size]))
            start += size
    return tuple(cut)


def _time(
    job: Job,
    task: Task,
    placement: str,
    alike: list[list[int]],
    per_run: int,
    memory: int,
    workers: Workers | None,
    hopeless: float,
    largest: int | None = None,
) -> float:
    """Seconds of wall time that one step of one run costs, from the first group (or the first of each worker)."""
    cut = _groups(placement, job.how, alike, per_run, memory, workers, largest)
    if placement == "processes":
        assert workers is not None
        together = cut[: workers.count]
        slowest = workers.time_steps([job.of_runs(_pick(job.runs, group)) for group in together])
        return slowest / sum(len(group) for group in together)
    return time_steps(job.of_runs(_pick(job.runs, cut[0])), task, hopeless=hopeless * len(cut[0])) / len(cut[0])


def _pick(runs: Sequence[RunId], at: Sequence[int]) -> tuple[RunId, ...]:
    return tuple(runs[i] for i in at)
