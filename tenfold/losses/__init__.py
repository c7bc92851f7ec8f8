"""Losses of embeddings: similar images near each other, others far.

Written for one run; ``torch.func.vmap`` adds the runs. Shapes are fixed and nothing is drawn inside, so a run in a
stack is the run alone. A batch is balanced: ``embeddings`` of shape (classes, images, dimension) hold equally many
images of each class, and a positive pair is two different images of one class, in either order.

A negative is chosen from a matrix product of distances; the loss itself is computed from the differences of the chosen
embeddings, which neither cancel nor send a gradient through (batch, batch) numbers.
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
from tenfold.losses._triplet import violating_share as violating_share

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
    "violating_share",
]
