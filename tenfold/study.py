"""The idea in one place: same data, same budget, R runs of each model, differences, verdict."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from tenfold.config import ModelSettings, Study, to_toml
from tenfold.environment import describe_environment
from tenfold.errors import RequestError, StudyError, TenfoldError, nearest
from tenfold.events import Event, Message
from tenfold.execute import Placement, Workers, cores, fit_configs, try_module
from tenfold.export import Results
from tenfold.models import ModelFactory
from tenfold.record import Record
from tenfold.tasks import TASKS, Resampling, Task, check_folds
from tenfold.train import Job, RunId
from tenfold.train_model import certify, train_model, variants

__all__ = ["with_module_kwargs", "load_task", "quick_study", "record_folder", "run"]


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
    checkpoint_seconds: float = 10.0,
    command: str = "",
    watch: Callable[[Event], None] = lambda event: None,
) -> Results:
    """Train every repeat of every model of ``study`` and return what can be said of their differences.

    Args:
        study: from ``load_study`` or ``parse_study``.
        out: folder of the record, by default ``tenfold-runs/NAME``. An unfinished record of the same study goes on
            where it stopped.
        repeats, seed: instead of the study's own.
        quick: the study cut to a few minutes, as its file says; marked as such.
        placement: "auto" times the candidates for every model.
        device: "auto", "cpu" or "cuda".
        verify: retrain one run of each model alone and keep the largest difference in the record.
        memory_gib: memory that a model may fill; by default a share of what is free.
        checkpoint_seconds: a study that is killed loses at most about so much of its training; 0 saves after every
            epoch.
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
    for name, value, least in (("repeats", study.repeats, 1), ("seed", study.seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise RequestError(f"{name}: expected a whole number from {least}, got {value!r}")
    if placement not in get_args(Placement):
        raise RequestError(f"placement: no '{placement}'; {nearest(str(placement), get_args(Placement))}")
    if memory_gib is not None and memory_gib <= 0:
        raise RequestError(f"memory: expected a number of GiB above 0, got {memory_gib}")
    if checkpoint_seconds < 0:
        raise RequestError(f"checkpoint_seconds: expected 0 or more, got {checkpoint_seconds}")
    device = _device(device)
    task = load_task(study)
    jobs = {
        model.name: replace(_job(study, model, device), checkpoint_seconds=checkpoint_seconds) for model in study.models
    }
    _try_modules(study, jobs, task)
    _resampling(study, task)
    folder = record_folder(study, out)
    memory = None if memory_gib is None else int(memory_gib * 2**30)
    for text in task.notes:
        watch(Message(text))
    fits = any(job.factory.is_estimator for job in jobs.values())
    with (
        _open_record(folder, study, task, jobs, device, command) as record,
        _workers(task, placement, device, fits=fits) as workers,
    ):
        if record.status == "finished":
            watch(Message(f"{folder} is finished: nothing to train. Choose another folder to run it again."))
        for model in study.models:
            train_model(record, jobs[model.name], task, workers, placement, memory, watch)
            if verify:
                certify(record, jobs[model.name], task, watch)
        if record.status != "finished":
            predictions = {model.name: record.read_predictions(model.name) for model in study.models}
            for model in study.models:  # the galleries ask for the setting still
                settings = np.array([variant.swept_label for variant in record.variants if variant.model == model.name])
                predictions[model.name]["setting"] = settings[predictions[model.name]["variant"]]
            record.save_gallery(task.gallery(predictions, seed=study.seed))
            plans = {model.name: record.plan(model.name) or {} for model in study.models}
            placements = {
                name: "fit" if plan.get("placement") == "fit" else f"{plan.get('placement')} ({plan.get('how')})"
                for name, plan in plans.items()
            }
            record.save_environment(describe_environment(device=device) | {"placements": placements})
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
    return TASKS[study.task.kind].load(study.task, base=study.base)


# -- before training --------------------------------------------------------------------------------------------------


def _job(study: Study, model: ModelSettings, device: str) -> Job:
    runs = tuple(RunId(config, repeat) for config in model.recipe.configs() for repeat in range(study.repeats))
    return Job(model.name, model.factory, model.recipe, runs, study.seed, "vmap", cores(), device)


def with_module_kwargs(factory: ModelFactory, task: Task) -> ModelFactory:
    """The factory with what its constructor asks of the task, such as the image size."""
    accepted = factory.accepts() or set()
    facts = {name: value for name, value in task.facts().items() if name in accepted}
    return replace(factory, options=facts | dict(factory.options))


def _try_modules(study: Study, jobs: dict[str, Job], task: Task) -> None:
    """Give every module what it asks for, pass two examples through it, and say all that is wrong at once."""
    problems = []
    for model in study.models:
        name, job = model.name, jobs[model.name]
        jobs[name] = replace(job, factory=with_module_kwargs(job.factory, task))
        try:
            if jobs[name].factory.is_estimator:
                configs = fit_configs(job.recipe)
                problems += _idle_settings(model)
                jobs[name] = jobs[name].of_runs(
                    tuple(RunId(config, at) for config in configs for at in range(study.repeats))
                )
            try_module(jobs[name], task)
        except TenfoldError as error:
            problems.append(f"models.{name}: {error}")
        except Exception as error:  # whatever a user's module raises
            problems.append(
                f"models.{name}: {job.factory.name} failed on a batch of two: {type(error).__name__}: {error}"
            )
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
    task: Task, placement: Placement, device: str, *, fits: bool
) -> contextlib.AbstractContextManager[Workers | None]:
    """Processes for what is spread: networks on a CPU, estimators everywhere."""
    if (device != "cpu" and not fits) or placement in ("stack", "loop") or cores() < 2:
        return contextlib.nullcontext()
    return Workers(task, cores())


def _resampling(study: Study, task: Task) -> Resampling:
    """How the repeats of a study relate; refuses folds that would not be tested equally often."""
    design = task.resampling([config.data for model in study.models for config in model.recipe.configs()])
    if design.folds is not None:
        check_folds(design.folds, study.repeats)
    return design


def _open_record(folder: Path, study: Study, task: Task, jobs: Mapping[str, Job], device: str, command: str) -> Record:
    resampling = dataclasses.asdict(_resampling(study, task))
    resampling["reason"] = resampling.pop("note")
    content = study.to_dict() | {
        "quick": study.is_quick,
        "resampling": resampling,
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
        variants={name: variants(job) for name, job in jobs.items()},
    )
    record.save_meta(
        "task",
        {
            "kind": study.task.kind,
            "predictions": {"compare-pairs": "binary", "match": "ranking", "classify-sequences": "classes"}.get(
                study.task.kind, ""
            ),
            "fingerprint": task.fingerprint,
            "module_kwargs": task.facts(),  # what modules were built with, to build them again without the data
            "labels": task.names(),
            "warnings": list(task.notes),
        },
    )
    # Where the files that the study names are; relative, so that they and the record may be moved together.
    with contextlib.suppress(ValueError):  # another drive
        record.save_meta("base", os.path.relpath(study.base.resolve(), folder.resolve()))
    return record
