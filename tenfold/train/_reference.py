"""One run trained alone by a plain PyTorch loop: what the stack has to equal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from tenfold.recipe import Recipe
from tenfold.sampling import augmented
from tenfold.seeds import derive, generator
from tenfold.stack import replayable
from tenfold.tasks import Hyper, Task, carries
from tenfold.train._job import Job
from tenfold.train._schedules import factor
from tenfold.train._state import of_run, seeded_forward

__all__ = ["steps_alone", "train_alone"]


def train_alone(job: Job, task: Task, run: int = 0, *, max_steps: int | None = None) -> nn.Module:
    """The module of run ``run`` of a job after the steps of ``steps_alone``, by default all of them.

    Args:
        job, task, run: see ``steps_alone``.
        max_steps: stop after so many.
    """
    *_, (module, _loss) = islice(steps_alone(job, task, run), max_steps)
    return module


def steps_alone(job: Job, task: Task, run: int) -> Iterator[tuple[nn.Module, Tensor]]:
    """Train run ``run`` of a job as anyone would: one module, torch.optim on its parameters, a loop over batches.

    Nothing of the stack is used; only seeds, order of examples and dropout masks are the study's. For recipes without
    early stopping and without a plateau schedule, whose steps depend on validation scores.

    Args:
        job: ``how`` is ignored.
        task: the study's.
        run: position in ``job.runs``.
    Returns:
        Iterator: after each step the module, the same each time, its parameters with the gradients of that step; and
            the loss.
    """
    config, repeat = job.runs[run].config, job.runs[run].repeat
    recipe, dtype, device = config.recipe, getattr(torch, config.recipe.dtype), torch.device(job.device)
    module: Any = job.factory.build(derive(job.seed, job.model, repeat, "weights"), **config.options)
    module = replayable(module, key=derive(job.seed, job.model, repeat, "dropout")).to(device=device, dtype=dtype)
    train = task.splits([repeat], seed=job.seed, configs=[config])["train"].to(device, dtype)
    optimiser = _torch_optimiser(module, recipe)
    values = {name: torch.tensor(value, dtype=dtype, device=device) for name, value in config.loss.items()}
    key = torch.tensor(derive(job.seed, job.model, repeat, "loss"), device=device)
    augment_keys = torch.tensor([derive(job.seed, job.model, repeat, "augment")], device=device)
    done, n_steps = 0, 0
    module.train()
    for epoch in range(recipe.epochs):
        batches = task.batches(train, recipe, generator(job.seed, repeat, "order", epoch))
        n_steps = n_steps or recipe.epochs * len(batches)
        with torch.no_grad():
            carry: tuple = module.initial_state(len(batches[0])) if carries(task) else ()
        for rows in batches:
            batch = augmented(train.batch(rows.to(device)[None]), recipe, augment_keys, done, train)
            batch = of_run(batch, 0)
            if optimiser is not None:
                for group in optimiser.param_groups:
                    group["lr"] = recipe.lr * factor(done, n_steps, len(batches), recipe)
                optimiser.zero_grad()
            with seeded_forward(job.seed, job.model, repeat, done):
                output = module(*batch.inputs, *carry)
            if carries(task):
                output, carry = output
                carry = tree_map(torch.Tensor.detach, tuple(carry))
            loss = task.loss(output, batch, Hyper(recipe, values, key, torch.tensor(done, device=device)))
            if optimiser is not None:
                loss.backward()
                for parameter in module.parameters():
                    if parameter.grad is not None and parameter.grad.is_sparse:  # has no momentum, no weight decay
                        parameter.grad = parameter.grad.to_dense()
                if recipe.clip is not None:
                    nn.utils.clip_grad_norm_(module.parameters(), recipe.clip)
                optimiser.step()
            done += 1
            yield module, loss.detach()


def _torch_optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer | None:
    """None where nothing is trained."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not parameters:
        return None
    common: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=recipe.momentum, nesterov=recipe.nesterov, **common)
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, momentum=recipe.momentum, **common)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer](parameters, **common)
