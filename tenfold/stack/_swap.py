"""Which layers get another forward pass while a module is stacked, and how."""

from __future__ import annotations

from torch import nn

from tenfold.seeds import derive
from tenfold.stack import _dropout, _recurrent
from tenfold.stack._attributes import copied
from tenfold.stack._layers import mend

__all__ = ["replayable", "stackable"]


def _change(module: nn.Module, *, key: int, vmapped: bool, path: str, done: set[int]) -> None:
    if id(module) in done:  # a module that is used in two places is one module
        return
    done.add(id(module))
    if _dropout.can_become(module):
        _dropout.become(module, key=derive(key, path))
    elif isinstance(module, nn.RNNBase) and _recurrent.can_become(module):
        # PyTorch's own layer draws the dropout between its layers from the global generator: not reproducible per run.
        if vmapped or (module.dropout and module.num_layers > 1):
            _recurrent.become(module)
    elif vmapped:
        mend(module)
    # Not named_children: it omits the second name of a module that is used in two places.
    for name, child in module._modules.items():
        if child is not None:
            _change(child, key=key, vmapped=vmapped, path=f"{path}.{name}" if path else name, done=done)


def _changed(module: nn.Module, *, key: int, vmapped: bool) -> nn.Module:
    own = copied(module)
    _change(own, key=key, vmapped=vmapped, path="", done=set())
    return own


def replayable(module: nn.Module, *, key: int) -> nn.Module:
    """A copy of ``module`` whose dropout masks come from ``key`` instead of the global generator.

    Trained in a plain PyTorch loop, it ends with the same weights as the run with that key in a stack.

    Args:
        module: any module for one run.
        key: 63-bit seed; each dropout layer derives its own seed from it and from its path in the module.
    """
    return _changed(module, key=key, vmapped=False)


def stackable(module: nn.Module, *, key: int) -> nn.Module:
    """A copy of ``module`` that works under ``torch.func.vmap``, with our recurrent layers, dropout and lookups.

    Args:
        module, key: see ``replayable``.
    """
    return _changed(module, key=key, vmapped=True)
