"""Match by example: label an image by the most similar of a few examples, once a network is trained."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tenfold.datasets import ImageForm, as_array, checked_range
from tenfold.errors import DataError, RequestError, ShapeError, TenfoldError, nearest
from tenfold.files import atomic_write
from tenfold.retrieval._arrays import checked_count
from tenfold.retrieval._search import search
from tenfold.retrieval._similarity import SIMILARITIES, checked_similarity

__all__ = ["Candidate", "Matcher"]

FORMAT = 3
"""Raised by one when an older tenfold could misread a newer file. 3: how images are read is in it."""

_KEYS = ("format", "similarity", "form", "shape", "labels", "label_of", "embeddings", "probe")
_IMAGES_AT_ONCE = 256
_SAME_NETWORK = 0.01
"""How far, as a share of its length, the embedding of the probe may be off: more than another device or half
precision makes of it, less than another training does."""


class Candidate(NamedTuple):
    """One label that an image may have.

    Attributes:
        label: the label.
        score: how alike the image and the nearest example of the label are, higher for more alike (see ``search``).
        example: which example of the label that is, from 0 in the order in which they were added.
    """

    label: str
    score: float
    example: int


class Matcher:
    """Labels an image by the most similar of a few labelled examples; labels are added and removed without training.

    Every image, in whatever form, gets the channels that the network was trained on, is cut to a square about its
    middle and averaged over area to ``size``; the matcher of a study (``Winner.matcher``) reads images as the study
    read its own. Brightness stays: a network trained on white strokes needs white strokes. Of several examples of a
    label the most similar one counts.

    Args:
        embed: maps images, float32 in 0..1 of shape (n, channels, size, size), to embeddings of shape (n, d): a
            function of NumPy arrays, or a ``torch.nn.Module``, which is used in evaluation mode on its own device.
        similarity: "cosine", "euclidean" or "dot".
        size: side in pixels that ``embed`` wants. None keeps images as they are; all must then have the size of the
            first.
        channels: those that ``embed`` was trained on: 1 for grey, 3 for red, green and blue. Colour images given to a
            grey network become grey; grey images given to a colour network get three equal channels.
        pixel_range: value of a white pixel in files and integers; None for 255, and for files of 16 bits 65535 where
            nothing smaller holds them.
        form: how a study brought its images to what its networks take, instead of ``size``, ``channels`` and
            ``pixel_range``.
    Raises:
        RequestError: if an argument is impossible.
    Example:
        >>> matcher = Matcher(lambda images: images.reshape(len(images), -1), size=2)
        >>> matcher.add("left", np.array([[1.0, 0.0], [1.0, 0.0]]))
        >>> matcher.add("right", [np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[0.0, 0.9], [0.2, 1.0]])])
        >>> matcher.labels, len(matcher)
        (('left', 'right'), 3)
        >>> best = matcher.match(np.array([[0, 220], [40, 250]], np.uint8), k=1)[0]
        >>> best.label, round(best.score, 3), best.example
        ('right', 1.0, 1)
    """

    def __init__(
        self,
        embed: Callable[..., Any],
        *,
        similarity: str = "cosine",
        size: int | None = None,
        channels: int = 1,
        pixel_range: float | None = None,
        form: ImageForm | None = None,
    ) -> None:
        if not callable(embed):
            raise RequestError(f"embed must be a function or a network; got {type(embed).__name__}")
        self._embed_images = _of_read_images(embed)
        self._similarity = checked_similarity(similarity)
        if channels not in (1, 3):
            raise RequestError(f"channels must be 1 (grey) or 3 (red, green, blue); got {channels!r}")
        side = None if size is None else checked_count(size, name="size")
        fit = "none" if side is None else "square"
        self._form = form or ImageForm(
            channels=int(channels), height=side, width=side, fit=fit, pixel_range=checked_range(pixel_range)
        )
        self._shape = self._fixed_shape
        self._labels: list[str] = []  # of each example
        self._embeddings: np.ndarray | None = None  # (examples, d)

    @property
    def _fixed_shape(self) -> tuple[int, int] | None:
        """Height and width that images are brought to; None where it is that of the first."""
        height, width = self._form.height, self._form.width
        return None if height is None or width is None else (height, width)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, each once, in the order in which they were first added."""
        return tuple(dict.fromkeys(self._labels))

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._labels)

    def __repr__(self) -> str:
        return (
            f"Matcher({len(self.labels)} labels, {len(self)} examples, {self._similarity}, "
            f"size={self._form.height}, channels={self._form.channels})"
        )

    def add(self, label: str | int, image_or_images: Any) -> None:
        """Add one or several examples of a label; if one of them is wrong, none is added.

        Args:
            label: text; an integer is taken as its text.
            image_or_images: a path, a Pillow image, an array (height, width), or with 1 or 3 channels first or last, of
                integers 0..255 or floats 0..1; or a list of those.
        Raises:
            RequestError: if the label is neither text nor an integer, or an image is not an image.
            DataError: if a file or a pixel is wrong, or an embedding is NaN.
            ShapeError: if an image or what ``embed`` gives has a wrong shape.
        """
        label = _checked_label(label)
        images = _image_list(image_or_images)
        if not images:
            raise RequestError(f"no image to add for '{label}': the list is empty")
        embeddings, shape = self._embed(images, [f"image {number} of '{label}'" for number in range(len(images))])
        known = self._embeddings
        self._embeddings = embeddings if known is None else np.concatenate([known, embeddings])
        self._labels += [label] * len(images)
        self._shape = shape

    def remove(self, label: str | int) -> None:
        """Remove a label with all its examples.

        Raises:
            RequestError: if there is no such label.
        """
        label = _checked_label(label)
        if label not in self._labels:
            raise RequestError(f"no label '{label}' to remove; {nearest(label, self.labels)}")
        assert self._embeddings is not None
        kept = [row for row, other in enumerate(self._labels) if other != label]
        self._embeddings = self._embeddings[kept] if kept else None
        self._labels = [self._labels[row] for row in kept]
        if not kept:
            self._shape = self._fixed_shape

    def match(self, image: Any, k: int = 3) -> list[Candidate]:
        """The k labels most similar to an image, best first; among equals the one added first.

        Args:
            image: as for ``add``, one.
            k: how many labels, from 1 to the number of labels.
        Raises:
            RequestError: if there are no examples, k is above the number of labels, or the image is not an image.
            DataError: if a file or a pixel is wrong, or the embedding is NaN.
            ShapeError: if the image or what ``embed`` gives has a wrong shape.
        """
        if self._embeddings is None:
            raise RequestError("there is nothing to match with yet: add examples first, matcher.add(label, image)")
        checked_count(k, name="k")
        if k > len(self.labels):
            raise RequestError(f"k must be at most the number of labels, {len(self.labels)}; got {k}")
        images = _image_list(image)
        if len(images) != 1:
            raise RequestError(f"match takes one image; got {len(images)}")
        embedding, _ = self._embed(images, ["the image"])
        found = search(embedding, self._embeddings, k=len(self), similarity=self._similarity)
        matches: dict[str, Candidate] = {}
        for row, score in zip(found.indices[0], found.scores[0], strict=True):
            label = self._labels[row]
            if label not in matches:
                matches[label] = Candidate(label, float(score), self._labels[:row].count(label))
                if len(matches) == k:
                    break
        return list(matches.values())

    def save(self, path: str | Path) -> Path:
        """Write labels and embeddings, not the network, as one .npz file, which is written completely or not at all.

        Raises:
            RequestError: if the path does not end in .npz.
            RecordError: if the file cannot be written.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise RequestError(f"{path}: examples are saved as .npz; got the ending '{path.suffix}'")
        codes = {label: code for code, label in enumerate(self.labels)}
        empty = np.zeros((0, 0))
        arrays = {
            "format": np.array(FORMAT),
            "similarity": np.array(self._similarity),
            "form": np.array(json.dumps(self._form.facts())),
            "shape": np.array(self._shape or (0, 0)),
            "labels": np.array(self.labels, dtype=np.str_),
            "label_of": np.array([codes[label] for label in self._labels], np.int64),
            "embeddings": empty if self._embeddings is None else self._embeddings,
            "probe": empty if self._embeddings is None else self._probe(),
        }
        with atomic_write(path) as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        return path

    @classmethod
    def load(cls, path: str | Path, embed: Callable[..., Any]) -> Matcher:
        """Read what ``save`` wrote; ``embed`` must be the network that the examples were added with.

        Another network is detected by the embedding of a test pattern, which is in the file: scores between the
        embeddings of two networks would be meaningless.

        Raises:
            DataError: if the file is missing, damaged, of another version, or was made with another network.
        """
        path = Path(path)
        arrays = _read(path)
        form = ImageForm.from_facts(json.loads(str(arrays["form"])))
        matcher = cls(embed, similarity=str(arrays["similarity"]), form=form)
        if len(arrays["embeddings"]):
            matcher._labels = [str(arrays["labels"][code]) for code in arrays["label_of"]]
            matcher._embeddings = arrays["embeddings"].astype(np.float64)
            matcher._shape = (int(arrays["shape"][0]), int(arrays["shape"][1]))
            matcher._check_probe(path, arrays["probe"])
        return matcher

    def _embed(self, images: list[Any], names: list[str]) -> tuple[np.ndarray, tuple[int, int]]:
        """Embeddings of images in any form, float64 of shape (n, d); and the height and width of the images."""
        shape, parts = self._shape, []
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            pixels = []
            for image, name in zip(images[start:], names[start : start + _IMAGES_AT_ONCE], strict=False):
                pixels.append(self._form.read(image, where=name))
                height, width = pixels[-1].shape[1:]
                shape = shape or (height, width)
                if (height, width) != shape:
                    raise ShapeError(
                        f"{name}: is {height} x {width} pixels, and the images before it "
                        f"{shape[0]} x {shape[1]}; give the matcher a size to bring all images to"
                    )
            found = self._call(np.stack(pixels))  # (n, channels, height, width)
            wrong = ~np.isfinite(found).all(axis=1)
            if wrong.any():
                name = names[start + int(np.argmax(wrong))]
                raise DataError(
                    f"{name}: its embedding holds NaN or infinity; did the training of this network diverge?"
                )
            parts.append(found)
        embeddings = np.concatenate(parts)
        if self._embeddings is not None and embeddings.shape[1] != self._embeddings.shape[1]:
            raise ShapeError(
                f"embed gives {embeddings.shape[1]} dimensions, and the examples so far have "
                f"{self._embeddings.shape[1]}; was it another network?"
            )
        assert shape is not None
        return embeddings, shape

    def _call(self, pixels: np.ndarray) -> np.ndarray:
        """What ``embed`` makes of images (n, channels, height, width): float64, shape (n, d)."""
        try:
            embeddings = as_array(_run(self._embed_images, pixels))
        except (TenfoldError, MemoryError):
            raise
        except Exception as problem:  # a network may raise anything for images that it cannot take
            raise RequestError(f"embed cannot take images of shape {pixels.shape}: {problem}") from problem
        if embeddings.ndim != 2 or len(embeddings) != len(pixels) or embeddings.shape[1] == 0:
            raise ShapeError(
                f"embed must give one embedding per image, shape ({len(pixels)}, d); got shape {embeddings.shape}"
            )
        if embeddings.dtype.kind not in "biuf":
            raise DataError(f"embed must give real numbers; got {embeddings.dtype}")
        return embeddings.astype(np.float64)

    def _probe(self) -> np.ndarray:
        """The embedding of a test pattern, shape (1, d); or (0, 0) where the network makes NaN of it."""
        assert self._shape is not None
        channels, rows, columns = np.indices((self._form.channels, *self._shape), np.float32)
        pattern = np.float32(0.5) + np.float32(0.5) * np.sin(rows * 0.7 + columns * 1.3 + channels * 1.9)
        found = self._call(pattern[None])  # (1, channels, height, width)
        return found if np.isfinite(found).all() else np.zeros((0, 0))

    def _check_probe(self, path: Path, stored: np.ndarray) -> None:
        found = self._probe()
        same = found.shape == stored.shape
        if not same or np.linalg.norm(found - stored) > _SAME_NETWORK * np.linalg.norm(stored):
            raise DataError(
                f"{path}: its examples were added with another network: embeddings of two networks cannot be compared. "
                "Load it with that one, or add the examples again"
            )


def _of_read_images(embed: Callable[..., Any]) -> Callable[..., Any]:
    """``Winner.embed`` takes images in their own units, which a matcher has read already: its twin for such images."""
    owner = getattr(embed, "__self__", None)
    return getattr(owner, "embed_prepared", embed) if getattr(embed, "__name__", "") == "embed" else embed


def _image_list(images: Any) -> list[Any]:
    """One image or several, as a list: a list, a tuple or an array of four axes holds several."""
    if isinstance(images, (list, tuple)):
        return list(images)
    return list(images) if getattr(images, "ndim", None) == 4 else [images]


def _run(embed: Callable[..., Any], pixels: np.ndarray) -> Any:
    """A function is called with the array; a network in evaluation mode, with a tensor on its device."""
    torch = sys.modules.get("torch")  # a network exists only where torch was imported
    if torch is None or not isinstance(embed, torch.nn.Module):
        return embed(pixels)
    first = next(embed.parameters(), None)
    images = torch.from_numpy(pixels)
    modes = [(module, module.training) for module in embed.modules()]
    try:
        embed.eval()
        with torch.no_grad():
            return embed(images if first is None else images.to(first.device, first.dtype))
    finally:
        for module, training in modes:
            module.training = training


def _checked_label(label: Any) -> str:
    if isinstance(label, (int, np.integer)) and not isinstance(label, bool):
        label = str(int(label))
    if not isinstance(label, str) or not label:
        raise RequestError(f"a label must be text or an integer, and not empty; got {label!r}")
    if "\0" in label:  # NumPy drops it from the end of a text
        raise RequestError(f"a label must not hold the character of code 0; got {label!r}")
    return str(label)


def _read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that ``save`` wrote, checked so that nothing later can fail on them."""
    try:
        # Opened here, because np.load leaves a damaged file open when it opens one itself.
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise DataError(f"{path}: not an .npz file, or cut off; expected one written by Matcher.save")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
    except (DataError, MemoryError):
        raise
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror or problem})") from problem
    except Exception as problem:  # zip, zlib and the .npy header raise different errors for damage
        raise DataError(f"{path}: damaged or cut off ({problem})") from problem
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        raise DataError(f"{path}: not written by Matcher.save: {', '.join(missing)} missing")
    stored = arrays["format"]
    if stored.shape != () or stored.dtype.kind not in "iu" or stored != FORMAT:
        raise DataError(f"{path}: written by another version of tenfold (format {stored}); this one reads {FORMAT}")
    problem = _contradiction(arrays)
    if problem:
        raise DataError(f"{path}: damaged: {problem}")
    return arrays


def _contradiction(arrays: dict[str, np.ndarray]) -> str | None:
    """What in the arrays cannot be from ``save``, or None."""
    kinds = {"similarity": "U", "form": "U", "shape": "iu", "labels": "U", "label_of": "iu", "embeddings": "f"}
    axes = {"similarity": 0, "form": 0, "shape": 1, "labels": 1, "label_of": 1, "embeddings": 2}
    for key, kind in kinds.items():
        if arrays[key].dtype.kind not in kind or arrays[key].ndim != axes[key]:
            return f"'{key}' is {arrays[key].dtype} of shape {arrays[key].shape}"
    labels, label_of, embeddings = arrays["labels"], arrays["label_of"], arrays["embeddings"]
    if arrays["similarity"] not in SIMILARITIES:
        return f"similarity '{arrays['similarity']}' is unknown"
    if arrays["shape"].shape != (2,) or arrays["shape"].min() < min(1, len(embeddings)):
        return f"images of shape {arrays['shape']}"
    try:
        ImageForm.from_facts(json.loads(str(arrays["form"])))
    except (TypeError, ValueError) as problem:
        return str(problem)
    if len(label_of) != len(embeddings) or (embeddings.shape[1] == 0 and len(embeddings)):
        return f"{len(label_of)} labels for embeddings of shape {embeddings.shape}"
    if set(label_of.tolist()) != set(range(len(labels))) or len(set(labels.tolist())) < len(labels) or "" in labels:
        return "labels are empty, twice or not used"
    if not np.isfinite(embeddings).all():
        return "an embedding is NaN or infinite"
    return None
