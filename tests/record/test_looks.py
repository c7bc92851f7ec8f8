"""Looks at the verdicts of a record: counted, paid for, and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.record import Reader, Record, RunRow
from tenfold.stats import Looks, verdicts

METRIC = {"name": "accuracy", "label": "Accuracy", "unit": "%", "higher_is_better": True, "primary": True}
MODELS = ("A", "B", "C")


def study(repeats: int, verdict: dict[str, Any], models: tuple[str, ...] = MODELS, **more: Any) -> dict[str, Any]:
    return {"name": "s", "repeats": repeats, "verdict": verdict, "models": [{"name": m} for m in models]} | more


class Growing:
    """A record whose repeats have ended, and to which more are added."""

    def __init__(self, folder: Path, scores: dict[str, np.ndarray], verdict: dict[str, Any], **more: Any) -> None:
        self.folder, self.scores, self.verdict, self.more = folder, scores, verdict, more

    def to(self, repeats: int) -> Reader:
        """The record finished with so many repeats."""
        asked = study(repeats, self.verdict, tuple(self.scores), **self.more)
        if Record.exists(self.folder):
            record = Record.open(self.folder, write=True, study=asked)
            record.take_up(study=asked, study_toml="", command="")
        else:
            record = Record.create(
                self.folder, study_toml="", study=asked, environment={}, metrics=[METRIC], command="", quick=False
            )
        with record:
            for model, values in self.scores.items():
                rows = [
                    RunRow(variant=0, repeat=r, status="finished", epochs=1, scores={"accuracy": values[r]})
                    for r in range(repeats)
                ]
                record.finish_runs(model, rows)
            record.finish()
        return Reader(self.folder)


@pytest.fixture
def scores() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {model: 0.8 + 0.03 * rng.normal(size=50) + 0.02 * at for at, model in enumerate(MODELS)}


def judged(scores: dict[str, np.ndarray], n: int, looks: Looks) -> list[float]:
    return [verdict.p_corrected for verdict in verdicts({m: v[:n] for m, v in scores.items()}, looks=looks)]


def p_of(results: Reader) -> list[float]:
    return [verdict.p_corrected for verdict in results.compare()]


def test_each_new_number_of_repeats_is_a_look_and_is_paid_for(tmp_path: Path, scores: dict[str, np.ndarray]) -> None:
    record = Growing(tmp_path / "r", scores, {})
    for repeats, taken in ((10, (10,)), (10, (10,)), (20, (10, 20)), (15, (10, 15)), (30, (10, 15, 20, 30))):
        results = record.to(repeats)
        assert results.looks == Looks(taken)
        assert p_of(results) == judged(scores, repeats, Looks(taken))
    assert p_of(results) != judged(scores, 30, Looks((30,)))


def test_which_look_it_is_and_what_it_costs_is_said(tmp_path: Path, scores: dict[str, np.ndarray]) -> None:
    record = Growing(tmp_path / "r", scores, {})
    first = " ".join(record.to(10).limits())
    assert "First look, at 10 repeats, not planned: 3.1 % of the 5 % of false positives may come from it" in first
    assert "[verdict] looks = [10]" in first
    second = " ".join(record.to(20).limits())
    assert "Second look, at 20 repeats, after one at 10, not planned. All looks together call at most 5 %" in second


def test_a_plan_is_followed_and_nothing_beyond_it_is_judged(tmp_path: Path, scores: dict[str, np.ndarray]) -> None:
    plan = {"looks": [10, 20], "spending": "pocock"}
    record = Growing(tmp_path / "r", scores, plan)
    at_ten, at_twenty = record.to(10), record.to(20)
    assert p_of(at_ten) == judged(scores, 10, Looks((10,), planned=(10, 20), spending="pocock"))
    assert p_of(at_twenty) == judged(scores, 20, Looks((10, 20), planned=(10, 20), spending="pocock"))
    assert "Second look, at 20 repeats, after one at 10, as planned (10 and 20 repeats, pocock)." in " ".join(
        at_twenty.limits()
    )
    beyond = record.to(30)
    assert p_of(beyond) == p_of(at_twenty)
    assert len(beyond.scores()["A"]) == 30
    assert "The plan ends at 20 repeats: the first 20 of 30 are judged, and no others." in beyond.limits()
    assert "mean of 30 repeats" in beyond.verdict_sentences()[0]


def test_one_planned_look_has_the_whole_error_rate(tmp_path: Path, scores: dict[str, np.ndarray]) -> None:
    assert p_of(Growing(tmp_path / "r", scores, {"looks": [10]}).to(10)) == [
        verdict.p_corrected for verdict in verdicts({model: values[:10] for model, values in scores.items()})
    ]


def test_a_plan_that_is_made_after_a_look_is_no_plan(tmp_path: Path, scores: dict[str, np.ndarray]) -> None:
    Growing(tmp_path / "r", scores, {}).to(10)
    results = Growing(tmp_path / "r", scores, {"looks": [20]}).to(20)
    assert results.looks == Looks((10, 20))
    assert any("the plan of the first look holds" in limit for limit in results.limits())


def test_the_command_for_more_repeats_is_printed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    near = {model: 0.8 + 0.03 * rng.normal(size=50) + 0.01 * at for at, model in enumerate("AB")}
    results = Growing(tmp_path / "a b", near, {}).to(10)
    (verdict,) = results.compare()
    assert verdict.remedy == "more repeats"
    needed = verdict.repeats_needed or verdict.repeats_fewest
    said = [text for text in results.verdict_sentences() if "tenfold run" in text]
    assert said == [
        f"To add repeats (those recorded stay): tenfold run '{tmp_path / 'a b'}' --repeats {needed}",
    ]
    planned = Growing(tmp_path / "p", near, {"looks": [10, 20]})
    assert f"The next planned look: tenfold run {tmp_path / 'p'} --repeats 20" in planned.to(10).verdict_sentences()
    last = planned.to(20)
    assert [verdict.remedy for verdict in last.compare()] == ["more repeats"]
    assert "The plan of looks ends at 20 repeats: more repeats would not be judged." in last.verdict_sentences()
    folds = [{"protocol": {}, "overlap": 0.0, "one_pool": True, "reason": "folds", "folds": 7}]
    asked = Growing(tmp_path / "f", near, {}, resampling=folds).to(14).verdict_sentences()
    assert all(int(text.split()[-1]) % 7 == 0 for text in asked if "tenfold run" in text)


def test_following_the_advice_calls_equal_models_different_in_at_most_5_percent(tmp_path: Path) -> None:
    """Ten, twenty, forty repeats until something differs, through the record: what the looks are for."""
    rng, studies, false = np.random.default_rng(1), 60, 0
    for number in range(studies):
        record = Growing(tmp_path / str(number), {m: 0.8 + 0.03 * rng.normal(size=40) for m in "AB"}, {})
        false += any(verdict.winner for repeats in (10, 20, 40) for verdict in record.to(repeats).compare())
    assert false / studies <= 0.05 + 2 * (0.05 * 0.95 / studies) ** 0.5
