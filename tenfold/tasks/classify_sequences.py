"""Classify windows of signals over time: activities from a phone's sensors, states of a machine from its vibration."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, TypeAdapter, ValidationError, field_serializer, field_validator
from torch import Tensor
from torch.nn import functional as F

from tenfold import datasets
from tenfold.datasets import Layout
from tenfold.errors import DataError, RequestError, ShapeError, nearest
from tenfold.recipe import Recipe, WindowAugmentation
from tenfold.seeds import generator
from tenfold.tasks._examples import Examples
from tenfold.tasks._settings import TaskSettings
from tenfold.tasks._splits import (
    draw_groups,
    drawn_bounds,
    fold_of_groups,
    fold_of_items,
    folds_resampling,
    largest_fold,
)
from tenfold.tasks._task import Metric, Part, Resampling
from tenfold.tasks._windows import Windows

__all__ = ["ClassifySequences"]

Split = Literal["auto", "group", "window"]

# A table of a study file has to have the right types; what is impossible beside that, Layout says itself.
_LAYOUT: TypeAdapter[Layout] = TypeAdapter(Layout)
# Windows for looking at trained runs; more would take longer than they tell.
_DIAGNOSED = 300
# Shares of the steps after which accuracy is measured.
_SEEN = 12


class SequenceSettings(TaskSettings):
    """The ``[task]`` table.

    Attributes:
        data: a known data set, an .npz file with ``signals``, or a folder of recordings (see ``layout``).
        layout: how a folder is read: columns, label, group, files, time, rate_hz, ...; see docs/recordings.md.
        channels: those to use, in this order; "a + b" is the sum of two. None for all.
        window: steps of a window; None takes every piece as a whole, padded to the longest.
        overlap: share of a window that the next one has too.
        train, test: windows to learn from (with those for validation) and to test on, drawn anew for every repeat; None
            takes all.
        official: use the data set's own split into training and testing, where it has one.
        test_share: share of the groups (or windows) that is tested where there is neither an official split nor folds.
        folds: cross-validation: repeat r tests fold r of so many, "groups" for one group (person) at a time.
        validation: share of the training windows that is held back for early stopping, plateau schedules and
            choosing settings: whole groups where the split is by group.
        standardise: bring every channel to mean 0 and deviation 1 over the training windows of each repeat.
    """

    layout: Layout | None = None
    channels: Annotated[list[str], Field(min_length=1)] | None = None
    window: Annotated[int, Field(ge=2)] | None = None
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    train: Annotated[int, Field(ge=2)] | None = None
    test: Annotated[int, Field(ge=1)] | None = None
    official: bool = True
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.3
    folds: Annotated[int, Field(ge=2)] | Literal["groups"] | None = None
    validation: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    standardise: bool = True

    @field_validator("layout", mode="before")
    @classmethod
    def _layout_of_a_table(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        known = [field.name for field in dataclasses.fields(Layout)]
        if unknown := [key for key in value if key not in known]:
            raise ValueError(f"unknown key '{unknown[0]}': {nearest(unknown[0], known)}")
        try:
            return _LAYOUT.validate_python(dict(value))
        except ValidationError as error:
            said = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
            raise ValueError("; ".join(text.removeprefix(": Value error, ") for text in said)) from None

    @field_serializer("layout")
    def _layout_as_a_table(self, layout: Layout | None) -> dict[str, Any] | None:
        """What was set, as a TOML file can hold it."""
        if layout is None:
            return None
        values = {field.name: (getattr(layout, field.name), field.default) for field in dataclasses.fields(layout)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, (value, default) in values.items()
            if value != default
        }


class SequenceRecipe(Recipe):
    """How a classifier of sequences is learnt.

    Attributes:
        split: what is kept apart in training and testing: "group" (all windows of a person are on one side) or "window"
            (windows at random: neighbours that share samples are on both sides, and the same people). A sweep trains
            under both and compares them. "auto" is "group" where there are groups or an official split.
        augment: random changes of the training windows.
        class_weights: "balanced" weighs every window by the inverse frequency of its class in training.
    """

    data_values: ClassVar[tuple[str, ...]] = ("split",)

    split: Split = "auto"
    augment: WindowAugmentation | None = None  # type: ignore[assignment]  # in place of changes of images
    class_weights: Literal["none", "balanced"] = "none"


class ClassifySequences:
    """One label for each window of signals.

    A module takes windows (batch, steps, channels), and lengths (batch,) as a second argument where windows are of
    different lengths, padded with 0 at the end. It gives logits (batch, classes).

    Every run standardises by the training windows of its own repeat. Runs of one study learn from equally many windows;
    where groups are of different sizes, those that are too many are left out, drawn anew for every repeat.

    Args:
        recordings: signals in pieces.
        other arguments: see SequenceSettings.
    Source: splits: Hammerla and Ploetz 2015 (neighbouring windows in a random split), scikit-learn's GroupKFold.
    """

    kind: ClassVar[str] = "classify-sequences"
    settings_type: ClassVar[type[TaskSettings]] = SequenceSettings
    recipe_type: ClassVar[type[Recipe]] = SequenceRecipe
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("accuracy", "Accuracy", "%", higher_is_better=True, primary=True),
        Metric("f1_macro", "F1, mean over classes", "%", higher_is_better=True),
        Metric("balanced_accuracy", "Balanced accuracy", "%", higher_is_better=True),
        Metric("loss", "Loss", "nats", higher_is_better=False),
    )

    def __init__(
        self,
        recordings: datasets.Recordings,
        *,
        channels: Sequence[str] | None = None,
        window: int | None = None,
        overlap: float = 0.5,
        train: int | None = None,
        test: int | None = None,
        official: bool = True,
        test_share: float = 0.3,
        folds: int | Literal["groups"] | None = None,
        validation: float = 0.0,
        standardise: bool = True,
    ) -> None:
        if not isinstance(recordings, datasets.Recordings):
            raise DataError("classify-sequences needs recordings: signals over time, not images")
        self._data = recordings
        self.channels, signals = _channels(recordings, channels)
        self._signals = torch.from_numpy(signals)
        self._triads = torch.tensor(_triads(self.channels), dtype=torch.int64).view(-1, 3)
        self.train, self.test, self.test_share = train, test, test_share
        self.validation, self.standardise = validation, standardise
        self.fingerprint = recordings.fingerprint
        starts, lengths, pieces, dropped = _cut(recordings, window, overlap)
        if not len(starts):
            raise DataError(
                f"{recordings.name}: no piece is as long as a window of {window} steps; the longest has "
                f"{recordings.lengths.max()}; lower window"
            )
        self._starts, self._lengths = torch.from_numpy(starts), torch.from_numpy(lengths)
        self.n_steps = int(lengths.max())
        self._varying = bool((lengths != self.n_steps).any())
        self._labels = torch.from_numpy(recordings.labels[pieces])
        self._part = torch.from_numpy(recordings.part[pieces])
        self._groups = None if recordings.groups is None else torch.from_numpy(recordings.groups[pieces])
        note = [f"{dropped} of {len(recordings)} pieces are shorter than a window of {window} steps: left out"]
        self.notes = (*recordings.notes, *(note if dropped else []))
        self._official = official and bool((self._part == datasets.TEST).any())
        self._check_data()
        self.folds = self._n_folds(folds)
        # Sums over the signals, from which those over any window follow: for standardising.
        summed = np.zeros((2, len(signals) + 1, signals.shape[1]))
        np.cumsum(signals, axis=0, dtype=np.float64, out=summed[0, 1:])
        np.cumsum(np.square(signals, dtype=np.float64), axis=0, out=summed[1, 1:])
        self._sums = torch.from_numpy(summed)
        self._n_train, self._n_validation, self._n_test = self._amounts()

    @classmethod
    def load(cls, settings: SequenceSettings, *, base: Path) -> Self:
        values = settings.model_dump(exclude={"kind", "data", "layout"})
        return cls(datasets.load_recordings(settings.data, base=base, layout=settings.layout), **values)

    # -- data ---------------------------------------------------------------------------------------------------------

    @property
    def n_windows(self) -> int:
        return len(self._starts)

    def _check_data(self) -> None:
        name, classes = self._data.name, self._labels.unique()
        if len(classes) < 2:
            raise DataError(
                f"{name}: all {self.n_windows} windows are of one class, '{self._data.class_names[int(classes[0])]}'; "
                "there is nothing to tell apart"
            )
        if self._official and self._groups is not None:
            test = self._part == datasets.TEST
            both = set(self._groups[test].tolist()) & set(self._groups[~test].tolist())
            if both:
                who = self._data.group_names[min(both)]
                raise DataError(
                    f"{name}: '{who}' is in training and in testing ({len(both)} such groups); a network would know "
                    "who it is tested on. Correct 'part', or set official = false"
                )

    def _n_folds(self, folds: int | Literal["groups"] | None) -> int | None:
        if folds is None:
            return None
        if folds == "groups" and self._groups is None:
            raise RequestError(f"folds = 'groups': {self._data.name} has no groups; give a number")
        units = self.n_windows if self._groups is None else len(self._groups.unique())
        n_folds = units if folds == "groups" else int(folds)
        if n_folds > units:
            raise RequestError(f"folds = {n_folds}: {self._data.name} has {units} groups to divide")
        return n_folds

    def _splits(self) -> tuple[Split, ...]:
        return ("window",) if self._groups is None and not self._official else ("group", "window")

    def _split_of(self, settings: Mapping[str, Any]) -> Split:
        split = settings.get("split", "auto")
        if split == "auto":
            return self._splits()[0]
        if split not in self._splits():
            raise RequestError(f"split = '{split}': {self._data.name} has no groups; use 'window'")
        return split

    def _amounts(self) -> tuple[int, int, int]:
        """Windows for training, validation and testing in every run: the least for training and the most for testing
        that any repeat under any split may have; what a repeat has less is filled up and not counted."""
        bounds = [self._test_bounds(split) for split in self._splits()]
        n_test = max(most for _, most in bounds)
        smallest = self.n_windows - n_test
        n_validation = max(self._validation_bound(smallest, split) for split in self._splits())
        n_train = smallest - n_validation
        if self.test is not None:
            self._check_drawn("test", self.test, min(fewest for fewest, _ in bounds))
            n_test = self.test
        if self.train is not None:
            self._check_drawn("train", self.train, smallest)
            n_validation = round(self.train * self.validation)
            n_train = self.train - n_validation
        if n_train < 1:
            raise DataError(f"{self._data.name}: no window is left to learn from; lower test_share or validation")
        if self.validation and not n_validation:
            raise RequestError(f"validation = {self.validation} of {self.train or smallest} windows is none; raise it")
        return n_train, n_validation, n_test

    @property
    def _amount_of(self) -> dict[Part, int]:
        return {"train": self._n_train, "validation": self._n_validation, "test": self._n_test}

    def _validation_bound(self, smallest: int, split: Split) -> int:
        """At most so many of the windows to learn from are held back."""
        if not self.validation:
            return 0
        if split == "group" and self._groups is not None:
            return drawn_bounds(self._groups, self.validation)[1]
        return round(smallest * self.validation)

    def _check_drawn(self, word: str, asked: int, there: int) -> None:
        if asked > there:
            raise DataError(f"{self._data.name}: {word} = {asked} windows asked for, {there} there; lower {word}")

    def _test_bounds(self, split: Split) -> tuple[int, int]:
        """At least and at most so many windows are tested in a repeat."""
        groups = self._groups if split == "group" else None
        if self.folds is not None:
            smallest = self.n_windows // self.folds
            if groups is not None:
                smallest = int(groups.bincount()[groups.unique()].min())
            return smallest, largest_fold(groups, self.n_windows, min(self.folds, self.n_windows))
        if groups is not None and not self._official:
            return drawn_bounds(groups, self.test_share)
        count = int((self._part == datasets.TEST).sum()) if self._official else self._share()
        return count, count

    def _share(self) -> int:
        return max(1, round(self.n_windows * self.test_share))

    def _tested(self, repeat: int, seed: int, split: Split) -> Tensor:
        """Windows that may be tested in this repeat: bool, shape (windows,)."""
        groups = self._groups if split == "group" else None
        if self.folds is not None:
            if groups is None:
                return fold_of_items(self.n_windows, self.folds, repeat=repeat, seed=seed)
            return fold_of_groups(groups, self.folds, repeat=repeat, seed=seed)
        if self._official and split == "group":
            return self._part == datasets.TEST
        numbers = generator(seed, repeat, "split")
        if groups is not None:
            return draw_groups(groups, self.test_share, numbers=numbers)
        tested = torch.zeros(self.n_windows, dtype=torch.bool)
        tested[torch.randperm(self.n_windows, generator=numbers)[: self._test_bounds(split)[1]]] = True
        return tested

    def _rows(self, repeat: int, seed: int, split: Split) -> dict[Part, Tensor]:
        """Windows of each part of one repeat, in no order."""
        tested = self._tested(repeat, seed, split)
        test, pool = tested.nonzero().flatten(), (~tested).nonzero().flatten()
        numbers = generator(seed, repeat, "validation")
        held_back = pool[:0]
        if self._n_validation:
            if split == "group" and self._groups is not None:
                held = draw_groups(self._groups[pool], self.validation, numbers=numbers)
            else:
                held = torch.zeros(len(pool), dtype=torch.bool)
                count = max(self._n_validation if self.train else 0, round(len(pool) * self.validation))
                held[torch.randperm(len(pool), generator=numbers)[:count]] = True
            held_back, pool = pool[held], pool[~held]
        found: dict[Part, Tensor] = {"train": pool, "validation": held_back, "test": test}
        for part, rows in found.items():
            order = torch.randperm(len(rows), generator=generator(seed, repeat, f"{part} windows"))
            found[part] = rows[order[: self._amount_of[part]].sort().values]
        if len(found["train"]) < self._n_train:
            raise DataError(
                f"{self._data.name}: {len(found['train'])} windows are left to learn from in repeat {repeat}, "
                f"{self._n_train} are wanted; lower train or validation"
            )
        return found

    def examples(
        self, repeats: Sequence[int], *, seed: int, settings: Sequence[Mapping[str, Any]] | None = None
    ) -> dict[Part, Examples]:
        chosen = settings or [{} for _ in repeats]
        rows = [self._rows(repeat, seed, self._split_of(its)) for repeat, its in zip(repeats, chosen, strict=True)]
        scaling = [self._scaling(its["train"]) for its in rows]
        shift, scale = (torch.stack([pair[at] for pair in scaling]).float() for at in (0, 1))
        weights = torch.stack([self._class_weights(its["train"]) for its in rows])
        parts: dict[Part, Examples] = {
            part: self._part_examples([its[part] for its in rows], amount, shift, scale, weights)
            for part, amount in self._amount_of.items()
            if amount
        }
        test = parts["test"].targets
        if self._groups is not None:
            test["group"] = torch.where(test["target"] >= 0, self._groups[test["window"]], -1)
        for name in ("train", "validation"):
            if name in parts:  # which windows they are is for looking at what was tested
                del parts[name].targets["window"]
        return parts

    def _scaling(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and inverse deviation of every channel over these windows."""
        if not self.standardise:
            channels = self._signals.shape[1]
            return torch.zeros(channels, dtype=torch.float64), torch.ones(channels, dtype=torch.float64)
        starts, stops = self._starts[rows], self._starts[rows] + self._lengths[rows]
        sums = (self._sums[:, stops] - self._sums[:, starts]).sum(1)  # (2, channels)
        mean, square = sums / self._lengths[rows].sum()
        deviation = (square - mean**2).clamp(min=0).sqrt()
        return mean, 1 / torch.where(deviation > 1e-6 * (1 + mean.abs()), deviation, 1.0)  # a constant channel is 0

    def _class_weights(self, rows: Tensor) -> Tensor:
        """Inverse frequencies in training as scikit-learn's "balanced"; 0 for a class that is not there."""
        counts = self._labels[rows].bincount(minlength=self._data.n_classes)
        there = counts > 0
        return torch.where(there, len(rows) / (there.sum() * counts.clamp(min=1)), 0.0)

    def _part_examples(self, rows: list[Tensor], amount: int, shift: Tensor, scale: Tensor, weights: Tensor) -> Windows:
        """Windows of each run, with -1 as the target of what fills up the shorter ones."""
        index = torch.zeros(len(rows), amount, dtype=torch.int64)
        filled = torch.zeros(len(rows), amount, dtype=torch.bool)
        for run, its in enumerate(rows):
            index[run, : len(its)] = its
            filled[run, : len(its)] = True
        target = torch.where(filled, self._labels[index], -1)
        weight = weights.gather(1, target.clamp(min=0)).float()
        targets = {"target": target, "weight": weight, "window": torch.where(filled, index, -1)}
        return Windows(
            self._signals,
            self._starts[index],
            targets,
            steps=self.n_steps,
            shift=shift,
            scale=scale,
            lengths=self._lengths[index] if self._varying else None,
            triads=self._triads,
        )

    def order(self, targets: dict[str, Tensor], recipe: SequenceRecipe, numbers: torch.Generator) -> Tensor:
        return torch.randperm(len(targets["target"]), generator=numbers)

    def resampling(self, settings: Sequence[Mapping[str, Any]] | None = None) -> Resampling:
        splits = {self._split_of(its) for its in settings or [{}]}
        ratio = self._n_test / self._n_train
        if self.folds is not None:
            return folds_resampling(self.folds, "windows" if splits == {"window"} else "groups")
        if splits == {"group"} and self._official and self.train is None and self.test is None:
            return Resampling(
                False,
                None,
                f"every repeat learns from the same {self._n_train} windows and is tested on the same {self._n_test} "
                "of other groups: repeats differ in initial weights and order, and nothing is said about other people",
            )
        return Resampling(
            True,
            ratio,
            f"repeats draw from the same {self.n_windows} windows ({self._n_train} to learn from, up to {self._n_test} "
            "to test), so their scores are not independent: the corrected resampled t test is used",
        )

    def names(self) -> dict[str, tuple[str, ...]]:
        return {"class": self._data.class_names, "group": self._data.group_names, "channel": self.channels}

    def fit_targets(self, targets: dict[str, Tensor]) -> tuple[Tensor, int]:
        return targets["target"], self._data.n_classes

    # -- module -------------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, int]:
        return {"n_channels": len(self.channels), "n_steps": self.n_steps, "n_classes": self._data.n_classes}

    def sample(self, n_examples: int) -> tuple[Tensor, dict[str, Tensor]]:
        targets = {"target": torch.zeros(n_examples, dtype=torch.int64), "weight": torch.ones(n_examples)}
        return torch.zeros(n_examples, self.n_steps, len(self.channels)), targets

    def check(self, output: Any, n_examples: int) -> None:
        expected = (n_examples, self._data.n_classes)
        if not isinstance(output, Tensor) or tuple(output.shape) != expected:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ShapeError(
                f"expected logits of shape {expected} (windows, classes) for a batch of ({n_examples}, {self.n_steps} "
                f"steps, {len(self.channels)} channels), got {got}"
            )

    def loss(
        self, output: Any, targets: dict[str, Tensor], values: dict[str, Tensor], recipe: SequenceRecipe
    ) -> Tensor:
        if recipe.class_weights == "none":
            return F.cross_entropy(output, targets["target"])
        weight = targets["weight"].to(output.dtype)
        losses = F.cross_entropy(output, targets["target"], reduction="none")
        return (losses * weight).sum() / weight.sum()

    # -- scores -------------------------------------------------------------------------------------------------------

    def measure(self, outputs: Any, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        target = targets["target"]
        there = target >= 0
        count = there.sum(1)
        losses = F.cross_entropy(outputs.double().flatten(0, 1), target.clamp(min=0).flatten(), reduction="none")
        hits = (outputs.argmax(-1) == target) & there
        return {
            "accuracy": hits.sum(1).double() / count,
            "loss": torch.where(there, losses.view_as(target), 0.0).sum(1) / count,
        }

    def score(self, outputs: Any, targets: dict[str, Tensor]) -> dict[str, np.ndarray]:
        scores = {name: value.cpu().numpy() for name, value in self.measure(outputs, targets).items()}
        counts = confusion_counts(
            targets["target"].cpu().numpy(), outputs.argmax(-1).cpu().numpy(), self._data.n_classes
        )
        right = np.diagonal(counts, axis1=1, axis2=2)
        actual, predicted = counts.sum(2), counts.sum(1)
        # As in scikit-learn: over the classes that were seen or predicted; recall over those that were seen.
        seen = (actual + predicted) > 0
        f1 = np.divide(2 * right, actual + predicted, out=np.zeros(right.shape), where=seen)
        recall = np.divide(right, actual, out=np.zeros(right.shape), where=actual > 0)
        return scores | {
            "f1_macro": f1.sum(1) / seen.sum(1),
            "balanced_accuracy": recall.sum(1) / (actual > 0).sum(1),
        }

    def predictions(self, outputs: Any, targets: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """Target, prediction and group (-1 where a run has fewer windows), the probability of every class, and the
        number of the window in the data."""
        kept = {
            "target": targets["target"].cpu().numpy().astype(np.int16),
            "prediction": outputs.argmax(-1).cpu().numpy().astype(np.int16),
            "class_probability": outputs.float().softmax(-1).half().cpu().numpy(),
            "window": targets["window"].cpu().numpy().astype(np.int32),
        }
        kept["prediction"][kept["target"] < 0] = -1
        if "group" in targets:
            kept["group"] = targets["group"].cpu().numpy().astype(np.int32)
        return kept

    def diagnose(self, stack: Callable[..., Any], examples: Examples) -> dict[str, np.ndarray]:
        """Accuracy after a part of the steps, and how much the loss at the end depends on every step.

        Returns:
            dict: "seen_steps" and "seen_accuracy" (runs, lengths): of windows cut off after so many steps, NaN where
            the module does not take them; "gradient_norm" (runs, steps): mean over windows of the norm of the gradient
            of the loss with respect to a step's channels. Where windows differ in length, the last is left out: steps
            of different windows have nothing in common.
        """
        n_runs = examples.n_runs
        inputs, targets = examples.span(0, min(_DIAGNOSED, examples.n_examples))
        windows, lengths, target = inputs[0], inputs[1:], targets["target"]
        steps = np.unique(np.ceil(np.linspace(0, self.n_steps, _SEEN + 1)[1:]).astype(int))
        accuracy = np.full((n_runs, len(steps)), np.nan)
        for at, seen in enumerate(steps.tolist()):
            try:
                with torch.no_grad():
                    outputs = stack(windows[:, :, :seen].contiguous(), *(length.clamp(max=seen) for length in lengths))
                accuracy[:, at] = self.measure(outputs, {"target": target})["accuracy"].cpu().numpy()
            except Exception:  # a module for windows of one length fails on others in its own way
                continue
        found = {"seen_steps": np.tile(steps, (n_runs, 1)), "seen_accuracy": accuracy}
        if lengths:
            return found
        leaf = windows.detach().requires_grad_()
        # A GPU's own recurrent layers have no backward pass outside of training.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            outputs = stack(leaf).flatten(0, 1)
            if not outputs.requires_grad:  # an estimator's
                return found
            losses = F.cross_entropy(outputs, target.clamp(min=0).flatten(), reduction="none")
            (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        norms = gradient.double().norm(dim=-1) * (target >= 0)[..., None]
        return found | {"gradient_norm": (norms.sum(1) / (target >= 0).sum(1)[:, None]).cpu().numpy()}

    def gallery(
        self, predictions: dict[str, dict[str, np.ndarray]], *, seed: int, count: int = 6
    ) -> dict[str, np.ndarray]:
        """A window of each of the most frequent confusions of the best model: the one it was surest of. Where windows
        were also divided at random, the model and its confusions are those of the split by group.

        Returns:
            dict: "windows" (n, steps, channels) in the data's own units, "length", "target", "prediction",
            "probability" of the wrong class and "model", its place among ``predictions``.
        """
        found_variants = [variant for name, arrays in predictions.items() for variant in _variants(name, arrays)]
        if not found_variants:
            return {}
        best, its = max(found_variants, key=lambda variant: _rank(variant[1]))
        finite = np.isfinite(its["class_probability"]).all(-1)
        counts = np.zeros((self._data.n_classes,) * 2, dtype=np.int64)
        wrong = finite & (its["target"] >= 0) & (its["target"] != its["prediction"])
        np.add.at(counts, (its["target"][wrong], its["prediction"][wrong]), 1)
        order = np.argsort(-counts, axis=None, kind="stable")[:count]
        found: dict[str, list[Any]] = {key: [] for key in ("windows", "length", "target", "prediction", "probability")}
        for actual, predicted in zip(*np.unravel_index(order, counts.shape), strict=True):
            if not counts[actual, predicted]:
                continue
            mine = wrong & (its["target"] == actual) & (its["prediction"] == predicted)
            sure = np.where(mine, its["class_probability"][..., predicted], -1.0)
            at = np.unravel_index(int(sure.argmax()), sure.shape)
            window = int(its["window"][at])
            start, length = int(self._starts[window]), int(self._lengths[window])
            signals = np.zeros((self.n_steps, len(self.channels)), np.float32)
            signals[:length] = self._signals[start : start + length].numpy()
            for key, value in zip(found, (signals, length, actual, predicted, float(sure[at])), strict=True):
                found[key].append(value)
        if not found["length"]:
            return {}
        arrays = {key: np.array(values) for key, values in found.items()}
        return arrays | {"model": np.full(len(arrays["length"]), list(predictions).index(best), dtype=np.int32)}


def _variants(name: str, arrays: dict[str, np.ndarray]) -> list[tuple[str, dict[str, Any]]]:
    """The arrays of a model, those of each of its settings apart."""
    kept = ("target", "prediction", "class_probability", "window")
    if not set(kept) <= arrays.keys():
        return []
    setting = arrays.get("setting", np.full(len(arrays["target"]), ""))
    return [
        (name, {"setting": str(each)} | {key: arrays[key][setting == each] for key in kept})
        for each in np.unique(setting)
    ]


def _rank(its: dict[str, Any]) -> tuple[bool, float]:
    """By it the best of several variants is the one to show: not one of a random split, then by accuracy."""
    there = its["target"] >= 0
    return "split=window" not in its["setting"], float((its["target"] == its["prediction"])[there].mean())


def confusion_counts(target: np.ndarray, prediction: np.ndarray, n_classes: int) -> np.ndarray:
    """How often each class was taken for each: (runs, true, predicted), from (runs, examples); targets below 0 do not
    count."""
    there = target >= 0
    place = np.where(there, target * n_classes + prediction, n_classes**2)
    counts = np.stack([np.bincount(its, minlength=n_classes**2 + 1)[:-1] for its in place])
    return counts.reshape(-1, n_classes, n_classes)


def _channels(recordings: datasets.Recordings, names: Sequence[str] | None) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the channels and the signals, (samples, channels)."""
    if names is None:
        return recordings.channels, recordings.signals
    place = {name: at for at, name in enumerate(recordings.channels)}
    found = []
    for name in names:
        terms = [name] if name in place else [term.strip() for term in name.split(" + ")]
        unknown = [term for term in terms if term not in place]
        if unknown:
            raise RequestError(
                f"channels: no channel '{unknown[0]}' in {recordings.name}: {nearest(unknown[0], place)}"
            )
        found.append(recordings.signals[:, [place[term] for term in terms]].sum(axis=1))
    if len(set(names)) < len(names):
        raise RequestError(f"channels: one name stands twice in {list(names)}")
    return tuple(names), np.stack(found, axis=1)


def _triads(channels: Sequence[str]) -> list[list[int]]:
    """Places of the x, y and z axes of each sensor: channels whose names are the same but for x, y, z.

    Example:
        >>> _triads(["t", "gyro_x", "gyro_y", "gyro_z", "ax + bx", "ay + by", "az + bz", "max"])
        [[1, 2, 3], [4, 5, 6]]
    """
    place = {name: at for at, name in enumerate(channels)}
    found = []
    for name in channels:
        ends = [term.strip()[-1:] for term in name.split("+")]
        three = [" + ".join(term.strip()[:-1] + axis for term in name.split("+")) for axis in "xyz"]
        if set(ends) == {"x"} and all(each in place for each in three):
            found.append([place[each] for each in three])
    return found


def _cut(
    recordings: datasets.Recordings, window: int | None, overlap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Start and length of every window, the piece that it is of, and how many pieces are too short for one."""
    pieces = np.arange(len(recordings))
    if window is None:
        return recordings.starts, recordings.lengths, pieces, 0
    stride = max(1, round(window * (1 - overlap)))
    counts = np.maximum((recordings.lengths - window) // stride + 1, 0)
    piece = np.repeat(pieces, counts)
    place = np.arange(len(piece)) - np.repeat(np.cumsum(counts) - counts, counts)  # of a window in its piece
    starts = recordings.starts[piece] + stride * place
    return starts, np.full(len(piece), window, dtype=np.int64), piece, int((counts == 0).sum())
