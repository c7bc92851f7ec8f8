"""What a study of images or pairs says of its division before training: lonely classes, repeated images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tenfold import datasets
from tenfold.datasets import TEST, TRAIN
from tenfold.errors import DataError
from tenfold.recipe import Config
from tenfold.tasks import ClassifySequences, ComparePairs, Match, RemarksOnData
from tenfold.tasks.classify_sequences import SequenceRecipe


def images(labels: list[int], part: list[int] | None = None) -> datasets.Images:
    n_classes = max(labels) + 1
    return datasets.Images(
        images=np.random.default_rng(0).integers(0, 256, (len(labels), 1, 6, 6), dtype=np.uint8),
        labels=np.array(labels, dtype=np.int64),
        part=np.array([2] * len(labels) if part is None else part, dtype=np.uint8),
        class_names=tuple("abcdefghij"[:n_classes]),
        name="noise",
    )


def remarks(kind: Any, data: Any, *, repeats: int = 3, **settings: Any) -> list[str]:
    task = kind(kind.spec.settings(kind=kind.spec.kind, data="memory", **settings), data)
    assert isinstance(task, RemarksOnData)
    return task.remarks([Config(recipe=kind.spec.recipe())], repeats=repeats, seed=0)


def pairs(data: Any, **settings: Any) -> list[str]:
    return remarks(ComparePairs, data, **{"train": 20, "test": 10} | settings)


def match(data: Any, **settings: Any) -> list[str]:
    return remarks(Match, data, **{"candidates": 2, "query_sets": 4, "pool_classes": 2} | settings)


EVEN = [0, 1, 2, 3] * 10


def test_even_data_need_no_words() -> None:
    assert pairs(images(EVEN)) == []
    assert match(images([*range(8)] * 5)) == []


def test_a_class_of_one_image_is_said() -> None:
    said = pairs(images([*EVEN, 4, 5]))
    assert "no repeat can train on and test classes 'e' and 'f': there is one image of them; add images" in said[0]


def test_a_class_that_is_only_tested_is_said() -> None:
    said = pairs(images([*EVEN, *[4] * 4], [TRAIN, TEST] * 5 + [TRAIN] * 30 + [TEST] * 4))
    assert said[0] == "class 'e' is tested but not trained on in any repeat"


def test_images_in_both_parts_are_said() -> None:
    data = images(EVEN, [TRAIN] * 30 + [TEST] * 10)
    pixels = data.images.copy()
    pixels[35:] = pixels[:5]
    said = pairs(replace(data, images=pixels))
    assert said == [
        "50 % of the images that are tested are, value by value, also trained on: scores are higher than for new "
        "images; leave repeated images out"
    ]


def test_images_of_ready_made_pairs_in_both_parts_are_said() -> None:
    numbers = np.random.default_rng(1)
    data = datasets.Pairs(
        pairs=numbers.random((40, 2, 6, 6), dtype=np.float32),
        targets=np.arange(40, dtype=np.int64) % 2,
        part=np.array([TRAIN] * 30 + [TEST] * 10, dtype=np.uint8),
        name="ready",
    )
    assert pairs(data) == []
    data.pairs[30:, 1] = data.pairs[:10, 0]
    assert pairs(data)[0].startswith("50 % of the images that are tested are, value by value, also trained on")
    with pytest.raises(DataError, match="repeat 0 would train on pairs of target 0 only; mark pairs of both targets"):
        pairs(replace(data, targets=np.array([0] * 30 + [0, 1] * 5)))


def test_one_class_to_train_on_is_refused() -> None:
    data = images([0] * 20 + [1] * 20, [TRAIN] * 20 + [TEST] * 20)
    with pytest.raises(DataError, match="repeat 0 would train on images of class 'a' only; mark other classes"):
        pairs(data)


def test_match_says_images_under_two_names_and_images_twice_in_a_class() -> None:
    data = images([0] * 6 + [1] * 6 + [2] * 6 + [3] * 6, [TRAIN] * 12 + [TEST] * 12)
    pixels = data.images.copy()
    pixels[12:18] = pixels[:6]  # class "c" is class "a" under another name
    said = match(replace(data, images=pixels))
    assert said[0].startswith("50 % of the images that are tested are, value by value, also trained on")
    pixels = data.images.copy()
    pixels[13] = pixels[12]
    said = match(replace(data, images=pixels))
    assert said[0].startswith("1 of 12 images of tested classes occur a second time in their class")


@pytest.mark.parametrize("split", ["group", "window"])
def test_windows_in_both_parts_are_said(split: Any) -> None:
    signals = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    for person in range(1, 10):
        signals[person * 40 : person * 40 + 10] = signals[:10]  # all begin with the same recording
    data = datasets.Recordings(
        signals=signals,
        starts=np.arange(40, dtype=np.int64) * 10,
        lengths=np.full(40, 10, dtype=np.int64),
        labels=np.arange(40, dtype=np.int64) % 4,
        part=np.full(40, 2, dtype=np.uint8),
        class_names=tuple("abcd"),
        channels=("x", "y"),
        groups=np.arange(40, dtype=np.int64) // 4,
        group_names=tuple(f"p{number}" for number in range(10)),
        name="copied",
    )
    task = ClassifySequences(ClassifySequences.spec.settings(kind="classify-sequences", data="memory"), data)  # type: ignore[arg-type]
    said = task.remarks([Config(recipe=SequenceRecipe(split=split))], repeats=2, seed=0)
    found = [text for text in said if "of the windows that are tested are, value by value, also trained on" in text]
    assert len(found) == 1
    assert split == "window" or found[0].startswith("25 %")
