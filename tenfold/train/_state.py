"""The state of some runs of one model in training, and one step of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from tenfold.recipe import Config, Recipe
from tenfold.seeds import derive, generator
from tenfold.stack import How, Stack
from tenfold.tasks import Examples, Inputs, Part, Task
from tenfold.train._augment import augmented
from tenfold.train._optimisers import make_optimiser, set_rates
from tenfold.train._schedules import Plateau, factor

__all__ = ["RunId", "State", "init", "step"]

Build = Callable[[Config, int], nn.Module]

# Recording a step (0.1 to 0.5 s) is paid back after so many steps, about.
_RECORD_FROM_STEPS = 300
# A part of the data is laid out run by run where it takes no more than this.
_GATHER_BYTES = 2**28


@dataclass(frozen=True)
class RunId:
    """One run of a model: its config values and its repeat."""

    config: Config
    repeat: int


@dataclass
class State:
    """Everything that changes while R runs train. ``step`` advances it; a checkpoint holds all of it."""

    stack: Stack
    runs: tuple[RunId, ...]
    recipe: Recipe
    task: Task
    parts: dict[Part, Examples]
    optimiser: torch.optim.Optimizer
    rows: list[nn.Parameter]
    gradient: Tensor  # (runs, parameters)
    loss_values: dict[str, Tensor]  # by name, (runs, ...): see Task.loss
    augment_keys: Tensor  # (runs,)
    model: str
    seed: int
    n_steps: int
    steps_per_epoch: int
    steps_done: int = 0
    epochs_done: int = 0
    frozen: Tensor = field(default_factory=lambda: torch.zeros(0))  # (runs,) bool: stopped or diverged
    diverged_at: list[int | None] = field(default_factory=list)  # epoch, where a run left the finite numbers
    best_loss: Tensor = field(default_factory=lambda: torch.zeros(0))  # (runs,) float64, on validation
    best_epoch: list[int] = field(default_factory=list)
    best: dict[str, Tensor] | None = None  # parameters and buffers of every run's best epoch
    plateau: Plateau | None = None
    history: list[dict[str, dict[str, list[float]]]] = field(default_factory=list)  # epoch -> part -> metric -> runs

    def __post_init__(self) -> None:
        # One object for all steps: a compiled stack keeps what it compiled by it.
        self.loss_and_output = partial(_loss_and_output, self.task, self.recipe)

    @property
    def n_runs(self) -> int:
        return len(self.runs)


def init(
    build: Build,
    runs: Sequence[RunId],
    *,
    task: Task,
    recipe: Recipe,
    model: str,
    seed: int,
    how: How,
    device: torch.device,
    compiled: bool = False,
    recorded: bool | None = None,
) -> State:
    """Build the runs from their seeds and lay out everything that training them needs.

    Args:
        build: makes the module of one run from its config and the seed of its initial weights.
        runs: config and repeat of each.
        task: data, loss, metrics.
        recipe: budget and optimiser.
        model: name in the study, part of every seed.
        seed: the study's.
        how, compiled, recorded: see Stack; recorded None for where it pays.
        device: where to train.
    """
    dtype = getattr(torch, recipe.dtype)
    runs = tuple(runs)
    parts: dict[Part, Examples] = {}
    for part, examples in task.examples(
        [run.repeat for run in runs], seed=seed, settings=[run.config.data for run in runs]
    ).items():
        examples = examples.to(device, dtype)
        parts[part] = examples.gathered() if examples.gathered_bytes <= _GATHER_BYTES else examples
    steps_per_epoch = math.ceil(parts["train"].n_examples / recipe.batch_size)
    n_steps = recipe.epochs * steps_per_epoch
    if recorded is None:
        recorded = n_steps >= _RECORD_FROM_STEPS
    # A loss of someone else's may do more than tensor operations, which a recording would not repeat.
    recorded = recorded and type(task).__module__.startswith("tenfold.")
    modules = [build(run.config, derive(seed, model, run.repeat, "weights")) for run in runs]
    keys = [derive(seed, model, run.repeat, "dropout") for run in runs]
    stack = Stack(modules, keys=keys, how=how, compiled=compiled, recorded=recorded).to(device=device, dtype=dtype)
    flat = stack.flatten_()
    gradient = torch.zeros_like(flat)
    rows = [nn.Parameter(row) for row in flat]
    for row, grad in zip(rows, gradient, strict=True):
        row.grad = grad
    augment_keys = [derive(seed, model, run.repeat, "augment") for run in runs]
    return State(
        stack=stack,
        runs=runs,
        recipe=recipe,
        task=task,
        parts=parts,
        optimiser=make_optimiser(rows, [run.config for run in runs], recipe),
        rows=rows,
        gradient=gradient,
        loss_values=_loss_values(recipe, runs, seed=seed, model=model, dtype=dtype, device=device),
        augment_keys=torch.tensor(augment_keys, device=device),
        model=model,
        seed=seed,
        n_steps=n_steps,
        steps_per_epoch=steps_per_epoch,
        frozen=torch.zeros(len(runs), dtype=torch.bool),
        diverged_at=[None] * len(runs),
        best_loss=torch.full((len(runs),), math.inf, dtype=torch.float64),
        best_epoch=[0] * len(runs),
        plateau=Plateau(len(runs), gamma=recipe.gamma, patience=recipe.plateau_epochs)
        if recipe.schedule == "plateau"
        else None,
    )


def _loss_values(
    recipe: Recipe, runs: Sequence[RunId], *, seed: int, model: str, dtype: torch.dtype, device: torch.device
) -> dict[str, Tensor]:
    """What the loss of every run takes beside outputs and targets, runs first."""
    settings = [recipe.loss_settings(run.config) for run in runs]
    values = {name: torch.tensor([each[name] for each in settings], dtype=dtype, device=device) for name in settings[0]}
    keys = [derive(seed, model, run.repeat, "loss") for run in runs]
    return values | {
        "key": torch.tensor(keys, device=device),
        "step": torch.zeros(len(runs), dtype=torch.int64, device=device),
    }


def epoch_order(state: State) -> Tensor:
    """Which training examples the coming epoch goes through, (runs, examples): of seed, repeat and epoch only."""
    targets = state.parts["train"].targets
    orders = [
        state.task.order(
            {name: value[at] for name, value in targets.items()},
            state.recipe,
            generator(state.seed, run.repeat, "order", state.epochs_done),
        )
        for at, run in enumerate(state.runs)
    ]
    return torch.stack(orders).to(state.gradient.device)


def step(state: State, rows: Tensor) -> tuple[Tensor, Any]:
    """One optimiser step of every run that is not frozen.

    Args:
        state: advanced in place.
        rows: int64, shape (runs, batch): which training examples.
    Returns:
        (Tensor, outputs): the loss of every run, shape (runs,), and the module outputs, runs first; both detached.
    """
    inputs, targets = state.parts["train"].batch(rows)
    inputs = augmented(inputs, state.recipe, state.augment_keys, state.steps_done, state.parts["train"])
    state.loss_values["step"].fill_(state.steps_done)
    losses, outputs = _gradients(state, inputs, targets)
    _clip(state)
    common = factor(state.steps_done, state.n_steps, state.steps_per_epoch, state.recipe)
    set_rates(state.optimiser, common, None if state.plateau is None else state.plateau.factors)
    state.optimiser.step()
    state.steps_done += 1
    return losses, outputs


def freeze(state: State, which: Tensor) -> None:
    """Leave these runs as they are from now on. The optimiser skips rows without a gradient."""
    state.frozen |= which
    for run in which.nonzero().flatten().tolist():
        state.rows[run].grad = None


def _loss_and_output(
    task: Task, recipe: Recipe, output: Any, targets: dict[str, Tensor], values: dict[str, Tensor]
) -> tuple[Tensor, Any]:
    return task.loss(output, targets, values, recipe), output


def _gradients(state: State, inputs: Inputs, targets: dict[str, Tensor]) -> tuple[Tensor, Any]:
    """Fill ``state.gradient`` with the gradient of every run's loss."""
    if state.stack.how == "loop":
        return _gradients_in_a_loop(state, inputs, targets)

    losses, outputs, grads = state.stack.gradients(state.loss_and_output, inputs, (targets, state.loss_values))
    _lay_side_by_side(grads, state.gradient)
    return losses, outputs


def _lay_side_by_side(tensors: Sequence[Tensor], rows: Tensor) -> None:
    """Copy tensors, (runs, ...) or of one run, into ``rows``, (runs, parameters) or (parameters,).

    One copy each: gradients of dense layers come transposed, and a reshape before ``torch.cat`` would copy them twice.
    """
    start = 0
    for tensor in tensors:
        shape = tensor.shape[rows.dim() - 1 :]
        size = shape.numel()
        rows[..., start : start + size].view(tensor.shape).copy_(tensor)
        start += size


def _gradients_in_a_loop(state: State, inputs: Inputs, targets: dict[str, Tensor]) -> tuple[Tensor, Any]:
    losses, outputs = [], []
    for run, config in enumerate(state.stack.views()):
        with seeded_forward(state.seed, state.model, state.runs[run].repeat, state.steps_done):
            output = config(*(value[run] for value in inputs))
        its = {name: value[run] for name, value in targets.items()}
        values = {name: value[run] for name, value in state.loss_values.items()}
        loss = state.task.loss(output, its, values, state.recipe)
        parameters = [parameter for parameter in config.parameters() if parameter.requires_grad]
        if parameters and not state.frozen[run]:
            grads = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
            _lay_side_by_side(grads, state.gradient[run])
        losses.append(loss.detach())
        outputs.append(tree_map(Tensor.detach, output))
    return torch.stack(losses), stack_outputs(outputs)


@contextlib.contextmanager
def seeded_forward(seed: int, model: str, repeat: int, step: int) -> Iterator[None]:
    """PyTorch's own generator seeded for one step of one run, for modules that draw from it in their forward pass.

    Only outside of vmap, which refuses such modules. Not torch.manual_seed, which is a hundred times slower.
    """
    number = derive(seed, model, repeat, "forward", step)
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(number)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)


def _clip(state: State) -> None:
    """Scale each run's gradient to its largest norm; the numbers of torch.nn.utils.clip_grad_norm_."""
    limits = [run.config.clip for run in state.runs]
    if all(limit is None for limit in limits):
        return
    limit = torch.tensor([math.inf if value is None else value for value in limits], dtype=torch.float64)
    limit = limit.to(state.gradient.device, state.gradient.dtype)
    norm = state.gradient.norm(dim=1)
    state.gradient.mul_((limit / (norm + 1e-6)).clamp(max=1.0)[:, None])


def stack_outputs(outputs: list[Any]) -> Any:
    """Outputs of single runs with the runs as a new first axis."""
    if isinstance(outputs[0], Tensor):
        return torch.stack(outputs)
    return tuple(stack_outputs([output[i] for output in outputs]) for i in range(len(outputs[0])))


def join_batches(outputs: list[Any]) -> Any:
    """Outputs (runs, batch, ...) of consecutive batches as one along the batch axis."""
    if isinstance(outputs[0], Tensor):
        return torch.cat(outputs, dim=1)
    return tuple(join_batches([output[i] for output in outputs]) for i in range(len(outputs[0])))
