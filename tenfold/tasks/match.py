"""Match by example: recognise classes never seen in training from one example each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from tenfold import datasets
from tenfold.errors import DataError, RequestError, ShapeError
from tenfold.losses import DRAWING, contrastive_loss, numbers_needed, prototypical_loss, triplet_loss
from tenfold.recipe import Positive, Recipe
from tenfold.retrieval import SCORES, EpisodeRanks, episode_ranks, search
from tenfold.seeds import generator, uniform
from tenfold.tasks._examples import Examples
from tenfold.tasks._settings import TaskSettings
from tenfold.tasks._splits import fold_of_groups, fold_of_items, folds_resampling
from tenfold.tasks._task import Metric, Part, Resampling

__all__ = ["Match"]

# Share of the classes kept for testing where a data set has no classes of its own for that.
_TEST_SHARE = 0.25
# Cosine similarities are divided by it before the softmax whose cross-entropy is the loss on candidates.
_TEMPERATURE = 0.1


class MatchSettings(TaskSettings):
    """The ``[task]`` table.

    Attributes:
        data: a known data set, an .npz file or a folder of images by class.
        size: side in pixels to average images down to.
        train_classes: classes to learn from, drawn anew for every repeat; None takes all that are not for testing.
        train_groups: groups of classes (alphabets) that they are drawn from; None takes all. Where neither is given and
            the data set keeps no classes for testing, a quarter is set aside, drawn anew for every repeat.
        query_sets: sets of one query image and its candidates, all of classes not learnt from.
        candidates: images to choose from, one of each class; the first top-k metrics need more than k.
        pool_classes: classes not learnt from whose images are searched among each other for the retrieval scores.
        validation: share of the classes to learn from that is held back for early stopping, plateau schedules and
            choosing settings.
        similarity: by which candidates are ranked.
        invert: turn light and dark round: for dark strokes on light paper, since what augmentation moves in from
            outside is dark. A matcher does the same to the images that it gets.
        folds: of the groups of classes, or of the classes where there are no groups, also where the data set keeps
            classes for testing.
        references: published errors in the episodes, in percent, by who made them; drawn beside ours.
        unreadable: what to do with image files that cannot be read: "refuse" or "skip".
    """

    size: Annotated[int, Field(ge=4, le=256)] | None = None
    train_classes: Annotated[int, Field(ge=2)] | None = None
    train_groups: Annotated[int, Field(ge=1)] | None = None
    query_sets: Annotated[int, Field(ge=1)] = 100
    candidates: Annotated[int, Field(ge=2)] = 5
    pool_classes: Annotated[int, Field(ge=2)] = 20
    validation: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    similarity: Literal["cosine", "euclidean"] = "cosine"
    invert: bool = False
    references: dict[str, Annotated[float, Field(ge=0, le=100)]] = Field(default_factory=dict)
    unreadable: Literal["refuse", "skip"] = "refuse"


class MatchRecipe(Recipe):
    """How an embedding is learnt: balanced batches and the loss on them.

    Attributes:
        classes_per_batch, images_per_class: a batch is so many classes with so many images each.
        loss: "triplet", "contrastive" or "prototypical"; see tenfold.losses.
        mining: which negative goes with each positive pair; for "triplet".
        distance: between embeddings, in the loss.
        margin: of the triplet loss; of negative pairs in the contrastive loss.
        shots: images of each class in a batch that make its prototype, for "prototypical"; the others are queries.
        scale: of distances before the softmax, for "prototypical"; about 16 for cosine distances.
    """

    loss_values: ClassVar[tuple[str, ...]] = ("margin", "scale")

    classes_per_batch: Annotated[int, Field(ge=2)] = 60
    images_per_class: Annotated[int, Field(ge=2)] = 4
    loss: Literal["triplet", "contrastive", "prototypical"] = "triplet"
    mining: Literal["random", "informative", "semi-hard", "hardest", "batch-hard", "all"] = "informative"
    distance: Literal["squared-euclidean", "euclidean", "cosine"] = "squared-euclidean"
    margin: Positive | Annotated[list[Positive], Field(min_length=1)] = 1.0
    shots: Annotated[int, Field(ge=1)] = 1
    scale: Positive | Annotated[list[Positive], Field(min_length=1)] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _a_batch_is_balanced(cls, values: Any) -> Any:
        amounts = [
            values.get(name, cls.model_fields[name].default) for name in ("classes_per_batch", "images_per_class")
        ]
        if "batch_size" in values or not all(isinstance(amount, int) for amount in amounts):
            return values
        return {**values, "batch_size": amounts[0] * amounts[1]}

    @model_validator(mode="after")
    def _fits(self) -> MatchRecipe:
        product = self.classes_per_batch * self.images_per_class
        if self.batch_size != product:
            raise ValueError(
                f"batch_size: a batch is classes_per_batch x images_per_class = {product} images; set those instead"
            )
        if self.loss == "prototypical" and self.shots >= self.images_per_class:
            raise ValueError(f"shots: expected fewer than images_per_class = {self.images_per_class}, got {self.shots}")
        return self

    @property
    def images_together(self) -> int:
        return self.images_per_class


class Match:
    """Embeddings of images such that those of one class are near each other, also of classes never seen in training.

    A module takes (batch, 1, height, width) and gives embeddings (batch, dimension). Training batches are balanced.
    Testing is on classes that were not learnt from:

    * query sets: one query image and ``candidates`` images of different classes, one of them the query's;
    * the episodes that come with the data, such as Lake's 20 published runs of 20-way one-shot classification;
    * a pool of images searched among each other.

    Args:
        images: a set of images by class.
        other arguments: see MatchSettings.
    Source: Koch, Zemel, Salakhutdinov 2015; Lake, Salakhutdinov, Tenenbaum 2015; Musgrave, Belongie, Lim 2020 for the
        retrieval scores.
    """

    kind: ClassVar[str] = "match"
    settings_type: ClassVar[type[TaskSettings]] = MatchSettings
    recipe_type: ClassVar[type[Recipe]] = MatchRecipe
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("top1", "Top-1 of the candidates", "%", higher_is_better=True, primary=True),
        Metric("top3", "Top-3 of the candidates", "%", higher_is_better=True),
        Metric("oneshot_accuracy", "Accuracy in the published episodes", "%", higher_is_better=True),
        Metric("precision_at_1", "Precision at 1", "%", higher_is_better=True),
        Metric("r_precision", "R-precision", "%", higher_is_better=True),
        Metric("mean_average_precision_at_r", "MAP@R", "%", higher_is_better=True),
        Metric("mean_average_precision", "MAP", "%", higher_is_better=True),
        Metric("loss", "Candidate loss", "nats", higher_is_better=False),
        Metric("objective", "Training loss", "", higher_is_better=False),
    )

    def __init__(
        self,
        images: datasets.Images,
        *,
        size: int | None = None,
        train_classes: int | None = None,
        train_groups: int | None = None,
        query_sets: int = 100,
        candidates: int = 5,
        pool_classes: int = 20,
        validation: float = 0.0,
        similarity: Literal["cosine", "euclidean"] = "cosine",
        invert: bool = False,
        folds: int | None = None,
    ) -> None:
        if not isinstance(images, datasets.Images):
            raise DataError("match needs images by class; ready-made pairs have none")
        if images.n_channels != 1:
            raise DataError(f"{images.name}: match takes grey images; load them with colour=False")
        # Folds put every class into training at some time, those of the episodes too.
        images = images if folds is None else dataclasses.replace(images, episodes=None)
        self._data = images
        grey = images.images[:, 0]
        raw = datasets.average_down(grey, size) if size is not None else grey.astype(np.float32) / 255
        if raw.shape[-1] != raw.shape[-2]:
            raise DataError(
                f"{images.name}: images must be square, got {raw.shape[-2]} x {raw.shape[-1]}; set size in [task]"
            )
        raw = np.ascontiguousarray(1 - raw if invert else raw, dtype=np.float32)
        self._items = torch.from_numpy(raw)[:, None]
        self.size = int(raw.shape[-1])
        self.train_classes, self.train_groups = train_classes, train_groups
        self.query_sets, self.candidates, self.pool_classes = query_sets, candidates, pool_classes
        self.validation, self.similarity, self.folds = validation, similarity, folds
        self.fingerprint = images.fingerprint
        self._labels = torch.from_numpy(images.labels)
        # Rows of the images of each class.
        order = np.argsort(images.labels, kind="stable")
        counts = np.bincount(images.labels, minlength=images.n_classes)
        self._rows = [torch.from_numpy(rows) for rows in np.split(order, np.cumsum(counts)[:-1])]
        # Classes for testing by the data set's own word: none of their images is for training.
        parts = np.zeros((images.n_classes, 3), dtype=np.int64)
        np.add.at(parts, (images.labels, images.part), 1)
        self._official_test = np.zeros(images.n_classes, dtype=bool)
        if folds is None:
            self._official_test = (
                (parts[:, datasets.TEST] > 0) & (parts[:, datasets.TRAIN] == 0) & (parts[:, datasets.UNASSIGNED] == 0)
            )
        self._single = counts < 2
        n_episodes = 0 if images.episodes is None else images.episodes.size
        # The same for every repeat, whatever classes it has: a run in a stack makes the steps that it would make alone.
        largest = np.sort(counts[~self._official_test & ~self._single])[::-1]
        n_test = round(images.n_classes * _TEST_SHARE) if self._sets_some_aside and folds is None else 0
        usual = None if self._official_test.any() else images.n_classes - n_test
        self._n_train = int(largest[: train_classes or usual].sum())
        self._n_test = self._n_in_sets + n_episodes + int(np.sort(counts)[-pool_classes:].sum())
        self.notes = (*images.notes, *self._notes(counts))
        self._check_amounts()

    @classmethod
    def load(cls, settings: MatchSettings, *, base: Path) -> Self:
        values = settings.model_dump(exclude={"kind", "data", "unreadable", "references"})
        images = datasets.load(
            settings.data, base=base, size=settings.size, colour=False, unreadable=settings.unreadable
        )
        return cls(images, **values)  # type: ignore[arg-type]

    # -- data ---------------------------------------------------------------------------------------------------------

    def _notes(self, counts: np.ndarray) -> list[str]:
        single = [self._data.class_names[at] for at in np.flatnonzero(counts == 1)]
        if not single:
            return []
        names = ", ".join(f"'{name}'" for name in single[:3]) + (", ..." if len(single) > 3 else "")
        return [
            f"{len(single)} classes have one image ({names}): they are never learnt from or asked for, "
            "they only stand among the candidates"
        ]

    def _classes(self, repeat: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Classes to learn from, held back for validation, and not learnt from, of one repeat."""
        numbers = generator(seed, repeat, "classes")
        every = torch.arange(self._data.n_classes)
        test = torch.from_numpy(self._official_test)
        if self.folds is not None:
            if self._data.groups is None:
                test = fold_of_items(len(every), self.folds, repeat=repeat, seed=seed)
            else:
                test = fold_of_groups(self._groups(), self.folds, repeat=repeat, seed=seed)
        elif not bool(test.any()) and self._sets_some_aside:
            shuffled = every[torch.randperm(len(every), generator=numbers)]
            test = torch.zeros(len(every), dtype=torch.bool)
            test[shuffled[: round(len(every) * _TEST_SHARE)]] = True
        usable = ~test & ~torch.from_numpy(self._single)
        groups = self._groups()
        if self.train_groups is not None:
            there = groups[usable].unique()
            chosen = there[torch.randperm(len(there), generator=numbers)[: self.train_groups]]
            usable &= torch.isin(groups, chosen)
        pool = every[usable]
        train = pool[torch.randperm(len(pool), generator=numbers)[: self.train_classes]]
        unseen = torch.ones(len(every), dtype=torch.bool)
        unseen[train] = False
        if self.folds is not None:  # every class is tested in one fold, whatever is learnt from in the others
            unseen = test
        held_back, train = self._held_back(train, groups, numbers)
        return train, held_back, every[unseen]

    @property
    def _sets_some_aside(self) -> bool:
        """Whether classes for testing must be chosen: else those that are not learnt from are for testing."""
        return self.train_classes is None and self.train_groups is None

    def _groups(self) -> Tensor:
        if self._data.groups is None:
            return torch.zeros(self._data.n_classes, dtype=torch.int64)
        return torch.from_numpy(self._data.groups)

    def _held_back(self, train: Tensor, groups: Tensor, numbers: torch.Generator) -> tuple[Tensor, Tensor]:
        """Whole groups where there are several, as unseen alphabets are harder than unseen letters of seen ones."""
        wanted = round(len(train) * self.validation)
        if not wanted:
            return train[:0], train
        there = groups[train].unique()
        if len(there) < 3:
            return train[:wanted], train[wanted:]
        held = torch.zeros(len(train), dtype=torch.bool)
        for group in there[torch.randperm(len(there), generator=numbers)].tolist():
            if int(held.sum()) < wanted:
                held |= groups[train] == group
        return train[held], train[~held]

    def _check_amounts(self) -> None:
        name = self._data.name
        units = self._data.n_classes if self._data.groups is None else len(self._groups().unique())
        if self.folds is not None and self.folds > units:
            what = "classes" if self._data.groups is None else "groups of classes"
            raise RequestError(f"folds = {self.folds}: {name} has {units} {what} to divide")
        n_groups = len(self._groups()[~torch.from_numpy(self._official_test)].unique())
        if self.train_groups is not None and self._data.groups is None:
            raise RequestError(f"train_groups: {name or 'the data'} has no groups of classes; leave it out")
        if self.train_groups is not None and self.train_groups > n_groups:
            raise RequestError(f"train_groups = {self.train_groups}: {name} has {n_groups} groups to learn from")
        train, held_back, unseen = self._classes(0, 0)
        n_train = len(train) + len(held_back)
        if self.train_classes is not None and n_train < self.train_classes:
            raise DataError(
                f"{name}: train_classes = {self.train_classes} asked for, {n_train} with at least two images are there"
            )
        if self.validation:
            self._check_sets(held_back, "held back for validation")
        self._check_sets(unseen, "not learnt from")

    def _check_sets(self, classes: Tensor, words: str) -> None:
        asked = [at for at in classes.tolist() if not self._single[at]]
        if len(classes) < self.candidates or not asked:
            raise DataError(
                f"{self._data.name}: candidates = {self.candidates} of different classes asked for, {len(classes)} "
                f"classes are {words}, {len(asked)} of them with two images; lower candidates or train_classes"
            )

    def resampling(self, settings: Sequence[Mapping[str, Any]] | None = None) -> Resampling:
        if self.folds is not None:
            return folds_resampling(self.folds, "classes" if self._data.groups is None else "groups of classes")
        train, _, unseen = self._classes(0, 0)
        n_test = min(len(unseen), self.query_sets * self.candidates)
        return Resampling(
            True,
            n_test / len(train),
            f"repeats learn from {len(train)} classes and are tested on {len(unseen)} others, drawn from the same "
            f"{self._data.n_classes}, so their scores are not independent: the corrected resampled t test is used",
        )

    def examples(
        self, repeats: Sequence[int], *, seed: int, settings: Sequence[Mapping[str, Any]] | None = None
    ) -> dict[Part, Examples]:
        drawn: dict[Part, list[Tensor]] = {"train": [], "validation": [], "test": []}
        for repeat in repeats:
            train, held_back, unseen = self._classes(repeat, seed)
            drawn["train"].append(torch.cat([self._rows[at] for at in train.tolist()]))
            if len(held_back):
                numbers = generator(seed, repeat, "validation sets")
                drawn["validation"].append(self._sets(held_back, numbers))
            numbers = generator(seed, repeat, "test sets")
            blocks = [self._sets(unseen, numbers)]
            if self._data.episodes is not None:
                blocks.append(torch.from_numpy(self._data.episodes).flatten())
            blocks.append(self._pool(unseen, numbers))
            drawn["test"].append(torch.cat(blocks))
        return {part: self._part_examples(rows, part) for part, rows in drawn.items() if rows}

    def _part_examples(self, rows: list[Tensor], part: Part) -> Examples:
        """Rows of each run, of different lengths, with -1 as the class of what fills up the shorter ones."""
        longest = {"train": self._n_train, "test": self._n_test}.get(part, self._n_in_sets)
        index = torch.zeros(len(rows), longest, dtype=torch.int64)
        classes = torch.full((len(rows), longest), -1)
        for run, own in enumerate(rows):
            index[run, : len(own)] = own
            classes[run, : len(own)] = self._labels[own]
        targets = {"class": classes}
        if part != "train":
            place = torch.arange(longest).expand(len(rows), -1)
            targets["query_set"] = torch.where(place < self._n_in_sets, place // (1 + self.candidates), -1)
        return Examples(self._items, index, targets)

    @property
    def _n_in_sets(self) -> int:
        return self.query_sets * (1 + self.candidates)

    def _sets(self, classes: Tensor, numbers: torch.Generator) -> Tensor:
        """Rows of (query, right candidate, other candidates) for every set, one after the other."""
        several = [at for at in classes.tolist() if not self._single[at]]
        rows = []
        for _ in range(self.query_sets):
            asked = several[int(torch.randint(len(several), (), generator=numbers))]
            own = self._rows[asked]
            pair = own[torch.randperm(len(own), generator=numbers)[:2]]
            others = classes[classes != asked]
            others = others[torch.randperm(len(others), generator=numbers)[: self.candidates - 1]]
            rows.append(pair)
            for other in others.tolist():
                its = self._rows[other]
                rows.append(its[torch.randint(len(its), (1,), generator=numbers)])
        return torch.cat(rows)

    def _pool(self, classes: Tensor, numbers: torch.Generator) -> Tensor:
        chosen = classes[torch.randperm(len(classes), generator=numbers)[: self.pool_classes]]
        return torch.cat([self._rows[at] for at in chosen.tolist()])

    def order(self, targets: dict[str, Tensor], recipe: MatchRecipe, numbers: torch.Generator) -> Tensor:
        """Balanced batches, class by class: as many as go through the training images once, about (where classes are
        of different sizes: through those of the largest classes).

        Raises:
            RequestError: if there are fewer classes, or a class has fewer images, than a batch needs.
        """
        classes = targets["class"]
        there, inverse, counts = classes.unique(return_inverse=True, return_counts=True)
        n_classes, n_images = recipe.classes_per_batch, recipe.images_per_class
        filled = there >= 0
        counts = torch.where(filled, counts, 0)
        if int(filled.sum()) < n_classes:
            raise RequestError(
                f"classes_per_batch = {n_classes}: {self._data.name} has {int(filled.sum())} classes to learn from; "
                "lower it"
            )
        fewest = int(torch.where(filled, counts, counts.max()).argmin())
        if int(counts[fewest]) < n_images:
            raise RequestError(
                f"images_per_class = {n_images}: class '{self._data.class_names[int(there[fewest])]}' of "
                f"{self._data.name} has {int(counts[fewest])} images; lower it, or leave the class out"
            )
        # Rows of each class side by side, padded: (classes, most images of a class).
        table = torch.full((len(there), int(counts.max())), -1)
        place = _place_in_class(inverse)
        keep = filled[inverse]
        table[inverse[keep], place[keep]] = torch.arange(len(classes))[keep]
        candidates = filled.nonzero().flatten()
        batches = []
        for _ in range(-(-len(classes) // recipe.batch_size)):
            chosen = candidates[torch.randperm(len(candidates), generator=numbers)[:n_classes]]
            rows = table[chosen]
            rank = torch.rand(rows.shape, generator=numbers).masked_fill(rows < 0, 2.0).argsort(dim=1)
            batches.append(rows.gather(1, rank[:, :n_images]).flatten())
        return torch.cat(batches)

    def names(self) -> dict[str, tuple[str, ...]]:
        return {"class": self._data.class_names, "group": self._data.group_names}

    # -- module -------------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, int]:
        return {"size": self.size}

    def sample(self, n_examples: int) -> tuple[Tensor, dict[str, Tensor]]:
        return torch.zeros(n_examples, 1, self.size, self.size), {"class": torch.zeros(n_examples, dtype=torch.int64)}

    def check(self, output: Any, n_examples: int) -> None:
        if not isinstance(output, Tensor) or output.dim() != 2 or len(output) != n_examples or not output.shape[1]:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ShapeError(
                f"expected embeddings of shape ({n_examples} images, dimension) for a batch of ({n_examples}, 1, "
                f"{self.size}, {self.size}), got {got}"
            )

    def loss(self, output: Any, targets: dict[str, Tensor], values: dict[str, Tensor], recipe: MatchRecipe) -> Tensor:
        n_classes, n_images = recipe.classes_per_batch, recipe.images_per_class
        embeddings = output.view(n_classes, n_images, -1)
        if recipe.loss == "prototypical":
            return prototypical_loss(
                embeddings, n_support=recipe.shots, distance=recipe.distance, scale=values["scale"]
            )
        if recipe.loss == "contrastive":
            return contrastive_loss(embeddings, positive_margin=0.0, margin=values["margin"], distance=recipe.distance)
        numbers = None
        if recipe.mining in DRAWING:
            numbers = uniform(values["key"], values["step"], numbers_needed(n_classes, n_images))
        return triplet_loss(
            embeddings, margin=values["margin"], mining=recipe.mining, distance=recipe.distance, numbers=numbers
        )

    # -- scores -------------------------------------------------------------------------------------------------------

    def _cut(self, values: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Test values (runs, examples, ...) as query sets (runs, sets, 1 + candidates, ...), episodes (runs, episodes,
        2, ways, ...) and the pool (runs, images, ...)."""
        sets = values[:, : self._n_in_sets].unflatten(1, (self.query_sets, 1 + self.candidates))
        rest = values[:, self._n_in_sets :]
        if self._data.episodes is None or not rest.shape[1]:  # validation has none
            return sets, None, rest
        n = self._data.episodes.size
        return sets, rest[:, :n].unflatten(1, self._data.episodes.shape), rest[:, n:]

    def _ranks(self, outputs: Tensor, classes: Tensor) -> dict[str, EpisodeRanks]:
        """For query sets and episodes: the order of the candidates, best first, and the place of the right one."""
        sets, episodes, _ = self._cut(outputs)
        its, episode_classes, _ = self._cut(classes)
        found = {
            "sets": episode_ranks(
                sets[:, :, :1], sets[:, :, 1:], _right(its[:, :, :1], its[:, :, 1:]), similarity=self.similarity
            )
        }
        if episodes is not None and episode_classes is not None:
            right = _right(episode_classes[:, :, 1], episode_classes[:, :, 0])
            found["episodes"] = episode_ranks(episodes[:, :, 1], episodes[:, :, 0], right, similarity=self.similarity)
        return found

    def measure(self, outputs: Any, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        if "query_set" not in targets:  # training batches have no queries; the loop adds the training loss
            return {}
        ranks = self._ranks(outputs, targets["class"])
        places = ranks["sets"][1].flatten(1)
        scores = {
            "top1": (places == 0).double().mean(1),
            "top3": (places < 3).double().mean(1),
            "loss": self._candidate_loss(self._cut(outputs)[0]),
        }
        if "episodes" in ranks:
            scores["oneshot_accuracy"] = (ranks["episodes"][1] == 0).double().mean((1, 2))
        return scores

    def _candidate_loss(self, sets: Tensor) -> Tensor:
        """Cross-entropy of the softmax over the candidates' cosine similarities; the right one is the first."""
        sets = F.normalize(sets.double(), dim=-1)
        similarity = (sets[:, :, :1] * sets[:, :, 1:]).sum(-1)  # (runs, sets, candidates)
        return -(similarity / _TEMPERATURE).log_softmax(-1)[..., 0].mean(1)

    def score(self, outputs: Any, targets: dict[str, Tensor]) -> dict[str, np.ndarray]:
        scores = {name: value.cpu().numpy() for name, value in self.measure(outputs, targets).items()}
        _, _, pool = self._cut(outputs)
        _, _, classes = self._cut(targets["class"])
        found: dict[str, list[float]] = {}
        for its, labels in zip(pool.float().cpu().numpy(), classes.cpu().numpy(), strict=True):
            its, labels = its[labels >= 0], labels[labels >= 0]
            if len(labels) and np.isfinite(its).all():
                order = search(its, its, k=len(its), similarity=self.similarity).indices
                values = {name: SCORES[name](order, labels, ref_includes_query=True) for name in _RETRIEVAL}
            else:
                values = dict.fromkeys(_RETRIEVAL, np.nan)
            for name in _RETRIEVAL:
                found.setdefault(name, []).append(float(values[name]))
        return scores | {name: np.array(values) for name, values in found.items()}

    def predictions(self, outputs: Any, targets: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """For query sets and episodes the order of the candidates and the place of the right one; the pool's embeddings
        and classes (-1 where a run has fewer images); the group of every query, where classes have groups."""
        small = np.uint8 if self.candidates <= 256 else np.uint16
        ranks = self._ranks(outputs, targets["class"])
        order, place = ranks["sets"]
        kept = {
            "order": order[:, :, 0].cpu().numpy().astype(small),
            "place": place[:, :, 0].cpu().numpy().astype(small),
            "pool": self._cut(outputs)[2].half().cpu().numpy(),
            "pool_class": self._cut(targets["class"])[2].cpu().numpy().astype(np.int32),
        }
        if "episodes" in ranks:
            order, place = ranks["episodes"]
            kept["episode_choice"] = order[..., 0].cpu().numpy().astype(np.uint16)
            kept["episode_place"] = place.cpu().numpy().astype(np.uint16)
        if self._data.groups is not None:
            sets, episodes, _ = self._cut(targets["class"])
            groups = self._data.groups.astype(np.int32)
            kept["group"] = groups[sets[:, :, 0].cpu().numpy()]
            if episodes is not None:
                kept["episode_group"] = groups[episodes[:, :, 1].cpu().numpy()]
        return kept

    def diagnose(self, stack: Callable[..., Any], examples: Examples) -> dict[str, np.ndarray]:
        return {}

    def gallery(
        self, predictions: dict[str, dict[str, np.ndarray]], *, seed: int, count: int = 16
    ) -> dict[str, np.ndarray]:
        """Query sets of the first sound run as the best model ranks them; half of them wrong, if there are so many."""
        hits = {name: float((arrays["place"] == 0).mean()) for name, arrays in predictions.items()}
        if not hits:
            return {}
        best = max(hits, key=lambda name: hits[name])
        arrays = predictions[best]
        at = int(np.isfinite(arrays["pool"]).all((1, 2)).argmax())  # the first that did not diverge
        repeat, order, place = int(arrays["repeat"][at]), arrays["order"][at], arrays["place"][at]
        wrong, right = np.flatnonzero(place > 0), np.flatnonzero(place == 0)
        wrong = wrong[np.argsort(-place[wrong].astype(int), kind="stable")]
        chosen = wrong[: max(count // 2, count - len(right))]
        chosen = np.concatenate([chosen, right[: count - len(chosen)]])
        test = self.examples([repeat], seed=seed)["test"]
        rows = test.index[0, : self._n_in_sets].view(self.query_sets, -1).numpy()[chosen]
        rows = np.concatenate([rows[:, :1], np.take_along_axis(rows[:, 1:], order[chosen].astype(int), axis=1)], axis=1)
        images = test.items[torch.from_numpy(rows)][:, :, 0].numpy()
        return {
            "query": _as_bytes(images[:, 0]),
            "ranked": _as_bytes(images[:, 1:]),
            "right_place": place[chosen],
            "model": np.full(len(chosen), list(predictions).index(best), dtype=np.int32),
        }


_RETRIEVAL = ("precision_at_1", "r_precision", "mean_average_precision_at_r", "mean_average_precision")


def _right(query_classes: Tensor, candidate_classes: Tensor) -> Tensor:
    """Which candidate is of the query's class: (..., queries), from (..., queries) and (..., candidates)."""
    return (query_classes[..., :, None] == candidate_classes[..., None, :]).long().argmax(-1)


def _place_in_class(inverse: Tensor) -> Tensor:
    """For each example, how many of its class come before it."""
    order = inverse.argsort(stable=True)
    ordered = inverse[order]
    first = torch.searchsorted(ordered, ordered)
    place = torch.empty_like(inverse)
    place[order] = torch.arange(len(inverse)) - first
    return place


def _as_bytes(images: np.ndarray) -> np.ndarray:
    return np.rint(images * 255).astype(np.uint8)
