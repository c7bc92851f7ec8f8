"""One model of a study: its runs compared with the runs alone, and what was compared kept in the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tenfold.errors import attempt
from tenfold.events import Event, Message
from tenfold.execute import Plan, verify, verify_fit
from tenfold.record import Reader, Record
from tenfold.tasks import Task
from tenfold.train import Job
from tenfold.wording import certificate_sentence

__all__ = ["certify"]


def certify(record: Record, job: Job, task: Task, watch: Callable[[Event], None]) -> list[str]:
    """Compare every run of a model with the run alone; once, unless something was found.

    Returns:
        list: a sentence for each difference above its tolerance, or for what could not be compared.
    """
    certificates = record.meta("certificate") or {}
    recorded = certificates.get(job.model)
    if recorded and recorded.get("failures") == []:
        return []
    watch(Message("comparing every run with the run alone ...", job.model))
    failures: list[str] = []
    found: Mapping[str, Any] = attempt("a comparison", partial(_compare, record, job, task), {}, failures=failures)
    failures += found.get("failures", [])
    found = {**found, "failures": failures}
    record.save_meta("certificate", certificates | {job.model: found})
    for text in failures:
        record.event("not verified", text, job.model)
        watch(Message(f"not verified: {text}", job.model))
    if not failures:
        watch(Message(f"verified: {certificate_sentence(found)}", job.model))
    return [f"{job.model}: {text}" for text in failures]


def _compare(record: Record, job: Job, task: Task) -> Mapping[str, Any]:
    scores = _scores(record, job, task)
    if job.factory.is_estimator:
        return verify_fit(job, task, _of_runs(job, record.read_predictions), scores)
    return verify(job, task, _plan(record, job), _of_runs(job, record.read_weights), scores)


def _plan(record: Record, job: Job) -> Plan:
    """The recorded plan. That of runs which were added later is stretched over all: groups of at most its size."""
    recorded = record.plan(job.model)
    plan = Plan.from_json(recorded) if recorded else Plan("loop", "loop", 1, (tuple(range(len(job.runs))),))
    if sum(map(len, plan.groups)) == len(job.runs):
        return plan
    size, groups = max(map(len, plan.groups)), []
    for config in job.configs:
        at = [at for at, run in enumerate(job.runs) if run.config.index == config.index]
        groups += [tuple(at[start : start + size]) for start in range(0, len(at), size)]
    return replace(plan, groups=tuple(groups))


def _of_runs(job: Job, read: Callable[..., Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """Recorded arrays of each run of a job, by name. A file holds the runs of one config, in their order."""
    files = {config.index: read(job.model, variant=config.index) for config in job.configs}
    rows = dict.fromkeys(files, 0)
    found = []
    for run in job.runs:
        index = run.config.index
        found.append({name: array[rows[index]] for name, array in files[index].items()})
        rows[index] += 1
    return found


def _scores(record: Record, job: Job, task: Task) -> list[dict[str, float]]:
    """Recorded scores of each run of a job, by name; none of a run that diverged."""
    results = Reader(record.folder)
    names = {variant.index: variant.label for variant in results.variants if variant.model == job.model}
    recorded = {metric.name: results.scores(metric.name) for metric in task.spec.metrics}
    diverged = {
        (run.variant.index, run.repeat)
        for run in results.runs
        if run.variant.model == job.model and run.status == "diverged"
    }
    return [
        {
            metric: float(values[names[run.config.index]][results.repeats.index(run.repeat)])
            for metric, values in recorded.items()
            if names[run.config.index] in values
        }
        if (run.config.index, run.repeat) not in diverged
        else {}
        for run in job.runs
    ]
