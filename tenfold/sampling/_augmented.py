"""Random changes of the inputs of a training step, with numbers of each run's own."""

from __future__ import annotations

from torch import Tensor

from tenfold.recipe import Recipe, WindowAugmentation
from tenfold.sampling._augment import augment_images
from tenfold.sampling._augment_windows import augment_windows
from tenfold.sampling._sources import WindowSource
from tenfold.sampling._split import Batch, Split

__all__ = ["augmented"]


def augmented(batch: Batch, recipe: Recipe, keys: Tensor, step: int, split: Split) -> Batch:
    """The batch of a training step with its inputs changed as the recipe says; ``clean`` stays as it is.

    Args:
        batch: of all runs.
        recipe: its ``augment`` says how; None for not at all.
        keys: of every run, int64, shape (runs,).
        step: of training; the numbers are a pure function of key and step.
        split: that the batch is of.
    """
    how = recipe.augment
    if how is None:
        return batch
    first, *others = batch.inputs
    if isinstance(how, WindowAugmentation):
        triads = split.source.triads if isinstance(split.source, WindowSource) else None
        fitted = split.preprocess
        shift, scale = (None, None) if fitted is None else (fitted.shift[:, 0], fitted.scale[:, 0])
        lengths = others[0] if others else None
        first = augment_windows(first, how, keys, step, shift=shift, scale=scale, triads=triads, lengths=lengths)
    else:
        first = augment_images(first, how, keys, step, together=recipe.turned_together)
    return batch._replace(inputs=(first, *others))
