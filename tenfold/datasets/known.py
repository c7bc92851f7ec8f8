"""The list of known data sets: one line each. docs/add-a-data-set.md says how to add one."""

from tenfold.datasets.dataset import Dataset
from tenfold.datasets.digits import DIGITS
from tenfold.datasets.har_smartphone import HAR_SMARTPHONE
from tenfold.datasets.mnist import MNIST
from tenfold.datasets.motionsense import MOTIONSENSE
from tenfold.datasets.omniglot import OMNIGLOT

__all__ = ["DATASETS"]

DATASETS: tuple[Dataset, ...] = (
    DIGITS,
    MNIST,
    OMNIGLOT,
    HAR_SMARTPHONE,
    MOTIONSENSE,
)
