"""Losses of embeddings: images of one class close to each other, images of two classes far apart.

Written for one run; ``torch.func.vmap`` adds the runs. Shapes are fixed and no random number is drawn inside, so a run
gets the same loss in a stack as alone. Batches are balanced: ``embeddings`` of shape (classes, images, dimension) hold
equally many images of each class. A positive pair is two different images of one class, in either order.

A negative is chosen from a matrix product of distances. The loss itself is computed from the differences of the chosen
embeddings: no digits are lost by cancellation, and no gradient passes through a (batch, batch) matrix.
"""

from tenfold.losses._contrastive import contrastive_loss as contrastive_loss
from tenfold.losses._distances import DISTANCES as DISTANCES
from tenfold.losses._distances import Distance as Distance
from tenfold.losses._prototypical import prototypical_loss as prototypical_loss
from tenfold.losses._triplet import DRAWING as DRAWING
from tenfold.losses._triplet import MININGS as MININGS
from tenfold.losses._triplet import Mining as Mining
from tenfold.losses._triplet import numbers_needed as numbers_needed
from tenfold.losses._triplet import triplet_loss as triplet_loss
from tenfold.losses._triplet import violating_fraction as violating_fraction

__all__ = [
    "DISTANCES",
    "DRAWING",
    "MININGS",
    "Distance",
    "Mining",
    "contrastive_loss",
    "numbers_needed",
    "prototypical_loss",
    "triplet_loss",
    "violating_fraction",
]
