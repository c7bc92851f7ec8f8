"""Who is trained on, validated on and tested in which repeat; and how the repeats then relate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tenfold.errors import DataError, RequestError
from tenfold.sampling._clusters import clusters
from tenfold.sampling._folds import (
    draw_groups,
    drawn_bounds,
    fold_of_groups,
    fold_of_items,
    groups_drawn,
    largest_fold,
)
from tenfold.sampling._pad import padded
from tenfold.sampling._preprocess import Standardise
from tenfold.sampling._sources import Source
from tenfold.sampling._split import Part, Split
from tenfold.seeds import generator

__all__ = ["Resampling", "Splitter", "at_most", "check_amount", "check_folds", "folds_resampling", "of_pool"]

_TRAIN, _TEST, _UNASSIGNED = 0, 1, 2  # as in tenfold.datasets


@dataclass(frozen=True)
class Resampling:
    """How the repeats of a study share test examples, which decides what a verdict is about.

    Args:
        overlap: fraction of the test examples of one repeat that another one has too, on average: 0 if each has its
            own, n_test / n_pool if each draws from a pool, 1 if all have one test set.
        one_pool: an example that one repeat is tested on may be trained on in another.
        reason: how repeats relate, in words, for the report.
        tested_on: the test examples of the whole study in words, such as "these 9 people".
        beyond: what a verdict is meant for, in words, such as "other people".
        more: what more of such data would be, in words, such as "people".
        folds: of cross-validation, where the repeats are folds; they must then be a multiple of it.
    """

    overlap: float
    one_pool: bool
    reason: str
    tested_on: str = ""
    beyond: str = ""
    more: str = "data"
    folds: int | None = None


def of_pool(
    n_test: int, n_pool: int, unit: str, reason: str, *, one_pool: bool, folds: int | None = None
) -> Resampling:
    """How repeats relate that each test ``n_test`` of ``n_pool`` units (images, people): all of them, or drawn anew."""
    these = f"these {n_pool} {unit}"
    return Resampling(
        min(n_test / n_pool, 1.0), one_pool, reason, these, f"other {unit} than these {n_pool}", unit, folds=folds
    )


@dataclass(frozen=True)
class Splitter:
    """Divides items (or groups of items) into training, validation and testing, anew for every repeat.

    Args:
        n_items: what is divided: images, windows, classes.
        test: fraction (a float) or number (an integer) of the unassigned items (with groups: of groups) for testing.
        validation: fraction of the training items (with groups: of their groups) that is held back.
        folds: N-fold cross-validation instead: repeat r tests fold r % N of division r // N, whatever ``part`` says.
        groups: of each item, int64, shape (items,): no group is divided. None where items are divided one by one.
        part: official division: of each item 0 (training), 1 (testing) or 2 (unassigned: divided here), shape
            (items,). None where all are unassigned.
        at_least: items of a part that a task needs, where fractions are rounded.
        in_order: items of a part stand in their own order, not in that of the draw; which of them are held back for
            validation depends on it.
        unit: what items (or groups) are, for people.
    Source: folds of groups as scikit-learn's GroupKFold, greedy by size.
    """

    n_items: int
    test: float | int = 0.25
    validation: float = 0.0
    folds: int | None = None
    groups: Tensor | None = None
    part: Tensor | None = None
    at_least: Mapping[Part, int] = field(default_factory=dict)
    in_order: bool = False
    unit: str = "items"

    def __post_init__(self) -> None:
        n_units = self.n_items if self.groups is None else len(self.groups.unique())
        if self.folds is not None and self.folds > n_units:
            raise RequestError(f"folds = {self.folds}: there are {n_units} {self.unit} to divide")

    def rows(self, repeat: int, seed: int) -> dict[Part, Tensor]:
        """Items of each part of one repeat; nothing is in two parts. Those that are drawn stand in the drawn order,
        unless ``in_order``."""
        train, test = self._train_and_test(repeat, seed)
        held_back, train = self._held_back(train.sort().values if self.in_order else train, repeat, seed)
        found = {"train": train, "validation": held_back, "test": test}
        return {part: rows.sort().values for part, rows in found.items()} if self.in_order else found

    def splits(
        self,
        source: Source,
        repeats: Sequence[int],
        *,
        seed: int,
        targets: Mapping[str, Tensor] | None = None,
        preprocess: Standardise | None = None,
    ) -> dict[Part, Split]:
        """Splits of a task whose examples are its items, in their own order.

        Every run trains on equally many items, whatever the others of its stack; where a repeat has more, those that
        are too many are left out, drawn anew for every repeat. Smaller validation and test parts are filled up.

        Args:
            source: an index is the number of an item.
            repeats: one run each.
            seed: the study's.
            targets: by name, shape (items, ...).
            preprocess: of these runs.
        Raises:
            DataError: if there may be a repeat with no item to train on.
        """
        rows = [self.rows(repeat, seed) for repeat in repeats]
        splits: dict[Part, Split] = {}
        for part, length in self._lengths().items():
            if length:
                kept = [
                    at_most(own[part].sort().values, length, generator(seed, repeat, f"{part} items"))
                    for repeat, own in zip(repeats, rows, strict=True)
                ]
                index, valid = padded(kept, length)
                values = {name: value[index] for name, value in (targets or {}).items()}
                own = None if self.groups is None else clusters(self.groups, int(self.groups.max()) + 1)[index]
                splits[part] = Split(source, index, values, valid, preprocess, cluster=own)
        return splits

    def test_bounds(self) -> tuple[int, int]:
        """At least and at most so many items are tested in a repeat, whatever the seed."""
        if self.folds is not None:
            smallest = self.n_items // self.folds
            if self.groups is not None:
                smallest = int(self.groups.bincount()[self.groups.unique()].min())
            return smallest, largest_fold(self.groups, self.n_items, min(self.folds, self.n_items))
        unassigned = self._unassigned()
        fixed = 0 if self.part is None else int((self.part == _TEST).sum())
        if not len(unassigned):
            return fixed, fixed
        if self.groups is not None:
            fewest, most = drawn_bounds(self.groups[unassigned], float(self.test))
        else:
            fewest = most = self._count(len(unassigned))
        return fixed + fewest, fixed + most

    def validation_bound(self, n_train: int) -> int:
        """At most so many of ``n_train`` training items are held back."""
        if not self.validation:
            return 0
        if self.groups is not None:
            return drawn_bounds(self.groups, self.validation)[1]
        return round(n_train * self.validation)

    def resampling(self) -> Resampling:
        """How the repeats relate, where every repeat uses all items of its parts."""
        if self.folds is not None:
            return folds_resampling(self.folds, self.unit, self._units(None)[0])
        n_test = self.test_bounds()[1]
        if not len(self._unassigned()):
            n_units, unit = self._units((self.part == _TEST).nonzero().flatten() if self.part is not None else None)
            return of_pool(
                n_units,
                n_units,
                unit,
                f"every repeat trains on the same {self.unit} and is tested on the same others",
                one_pool=False,
            )
        n_units, unit = self._units(None)
        return of_pool(
            round(n_test / self.n_items * n_units) or 1,
            n_units,
            unit,
            f"repeats draw from the same {n_units} {unit} and share {n_test / self.n_items:.0%} of their test {unit}",
            one_pool=True,
        )

    def _units(self, rows: Tensor | None) -> tuple[int, str]:
        """How many units (groups, where there are any) these items are, and what they are called."""
        if self.groups is None:
            return self.n_items if rows is None else len(rows), self.unit
        return len((self.groups if rows is None else self.groups[rows]).unique()), self.unit

    # -- inner --------------------------------------------------------------------------------------------------------

    def _lengths(self) -> dict[Part, int]:
        """Items of each part in every run of ``splits``: for training the least, for the others the most that any
        repeat may have. Not those of the repeats at hand: a run has to be the same in whatever stack it is."""
        fewest, most = self.test_bounds()
        if self.groups is None:
            n_train = self.n_items - most
            train, validation = n_train - self._n_held_back(n_train), self._n_held_back(self.n_items - fewest)
        else:
            validation = self.validation_bound(self.n_items)
            train = self.n_items - self._most_not_trained_on(self.groups, most, validation)
        if train < 1:
            raise DataError(
                f"there may be a repeat in which no item is left to train on, of {self.n_items}; "
                f"lower test or validation{'' if self.folds is None else ', or raise folds'}"
            )
        return {"train": train, "validation": validation, "test": most}

    def _most_not_trained_on(self, groups: Tensor, n_test: int, n_validation: int) -> int:
        """At most so many items of groups are for testing or validation together: no group is in both."""
        sizes = groups.bincount().sort(descending=True).values
        n_groups = int((sizes > 0).sum())
        if self.folds == n_groups:
            n_tested = 1
        elif self.folds is None and self.part is None:
            n_tested = groups_drawn(n_groups, float(self.test))
        else:
            return n_test + n_validation
        n_held_back = groups_drawn(n_groups, self.validation) if self.validation else 0
        return min(n_test + n_validation, int(sizes[: n_tested + n_held_back].sum()))

    def _unassigned(self) -> Tensor:
        return torch.arange(self.n_items) if self.part is None else (self.part == _UNASSIGNED).nonzero().flatten()

    def _count(self, n_unassigned: int) -> int:
        return min(self.test, n_unassigned) if isinstance(self.test, int) else round(n_unassigned * self.test)

    def _train_and_test(self, repeat: int, seed: int) -> tuple[Tensor, Tensor]:
        if self.folds is not None:
            if self.groups is None:
                tested = fold_of_items(self.n_items, self.folds, repeat=repeat, seed=seed)
            else:
                tested = fold_of_groups(self.groups, self.folds, repeat=repeat, seed=seed)
            return (~tested).nonzero().flatten(), tested.nonzero().flatten()
        empty = torch.zeros(0, dtype=torch.int64)
        train, test = empty, empty
        if self.part is not None:
            train, test = ((self.part == value).nonzero().flatten() for value in (_TRAIN, _TEST))
        unassigned = self._unassigned()
        if not len(unassigned):
            return train, test
        rng = generator(seed, repeat, "split")
        if self.groups is not None:
            tested = draw_groups(self.groups[unassigned], float(self.test), rng=rng)
            return torch.cat([train, unassigned[~tested]]), torch.cat([test, unassigned[tested]])
        drawn = unassigned[torch.randperm(len(unassigned), generator=rng)]
        n_test = self._count(len(drawn))
        return torch.cat([train, drawn[n_test:]]), torch.cat([test, drawn[:n_test]])

    def _held_back(self, train: Tensor, repeat: int, seed: int) -> tuple[Tensor, Tensor]:
        if not self.validation:
            return train[:0], train
        rng = generator(seed, repeat, "validation")
        if self.groups is not None:
            held = draw_groups(self.groups[train], self.validation, rng=rng)
            return train[held], train[~held]
        train = train[torch.randperm(len(train), generator=rng)]
        count = self._n_held_back(len(train))
        return train[:count], train[count:]

    def _n_held_back(self, n_train: int) -> int:
        """How many of ``n_train`` items are held back where items are divided one by one."""
        if not self.validation:
            return 0
        count = max(round(n_train * self.validation), self.at_least.get("validation", 0))
        return min(count, n_train - self.at_least.get("train", 0))


def at_most(rows: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """At most ``count`` of the rows, drawn, in the order that they had."""
    if len(rows) <= count:
        return rows
    return rows[torch.randperm(len(rows), generator=rng)[:count].sort().values]


def folds_resampling(n_folds: int, unit: str, n_units: int) -> Resampling:
    """How the repeats relate where they are folds of ``n_units`` units."""
    return Resampling(
        1 / n_folds,
        True,
        f"cross-validation with {n_folds} folds of {unit}: repeats train on mostly the same",
        f"these {n_units} {unit}",
        f"other {unit} than these {n_units}",
        unit,
        n_folds,
    )


def check_folds(n_folds: int, repeats: int) -> None:
    """Every fold has to be tested equally often.

    Raises:
        RequestError: if the repeats are no multiple of the folds.
    """
    if repeats % n_folds:
        below, above = repeats // n_folds * n_folds, (repeats // n_folds + 1) * n_folds
        either = f"{below} or {above}" if below else str(above)
        raise RequestError(f"repeats = {repeats} with {n_folds} folds: every fold has to be tested, so use {either}")


def check_amount(name: str, word: str, asked: int, available: int, unit: str) -> None:
    """Refuse a part of more examples than there are.

    Raises:
        DataError: names the data, the setting (``word``) and both numbers.
    """
    if asked > available:
        raise DataError(f"{name}: {word} = {asked} {unit} asked for, {available} there; lower {word}")
