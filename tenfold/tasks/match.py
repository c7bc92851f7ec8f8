"""Match by example: recognise classes never seen in training from one example each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold import datasets
from tenfold.errors import DataError, RequestError, ShapeError
from tenfold.losses import DRAWING, contrastive_loss, numbers_needed, prototypical_loss, triplet_loss
from tenfold.recipe import Config
from tenfold.retrieval import SCORES, EpisodeRanks, episode_ranks, search
from tenfold.sampling import (
    Batch,
    Part,
    Resampling,
    Split,
    Splitter,
    Standardise,
    TensorSource,
    balanced,
    clusters,
    folds_resampling,
    of_pool,
    padded,
)
from tenfold.seeds import generator, uniform
from tenfold.tasks._classes_in_parts import equal_items, repeated_items
from tenfold.tasks._contract import Hyper, Predicted, TaskInfo, TaskSpec
from tenfold.tasks._counts import classes_and_groups
from tenfold.tasks._images import image_inputs, square_items
from tenfold.tasks._match_spec import SPEC, MatchRecipe, MatchSettings

__all__ = ["Match"]

# Fraction of the classes kept for testing where a data set has no classes of its own for that.
_TEST_FRACTION = 0.25
# Cosine similarities are divided by it before the softmax whose cross-entropy is the loss on candidates.
_TEMPERATURE = 0.1
# Images that are evaluated together, about: whole query sets, whole episodes.
_TOGETHER = 200

_RETRIEVAL = ("precision_at_1", "r_precision", "mean_average_precision_at_r", "mean_average_precision")


class Match:
    """Embeddings of images such that those of one class are near each other, also of classes never seen in training.

    A module takes (batch, channels, height, width) and gives embeddings (batch, dimension). Training batches are
    balanced. Testing is on classes that were not trained on:

    * query sets: one query image and ``candidates`` images of different classes, one of them the query's;
    * the episodes that come with the data, such as Lake's 20 published runs of 20-way one-shot classification;
    * a pool of images searched among each other.

    Args:
        settings: see MatchSettings.
        images: a set of images by class.
    Source: Koch, Zemel, Salakhutdinov 2015; Lake, Salakhutdinov, Tenenbaum 2015; Musgrave, Belongie, Lim 2020 for the
        retrieval scores.
    """

    spec: ClassVar[TaskSpec] = SPEC

    def __init__(self, settings: MatchSettings, images: datasets.Images) -> None:
        if not isinstance(images, datasets.Images):
            raise DataError("match needs images by class; ready-made pairs have none")
        # Folds put every class into training at some time, those of the episodes too.
        images = images if settings.folds is None else dataclasses.replace(images, episodes=None)
        self.settings, self._data = settings, images
        items = square_items(images.name, images.images, settings.size)
        self._source = TensorSource(torch.from_numpy(items))
        self.size = int(items.shape[-1])
        self._labels = torch.from_numpy(images.labels)
        # Rows of the images of each class.
        order = np.argsort(images.labels, kind="stable")
        counts = np.bincount(images.labels, minlength=images.n_classes)
        self._rows = [torch.from_numpy(rows) for rows in np.split(order, np.cumsum(counts)[:-1])]
        self._single = torch.from_numpy(counts < 2)
        self._groups = torch.zeros(images.n_classes, dtype=torch.int64)
        if images.groups is not None:
            self._groups = torch.from_numpy(images.groups)
        self.splitter = self._splitter()
        # The same for every repeat, whatever classes it has: a run in a stack takes as many steps as alone.
        official_test = (self.splitter.part == datasets.TEST).numpy()
        largest = np.sort(counts[~official_test & (counts >= 2)])[::-1]
        n_test = round(images.n_classes * float(self.splitter.test)) if settings.folds is None else 0
        usual = None if official_test.any() else images.n_classes - n_test
        self._n_train = int(largest[: settings.train_classes or usual].sum())
        self._n_pool = int(np.sort(counts)[-settings.pool_classes :].sum())
        channels = items.shape[1]
        self.info = TaskInfo(
            images.fingerprint,
            module_kwargs={"size": self.size, "n_channels": channels},
            labels={"class": images.class_names, "group": images.group_names},
            warnings=(*images.notes, *self._warnings()),
            inputs=image_inputs("images", images, settings.size),
            counts={"images": len(images.labels)}
            | classes_and_groups(self._labels, None if images.groups is None else self._groups),
            class_counts=tuple(counts.tolist()),
        )
        self._check_amounts()

    # -- data ---------------------------------------------------------------------------------------------------------

    def _splitter(self) -> Splitter:
        """Divides classes: those that the data set reserves for testing, folds, or a quarter where nothing says what
        is trained on."""
        s, images = self.settings, self._data
        parts = np.zeros((images.n_classes, 3), dtype=np.int64)
        np.add.at(parts, (images.labels, images.part), 1)
        reserved = (
            (parts[:, datasets.TEST] > 0) & (parts[:, datasets.TRAIN] == 0) & (parts[:, datasets.UNASSIGNED] == 0)
        )
        reserved &= s.folds is None
        other = datasets.TRAIN if reserved.any() else datasets.UNASSIGNED
        return Splitter(
            images.n_classes,
            test=_TEST_FRACTION if s.train_classes is None and s.train_groups is None else 0.0,
            folds=s.folds,
            groups=None if images.groups is None or s.folds is None else self._groups,
            part=torch.from_numpy(np.where(reserved, datasets.TEST, other)),
            unit="classes" if images.groups is None else "groups of classes",
        )

    def _warnings(self) -> list[str]:
        single = [self._data.class_names[at] for at in self._single.nonzero().flatten().tolist()]
        if not single:
            return []
        names = ", ".join(f"'{name}'" for name in single[:3]) + (", ..." if len(single) > 3 else "")
        return [
            f"{len(single)} classes have one image ({names}): they are never trained on or asked for, "
            "they only stand among the candidates"
        ]

    def remarks(self, configs: Sequence[Config], *, repeats: int, seed: int) -> list[str]:
        """Images of tested classes that are, under the name of another class, trained on too, and images that occur
        twice in a class that is tested, which any model finds.
        """
        numbers = equal_items(self._source.items.numpy())
        whole = [self._classes(repeat, seed) for repeat in range(repeats)]
        parts = [
            {"train": self._images_of(torch.cat([train, held_back])).numpy(), "test": self._images_of(unseen).numpy()}
            for train, held_back, unseen in whole
        ]
        tested = np.unique(np.concatenate([own["test"] for own in parts]))
        of_class = np.stack([self._data.labels[tested], numbers[tested]], axis=1)
        twice = len(tested) - len(np.unique(of_class, axis=0))
        said = repeated_items(numbers, parts, "images")
        if twice:
            said.append(
                f"{twice} of {len(tested)} images of tested classes occur a second time in their class, value by "
                "value: a model finds them without having learned anything; leave repeated images out"
            )
        return said

    def _classes(self, repeat: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Classes to train on, held back for validation, and not trained on, of one repeat."""
        s, rng = self.settings, generator(seed, repeat, "classes")
        every, rows = torch.arange(self._data.n_classes), self.splitter.rows(repeat, seed)
        usable = torch.zeros(len(every), dtype=torch.bool)
        usable[rows["train"]] = True
        usable &= ~self._single
        if s.train_groups is not None:
            there = self._groups[usable].unique()
            chosen = there[torch.randperm(len(there), generator=rng)[: s.train_groups]]
            usable &= torch.isin(self._groups, chosen)
        pool = every[usable]
        train = pool[torch.randperm(len(pool), generator=rng)[: s.train_classes]]
        unseen = torch.ones(len(every), dtype=torch.bool)
        unseen[train] = False
        unseen = every[unseen]
        if s.folds is not None:  # every class is tested in one fold, whatever is trained on in the others
            unseen = rows["test"]
        held_back, train = self._held_back(train, rng)
        return train, held_back, unseen

    def _held_back(self, train: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Whole groups where there are several, as unseen alphabets are harder than unseen letters of seen ones."""
        wanted = round(len(train) * self.settings.validation)
        if not wanted:
            return train[:0], train
        there = self._groups[train].unique()
        if len(there) < 3:
            return train[:wanted], train[wanted:]
        held = torch.zeros(len(train), dtype=torch.bool)
        for group in there[torch.randperm(len(there), generator=rng)].tolist():
            if int(held.sum()) < wanted:
                held |= self._groups[train] == group
        return train[held], train[~held]

    def _check_amounts(self) -> None:
        s, name = self.settings, self._data.name
        n_groups = len(self._groups[self.splitter.part != datasets.TEST].unique())
        if s.train_groups is not None and self._data.groups is None:
            raise RequestError(f"train_groups: {name or 'the data'} has no groups of classes; leave it out")
        if s.train_groups is not None and s.train_groups > n_groups:
            raise RequestError(f"train_groups = {s.train_groups}: {name} has {n_groups} groups to train on")
        train, held_back, unseen = self._classes(0, 0)
        n_train = len(train) + len(held_back)
        if s.train_classes is not None and n_train < s.train_classes:
            raise DataError(
                f"{name}: train_classes = {s.train_classes} asked for, {n_train} with at least two images are there"
            )
        if s.validation:
            self._check_sets(held_back, "held back for validation")
        self._check_sets(unseen, "not trained on")

    def _check_sets(self, classes: Tensor, words: str) -> None:
        asked, candidates = classes[~self._single[classes]], self.settings.candidates
        if len(classes) < candidates or not len(asked):
            raise DataError(
                f"{self._data.name}: candidates = {candidates} of different classes asked for, {len(classes)} "
                f"classes are {words}, {len(asked)} of them with two images; lower candidates or train_classes"
            )

    def resampling(self, configs: Sequence[Config] | None = None) -> Resampling:
        s = self.settings
        if s.folds is not None:
            return folds_resampling(s.folds, self.splitter.unit, self._data.n_classes)
        _, _, unseen = self._classes(0, 0)
        n_classes = self._data.n_classes
        n_pool = len(unseen) if s.train_classes is None and s.train_groups is None else n_classes
        n_test = min(len(unseen), s.query_sets * s.candidates)
        return of_pool(
            n_test,
            n_pool,
            "classes",
            f"repeats are tested on {n_test} classes of the same {n_pool}",
            one_pool=n_pool == n_classes,
        )

    def splits(
        self, repeats: Sequence[int], *, seed: int, configs: Sequence[Config] | None = None
    ) -> dict[Part, Split]:
        """Training, validation and test part, and where there are some "episodes", and the "pool"."""
        train, validation, test, pool = [], [], [], []
        for repeat in repeats:
            classes, held_back, unseen = self._classes(repeat, seed)
            train.append(self._images_of(classes))
            if len(held_back):
                validation.append(self._sets(held_back, generator(seed, repeat, "validation sets")))
            rng = generator(seed, repeat, "test sets")
            test.append(self._sets(unseen, rng))
            chosen = unseen[torch.randperm(len(unseen), generator=rng)[: self.settings.pool_classes]]
            pool.append(self._images_of(chosen))
        found = {"train": self._split(train, self._n_train)}
        for part, rows in (("validation", validation), ("test", test)):
            if rows:
                found[part] = self._in_blocks(self._split(rows, len(rows[0])), "set", 1 + self.settings.candidates)
        if (episodes := self._data.episodes) is not None:
            rows = torch.from_numpy(episodes).flatten()
            found["episodes"] = self._in_blocks(
                self._split([rows] * len(train), len(rows)), "episode", episodes[0].size
            )
        return found | {"pool": self._split(pool, self._n_pool)}

    def _split(self, rows: list[Tensor], length: int) -> Split:
        """Rows of each run, of different lengths, with -1 as the class of what fills up the shorter ones."""
        index, valid = padded(rows, length)
        classes = self._labels[index] if valid is None else torch.where(valid, self._labels[index], -1)
        inverted = torch.ones(len(rows), 1, 1, 1), -torch.ones(len(rows), 1, 1, 1)  # (x - 1) * -1
        preprocess = Standardise(*inverted) if self.settings.invert else None
        return Split(self._source, index, {"class": classes}, valid, preprocess)

    def _in_blocks(self, split: Split, name: str, size: int) -> Split:
        """Evaluated in whole query sets or episodes, several together; targets by this name say which."""
        n = split.n_examples // size
        each = max(1, _TOGETHER // size)
        blocks = tuple(min(each, n - start) * size for start in range(0, n, each))
        number = (torch.arange(split.n_examples) // size).expand(split.n_runs, -1)
        asked = split.targets["class"].unflatten(1, (n, size))[:, :, :1].expand(-1, -1, size).flatten(1)
        cluster = clusters(asked, self._data.n_classes)  # a set is left out as a whole: by the class that it asks for
        return dataclasses.replace(split, targets=split.targets | {name: number}, blocks=blocks, cluster=cluster)

    def _images_of(self, classes: Tensor) -> Tensor:
        return torch.cat([self._rows[at] for at in classes.tolist()])

    def _sets(self, classes: Tensor, rng: torch.Generator) -> Tensor:
        """Rows of (query, right candidate, other candidates) for every set, one after the other."""
        several = classes[~self._single[classes]].tolist()
        rows = []
        for _ in range(self.settings.query_sets):
            asked = several[int(torch.randint(len(several), (), generator=rng))]
            own = self._rows[asked]
            rows.append(own[torch.randperm(len(own), generator=rng)[:2]])
            others = classes[classes != asked]
            for other in others[torch.randperm(len(others), generator=rng)[: self.settings.candidates - 1]].tolist():
                of_class = self._rows[other]
                rows.append(of_class[torch.randint(len(of_class), (1,), generator=rng)])
        return torch.cat(rows)

    def batches(self, split: Split, recipe: MatchRecipe, rng: torch.Generator) -> Sequence[Tensor]:
        classes = split.targets["class"][0].cpu()
        counts = classes[classes >= 0].bincount()
        occurring = counts.nonzero().flatten()
        if len(occurring) < recipe.classes_per_batch:
            raise RequestError(
                f"classes_per_batch = {recipe.classes_per_batch}: {self._data.name} has {len(occurring)} classes to "
                "train on; lower it"
            )
        fewest = int(occurring[counts[occurring].argmin()])
        if int(counts[fewest]) < recipe.images_per_class:
            raise RequestError(
                f"images_per_class = {recipe.images_per_class}: class '{self._data.class_names[fewest]}' of "
                f"{self._data.name} has {int(counts[fewest])} images; lower it, or leave the class out"
            )
        return balanced(classes, recipe.classes_per_batch, recipe.images_per_class, rng)

    # -- one run ------------------------------------------------------------------------------------------------------

    def check(self, output: Any, batch: Batch) -> None:
        n = len(batch.valid)
        if not isinstance(output, Tensor) or output.dim() != 2 or len(output) != n or not output.shape[1]:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ShapeError(
                f"expected embeddings of shape ({n} images, dimension) for a batch of {tuple(batch.inputs[0].shape)}, "
                f"got {got}"
            )

    def loss(self, output: Any, batch: Batch, hyper: Hyper) -> Tensor:
        recipe = hyper.recipe
        n_classes, n_images = recipe.classes_per_batch, recipe.images_per_class
        embeddings = output.view(n_classes, n_images, -1)
        if recipe.loss == "prototypical":
            return prototypical_loss(embeddings, n_support=recipe.shots, distance=recipe.distance, scale=hyper["scale"])
        if recipe.loss == "contrastive":
            return contrastive_loss(embeddings, positive_margin=0.0, margin=hyper["margin"], distance=recipe.distance)
        numbers = None
        if recipe.mining in DRAWING:
            numbers = uniform(hyper.key, hyper.step, numbers_needed(n_classes, n_images))
        return triplet_loss(
            embeddings, margin=hyper["margin"], mining=recipe.mining, distance=recipe.distance, numbers=numbers
        )

    # -- all runs -----------------------------------------------------------------------------------------------------

    def _set_ranks(self, outputs: Tensor, classes: Tensor) -> tuple[Tensor, EpisodeRanks]:
        """Embeddings as query sets (runs, sets, 1 + candidates, d); the order of the candidates, best first, and the
        place of the right one."""
        sets, of_class = (value.unflatten(1, (-1, 1 + self.settings.candidates)) for value in (outputs, classes))
        right = _right(of_class[:, :, :1], of_class[:, :, 1:])
        return sets, episode_ranks(sets[:, :, :1], sets[:, :, 1:], right, similarity=self.settings.similarity)

    def _episode_ranks(self, outputs: Tensor, classes: Tensor) -> EpisodeRanks:
        assert self._data.episodes is not None
        shape = (-1, *self._data.episodes.shape[1:])  # episodes, (examples, queries), ways
        episodes, of_class = (value.unflatten(1, shape) for value in (outputs, classes))
        right = _right(of_class[:, :, 1], of_class[:, :, 0])
        return episode_ranks(episodes[:, :, 1], episodes[:, :, 0], right, similarity=self.settings.similarity)

    def sums(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        if "set" in batch.targets:
            sets, ranks = self._set_ranks(output, batch.targets["class"])
            places = ranks[1].flatten(1)  # (runs, sets)
            valid = batch.valid.unflatten(1, (-1, 1 + self.settings.candidates))[:, :, 0]
            return {
                "sets": valid.double().sum(1),
                "top1": ((places == 0) & valid).double().sum(1),
                "top3": ((places < 3) & valid).double().sum(1),
                "nats": torch.where(valid, _candidate_nats(sets), 0.0).sum(1),
            }
        if "episode" in batch.targets:
            assert self._data.episodes is not None
            ranks = self._episode_ranks(output, batch.targets["class"])[1]  # (runs, episodes, queries)
            valid = batch.valid.unflatten(1, (-1, self._data.episodes[0].size))[:, :, :1].expand_as(ranks)
            return {
                "episode_hits": ((ranks == 0) & valid).double().sum((1, 2)),
                "episode_queries": valid.double().sum((1, 2)),
            }
        return {}  # training batches have no queries

    def metrics_of(self, sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = {}
        if "sets" in sums:
            found = {
                "top1": sums["top1"] / sums["sets"],
                "top3": sums["top3"] / sums["sets"],
                "loss": sums["nats"] / sums["sets"],
            }
        if "episode_hits" in sums:
            found["oneshot_accuracy"] = sums["episode_hits"] / sums["episode_queries"]
        return found

    def predictions(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        """For query sets and episodes the order of the candidates and the place of the right one, and the group of
        every query, where classes have groups; of the pool embeddings and classes (-1 where a run has fewer images)."""
        classes = batch.targets["class"]
        groups = None if self._data.groups is None else self._groups.to(classes.device)
        if "set" in batch.targets:
            _, (order, place) = self._set_ranks(output, classes)
            small = torch.uint8 if self.settings.candidates <= 256 else torch.int32
            kept = {"order": order[:, :, 0].to(small), "place": place[:, :, 0].to(small)}
            if groups is not None:
                kept["group"] = groups[classes.unflatten(1, (-1, 1 + self.settings.candidates))[:, :, 0]].int()
            return kept
        if "episode" in batch.targets:
            assert self._data.episodes is not None
            order, place = self._episode_ranks(output, classes)
            kept = {"episode_choice": order[..., 0].int(), "episode_place": place.int()}
            if groups is not None:
                kept["episode_group"] = groups[
                    classes.unflatten(1, (-1, *self._data.episodes.shape[1:]))[:, :, 1]
                ].int()
            return kept
        return {"pool": output.float(), "pool_class": classes.int()}

    def final_metrics(self, predictions: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found: dict[str, list[float]] = {name: [] for name in _RETRIEVAL}
        for embeddings, classes in zip(predictions["pool"], predictions["pool_class"], strict=True):
            embeddings, classes = embeddings[classes >= 0], classes[classes >= 0]
            values = dict.fromkeys(_RETRIEVAL, np.nan)
            if len(classes) and np.isfinite(embeddings).all():
                order = search(embeddings, embeddings, k=len(embeddings), similarity=self.settings.similarity).indices
                values = {name: SCORES[name](order, classes, ref_includes_query=True) for name in _RETRIEVAL}
            for name, value in values.items():
                found[name].append(float(value))
        return {name: np.array(values) for name, values in found.items()}

    def gallery(self, predicted: Sequence[Predicted], *, seed: int) -> dict[str, np.ndarray]:
        """16 query sets of the first sound run as the best model ranks them; half of them wrong, if there are so
        many."""
        if not predicted:
            return {}
        count, models = 16, list(dict.fromkeys(each.model for each in predicted))
        best, _, arrays = max(predicted, key=lambda each: float((each.arrays["place"] == 0).mean()))
        at = int(np.isfinite(arrays["pool"]).all((1, 2)).argmax())  # the first that did not diverge
        repeat, order, place = int(arrays["repeat"][at]), arrays["order"][at], arrays["place"][at]
        wrong, right = np.flatnonzero(place > 0), np.flatnonzero(place == 0)
        wrong = wrong[np.argsort(-place[wrong].astype(int), kind="stable")]
        chosen = wrong[: max(count // 2, count - len(right))]
        chosen = np.concatenate([chosen, right[: count - len(chosen)]])
        test = self.splits([repeat], seed=seed)["test"]
        rows = test.index[0].view(self.settings.query_sets, -1).numpy()[chosen]
        rows = np.concatenate([rows[:, :1], np.take_along_axis(rows[:, 1:], order[chosen].astype(int), axis=1)], axis=1)
        (seen,) = test.inputs_at(torch.from_numpy(rows)[None].flatten(1))  # as the module sees them
        grey = seen[0].unflatten(0, rows.shape).mean(2)  # (sets, images, height, width)
        images = np.rint(grey.numpy() * 255).astype(np.uint8)
        return {
            "query": images[:, 0],
            "ranked": images[:, 1:],
            "right_place": place[chosen],
            "model": np.full(len(chosen), models.index(best), dtype=np.int32),
        }


def _right(query_classes: Tensor, candidate_classes: Tensor) -> Tensor:
    """Which candidate is of the query's class: (..., queries), from (..., queries) and (..., candidates)."""
    return (query_classes[..., :, None] == candidate_classes[..., None, :]).long().argmax(-1)


def _candidate_nats(sets: Tensor) -> Tensor:
    """Cross-entropy of a softmax over the candidates' cosine similarities; the right one is the first; (runs, sets)."""
    sets = F.normalize(sets.double(), dim=-1)
    similarity = (sets[:, :, :1] * sets[:, :, 1:]).sum(-1)  # (runs, sets, candidates)
    return -(similarity / _TEMPERATURE).log_softmax(-1)[..., 0]
