"""Nested results: None within vmap, the trees of single runs, and one tree of all."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from tenfold.errors import RequestError

__all__ = ["no_tensors", "per_run", "stack_trees", "with_none", "without_none"]


class _Nothing(NamedTuple):
    """Stands for None within vmap, which takes only tensors as leaves; a tuple without fields has no leaf."""


def without_none(tree: Any) -> Any:
    """The tree with a mark in the place of each None, as vmap takes it."""
    if all(leaf is not None for leaf in pytree.tree_leaves(tree)):
        return tree
    return pytree.tree_map(lambda leaf: _Nothing() if leaf is None else leaf, tree)


def with_none(tree: Any) -> Any:
    """The reverse of ``without_none``."""
    if isinstance(tree, Tensor):
        return tree
    return pytree.tree_map(lambda leaf: None if _is_nothing(leaf) else leaf, tree, is_leaf=_is_nothing)


def _is_nothing(value: Any) -> bool:
    return isinstance(value, _Nothing)


def per_run(tree: Any, n_runs: int) -> list[Any]:
    """The trees of the single runs, from one whose tensors have the runs first."""
    leaves, spec = pytree.tree_flatten(tree)
    return [
        pytree.tree_unflatten([None if leaf is None else leaf[run] for leaf in leaves], spec) for run in range(n_runs)
    ]


def stack_trees(results: list[Any]) -> Any:
    """Trees of single runs as one whose tensors have the runs first: the reverse of ``per_run``."""
    if results[0] is None:  # as vmap: None is allowed within a result, not as the result
        raise no_tensors("NoneType")
    leaves, specs = zip(*(pytree.tree_flatten(result) for result in results), strict=True)
    stacked = []
    for parts in zip(*leaves, strict=False):
        for part in parts:
            if part is not None and not isinstance(part, Tensor):
                raise no_tensors(type(part).__name__)
        if any((part is None) != (parts[0] is None) for part in parts):
            raise RequestError("a module in a stack returned None for some runs and a tensor for others")
        stacked.append(None if parts[0] is None else torch.stack(parts))
    for run, spec in enumerate(specs):
        if spec != specs[0]:
            raise RequestError(f"a module in a stack returned another structure for run {run} than for run 0")
    return pytree.tree_unflatten(stacked, specs[0])


def no_tensors(got: str) -> RequestError:
    """The error for a module that returns something else than tensors."""
    return RequestError(f"a module in a stack must return tensors (or tuples, lists, dicts of tensors), got {got}")
