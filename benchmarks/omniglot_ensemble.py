"""Claim: all repeats of a model together make fewer errors than each repeat alone, in Lake's 20 one-shot runs.

    tenfold run omniglot-oneshot
    python benchmarks/omniglot_ensemble.py [tenfold-runs/omniglot-oneshot]

The embedding of each repeat is scaled to length 1, and they are concatenated (``results.winner(NAME).embed(images)``):
a cosine similarity is then the mean over the repeats. Nothing is selected: all repeats of every model are used.
"""

from __future__ import annotations

import sys

import tenfold
from tenfold import datasets
from tenfold.export import Winner
from tenfold.retrieval import episode_ranks


def main() -> None:
    results = tenfold.Results(sys.argv[1] if len(sys.argv) > 1 else "tenfold-runs/omniglot-oneshot")
    images = datasets.load("omniglot")
    assert isinstance(images, datasets.Images)
    print("| model | error of one repeat, % | error of all repeats together, % | repeats |")
    print("|---|---:|---:|---:|")
    for variant in results.variants:
        winner = results.winner(variant.label)
        alone = 100 * (1 - results.scores("oneshot_accuracy")[variant.label])
        together = ensemble_error(winner, images)
        print(f"| {variant.label} | {alone.mean():.1f} +- {alone.std(ddof=1):.1f} | {together:.1f} | {len(alone)} |")


def ensemble_error(winner: Winner, images: datasets.Images) -> float:
    """Error in percent of all repeats together, in the episodes of a data set."""
    assert images.episodes is not None
    labels = images.labels[images.episodes]  # (episodes, 2, ways)
    right = (labels[:, 1, :, None] == labels[:, 0, None, :]).argmax(-1)
    embeddings = winner.embed(images.images[images.episodes.flatten()]).reshape(*images.episodes.shape, -1)
    return 100 * float((episode_ranks(embeddings[:, 1], embeddings[:, 0], right).right_place != 0).mean())


if __name__ == "__main__":
    main()
