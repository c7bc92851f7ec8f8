"""Embeddings of images of classes never learnt from, laid out in the plane."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from tenfold.record import Reader, Variant
from tenfold.report.figures._canvas import (
    COLOURS,
    FONT,
    NARROW,
    SMALL,
    WIDE,
    axes_at,
    new_figure,
    title,
    wrapped,
    write,
)
from tenfold.report.figures._predictions import MATCH, sound_runs

_MOST_CLASSES, _MOST_IMAGES = 20, 400
_EDGE = 16  # pixels from a panel's edge to its outermost images
_WORDS = ("Best: ", "Worst: ")
_FEW = 30  # images, below which there are too few neighbours for t-SNE
# Seven shapes in three colours, so that 20 classes differ; no two in one shape and colour.
_HUES, _SHAPES = ("first", "second", "ink"), "os^vDPX"


class _Pool(NamedTuple):
    """One run's images: embeddings (images, d), and classes (images,), as recorded and counted in the pool's order."""

    variant: Variant
    repeat: int
    embeddings: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    n_classes: int  # also those that are not shown


def draw(results: Reader, *, width: float = WIDE) -> Figure | None:
    """The best and the worst model's embeddings of the same images; None where the record has none."""
    shown = _best_and_worst(results)
    if not shown:
        return None
    narrow = width < (WIDE + NARROW) / 2
    gap, below = 20, 30
    side = width if narrow else (width - gap) / 2
    labels = [words * (len(shown) > 1) + pool.variant.label for (pool, words) in zip(shown, _WORDS, strict=False)]
    above = 44 if any(len(wrapped(label, side - 2, FONT)) > 1 for label in labels) else 28
    high = side * 0.86
    down = above + high + below
    figure = new_figure(width, down * (len(shown) if narrow else 1))
    similarity = str((results.study.get("task") or {}).get("similarity", "cosine"))
    for number, (pool, label) in enumerate(zip(shown, labels, strict=True)):
        left, top = (0, number * down) if narrow else (number * (side + gap), 0)
        axes = axes_at(figure, left + 1, top + above, side - 2, high)
        points, method = laid_out(pool.embeddings, similarity)
        _scatter(axes, points, pool.classes, side - 2, high)
        title(axes, label, left=0)
        write(axes, 0, -9 / high, _under(results, pool, method), colour="muted", size=SMALL,
              va="top", transform=axes.transAxes)  # fmt: skip
    return figure


def _best_and_worst(results: Reader) -> list[_Pool]:
    """The best and the worst model with embeddings, by the first repeat of both that has the same images; or one."""
    variants = [_pools(variant, arrays) for variant, arrays in sound_runs(results, MATCH, "pool", "pool_class")]
    found = [pools for pools in variants if pools]
    for worst in reversed(found[1:]):
        for best in found[0]:
            for other in worst:
                if other.repeat == best.repeat and np.array_equal(other.labels, best.labels):
                    return [best, other]
    return [found[0][0]] if found else []


def _pools(variant: Variant, arrays: dict[str, np.ndarray]) -> list[_Pool]:
    """All runs of a variant whose embeddings are finite, and more than one."""
    pool, classes = arrays["pool"], arrays["pool_class"]
    if pool.ndim != 3 or pool.shape[:2] != classes.shape:
        return []
    found = []
    for repeat, its, labels in zip(arrays["repeat"].tolist(), pool, classes, strict=True):
        its, labels = its[labels >= 0].astype(np.float32), labels[labels >= 0]
        if len(its) > 1 and np.isfinite(its).all():
            rows, order = _chosen(labels)
            found.append(_Pool(variant, repeat, its[rows], labels[rows], order[rows], len(np.unique(labels))))
    return found


def _chosen(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of at most 20 classes and 400 images, as many of each class; and each row's class by order of appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))[inverse]
    each = _MOST_IMAGES // max(min(len(first), _MOST_CLASSES), 1)
    rows = [np.flatnonzero(order == number)[:each] for number in range(min(len(first), _MOST_CLASSES))]
    return np.sort(np.concatenate(rows)) if rows else np.zeros(0, np.int64), order


def laid_out(embeddings: np.ndarray, similarity: str) -> tuple[np.ndarray, str]:
    """Points in the plane, near each other where embeddings are similar, and the name of the method.

    Args:
        embeddings: shape (images, d), finite.
        similarity: "cosine" or "euclidean", as the study ranks.
    Returns:
        Points (images, 2) and "t-SNE"; or "principal components" where there are few images, or t-SNE fails; or zeros
        and "all images alike" of a model that has collapsed.
    Source: van der Maaten and Hinton 2008; the start at the principal components: Kobak and Berens 2019.
    """
    import sklearn.manifold  # noqa: F401 - threads of what is not loaded yet cannot be limited

    values = np.ascontiguousarray(embeddings, dtype=np.float32)
    # One thread: several times less processor time at this size, and sums that do not depend on the machine's cores.
    with threadpool_limits(1):
        return _laid_out(values.tobytes(), values.shape, similarity)


@lru_cache(maxsize=4)  # a figure is drawn twice, wide and narrow
def _laid_out(data: bytes, shape: tuple[int, int], similarity: str) -> tuple[np.ndarray, str]:
    values = np.frombuffer(data, np.float32).reshape(shape).astype(np.float64)
    if similarity == "cosine":
        values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    plane = _principal(values)
    spread = float(plane[:, 0].std())
    if spread <= 1e-6 * float(np.abs(values).max()):  # rounding alone; scaled to a panel it would look like something
        return np.zeros_like(plane), "all images alike"
    points = None if len(values) < _FEW else _neighbours_kept(values, plane / spread * 1e-4, similarity)
    return (plane, "principal components") if points is None else (points, "t-SNE")


def _principal(values: np.ndarray) -> np.ndarray:
    """The first two principal components; the sign such that the same record gives the same picture."""
    centred = values - values.mean(0)
    left, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(values), 2))
    for number in range(min(2, len(sizes))):
        way = np.sign(axes[number, np.abs(axes[number]).argmax()]) or 1.0
        plane[:, number] = left[:, number] * sizes[number] * way
    return plane


def _neighbours_kept(values: np.ndarray, start: np.ndarray, similarity: str) -> np.ndarray | None:
    """t-SNE from a fixed start; None where it fails."""
    from sklearn.manifold import TSNE

    # With fewer neighbours than twice a class's images, every class shrinks to a dot.
    tsne = TSNE(
        metric=similarity,
        init=start.astype(np.float32),  # type: ignore[arg-type]
        perplexity=max(len(values) / 8, 5.0),
        angle=0.7,
        random_state=0,
    )
    try:
        with np.errstate(all="ignore"):
            points = tsne.fit_transform(values)
    except (ValueError, FloatingPointError):
        return None
    return points if np.isfinite(points).all() else None


def _scatter(axes: Axes, points: np.ndarray, classes: np.ndarray, width: float, height: float) -> None:
    """Points by class on axes that count in pixels, each class with its number beside it."""
    pixels = _in_pixels(points, width, height)
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    places: list[np.ndarray] = []
    for number in np.unique(classes).tolist():
        mine, hue = pixels[classes == number], _HUES[number % 3]
        axes.plot(*mine.T, _SHAPES[number % 7], ms=5, color=COLOURS[hue], alpha=0.65, mew=0)
        x, y = _beside(mine, pixels, places, width, height)
        places.append(np.array((x, y)))
        box: dict[str, Any] = {"facecolor": COLOURS["paper"], "alpha": 0.75, "lw": 0, "pad": 0.5}
        write(axes, x, y, str(number + 1), colour=hue, weight="bold",
              ha="center", va="center", bbox=box, zorder=3)  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=COLOURS["line"], linewidth=1)


def _in_pixels(points: np.ndarray, width: float, height: float) -> np.ndarray:
    """Moved and scaled, alike in both directions, to fill a box with room for numbers at its edges."""
    low, high = points.min(0), points.max(0)
    room = np.array([width, height])
    scale = ((room - 2 * _EDGE) / np.maximum(high - low, 1e-30)).min()
    return room / 2 + (points - (low + high) / 2) * scale


def _beside(mine: np.ndarray, every: np.ndarray, taken: list[np.ndarray], width: float, height: float) -> list[float]:
    """Where a class's number stands: near the image in its middle, where it covers few images and no other number."""
    middle = mine[np.linalg.norm(mine - np.median(mine, axis=0), axis=1).argmin()]
    angles = np.arange(12) * np.pi / 6
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    steps = np.arange(0, 46, 5)
    tried = (middle + steps[:, None, None] * ways).reshape(-1, 2)
    inside = ((tried > (11, 9)) & (tried < (width - 11, height - 9))).all(1)
    covered = (np.abs(tried[:, None] - every) < (12, 9)).all(2).sum(1)
    clashes = np.zeros(len(tried))
    for other in taken:
        clashes += (np.abs(tried - other) < (20, 15)).all(1)
    # Five pixels further away are worse than one image covered.
    cost = covered + 1.2 * np.repeat(np.arange(len(steps)), len(ways)) + 40 * clashes + 1000 * ~inside
    return tried[cost.argmin()].tolist()


def _under(results: Reader, pool: _Pool, method: str) -> str:
    n_shown = len(np.unique(pool.classes))
    classes = f"{n_shown} of {pool.n_classes} classes" if n_shown < pool.n_classes else f"{n_shown} classes"
    words = [method, classes, f"repeat {pool.repeat}"]
    if any(metric["name"] == "precision_at_1" for metric in results.metrics):
        scores = results.scores("precision_at_1").get(pool.variant.label)
        score = np.nan if scores is None else scores[results.repeats.index(pool.repeat)]
        if np.isfinite(score):
            words.append(f"precision at 1: {100 * score:.1f} %")
    return ", ".join(words)
