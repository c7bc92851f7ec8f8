"""A finished record goes on with a changed study: what is recorded stays, bit for bit, and the rest is trained."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tenfold
from tenfold import events
from tenfold.errors import RecordError

RAW: dict[str, Any] = {
    "name": "grows",
    "task": {"kind": "compare-pairs", "data": "digits", "size": 8, "train": 60, "test": 20, "pixels": "standardised"},
    "train": {"epochs": 2, "batch_size": 20},
    "models": [
        {"name": "A", "module": "baseline", "hidden": 4},
        {"name": "B", "module": "baseline", "sweep": {"hidden": [4, 8]}},
        {"name": "forest", "module": "random-forest", "n_estimators": 3},
    ],
}


def run(folder: Path, repeats: int, *, base: Path = Path(), **change: Any) -> tuple[tenfold.Results, list[str]]:
    """The results, and the models that were trained."""
    seen: list[events.Event] = []
    study = tenfold.parse_study(RAW | {"repeats": repeats} | change, base=base)
    results = tenfold.run(study, out=folder, placement="loop", watch=seen.append)
    return results, [event.model for event in seen if isinstance(event, events.ModelStarted)]


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records") / "three"
    run(folder, 3)
    return folder


@pytest.fixture
def record(three: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(three, tmp_path / "record"))


def numbers(results: tenfold.Results, rows: slice = slice(None)) -> dict[str, bytes]:
    """Every score, prediction, weight and parameter of the preprocessing, by name."""
    found = {}
    for metric in results.metrics:
        for label, values in results.scores(metric["name"]).items():
            found[f"{label} {metric['name']}"] = values[rows].tobytes()
    for variant in results.variants:
        where = variant.model, variant.index
        kept = {"predictions": results.predictions(variant.model, variant=variant.index) or {}}
        if variant.model != "forest":
            kept["weights"] = results.weights(variant.model, variant=variant.index)
            kept["preprocessing"] = results.preprocessing(variant.model, variant=variant.index) or {}
        for part, arrays in kept.items():
            for name, array in arrays.items():
                found[f"{where} {part} {name}"] = np.ascontiguousarray(array[rows]).tobytes()
    return found


def test_more_repeats_are_added_and_those_recorded_stay(record: Path, tmp_path: Path) -> None:
    before = numbers(tenfold.Results(record))
    results, trained = run(record, 5)
    assert trained == ["A", "B", "forest"]
    assert results.status == "finished"
    assert all(len(values) == 5 and np.isfinite(values).all() for values in results.scores().values())
    assert numbers(results, slice(3)) == before
    assert numbers(results) == numbers(run(tmp_path / "fresh", 5)[0])
    assert len((record / "results.csv").read_text().splitlines()) == len(
        (tmp_path / "fresh" / "results.csv").read_text().splitlines()
    )
    assert {verdict.n for verdict in results.compare()} == {5}
    assert results.looks.taken == (3, 5)
    assert results.winner("A").repeats == (0, 1, 2, 3, 4)
    assert "repeats = 5" in (record / "study.toml").read_text()
    assert any("3: those recorded stay, 2 are added" in event.text for event in results.events)
    assert run(record, 5)[1] == []


def test_fewer_repeats_are_shown_and_the_others_come_back(record: Path) -> None:
    whole = numbers(tenfold.Results(record))
    results, trained = run(record, 2)
    assert trained == []
    assert {len(values) for values in results.scores().values()} == {2}
    assert numbers(results) == numbers_of_first(record, 2)
    assert {run.repeat for run in results.runs} == {0, 1}
    assert results.missing_sentences() == []
    assert "mean of 2 repeats" in results.verdict_sentences()[0]
    assert ",2," not in (record / "results.csv").read_text()
    results, trained = run(record, 3)
    assert trained == []
    assert numbers(results) == whole


def numbers_of_first(record: Path, count: int) -> dict[str, bytes]:
    return numbers(tenfold.Results(record), slice(count))


def test_extended_by_the_command(record: Path, tenfold_command: Any) -> None:
    """By ``--repeats`` and by ``--set``, from the record alone."""
    for at, change in ((4, ("--repeats", "4")), (5, ("--set", "repeats=5"))):
        done = tenfold_command("run", record, *change, "--placement", "loop")
        assert done.exit_code == 0, done.stderr
        assert f"over {at} repeats" in done.stdout
        assert f"{at} repeats in place of {at - 1}: those recorded stay, 1 is added" in done.stderr


@pytest.fixture
def tenfold_command(monkeypatch: pytest.MonkeyPatch) -> Any:
    from click.testing import CliRunner

    from tenfold.cli import main

    monkeypatch.setattr("tenfold.report.write_report", lambda folder: Path(folder) / "report.html")
    return lambda *given: CliRunner().invoke(main, [str(each) for each in given])


def test_a_model_that_is_added_is_trained_alone_and_one_left_out_stays_on_disk(record: Path) -> None:
    before = numbers(tenfold.Results(record))
    models = [RAW["models"][1], {"name": "A-", "module": "baseline", "hidden": 5}]
    results, trained = run(record, 3, models=models)
    assert trained == ["A-"]
    assert list(results.scores()) == ["B (hidden=4)", "B (hidden=8)", "A-"]
    assert all("forest" not in pair for verdict in results.compare() for pair in (verdict.first, verdict.second))
    assert "forest" not in (record / "results.csv").read_text()
    assert any("Left out: A and forest" in event.text for event in results.events)
    results, trained = run(record, 3)
    assert trained == []
    assert numbers(results) == before


def test_a_model_that_comes_back_after_more_repeats_is_completed(record: Path, tmp_path: Path) -> None:
    run(record, 4, models=RAW["models"][:1])
    results, trained = run(record, 4)
    assert trained == ["B", "forest"]
    assert numbers(results) == numbers(run(tmp_path / "fresh", 4)[0])


def test_a_model_that_comes_back_changed_is_refused(record: Path) -> None:
    run(record, 3, models=RAW["models"][1:])
    changed = [RAW["models"][0] | {"hidden": 6}, *RAW["models"][1:]]
    with pytest.raises(RecordError, match=r"models\[A\]\.hidden: recorded 4, asked for 6") as caught:
        run(record, 3, models=changed)
    assert "give each changed model a name of its own" in str(caught.value)


def test_a_renamed_model_is_trained_anew_and_this_is_said(record: Path) -> None:
    results, trained = run(record, 3, models=[RAW["models"][0] | {"name": "Z"}, *RAW["models"][1:]])
    assert trained == ["Z"]
    assert any("Z has the settings of A and is trained anew" in event.text for event in results.events)


def test_what_no_run_depends_on_trains_nothing(record: Path) -> None:
    before, environment = numbers(tenfold.Results(record)), (record / "environment.json").read_text()
    models = [RAW["models"][0] | {"published": {"accuracy": [60.0, 3.0], "repeats": 10}}, *RAW["models"][1:]]
    change = {"title": "Other", "description": "x", "name": "renamed", "verdict": {"equal_within": 2.0}}
    results, trained = run(record, 3, models=models, **change)
    assert trained == []
    assert numbers(results) == before
    assert results.study["title"] == "Other"
    assert results.published("A") is not None
    assert any("equal_within" in limit and "after" in limit for limit in results.limits())
    assert (record / "environment.json").read_text() == environment


def test_the_same_data_by_another_path_are_the_same_study(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pairs = (images.reshape(-1, 8, 8) * 15).astype(np.uint8)
    for name in ("one", "two"):
        np.savez(tmp_path / f"{name}.npz", images=pairs, labels=labels)
    np.savez(tmp_path / "other.npz", images=pairs[::-1], labels=labels)
    for at, name in enumerate(("one", "two")):
        task = RAW["task"] | {"data": f"{name}.npz"}
        assert run(tmp_path / "record", 2, base=tmp_path, task=task, models=RAW["models"][:1])[1] == ["A"][at:]
    with pytest.raises(RecordError, match="data_fingerprint"):
        run(tmp_path / "record", 2, base=tmp_path, task=RAW["task"] | {"data": "other.npz"}, models=RAW["models"][:1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed: recorded 0, asked for 1"),
        ({"task": RAW["task"] | {"train": 50}}, "task.train: recorded 60, asked for 50"),
        ({"train": RAW["train"] | {"epochs": 3}}, r"models\[A\]\.epochs: recorded 2, asked for 3"),
    ],
)
def test_another_study_is_refused_by_name(record: Path, change: dict[str, Any], message: str) -> None:
    before = (record / "results.db").read_bytes()
    with pytest.raises(RecordError, match=message):
        run(record, 5, **change)
    assert (record / "results.db").read_bytes() == before


def test_killed_while_it_is_extended_it_goes_on(record: Path, tmp_path: Path) -> None:
    def stop(event: events.Event) -> None:
        if isinstance(event, events.EpochDone) and event.model == "B" and event.epoch == 1:
            raise KeyboardInterrupt

    study = tenfold.parse_study(RAW | {"repeats": 5})
    with pytest.raises(KeyboardInterrupt):
        tenfold.run(study, out=record, placement="loop", checkpoint_seconds=0, watch=stop)
    results, trained = run(record, 5)
    assert trained == ["B", "forest"]
    assert numbers(results) == numbers(run(tmp_path / "fresh", 5)[0])


def test_all_runs_of_an_extended_record_are_verified(record: Path) -> None:
    study = tenfold.parse_study(RAW | {"repeats": 3})
    tenfold.run(study, out=record, placement="stack", verify=True)
    results = tenfold.run(study, repeats=5, out=record, placement="stack", verify=True)
    certificates = results.meta("certificate")
    assert {model: found["runs"] for model, found in certificates.items()} == {"A": 5, "B": 10, "forest": 5}
    assert results.not_verified == []
