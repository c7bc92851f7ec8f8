"""One model of a study: trained or fitted, as far as the record does not hold it yet, and kept in the record."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, repeat

import numpy as np

from tenfold.errors import CheckpointError, RecordError, WorkerError, attempt, what_failed
from tenfold.events import EpochDone, Event, Message, ModelDone, ModelStarted
from tenfold.execute import Placement, Plan, Workers, choose, portable, run_job
from tenfold.record import EpochRow, Reader, Record, RunRow
from tenfold.tasks import Task
from tenfold.train import Epoch, Job, Outcome, RunId

__all__ = ["say_failures", "train_model"]

# Each worker process imports PyTorch, which takes about as long.
_WORKERS_FROM_SECONDS = 3.0


def train_model(
    record: Record,
    job: Job,
    task: Task,
    workers: Workers | None,
    placement: Placement,
    memory: int | None,
    watch: Callable[[Event], None],
) -> None:
    """Train what the record does not hold yet of one model."""
    primary = next(metric["name"] for metric in record.metrics if metric["primary"])
    ended = record.finished(job.model)
    missing = tuple(run for run in job.runs if (run.config.index, run.repeat) not in ended)
    if not missing:
        watch(ModelDone(job.model, _recorded_scores(record, job.model, primary), 0.0, from_record=True))
        return
    job = job.of_runs(missing)  # a study that was extended: the plan, groups and checkpoints are of these runs alone
    plan = _plan(record, job, task, workers, placement, memory, watch)
    started = time.monotonic()
    while True:
        parts = _parts(record, job, plan)
        training = _Training(record, job, plan, primary, watch)
        side_by_side = plan.placement == "processes" or (training.fitted and len(parts) > 1 and portable(parts[0]))
        events = workers.train(parts) if workers is not None and side_by_side else _in_turn(parts, task)
        failed: Exception | None = None
        try:
            while failed is None:
                try:
                    event = next(events, None)
                except Exception as error:
                    failed = error
                else:
                    if event is None:
                        break
                    training.add(*event)
        finally:
            training.flush()
        if failed is None:
            break
        if workers is not None:
            workers.stop()
        plan = _plan_after(failed, record, job, task, workers, plan, placement, memory, watch)
    _keep(record, job, plan, training.outcomes, watch)
    scores = _recorded_scores(record, job.model, primary)
    watch(ModelDone(job.model, scores, time.monotonic() - started))


# -- the plan ---------------------------------------------------------------------------------------------------------


def _plan(
    record: Record,
    job: Job,
    task: Task,
    workers: Workers | None,
    wanted: Placement,
    memory: int | None,
    watch: Callable[[Event], None],
) -> Plan:
    """The recorded plan, by which a study that goes on gives the same numbers, or a new one. A placement that is asked
    for is stronger than a plan that has failed, or by which nothing has been trained.
    """
    recorded = record.plan(job.model)
    stored = Plan.from_json(recorded) if recorded else None
    if stored is not None and sum(map(len, stored.groups)) != len(job.runs):
        stored = None  # of other runs
    if stored is not None and wanted not in ("auto", stored.placement) and stored.placement != "fit":
        if stored.failed or not record.has_checkpoints(job.model):
            new = choose(job, task, workers, wanted=wanted, memory=memory, threads=job.threads)
            if new.placement != stored.placement:
                text = f"placement '{new.placement}' was asked for in place of '{stored.placement}'"
                return _replaced(record, job, new, f"{text}, which had failed" if stored.failed else text, watch)
        else:
            text = f"goes on with placement '{stored.placement}', by which its training has begun"
            watch(Message(text, job.model))
    if stored is None:
        watch(Message("choosing how to train ...", job.model))
        plan = choose(
            job, task, workers, wanted=wanted, memory=memory, threads=job.threads, spare_seconds=_WORKERS_FROM_SECONDS
        )
        record.save_plan(job.model, plan.to_json())
        if plan.memory_groups:
            record.event("group split", plan.reason, job.model)
        return plan
    if stored.placement == "processes" and workers is None:
        # The record was started with worker processes; one thread reproduces the numbers.
        return replace(stored, threads=1)
    return stored


def _plan_after(
    failed: Exception,
    record: Record,
    job: Job,
    task: Task,
    workers: Workers | None,
    plan: Plan,
    wanted: Placement,
    memory: int | None,
    watch: Callable[[Event], None],
) -> Plan:
    """Another plan after training by one has failed, where a stack may be the reason; else what has failed is raised.

    The plan is marked in the record: another placement may be asked for, also where training has begun.
    """
    if isinstance(failed, MemoryError | RecordError | CheckpointError):
        raise failed
    record.save_plan(job.model, replace(plan, failed=what_failed(failed)).to_json())
    if plan.how != "vmap" or wanted != "auto" or isinstance(failed, WorkerError):
        raise failed
    new = choose(
        job,
        task,
        workers,
        wanted=wanted,
        memory=memory,
        threads=job.threads,
        failed=what_failed(failed).splitlines()[0],
    )
    text = (
        f"placement '{plan.placement}' failed ({what_failed(failed).splitlines()[0]}); begun anew in '{new.placement}'"
    )
    return _replaced(record, job, new, f"{text}, one run after the other", watch)


def _replaced(record: Record, job: Job, new: Plan, text: str, watch: Callable[[Event], None]) -> Plan:
    """The new plan, which is of other groups: checkpoints of the old one are of no use."""
    record.drop_checkpoints(job.model)
    record.save_plan(job.model, new.to_json())
    record.event("placement changed", text, job.model)
    watch(Message(text, job.model))
    return new


def _parts(record: Record, job: Job, plan: Plan) -> list[Job]:
    return [
        replace(
            job.of_runs(tuple(job.runs[at] for at in group)),
            how=plan.how,
            threads=plan.threads,
            compiled=plan.compiled,
            checkpoint=record.checkpoint_path(job.model, number),
        )
        for number, group in enumerate(plan.groups)
    ]


# -- training ---------------------------------------------------------------------------------------------------------


def _in_turn(parts: Sequence[Job], task: Task) -> Iterator[tuple[int, Epoch | Outcome]]:
    """Events of each part with its number. Chained in place of a generator: one frame less above every loss."""
    return chain.from_iterable(
        zip(repeat(number), run_job(part, task), strict=False) for number, part in enumerate(parts)
    )


class _Training:
    """Takes outcomes and epochs from the parts of a model; saves epochs now and then, and says how far all are."""

    save_seconds = 1.0

    def __init__(self, record: Record, job: Job, plan: Plan, primary: str, watch: Callable[[Event], None]) -> None:
        self.record, self.job, self.plan, self.primary, self.watch = record, job, plan, primary, watch
        self.fitted = plan.placement == "fit"  # one fit per run: fits are counted instead of epochs
        self.outcomes: dict[int, Outcome] = {}
        self.latest: dict[int, Epoch] = {}
        self.said = 0
        self.waiting: list[EpochRow] = []
        self.saved = time.monotonic()
        epochs = max(run.config.recipe.epochs for run in job.runs)
        watch(ModelStarted(job.model, plan, len(job.runs), len(job.runs) if self.fitted else epochs))

    def add(self, number: int, event: Epoch | Outcome) -> None:
        if isinstance(event, Epoch):
            self.add_epoch(number, event)
            return
        self.outcomes[number] = event
        if self.fitted:
            unknown = [math.nan]
            so_far = np.concatenate([outcome.scores.get(self.primary, unknown) for outcome in self.outcomes.values()])
            self.watch(EpochDone(self.job.model, len(so_far), so_far))

    def add_epoch(self, number: int, epoch: Epoch) -> None:
        runs = [self.job.runs[at] for at in self.plan.groups[number]]
        self.waiting += [
            (run.config.index, run.repeat, epoch.epoch, part, metric, value)
            for part, metrics in epoch.scores.items()
            for metric, values in metrics.items()
            for run, value in zip(runs, values, strict=True)
        ]
        self.latest[number] = epoch
        reached = min(epoch.epoch for epoch in self.latest.values())
        together = len(self.latest) == len(self.plan.groups) or self.plan.placement != "processes"
        if together and reached > self.said:
            unknown = [math.nan]  # a primary metric that does not add up over batches is known at the end only
            of_parts = [part.scores["test"].get(self.primary, unknown) for part in self.latest.values()]
            self.watch(EpochDone(self.job.model, epoch.epoch, np.concatenate(of_parts)))
            self.said = reached
        if time.monotonic() - self.saved > self.save_seconds:
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.record.save_epochs(self.job.model, self.waiting)
        self.waiting, self.saved = [], time.monotonic()


def _keep(
    record: Record, job: Job, plan: Plan, outcomes: Mapping[int, Outcome], watch: Callable[[Event], None]
) -> None:
    """Predictions, weights, preprocessing and scores of all runs of a model; the scores last, as they count."""
    where = {at: (outcomes[number], row) for number, group in enumerate(plan.groups) for row, at in enumerate(group)}
    failures = [text for number in range(len(plan.groups)) for text in outcomes[number].failures]
    _save_parameters(record, job, {run.config.index: where[at][0].n_parameters for at, run in enumerate(job.runs)})
    ended = record.finished(job.model)
    for index in (config.index for config in job.configs):
        at = [at for at, run in enumerate(job.runs) if run.config.index == index]
        before = sum(variant == index for variant, _ in ended)  # rows of the files that stay
        repeats = np.array([job.runs[i].repeat for i in at])
        for what, save in (
            ("predictions", record.save_predictions),
            ("clusters", record.save_clusters),
            ("weights", record.save_weights),
            ("preprocessing", record.save_preprocessing),
        ):
            arrays = _rows([where[i] for i in at], what, failures) | (
                {"repeat": repeats} if what in ("predictions", "clusters") else {}
            )
            keep = partial(save, job.model, arrays, variant=index, after=before)
            attempt(f"the file of {what}", keep, None, failures=failures)
    _pass_on_warnings(record, job, [outcomes[number] for number in range(len(plan.groups))], watch)
    known = {metric["name"] for metric in record.metrics}
    rows = []
    for at, run in enumerate(job.runs):
        row = _run_row(job, run, *where[at])
        failures += [
            f"metric '{name}' is not among those that the task names" for name in row.scores if name not in known
        ]
        rows.append(replace(row, scores={name: value for name, value in row.scores.items() if name in known}))
        if row.status == "diverged":
            label = f" ({run.config.label})" if run.config.label else ""
            text = f"repeat {run.repeat}{label}: {row.message}"
            record.event("diverged", text, job.model)
            watch(Message(f"diverged: {text}; the other runs go on", job.model))
    record.finish_runs(job.model, rows)
    record.drop_checkpoints(job.model)
    say_failures(record, failures, watch, job.model)


def _save_parameters(record: Record, job: Job, counts: Mapping[int, int | None]) -> None:
    """The number of parameters of each variant of a model, beside those of other models."""
    of_model = [counts[config.index] for config in job.configs]
    if None not in of_model:
        record.save_meta("parameters", (record.meta("parameters") or {}) | {job.model: of_model})


def say_failures(record: Record, failures: Sequence[str], watch: Callable[[Event], None], model: str = "") -> None:
    """What stands beside the scores and could not be made: into the record and to whoever watches, each text once."""
    for text in dict.fromkeys(failures):
        record.event("failed", text, model)
        watch(Message(f"warning: {text}; scores are kept", model))


def _rows(runs: Sequence[tuple[Outcome, int]], name: str, failures: list[str]) -> dict[str, np.ndarray]:
    """Arrays of an outcome, the rows of these runs: runs first. Those that one of the runs lacks are left out."""
    pieces: list[Mapping[str, np.ndarray]] = [getattr(outcome, name) for outcome, _ in runs]
    found: dict[str, np.ndarray | None] = {}
    for key in pieces[0]:
        if all(key in piece for piece in pieces):
            rows = [piece[key][row] for piece, (_, row) in zip(pieces, runs, strict=True)]
            found[key] = attempt(f"'{key}' of {name}", partial(np.stack, rows), None, failures=failures)
    return {key: array for key, array in found.items() if array is not None}


def _run_row(job: Job, run: RunId, outcome: Outcome, row: int) -> RunRow:
    return RunRow(
        variant=run.config.index,
        repeat=run.repeat,
        status=outcome.status[row],
        epochs=outcome.epochs[row],
        best_epoch=outcome.best_epoch[row],
        train_seconds=outcome.seconds / len(outcome.status),
        peak_bytes=outcome.peak_bytes,
        message=outcome.messages[row],
        scores={name: float(values[row]) for name, values in outcome.scores.items()},
    )


def _pass_on_warnings(record: Record, job: Job, outcomes: Sequence[Outcome], watch: Callable[[Event], None]) -> None:
    """What runs that ended well warned of, such as a solver that stopped early; each text once."""
    said = Counter(
        text
        for part in outcomes
        for text, status in zip(part.messages, part.status, strict=True)
        if text and status != "diverged"
    )
    for text, count in said.items():
        text = f"{text} ({count} of {len(job.runs)} runs)"
        record.event("warning", text, job.model)
        watch(Message(f"warning: {text}", job.model))


def _recorded_scores(record: Record, model: str, metric: str) -> np.ndarray:
    results = Reader(record.folder)
    scores = results.scores(metric)
    return np.concatenate([scores[variant.label] for variant in results.variants if variant.model == model])
