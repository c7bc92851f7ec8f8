"""The idea in one place: same data, same budget, R runs of each model, differences, verdict."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from tenfold.certify import certify
from tenfold.config import ModelSettings, Study, to_toml
from tenfold.environment import describe_environment
from tenfold.errors import (
    RequestError,
    ShapeError,
    StudyError,
    TenfoldError,
    VerificationError,
    attempt,
    nearest,
    what_failed,
)
from tenfold.events import Event, Message
from tenfold.execute import Placement, Workers, cores, cores_asked, portable, try_module
from tenfold.export import Results, code_of, save_models
from tenfold.metrics import Metric
from tenfold.models import find_module, with_module_kwargs
from tenfold.own_files import held
from tenfold.progress import live
from tenfold.progress import progress as show_progress
from tenfold.recipe import Config
from tenfold.record import Record
from tenfold.sampling import check_folds
from tenfold.tasks import Divides, HasGallery, Predicted, RemarksOnData, Task, carries, find_task
from tenfold.train import OBJECTIVE, Job, RunId
from tenfold.train_model import say_failures, train_model
from tenfold.wording import listed

__all__ = ["data_notes", "load_task", "record_folder", "run"]


@held()  # what is edited meanwhile is of the next study
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
    force: bool = False,
    memory_gib: float | None = None,
    jobs: int | None = None,
    checkpoint_seconds: float = 10.0,
    command: str = "",
    progress: bool | None = None,
    watch: Callable[[Event], None] | None = None,
) -> Results:
    """Train every repeat of every model of ``study`` and return what can be said of their differences.

    Args:
        study: from ``load_study`` or ``parse_study``.
        out: folder of the record, by default ``tenfold-runs/NAME``. An unfinished record of the same study goes on
            where it stopped. One of fewer repeats or models is extended: what it holds stays, the rest is trained.
        repeats, seed: instead of the study's own.
        quick: the study cut to a few minutes, as its file says; marked as such.
        placement: "auto" times the candidates for every model.
        device: "auto", "cpu" or "cuda".
        verify: compare every run with the run trained alone, and keep what was compared in the record.
        force: remove a record that is in the folder and start anew.
        memory_gib: memory that a model may fill; by default a share of what is free.
        jobs: cores to use: so many processes of one thread, or threads of one process. By default those that the
            process may use (CPU affinity, limit of the container, ``OMP_NUM_THREADS``).
        checkpoint_seconds: a study that is killed loses at most about so much of its training; 0 saves after every
            epoch.
        command: what the user typed, for the record.
        progress: whether to show how far the study is; by default on a terminal and in a notebook, unless ``watch``
            is given. With True there are plain lines on stderr elsewhere.
        watch: called with what happens.
    Raises:
        RequestError: if the study or an argument is wrong; nothing is trained then.
        RecordError: if the folder is in use, of another study, or cannot be written.
        TrainingError: if training cannot go on; the record stays resumable.
        VerificationError: with ``verify``, if a run is not the run alone; the record is finished all the same.
    """
    study = study.quickened() if quick else study
    study = replace(
        study, repeats=study.repeats if repeats is None else repeats, seed=study.seed if seed is None else seed
    )
    _check_arguments(study, placement, memory_gib, checkpoint_seconds, jobs)
    _find_modules(study)
    device = _device(device)
    task = load_task(study)
    threads = jobs or cores_asked()
    work = {model.name: _job(study, model, task, device, threads, checkpoint_seconds) for model in study.models}
    _try_modules(study, work, task)
    resampling = _resamplings(study, work, task)
    notes = data_notes(study, task)
    folder = record_folder(study, out)
    memory = None if memory_gib is None else int(memory_gib * 2**30)
    fits = any(job.factory.is_estimator for job in work.values())
    with (
        _watching(study.primary, progress, watch) as tell,
        _open_record(folder, study, task, work, resampling, notes, device, command, tell, force=force) as record,
        _workers(task, placement, device, jobs, fits=fits) as workers,
    ):
        for text in notes:
            tell(Message(text))
        if record.status == "finished":
            tell(Message(f"{folder} is finished: nothing to train. Choose another folder to run it again."))
        failures: list[str] = []
        trained = any(not _ended(record, job) for job in work.values())
        for job in work.values():
            train_model(record, job, task, workers, placement, memory, tell)
            if verify:
                failures += certify(record, job, task, tell)
        if record.status != "finished":
            _finish(record, study, task, work, device, tell, trained=trained)
    if failures:
        raise VerificationError(folder, failures)
    return Results(folder)


def record_folder(study: Study, out: str | Path | None = None) -> Path:
    """Where the record of a study goes: ``out``, by default a folder of the study's name under ``tenfold-runs``."""
    return Path(out) if out is not None else Path("tenfold-runs") / (study.name + ("-quick" if study.is_quick else ""))


def load_task(study: Study) -> Task:
    """The task of a study with its data, before any seed comes in."""
    kind = find_task(study.task.kind, base=study.base)
    data = study.task.load_data(base=study.base)
    try:
        return kind(study.task, data)
    except TenfoldError:
        raise
    except Exception as error:  # whatever the constructor of somebody's own task raises
        raise RequestError(f"the task '{kind.spec.kind}' cannot be made: {what_failed(error)}") from error


def data_notes(study: Study, task: Task) -> list[str]:
    """What a reader of the scores has to know of the data: what loading left out, filled or changed, and what their
    division means.

    Raises:
        DataError: if a repeat cannot be trained with its part of the data.
    """
    notes = list(task.info.warnings)
    if isinstance(task, RemarksOnData):
        notes += task.remarks(study.configs, repeats=study.repeats, seed=study.seed)
    return notes


# -- before training --------------------------------------------------------------------------------------------------


def _check_arguments(
    study: Study, placement: str, memory_gib: float | None, checkpoint_seconds: float, jobs: int | None
) -> None:
    numbers = (("repeats", study.repeats, 1), ("seed", study.seed, 0), ("jobs", 1 if jobs is None else jobs, 1))
    for name, value, least in numbers:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise RequestError(f"{name}: expected an integer from {least}, got {value!r}")
    if placement not in get_args(Placement):
        raise RequestError(f"placement: no '{placement}'; {nearest(str(placement), get_args(Placement))}")
    if memory_gib is not None and memory_gib <= 0:
        raise RequestError(f"memory: expected a number of GiB above 0, got {memory_gib}")
    if checkpoint_seconds < 0:
        raise RequestError(f"checkpoint_seconds: expected 0 or more, got {checkpoint_seconds}")


@contextlib.contextmanager
def _watching(
    primary: Metric, progress: bool | None, watch: Callable[[Event], None] | None
) -> Iterator[Callable[[Event], None]]:
    """What is called with every event: the caller's own function, and the display of progress where it is wanted."""
    listeners = [] if watch is None else [watch]
    wanted = watch is None and live() if progress is None else progress
    with show_progress(primary) if wanted else contextlib.nullcontext() as display:
        if display is not None:
            listeners.append(display)

        def tell(event: Event) -> None:
            for listener in listeners:
                listener(event)

        yield tell


def _find_modules(study: Study) -> None:
    """Import the file of every module, which reading a study does not, and say all that is wrong at once."""
    problems = []
    for model in study.models:
        try:
            find_module(model.factory.reference, base=model.factory.base)
        except RequestError as error:
            problems.append(f"models.{model.name}: {error}")
    if problems:
        raise StudyError(study.name, problems)


def _job(study: Study, model: ModelSettings, task: Task, device: str, threads: int, checkpoint_seconds: float) -> Job:
    """All runs of a model. Its factory has what the module's constructor asks of the task, such as the image size."""
    factory = with_module_kwargs(model.factory, task.info.module_kwargs)
    runs = tuple(
        RunId(config, repeat)
        for config in model.configs(fitted=factory.is_estimator)
        for repeat in range(study.repeats)
    )
    return Job(model.name, factory, runs, study.seed, "vmap", threads, device, checkpoint_seconds=checkpoint_seconds)


def _try_modules(study: Study, jobs: Mapping[str, Job], task: Task) -> None:
    """Pass two examples through every module, and say all that is wrong at once."""
    problems = []
    for model in study.models:
        name, job = model.name, jobs[model.name]
        try:
            if job.factory.is_estimator:
                problems += _idle_settings(model)
            try_module(job, task, primary=study.primary.name)
        except TenfoldError as error:
            problems.append(f"models.{name}: {error}")
        except Exception as error:  # whatever a user's module raises
            problems.append(f"models.{name}: {job.factory.name} failed on a batch of two: {what_failed(error)}")
    if problems:
        raise StudyError(study.name, problems)


def _idle_settings(model: ModelSettings) -> list[str]:
    """What the table of a model that is fitted says about training; the study's own ``[train]`` is for the others."""
    idle = [key for key in model.own if key not in model.recipe.data_values]
    return [f"models.{model.name}.{key}: '{model.factory.name}' is fitted, not trained; leave it out" for key in idle]


def _device(name: str) -> str:
    if name not in ("auto", "cpu", "cuda"):
        raise RequestError(f"device: expected 'auto', 'cpu' or 'cuda', got '{name}'")
    if name == "cuda" and not torch.cuda.is_available():
        raise RequestError("device 'cuda' was asked for, but PyTorch finds no CUDA GPU here; use 'cpu'")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def _workers(
    task: Task, placement: Placement, device: str, jobs: int | None, *, fits: bool
) -> contextlib.AbstractContextManager[Workers | None]:
    """Processes for networks on a CPU, and for estimators everywhere; none on Windows, which cannot pass sockets on."""
    # Of one thread each: OMP_NUM_THREADS, which is for one process, does not forbid processes that are asked for.
    count = jobs or (cores() if placement == "processes" else cores_asked())
    if (
        os.name != "posix"
        or (device != "cpu" and not fits)
        or placement in ("stack", "loop")
        or count < 2
        or not portable(type(task))
    ):
        return contextlib.nullcontext()
    return Workers(task, count)


def _resamplings(study: Study, jobs: Mapping[str, Job], task: Task) -> list[dict[str, Any]]:
    """How the repeats of a study relate, for each way in which its data are divided, as the record keeps it; refuses
    folds that would not be tested equally often.
    """
    variants, found = _variants(jobs, task), []
    for name, job in jobs.items():
        for config, variant in zip(job.configs, variants[name], strict=True):
            if variant["protocol"] not in [entry["protocol"] for entry in found]:
                resampling = task.resampling([config])
                if resampling.folds is not None:
                    check_folds(resampling.folds, study.repeats)
                found.append({"protocol": variant["protocol"]} | dataclasses.asdict(resampling))
    return found


# -- the record -------------------------------------------------------------------------------------------------------


def _open_record(
    folder: Path,
    study: Study,
    task: Task,
    jobs: Mapping[str, Job],
    resampling: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
    device: str,
    command: str,
    tell: Callable[[Event], None],
    *,
    force: bool,
) -> Record:
    content = study.to_dict() | {
        "quick": study.is_quick,
        "resampling": resampling,
        "data_fingerprint": task.info.fingerprint,
        "code": code_of(jobs, type(task)),
    }
    if force and Record.exists(folder):
        Record.remove(folder)
    command = command or f"tenfold.run({study.name!r})"
    variants = _variants(jobs, task)
    if Record.exists(folder):
        record = Record.open(folder, write=True, study=content)
        if record.is_of(content):
            return record
        with _closed_on_error(record):
            said = record.take_up(study=content, study_toml=to_toml(study), command=command, variants=variants)
            for text in said:
                tell(Message(text))
            _note_versions(record, jobs, device, tell)
            _describe(record, study, task, jobs, notes)
        return record
    record = Record.create(
        folder,
        study_toml=to_toml(study),
        study=content,
        environment=describe_environment(device=device),
        metrics=[dataclasses.asdict(metric) for metric in (*study.metrics, OBJECTIVE)],
        command=command,
        quick=study.is_quick,
        variants=variants,
    )
    _describe(record, study, task, jobs, notes)
    return record


@contextlib.contextmanager
def _closed_on_error(record: Record) -> Iterator[None]:
    try:
        yield
    except BaseException:
        record.close()
        raise


def _note_versions(record: Record, jobs: Mapping[str, Job], device: str, tell: Callable[[Event], None]) -> None:
    """Say so where runs that are added are trained with other versions, or elsewhere, than those that stay."""
    if all(_ended(record, job) for job in jobs.values()) or not any(record.finished(model) for model in jobs):
        return
    before, now = (
        {key: found.get(key) for key in ("tenfold", "device")} | {"PyTorch": found.get("packages", {}).get("torch")}
        for found in (Results(record.folder).environment, describe_environment(device=device))
    )
    if other := [f"{name} {now[name]} in place of {before[name]}" for name in now if before[name] != now[name]]:
        text = f"runs that are added are trained with {listed(other)}; those recorded before stay as they are"
        record.event("other versions", text)
        tell(Message(f"warning: {text}"))


def _ended(record: Record, job: Job) -> bool:
    """Whether all runs of a model are in the record."""
    return {(run.config.index, run.repeat) for run in job.runs} <= record.finished(job.model)


def _describe(record: Record, study: Study, task: Task, jobs: Mapping[str, Job], notes: Sequence[str]) -> None:
    """What the record says of the data and of how its modules are built."""
    spec, facts = task.spec, dataclasses.asdict(task.info) | {"warnings": tuple(notes)}
    record.save_meta("task", {"kind": spec.kind, "predictions": spec.predictions, "carries": carries(task)} | facts)
    save_models(record, jobs, type(task))
    # Where the files that the study names are, to go on with it; relative, so that both may be moved together.
    with contextlib.suppress(ValueError):  # another drive
        record.save_meta("base", os.path.relpath(study.base.resolve(), record.folder.resolve()))


def _variants(jobs: Mapping[str, Job], task: Task) -> dict[str, list[dict[str, Any]]]:
    """What was swept in each config of each model, and by which settings its data are divided, where these differ
    within the study: swept ones, and those that the tables of two models set to different values.
    """

    def division(config: Config) -> Mapping[str, Any]:
        return task.division(config) if isinstance(task, Divides) else config.data

    divisions = {name: [(config, division(config)) for config in job.configs] for name, job in jobs.items()}
    every = [divided for of_model in divisions.values() for _, divided in of_model]
    differing = [key for key in every[0] if any(divided[key] != every[0][key] for divided in every)]
    return {
        name: [
            {"swept": config.swept, "protocol": {key: divided[key] for key in differing}}
            for config, divided in of_model
        ]
        for name, of_model in divisions.items()
    }


def _finish(
    record: Record,
    study: Study,
    task: Task,
    jobs: Mapping[str, Job],
    device: str,
    tell: Callable[[Event], None],
    *,
    trained: bool,
) -> None:
    """What is about all models: examples to show, where and how they were trained, results.csv.

    Args:
        record, study, task, jobs, device, tell: of the study.
        trained: whether anything was trained now; else the environment stays that of those who trained.
    """
    failures: list[str] = []
    if isinstance(task, HasGallery):
        make = partial(_gallery, record, study, task, jobs)
        if arrays := attempt("the examples to show (gallery)", make, {}, failures=failures, passing=()):
            record.save_gallery(arrays)
    plans = {name: record.plan(name) or {} for name in jobs}
    placements = {
        name: "fit" if plan.get("placement") == "fit" else f"{plan.get('placement')} ({plan.get('how')})"
        for name, plan in plans.items()
    }
    describe = partial(describe_environment, device=device)
    found = attempt("the environment", describe, {}, failures=failures) if trained else {}
    if found:
        record.save_environment(found | {"placements": placements})
    say_failures(record, failures, tell)
    record.finish()


def _gallery(record: Record, study: Study, task: HasGallery, jobs: Mapping[str, Job]) -> dict[str, np.ndarray]:
    results = Results(record.folder)  # of the study's repeats: the record may hold more
    predicted = [
        Predicted(name, config, results.predictions(name, variant=config.index) or {})
        for name, job in jobs.items()
        for config in job.configs
    ]
    found = {name: np.asarray(value) for name, value in task.gallery(predicted, seed=study.seed).items()}
    for name, array in found.items():
        if array.dtype.hasobject:
            raise ShapeError(f"'{name}': expected an array of numbers or text, got Python objects")
    return found
