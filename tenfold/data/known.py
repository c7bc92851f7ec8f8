"""The list of known data sets: one line each. docs/add-a-data-set.md says how to add one."""

from tenfold.data.dataset import Dataset
from tenfold.data.digits import DIGITS
from tenfold.data.har_smartphone import HAR_SMARTPHONE
from tenfold.data.mnist import MNIST
from tenfold.data.motionsense import MOTIONSENSE
from tenfold.data.omniglot import OMNIGLOT

__all__ = ["DATASETS"]

DATASETS: tuple[Dataset, ...] = (
    DIGITS,
    MNIST,
    OMNIGLOT,
    HAR_SMARTPHONE,
    MOTIONSENSE,
)
