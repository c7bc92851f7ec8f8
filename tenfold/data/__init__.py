"""Data: known sets with their address, checksum and licence, and the files and folders of a user.

``load`` gives a name, an ``.npz`` file or a folder of images back as ``Images`` or ``Pairs``; ``load_recordings`` gives
signals over time as ``Recordings``. All are NumPy arrays, checked. Drawing pairs, windows and splits from them is the
business of a task. Nothing here imports torch.
"""

from tenfold.data._average import average_down
from tenfold.data._cache import available, cache_folder, fetch
from tenfold.data._containers import TEST, TRAIN, UNASSIGNED, Images, Pairs
from tenfold.data._folder import grey_image
from tenfold.data._layout import Layout
from tenfold.data._load import load, load_recordings
from tenfold.data._npz import save
from tenfold.data._recordings import Recordings
from tenfold.data.dataset import Dataset, RemoteFile
from tenfold.data.known import DATASETS

__all__ = [
    "DATASETS",
    "TEST",
    "TRAIN",
    "UNASSIGNED",
    "Dataset",
    "Images",
    "Layout",
    "Pairs",
    "Recordings",
    "RemoteFile",
    "available",
    "average_down",
    "cache_folder",
    "fetch",
    "grey_image",
    "load",
    "load_recordings",
    "save",
]
