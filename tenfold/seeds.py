"""Every random number has an address: (study seed, model, repeat, purpose, step) -> number.

Two kinds of numbers:

* ``generator``: a PyTorch generator for what is drawn once or once per epoch (initial weights, splits, order).
* ``uniform``: counter-based numbers for what is drawn inside a step (dropout masks, augmentation). They are a pure
  function of (key, counter, position) and use integer arithmetic only, so that a run in a stack, a run alone and a run
  on another device get the same numbers. ``torch.func.vmap``'s own ``randomness="different"`` cannot do this: its
  numbers depend on how many runs share the stack.
"""

from __future__ import annotations

import contextlib
import hashlib
import operator
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

__all__ = ["SharedGenerators", "derive", "generator", "hash_bits", "key_words", "seeded", "shared_kept", "uniform"]


def derive(seed: int, *address: str | int) -> int:
    """A 63-bit seed for one address under ``seed``.

    Args:
        seed: the study's seed.
        address: words and numbers, such as ``("Baseline", 3, "weights")``.
    Returns:
        int: in [0, 2**63); the same on every machine and Python.
    Example:
        >>> derive(0, "Baseline", 3, "weights") == derive(0, "Baseline", 3, "weights")
        True
        >>> derive(0, "a", 1) == derive(0, "a1")
        False
    """
    # operator.index accepts NumPy integers and rejects floats.
    parts = [f"str:{part}" if isinstance(part, str) else f"int:{operator.index(part)}" for part in (seed, *address)]
    text = "\x1f".join(parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *address: str | int) -> torch.Generator:
    """A CPU generator for one address; see ``derive``."""
    return torch.Generator().manual_seed(derive(seed, *address))


def key_words(key: Tensor, calls: Tensor) -> tuple[Tensor, Tensor]:
    """Two 32-bit words from a 63-bit key and a counter (splitmix64, Steele et al. 2014).

    Args:
        key: int64, any shape.
        calls: int64, how many times numbers were drawn with this key before; broadcasts with ``key``.
    Returns:
        (Tensor, Tensor): int32 words of the broadcast shape.
    """
    word = key + calls * -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number; int64 wraps
    word = (word ^ ((word >> 30) & 0x3FFFFFFFF)) * -4658895280553007687  # 0xBF58476D1CE4E5B9
    word = (word ^ ((word >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685  # 0x94D049BB133111EB
    word = word ^ ((word >> 31) & 0x1FFFFFFFF)
    # The halves as signed 32-bit numbers without relying on how an overflowing cast behaves on a device.
    low = ((word & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
    high = word >> 32
    return low.to(torch.int32), high.to(torch.int32)


def hash_bits(first: Tensor, second: Tensor, count: int) -> Tensor:
    """``count`` hashed 32-bit words for the key words ``first`` and ``second``.

    A murmur3-style mixer over the position, with the second word added between its rounds (Appleby 2011): three
    multiplications and three xor-shifts per element, all in int32, which vectorise and fuse on every device.

    Args:
        first, second: int32 key words, shape (...).
        count: words per key.
    Returns:
        Tensor: int32, shape (..., count).
    """
    position = torch.arange(count, dtype=torch.int32, device=first.device)
    word = position * -1640531527 + first[..., None]  # 0x9E3779B9
    word = word ^ ((word >> 16) & 0xFFFF)
    word = word * -2048144789 + second[..., None]  # 0x85EBCA6B
    word = word ^ ((word >> 13) & 0x7FFFF)
    word = word * -1028477387  # 0xC2B2AE35
    return word ^ ((word >> 16) & 0xFFFF)


def uniform(key: Tensor, calls: Tensor, count: int) -> Tensor:
    """Uniform numbers in [0, 1) with 24 bits, a pure function of (key, calls, position).

    Args:
        key, calls: int64, shape (...); see ``key_words``.
        count: numbers per key.
    Returns:
        Tensor: float32, shape (..., count).
    Example:
        >>> key, calls = torch.tensor([5, 6]), torch.tensor([0, 0])
        >>> uniform(key, calls, 4).shape
        torch.Size([2, 4])
        >>> bool((uniform(key, calls, 4)[1] == uniform(key[1], calls[1], 4)).all())
        True
    """
    bits = hash_bits(*key_words(key, calls), count)
    return ((bits >> 8) & 0xFFFFFF).to(torch.float32) * 2.0**-24


# -- generators that are not ours -------------------------------------------------------------------------------------


class SharedGenerators:
    """The states of the generators that all code in a process shares: those of Python, NumPy and PyTorch."""

    def __init__(self) -> None:
        self.python, self.numpy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002
        self.torch = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None

    def rewind(self) -> None:
        """Bring the generators back to these states."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002
        torch.set_rng_state(self.torch)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda)


@contextlib.contextmanager
def shared_kept() -> Iterator[SharedGenerators]:
    """The shared generators are in the end as they were in the beginning."""
    before = SharedGenerators()
    try:
        yield before
    finally:
        before.rewind()


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The shared generators seeded, for code that draws from them without being given one; then as they were.

    Example:
        >>> with seeded(1):
        ...     first = torch.rand(()), np.random.rand(), random.random()
        >>> with seeded(1):
        ...     (torch.rand(()), np.random.rand(), random.random()) == first
        True
    """
    with shared_kept():
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        torch.manual_seed(seed)
        yield
