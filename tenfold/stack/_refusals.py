"""What a stack cannot compute for all runs at once, said to the person who wrote the module."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.spectral_norm import SpectralNorm

from tenfold.errors import RequestError, TrainingError
from tenfold.stack._attributes import class_name
from tenfold.stack._trees import no_tensors

__all__ = ["ALONE", "AUTOCAST", "expect_same_kind", "expect_vmappable", "explain", "without_saved_hooks"]

_RANDOM_INSIDE = (
    "draws random numbers inside forward, which a stack cannot reproduce for each run. Use the modules nn.Dropout or "
    "nn.Dropout1d/2d/3d instead of functional dropout, and draw other random numbers outside the module."
)
ALONE = "train it with placement 'loop' or 'processes'; in your own training loop, use Stack(..., how='loop')."
AUTOCAST = (
    "torch.autocast works on some operations of a stack only, so that its numbers would be others than those of a run "
    "alone; convert the modules, such as module.to(torch.bfloat16), or leave it out"
)
CHECKPOINT = "torch.utils.checkpoint does not work in a stack, whose runs are computed together"


def expect_vmappable(module: nn.Module) -> None:
    """Refuse layers that vmap fails on, or gets wrong, without saying why."""
    for path, layer in module.named_modules():
        name = path or class_name(layer)
        if isinstance(layer, nn.Embedding | nn.EmbeddingBag) and layer.sparse:
            raise RequestError(
                f"'{name}' has sparse=True; the gradients of a stack are dense. Use sparse=False, which gives the same "
                f"gradients; or {ALONE}"
            )
        if any(isinstance(hook, SpectralNorm) for hook in layer._forward_pre_hooks.values()):
            raise RequestError(
                f"'{name}' has torch.nn.utils.spectral_norm, whose steps in place do not work in a stack; use "
                f"torch.nn.utils.parametrizations.spectral_norm, or {ALONE}"
            )


def expect_same_kind(name: str, new: Tensor, old: Tensor) -> None:
    """Refuse what forward may not assign: a parameter, or a buffer of another shape or type than before."""
    if isinstance(old, nn.Parameter):
        raise RequestError(f"forward assigns the parameter '{name}' anew, which its optimiser would not know")
    if (new.shape, new.dtype) != (old.shape, old.dtype):
        raise RequestError(
            f"forward gives the buffer '{name}' another shape or type: {tuple(new.shape)}, {new.dtype} in place of "
            f"{tuple(old.shape)}, {old.dtype}; give it its final shape and type in the constructor"
        )


def without_saved_hooks(function: Callable) -> Callable:
    """Refuse, within ``function``, to compute a part of the pass again in the backward pass: it would run without the
    runs axis.
    """

    def call(*arguments: Any) -> Any:
        with torch.autograd.graph.disable_saved_tensors_hooks(CHECKPOINT):
            return function(*arguments)

    return call


def explain(error: Exception, module: str) -> Exception:
    """A failure of vmap, explained to the person who wrote the module."""
    text = str(error)
    if isinstance(error, ValueError):
        returned = re.search(r"must only return Tensors, got type <class '(.+?)'>", text)
        return no_tensors(returned.group(1)) if returned else error
    if "randomness" in text:
        return RequestError(f"{module} {_RANDOM_INSIDE}")
    if CHECKPOINT in text:
        return TrainingError(
            f"{module}: {CHECKPOINT}. Leave it out (fewer runs in a stack need less memory as well), or {ALONE}"
        )
    if "autograd.Function" in text:
        return TrainingError(
            f"{module} uses a torch.autograd.Function (of its own, or torch.utils.checkpoint with use_reentrant=True) "
            "that a stack cannot compute for all runs at once; give it setup_context(ctx, inputs, output) and "
            f"generate_vmap_rule = True, or {ALONE}"
        )
    return TrainingError(f"{module} failed in a stack: {(text.splitlines() or [''])[0]} If it works alone, {ALONE}")
