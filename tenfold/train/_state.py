"""The state of some runs of one model in training, and one step of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from tenfold.recipe import Config, Recipe
from tenfold.sampling import Batch, Inputs, Part, Split, augmented
from tenfold.seeds import derive, generator
from tenfold.stack import How, Stack, stack_trees
from tenfold.tasks import Hyper, Task, carries, is_built_in
from tenfold.train._optimisers import make_optimiser, set_rates
from tenfold.train._pieces import Pieces, spans_without
from tenfold.train._schedules import Plateau, factor

__all__ = ["RunId", "State", "init", "step"]

Build = Callable[[Config, int], nn.Module]

# Recording a step (0.1 to 0.5 s) is paid back after so many steps, about.
_RECORD_FROM_STEPS = 300
# A part of the data is laid out run by run where it takes no more than this.
_LAID_OUT_BYTES = 2**28


@dataclass(frozen=True)
class RunId:
    """One run of a model: its config and its repeat."""

    config: Config
    repeat: int


@dataclass
class EpochSoFar:
    """What the steps of an epoch that has not ended have given.

    Args:
        steps: taken.
        examples: of each run.
        losses: sum over examples of the training loss, (runs,); None before the first step.
        sums: of the task, (runs, ...) each.
        carry: the state that the next step begins with, runs first.
    """

    steps: int = 0
    examples: int = 0
    losses: Tensor | None = None
    sums: dict[str, Tensor] = field(default_factory=dict)
    carry: Inputs = ()

    def add(self, losses: Tensor, sums: Mapping[str, Tensor], n_examples: int) -> None:
        """One more step of ``n_examples`` per run: its losses, (runs,), and the task's sums."""
        weighted = losses * n_examples
        self.losses = weighted if self.losses is None else self.losses + weighted
        self.sums = added(self.sums, sums)
        self.examples += n_examples
        self.steps += 1


def added(sums: Mapping[str, Tensor], more: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sums of two stretches of batches; one may lack names of the other."""
    return dict(sums) | {name: sums[name] + value if name in sums else value for name, value in more.items()}


@dataclass
class State:
    """Everything that changes while R runs train. ``step`` advances it; a checkpoint holds all of it."""

    stack: Stack
    runs: tuple[RunId, ...]
    recipe: Recipe  # what the runs share of theirs
    task: Task
    parts: dict[Part, Split]
    optimiser: torch.optim.Optimizer
    pieces: Pieces
    gradient: Tensor  # (runs, parameters)
    loss_values: dict[str, Tensor]  # by name, (runs, ...): see tenfold.tasks.Hyper
    augment_keys: Tensor  # (runs,)
    model: str
    seed: int
    n_steps: int
    steps_per_epoch: int
    epoch: EpochSoFar = field(default_factory=EpochSoFar)
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
        self.carries = carries(self.task)
        # One object for all steps: a compiled stack keeps what it compiled by it.
        self.loss_and_output = partial(_loss_and_output, self.task, self.recipe, self.carries)

    @property
    def n_runs(self) -> int:
        return len(self.runs)


def init(
    build: Build,
    runs: Sequence[RunId],
    *,
    task: Task,
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
        runs: config and repeat of each; their recipes differ in settings per run only (``Config.alike``).
        task: data, loss, metrics.
        model: name in the study, part of every seed.
        seed: the study's.
        how, compiled, recorded: see Stack; recorded None for where it pays.
        device: where to train.
    """
    runs, recipe = tuple(runs), runs[0].config.recipe
    dtype = getattr(torch, recipe.dtype)
    splits = task.splits([run.repeat for run in runs], seed=seed, configs=[run.config for run in runs])
    parts = {part: split.to(device, dtype).laid_out(most_bytes=_LAID_OUT_BYTES) for part, split in splits.items()}
    steps_per_epoch = len(_batches_of_run(task, parts["train"].of_run(0), recipe, seed, runs[0].repeat, 0))
    n_steps = recipe.epochs * steps_per_epoch
    recorded = n_steps >= _RECORD_FROM_STEPS if recorded is None else recorded
    recorded = recorded and is_built_in(task)  # the loss of another may be Python that a recording would not repeat
    modules = [build(run.config, derive(seed, model, run.repeat, "weights")) for run in runs]
    keys = [derive(seed, model, run.repeat, "dropout") for run in runs]
    stack = Stack(modules, keys=keys, how=how, compiled=compiled, recorded=recorded).to(device=device, dtype=dtype)
    flat = stack.flatten_()
    gradient = torch.zeros_like(flat)
    pieces = Pieces(flat, gradient, [parameter[0].numel() for parameter in stack.trainable()])
    augment_keys = [derive(seed, model, run.repeat, "augment") for run in runs]
    return State(
        stack=stack,
        runs=runs,
        recipe=recipe,
        task=task,
        parts=parts,
        optimiser=make_optimiser(pieces.whole, [run.config.recipe for run in runs]),
        pieces=pieces,
        gradient=gradient,
        loss_values=_loss_values(runs, seed=seed, model=model, dtype=dtype, device=device),
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
    runs: Sequence[RunId], *, seed: int, model: str, dtype: torch.dtype, device: torch.device
) -> dict[str, Tensor]:
    """What the loss of every run takes beside output and batch, runs first."""
    settings = [run.config.loss for run in runs]
    values = {name: torch.tensor([each[name] for each in settings], dtype=dtype, device=device) for name in settings[0]}
    keys = [derive(seed, model, run.repeat, "loss") for run in runs]
    return values | {
        "key": torch.tensor(keys, device=device),
        "step": torch.zeros(len(runs), dtype=torch.int64, device=device),
    }


# -- batches ----------------------------------------------------------------------------------------------------------


def epoch_batches(state: State) -> list[Tensor]:
    """Training examples of each step of the coming epoch, (runs, batch) each: of seed, repeat and epoch only."""
    train = state.parts["train"]
    of_runs = [
        _batches_of_run(state.task, train.of_run(at), state.recipe, state.seed, run.repeat, state.epochs_done)
        for at, run in enumerate(state.runs)
    ]
    sizes = [len(rows) for rows in of_runs[0]]
    assert all([len(rows) for rows in batches] == sizes for batches in of_runs), "runs of a stack take equal batches"
    every = torch.stack([torch.cat(list(batches)) for batches in of_runs]).to(state.gradient.device)
    return list(every.split(sizes, dim=1))


def _batches_of_run(task: Task, split: Split, recipe: Recipe, seed: int, repeat: int, epoch: int) -> Sequence[Tensor]:
    return task.batches(split, recipe, generator(seed, repeat, "order", epoch))


def initial_carry(state: State, batch_size: int) -> Inputs:
    """The carried state of all runs before the first batch, (runs, ...) each; empty where none is carried."""
    if not state.carries:
        return ()
    views: list[Any] = list(state.stack.views())
    with torch.no_grad():  # given and not trained, in a stack as in a loop
        of_runs: list[Inputs] = [view.initial_state(batch_size) for view in views]
    return tuple(torch.stack(carries) for carries in zip(*of_runs, strict=True))


# -- one step ---------------------------------------------------------------------------------------------------------


def step(state: State, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """One optimiser step of every run that is not frozen.

    Args:
        state: advanced in place, but for ``state.epoch``, of which only the carried state moves on.
        rows: int64, shape (runs, batch): which training examples.
    Returns:
        (Tensor, dict): the loss of every run, shape (runs,), and the task's sums, runs first; detached.
    """
    split = state.parts["train"]
    batch = augmented(split.batch(rows), state.recipe, state.augment_keys, state.steps_done, split)
    state.loss_values["step"].fill_(state.steps_done)
    losses, (outputs, state.epoch.carry) = gradients(state, batch)
    _clip(state)
    common = factor(state.steps_done, state.n_steps, state.steps_per_epoch, state.recipe)
    set_rates(state.optimiser, common, None if state.plateau is None else state.plateau.factors)
    state.optimiser.step()
    state.steps_done += 1
    return losses, state.task.sums(outputs, batch)


def freeze(state: State, which: Tensor) -> None:
    """Leave these runs as they are from now on."""
    state.frozen |= which
    for run in which.nonzero().flatten().tolist():
        state.pieces.stop(run)


def _loss_and_output(
    task: Task, recipe: Recipe, carries: bool, output: Any, batch: Batch, values: dict[str, Tensor]
) -> tuple[Tensor, tuple[Any, Inputs]]:
    """Of one run: its loss; its output and the state that it carries on."""
    carry: Inputs = ()
    if carries:
        output, carry = output
    return task.loss(output, batch, hyper_of(recipe, values)), (output, tuple(carry))


def hyper_of(recipe: Recipe, values: dict[str, Tensor]) -> Hyper:
    """What the loss of one run takes beside output and batch."""
    own = {name: value for name, value in values.items() if name not in ("key", "step")}
    return Hyper(recipe, own, values["key"], values["step"])


def gradients(state: State, batch: Batch) -> tuple[Tensor, tuple[Any, Inputs]]:
    """Fill ``state.gradient`` with the gradient of every run's loss; losses, outputs and carried state, detached."""
    if not state.epoch.carry:
        state.epoch.carry = initial_carry(state, batch.valid.shape[1])
    if state.stack.how == "vmap":
        inputs = (*batch.inputs, *state.epoch.carry)
        losses, rest, grads = state.stack.gradients(state.loss_and_output, inputs, (batch, state.loss_values))
        _keep(state, range(state.n_runs), grads, state.gradient)
        return losses, rest
    losses, rests = [], []
    for run, view in enumerate(state.stack.views()):
        own, values, carry = of_run((batch, state.loss_values, state.epoch.carry), run)
        with seeded_forward(state.seed, state.model, state.runs[run].repeat, state.steps_done):
            output = view(*own.inputs, *carry)
        if state.carries:
            output, carry = output
        loss = state.task.loss(output, own, hyper_of(state.recipe, values))
        parameters = [parameter for parameter in view.parameters() if parameter.requires_grad]
        if parameters and not state.frozen[run]:
            _keep(state, [run], torch.autograd.grad(loss, parameters, allow_unused=True), state.gradient[run])
        losses.append(loss.detach())
        rests.append(tree_map(lambda value: None if value is None else value.detach(), (output, tuple(carry))))
    state.stack.keep_buffers()
    return torch.stack(losses), stack_trees(rests)


def _keep(state: State, runs: Sequence[int], gradients: Sequence[Tensor | None], rows: Tensor) -> None:
    """Copy the gradients of these runs into ``rows``; what has none is left out of the coming step, as in torch.optim.

    One copy each: gradients of dense layers come transposed, and a reshape before ``torch.cat`` would copy them twice.

    Args:
        runs: which.
        gradients: one for each parameter, (runs, ...) or of one run.
        rows: (runs, numbers of one run) or (numbers,).
    """
    sizes, start = state.pieces.sizes, 0
    for gradient, size in zip(gradients, sizes, strict=True):
        place = rows[..., start : start + size]
        start += size
        if gradient is None:
            place.zero_()
            continue
        dense = gradient.to_dense() if gradient.layout != torch.strided else gradient  # of nn.Embedding(sparse=True)
        place.view(gradient.shape).copy_(dense)
    spans = spans_without(gradients, sizes)
    for run in runs:
        state.pieces.leave_out(state.optimiser, run, spans)


def of_run(tree: Any, run: int) -> Any:
    """Tensors (runs, ...) in any tree, those of one run; None stays None."""
    return tree_map(lambda value: None if value is None else value[run], tree)


@contextlib.contextmanager
def seeded_forward(seed: int, model: str, repeat: int, step: int) -> Iterator[None]:
    """PyTorch's own generator seeded for one step of one run, for modules that draw from it in their forward pass.

    Only outside of vmap, which refuses such modules. Not torch.manual_seed, which is a hundred times slower.
    """
    number = derive(seed, model, repeat, "forward", step)
    before = torch.default_generator.get_state()
    before_on_gpu = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
    torch.default_generator.manual_seed(number)
    if before_on_gpu is not None:
        torch.cuda.manual_seed(number)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)
        if before_on_gpu is not None:
            torch.cuda.set_rng_state(before_on_gpu)


def _clip(state: State) -> None:
    """Scale each run's gradient to its largest norm; the numbers of torch.nn.utils.clip_grad_norm_."""
    limits = [run.config.recipe.clip for run in state.runs]
    if all(limit is None for limit in limits):
        return
    limit = torch.tensor([math.inf if value is None else value for value in limits], dtype=torch.float64)
    limit = limit.to(state.gradient.device, state.gradient.dtype)
    norm = state.gradient.norm(dim=1)
    state.gradient.mul_((limit / (norm + 1e-6)).clamp(max=1.0)[:, None])
