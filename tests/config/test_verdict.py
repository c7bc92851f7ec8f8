"""The [verdict] table of a study file."""

from __future__ import annotations

from typing import Any

import pytest

from tenfold.config import Study, load_study, parse_study
from tenfold.config._read import to_toml
from tenfold.errors import StudyError


def study(**verdict: Any) -> Study:
    models = [{"name": name, "module": "baseline"} for name in ("A", "B", "C")]
    task = {"kind": "compare-pairs", "data": "digits"}
    return parse_study({"name": "v", "task": task, "models": models, "verdict": verdict})


def test_it_goes_to_the_record_and_comes_back(tmp_path) -> None:
    asked = study(equal_within=0.5, against="B", metrics=["f1"])
    (tmp_path / "v.toml").write_text(to_toml(asked))
    assert load_study(tmp_path / "v.toml").verdict == asked.verdict
    assert asked.to_dict()["verdict"] == {"equal_within": 0.5, "against": "B", "metrics": ["f1"]}
    assert "verdict" not in study().to_dict()


def test_it_can_be_set_from_outside() -> None:
    assert load_study("quickstart", overrides=["verdict.equal_within=2"]).verdict.equal_within == 2


@pytest.mark.parametrize(
    ("verdict", "message"),
    [
        ({"equal_within": 0}, "verdict.equal_within: input should be greater than 0, got 0"),
        ({"equal_within": "1 %"}, "verdict.equal_within: input should be a valid number"),
        ({"against": "b"}, "verdict.against: no model 'b' in this study; known: A, B, C"),
        ({"metrics": ["f2"]}, "verdict.metrics: no metric 'f2'; known: accuracy, auc"),
        ({"metrics": ["f1", "f1"]}, "verdict.metrics: expected each metric once"),
        ({"looks": [10, 10]}, "verdict.looks: expected rising numbers of repeats, got [10, 10]"),
        ({"looks": [0, 10]}, "verdict.looks"),
        ({"spending": "pocock"}, "verdict.spending: is for planned looks; name them too"),
        ({"looks": [10], "spending": "late"}, "verdict.spending: input should be 'obrien-fleming' or 'pocock'"),
        ({"equal_to": 1}, "unknown key 'verdict.equal_to'; did you mean 'equal_within'?"),
    ],
)
def test_what_is_wrong_is_said(verdict: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match="problem") as caught:
        study(**verdict)
    assert message in str(caught.value)


def test_a_reference_that_is_left_out_is_refused() -> None:
    with pytest.raises(StudyError, match="verdict.against: 'B' is left out"):
        study(against="B").with_models(["A", "C"])
    assert len(study(against="B").with_models(["A", "B"]).models) == 2
