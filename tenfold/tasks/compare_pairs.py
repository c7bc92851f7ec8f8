"""Compare two images of digits (or any ordered classes): is the first <= the second?"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold import datasets
from tenfold.errors import DataError, RequestError, ShapeError
from tenfold.metrics import accuracy, f1_binary, roc_auc
from tenfold.recipe import Config
from tenfold.sampling import (
    Batch,
    Part,
    Resampling,
    Split,
    Splitter,
    Standardise,
    TensorSource,
    check_amount,
    folds_resampling,
    of_pool,
    shuffled,
)
from tenfold.seeds import generator
from tenfold.tasks._classes_in_parts import equal_items, missing_classes, repeated_items
from tenfold.tasks._contract import Hyper, Predicted, TaskInfo, TaskSpec
from tenfold.tasks._counts import classes_and_groups, in_each_repeat
from tenfold.tasks._images import image_inputs, square_items
from tenfold.tasks._pairs_spec import SPEC, PairSettings
from tenfold.tasks._pairs_spec import PairRecipe as PairRecipe
from tenfold.tasks._sums import counts_by, nats

__all__ = ["ComparePairs"]

# Fraction of the images kept for testing where a data set has no test part of its own.
_TEST_FRACTION = 0.25


class ComparePairs:
    """Two images, target 1 where the class of the first <= the class of the second.

    A module takes (batch, 2, height, width) and gives logits (batch, 2) for "greater" and "less or equal", or a tuple
    of those and class logits (batch, 2, classes) for the two images.

    Args:
        settings: see PairSettings.
        images: a set of grey images by class, or ready-made pairs.
    Source: the protocol of the EPFL Deep Learning course, project 1.
    """

    spec: ClassVar[TaskSpec] = SPEC
    batches = staticmethod(shuffled)

    def __init__(self, settings: PairSettings, images: datasets.Images | datasets.Pairs) -> None:
        self.settings, self._ready = settings, isinstance(images, datasets.Pairs)
        if isinstance(images, datasets.Images) and images.images.shape[1] != 1:
            raise DataError(
                f"{images.name}: compare-pairs takes grey images, these have {images.images.shape[1]} channels"
            )
        raw = images.pairs if isinstance(images, datasets.Pairs) else images.images[:, 0]
        items = square_items(images.name, raw, settings.size)
        self._source = TensorSource(torch.from_numpy(items))
        self._sums = _sums_by_item(items) if settings.pixels == "standardised" else None
        self._labels = None if images.labels is None else torch.from_numpy(images.labels.astype(np.int64))
        self._targets = torch.from_numpy(images.targets) if isinstance(images, datasets.Pairs) else None
        self._class_names = images.class_names
        self._name, self.size, self.n_classes = images.name, int(items.shape[-1]), images.n_classes or 0
        self._n_validation = round(settings.train * settings.validation)
        self.splitter = self._splitter(images.part)
        # Pairs without labels: class logits keep the default size and are ignored.
        kwargs = {"size": self.size} | ({"n_classes": self.n_classes} if self.n_classes else {})
        self.info = TaskInfo(
            images.fingerprint,
            module_kwargs=kwargs,
            labels={"class": images.class_names, "answer": _answers(images)},
            warnings=tuple(images.notes),
            inputs=image_inputs("pairs", images, settings.size),
            counts={"pairs" if self._ready else "images": len(raw)} | classes_and_groups(self._labels),
            each_repeat=in_each_repeat(self._amounts, "pairs"),
            class_counts=()
            if self._labels is None
            else tuple(self._labels.flatten().bincount(minlength=self.n_classes).tolist()),
        )
        self._check_amounts()

    # -- data ---------------------------------------------------------------------------------------------------------

    def _splitter(self, part: np.ndarray) -> Splitter:
        s = self.settings
        official = bool((part == datasets.TEST).any())
        ready = {"train": s.train - self._n_validation, "validation": self._n_validation}
        return Splitter(
            len(part),
            test=s.test / (s.train + s.test) if self._ready else 0.0 if official else _TEST_FRACTION,
            validation=s.validation,
            folds=s.folds,
            part=torch.from_numpy(part.astype(np.int64)),
            at_least=ready if self._ready else {},  # of ready pairs at least what is asked for
            unit="pairs" if self._ready else "images",
        )

    @property
    def _amounts(self) -> dict[Part, int]:
        s = self.settings
        return {"train": s.train - self._n_validation, "validation": self._n_validation, "test": s.test}

    def _check_amounts(self) -> None:
        s = self.settings
        if s.validation and not 0 < self._n_validation < s.train:
            raise RequestError(
                f"validation: {s.validation} of train = {s.train} pairs leaves {self._n_validation} for validation and "
                f"{s.train - self._n_validation} for training; both need at least one"
            )
        # Folds differ by one item; without folds all repeats have equally many.
        rows = [self.splitter.rows(repeat, 0) for repeat in range(s.folds or 1)]
        fewest = {part: min(len(own[part]) for own in rows) for part in self._amounts}
        if self._ready:
            n_train = min(len(own["train"]) + len(own["validation"]) for own in rows)
            check_amount(self._name, "train", s.train, n_train, "pairs")
            check_amount(self._name, "test", s.test, fewest["test"], "pairs")
            return
        for part, amount in self._amounts.items():
            n = fewest[part]
            if amount and (n < 2 or amount > n * (n - 1)):
                raise DataError(f"{self._name}: {part} = {amount} pairs cannot be drawn from {n} images")

    def splits(
        self, repeats: Sequence[int], *, seed: int, configs: Sequence[Config] | None = None
    ) -> dict[Part, Split]:
        rows = {repeat: self.splitter.rows(repeat, seed) for repeat in repeats}
        preprocess = self._preprocess([rows[repeat]["train"] for repeat in repeats])
        found: dict[Part, Split] = {}
        for part, amount in self._amounts.items():
            if amount:
                drawn = [
                    self._draw(rows[repeat][part], amount, generator(seed, repeat, f"{part} pairs"))
                    for repeat in repeats
                ]
                found[part] = self._split(torch.stack(drawn), preprocess)
        return found

    def remarks(self, configs: Sequence[Config], *, repeats: int, seed: int) -> list[str]:
        """Classes that no repeat can train on and test, and images (or ready-made pairs) that are in both parts."""
        whole = [self.splitter.rows(repeat, seed) for repeat in range(repeats)]
        parts = [{part: rows.numpy() for part, rows in own.items()} for own in whole]
        self._expect_both_targets(parts)
        said = []
        if self._labels is not None:
            labels = self._labels.numpy()
            counts = np.bincount(labels.ravel(), minlength=self.n_classes)
            few = "there is one image of {it}; add images, or leave {it} out"
            said += missing_classes(labels, parts, self._class_names, lambda label: few if counts[label] == 1 else None)
        items = self._source.items.numpy()
        single = equal_items(items.reshape(-1, *items.shape[-2:]))
        return [*said, *repeated_items(single, self._rows_of_images(parts), "images")]

    def _rows_of_images(self, parts: Sequence[dict[Part, np.ndarray]]) -> list[dict[Part, np.ndarray]]:
        """Parts in images: a ready-made pair has two."""
        if not self._ready:
            return list(parts)
        return [{part: np.concatenate([2 * rows, 2 * rows + 1]) for part, rows in own.items()} for own in parts]

    def _expect_both_targets(self, parts: Sequence[dict[Part, np.ndarray]]) -> None:
        """Refuse a repeat of which every pair to train on would have the same target."""
        for repeat, own in enumerate(parts):
            if self._targets is not None:
                targets = self._targets[own["train"]].unique()
                what = f"pairs of target {int(targets[0])} only; mark pairs of both targets for training"
            else:
                assert self._labels is not None
                targets = self._labels[own["train"]].unique()
                what = f"images of class '{self._class_names[int(targets[0])]}' only; mark other classes for training"
            if len(targets) == 1:
                raise DataError(f"{self._name}: repeat {repeat} would train on {what}, or leave 'part' out")

    def _draw(self, pool: Tensor, count: int, rng: torch.Generator) -> Tensor:
        """``count`` examples: ready pairs (count,), or two different images each (count, 2), no pair twice.

        Every image is used once as long as there are enough; then the pool is dealt again in another order.
        """
        if self._ready:
            return pool[torch.randperm(len(pool), generator=rng)[:count]]
        pairs: dict[tuple[int, int], None] = {}
        while len(pairs) < count:
            dealt = pool[torch.randperm(len(pool), generator=rng)].tolist()
            pairs |= dict.fromkeys(zip(dealt[::2], dealt[1::2], strict=False))
        return torch.tensor(list(pairs)[:count], dtype=torch.int64).view(-1, 2)

    def _preprocess(self, fitted_to: Sequence[Tensor]) -> Standardise | None:
        """From 0..1 to the pixels wanted; fitted to these items of each run alone, so that no other has a say."""
        if self.settings.pixels == "unit":
            return None
        if self._sums is None:  # raw
            scaling = torch.tensor([[0.0, 255.0]] * len(fitted_to))
        else:
            scaling = torch.tensor([_mean_and_scale(self._sums[items]) for items in fitted_to])
        shift, scale = scaling.view(-1, 2, 1, 1, 1).unbind(1)
        return Standardise(shift, scale)

    def _split(self, index: Tensor, preprocess: Standardise | None) -> Split:
        targets = {} if self._labels is None else {"digits": self._labels[index]}  # (runs, examples, 2)
        if self._targets is not None:
            targets["target"] = self._targets[index]
        else:
            targets["target"] = (targets["digits"][..., 0] <= targets["digits"][..., 1]).long()
        return Split(self._source, index, targets, preprocess=preprocess)

    def resampling(self, configs: Sequence[Config] | None = None) -> Resampling:
        s, unit = self.settings, self.splitter.unit
        if s.folds is not None:
            return folds_resampling(s.folds, unit, self.splitter.n_items)
        rows, each = self.splitter.rows(0, 0), 1 if self._ready else 2
        n_train, n_test = len(rows["train"]) + len(rows["validation"]), len(rows["test"])
        one_pool = self.splitter.part is None or bool((self.splitter.part == datasets.UNASSIGNED).any())
        n_pool = n_train + n_test if one_pool else n_test
        drawn = min(each * s.test, n_test)
        return of_pool(
            drawn,
            n_pool,
            unit,
            f"every repeat draws its own pairs, from {n_train} {unit} for training and {n_test} for testing, and uses "
            f"{drawn / n_test:.0%} of the latter",
            one_pool=one_pool,
        )

    # -- one run ------------------------------------------------------------------------------------------------------

    def check(self, output: Any, batch: Batch) -> None:
        logits, digit_logits = _parts(output)
        n_examples = len(batch.valid)
        if logits.shape != (n_examples, 2):
            raise ShapeError(
                f"expected logits of shape ({n_examples} pairs, 2) for a batch of ({n_examples}, 2, "
                f"{self.size}, {self.size}), got {tuple(logits.shape)}"
            )
        if digit_logits is None:
            return
        n_classes = self.n_classes or (digit_logits.shape[-1] if digit_logits.dim() else 0)
        if digit_logits.shape != (n_examples, 2, n_classes):
            raise ShapeError(
                f"expected class logits of shape ({n_examples} pairs, 2, {self.n_classes or 'classes'}), "
                f"got {tuple(digit_logits.shape)}"
            )

    def loss(self, output: Any, batch: Batch, hyper: Hyper) -> Tensor:
        weights = hyper["auxiliary"]
        logits, digit_logits = _parts(output)
        total = weights[2] * F.cross_entropy(logits, batch.targets["target"])
        if digit_logits is not None and "digits" in batch.targets:
            digits = batch.targets["digits"]
            for image in range(2):
                total = total + weights[image] * F.cross_entropy(digit_logits[:, image], digits[:, image])
        return total

    # -- all runs -----------------------------------------------------------------------------------------------------

    def sums(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        logits, digit_logits = _parts(output)
        target = batch.targets["target"]
        found = {
            "confusion": counts_by(2 * target + logits.argmax(-1), batch.valid, 4).view(-1, 2, 2),
            "nats": nats(logits, target, batch.valid),
        }
        if digit_logits is not None and "digits" in batch.targets:
            right = digit_logits.argmax(-1) == batch.targets["digits"]
            found["digit_hits"] = (right & batch.valid[..., None]).double().sum((1, 2))
        return found

    def metrics_of(self, sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        count = sums["confusion"].sum((1, 2))
        found = {
            "accuracy": accuracy(sums["confusion"]),
            "f1": f1_binary(sums["confusion"]),
            "loss": sums["nats"] / count,
        }
        return found | ({"digit_accuracy": sums["digit_hits"] / (2 * count)} if "digit_hits" in sums else {})

    def predictions(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        """Probability and margin (difference of the logits) of target 1; of modules with class logits the classes."""
        logits, digit_logits = _parts(output)
        kept = {
            "probability": logits.softmax(-1)[..., 1].float(),
            "margin": logits[..., 1].double() - logits[..., 0].double(),
            "target": batch.targets["target"].to(torch.uint8),
        }
        if digit_logits is not None and "digits" in batch.targets:
            small = torch.uint8 if self.n_classes <= 256 else torch.int32
            kept["digits"] = digit_logits.argmax(-1).to(small)
            kept["digit_targets"] = batch.targets["digits"].to(small)
        return kept

    def fit_targets(self, split: Split) -> tuple[Tensor, int]:
        return split.targets["target"], 2

    def final_metrics(self, predictions: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"auc": roc_auc(predictions["margin"], predictions["target"])}

    def gallery(self, predicted: Sequence[Predicted], *, seed: int) -> dict[str, np.ndarray]:
        """The 24 pairs that most models got wrong in the same repeat, the worst first."""
        wrong: dict[int, list[np.ndarray]] = {}
        for _, _, arrays in predicted:
            for repeat, probability, target in zip(
                arrays["repeat"].tolist(), arrays["probability"], arrays["target"], strict=True
            ):
                if np.isfinite(probability).all():
                    wrong.setdefault(repeat, []).append(np.where(target == 1, 1 - probability, probability))
        if not wrong:
            return {}
        repeats = sorted(wrong)
        # Mean probability given to the wrong answer breaks ties between pairs that equally many models got wrong.
        wrong_fraction = np.stack([np.mean([values > 0.5 for values in wrong[repeat]], axis=0) for repeat in repeats])
        doubt = wrong_fraction + 0.01 * np.stack([np.mean(wrong[repeat], axis=0) for repeat in repeats])
        worst = np.argsort(-doubt, axis=None, kind="stable")[:24]
        at, rows = np.unravel_index(worst, doubt.shape)
        test = self.splits(repeats, seed=seed)["test"]
        run, row = torch.from_numpy(at), torch.from_numpy(rows)
        images = self._source.take(test.index[run, row][None])[0][0].numpy()  # (count, 2, height, width), 0 to 1
        low, high = images.min(), max(images.max(), images.min() + 1e-8)
        found = {
            "images": np.round((images - low) / (high - low) * 255).astype(np.uint8),
            "target": test.targets["target"].numpy()[at, rows].astype(np.uint8),
            "repeat": np.array(repeats)[at],
            "row": rows,
            "wrong_share": wrong_fraction[at, rows],
        }
        if "digits" in test.targets:
            found["labels"] = test.targets["digits"].numpy()[at, rows]
        return found


def _answers(images: datasets.Images | datasets.Pairs) -> tuple[str, str]:
    """Targets 0 and 1 in words: signs for classes that are numbers in their order, "after" for other classes, and
    neutral words for ready-made pairs whose targets do not follow from their classes."""
    if isinstance(images, datasets.Pairs):
        labels = images.labels
        if labels is None or ((labels[:, 0] <= labels[:, 1]) != images.targets).any():
            return "target 0", "target 1"
    try:
        numbers = [float(name) for name in images.class_names]
    except ValueError:
        numbers = []
    if numbers and all(low < high for low, high in itertools.pairwise(numbers)):
        return "first > second", "first ≤ second"
    return "first after second", "first not after second"


def _sums_by_item(items: np.ndarray) -> Tensor:
    """Count, sum and sum of squares of the pixels of each item, from 0 to 1: float64, shape (items, 3)."""
    unit = 255 if items.dtype == np.uint8 else 1
    found = np.empty((len(items), 3))
    for at, item in enumerate(items):
        pixels = item.astype(np.float64) / unit
        found[at] = pixels.size, pixels.sum(), np.square(pixels).sum()
    return torch.from_numpy(found)


def _mean_and_scale(sums: Tensor) -> tuple[float, float]:
    """Mean and inverse standard deviation over items, from their sums."""
    count, total, squares = sums.sum(0).tolist()
    mean = total / count
    std = max(squares / count - mean**2, 0.0) ** 0.5
    return mean, 1 / std if std > 1e-6 else 1.0  # constant images are not divided by nearly nothing


def _parts(output: Any) -> tuple[Tensor, Tensor | None]:
    """The comparison logits and, where there are some, the class logits of a module's output."""
    if isinstance(output, Tensor):
        return output, None
    if isinstance(output, tuple | list) and len(output) == 2 and all(isinstance(part, Tensor) for part in output):
        return output[0], output[1]
    raise ShapeError(
        f"expected logits, or a tuple of logits and class logits, got {type(output).__name__}"
        + (f" of length {len(output)}" if isinstance(output, tuple | list) else "")
    )
