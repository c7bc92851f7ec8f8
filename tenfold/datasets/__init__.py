"""Data: known sets with their address, checksum and licence, and the files and folders of a user.

``load`` reads a known set, an ``.npz`` file or a folder of images as ``Images`` or ``Pairs``; ``load_recordings`` reads
signals over time as ``Recordings``. All are checked NumPy arrays. Tasks draw pairs, windows and splits from them.
Nothing here imports torch.
"""

from tenfold.datasets._arrays import as_array
from tenfold.datasets._average import average_down
from tenfold.datasets._cache import available, cache_folder, fetch
from tenfold.datasets._channels import with_channels
from tenfold.datasets._containers import TEST, TRAIN, UNASSIGNED, Images, Pairs
from tenfold.datasets._image_form import ImageForm
from tenfold.datasets._layout import Layout
from tenfold.datasets._load import load, load_recordings
from tenfold.datasets._npz import save
from tenfold.datasets._pixel_range import checked_range
from tenfold.datasets._recordings import Recordings
from tenfold.datasets._windows import axes_of_sensors, cut_windows, select_channels
from tenfold.datasets.dataset import Dataset, RemoteFile
from tenfold.datasets.known import DATASETS

__all__ = [
    "DATASETS",
    "TEST",
    "TRAIN",
    "UNASSIGNED",
    "Dataset",
    "ImageForm",
    "Images",
    "Layout",
    "Pairs",
    "Recordings",
    "RemoteFile",
    "as_array",
    "available",
    "axes_of_sensors",
    "average_down",
    "cache_folder",
    "checked_range",
    "cut_windows",
    "fetch",
    "load",
    "load_recordings",
    "save",
    "select_channels",
    "with_channels",
]
