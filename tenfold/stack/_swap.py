"""Which layers are replaced while a module is stacked, and how."""

from __future__ import annotations

from torch import nn

from tenfold.seeds import derive
from tenfold.stack import _recurrent
from tenfold.stack._attributes import DROPOUT, copied
from tenfold.stack._dropout import Dropout
from tenfold.stack._layers import mend

__all__ = ["replayable", "stackable"]

_WHOLE_CHANNELS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


def _replace(module: nn.Module, *, key: int, vmapped: bool, path: str, done: dict[int, tuple]) -> nn.Module:
    if id(module) in done:  # a module that is used in two places stays one module
        return done[id(module)][1]
    original = module
    if isinstance(module, nn.RNNBase) and (vmapped or (module.dropout and module.num_layers > 1)):
        # PyTorch's own layer draws the dropout between its layers from the global generator: not reproducible per run.
        module = _recurrent.from_torch(module).train(module.training)
    elif isinstance(module, DROPOUT):
        axes = next((axes for axes, kind in enumerate(_WHOLE_CHANNELS, start=1) if isinstance(module, kind)), 0)
        module = Dropout(module.p, key=derive(key, path), channel_axes=axes).train(module.training)
    elif vmapped:
        mend(module)
    done[id(original)] = (original, module)  # the original is kept, so that its id stays taken
    # Not named_children: it omits the second name of a module that is used in two places.
    for name, child in module._modules.items():
        if child is not None:
            below = f"{path}.{name}" if path else name
            module._modules[name] = _replace(child, key=key, vmapped=vmapped, path=below, done=done)
    return module


def replayable(module: nn.Module, *, key: int) -> nn.Module:
    """A copy of ``module`` whose dropout masks come from ``key`` instead of the global generator.

    Trained in a plain PyTorch loop, it ends with the same weights as the run with that key in a stack.

    Args:
        module: any module for one run.
        key: 63-bit seed; each dropout layer derives its own seed from it and from its path in the module.
    """
    return _replace(copied(module), key=key, vmapped=False, path="", done={})


def stackable(module: nn.Module, *, key: int) -> nn.Module:
    """A copy of ``module`` that works under ``torch.func.vmap``, with our recurrent layers, dropout and lookups.

    Args:
        module, key: see ``replayable``.
    """
    return _replace(copied(module), key=key, vmapped=True, path="", done={})
