"""What the modules of one stack have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from tenfold.errors import RequestError, ShapeError
from tenfold.stack._attributes import Setting, attributes, class_name, expect_registered

__all__ = ["expect_alike", "signature"]

_MISSING = "missing"


def signature(module: nn.Module) -> dict[str, Any]:
    """What the runs of one stack have in common: shape and dtype of every tensor, which are trained, the order,
    class and settings of every layer.

    Settings are attributes that are neither parameters nor buffers, such as the slope of a LeakyReLU, and hooks: a
    stack computes all runs with those of the first module. Dropout rates are not among them; they may differ.

    Raises:
        RequestError: if the module holds layers or parameters where PyTorch does not see them, see ``attributes``.
    """
    expect_registered(module)
    common: dict[str, Any] = {
        name: (tuple(tensor.shape), tensor.dtype)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    }
    for name, parameter in module.named_parameters():
        common[f"requires_grad of {name}"] = parameter.requires_grad
    for path, layer in module.named_modules():
        common[f"class of {path or 'the module'}"] = class_name(layer)
        names = tuple(layer._modules)  # forward may go by their order
        common[f"order of the layers of {path or 'the module'}"] = Setting(names, ", ".join(names))
    return common | attributes(module)


def expect_alike(modules: Sequence[nn.Module]) -> None:
    """Refuse modules that cannot be runs of one stack.

    Raises:
        RequestError, ShapeError: see ``Stack``.
    """
    if not modules:
        raise RequestError("a stack needs at least one module, got none")
    for position, module in enumerate(modules):
        if not isinstance(module, nn.Module):
            raise RequestError(f"module {position}: expected an nn.Module, got {type(module).__name__}")
    expected = signature(modules[0])
    for position, module in enumerate(modules[1:], start=1):
        if class_name(module) != class_name(modules[0]):
            raise RequestError(
                f"all modules of a stack must be of one class: module 0 is {class_name(modules[0])}, "
                f"module {position} is {class_name(module)}"
            )
        got = signature(module)
        if got == expected:
            continue
        name = next(name for name in [*expected, *got] if expected.get(name, _MISSING) != got.get(name, _MISSING))
        here, first = got.get(name, _MISSING), expected.get(name, _MISSING)
        if isinstance(here, tuple) and isinstance(first, tuple) and here[-1:] == first[-1:]:
            raise ShapeError(
                f"module {position}: '{name}' has shape {here[0]}, in module 0 it is {first[0]}; "
                "use one stack per shape"
            )
        raise RequestError(
            f"module {position}: '{name}' is {here}, in module 0 it is {first}; the runs of a stack may differ only in "
            "the values of parameters and buffers and in dropout rates. "
            + (
                "Draw the same for all runs"
                if " " in name
                else "What is drawn for each run is a buffer: "
                f"self.register_buffer('{name.rpartition('.')[2]}', torch.tensor(...)) in the constructor"
            )
        )
