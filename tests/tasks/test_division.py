"""What a study says of its division before training, and what it refuses: classes and people that a part lacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import tenfold
from tenfold import datasets
from tenfold.cli import main
from tenfold.config import parse_study
from tenfold.datasets import TEST, TRAIN, UNASSIGNED
from tenfold.errors import DataError, RequestError
from tenfold.recipe import Config
from tenfold.record import Reader
from tenfold.tasks import ClassifySequences
from tenfold.tasks.classify_sequences import SequenceRecipe


def people(
    labels: Sequence[Sequence[int]], *, length: int = 40, groups: bool = True, part: Sequence[int] | None = None
) -> datasets.Recordings:
    """Noise: a list of the classes of its pieces for each person."""
    flat = np.array([label for own in labels for label in own], np.int64)
    who = np.repeat(np.arange(len(labels)), [len(own) for own in labels]).astype(np.int64)
    names = tuple(f"p{number}" for number in range(len(labels)))
    return datasets.Recordings(
        signals=np.random.default_rng(0).normal(size=(length * len(flat), 2)).astype(np.float32),
        starts=np.arange(len(flat), dtype=np.int64) * length,
        lengths=np.full(len(flat), length, np.int64),
        labels=flat,
        part=np.full(len(flat), UNASSIGNED, np.uint8) if part is None else np.array(part, np.uint8)[who],
        class_names=("sit", "stand", "walk"),
        channels=("x", "y"),
        groups=who if groups else None,
        group_names=names if groups else (),
        name="noise",
    )


def remarks(data: datasets.Recordings, *splits: str, repeats: int = 4, **settings: Any) -> list[str]:
    its: Any = ClassifySequences.spec.settings(kind="classify-sequences", data="memory", **{"window": 10} | settings)
    configs = [Config(swept={"split": split}, recipe=SequenceRecipe(split=split)) for split in splits or ("auto",)]  # type: ignore[arg-type]
    return ClassifySequences(its, data).remarks(configs, repeats=repeats, seed=0)


EVEN = [[0, 1, 2]] * 6


def test_a_division_by_person_of_even_data_needs_no_words() -> None:
    assert remarks(people(EVEN)) == []
    assert remarks(people(EVEN), folds="groups", repeats=6) == []


@pytest.mark.parametrize("groups", [True, False])
def test_a_random_division_is_always_said(groups: bool) -> None:
    said = remarks(people(EVEN, groups=groups), "window")[0]
    assert "windows are divided at random: " in said
    assert "of the test windows share samples with training windows" in said
    expected = "the same people are in both parts" if groups else "no group is given, so the same people may be in both"
    assert expected in said
    assert "not for new recordings or people" in said
    said = remarks(people(EVEN, groups=groups), "window", overlap=0.0)[0]
    assert "of recordings that are trained on too" in said
    said = remarks(people(EVEN, groups=groups), "window", window=None)[0]  # one window a recording
    assert "windows are divided at random: " in said
    assert "recordings that are trained on too" not in said
    assert expected in said
    said = remarks(people(EVEN), "group", "window")
    assert [text.startswith("split 'window': windows are divided at random") for text in said].count(True) == 1


def test_the_part_that_shares_samples_is_counted() -> None:
    data = people([[0, 1]], length=400, groups=False)
    its: Any = ClassifySequences.spec.settings(kind="classify-sequences", data="memory", window=10, overlap=0.5)
    task = ClassifySequences(its, data)
    rows, shares = task._rows(0, 0, "window"), []
    starts = task._source.starts.tolist()
    for at in rows["test"].tolist():
        shares.append(any(abs(starts[at] - starts[other]) < 10 for other in rows["train"].tolist()))
    (said,) = task.remarks([Config(recipe=SequenceRecipe())], repeats=1, seed=0)
    assert f"{100 * np.mean(shares):.3g} % of the test windows share samples" in said


def test_a_class_of_one_person_is_said_with_the_ways_out() -> None:
    alone = "no repeat can train on and test class 'walk': only 'p3' has it; record it from others, or leave it out"
    labels = [[0, 1], [0, 1], [0, 1], [0, 1, 2], [0, 1]]
    for settings in ({"folds": "groups"}, {"folds": 2}, {}, {"validation": 0.2}):
        assert alone in remarks(people(labels), repeats=5, **settings)
    assert alone not in remarks(people(labels), "window")
    official = people(labels, part=[TRAIN, TRAIN, TRAIN, TEST, TEST])
    assert alone in remarks(official)


def test_a_class_that_is_tested_and_not_trained_on_is_said_with_its_repeats() -> None:
    said = remarks(people([[0, 1], [0, 1], [0, 1, 2], [0, 1, 2]]), folds=2, repeats=4)
    assert any(text.startswith("class 'walk' is tested but not trained on in ") for text in said)
    assert any(text.startswith("class 'walk' is not tested in ") for text in said)


def test_one_class_to_train_on_is_refused_with_class_and_person() -> None:
    data = people([[0], [0], [0, 0], [1]])
    message = (
        r"noise: repeat 3 would train on one class only, 'sit' \(class 'stand' is in 'p3' only\).*split = 'window'"
    )
    with pytest.raises(DataError, match=message):
        remarks(data, folds="groups")
    assert remarks(data, "window")


def test_windows_that_are_left_out_are_counted() -> None:
    data = people([[0, 1, 2]] * 5 + [[0, 1, 2] * 6])
    said = remarks(data, folds="groups", repeats=6, window=40)
    # 15 of others are left where the one of 18 is tested, 30 of 33 where it is not.
    assert said == [
        "every repeat trains on 15 windows, so that all train on equally many: up to 15 of the windows for training "
        "are left out, others in each repeat"
    ]
    assert remarks(data, folds="groups", repeats=6, window=40, train=12) == []  # asked for


def test_a_test_part_far_from_its_share_is_said() -> None:
    data = people([[0, 1, 2]] * 3 + [[0, 1, 2] * 6])
    said = remarks(data, repeats=8, window=40, test_share=0.25)
    assert any(
        "test_share = 0.25 is a fraction of the groups, which differ in size or are few: 11.1 to" in text
        for text in said
    )


def test_too_few_people_are_refused_for_the_right_reason() -> None:
    with pytest.raises(RequestError, match=r"noise has one group only, 'p0', .* set split = 'window' in \[train\]"):
        remarks(people([[0, 1, 2] * 4]))
    assert remarks(people([[0, 1, 2] * 4]), "window")
    two = people([[0, 1, 2] * 2] * 2)
    with pytest.raises(
        RequestError, match="has 2 groups, of which 1 is for testing and 1 for validation, so none is left"
    ):
        remarks(two, validation=0.2)
    assert remarks(two, "window", validation=0.2)
    with pytest.raises(RequestError, match="validation holds back whole groups, and noise has one group to train on"):
        remarks(people([[0, 1, 2] * 2] * 2, part=[TRAIN, TEST]), validation=0.2)
    with pytest.raises(RequestError, match="folds = 'groups': noise has one group; give a number"):
        remarks(people([[0, 1, 2] * 4]), "window", folds="groups")
    assert remarks(people([[0, 1, 2] * 4]), "window", folds=3)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of recordings with rows without a label, with a class that one person has."""
    folder = tmp_path_factory.mktemp("said")
    numbers = np.random.default_rng(0)
    (folder / "recordings").mkdir()
    for person in range(4):
        lines = ["x,activity,person"]
        for activity in ("rest", "run", *(["jump"] if person == 2 else []), ""):
            lines += [f"{x:.3f},{activity},p{person}" for x in numbers.normal(size=30)]
        lines += [f"1.0,rest,p{person}"] * 5
        (folder / "recordings" / f"{person}.csv").write_text("\n".join(lines) + "\n")
    layout = {"label": "activity", "group": "person", "rate_hz": 50, "missing": "cut"}
    study = parse_study(
        {
            "name": "said",
            "repeats": 2,
            "task": {"kind": "classify-sequences", "data": "recordings", "window": 20, "layout": layout},
            "models": [{"module": "logistic-regression"}],
        },
        base=folder,
    )
    tenfold.run(study, out=folder / "record", placement="loop")
    return folder / "record"


SAID = (
    "120 rows without label or group: left out, recordings cut there",
    "4 of 13 pieces are shorter than a window of 20 steps: left out",
    "no repeat can train on and test class 'jump': only 'p2' has it",
)


def test_what_was_left_out_is_in_the_record_the_limits_the_report_and_show(finished: Path) -> None:
    results = Reader(finished)
    for text in SAID:
        assert any(text in note for note in results.data_notes)
        assert any(limit.startswith(f"Data: {text}") for limit in results.limits())
    from tenfold.report import write_report

    page = write_report(finished).read_text().replace("&#39;", "'")
    shown = CliRunner().invoke(main, ["show", str(finished)])
    assert shown.exit_code == 0, shown.output
    for text in SAID:
        assert text in page
        assert text in shown.output
