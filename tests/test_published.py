"""The one way in which a study gives published figures."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from tenfold.published import Published, read_published

METRICS = [{"name": "accuracy", "unit": "%"}, {"name": "f1", "unit": "%"}, {"name": "loss", "unit": "nats"}]


def read(raw, metrics=METRICS) -> dict[str, Published]:
    problems: list[str] = []
    found = read_published(raw, metrics, "models.A.", problems)
    assert problems == []
    return found


def test_published_figures_come_in_four_spellings():
    for entry in ([81.0, 3.0], {"mean": 81.0, "std": 3.0}):
        figure = read({"accuracy": entry, "repeats": 10})["accuracy"]
        assert (figure.mean, figure.std, figure.n) == (0.81, 0.03, 10)
    for entry in (81.0, 81, [81.0], {"mean": 81}):
        figure = read({"accuracy": entry})["accuracy"]
        assert (figure.mean, math.isnan(figure.std), figure.n, figure.note) == (0.81, True, None, "")
    assert read({"loss": 0.5, "note": "n", "repeats": 3})["loss"].mean == 0.5
    assert read({"note": "from a picture"}) == {}
    assert read({}) == {}


def test_a_figure_has_repeats_and_notes_of_its_own():
    found = read(
        {
            "accuracy": {"mean": 50, "repeats": 3, "suspect": "too round", "note": "own"},
            "f1": [40.0, 2.0],
            "repeats": 10,
            "note": "for all",
        }
    )
    assert (found["accuracy"].n, found["accuracy"].note) == (3, "too round; own; for all")
    assert (found["f1"].n, found["f1"].note) == (10, "for all")
    assert list(found) == ["accuracy", "f1"]


def test_metrics_may_be_objects():
    assert read({"auc": 90}, [SimpleNamespace(name="auc", unit="%")])["auc"].mean == 0.9
    assert read({"auc": 90}, [SimpleNamespace(name="auc", unit="")])["auc"].mean == 90


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (80.0, "models.A.published: expected a table like { accuracy = [81.0, 2.9], repeats = 10 }, got 80.0"),
        ({"acuracy": 1}, "models.A.published: unknown metric 'acuracy'; did you mean 'accuracy'?"),
        ({"suspect": "x"}, "models.A.published: unknown metric 'suspect'; known: accuracy, f1, loss"),
        ({"f1": "x"}, "models.A.published.f1: expected mean or [mean, deviation], got 'x'"),
        ({"f1": [1, 2, 3]}, "models.A.published.f1: expected mean or [mean, deviation], got [1, 2, 3]"),
        ({"f1": []}, "models.A.published.f1: expected mean or [mean, deviation], got []"),
        ({"f1": True}, "models.A.published.f1: expected mean or [mean, deviation], got True"),
        ({"f1": math.nan}, "models.A.published.f1: expected mean or [mean, deviation], got nan"),
        ({"f1": {"std": 2}}, "models.A.published.f1: expected mean or [mean, deviation], got {'std': 2}"),
        ({"f1": {"mean": 2, "sd": 1}}, "models.A.published.f1: unknown key 'sd'; did you mean 'std'?"),
        ({"repeats": 0}, "models.A.published.repeats: expected an integer from 1, got 0"),
        (
            {"f1": {"mean": 2, "repeats": True}},
            "models.A.published.f1.repeats: expected an integer from 1, got True",
        ),
        ({"note": 3}, "models.A.published.note: expected text, got 3"),
    ],
)
def test_what_is_wrong_is_named_and_left_out(raw, message):
    problems = ["before"]
    found = read_published(raw, METRICS, "models.A.", problems)
    assert problems == ["before", message]
    assert set(found) <= {"f1"}
    assert all(figure.n is None for figure in found.values())
