"""A training state as one safetensors file, written atomically; a run that goes on from it is the unbroken run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from tenfold.errors import CheckpointError
from tenfold.files import atomic_write
from tenfold.recipe import Config
from tenfold.train._state import EpochSoFar, State, freeze
from tenfold.wording import value_text

__all__ = ["restore", "save_checkpoint"]

_VERSION = 4


def save_checkpoint(state: State, path: Path) -> None:
    """Write ``state`` to ``path``; a crash leaves the earlier file or the new one, never half of one."""
    tensors = {f"stack.{name}": tensor for name, tensor in _stack_tensors(state).items()}
    for at, entry in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimizer.{at}.{name}": value for name, value in entry.items() if isinstance(value, Tensor)}
    tensors |= {f"best.{name}": tensor for name, tensor in (state.best or {}).items()}
    so_far = state.epoch
    tensors |= {f"epoch.sums.{name}": value for name, value in so_far.sums.items()}
    tensors |= {f"epoch.carry.{at}": value for at, value in enumerate(so_far.carry)}
    tensors |= {} if so_far.losses is None else {"epoch.losses": so_far.losses}
    tensors |= {"frozen": state.frozen, "best_loss": state.best_loss}
    if state.plateau is not None:
        tensors |= {f"plateau.{name}": getattr(state.plateau, name) for name in ("factors", "best", "waited")}
    facts = _identity(state) | {
        "steps_done": state.steps_done,
        "epochs_done": state.epochs_done,
        "epoch_steps": so_far.steps,
        "epoch_examples": so_far.examples,
        "diverged_at": state.diverged_at,
        "best_epoch": state.best_epoch,
        "history": state.history,
        "pieces": state.pieces.starts,
    }
    # safetensors refuses tensors that share memory, as the views of a flat stack do.
    owned = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    with atomic_write(path) as file:
        file.write(save(owned, metadata={"tenfold": json.dumps(facts)}))


def restore(state: State, path: Path) -> None:
    """Bring a freshly initialised ``state`` to where the file at ``path`` was written.

    Raises:
        CheckpointError: if the file is damaged, of other runs, or of a module that has changed since.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["tenfold"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint {path} cannot be read ({error}); delete it to train its runs anew"
        ) from error
    for name, expected in _identity(state).items():
        if facts.get(name) != expected:
            name, got, expected = _first_difference(name, facts.get(name), expected)
            raise CheckpointError(
                f"checkpoint {path} is of other runs: its {name} is {got!r}, expected {expected!r}; "
                "delete it to train its runs anew"
            )
    own = _stack_tensors(state)
    stored = {name[6:]: tensor for name, tensor in tensors.items() if name.startswith("stack.")}
    for name in [*own, *stored]:
        if name not in own or name not in stored or own[name].shape != stored[name].shape:
            raise CheckpointError(
                f"checkpoint {path} is of another version of the module ('{name}' differs); "
                "delete it to train its runs anew"
            )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[f"stack.{name}"])
    for run, starts in enumerate(facts["pieces"]):
        for start in starts:
            state.pieces.cut(state.optimiser, run, start)
    _restore_optimiser(state, tensors)
    best = {name[5:]: tensor for name, tensor in tensors.items() if name.startswith("best.")}
    state.best = {name: value.to(state.gradient.device) for name, value in best.items()} or None
    state.best_loss = tensors["best_loss"]
    if state.plateau is not None:
        for name in ("factors", "best", "waited"):
            setattr(state.plateau, name, tensors[f"plateau.{name}"])
    freeze(state, tensors["frozen"])
    state.epoch = _restored_epoch(facts, tensors, state.gradient.device)
    state.steps_done, state.epochs_done = facts["steps_done"], facts["epochs_done"]
    state.diverged_at, state.best_epoch = facts["diverged_at"], facts["best_epoch"]
    state.history = facts["history"]


def _restored_epoch(facts: Mapping[str, Any], tensors: Mapping[str, Tensor], device: torch.device) -> EpochSoFar:
    of_epoch = {
        name.removeprefix("epoch."): value.to(device) for name, value in tensors.items() if name.startswith("epoch.")
    }
    sums = {name.removeprefix("sums."): value for name, value in of_epoch.items() if name.startswith("sums.")}
    n_carried = sum(name.startswith("carry.") for name in of_epoch)
    carry = tuple(of_epoch[f"carry.{at}"] for at in range(n_carried))
    return EpochSoFar(facts["epoch_steps"], facts["epoch_examples"], of_epoch.get("losses"), sums, carry)


def _identity(state: State) -> dict[str, Any]:
    """What a checkpoint and the state that it is restored to have in common, as JSON gives it back."""
    return {
        "version": _VERSION,
        "model": state.model,
        "seed": state.seed,
        "runs": [[run.config.label, run.repeat] for run in state.runs],
        "settings": [_settings(run.config) for run in state.runs],
    }


def _settings(config: Config) -> dict[str, Any]:
    """Recipe and constructor arguments of a run."""
    return {name: value_text(value) for name, value in config.options.items()} | config.recipe.model_dump(mode="json")


def _first_difference(name: str, got: Any, expected: Any) -> tuple[str, Any, Any]:
    """Of long lists only the setting that differs, of the first run in which one does."""
    if name == "settings" and isinstance(got, list) and len(got) == len(expected):
        for its, own in zip(got, expected, strict=True):
            for key in [*own, *its]:
                if its.get(key) != own.get(key):
                    return key, its.get(key), own.get(key)
    return name, got, expected


def _restore_optimiser(state: State, tensors: dict[str, Tensor]) -> None:
    entries: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, at, key = name.split(".", 2)
            entries.setdefault(int(at), {})[key] = tensor
    own = state.optimiser.state_dict()
    state.optimiser.load_state_dict({"state": entries, "param_groups": own["param_groups"]})


def _stack_tensors(state: State) -> dict[str, Tensor]:
    return dict(state.stack.runs.named_parameters()) | dict(state.stack.runs.named_buffers())
