"""Claim: the repeats of one model together make fewer errors than each alone, in Lake's 20 one-shot runs.

    tenfold run omniglot-oneshot
    python benchmarks/omniglot_ensemble.py [tenfold-runs/omniglot-oneshot]

Each repeat's embedding is brought to length 1 and they are put side by side, as ``results.winner(NAME).matcher()``
does: cosine similarities are then the mean of the repeats'. Nothing is chosen here: all repeats of every model count.
"""

from __future__ import annotations

import sys

import numpy as np

import tenfold
from tenfold import data
from tenfold.retrieval import episode_ranks


def main() -> None:
    results = tenfold.Results(sys.argv[1] if len(sys.argv) > 1 else "tenfold-runs/omniglot-oneshot")
    images = data.load("omniglot")
    assert isinstance(images, data.Images)
    assert images.episodes is not None
    small = data.average_down(images.images[images.episodes.flatten()], 28)[:, None].astype(np.float32)
    labels = images.labels[images.episodes]  # (episodes, 2, ways)
    right = (labels[:, 1, :, None] == labels[:, 0, None, :]).argmax(-1)
    print("| model | error of one repeat, % | error of all repeats together, % | repeats |")
    print("|---|---:|---:|---:|")
    for arm in results.arms:
        winner = results.winner(arm.label)
        alone = 100 * (1 - results.scores("oneshot_accuracy")[arm.label])
        embed = winner.matcher()._embed_images
        parts = [embed(piece) for piece in np.array_split(small, 4)]
        embeddings = np.concatenate(parts).reshape(*images.episodes.shape, -1)
        place = episode_ranks(embeddings[:, 1], embeddings[:, 0], right).right_place
        together = 100 * float((place != 0).mean())
        print(f"| {arm.label} | {alone.mean():.1f} +- {alone.std(ddof=1):.1f} | {together:.1f} | {len(alone)} |")


if __name__ == "__main__":
    main()
