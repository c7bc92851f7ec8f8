"""The built-in models: plain modules for one run, listed in ``_catalogue.py``; estimators are fitted, not trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenfold.models._catalogue import ESTIMATORS as ESTIMATORS
from tenfold.models._catalogue import MODELS as MODELS
from tenfold.models._find import ModelFactory as ModelFactory
from tenfold.models._find import find_module as find_module
from tenfold.models._find import with_module_kwargs as with_module_kwargs
from tenfold.on_demand import names_of

if TYPE_CHECKING:
    from tenfold.models.convolutional import DeepSiameseCNN as DeepSiameseCNN
    from tenfold.models.convolutional import SiameseCNN as SiameseCNN
    from tenfold.models.dense import Baseline as Baseline
    from tenfold.models.dense import LinearSiamese as LinearSiamese
    from tenfold.models.embedding import Conv4Embedding as Conv4Embedding
    from tenfold.models.embedding import KochEmbedding as KochEmbedding
    from tenfold.models.embedding import ResidualEmbedding as ResidualEmbedding
    from tenfold.models.estimators import Estimator as Estimator
    from tenfold.models.estimators import LogisticRegression as LogisticRegression
    from tenfold.models.estimators import RandomForest as RandomForest
    from tenfold.models.posterior import PosteriorComparison as PosteriorComparison
    from tenfold.models.recurrent import SiameseRNN as SiameseRNN
    from tenfold.models.sequences import ConvClassifier as ConvClassifier
    from tenfold.models.sequences import DeepConvLSTM as DeepConvLSTM
    from tenfold.models.sequences import RecurrentClassifier as RecurrentClassifier

# Imported at first use: reading a study needs none of them, nor torch.
_HOMES = {
    "Baseline": "tenfold.models.dense",
    "Conv4Embedding": "tenfold.models.embedding",
    "ConvClassifier": "tenfold.models.sequences",
    "DeepConvLSTM": "tenfold.models.sequences",
    "DeepSiameseCNN": "tenfold.models.convolutional",
    "Estimator": "tenfold.models.estimators",
    "KochEmbedding": "tenfold.models.embedding",
    "LinearSiamese": "tenfold.models.dense",
    "LogisticRegression": "tenfold.models.estimators",
    "PosteriorComparison": "tenfold.models.posterior",
    "RandomForest": "tenfold.models.estimators",
    "RecurrentClassifier": "tenfold.models.sequences",
    "ResidualEmbedding": "tenfold.models.embedding",
    "SiameseCNN": "tenfold.models.convolutional",
    "SiameseRNN": "tenfold.models.recurrent",
}

__all__ = [
    "ESTIMATORS",
    "MODELS",
    "Baseline",
    "Conv4Embedding",
    "ConvClassifier",
    "DeepConvLSTM",
    "DeepSiameseCNN",
    "Estimator",
    "KochEmbedding",
    "LinearSiamese",
    "LogisticRegression",
    "ModelFactory",
    "PosteriorComparison",
    "RandomForest",
    "RecurrentClassifier",
    "ResidualEmbedding",
    "SiameseCNN",
    "SiameseRNN",
    "find_module",
    "with_module_kwargs",
]

__getattr__, __dir__ = names_of(__name__, _HOMES)
