"""What the benchmark scripts share: the nine networks, their data, and saving of measurements."""

from __future__ import annotations

import json
import platform
import resource
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import tenfold
from tenfold.config import ModelSettings, Study
from tenfold.environment import describe_environment
from tenfold.errors import TenfoldError
from tenfold.execute import cores
from tenfold.models import with_module_kwargs
from tenfold.study import load_task
from tenfold.tasks import Task
from tenfold.train import Job, RunId

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"


def study_and_task(*, repeats: int) -> tuple[Study, Task]:
    """The published nine on MNIST, or on scikit-learn's digits if MNIST is not available."""
    for name in ("mnist-pairs", "quickstart"):
        study = tenfold.load_study(name)
        try:
            task = load_task(study)
        except TenfoldError:
            continue
        nine = tuple(model for model in study.models if "ours" not in model.name)
        return replace(study, models=nine, repeats=repeats), task
    raise SystemExit("no data set for the benchmark")


def job_of(study: Study, model: ModelSettings, task: Task, *, epochs: int, device: str = "cpu") -> Job:
    """A job of all repeats of a model, with the epochs of the benchmark."""
    model = model.with_epochs(lambda _: epochs)
    runs = tuple(RunId(config, repeat) for config in model.configs() for repeat in range(study.repeats))
    factory = with_module_kwargs(model.factory, task.info.module_kwargs)
    return Job(model.name, factory, runs, study.seed, "vmap", cores(), device)


def peak_mebibytes() -> float:
    """Peak memory in MiB of this process plus, for each core, that of its largest child process that has ended."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 2**20 if platform.system() == "Darwin" else 2**10
    return (own + children * cores() if children else own) / unit


def save(name: str, record: dict[str, Any], lines: list[str]) -> None:
    """Write ``docs/results/NAME.json`` and ``.md``, with hardware, versions and commit."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    environment = describe_environment(device=device)
    record = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "environment": environment, **record}
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    hardware = (
        f"{environment['processor']}, {environment['cores']} cores; Python {environment['python']}, "
        f"torch {environment['packages']['torch']}; {record['measured']}"
    )
    (RESULTS / f"{name}.md").write_text("\n".join([*lines, "", hardware, ""]))
