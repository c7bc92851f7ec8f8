"""Classify windows of signals over time: activities from a phone's sensors, states of a machine from its vibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold import datasets
from tenfold.errors import DataError, RequestError, ShapeError
from tenfold.metrics import confusion_counts
from tenfold.recipe import Config
from tenfold.sampling import (
    MOST_CLUSTERS,
    Batch,
    Part,
    Resampling,
    Split,
    Splitter,
    Standardise,
    WindowSource,
    at_most,
    check_amount,
    clusters,
    folds_resampling,
    groups_drawn,
    of_pool,
    padded,
    shuffled,
    window_scaling,
)
from tenfold.seeds import generator
from tenfold.tasks._contract import Hyper, Predicted, TaskInfo, TaskSpec
from tenfold.tasks._counts import classes_and_groups, in_each_repeat
from tenfold.tasks._division import Windows, remarks_on_division
from tenfold.tasks._sequences_spec import SPEC, By, SequenceSettings
from tenfold.tasks._sequences_spec import SequenceRecipe as SequenceRecipe
from tenfold.tasks._sums import class_metrics, class_predictions, class_sums

__all__ = ["ClassifySequences"]

# Windows of all runs that are looked at together, with a backward pass.
_LOOKED_AT = 300
# Fractions of the steps after which accuracy is measured.
_SEEN = 12


class ClassifySequences:
    """One label for each window of signals.

    A module takes windows (batch, steps, channels), and lengths (batch,) as a second argument where windows are of
    different lengths, padded with 0 at the end. It gives logits (batch, classes).

    Every run standardises by the training windows of its own repeat. Runs of one study train on equally many windows;
    where groups are of different sizes, those that are too many are left out, drawn anew for every repeat.

    Args:
        settings: see SequenceSettings.
        recordings: signals in pieces.
    Source: splits: Hammerla and Ploetz 2015 (neighbouring windows in a random split), scikit-learn's GroupKFold.
    """

    spec: ClassVar[TaskSpec] = SPEC
    batches = staticmethod(shuffled)

    def __init__(self, settings: SequenceSettings, recordings: datasets.Recordings) -> None:
        if not isinstance(recordings, datasets.Recordings):
            raise DataError("classify-sequences needs recordings: signals over time, not images")
        self.settings, self._data = settings, recordings
        self.channels, signals = tuple(settings.channels or recordings.channels), recordings.signals
        if settings.channels:
            signals = datasets.select_channels(signals, recordings.channels, self.channels, recordings.name)
        starts, lengths, pieces = recordings.starts, recordings.lengths, np.arange(len(recordings))
        if settings.window:
            starts, pieces = datasets.cut_windows(starts, lengths, settings.window, settings.overlap)
            lengths = np.full(len(starts), settings.window)
        dropped = len(recordings) - len(np.unique(pieces))
        if not len(starts):
            raise DataError(
                f"{recordings.name}: no piece is as long as a window of {settings.window} steps; the longest has "
                f"{recordings.lengths.max()}; lower window"
            )
        self.n_steps = int(lengths.max())
        varying = bool((lengths != self.n_steps).any())
        self._source = WindowSource(
            torch.from_numpy(signals),
            torch.from_numpy(starts),
            self.n_steps,
            lengths=torch.from_numpy(lengths) if varying else None,
            triads=torch.tensor(datasets.axes_of_sensors(self.channels), dtype=torch.int64).view(-1, 3),
        )
        self._windows = Windows(
            recordings.name,
            signals,
            starts,
            lengths,
            pieces,
            recordings.labels[pieces],
            None if recordings.groups is None else recordings.groups[pieces],
            recordings.class_names,
            recordings.group_names,
        )
        self._labels = torch.from_numpy(recordings.labels[pieces])
        self._groups = None if recordings.groups is None else torch.from_numpy(recordings.groups[pieces])
        part = torch.from_numpy(recordings.part[pieces])
        # Without groups, what was recorded at about the same time is left out together.
        in_time = torch.arange(len(starts)) * MOST_CLUSTERS // len(starts)
        of_group = None if self._groups is None else clusters(self._groups, len(recordings.group_names))
        self._clusters = in_time if of_group is None else of_group
        self._official = settings.official and bool((part == datasets.TEST).any())
        self._check_data(part)
        self._too_few_groups = self._why_too_few(part)
        self.splitters = {by: self._splitter(by, part) for by in self._possible()}
        self._amounts = self._amounts_of_parts()
        note = [f"{dropped} of {len(recordings)} pieces are shorter than a window of {settings.window} steps: left out"]
        self.info = TaskInfo(
            recordings.fingerprint,
            module_kwargs={
                "n_channels": len(self.channels), "n_steps": self.n_steps, "n_classes": recordings.n_classes
            },
            labels={"class": recordings.class_names, "group": recordings.group_names, "channel": self.channels},
            warnings=(*recordings.notes, *(note if dropped else [])),
            inputs={
                "kind": "windows", "channels": list(self.channels), "recorded": list(recordings.channels),
                "steps": self.n_steps, "varying": varying, "window": settings.window, "overlap": settings.overlap,
                "rate_hz": recordings.rate_hz,
            },
            counts={"windows": len(starts), "recordings": len(np.unique(pieces))}
            | classes_and_groups(self._labels, self._groups),
            each_repeat=in_each_repeat(self._amounts, "windows"),
            class_counts=tuple(self._labels.bincount(minlength=recordings.n_classes).tolist()),
        )  # fmt: skip

    # -- data ---------------------------------------------------------------------------------------------------------

    @property
    def n_windows(self) -> int:
        return len(self._source.starts)

    def _check_data(self, part: Tensor) -> None:
        name, classes = self._data.name, self._labels.unique()
        if len(classes) < 2:
            raise DataError(
                f"{name}: all {self.n_windows} windows are of one class, '{self._data.class_names[int(classes[0])]}'; "
                "there is nothing to tell apart"
            )
        if self._official and self._groups is not None:
            test = part == datasets.TEST
            both = set(self._groups[test].tolist()) & set(self._groups[~test].tolist())
            if both:
                who = self._data.group_names[min(both)]
                raise DataError(
                    f"{name}: '{who}' is in training and in testing ({len(both)} such groups); a network would know "
                    "who it is tested on. Correct 'part', or set official = false"
                )
        if self.settings.folds == "groups" and (self._groups is None or len(self._groups.unique()) == 1):
            raise RequestError(
                f"folds = 'groups': {name} has {'no groups' if self._groups is None else 'one group'}; give a number"
            )

    def _possible(self) -> tuple[By, ...]:
        """By what windows can be divided, the usual first."""
        if self._groups is None and not self._official:
            return ("window",)
        return ("window",) if self._too_few_groups else ("group", "window")

    def _why_too_few(self, part: Tensor) -> str:
        """Why the groups are too few to be divided; "" where they are not."""
        if self._groups is None:
            return ""
        s, name, n_groups = self.settings, self._data.name, len(self._groups.unique())
        if self._official:
            n_groups = len(self._groups[part != datasets.TEST].unique())
            if not s.validation or n_groups > 1:
                return ""
            return f"validation holds back whole groups, and {name} has one group to train on"
        if n_groups == 1:
            only = self._data.group_names[int(self._groups[0])]
            return f"{name} has one group only, '{only}', and a split by group needs two: record others"
        n_tested = groups_drawn(n_groups, s.test_share)
        if s.folds is not None:
            n_tested = 1 if s.folds == "groups" else -(-n_groups // s.folds)
        n_held_back = groups_drawn(n_groups - n_tested, s.validation) if s.validation else 0
        if n_tested + n_held_back < n_groups:
            return ""
        held = f" and {n_held_back} for validation" if n_held_back else ""
        return (
            f"{name} has {n_groups} groups, of which {n_tested} {'is' if n_tested == 1 else 'are'} for testing{held}, "
            "so none is left to train on: lower test_share or validation, or record more"
        )

    def _by(self, config: Config | None) -> By:
        by = "auto" if config is None else config.data.get("split", "auto")
        if by != "window" and self._too_few_groups:
            raise RequestError(
                f"split = '{by}': {self._too_few_groups}; or set split = 'window' in [train], which says nothing about "
                "other people"
            )
        if by == "auto":
            return self._possible()[0]
        if by not in self._possible():
            raise RequestError(f"split = '{by}': {self._data.name} has no groups; use 'window'")
        return by

    def division(self, config: Config) -> dict[str, Any]:
        return {"split": self._by(config)}

    def _splitter(self, by: By, part: Tensor) -> Splitter:
        s = self.settings
        n_official = int((part == datasets.TEST).sum())
        of_all = n_official if self._official else max(1, round(self.n_windows * s.test_share))
        folds = s.folds
        if folds == "groups":
            assert self._groups is not None
            folds = len(self._groups.unique())
        if by == "group" and self._groups is not None and folds is not None and folds > len(self._groups.unique()):
            raise RequestError(f"folds = {folds}: {self._data.name} has {len(self._groups.unique())} groups to divide")
        official = torch.where(part == datasets.TEST, datasets.TEST, datasets.TRAIN)
        return Splitter(
            self.n_windows,
            test=s.test_share if by == "group" else of_all,
            validation=s.validation,
            folds=folds,
            groups=self._groups if by == "group" else None,
            part=official if by == "group" and self._official else None,
            at_least={"validation": round(s.train * s.validation)} if s.train else {},
            in_order=True,
            unit="windows" if by == "window" else "groups",
        )

    def _amounts_of_parts(self) -> dict[Part, int]:
        """Windows of each part in every run: the least for training and the most for testing that any repeat under any
        split may have; what a repeat has less is filled up and does not count."""
        s, name = self.settings, self._data.name
        bounds = [splitter.test_bounds() for splitter in self.splitters.values()]
        n_test = max(most for _, most in bounds)
        smallest = self.n_windows - n_test
        n_validation = max(splitter.validation_bound(smallest) for splitter in self.splitters.values())
        n_train = smallest - n_validation
        if s.test is not None:
            check_amount(name, "test", s.test, min(fewest for fewest, _ in bounds), "windows")
            n_test = s.test
        if s.train is not None:
            check_amount(name, "train", s.train, smallest, "windows")
            n_validation = round(s.train * s.validation)
            n_train = s.train - n_validation
        if n_train < 1:
            raise DataError(f"{name}: no window is left to train on; lower test_share or validation")
        if s.validation and not n_validation:
            raise RequestError(f"validation = {s.validation} of {s.train or smallest} windows is none; raise it")
        return {"train": n_train, "validation": n_validation, "test": n_test}

    @property
    def _who(self) -> str:
        """What the groups are called: people, where their names say so."""
        people = all(name.lower().startswith(("person", "subject", "user")) for name in self._data.group_names)
        return "people" if people else "groups"

    def _rows(self, repeat: int, seed: int, by: By) -> dict[Part, Tensor]:
        return self._drawn(self.splitters[by].rows(repeat, seed), repeat, seed)

    def _drawn(self, whole: Mapping[Part, Tensor], repeat: int, seed: int) -> dict[Part, Tensor]:
        """The windows that one repeat uses of each part, in the order of the data."""
        found = {
            part: at_most(rows, self._amounts[part], generator(seed, repeat, f"{part} windows"))
            for part, rows in whole.items()
        }
        if len(found["train"]) < self._amounts["train"]:
            raise DataError(
                f"{self._data.name}: {len(found['train'])} windows are left to train on in repeat {repeat}, "
                f"{self._amounts['train']} are wanted; lower train or validation"
            )
        return found

    def splits(
        self, repeats: Sequence[int], *, seed: int, configs: Sequence[Config] | None = None
    ) -> dict[Part, Split]:
        chosen: list[By] = [self._by(config) for config in (configs or [None] * len(repeats))]
        rows = [self._rows(repeat, seed, by) for repeat, by in zip(repeats, chosen, strict=True)]
        preprocess = self._standardise([own["train"] for own in rows])
        weights = torch.stack([self._class_weights(own["train"]) for own in rows])
        found: dict[Part, Split] = {}
        for part, amount in self._amounts.items():
            if amount:
                index, valid = padded([own[part] for own in rows], amount)
                target = self._labels[index]
                targets = {"target": target, "weight": weights.gather(1, target).float()}
                if part == "test":
                    targets["window"] = index
                    if self._groups is not None:
                        targets["group"] = self._groups[index]
                found[part] = Split(self._source, index, targets, valid, preprocess, cluster=self._clusters[index])
        return found

    def remarks(self, configs: Sequence[Config], *, repeats: int, seed: int) -> list[str]:
        """What the division means: shared recordings and people, missing classes, windows that are left out."""
        said: list[str] = []
        ways: list[By] = list(dict.fromkeys(self._by(config) for config in configs))
        for by in ways:
            whole = [self.splitters[by].rows(repeat, seed) for repeat in range(repeats)]
            rows = [self._drawn(own, repeat, seed) for repeat, own in enumerate(whole)]
            found = remarks_on_division(self._windows, rows, by=by, of_several=len(ways) > 1)
            said += [*found, *self._remarks_on_amounts(whole, by)]
        return said

    def _remarks_on_amounts(self, whole: Sequence[dict[Part, Tensor]], by: By) -> list[str]:
        """Training windows that are not used, and test parts far from what was asked for."""
        s, said, n_train = self.settings, [], self._amounts["train"]
        there = [len(own["train"]) for own in whole]
        if s.train is None and max(there) > n_train:
            unused = f"{'up to ' if min(there) < max(there) else ''}{max(there) - n_train}"
            said.append(
                f"every repeat trains on {n_train} windows, so that all train on equally many: {unused} of the windows "
                "for training are left out, others in each repeat"
            )
        shares = [len(own["test"]) / self.n_windows for own in whole]
        asked = None if self._official or s.folds is not None or by == "window" else s.test_share
        if asked is not None and (max(shares) > 1.5 * asked or min(shares) < asked / 1.5):
            said.append(
                f"test_share = {asked:g} is a fraction of the groups, which differ in size or are few: "
                f"{100 * min(shares):.3g} to {100 * max(shares):.3g} % of the windows are tested"
            )
        return said

    def _standardise(self, train: Sequence[Tensor]) -> Standardise | None:
        if not self.settings.standardise and self._source.lengths is None:
            return None
        pairs = [window_scaling(self._source, rows) for rows in train]
        shift, scale = (torch.stack([pair[at] for pair in pairs]).float()[:, None] for at in (0, 1))
        if not self.settings.standardise:  # what lies behind a shorter window is still set to 0
            shift, scale = torch.zeros_like(shift), torch.ones_like(scale)
        return Standardise(shift, scale)

    def _class_weights(self, rows: Tensor) -> Tensor:
        """Inverse frequencies in training as scikit-learn's "balanced"; 0 for a class that does not occur."""
        counts = self._labels[rows].bincount(minlength=self._data.n_classes)
        occurs = counts > 0
        return torch.where(occurs, len(rows) / (occurs.sum() * counts.clamp(min=1)), 0.0)

    def resampling(self, configs: Sequence[Config] | None = None) -> Resampling:
        by = {self._by(config) for config in configs or [None]}
        splitter = self.splitters["group" if "group" in by else "window"]
        people = splitter.groups is not None
        unit = self._who if people else "windows"
        n_all = self.n_windows if splitter.groups is None else len(splitter.groups.unique())
        if splitter.folds is not None:
            return folds_resampling(splitter.folds, unit, n_all)
        n_train, n_test = self._amounts["train"], self._amounts["test"]
        if by == {"group"} and self._official:
            tested = splitter.rows(0, 0)["test"]
            unit = "windows" if self._groups is None else self._who
            n_pool = len(tested) if self._groups is None else len(self._groups[tested].unique())
            drawn = "the same" if n_test >= len(tested) else f"{n_test} of the same"
            reason = f"every repeat is tested on {drawn} {len(tested)} windows, of {n_pool} {unit} never trained on"
            return of_pool(n_pool, n_pool, unit, reason, one_pool=False)
        share = n_test / self.n_windows
        return of_pool(
            max(round(share * n_all), 1),
            n_all,
            unit,
            f"repeats draw from the same {self.n_windows} windows ({n_train} to train on, up to {n_test} to test)",
            one_pool=True,
        )

    # -- one run ------------------------------------------------------------------------------------------------------

    def check(self, output: Any, batch: Batch) -> None:
        n_examples = len(batch.valid)
        expected = (n_examples, self._data.n_classes)
        if not isinstance(output, Tensor) or tuple(output.shape) != expected:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ShapeError(
                f"expected logits of shape {expected} (windows, classes) for a batch of ({n_examples}, {self.n_steps} "
                f"steps, {len(self.channels)} channels), got {got}"
            )

    def loss(self, output: Any, batch: Batch, hyper: Hyper) -> Tensor:
        if hyper.recipe.class_weights == "none":
            return F.cross_entropy(output, batch.targets["target"])
        weight = batch.targets["weight"].to(output.dtype)
        losses = F.cross_entropy(output, batch.targets["target"], reduction="none")
        return (losses * weight).sum() / weight.sum()

    # -- all runs -----------------------------------------------------------------------------------------------------

    def sums(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        return class_sums(output, batch.targets["target"], batch.valid)

    metrics_of = staticmethod(class_metrics)

    def predictions(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        """Target, prediction, window and group (-1 where a run has fewer windows), and probabilities of classes."""
        kept = class_predictions(output, batch.targets["target"], batch.valid)
        for name in ("window", "group"):
            if name in batch.targets:
                kept[name] = torch.where(batch.valid, batch.targets[name], -1).to(torch.int32)
        return kept

    def fit_targets(self, split: Split) -> tuple[Tensor, int]:
        return split.targets["target"], self._data.n_classes

    def diagnose(self, stack: Callable[..., Any], split: Split) -> dict[str, np.ndarray | Exception]:
        """Accuracy after a part of the steps, and how much the loss at the end depends on every step, over all windows
        of ``split``: the first ones alone would be those of one person.

        Returns:
            dict: "seen_steps" and "seen_accuracy" (runs, lengths): of windows cut off after so many steps, NaN where
            the module does not take them; "seen_windows" (runs,): how many windows they are; "gradient_norm" (runs,
            steps): mean over windows of the norm of the gradient of the loss with respect to a step's channels. Where
            windows differ in length, the last is left out: steps of different windows have nothing in common. Where a
            layer has no derivative it is the error of that layer.
        """
        steps = np.unique(np.ceil(np.linspace(0, self.n_steps, _SEEN + 1)[1:]).astype(int))
        right, count = np.zeros((split.n_runs, len(steps))), np.zeros(split.n_runs, dtype=np.int64)
        norms: np.ndarray | Exception | None = np.zeros((split.n_runs, self.n_steps))
        for start in range(0, split.n_examples, _LOOKED_AT):
            batch = split.span(start, min(start + _LOOKED_AT, split.n_examples))
            count += batch.valid.sum(1).cpu().numpy()
            for column, seen in enumerate(steps.tolist()):
                right[:, column] += _right_after(stack, batch, seen)
            if isinstance(norms, np.ndarray):
                of_batch = _gradient_norms(stack, batch)
                norms = norms + of_batch if isinstance(of_batch, np.ndarray) else of_batch
        found: dict[str, np.ndarray | Exception] = {
            "seen_steps": np.tile(steps, (split.n_runs, 1)),
            "seen_windows": count,
            "seen_accuracy": right / count[:, None],
        }
        if norms is not None:
            found["gradient_norm"] = norms / count[:, None] if isinstance(norms, np.ndarray) else norms
        return found

    def gallery(self, predicted: Sequence[Predicted], *, seed: int) -> dict[str, np.ndarray]:
        """A window of each of the six most frequent confusions of the best model: the one it was surest of. Where
        windows were also divided at random, the model and its confusions are those of the split by group.

        Returns:
            dict: "windows" (n, steps, channels) in the data's own units, "length", "target", "prediction",
            "probability" of the wrong class and "model", its place among the models.
        """
        with_probabilities = [each for each in predicted if "class_probability" in each.arrays]
        if not with_probabilities:
            return {}
        model, _, arrays = max(with_probabilities, key=self._rank)
        target, prediction, probability = (arrays[key] for key in ("target", "prediction", "class_probability"))
        wrong = np.isfinite(probability).all(-1) & (target >= 0) & (target != prediction)
        (counts,) = confusion_counts(target[wrong][None], prediction[wrong][None], self._data.n_classes)
        shown: dict[str, list[Any]] = {key: [] for key in ("windows", "length", "target", "prediction", "probability")}
        for actual, said in zip(
            *np.unravel_index(np.argsort(-counts, axis=None, kind="stable")[:6], counts.shape), strict=True
        ):
            if not counts[actual, said]:
                continue
            of_pair = wrong & (target == actual) & (prediction == said)
            sure = np.where(of_pair, probability[..., said], -1.0)
            place = np.unravel_index(int(sure.argmax()), sure.shape)
            window = int(arrays["window"][place])
            start = int(self._source.starts[window])
            length = self.n_steps if self._source.lengths is None else int(self._source.lengths[window])
            signals = np.zeros((self.n_steps, len(self.channels)), np.float32)
            signals[:length] = self._source.signals[start : start + length].numpy()
            for key, value in zip(shown, (signals, length, actual, said, float(sure[place])), strict=True):
                shown[key].append(value)
        if not shown["length"]:
            return {}
        kept = {key: np.array(values) for key, values in shown.items()}
        return kept | {
            "model": np.full(
                len(kept["length"]), list(dict.fromkeys(each.model for each in predicted)).index(model), dtype=np.int32
            )
        }

    def _rank(self, predicted: Predicted) -> tuple[bool, float]:
        """By it the best of several is the one to show: one of the usual split, then by accuracy."""
        target, prediction = predicted.arrays["target"], predicted.arrays["prediction"]
        accuracy = float((target == prediction)[target >= 0].mean())
        return self._by(predicted.config) == self._possible()[0], accuracy


def _right_after(stack: Callable[..., Any], batch: Batch, seen: int) -> np.ndarray:
    """How many windows of each run are answered rightly after so many steps, (runs,); NaN where the module fails."""
    windows, lengths = batch.inputs[0], batch.inputs[1:]
    try:
        with torch.no_grad():
            outputs = stack(windows[:, :, :seen].contiguous(), *(length.clamp(max=seen) for length in lengths))
        right = (outputs.argmax(-1) == batch.targets["target"]) & batch.valid
        return right.sum(1).double().cpu().numpy()
    except MemoryError:
        raise
    except Exception:  # a module for windows of one length fails on others in its own way
        return np.full(len(windows), np.nan)


def _gradient_norms(stack: Callable[..., Any], batch: Batch) -> np.ndarray | Exception | None:
    """Sum over windows of the norm of the gradient of the loss with respect to each step, (runs, steps); None where
    there is no gradient, or windows differ in length; the error of a layer that has no derivative.
    """
    if batch.inputs[1:]:
        return None
    leaf = batch.inputs[0].detach().requires_grad_()
    try:
        # A GPU's own recurrent layers have no backward pass outside of training.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            outputs = stack(leaf).flatten(0, 1)
            if not outputs.requires_grad:  # an estimator's
                return None
            losses = F.cross_entropy(outputs, batch.targets["target"].flatten(), reduction="none")
            (gradient,) = torch.autograd.grad(losses.sum(), leaf, allow_unused=True)
    except MemoryError:
        raise
    except Exception as error:  # fused attention, for one, raises in a stack; a layer of a user's own in its own way
        return error
    if gradient is None:  # of a module that cuts the graph, as by x.detach() or x > 0
        return None
    return (gradient.double().norm(dim=-1) * batch.valid[..., None]).sum(1).cpu().numpy()
