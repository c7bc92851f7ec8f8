"""The list of the built-in models. A model is one class in a file beside this one, and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenfold.on_demand import OnDemand

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ESTIMATORS", "MODELS"]

MODELS: OnDemand[type[nn.Module]] = OnDemand(
    {
        "baseline": "tenfold.models.dense:Baseline",
        "linear-siamese": "tenfold.models.dense:LinearSiamese",
        "siamese-cnn": "tenfold.models.convolutional:SiameseCNN",
        "siamese-rnn": "tenfold.models.recurrent:SiameseRNN",
        "deep-siamese-cnn": "tenfold.models.convolutional:DeepSiameseCNN",
        "posterior-comparison": "tenfold.models.posterior:PosteriorComparison",
        "koch-embedding": "tenfold.models.embedding:KochEmbedding",
        "conv4-embedding": "tenfold.models.embedding:Conv4Embedding",
        "residual-embedding": "tenfold.models.embedding:ResidualEmbedding",
        "recurrent-classifier": "tenfold.models.sequences:RecurrentClassifier",
        "deep-conv-lstm": "tenfold.models.sequences:DeepConvLSTM",
        "conv-classifier": "tenfold.models.sequences:ConvClassifier",
    }
)

ESTIMATORS: OnDemand[type[Any]] = OnDemand(
    {
        "random-forest": "tenfold.models.estimators:RandomForest",
        "logistic-regression": "tenfold.models.estimators:LogisticRegression",
    }
)
