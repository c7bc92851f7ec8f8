"""Retrieval: find what is nearest by its embedding, and say how well that works.

``search`` finds nearest neighbours exactly and in bounded memory; the scores of metric learning judge the order;
``episode_ranks`` does the same for many small episodes at once; ``Matcher`` is for use after training: add examples,
then match an image. Embeddings are NumPy arrays or torch tensors; importing this loads no torch.
"""

from tenfold.retrieval._episodes import EpisodeRanks, episode_ranks
from tenfold.retrieval._matcher import Candidate, Matcher
from tenfold.retrieval._scores import (
    SCORES,
    RetrievalScore,
    mean_average_precision,
    mean_average_precision_at_r,
    order_of,
    precision_at_1,
    r_precision,
    retrieval_scores,
    top_k_accuracy,
)
from tenfold.retrieval._search import Neighbours, search
from tenfold.retrieval._similarity import SIMILARITIES

__all__ = [
    "SCORES",
    "SIMILARITIES",
    "Candidate",
    "EpisodeRanks",
    "Matcher",
    "Neighbours",
    "RetrievalScore",
    "episode_ranks",
    "mean_average_precision",
    "mean_average_precision_at_r",
    "order_of",
    "precision_at_1",
    "r_precision",
    "retrieval_scores",
    "search",
    "top_k_accuracy",
]
