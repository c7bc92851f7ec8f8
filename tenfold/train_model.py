"""One model of a study: trained or fitted, as far as the record does not hold it yet, and kept in the record."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, repeat

import numpy as np

from tenfold.events import EpochDone, Event, Message, ModelDone, ModelStarted
from tenfold.execute import Placement, Plan, Workers, choose, portable, run_job, verify, verify_fit
from tenfold.record import EpochRow, Reader, Record, RunRow
from tenfold.tasks import Task
from tenfold.train import Epoch, Job, Outcome, RunId

__all__ = ["certify", "train_model"]


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
    if {(run.config.index, run.repeat) for run in job.runs} <= record.finished(job.model):
        watch(ModelDone(job.model, _recorded_scores(record, job.model, primary), 0.0, from_record=True))
        return
    stored = record.plan(job.model)
    plan = Plan.from_json(stored) if stored else choose(job, task, workers, wanted=placement, memory=memory)
    if plan.placement == "processes" and workers is None:
        # The record was started with worker processes; one thread reproduces the numbers.
        plan = replace(plan, threads=1)
    if not stored:
        record.save_plan(job.model, plan.to_json())
        if plan.memory_groups:
            record.event("group split", plan.reason, job.model)
    fitted = plan.placement == "fit"  # one fit per run: fits are counted instead of epochs
    epochs = max(run.config.recipe.epochs for run in job.runs)
    watch(ModelStarted(job.model, plan, len(job.runs), len(job.runs) if fitted else epochs))
    started = time.monotonic()
    outcomes: dict[int, Outcome] = {}
    curves = _Curves(record, job, plan, primary, watch)
    parts = [
        replace(
            job.of_runs(tuple(job.runs[at] for at in group)),
            how=plan.how,
            threads=plan.threads,
            compiled=plan.compiled,
            checkpoint=record.checkpoint_path(job.model, number),
        )
        for number, group in enumerate(plan.groups)
    ]
    side_by_side = plan.placement == "processes" or (fitted and len(parts) > 1 and portable(parts[0]))
    events = workers.train(parts) if workers is not None and side_by_side else _in_turn(parts, task)
    try:
        for number, event in events:
            if isinstance(event, Outcome):
                outcomes[number] = event
                if fitted:
                    so_far = np.concatenate([outcome.scores[primary] for outcome in outcomes.values()])
                    watch(EpochDone(job.model, len(so_far), so_far))
            else:
                curves.add(number, event)
    finally:
        curves.flush()
    _keep(record, job, plan, outcomes, watch)
    scores = _recorded_scores(record, job.model, primary)
    watch(ModelDone(job.model, scores, time.monotonic() - started))


def _in_turn(parts: Sequence[Job], task: Task) -> Iterator[tuple[int, Epoch | Outcome]]:
    """Events of each part with its number. Chained in place of a generator: one frame less above every loss."""
    return chain.from_iterable(
        zip(repeat(number), run_job(part, task), strict=False) for number, part in enumerate(parts)
    )


class _Curves:
    """Takes epochs from the parts of a model; saves them now and then, and says how far all of them are."""

    save_seconds = 1.0

    def __init__(self, record: Record, job: Job, plan: Plan, primary: str, watch: Callable[[Event], None]) -> None:
        self.record, self.job, self.plan, self.primary, self.watch = record, job, plan, primary, watch
        self.latest: dict[int, Epoch] = {}
        self.said = 0
        self.waiting: list[EpochRow] = []
        self.saved = time.monotonic()

    def add(self, number: int, epoch: Epoch) -> None:
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
    for config in job.configs:
        index = config.index
        runs = [where[at] for at, run in enumerate(job.runs) if run.config.index == index]
        repeats = np.array([run.repeat for run in job.runs if run.config.index == index])
        record.save_predictions(job.model, _rows(runs, "predictions") | {"repeat": repeats}, variant=index)
        record.save_weights(job.model, _rows(runs, "weights"), variant=index)
        record.save_preprocessing(job.model, _rows(runs, "preprocessing"), variant=index)
    _pass_on_warnings(record, job, [outcomes[number] for number in range(len(plan.groups))], watch)
    rows = []
    for at, run in enumerate(job.runs):
        rows.append(_run_row(job, run, *where[at]))
        if rows[-1].status == "diverged":
            label = f" ({run.config.label})" if run.config.label else ""
            text = f"repeat {run.repeat}{label}: {rows[-1].message}"
            record.event("diverged", text, job.model)
            watch(Message(f"diverged: {text}; the other runs go on", job.model))
    record.finish_runs(job.model, rows)
    record.drop_checkpoints(job.model)


def _rows(runs: Sequence[tuple[Outcome, int]], name: str) -> dict[str, np.ndarray]:
    """Arrays of an outcome, the rows of these runs: runs first."""
    pieces: list[Mapping[str, np.ndarray]] = [getattr(outcome, name) for outcome, _ in runs]
    return {key: np.stack([piece[key][row] for piece, (_, row) in zip(pieces, runs, strict=True)]) for key in pieces[0]}


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


def certify(record: Record, job: Job, task: Task, watch: Callable[[Event], None]) -> None:
    """Retrain (or fit again) the first run of a model alone and record the largest difference; once for each model."""
    certificates = record.meta("certificate") or {}
    if job.model in certificates:
        return
    results = Reader(record.folder)
    first = next(variant for variant in results.variants if variant.model == job.model)
    recorded = {metric.name: results.scores(metric.name) for metric in task.spec.metrics}
    scores = {name: float(values[first.label][0]) for name, values in recorded.items() if first.label in values}
    if job.factory.is_estimator:
        found = verify_fit(job, task, record.read_predictions(job.model), scores)
        text = f"no prediction is further than {found['predictions']:.1e} from the run fitted again, alone"
    else:
        plan = record.plan(job.model)
        assert plan is not None
        found = verify(job, task, Plan.from_json(plan), record.read_weights(job.model), scores)
        apart, steps = found["weights_float64"], found["steps_float64"]
        text = f"no weight is further than {apart:.1e} from the run alone (float64, {steps} steps)"
    record.save_meta("certificate", certificates | {job.model: found})
    watch(Message(f"verified: {text}", job.model))
