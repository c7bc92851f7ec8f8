"""Models that are fitted and not trained: one fit a run, on the data and with the scores that networks have."""

from __future__ import annotations

import contextlib
import json
import random
import time
import traceback
import warnings
from collections.abc import Iterator
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

from tenfold.errors import RequestError, ShapeError, TenfoldError, TrainingError
from tenfold.files import atomic_write
from tenfold.models import Estimator
from tenfold.recipe import Config, Recipe
from tenfold.seeds import derive
from tenfold.tasks import TASKS, Examples, FitsEstimators, Inputs, Part, Task
from tenfold.train._loop import Outcome, _peak_bytes

if TYPE_CHECKING:
    from tenfold.train import Job

__all__ = ["fit_configs", "fit_runs", "try_estimator"]

_VERSION = 1
# Log-probability of what an estimator holds impossible: log(2^-52), where scikit-learn's log_loss clips too.
_FLOOR = float(np.log(np.finfo(np.float64).eps))
# A study's estimators are tried on so many examples of each class before anything is trained.
_TRY = 20


def fit_configs(recipe: Recipe) -> list[Config]:
    """The configs of a recipe that differ in what an estimator sees: those of the data; how to train is not for it."""
    trained = (*recipe.optimiser_values, *recipe.loss_values)
    fields = type(recipe).model_fields
    return recipe.model_copy(update={name: fields[name].default for name in trained}).configs()


@dataclass(frozen=True)
class _Fits:
    """What the fits of a job gave on the test part.

    Args:
        outputs: log-probabilities, float64 (runs, examples, classes).
        diagnosed: what the task finds beside, runs first.
        messages: what each run warned of, "" for nothing.
        seconds: of all runs.
    """

    outputs: Tensor
    diagnosed: dict[str, np.ndarray]
    messages: list[str]
    seconds: float


def fit_runs(job: Job, task: Task) -> Outcome:
    """Fit an estimator for each run of a job and score it on the test part.

    What an ended fit gave is kept in the job's checkpoint, so that a study that goes on does not fit it again; the
    estimator itself is kept nowhere, since nothing but a pickle could hold one of any kind.

    Raises:
        TrainingError: if an estimator fails, or the checkpoint is damaged or of other runs.
    """
    parts = _parts(job, task)
    if job.checkpoint is not None and job.checkpoint.is_file():
        fits = _restore(job, job.checkpoint)
    else:
        fits = _fit_all(job, task, parts["train"], parts["test"])
        if job.checkpoint is not None:
            _save(job, job.checkpoint, fits)
    outputs, targets = fits.outputs, parts["test"].targets
    finite = torch.isfinite(outputs).flatten(1).all(dim=1).numpy()
    scores = task.score(outputs, targets)
    lost = "log-probabilities on the test part are not finite"
    return Outcome(
        scores={name: np.where(finite, np.asarray(each, dtype=np.float64), np.nan) for name, each in scores.items()},
        status=["finished" if sound else "diverged" for sound in finite],
        epochs=[0] * len(job.runs),
        best_epoch=[None] * len(job.runs),
        messages=[said if sound else lost for said, sound in zip(fits.messages, finite, strict=True)],
        predictions=task.predictions(outputs, targets)
        | fits.diagnosed
        | {
            "setting": np.array([run.config.setting for run in job.runs], dtype=np.str_),
            "repeat": np.array([run.repeat for run in job.runs]),
        },
        weights={},
        seconds=fits.seconds,
        peak_bytes=_peak_bytes(torch.device("cpu")),
    )


def _parts(job: Job, task: Task) -> dict[Part, Examples]:
    repeats, settings = [run.repeat for run in job.runs], [run.config.data for run in job.runs]
    return task.examples(repeats, seed=job.seed, settings=settings)


def _fit_all(job: Job, task: Task, train: Examples, test: Examples) -> _Fits:
    assert isinstance(task, FitsEstimators)
    started = time.monotonic()
    targets, n_classes = task.fit_targets(train.targets)
    estimators: list[Estimator] = []
    messages: list[str] = []
    for at, run in enumerate(job.runs):
        with _said_by(job, f"in fitting repeat {run.repeat}"):
            inputs, of = _arrays(train.of_runs([at])), targets[at].numpy()
            estimator, said = _fitted(job, run.repeat, _rows(inputs, of >= 0), of[of >= 0])
        estimators.append(estimator)
        messages.append(said)

    def predict(*inputs: Tensor) -> Tensor:
        each = [_as_arrays(tuple(value[at] for value in inputs)) for at in range(len(estimators))]
        return torch.stack([_log_probabilities(one, its, n_classes) for one, its in zip(estimators, each, strict=True)])

    with _said_by(job, "in predicting the test part"):
        outputs = predict(*test.span(0, test.n_examples)[0])
        diagnosed = task.diagnose(predict, test)
    return _Fits(outputs, diagnosed, messages, time.monotonic() - started)


def try_estimator(job: Job, task: Task) -> None:
    """Fit an estimator twice on a few examples, so that what is wrong with it is said before anything is trained.

    Raises:
        RequestError: if the task has no classes to tell apart, or the estimator cannot be built, fitted, or is not the
            same when fitted again from the same seed.
        ShapeError: if its log-probabilities are not one row an example with one column a class.
    """
    if not isinstance(task, FitsEstimators):
        others = [kind for kind, other in TASKS.items() if hasattr(other, "fit_targets")]
        raise RequestError(
            f"{job.factory.name} is an estimator, which learns one class an example; the task '{task.kind}' has none "
            f"(tasks that have: {', '.join(others)})"
        )
    train = _parts(job.of_runs(job.runs[:1]), task)["train"]
    targets, n_classes = task.fit_targets(train.targets)
    of, inputs = targets[0].numpy(), _arrays(train)

    def once(rows: np.ndarray) -> Tensor:
        its = _rows(inputs, rows)
        try:
            estimator, _ = _fitted(job, job.runs[0].repeat, its, of[rows])
            return _log_probabilities(estimator, its, n_classes)
        except TenfoldError:
            raise
        except Exception as error:  # whatever an estimator raises
            raise RequestError(f"{job.factory.name} failed in fitting {len(rows)} examples: {_what(error)}") from error

    rows = np.concatenate([np.flatnonzero(of == label)[:_TRY] for label in range(n_classes)])
    try:
        outputs = once(rows)
    except ShapeError:
        raise
    except RequestError:
        if len(rows) == (of >= 0).sum():
            raise
        rows = np.flatnonzero(of >= 0)  # so few may be too few for it, such as for 50 principal components
        outputs = once(rows)
    task.check(outputs, len(rows))
    if not torch.allclose(outputs, once(rows), rtol=1e-6, atol=1e-6, equal_nan=True):
        raise RequestError(
            f"{job.factory.name} predicts otherwise when it is fitted again from one seed; draw random numbers from its "
            "random_state or from NumPy's, Python's or PyTorch's own generators, so that a run can be repeated"
        )


# -- one fit ----------------------------------------------------------------------------------------------------------


def _fitted(job: Job, repeat: int, inputs: Any, targets: np.ndarray) -> tuple[Estimator, str]:
    """An estimator of a run fitted to examples, and what it warned of."""
    import sklearn.utils  # noqa: F401  # its libraries have to be there for their threads to be limited

    seed = derive(job.seed, job.model, repeat, "estimator")
    with _seeded(seed), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = job.factory.build_estimator(seed)
        with threadpool_limits(1):  # the same sums in the same order in any process
            estimator.fit(inputs, targets)
    # Of a library's own future only its author has to know.
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
        if (off > 0.01).any():  # a NaN is no reason: that run has diverged
            wrong = float(np.exp(np.minimum(total, 700))[off > 0.01][0])
            raise ShapeError(
                f"{name}: the probabilities of an example sum to {wrong:.3g}, expected 1 "
                "(logits are for decision_function)"
            )
    outputs = np.full((n_examples, n_classes), -np.inf)
    with np.errstate(invalid="ignore"):
        outputs[:, columns] = values - total
    return torch.from_numpy(np.maximum(outputs, _FLOOR))  # a NaN stays one


def _arrays(examples: Examples) -> Any:
    """All inputs of the only run of these examples, as an estimator takes them."""
    inputs, _ = examples.span(0, examples.n_examples)
    return _as_arrays(tuple(value[0] for value in inputs))


def _as_arrays(inputs: Inputs) -> Any:
    """What a module takes as what an estimator takes: one array, or a tuple of windows and lengths."""
    arrays = tuple(value.detach().cpu().numpy() for value in inputs)
    return arrays[0] if len(arrays) == 1 else arrays


def _rows(inputs: Any, rows: np.ndarray) -> Any:
    return tuple(array[rows] for array in inputs) if isinstance(inputs, tuple) else inputs[rows]


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The generators of PyTorch, NumPy and Python seeded, for estimators that draw from them; then as they were."""
    numpys, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002  # what others draw from
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        np.random.set_state(numpys)  # noqa: NPY002
        random.setstate(pythons)


# -- what went wrong --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _said_by(job: Job, doing: str) -> Iterator[None]:
    """What an estimator raises in the middle of a study, as an error that says whose it is."""
    try:
        yield
    except Exception as error:
        raise TrainingError(f"{job.model}: {job.factory.name} failed {doing}: {_what(error)}") from error


def _what(error: Exception) -> str:
    """An exception in a line, with the place that raised it."""
    if isinstance(error, TenfoldError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {_first_line(str(error))} ({Path(place.filename).name}, line {place.lineno})"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _short(values: np.ndarray) -> str:
    return f"{values.tolist()[:10]}{'...' if values.size > 10 else ''}"


# -- kept until the model is done -------------------------------------------------------------------------------------


def _save(job: Job, path: Path, fits: _Fits) -> None:
    arrays = {f"diagnosed.{name}": np.ascontiguousarray(value) for name, value in fits.diagnosed.items()}
    arrays |= {"outputs": fits.outputs.numpy()}
    facts = _identity(job) | {"messages": fits.messages, "seconds": fits.seconds}
    with atomic_write(path) as file:
        file.write(save(arrays, metadata={"tenfold": json.dumps(facts)}))


def _restore(job: Job, path: Path) -> _Fits:
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads(file.metadata()["tenfold"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}
        outputs, messages, seconds = arrays.pop("outputs"), facts["messages"], facts["seconds"]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"checkpoint {path} cannot be read ({error}); delete it to fit its runs anew") from error
    for name, expected in _identity(job).items():
        if facts.get(name) != expected:
            raise TrainingError(
                f"checkpoint {path} is of other runs: its {name} is {facts.get(name)!r}, expected {expected!r}; "
                "delete it to fit its runs anew"
            )
    diagnosed = {name.removeprefix("diagnosed."): array for name, array in arrays.items()}
    return _Fits(torch.from_numpy(outputs), diagnosed, messages, seconds)


def _identity(job: Job) -> dict[str, Any]:
    """What a checkpoint and the job that goes on from it have in common, as JSON gives it back."""
    runs = [[run.config.setting, run.repeat] for run in job.runs]
    return {"version": _VERSION, "model": job.model, "module": job.factory.name, "seed": job.seed, "runs": runs}
