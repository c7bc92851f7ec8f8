"""One part of the data of several runs, and a batch of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from tenfold.sampling._clusters import MOST_CLUSTERS, clusters
from tenfold.sampling._preprocess import Standardise
from tenfold.sampling._sources import Inputs, Source

__all__ = ["Batch", "Split"]

Part = str
"""One of "train", "validation" and "test", or the name of a further test set, which is evaluated at the end only."""

# Examples of a run in one forward pass of an evaluation: measured best or nearly so for dense, convolutional and
# recurrent networks on a CPU.
_EVALUATED_AT_ONCE = 200


class Batch(NamedTuple):
    """Some examples: of all runs (runs, batch, ...), or of one run (batch, ...) where a task's loss gets it.

    Attributes:
        inputs: what the module takes, preprocessed and, in training, augmented.
        clean: the same before augmentation: the target of an autoencoder.
        targets: by name.
        valid: bool, (runs, batch) or (batch,): False for what only fills up the examples of a run that has fewer.
    """

    inputs: Inputs
    clean: Inputs
    targets: dict[str, Tensor]
    valid: Tensor


@dataclass(frozen=True)
class Split:
    """One part (training, validation or test) of the data of several runs.

    Args:
        source: the data that all runs share.
        index: what the source is asked for, int64, shape (runs, examples) or (runs, examples, items of one example).
        targets: by name, each of shape (runs, examples, ...).
        valid: bool, shape (runs, examples); None where all examples count.
        preprocess: fitted per run; None where inputs are used as the source gives them.
        blocks: numbers of examples that are evaluated together, one after the other; None for batches of 200.
        cluster: which examples have something in common, such as a person: ``tenfold.sampling.clusters``, int64, shape
            (runs, examples) or (runs, examples, clusters of one example). None where only examples made of the same
            items of the source have.
    """

    source: Source
    index: Tensor
    targets: dict[str, Tensor] = field(default_factory=dict)
    valid: Tensor | None = None
    preprocess: Standardise | None = None
    blocks: tuple[int, ...] | None = None
    cluster: Tensor | None = None
    _laid_out: Inputs | None = None  # inputs of all examples, (runs, examples, ...), where they are kept side by side

    @property
    def n_runs(self) -> int:
        return self.index.shape[0]

    @property
    def n_examples(self) -> int:
        return self.index.shape[1]

    def batch(self, rows: Tensor) -> Batch:
        """The examples in ``rows``, int64 of shape (runs, batch)."""
        run = torch.arange(self.n_runs, device=rows.device)[:, None]
        targets = {name: value[run, rows] for name, value in self.targets.items()}
        if self._laid_out is None:
            index = self.index[run, rows]
            inputs, targets = self.inputs_at(index), targets | self.source.targets(index)
        else:
            place = (run * self.n_examples + rows).flatten()
            inputs = tuple(
                value.flatten(0, 1).index_select(0, place).view(*rows.shape, *value.shape[2:])
                for value in self._laid_out
            )
        valid = _all_true(rows) if self.valid is None else self.valid[run, rows]
        return Batch(inputs, inputs, targets, valid)

    def span(self, start: int, stop: int) -> Batch:
        """Examples ``start`` to ``stop`` of every run, in their own order."""
        index = self.index[:, start:stop]
        targets = {name: value[:, start:stop] for name, value in self.targets.items()}
        if self._laid_out is None:
            inputs, targets = self.inputs_at(index), targets | self.source.targets(index)
        else:
            inputs = tuple(value[:, start:stop] for value in self._laid_out)
        valid = _all_true(index.flatten(2)[..., 0] if index.dim() > 2 else index)
        return Batch(inputs, inputs, targets, valid if self.valid is None else self.valid[:, start:stop])

    def clusters(self) -> Tensor:
        """The clusters of every example: int64, shape (runs, examples, clusters of one example)."""
        found = clusters(self.index, MOST_CLUSTERS + 1) if self.cluster is None else self.cluster
        return found if found.dim() > 2 else found[..., None]

    def spans(self) -> Iterator[tuple[int, int]]:
        """Start and stop of each batch of an evaluation."""
        start = 0
        for size in self.blocks or [_EVALUATED_AT_ONCE] * -(-self.n_examples // _EVALUATED_AT_ONCE):
            stop = min(start + size, self.n_examples)
            yield start, stop
            start = stop

    def of_run(self, run: int) -> Split:
        """The examples of one run, as a split of one run. Nothing is copied."""
        return self._of(slice(run, run + 1))

    def of_runs(self, runs: Sequence[int]) -> Split:
        """The same part for some of the runs (or some runs several times)."""
        return self._of(torch.as_tensor(list(runs), dtype=torch.int64, device=self.index.device))

    def _of(self, chosen: Tensor | slice) -> Split:
        return replace(
            self,
            index=self.index[chosen],
            targets={name: value[chosen] for name, value in self.targets.items()},
            valid=None if self.valid is None else self.valid[chosen],
            cluster=None if self.cluster is None else self.cluster[chosen],
            preprocess=None if self.preprocess is None else self.preprocess.of_runs(chosen),
            _laid_out=None if self._laid_out is None else tuple(value[chosen] for value in self._laid_out),
        )

    def laid_out(self, *, most_bytes: int) -> Split:
        """The same examples with the inputs of every run side by side, where that takes no more than ``most_bytes``.

        Takes memory for each run, and reads it fast: examples scattered over a large data set come from other pages
        of memory each.
        """
        n = self.index.shape[0] * self.index.shape[1]
        if n * self.source.example_bytes(self.index) > most_bytes:
            return self
        every = self.span(0, self.n_examples)
        return replace(self, targets=every.targets, _laid_out=every.inputs)

    def to(self, device: torch.device, dtype: torch.dtype) -> Split:
        """On ``device``, floating-point inputs in ``dtype``; not laid out, since the source's numbers may be finer."""
        return replace(
            self,
            source=self.source.to(device, dtype),
            index=self.index.to(device),
            targets={name: value.to(device) for name, value in self.targets.items()},
            valid=None if self.valid is None else self.valid.to(device),
            cluster=None if self.cluster is None else self.cluster.to(device),
            preprocess=None if self.preprocess is None else self.preprocess.to(device, dtype),
            _laid_out=None,
        )

    def inputs_at(self, index: Tensor) -> Inputs:
        """Preprocessed inputs of what the source holds at ``index``, int64 (runs, ...)."""
        inputs = self.source.take(index)
        return inputs if self.preprocess is None else self.preprocess(inputs)


def _all_true(like: Tensor) -> Tensor:
    return torch.ones((), dtype=torch.bool, device=like.device).expand(like.shape)
