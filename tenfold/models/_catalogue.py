"""The list of the built-in models. A model is one class in a file beside this one, and one line here."""

from __future__ import annotations

from typing import Any

from torch import nn

from tenfold.models.convolutional import DeepSiameseCNN, SiameseCNN
from tenfold.models.dense import Baseline, LinearSiamese
from tenfold.models.embedding import Conv4Embedding, KochEmbedding, ResidualEmbedding
from tenfold.models.estimators import LogisticRegression, RandomForest
from tenfold.models.posterior import PosteriorComparison
from tenfold.models.recurrent import SiameseRNN
from tenfold.models.sequences import ConvClassifier, DeepConvLSTM, RecurrentClassifier

__all__ = ["ESTIMATORS", "MODELS"]

MODELS: dict[str, type[nn.Module]] = {
    "baseline": Baseline,
    "linear-siamese": LinearSiamese,
    "siamese-cnn": SiameseCNN,
    "siamese-rnn": SiameseRNN,
    "deep-siamese-cnn": DeepSiameseCNN,
    "posterior-comparison": PosteriorComparison,
    "koch-embedding": KochEmbedding,
    "conv4-embedding": Conv4Embedding,
    "residual-embedding": ResidualEmbedding,
    "recurrent-classifier": RecurrentClassifier,
    "deep-conv-lstm": DeepConvLSTM,
    "conv-classifier": ConvClassifier,
}

ESTIMATORS: dict[str, type[Any]] = {
    "random-forest": RandomForest,
    "logistic-regression": LogisticRegression,
}
