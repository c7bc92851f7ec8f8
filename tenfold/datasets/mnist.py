"""mnist: 60000 training and 10000 test digits of 28 x 28 pixels, from the four original IDX files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tenfold.datasets._containers import TEST, TRAIN, Images
from tenfold.datasets._idx import read_idx
from tenfold.datasets.dataset import Dataset, RemoteFile
from tenfold.errors import DataError

__all__ = ["MNIST"]


def _build(files: Mapping[str, Path]) -> Images:
    images, labels, parts = [], [], []
    for prefix, part in (("train", TRAIN), ("t10k", TEST)):
        images.append(read_idx(files[f"{prefix}-images-idx3-ubyte.gz"], n_axes=3))
        labels.append(read_idx(files[f"{prefix}-labels-idx1-ubyte.gz"], n_axes=1))
        if len(images[-1]) != len(labels[-1]):
            raise DataError(f"mnist: {len(images[-1])} {prefix} images but {len(labels[-1])} labels")
        parts.append(np.full(len(labels[-1]), part, np.uint8))
    return Images(
        images=np.concatenate(images)[:, None],
        labels=np.concatenate(labels).astype(np.int64),
        part=np.concatenate(parts),
        class_names=tuple("0123456789"),
    )


MNIST = Dataset(
    name="mnist",
    title="70000 handwritten digits, 28 x 28, 60000 of them for training",
    build=_build,
    licence="CC BY-SA 3.0",
    citation="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, "
    "Proceedings of the IEEE 86(11), 1998",
    source="http://yann.lecun.com/exdb/mnist/",
    # The original server refuses automatic downloads; these two are the mirrors that torchvision and TensorFlow use.
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    files=(
        RemoteFile(
            name="train-images-idx3-ubyte.gz",
            sha256="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            size_bytes=9_912_422,
        ),
        RemoteFile(
            name="train-labels-idx1-ubyte.gz",
            sha256="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            size_bytes=28_881,
        ),
        RemoteFile(
            name="t10k-images-idx3-ubyte.gz",
            sha256="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            size_bytes=1_648_877,
        ),
        RemoteFile(
            name="t10k-labels-idx1-ubyte.gz",
            sha256="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            size_bytes=4_542,
        ),
    ),
)
