"""Compare two images of digits (or any ordered classes): is the first <= the second?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional as F

from tenfold import datasets
from tenfold.errors import DataError, RequestError, ShapeError
from tenfold.recipe import Config, NotNegative, Recipe
from tenfold.seeds import generator
from tenfold.tasks._examples import Examples
from tenfold.tasks._settings import TaskSettings
from tenfold.tasks._splits import fold_of_items, folds_resampling
from tenfold.tasks._task import Metric, Part, Resampling

__all__ = ["ComparePairs"]

# Share of the images kept for testing where a data set has no test part of its own.
_TEST_SHARE = 0.25
# Repeats that use more than these shares of what there is cannot be taken for independent.
_MUCH_TRAINING, _MUCH_TEST = 0.1, 0.5


class PairSettings(TaskSettings):
    """The ``[task]`` table.

    Attributes:
        data: a known data set, an .npz file or a folder of images by class.
        size: side in pixels to average images down to.
        train, test: examples drawn for every repeat.
        validation: share of the training examples for early stopping and plateau schedules.
        pixels: "unit", "standardised" or "raw"; see the task.
        folds: of the images (of ready-made pairs: the pairs), also where the data set has a division of its own.
        unreadable: what to do with image files that cannot be read: "refuse" or "skip".
    """

    size: Annotated[int, Field(ge=4, le=256)] | None = None
    train: Annotated[int, Field(ge=2)] = 1000
    test: Annotated[int, Field(ge=2)] = 1000
    validation: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    pixels: Literal["unit", "standardised", "raw"] = "unit"
    unreadable: Literal["refuse", "skip"] = "refuse"


class PairRecipe(Recipe):
    """How a model is trained to compare pairs.

    Attributes:
        auxiliary: loss weights (first image, second image, comparison); None is 0, 0, 1.
    """

    loss_values: ClassVar[tuple[str, ...]] = ("auxiliary",)
    vectors: ClassVar[tuple[str, ...]] = ("auxiliary",)

    auxiliary: list[NotNegative] | list[list[NotNegative]] | None = None

    @model_validator(mode="after")
    def _three_weights(self) -> PairRecipe:
        for weights in self.values_of("auxiliary"):
            if weights is not None and len(weights) != 3:
                raise ValueError(f"auxiliary: expected three weights (first, second, comparison), got {weights}")
        return self

    def loss_settings(self, config: Config) -> dict[str, Any]:
        return {"auxiliary": (0.0, 0.0, 1.0) if config.loss["auxiliary"] is None else config.loss["auxiliary"]}


class ComparePairs:
    """Two images, target 1 where the class of the first <= the class of the second.

    A module takes (batch, 2, height, width) and gives logits (batch, 2) for "greater" and "less or equal", or a
    tuple of those and
    class logits (batch, 2, classes) for the two images.

    Args:
        images: a set of images by class, or ready-made pairs.
        size: side in pixels to average images down to; None keeps them.
        train, test: pairs drawn for training and for testing, anew for every repeat.
        validation: share of the training pairs that early stopping and plateau schedules look at.
        pixels: "unit" (0 to 1), "standardised" (mean 0, deviation 1 over the training images) or "raw" (0 to 255).
    Source: the protocol of the EPFL Deep Learning course, project 1.
    """

    kind: ClassVar[str] = "compare-pairs"
    settings_type: ClassVar[type[TaskSettings]] = PairSettings
    recipe_type: ClassVar[type[Recipe]] = PairRecipe
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("accuracy", "Accuracy", "%", higher_is_better=True, primary=True),
        Metric("f1", "F1", "%", higher_is_better=True),
        Metric("digit_accuracy", "Digit accuracy", "%", higher_is_better=True),
        Metric("auc", "ROC AUC", "%", higher_is_better=True),
        Metric("loss", "Mean loss", "nats", higher_is_better=False),
    )

    def __init__(
        self,
        images: datasets.Images | datasets.Pairs,
        *,
        size: int | None = None,
        train: int = 1000,
        test: int = 1000,
        validation: float = 0.0,
        pixels: str = "unit",
        folds: int | None = None,
    ) -> None:
        self._data = images
        self._ready = isinstance(images, datasets.Pairs)
        if isinstance(images, datasets.Images) and images.n_channels != 1:
            raise DataError(f"{images.name}: compare-pairs takes grey images; load them with colour=False")
        raw = images.pairs if isinstance(images, datasets.Pairs) else images.images[:, 0]
        if size is not None:
            raw = datasets.average_down(raw, size)
        elif raw.dtype == np.uint8:
            raw = raw.astype(np.float32) / 255
        if raw.shape[-1] != raw.shape[-2]:
            raise DataError(
                f"{images.name}: images must be square, got {raw.shape[-2]} x {raw.shape[-1]}; set size in [task]"
            )
        part = images.part
        fitted = raw[part != 1]
        if pixels == "standardised":
            raw = (raw - fitted.mean(dtype=np.float64)) / max(fitted.std(dtype=np.float64), 1e-8)
        elif pixels == "raw":
            raw = raw * 255
        elif pixels != "unit":
            raise RequestError(f"pixels: expected 'unit', 'standardised' or 'raw', got '{pixels}'")
        self._items = torch.from_numpy(np.ascontiguousarray(raw, dtype=np.float32))
        self._class_names = images.class_names
        self._labels = None if images.labels is None else torch.from_numpy(images.labels.astype(np.int64))
        self._part = part
        self.fingerprint, self.notes = images.fingerprint, tuple(images.notes)
        self.size = int(raw.shape[-1])
        self.n_classes = images.n_classes or 0
        self.train, self.test, self.validation, self.folds = train, test, validation, folds
        if folds is not None and folds > len(images):
            raise RequestError(f"folds = {folds}: {images.name} has {len(images)} examples to divide")
        self._check_amounts()

    @classmethod
    def load(cls, settings: PairSettings, *, base: Path) -> Self:
        values = settings.model_dump(exclude={"kind", "data", "unreadable"})
        images = datasets.load(
            settings.data, base=base, size=settings.size, colour=False, unreadable=settings.unreadable
        )
        return cls(images, **values)

    # -- data ---------------------------------------------------------------------------------------------------------

    def order(self, targets: dict[str, Tensor], recipe: Recipe, numbers: torch.Generator) -> Tensor:
        return torch.randperm(len(targets["target"]), generator=numbers)

    def _pools(self, repeat: int, seed: int) -> tuple[Tensor, Tensor]:
        """Items for training and for testing of one repeat; nothing is in both."""
        if self.folds is not None:
            tested = fold_of_items(len(self._part), self.folds, repeat=repeat, seed=seed)
            return (~tested).nonzero().flatten(), tested.nonzero().flatten()
        free, train, test = (torch.from_numpy(np.flatnonzero(self._part == value)) for value in (2, 0, 1))
        if len(free):
            free = free[torch.randperm(len(free), generator=generator(seed, repeat, "split"))]
            n_test = round(len(free) * self._test_share())
            train, test = torch.cat([train, free[n_test:]]), torch.cat([test, free[:n_test]])
        return train, test

    def _test_share(self) -> float:
        if self._ready:
            return self.test / (self.train + self.test)
        return 0.0 if (self._part == 1).any() else _TEST_SHARE

    def _check_amounts(self) -> None:
        n_validation = round(self.train * self.validation)
        if self.validation and not 0 < n_validation < self.train:
            raise RequestError(
                f"validation: {self.validation} of train = {self.train} pairs leaves {n_validation} for validation and "
                f"{self.train - n_validation} for training; both need at least one"
            )
        train, test = self._pools(0, 0)
        parts = [("train", train, self.train), ("test", test, self.test)]
        if n_validation and not self._ready:
            held_back, train = self._held_back(train, 0, 0)
            parts += [("train", train, self.train - n_validation), ("validation", held_back, n_validation)]
        for word, pool, wanted in parts:
            if self._ready and wanted > len(pool):
                raise DataError(
                    f"{self._data.name}: {word} = {wanted} pairs asked for, {len(pool)} there; lower {word}"
                )
            if not self._ready and (len(pool) < 2 or wanted > len(pool) * (len(pool) - 1)):
                raise DataError(f"{self._data.name}: {word} = {wanted} pairs cannot be drawn from {len(pool)} images")

    def resampling(self, settings: Sequence[Mapping[str, Any]] | None = None) -> Resampling:
        if self.folds is not None:
            return folds_resampling(self.folds, "pairs" if self._ready else "images")
        train, test = self._pools(0, 0)
        a_pair = 1 if self._ready else 2
        use_train, use_test = a_pair * self.train / len(train), a_pair * self.test / len(test)
        if use_train <= _MUCH_TRAINING and use_test <= _MUCH_TEST:
            return Resampling(
                False,
                None,
                f"every repeat draws its own pairs from {len(train)} items for training and {len(test)} for testing "
                f"({use_train:.0%} and {use_test:.0%} of them): taken as independent",
            )
        n_train, n_test = min(a_pair * self.train, len(train)), min(a_pair * self.test, len(test))
        return Resampling(
            True,
            n_test / n_train,
            f"repeats draw from the same {len(train) + len(test)} items, so their scores are not independent: "
            "the corrected resampled t test is used",
        )

    def examples(
        self, repeats: Sequence[int], *, seed: int, settings: Sequence[Mapping[str, Any]] | None = None
    ) -> dict[Part, Examples]:
        drawn: dict[Part, list[Tensor]] = {"train": [], "validation": [], "test": []}
        for repeat in repeats:
            train_pool, test_pool = self._pools(repeat, seed)
            n_validation = round(self.train * self.validation)
            held_back, train_pool = self._held_back(train_pool, repeat, seed)
            held_back = self._draw(held_back, n_validation, generator(seed, repeat, "validation pairs"))
            drawn["validation"].append(held_back)
            drawn["train"].append(
                self._draw(train_pool, self.train - n_validation, generator(seed, repeat, "train pairs"))
            )
            drawn["test"].append(self._draw(test_pool, self.test, generator(seed, repeat, "test pairs")))
        return {part: self._part_examples(torch.stack(index)) for part, index in drawn.items() if len(index[0])}

    def _held_back(self, pool: Tensor, repeat: int, seed: int) -> tuple[Tensor, Tensor]:
        """A share of the training items for validation, and the others: no image is in pairs of both."""
        if not self.validation:
            return pool[:0], pool
        pool = pool[torch.randperm(len(pool), generator=generator(seed, repeat, "validation"))]
        count = round(len(pool) * self.validation)
        if self._ready:  # at least what is asked for, of either
            n_validation = round(self.train * self.validation)
            count = min(max(count, n_validation), len(pool) - (self.train - n_validation))
        return pool[:count], pool[count:]

    def _draw(self, pool: Tensor, count: int, numbers: torch.Generator) -> Tensor:
        """``count`` examples: ready pairs (count,), or two different images each (count, 2), no pair twice.

        Every image is used once as long as there are enough; then the pool is dealt again in another order.
        """
        if self._ready:
            return pool[torch.randperm(len(pool), generator=numbers)[:count]]
        pairs: dict[tuple[int, int], None] = {}
        while len(pairs) < count:
            dealt = pool[torch.randperm(len(pool), generator=numbers)].tolist()
            pairs |= dict.fromkeys(zip(dealt[::2], dealt[1::2], strict=False))
        return torch.tensor(list(pairs)[:count], dtype=torch.int64).view(-1, 2)

    def _part_examples(self, index: Tensor) -> Examples:
        if isinstance(self._data, datasets.Pairs):
            targets = {"target": torch.from_numpy(self._data.targets.astype(np.int64))[index]}
            if self._labels is not None:
                targets["digits"] = self._labels[index]
            return Examples(self._items, index, targets)
        assert self._labels is not None
        digits = self._labels[index]  # (runs, examples, 2)
        return Examples(self._items, index, {"target": (digits[..., 0] <= digits[..., 1]).long(), "digits": digits})

    # -- module -------------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, int]:
        # Pairs without labels: a module that also gives class logits keeps its own number, and nobody looks at them.
        return {"size": self.size} | ({"n_classes": self.n_classes} if self.n_classes else {})

    def names(self) -> dict[str, tuple[str, ...]]:
        return {"class": self._class_names}

    def sample(self, n_examples: int) -> tuple[Tensor, dict[str, Tensor]]:
        targets = {"target": torch.zeros(n_examples, dtype=torch.int64)}
        if self._labels is not None:
            targets["digits"] = torch.zeros(n_examples, 2, dtype=torch.int64)
        return torch.zeros(n_examples, 2, self.size, self.size), targets

    def check(self, output: Any, n_examples: int) -> None:
        logits, digit_logits = _parts(output)
        if logits.shape != (n_examples, 2):
            raise ShapeError(
                f"expected logits of shape ({n_examples} pairs, 2) for a batch of ({n_examples}, 2, "
                f"{self.size}, {self.size}), "
                f"got {tuple(logits.shape)}"
            )
        if digit_logits is None:
            return
        n_classes = self.n_classes or (digit_logits.shape[-1] if digit_logits.dim() else 0)
        if digit_logits.shape != (n_examples, 2, n_classes):
            raise ShapeError(
                f"expected class logits of shape ({n_examples} pairs, 2, {self.n_classes or 'classes'}), "
                f"got {tuple(digit_logits.shape)}"
            )

    def loss(self, output: Any, targets: dict[str, Tensor], values: dict[str, Tensor], recipe: Recipe) -> Tensor:
        weights = values["auxiliary"]
        logits, digit_logits = _parts(output)
        total = weights[2] * F.cross_entropy(logits, targets["target"])
        if digit_logits is not None and "digits" in targets:
            for image in range(2):
                total = total + weights[image] * F.cross_entropy(digit_logits[:, image], targets["digits"][:, image])
        return total

    def fit_targets(self, targets: dict[str, Tensor]) -> tuple[Tensor, int]:
        return targets["target"], 2

    # -- scores -------------------------------------------------------------------------------------------------------

    def measure(self, outputs: Any, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        logits, digit_logits = _parts(outputs)  # (runs, examples, 2), (runs, examples, 2, classes)
        target, predicted = targets["target"], logits.argmax(-1)
        hits = (predicted & target).sum(1)
        wrong = (predicted != target).sum(1)
        scores = {
            "accuracy": (predicted == target).double().mean(1),
            "f1": 2 * hits / (2 * hits + wrong).clamp(min=1).double(),
            "loss": F.cross_entropy(logits.flatten(0, 1).double(), target.flatten(), reduction="none")
            .view(target.shape)
            .mean(1),
        }
        if digit_logits is not None and "digits" in targets:
            scores["digit_accuracy"] = (digit_logits.argmax(-1) == targets["digits"]).double().mean((1, 2))
        return scores

    def score(self, outputs: Any, targets: dict[str, Tensor]) -> dict[str, np.ndarray]:
        scores = {name: value.cpu().numpy() for name, value in self.measure(outputs, targets).items()}
        logits, _ = _parts(outputs)
        margin = (logits[..., 1] - logits[..., 0]).double().cpu().numpy()
        scores["auc"] = _auc(margin, targets["target"].cpu().numpy())
        return scores

    def predictions(self, outputs: Any, targets: dict[str, Tensor]) -> dict[str, np.ndarray]:
        logits, digit_logits = _parts(outputs)
        kept = {
            "probability": logits.softmax(-1)[..., 1].float().cpu().numpy(),
            "target": targets["target"].cpu().numpy().astype(np.uint8),
        }
        if digit_logits is not None and "digits" in targets:
            small = np.uint8 if self.n_classes <= 256 else np.int32
            kept["digits"] = digit_logits.argmax(-1).cpu().numpy().astype(small)
            kept["digit_targets"] = targets["digits"].cpu().numpy().astype(small)
        return kept

    def diagnose(self, stack: Callable[..., Any], examples: Examples) -> dict[str, np.ndarray]:
        return {}

    def gallery(
        self, predictions: dict[str, dict[str, np.ndarray]], *, seed: int, count: int = 24
    ) -> dict[str, np.ndarray]:
        """The pairs that most models got wrong in the same repeat, the worst first."""
        wrong: dict[int, list[np.ndarray]] = {}
        for arrays in predictions.values():
            for repeat, probability, target in zip(
                arrays["repeat"].tolist(), arrays["probability"], arrays["target"], strict=True
            ):
                if np.isfinite(probability).all():
                    wrong.setdefault(repeat, []).append(np.where(target == 1, 1 - probability, probability))
        if not wrong:
            return {}
        repeats = sorted(wrong)
        # Mean probability given to the wrong answer breaks ties between pairs that equally many models got wrong.
        share = np.stack([np.mean([values > 0.5 for values in wrong[repeat]], axis=0) for repeat in repeats])
        doubt = share + 0.01 * np.stack([np.mean(wrong[repeat], axis=0) for repeat in repeats])
        worst = np.argsort(-doubt, axis=None, kind="stable")[:count]
        at, rows = np.unravel_index(worst, doubt.shape)
        test = self.examples(repeats, seed=seed)["test"]
        images = test.items[test.index[torch.from_numpy(at), torch.from_numpy(rows)]].numpy()  # (count, 2, h, w)
        low, high = images.min(), max(images.max(), images.min() + 1e-8)
        found = {
            "images": np.round((images - low) / (high - low) * 255).astype(np.uint8),
            "target": test.targets["target"].numpy()[at, rows].astype(np.uint8),
            "repeat": np.array(repeats)[at],
            "row": rows,
            "wrong_share": share[at, rows],
        }
        if "digits" in test.targets:
            found["labels"] = test.targets["digits"].numpy()[at, rows]
        return found


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


def _auc(margin: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each run from ranks (Mann and Whitney 1947); NaN where only one class is there."""
    areas = np.full(len(margin), np.nan)
    for run, (values, truth) in enumerate(zip(margin, target, strict=True)):
        positive = int(truth.sum())
        negative = len(truth) - positive
        if positive and negative and np.isfinite(values).all():
            ranks = rankdata(values)[truth == 1].sum()
            areas[run] = (ranks - positive * (positive + 1) / 2) / (positive * negative)
    return areas
