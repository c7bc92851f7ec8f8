"""digits: 1797 real handwritten digits of 8 x 8 pixels that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tenfold.datasets._containers import UNASSIGNED, Images
from tenfold.datasets.dataset import Dataset

__all__ = ["DIGITS"]


def _build(files: Mapping[str, Path]) -> Images:
    # Imported here: scikit-learn takes more than a second, and `tenfold --help` does not need it.
    from sklearn.datasets import load_digits

    pixels, labels = map(np.asarray, load_digits(return_X_y=True))
    # Each value counts the inked ones of 16 small squares; 0..16 becomes 0..255, and no two values fall together.
    images = np.rint(pixels.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return Images(
        images=images,
        labels=labels.astype(np.int64),
        part=np.full(len(labels), UNASSIGNED, np.uint8),
        class_names=tuple("0123456789"),
    )


DIGITS = Dataset(
    name="digits",
    title="1797 handwritten digits, 8 x 8, from scikit-learn (the UCI test part)",
    build=_build,
    licence="CC BY 4.0",
    citation="E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998",
    source="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
)
