"""Embeddings of images of classes that are not in the training data, laid out in the plane."""

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
from tenfold.report.figures._numbers import Row, columns_of
from tenfold.report.figures._predictions import sound_runs

ARRAYS = (("pool", "pool_class"),)

_MOST_CLASSES, _MOST_IMAGES = 20, 400
_EDGE = 16  # pixels from a panel's edge to its outermost images
_WORDS = ("Best: ", "Worst: ")
_FEW = 30  # images; t-SNE needs more neighbours than fewer images have
# Seven shapes in three colours: 20 classes differ in shape, in colour or in both.
_HUES, _SHAPES = ("first", "second", "ink"), "os^vDPX"


class Pool(NamedTuple):
    """Images of one run: embeddings (images, d), class numbers as recorded and in the order of appearance (images,)."""

    variant: Variant
    repeat: int
    embeddings: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    n_classes: int  # of all images, also those that are not shown


class Panel(NamedTuple):
    """One panel: its heading, the run, its images in the plane (images, 2), and the words below it."""

    heading: str
    pool: Pool
    points: np.ndarray
    method: str
    below: str


def collect(results: Reader) -> list[Panel] | None:
    """The best and the worst model's embeddings of the same images; None where the record has no embeddings."""
    pools = _best_and_worst(results)
    similarity = str((results.study.get("task") or {}).get("similarity", "cosine"))
    panels = []
    for pool, words in zip(pools, _WORDS, strict=False):
        points, method = laid_out(pool.embeddings, similarity)
        heading = words * (len(pools) > 1) + pool.variant.label
        panels.append(Panel(heading, pool, points, method, _below(results, pool, method)))
    return panels or None


def numbers(panels: list[Panel]) -> list[Row]:
    """One row per image; "class" is the class number in the data, "class_shown" the number in the figure."""
    return [
        {**columns_of(panel.pool.variant), "repeat": panel.pool.repeat, "class": int(label),
         "class_shown": int(shown) + 1, "method": panel.method, "x": float(x), "y": float(y)}
        for panel in panels
        for label, shown, (x, y) in zip(panel.pool.labels, panel.pool.classes, panel.points, strict=True)
    ]  # fmt: skip


def draw(panels: list[Panel], *, width: float = WIDE) -> Figure:
    """One panel per model."""
    narrow = width < (WIDE + NARROW) / 2
    gap, below = 20, 30
    side = width if narrow else (width - gap) / 2
    above = 44 if any(len(wrapped(panel.heading, side - 2, FONT)) > 1 for panel in panels) else 28
    high = side * 0.86
    down = above + high + below
    figure = new_figure(width, down * (len(panels) if narrow else 1))
    for place, panel in enumerate(panels):
        left, top = (0, place * down) if narrow else (place * (side + gap), 0)
        axes = axes_at(figure, left + 1, top + above, side - 2, high)
        _scatter(axes, panel.points, panel.pool.classes, side - 2, high)
        title(axes, panel.heading, left=0)
        write(axes, 0, -9 / high, panel.below, colour="muted", size=SMALL,
              va="top", transform=axes.transAxes)  # fmt: skip
    return figure


def _best_and_worst(results: Reader) -> list[Pool]:
    """A run of the best and one of the worst model with embeddings: the first repeat in which both have equal images.

    One run alone where no two models have the same images; none where the record has no embeddings.
    """
    variants = [_pools(variant, arrays) for variant, arrays in sound_runs(results, *ARRAYS[0])]
    found = [pools for pools in variants if pools]
    for worst in reversed(found[1:]):
        for best in found[0]:
            for other in worst:
                if other.repeat == best.repeat and np.array_equal(other.labels, best.labels):
                    return [best, other]
    return [found[0][0]] if found else []


def _pools(variant: Variant, arrays: dict[str, np.ndarray]) -> list[Pool]:
    """All runs of a variant that have at least two embeddings, all finite."""
    pool, classes = arrays["pool"], arrays["pool_class"]
    if pool.ndim != 3 or pool.shape[:2] != classes.shape:
        return []
    found = []
    for repeat, embeddings, labels in zip(arrays["repeat"].tolist(), pool, classes, strict=True):
        embeddings, labels = embeddings[labels >= 0].astype(np.float32), labels[labels >= 0]
        if len(embeddings) > 1 and np.isfinite(embeddings).all():
            rows, order = _chosen(labels)
            n_classes = len(np.unique(labels))
            found.append(Pool(variant, repeat, embeddings[rows], labels[rows], order[rows], n_classes))
    return found


def _below(results: Reader, pool: Pool, method: str) -> str:
    n_shown = len(np.unique(pool.classes))
    classes = f"{n_shown} of {pool.n_classes} classes" if n_shown < pool.n_classes else f"{n_shown} classes"
    words = [method, classes, f"repeat {pool.repeat}"]
    if any(metric["name"] == "precision_at_1" for metric in results.metrics):
        scores = results.scores("precision_at_1").get(pool.variant.label)
        score = np.nan if scores is None else scores[results.repeats.index(pool.repeat)]
        if np.isfinite(score):
            words.append(f"precision at 1: {100 * score:.1f} %")
    return ", ".join(words)


def _chosen(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of at most 20 classes and 400 images, as many per class; and every row's class by order of appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))[inverse]
    each = _MOST_IMAGES // max(min(len(first), _MOST_CLASSES), 1)
    rows = [np.flatnonzero(order == number)[:each] for number in range(min(len(first), _MOST_CLASSES))]
    return np.sort(np.concatenate(rows)) if rows else np.zeros(0, np.int64), order


def laid_out(embeddings: np.ndarray, similarity: str) -> tuple[np.ndarray, str]:
    """Points in the plane, near each other where embeddings are similar, and the name of the method.

    Args:
        embeddings: shape (images, d), finite.
        similarity: "cosine" or "euclidean", as in the study.
    Returns:
        Points (images, 2) and "t-SNE"; "principal components" with few images, or where t-SNE fails; zeros and "all
        images alike" for a model that has collapsed.
    Source: van der Maaten and Hinton 2008; the start at the principal components: Kobak and Berens 2019.
    """
    import sklearn.manifold  # noqa: F401 - only libraries that are loaded already can be limited

    values = np.ascontiguousarray(embeddings, dtype=np.float32)
    # One thread: it takes several times less processor time at this size, and sums do not depend on the cores.
    with threadpool_limits(1):
        return _laid_out(values.tobytes(), values.shape, similarity)


@lru_cache(maxsize=4)  # the same record is reported more than once
def _laid_out(data: bytes, shape: tuple[int, int], similarity: str) -> tuple[np.ndarray, str]:
    values = np.frombuffer(data, np.float32).reshape(shape).astype(np.float64)
    if similarity == "cosine":
        values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    plane = _principal(values)
    spread = float(plane[:, 0].std())
    if spread <= 1e-6 * float(
        np.abs(values).max()
    ):  # rounding errors only; scaled to a panel they would look like a result
        return np.zeros_like(plane), "all images alike"
    points = None if len(values) < _FEW else _neighbours_kept(values, plane / spread * 1e-4, similarity)
    return (plane, "principal components") if points is None else (points, "t-SNE")


def _principal(values: np.ndarray) -> np.ndarray:
    """The first two principal components, with signs chosen so that the same record gives the same picture."""
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

    # With fewer neighbours than twice the images of a class, every class shrinks to a dot.
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
    """Points by class on axes that count in pixels, with each class's number beside its points."""
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
    """Moved and scaled, equally in both directions, to fill a box that keeps room for numbers at its edges."""
    low, high = points.min(0), points.max(0)
    room = np.array([width, height])
    scale = ((room - 2 * _EDGE) / np.maximum(high - low, 1e-30)).min()
    return room / 2 + (points - (low + high) / 2) * scale


def _beside(mine: np.ndarray, every: np.ndarray, taken: list[np.ndarray], width: float, height: float) -> list[float]:
    """Where a class's number stands: near the image in the middle of the class, over few images and no other number."""
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
    # Five pixels more distance cost more than one covered image.
    cost = covered + 1.2 * np.repeat(np.arange(len(steps)), len(ways)) + 40 * clashes + 1000 * ~inside
    return tried[cost.argmin()].tolist()
