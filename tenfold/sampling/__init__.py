"""What a run sees: how data are divided, where inputs come from, what they become, and in which batches.

Everything here has the runs first. Data are in memory once; a batch is a gather on the device.
"""

from tenfold.sampling._augment import augment_images as augment_images
from tenfold.sampling._augment_windows import augment_windows as augment_windows
from tenfold.sampling._augmented import augmented as augmented
from tenfold.sampling._batches import balanced as balanced
from tenfold.sampling._batches import shuffled as shuffled
from tenfold.sampling._batches import streams as streams
from tenfold.sampling._clusters import MOST_CLUSTERS as MOST_CLUSTERS
from tenfold.sampling._clusters import clusters as clusters
from tenfold.sampling._folds import groups_drawn as groups_drawn
from tenfold.sampling._pad import padded as padded
from tenfold.sampling._preprocess import Standardise as Standardise
from tenfold.sampling._preprocess import window_scaling as window_scaling
from tenfold.sampling._sources import Inputs as Inputs
from tenfold.sampling._sources import Source as Source
from tenfold.sampling._sources import TensorSource as TensorSource
from tenfold.sampling._sources import TokenSource as TokenSource
from tenfold.sampling._sources import WindowSource as WindowSource
from tenfold.sampling._split import Batch as Batch
from tenfold.sampling._split import Part as Part
from tenfold.sampling._split import Split as Split
from tenfold.sampling._splitter import Resampling as Resampling
from tenfold.sampling._splitter import Splitter as Splitter
from tenfold.sampling._splitter import at_most as at_most
from tenfold.sampling._splitter import check_amount as check_amount
from tenfold.sampling._splitter import check_folds as check_folds
from tenfold.sampling._splitter import folds_resampling as folds_resampling
from tenfold.sampling._splitter import of_pool as of_pool

__all__ = [
    "MOST_CLUSTERS",
    "Batch",
    "Inputs",
    "Resampling",
    "Source",
    "Split",
    "Splitter",
    "Standardise",
    "TensorSource",
    "TokenSource",
    "WindowSource",
    "at_most",
    "augment_images",
    "augment_windows",
    "augmented",
    "balanced",
    "check_amount",
    "check_folds",
    "clusters",
    "folds_resampling",
    "groups_drawn",
    "of_pool",
    "padded",
    "shuffled",
    "streams",
    "window_scaling",
]
