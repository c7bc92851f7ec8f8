"""The idea in one place: same data, same budget, R runs of each model, differences, verdict."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tenfold import data
from tenfold.environment import describe_environment
from tenfold.errors import RequestError, StudyError, TenfoldError
from tenfold.models import ModuleSource
from tenfold.results import Record, Results, RunRow
from tenfold.settings import ModelSettings, Study, to_toml
from tenfold.tasks import TASKS, Task
from tenfold.train import Epoch, Job, Outcome, Placement, Plan, RunId, Workers, choose, cores, train, try_module, verify

__all__ = ["EpochDone", "Event", "ModelDone", "ModelStarted", "Note", "run"]


@dataclass(frozen=True)
class ModelStarted:
    """A model's placement is chosen and its training begins."""

    model: str
    plan: Plan
    n_runs: int
    epochs: int


@dataclass(frozen=True)
class EpochDone:
    """All runs of a model have this epoch behind them; ``scores`` are of the primary metric on the test part, one a run."""

    model: str
    epoch: int
    scores: np.ndarray


@dataclass(frozen=True)
class ModelDone:
    """A model is in the record. ``scores``: final scores of the primary metric, NaN where a run diverged."""

    model: str
    scores: np.ndarray
    seconds: float
    from_record: bool = False


@dataclass(frozen=True)
class Note:
    """Something worth saying while a study runs."""

    text: str
    model: str = ""


Event = ModelStarted | EpochDone | ModelDone | Note


def run(
    study: Study,
    *,
    out: str | Path | None = None,
    repeats: int | None = None,
    seed: int | None = None,
    quick: bool = False,
    placement: Placement = "auto",
    device: str = "auto",
    verify: bool = False,
    memory_gib: float | None = None,
    command: str = "",
    watch: Callable[[Event], None] = lambda event: None,
) -> Results:
    """Train every repeat of every model of ``study`` and return what can be said of their differences.

    Args:
        study: from ``load_study`` or ``parse_study``.
        out: folder of the record, by default ``tenfold-runs/NAME``. An unfinished record of the same study goes on where it stopped.
        repeats, seed: instead of the study's own.
        quick: the study cut to a few minutes, as its file says; marked as such.
        placement: "auto" times the candidates for every model.
        device: "auto", "cpu" or "cuda".
        verify: retrain one run of each model alone and keep the largest difference in the record.
        memory_gib: memory that a model may fill; by default a share of what is free.
        command: what the user typed, for the record.
        watch: called with what happens, for progress.
    Raises:
        RequestError: if the study or an argument is wrong; nothing is trained then.
        RecordError: if the folder is in use, of another study, or cannot be written.
        TrainingError: if training cannot go on; the record stays resumable.
    """
    study = quick_study(study) if quick else study
    study = replace(
        study, repeats=study.repeats if repeats is None else repeats, seed=study.seed if seed is None else seed
    )
    if study.repeats < 1:
        raise RequestError(f"repeats: expected a whole number from 1, got {study.repeats}")
    if memory_gib is not None and memory_gib <= 0:
        raise RequestError(f"memory: expected a number of GiB above 0, got {memory_gib}")
    device = _device(device)
    task = load_task(study)
    jobs = {model.name: _job(study, model, device) for model in study.models}
    _try_modules(study, jobs, task)
    folder = record_folder(study, out)
    memory = None if memory_gib is None else int(memory_gib * 2**30)
    for text in task.notes:
        watch(Note(text))
    with _open_record(folder, study, task, device, command) as record, _workers(task, placement, device) as workers:
        if record.status == "finished":
            watch(Note(f"{folder} is finished: nothing to train. Choose another folder to run it again."))
        for model in study.models:
            _run_model(record, jobs[model.name], task, workers, placement, memory, watch)
            if verify:
                _certify(record, jobs[model.name], task, watch)
        if record.status != "finished":
            predictions = {model.name: record.read_predictions(model.name) for model in study.models}
            record.save_showcase(task.showcase(predictions, seed=study.seed))
            record.finish()
    return Results(folder)


def quick_study(study: Study) -> Study:
    """The study as its own ``[quick]`` cuts it."""
    if not study.quick:
        raise RequestError(
            f"study '{study.name}' has no [quick] part; say there which repeats, epochs, train and test are quick"
        )
    return study.quickened()


def record_folder(study: Study, out: str | Path | None = None) -> Path:
    """Where the record of a study goes: ``out``, by default a folder of the study's name under ``tenfold-runs``."""
    return Path(out) if out is not None else Path("tenfold-runs") / (study.name + ("-quick" if study.is_quick else ""))


def load_task(study: Study) -> Task:
    """The task of a study with its data, before any seed comes in."""
    settings = study.task.model_dump()
    kind, name, unreadable = settings.pop("kind"), settings.pop("data"), settings.pop("unreadable")
    images = data.load(name, base=study.base, size=study.task.size, unreadable=unreadable)
    return TASKS[kind](images, **settings)


# -- one model ----------------------------------------------------------------------------------------------------------


def _run_model(
    record: Record,
    job: Job,
    task: Task,
    workers: Workers | None,
    placement: Placement,
    memory: int | None,
    watch: Callable[[Event], None],
) -> None:
    """Train what the record does not hold yet of one model."""
    primary = next(metric.name for metric in task.metrics if metric.primary)
    done = record.finished(job.model)
    if {(run.lane.setting, run.repeat) for run in job.runs} <= done:
        watch(ModelDone(job.model, _recorded_scores(record, job.model, primary), 0.0, from_record=True))
        return
    stored = record.plan(job.model)
    plan = Plan.from_json(stored) if stored else choose(job, task, workers, wanted=placement, memory=memory)
    if plan.placement == "spread" and workers is None:
        # The record was begun where it could be spread: the same computing in this process gives the same numbers.
        plan = replace(plan, threads=1)
    if not stored:
        record.save_plan(job.model, plan.to_json())
        if "split into" in plan.reason:
            record.event("group split", plan.reason, job.model)
    watch(ModelStarted(job.model, plan, len(job.runs), job.recipe.epochs))
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
    try:
        for number, event in _train_parts(parts, task, plan, workers):
            if isinstance(event, Outcome):
                outcomes[number] = event
            else:
                curves.add(number, event)
    finally:
        curves.flush()
    _keep(record, job, plan, outcomes, watch)
    scores = _recorded_scores(record, job.model, primary)
    watch(ModelDone(job.model, scores, time.monotonic() - started))


def _train_parts(
    parts: Sequence[Job], task: Task, plan: Plan, workers: Workers | None
) -> Iterator[tuple[int, Epoch | Outcome]]:
    if plan.placement == "spread" and workers is not None:
        yield from workers.train(parts)
        return
    for number, part in enumerate(parts):
        for event in train(part, task):
            yield number, event


class _Curves:
    """Takes epochs from the parts of a model; saves them now and then, and says how far all of them are."""

    save_seconds = 1.0

    def __init__(self, record: Record, job: Job, plan: Plan, primary: str, watch: Callable[[Event], None]) -> None:
        self.record, self.job, self.plan, self.primary, self.watch = record, job, plan, primary, watch
        self.latest: dict[int, Epoch] = {}
        self.said = 0
        self.waiting: list[tuple[str, int, int, str, str, float]] = []
        self.saved = time.monotonic()

    def add(self, number: int, epoch: Epoch) -> None:
        runs = [self.job.runs[at] for at in self.plan.groups[number]]
        self.waiting += [
            (run.lane.setting, run.repeat, epoch.epoch, part, metric, value)
            for part, metrics in epoch.scores.items()
            for metric, values in metrics.items()
            for run, value in zip(runs, values, strict=True)
        ]
        self.latest[number] = epoch
        reached = min(epoch.epoch for epoch in self.latest.values())
        together = len(self.latest) == len(self.plan.groups) or self.plan.placement != "spread"
        if together and reached > self.said:
            values = [value for part in self.latest.values() for value in part.scores["test"][self.primary]]
            self.watch(EpochDone(self.job.model, epoch.epoch, np.array(values)))
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
    """Predictions, weights and scores of all runs of a model, in the order of ``job.runs``; the scores last, as they count."""
    order = np.argsort([at for group in plan.groups for at in group])
    parts = [outcomes[number] for number in range(len(plan.groups))]

    def joined(pieces: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: np.concatenate([piece[name] for piece in pieces])[order] for name in pieces[0]}

    record.save_predictions(job.model, joined([part.predictions for part in parts]))
    record.save_weights(job.model, joined([part.weights for part in parts]), {"module": job.source.name})
    rows = []
    for number, group in enumerate(plan.groups):
        part = outcomes[number]
        for i, at in enumerate(group):
            run = job.runs[at]
            rows.append(
                RunRow(
                    setting=run.lane.setting,
                    repeat=run.repeat,
                    status=part.status[i],
                    epochs=part.epochs[i],
                    best_epoch=part.best_epoch[i],
                    train_seconds=part.seconds / len(group),
                    peak_bytes=part.peak_bytes,
                    message=part.messages[i],
                    scores={name: float(values[i]) for name, values in part.scores.items()},
                )
            )
            if part.status[i] == "diverged":
                text = f"repeat {run.repeat}{f' ({run.lane.setting})' if run.lane.setting else ''}: {part.messages[i]}"
                record.event("diverged", text, job.model)
                watch(Note(f"diverged: {text}; the other runs go on", job.model))
    record.finish_runs(job.model, rows)
    record.drop_checkpoints(job.model)


def _recorded_scores(record: Record, model: str, metric: str) -> np.ndarray:
    results = Results(record.folder)
    scores = results.scores(metric)
    return np.concatenate([scores[arm.label] for arm in results.arms if arm.model == model])


def _certify(record: Record, job: Job, task: Task, watch: Callable[[Event], None]) -> None:
    certificates = record.note("certificate") or {}
    if job.model in certificates:
        return
    weights, _ = record.read_weights(job.model)
    plan = record.plan(job.model)
    assert plan is not None
    results = Results(record.folder)
    label = next(arm.label for arm in results.arms if arm.model == job.model)
    found = {metric.name: results.scores(metric.name) for metric in task.metrics}
    scores = {name: float(values[label][0]) for name, values in found.items() if label in values}
    certificates[job.model] = verify(job, task, Plan.from_json(plan), weights, scores)
    record.save_note("certificate", certificates)
    found = certificates[job.model]
    apart, steps = found["weights_float64"], found["steps_float64"]
    watch(
        Note(f"verified: no weight is further than {apart:.1e} from the run alone (float64, {steps} steps)", job.model)
    )


# -- before training ------------------------------------------------------------------------------------------------------


def _job(study: Study, model: ModelSettings, device: str) -> Job:
    runs = tuple(RunId(lane, repeat) for lane in model.recipe.lanes() for repeat in range(study.repeats))
    return Job(model.name, model.source, model.recipe, runs, study.seed, "vmap", cores(), device)


def informed(source: ModuleSource, task: Task) -> ModuleSource:
    """The source with what its constructor asks of the task, such as the image size."""
    accepted = source.accepts() or set()
    facts = {name: value for name, value in task.facts().items() if name in accepted}
    return replace(source, options=facts | dict(source.options))


def _try_modules(study: Study, jobs: dict[str, Job], task: Task) -> None:
    """Give every module what it asks for, pass two examples through it, and say all that is wrong at once."""
    problems = []
    for name, job in jobs.items():
        jobs[name] = replace(job, source=informed(job.source, task))
        try:
            try_module(jobs[name], task)
        except TenfoldError as error:
            problems.append(f"models.{name}: {error}")
        except Exception as error:  # whatever a user's module raises
            problems.append(
                f"models.{name}: {job.source.name} failed on a batch of two: {type(error).__name__}: {error}"
            )
    if problems:
        raise StudyError(study.name, problems)


def _device(name: str) -> str:
    if name not in ("auto", "cpu", "cuda"):
        raise RequestError(f"device: expected 'auto', 'cpu' or 'cuda', got '{name}'")
    if name == "cuda" and not torch.cuda.is_available():
        raise RequestError("device 'cuda' was asked for, but PyTorch finds no CUDA GPU here; use 'cpu'")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def _workers(task: Task, placement: Placement, device: str) -> contextlib.AbstractContextManager[Workers | None]:
    if device != "cpu" or placement in ("stack", "loop") or cores() < 2:
        return contextlib.nullcontext()
    return Workers(task, cores())


def _open_record(folder: Path, study: Study, task: Task, device: str, command: str) -> Record:
    content = study.to_dict() | {
        "quick": study.is_quick,
        "design": dataclasses.asdict(task.design()),
        "data_fingerprint": task.fingerprint,
    }
    if Record.exists(folder):
        return Record.open(folder, write=True, study=content)
    record = Record.create(
        folder,
        study_toml=to_toml(study),
        study=content,
        environment=describe_environment(device=device),
        metrics=[dataclasses.asdict(metric) for metric in task.metrics],
        command=command or f"tenfold.run({study.name!r})",
        quick=study.is_quick,
    )
    # Where the files that the study names are; relative, so that they and the record may be moved together.
    with contextlib.suppress(ValueError):  # another drive
        record.save_note("base", os.path.relpath(study.base.resolve(), folder.resolve()))
    return record
