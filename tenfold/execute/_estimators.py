"""Models that are fitted and not trained: one fit per run, on the data and with the scores that networks have."""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits
from torch import Tensor

from tenfold.errors import CheckpointError, RequestError, ShapeError, TenfoldError, TrainingError, what_failed
from tenfold.files import atomic_write
from tenfold.models import Estimator
from tenfold.sampling import Inputs, Part, Split
from tenfold.seeds import derive, seeded
from tenfold.tasks import TASKS, ChecksOutput, Diagnoses, FinalMetrics, FitsEstimators, Task
from tenfold.train import Outcome, RunId, diagnosed, metrics_of, of_run, peak_bytes, test
from tenfold.train._evaluate import Tested

if TYPE_CHECKING:
    from tenfold.train import Job

__all__ = ["fit_runs", "try_estimator"]

_VERSION = 3
# Log-probability of what an estimator holds impossible: log(2^-52), where scikit-learn's log_loss clips too.
_FLOOR = float(np.log(np.finfo(np.float64).eps))
# A study's estimators are tried on so many examples of each class before anything is trained.
_TRY = 20


@dataclass(frozen=True)
class _Fits:
    """What the fits of a job gave on the test part.

    Args:
        outputs: of each test set log-probabilities, float64 (runs, examples, classes).
        diagnosed: what the task finds beside, runs first.
        messages: what each run warned of, "" for nothing.
        seconds: of all runs.
        failures: what could not be diagnosed, and why.
    """

    outputs: dict[Part, Tensor]
    diagnosed: dict[str, np.ndarray]
    messages: list[str]
    seconds: float
    failures: list[str]


def fit_runs(job: Job, task: Task) -> Outcome:
    """Fit an estimator for each run of a job and score it on the test part.

    What an ended fit gave is kept in the job's checkpoint, so that a study that goes on does not fit it again; the
    estimator itself is kept nowhere, since nothing but a pickle could hold one of any kind.

    Raises:
        TrainingError: if an estimator fails, or the checkpoint is damaged or of other runs.
    """
    parts = task.splits([run.repeat for run in job.runs], seed=job.seed, configs=[run.config for run in job.runs])
    if job.checkpoint is not None and job.checkpoint.is_file():
        fits = _restore(job, job.checkpoint)
    else:
        fits = _fit_all(job, task, parts)
        if job.checkpoint is not None:
            _save(job, job.checkpoint, fits)
    tested = _score(fits.outputs, task, parts)
    sound = tested.sound
    lost = "log-probabilities on the test part are not finite"
    return Outcome(
        scores={name: np.where(sound.numpy(), values, np.nan) for name, values in tested.scores.items()},
        status=["finished" if fine else "diverged" for fine in sound],
        epochs=[0] * len(job.runs),
        best_epoch=[None] * len(job.runs),
        messages=[said if fine else lost for said, fine in zip(fits.messages, sound, strict=True)],
        predictions=tested.predictions | fits.diagnosed,
        clusters=tested.clusters,
        weights={},
        preprocessing={},
        seconds=fits.seconds,
        peak_bytes=peak_bytes(torch.device("cpu")),
        failures=(*tested.failures, *fits.failures),
    )


def _score(outputs: Mapping[str, Tensor], task: Task, parts: Mapping[Part, Split]) -> Tested:
    """Test scores of log-probabilities, (runs, examples, classes) of each test set, as if a module had given them."""
    # In the order of the parts, as ``test`` asks for them: a checkpoint keeps them in another one.
    tested = [(split, outputs[part]) for part, split in parts.items() if part in outputs]
    batches = iter([value[:, start:stop] for split, value in tested for start, stop in split.spans()])
    return test(lambda *_: next(batches), task, parts, carry=lambda _: ())


def _fit_all(job: Job, task: Task, parts: Mapping[Part, Split]) -> _Fits:
    assert isinstance(task, FitsEstimators)
    started, train = time.monotonic(), parts["train"]
    targets, n_classes = task.fit_targets(train)
    estimators: list[Estimator] = []
    messages: list[str] = []
    for at, run in enumerate(job.runs):
        with _said_by(job, f"in fitting repeat {run.repeat}"):
            inputs, real = _arrays(train.of_run(at))
            estimator, said = _fitted(job, run, _rows(inputs, real), targets[at].numpy()[real])
        estimators.append(estimator)
        messages.append(said)

    def predict(*inputs: Tensor) -> Tensor:
        each = [_as_arrays(tuple(value[at] for value in inputs)) for at in range(len(estimators))]
        return torch.stack([_log_probabilities(one, own, n_classes) for one, own in zip(estimators, each, strict=True)])

    with _said_by(job, "in predicting the test part"):
        outputs = {
            part: predict(*split.span(0, split.n_examples).inputs)
            for part, split in parts.items()
            if part not in ("train", "validation")
        }
    failures: list[str] = []
    found = diagnosed(task, predict, parts["test"], failures) if isinstance(task, Diagnoses) else {}
    return _Fits(outputs, found, messages, time.monotonic() - started, failures)


def try_estimator(job: Job, task: Task) -> set[str]:
    """Fit an estimator twice on a few examples, so that what is wrong with it is said before anything is trained.

    Returns:
        The names of the metrics that its task gives for it.
    Raises:
        RequestError: if the task has no classes to tell apart, or the estimator cannot be built, fitted, or is not the
            same when fitted again from the same seed.
        ShapeError: if its log-probabilities are not one row an example with one column a class.
    """
    if not isinstance(task, FitsEstimators):
        others = [kind for kind, other in TASKS.items() if issubclass(other, FitsEstimators)]
        raise RequestError(
            f"{job.factory.name} is an estimator, which is fitted to one class per example; the task "
            f"'{task.spec.kind}' has none (tasks that have: {', '.join(others)})"
        )
    run = job.runs[0]
    train = task.splits([run.repeat], seed=job.seed, configs=[run.config])["train"]
    targets, n_classes = task.fit_targets(train)
    of, (inputs, real) = targets[0].numpy(), _arrays(train)

    def once(rows: np.ndarray) -> Tensor:
        its = _rows(inputs, rows)
        try:
            estimator, _ = _fitted(job, run, its, of[rows])
            return _log_probabilities(estimator, its, n_classes)
        except TenfoldError:
            raise
        except Exception as error:  # whatever an estimator raises
            raise RequestError(
                f"{job.factory.name} failed in fitting {len(rows)} examples: {what_failed(error)}"
            ) from error

    rows = np.concatenate([np.flatnonzero(real & (of == label))[:_TRY] for label in range(n_classes)])
    try:
        outputs = once(rows)
    except ShapeError:
        raise
    except RequestError:
        if len(rows) == real.sum():
            raise
        rows = np.flatnonzero(real)  # the sample may be too small, e.g. for 50 components; retry with all
        outputs = once(rows)
    if isinstance(task, ChecksOutput):
        task.check(outputs, of_run(train.batch(torch.from_numpy(rows)[None]), 0))
    if not torch.allclose(outputs, once(rows), rtol=1e-6, atol=1e-6, equal_nan=True):
        raise RequestError(
            f"{job.factory.name} predicts otherwise when it is fitted again from one seed; draw random numbers from "
            "its random_state or from NumPy's, Python's or PyTorch's own generators, so that a run can be repeated"
        )
    batch = train.batch(torch.from_numpy(rows)[None])
    found = set(metrics_of(task, task.sums(outputs[None], batch)))
    if isinstance(task, FinalMetrics):
        kept = task.predictions(outputs[None], batch)
        found |= set(task.final_metrics({name: value.numpy() for name, value in kept.items()}))
    return found


# -- one fit ----------------------------------------------------------------------------------------------------------


def _fitted(job: Job, run: RunId, inputs: Any, targets: np.ndarray) -> tuple[Estimator, str]:
    """An estimator of a run fitted to examples, and what it warned of."""
    import sklearn.utils  # noqa: F401  # its libraries have to be there for their threads to be limited

    seed = derive(job.seed, job.model, run.repeat, "estimator")
    with seeded(seed), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = job.factory.build_estimator(seed, **run.config.options)
        with threadpool_limits(1):  # the same sums in the same order in any process
            estimator.fit(inputs, targets)
    # Deprecation warnings concern the estimator's author.
    quiet = (DeprecationWarning, FutureWarning, PendingDeprecationWarning)
    said = [_first_line(str(one.message)) for one in caught if not issubclass(one.category, quiet)]
    return estimator, "; ".join(dict.fromkeys(said))


def _log_probabilities(estimator: Any, inputs: Any, n_classes: int) -> Tensor:
    """What an estimator gives for inputs as float64 (n, classes): rows of log-probabilities, none below the floor."""
    n_examples = len(inputs[0] if isinstance(inputs, tuple) else inputs)
    names = ("predict_log_proba", "predict_proba", "decision_function")
    name = next(name for name in names if callable(getattr(estimator, name, None)))
    with warnings.catch_warnings(), threadpool_limits(1), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")
        values = np.asarray(getattr(estimator, name)(inputs), dtype=np.float64)
        values = np.log(values) if name == "predict_proba" else values
    if name == "decision_function" and values.shape == (n_examples,):
        values = np.stack([np.zeros_like(values), values], axis=1)
    known = getattr(estimator, "classes_", None)
    columns = np.arange(n_classes) if known is None else np.asarray(known)
    if columns.dtype.kind not in "iu" or columns.ndim != 1 or not np.isin(columns, np.arange(n_classes)).all():
        raise ShapeError(f"expected classes_ to be some of 0 .. {n_classes - 1}, got {_short(columns)}")
    if values.shape != (n_examples, len(columns)):
        raise ShapeError(
            f"{name}: expected shape ({n_examples} examples, {len(columns)} classes), got {values.shape}"
            + ("" if known is None else f"; classes_ is {_short(columns)}")
        )
    total = logsumexp(values, axis=1, keepdims=True)
    if name != "decision_function":
        off = np.abs(np.expm1(np.minimum(total, 700)))  # of 1
        if (off > 0.01).any():  # a NaN is not an error here: that run has diverged
            wrong = float(np.exp(np.minimum(total, 700))[off > 0.01][0])
            raise ShapeError(
                f"{name}: the probabilities of an example sum to {wrong:.3g}, expected 1 "
                "(logits are for decision_function)"
            )
    outputs = np.full((n_examples, n_classes), -np.inf)
    with np.errstate(invalid="ignore"):
        outputs[:, columns] = values - total
    return torch.from_numpy(np.maximum(outputs, _FLOOR))  # a NaN stays one


def _arrays(split: Split) -> tuple[Any, np.ndarray]:
    """All inputs of the only run of a split, as an estimator takes them; and which examples count."""
    batch = of_run(split.span(0, split.n_examples), 0)
    return _as_arrays(batch.inputs), batch.valid.numpy()


def _as_arrays(inputs: Inputs) -> Any:
    """What a module takes as what an estimator takes: one array, or a tuple of windows and lengths."""
    arrays = tuple(value.detach().cpu().numpy() for value in inputs)
    return arrays[0] if len(arrays) == 1 else arrays


def _rows(inputs: Any, rows: np.ndarray) -> Any:
    return tuple(array[rows] for array in inputs) if isinstance(inputs, tuple) else inputs[rows]


# -- what went wrong --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _said_by(job: Job, doing: str) -> Iterator[None]:
    """What an estimator raises in the middle of a study, as an error that says whose it is."""
    try:
        yield
    except Exception as error:
        raise TrainingError(f"{job.model}: {job.factory.name} failed {doing}: {what_failed(error)}") from error


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _short(values: np.ndarray) -> str:
    return f"{values.tolist()[:10]}{'...' if values.size > 10 else ''}"


# -- kept until the model is done -------------------------------------------------------------------------------------


def _save(job: Job, path: Path, fits: _Fits) -> None:
    arrays = {f"diagnosed.{name}": np.ascontiguousarray(value) for name, value in fits.diagnosed.items()}
    arrays |= {f"outputs.{part}": value.numpy() for part, value in fits.outputs.items()}
    facts = _identity(job) | {"messages": fits.messages, "seconds": fits.seconds, "failures": fits.failures}
    with atomic_write(path) as file:
        file.write(save(arrays, metadata={"tenfold": json.dumps(facts)}))


def _restore(job: Job, path: Path) -> _Fits:
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads(file.metadata()["tenfold"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}
        messages, seconds, failures = facts["messages"], facts["seconds"], facts["failures"]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"checkpoint {path} cannot be read ({error}); delete it to fit its runs anew") from error
    for name, expected in _identity(job).items():
        if facts.get(name) != expected:
            raise CheckpointError(
                f"checkpoint {path} is of other runs: its {name} is {facts.get(name)!r}, expected {expected!r}; "
                "delete it to fit its runs anew"
            )
    named: dict[str, dict[str, np.ndarray]] = {"diagnosed": {}, "outputs": {}}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        named[kind][rest] = array
    outputs = {part: torch.from_numpy(array) for part, array in named["outputs"].items()}
    return _Fits(outputs, named["diagnosed"], messages, seconds, failures)


def _identity(job: Job) -> dict[str, Any]:
    """What a checkpoint and the job that goes on from it have in common, as JSON gives it back."""
    runs = [[run.config.label, run.repeat] for run in job.runs]
    return {"version": _VERSION, "model": job.model, "module": job.factory.name, "seed": job.seed, "runs": runs}
