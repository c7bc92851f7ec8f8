"""A module and its task tried on a few examples, so that what is wrong is said before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tenfold.errors import RequestError, ShapeError, TenfoldError
from tenfold.execute._estimators import try_estimator
from tenfold.sampling import Batch, Inputs, Split, augmented
from tenfold.seeds import derive
from tenfold.stack import attributes, expect_alike, stack_trees, try_forward
from tenfold.tasks import ChecksOutput, FinalMetrics, Task
from tenfold.train import (
    OBJECTIVE,
    Job,
    RunId,
    State,
    epoch_batches,
    gradients,
    initial_carry,
    metrics_of,
    of_run,
    prepare,
)
from tenfold.wording import settings_text

__all__ = ["try_module"]


def try_module(job: Job, task: Task, *, primary: str | None = None) -> None:
    """Build one module per config and pass examples through it, as training and testing do.

    Args:
        job, task: what is tried; one run of each config.
        primary: the metric by which the study compares its models; the task's own by default.
    Raises:
        ShapeError: if the output is not what the task needs.
        RequestError: if the module cannot be built, is not the same when built again, or fails in its forward or
            backward pass; or if the task's metrics are not those that it names.
    """
    for run in _one_of_each(job):
        one = replace(job, runs=(run,), how="loop")
        if not job.factory.is_estimator:
            _try_building(job, [other for other in job.runs if other.config.index == run.config.index])
        found = try_estimator(one, task) if job.factory.is_estimator else _try(one, task)
        if (primary or task.spec.primary) not in found:
            raise RequestError(
                f"the task '{task.spec.kind}' does not give the primary metric '{primary or task.spec.primary}' for "
                f"{job.factory.name}; it gives {', '.join(sorted(found)) or 'none'}"
            )


def _one_of_each(job: Job) -> list[RunId]:
    """A run of every config that differs in more than settings such as the learning rate, which nothing can break."""
    firsts: dict[Any, RunId] = {}
    for run in job.runs:
        config = run.config
        firsts.setdefault((config.alike, settings_text({**config.options, **config.data, **config.loss})), run)
    return list(firsts.values())


def _try_building(job: Job, runs: Sequence[RunId]) -> None:
    """The first run built twice, from its seed, and the second once: they may differ in parameters and buffers only."""
    seeds = [derive(job.seed, job.model, run.repeat, "weights") for run in runs[:2]]
    module, again = (job.factory.build(seeds[0], **runs[0].config.options) for _ in range(2))
    expect_alike([module])
    _expect_same(job, module, again)
    if len(seeds) > 1:
        expect_alike([module, job.factory.build(seeds[1], **runs[1].config.options)])
    for name, value in module.state_dict().items():
        if not isinstance(value, Tensor):
            raise RequestError(
                f"{job.factory.name}: its state_dict has '{name}', which is a {type(value).__name__} and cannot be "
                "kept in a record; keep state in buffers in place of get_extra_state"
            )


def _try(job: Job, task: Task) -> set[str]:
    state, again = prepare(job, task), prepare(job, task)
    train, batches = state.parts["train"], epoch_batches(state)
    if state.carries:
        _expect_equal_batches(state, batches)
    n_examples = 2 if not state.carries else batches[0].shape[1]
    output, batch = _output(job, state, train, n_examples, first=True)
    _output(job, again, train, n_examples)  # buffers may change in evaluation: then of both
    if isinstance(task, ChecksOutput):
        task.check(of_run(output, 0), of_run(batch, 0))
    # The smallest batch of an epoch: what fails on small ones only, such as batch norm on one example, fails here.
    rows = min(batches, key=lambda rows: rows.shape[1])
    state.stack.train()
    try:
        batch = augmented(train.batch(rows), state.recipe, state.augment_keys, 0, train)
        carry = initial_carry(state, rows.shape[1])
        try_forward(state.stack.views()[0], of_run((*batch.inputs, *carry), 0), {}, recorded=True)
        losses, (outputs, _) = gradients(state, batch)
        again.stack.train()
        once_more, _ = gradients(again, batch)
        metrics_of(task, _checked_sums(task, task.sums(outputs, batch)))
    except TenfoldError:
        raise
    except (RuntimeError, ValueError) as error:
        raise RequestError(
            f"{job.factory.name} failed in training on a batch of {rows.shape[1]} ({train.n_examples} examples in "
            f"batches of {job.recipe.batch_size}): {error}"
        ) from error
    if not torch.equal(losses.nan_to_num(), once_more.nan_to_num()):
        raise RequestError(
            f"the loss of {job.factory.name} is {losses.item():g} and, computed again from the same seed, "
            f"{once_more.item():g}; draw random numbers in a task's loss by tenfold.seeds.uniform(hyper.key, "
            "hyper.step, count), so that a run can be repeated"
        )
    return _try_scores(job, state)


def _expect_same(job: Job, module: nn.Module, again: nn.Module) -> None:
    built, tensors = dict(again.named_parameters()) | dict(again.named_buffers()), dict(module.named_parameters())
    differ = [
        name for name, tensor in (tensors | dict(module.named_buffers())).items() if not _equal(tensor, built[name])
    ]
    kept = attributes(again)
    differ += [name for name, setting in attributes(module).items() if kept.get(name) != setting]
    if differ:
        raise RequestError(
            f"'{differ[0]}' of {job.factory.name} differs between two modules built from one seed; draw initial values "
            "from PyTorch's generator only, so that a run can be repeated"
        )


def _equal(one: Tensor, other: Tensor) -> bool:
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    return bool(((one == other) | ((one != one) & (other != other))).all())  # NaN is the same as NaN


def _expect_equal_batches(state: State, batches: Sequence[Tensor]) -> None:
    """A state that is carried from batch to batch has one size."""
    sizes = {part: {stop - start for start, stop in split.spans()} for part, split in state.parts.items()}
    for part, found in (sizes | {"train": {rows.shape[1] for rows in batches}}).items():
        if len(found) > 1:
            raise RequestError(
                f"the task '{state.task.spec.kind}' carries a state from batch to batch; expected batches of one size, "
                f"got {', '.join(map(str, sorted(found)))} in the {part} part"
            )


def _output(job: Job, state: State, split: Split, n_examples: int, *, first: bool = False) -> tuple[Any, Batch]:
    """Output of the only run for the first examples, runs first, in evaluation mode; tried the ``first`` time."""
    state.stack.eval()
    (view,) = state.stack.views()
    batch = split.span(0, n_examples)
    own, carry = of_run((batch, _first_carry(state, job, batch.valid.shape[1])), 0)
    with torch.no_grad():
        if first:
            try_forward(view, (*own.inputs, *carry), {}, recorded=True)
        output = view(*own.inputs, *carry)
    if state.carries:
        expected = [tuple(value.shape) for value in carry]
        got = [_shapes(part) for part in output] if isinstance(output, tuple | list) else []
        if len(got) != 2 or got[1] != expected:
            raise ShapeError(
                f"{job.factory.name}: expected (output, state), the state a tuple of tensors of shapes {expected} as "
                f"initial_state gives it, got {type(output).__name__}" + (f" with {got[-1]}" if got else "")
            )
        output = output[0]
    return stack_trees([output]), batch


def _first_carry(state: State, job: Job, batch_size: int) -> Inputs:
    """The carried state of the only run before the first batch; a module that does not give one is refused."""
    view: Any = state.stack.views()[0]
    found = view.initial_state(batch_size) if state.carries and hasattr(view, "initial_state") else None
    if state.carries and not isinstance(_shapes(found), list):
        raise RequestError(
            f"{job.factory.name}: the task '{state.task.spec.kind}' carries a state from batch to batch; the module "
            "needs initial_state(batch_size), which gives it at the beginning, a tuple of tensors"
        )
    return initial_carry(state, batch_size)


def _shapes(value: Any) -> Any:
    """Shapes of the tensors of a tuple; of anything else its type."""
    if isinstance(value, tuple | list) and value and all(isinstance(part, Tensor) for part in value):
        return [tuple(part.shape) for part in value]
    return type(value).__name__


def _checked_sums(task: Task, sums: dict[str, Tensor]) -> dict[str, Tensor]:
    """Sums of the only run, with the runs first: what was summed over them too would be one score for all."""
    for name, value in sums.items():
        if value.shape[:1] != (1,):
            raise ShapeError(
                f"the task '{task.spec.kind}': sums give '{name}' of shape {tuple(value.shape)}; expected the runs, "
                "here 1, first: sum over the examples only"
            )
    return sums


def _try_scores(job: Job, state: State) -> set[str]:
    """Metrics and predictions of the first batch of every part that is evaluated; the names of the metrics."""
    task, spec = state.task, state.task.spec
    named = {metric.name for metric in spec.metrics}
    if OBJECTIVE.name in named:
        raise RequestError(f"the task '{spec.kind}' names a metric '{OBJECTIVE.name}', as the training loss is called")
    sums: dict[str, Tensor] = {}
    kept: dict[str, np.ndarray] = {}
    for part, split in state.parts.items():
        if part == "train":
            continue
        _, stop = next(split.spans())
        output, batch = _output(job, state, split, stop)
        of_part = _checked_sums(task, task.sums(output, batch))
        if part == "validation":
            monitored = metrics_of(task, of_part)
            larger = [metric.name for metric in spec.metrics if metric.higher_is_better]
            if job.recipe.needs_validation and spec.monitor in larger:
                raise RequestError(
                    f"the task '{spec.kind}' monitors '{spec.monitor}', of which larger is better; early stopping and "
                    "the plateau schedule need a metric of which smaller is better, such as a loss"
                )
            if job.recipe.needs_validation and spec.monitor not in monitored:
                raise RequestError(
                    f"the task '{spec.kind}' monitors '{spec.monitor}', which its metrics_of does not give for the "
                    f"validation part; it gives {', '.join(monitored) or 'nothing'}"
                )
            continue
        sums |= of_part
        kept |= {name: value.cpu().numpy() for name, value in task.predictions(output, batch).items()}
    found = metrics_of(task, sums)
    found |= task.final_metrics(kept) if isinstance(task, FinalMetrics) else {}
    if unknown := sorted(found.keys() - named):
        raise RequestError(f"the task '{spec.kind}' gives a metric '{unknown[0]}', which its spec does not name")
    for name, values in {**found, **kept}.items():
        expected = (1,) if name in found else (1, *np.shape(values)[1:])
        if np.shape(values) != expected:
            raise ShapeError(
                f"the task '{spec.kind}' gives '{name}' of shape {np.shape(values)}; expected the runs, here 1, "
                f"{'and nothing else' if name in found else 'first'}"
            )
    return set(found)
