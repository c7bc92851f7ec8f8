"""One run trained alone by a plain PyTorch loop: what the stack has to equal."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from tenfold.recipe import Config, Recipe
from tenfold.seeds import derive, generator
from tenfold.stack import replayable
from tenfold.tasks import Task
from tenfold.train._augment import augmented
from tenfold.train._job import Job
from tenfold.train._schedules import factor
from tenfold.train._state import seeded_forward

__all__ = ["train_alone"]


def train_alone(job: Job, task: Task, run: int = 0, *, max_steps: int | None = None) -> nn.Module:
    """Train run ``run`` of a job as anyone would: one module, torch.optim on its parameters, a loop over batches.

    Nothing of the stack is used; only seeds, order of examples and dropout masks are the study's. For recipes
    without early
    stopping and without a plateau schedule, whose steps depend on validation scores.

    Args:
        job: ``how`` is ignored.
        task: the study's.
        run: position in ``job.runs``.
        max_steps: stop after so many.
    """
    config, repeat, recipe = job.runs[run].config, job.runs[run].repeat, job.recipe
    dtype, device = getattr(torch, recipe.dtype), torch.device(job.device)
    options: dict[str, Any] = {} if config.dropout is None else {"dropout": config.dropout}
    module = job.factory.build(derive(job.seed, job.model, repeat, "weights"), **options)
    module = replayable(module, key=derive(job.seed, job.model, repeat, "dropout")).to(device=device, dtype=dtype)
    train = task.examples([repeat], seed=job.seed, settings=[config.data])["train"].to(device, dtype)
    optimiser = _torch_optimiser(module, config, recipe)
    values = {
        name: torch.tensor(value, dtype=dtype, device=device) for name, value in recipe.loss_settings(config).items()
    }
    values["key"] = torch.tensor(derive(job.seed, job.model, repeat, "loss"), device=device)
    keys = torch.tensor([derive(job.seed, job.model, repeat, "augment")], device=device)
    steps_per_epoch = math.ceil(train.n_examples / recipe.batch_size)
    n_steps = recipe.epochs * steps_per_epoch
    done = 0
    module.train()
    for epoch in range(recipe.epochs):
        its = {name: value[0] for name, value in train.targets.items()}
        order = task.order(its, recipe, generator(job.seed, repeat, "order", epoch)).to(device)
        for rows in order.split(recipe.batch_size):
            inputs, targets = train.batch(rows[None])
            inputs = augmented(inputs, recipe, keys, done, train)
            for group in optimiser.param_groups:
                group["lr"] = config.lr * factor(done, n_steps, steps_per_epoch, recipe)
            optimiser.zero_grad()
            with seeded_forward(job.seed, job.model, repeat, done):
                output = module(*(value[0] for value in inputs))
            values["step"] = torch.tensor(done, device=device)
            loss = task.loss(output, {name: value[0] for name, value in targets.items()}, values, recipe)
            loss.backward()
            if config.clip is not None:
                nn.utils.clip_grad_norm_(module.parameters(), config.clip)
            optimiser.step()
            done += 1
            if done == max_steps:
                return module
    return module


def _torch_optimiser(module: nn.Module, config: Config, recipe: Recipe) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=config.momentum, nesterov=recipe.nesterov, **common)
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, momentum=config.momentum, **common)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer](parameters, **common)
