"""Models that are fitted: the same data, scores and record as networks; refused, interrupted and fitted again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss

import tenfold
from tenfold.config import ModelSettings
from tenfold.errors import RequestError, ShapeError, StudyError, TrainingError
from tenfold.events import EpochDone, Message, ModelStarted
from tenfold.execute import cores, fit_runs, try_estimator, verify_fit
from tenfold.models import ModelFactory
from tenfold.recipe import Config, Recipe
from tenfold.report._facts import placement_rows
from tenfold.report._tables import metric_rows
from tenfold.report.figures import curves
from tenfold.sampling import Part, Split
from tenfold.seeds import derive
from tenfold.tasks import TASKS, ComparePairs
from tenfold.train import Job, RunId, of_run

MINE = """
import os
import warnings
import numpy as np
import torch
from pathlib import Path
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

def flat(pairs):
    return np.asarray(pairs).reshape(len(pairs), -1)

def make_svm(C=1.0):
    return make_pipeline(FunctionTransformer(flat), StandardScaler(), SVC(C=C))

def make_components():
    return make_pipeline(FunctionTransformer(flat), PCA(60), LogisticRegression())

def make_hasty():
    return make_pipeline(FunctionTransformer(flat), LogisticRegression(max_iter=1))

class Share:
    '''The share of each class in what it learnt from, for everything.'''
    def __init__(self, size=None):
        self.size = size
    def fit(self, inputs, targets):
        assert inputs.shape[1:] == (2, self.size, self.size) and len(inputs) == len(targets)
        self.share = np.bincount(targets, minlength=2) / len(targets)
        self.n = len(targets)
        return self
    def predict_log_proba(self, inputs):
        with np.errstate(divide="ignore"):
            return np.log(np.tile(self.share, (len(inputs), 1)))

class NoFit:
    def predict_log_proba(self, inputs):
        return np.zeros((len(inputs), 2))

class NoPrediction:
    def fit(self, inputs, targets):
        return self

class Narrow(Share):
    def predict_log_proba(self, inputs):
        return np.zeros((len(inputs), 1))

class Short(Share):
    def predict_log_proba(self, inputs):
        return super().predict_log_proba(inputs)[:-1]

class Logits(Share):
    def predict_log_proba(self, inputs):
        return np.tile([3.0, -1.0], (len(inputs), 1))

class Strange(Share):
    classes_ = np.array([1, 2])

class Raises(Share):
    def fit(self, inputs, targets):
        raise KeyError("no such feature")

class RaisesLater(Share):
    def predict_log_proba(self, inputs):
        raise ZeroDivisionError("in predicting")

class Needs(Share):
    def __init__(self, depth):
        pass

class Restless(Share):
    calls = 0
    def fit(self, inputs, targets):
        Restless.calls += 1
        self.share = np.array([1.0, Restless.calls]) / (1 + Restless.calls)
        return self

class Careless(Share):
    '''Draws from generators that are not its own.'''
    def fit(self, inputs, targets):
        import random
        p = (np.random.rand() + random.random() + float(torch.rand(()))) / 3
        self.share = np.array([p, 1 - p])
        return self

class Lost(Share):
    '''NaN on a test part whose first pixel says so.'''
    def predict_log_proba(self, inputs):
        found = super().predict_log_proba(inputs)
        return np.where(abs(inputs).sum() > float(os.environ.get("TENFOLD_TEST_LIMIT", "inf")), np.nan, found)

class Counted(Share):
    '''Writes down every fit on all examples; fails at the third where it is told to.'''
    def fit(self, inputs, targets):
        if len(targets) == 40:
            folder = Path(__file__).parent
            with (folder / "fits.txt").open("a") as file:
                file.write("fit\\n")
            count = len((folder / "fits.txt").read_text().splitlines())
            if (folder / "fail.txt").exists() and count == 3:
                raise MemoryError("too large")
        return super().fit(inputs, targets)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def request(folder: Path, *models: dict[str, Any], repeats: int = 3, **train: Any) -> tenfold.Study:
    task = {"kind": "compare-pairs", "data": "digits", "size": 8, "train": 40, "test": 20}
    raw = {"name": "mine", "repeats": repeats, "task": task, "train": {"epochs": 1, "batch_size": 20} | train}
    return tenfold.parse_study(raw | {"models": list(models)}, base=folder)


def mine(name: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "module": f"mine.py:{name}", **options}


def job_of(source: ModelFactory, n_runs: int = 3, **recipe: Any) -> Job:
    config = Config({}, ComparePairs.spec.recipe(**recipe))
    return Job("model", source, tuple(RunId(config, repeat) for repeat in range(n_runs)), 0, "loop", 1)


def small(folder: Path, name: str, **options: Any) -> Job:
    return job_of(ModelFactory(f"mine.py:{name}", {"size": 8} | options, folder))


FOREST = ModelFactory("random-forest", {"n_estimators": 10})


# -- a whole study ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[tenfold.Results, list[Any], Path]:
    """A network, both built-in estimators and two of one's own, over worker processes where there are cores."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "mine.py").write_text(MINE)
    study = request(
        folder,
        {"name": "Net", "module": "baseline"},
        {"name": "Forest", "module": "random-forest", "n_estimators": 10},
        {"name": "Regression", "module": "logistic-regression"},
        {"name": "SVM", "module": "mine.py:make_svm"},
        {"name": "Careless", "module": "mine.py:Careless"},
        sweep={"lr": [1e-3, 1e-2]},
    )
    events: list[Any] = []
    results = tenfold.run(study, out=folder / "record", placement="processes", verify=True, watch=events.append)
    return results, events, folder / "record"


def test_estimators_stand_beside_networks_in_scores_and_verdicts(whole: Any) -> None:
    results, _, _ = whole
    scores = results.scores("accuracy")
    assert set(scores) == {"Net (lr=0.001)", "Net (lr=0.01)", "Forest", "Regression", "SVM", "Careless"}
    assert all(values.shape == (3,) and np.isfinite(values).all() for values in scores.values())
    assert set(results.scores("auc")) == set(scores)
    verdicts = results.compare()
    assert len(verdicts) == 6 * 5 // 2
    assert {name for verdict in verdicts for name in (verdict.first, verdict.second)} == set(scores)
    assert {rank.label for rank in results.ranking()} == set(scores)
    assert results.ranking()[0].label in results.verdict_sentences()[0]
    for run in results.runs:
        if run.variant.model != "Net":
            assert (run.status, run.epochs, run.best_epoch, run.message) == ("finished", 0, None, "")
    assert {curve.variant.model for curve in results.curves()} == {"Net"}
    assert [results.plans[name]["placement"] for name in ("Forest", "Regression", "SVM")] == ["fit"] * 3


def test_the_forest_of_a_study_is_the_forest_that_anyone_would_fit(whole: Any, engine: Any) -> None:
    """By hand: the task's examples of each repeat, scikit-learn, and scikit-learn's scores."""
    results, _, _ = whole
    task = engine.task()
    for repeat in range(3):
        parts = task.splits([repeat], seed=0)
        (x,), _, y, _ = parts["train"].span(0, 40)
        (tx,), _, ty, _ = parts["test"].span(0, 20)
        seed = derive(0, "Forest", repeat, "estimator")
        forest = RandomForestClassifier(10, random_state=seed % 2**32)
        forest.fit(x[0].flatten(1).double(), y["target"][0])
        share, truth = forest.predict_proba(tx[0].flatten(1).double()), ty["target"][0].numpy()
        share = (10 * share + 0.5) / 11
        assert results.scores("accuracy")["Forest"][repeat] == pytest.approx((share.argmax(1) == truth).mean())
        assert results.scores("loss")["Forest"][repeat] == pytest.approx(log_loss(truth, share))
        assert results.scores("auc")["Forest"][repeat] > 0
    kept = results.predictions("Forest")
    assert kept["probability"].shape == (3, 20)
    assert kept["repeat"].tolist() == [0, 1, 2]


def test_no_estimator_is_kept_and_the_winner_says_so(whole: Any) -> None:
    results, _, folder = whole
    assert results.weights("Forest") == {}
    assert results.weights("Net", variant=1)
    assert results.winner("Net (lr=0.01)").module(0).training is False
    with pytest.raises(RequestError, match=r"^Forest is an estimator \(random-forest\): it has no weights"):
        results.winner("Forest").module(1)
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib")]
    assert not list((folder / "checkpoints").glob("*"))


def test_fits_are_counted_and_said(whole: Any) -> None:
    from tenfold import progress as _progress

    _, events, _ = whole
    started = next(event for event in events if isinstance(event, ModelStarted) and event.model == "Forest")
    assert (started.n_runs, started.epochs) == (3, 3)
    steps = [event for event in events if isinstance(event, EpochDone) and event.model == "Forest"]
    assert [(step.epoch, len(step.scores)) for step in steps] == [(1, 1), (2, 2), (3, 3)]
    text = _progress._started(started)
    assert text.startswith("Forest: 3 runs to fit (one fit a run, ")
    assert "epoch" not in text
    assert _progress._in_progress(steps[1], "fit", 3, TASKS["compare-pairs"].spec.metrics[0], None).startswith(
        "Forest: fit 2 of 3, "
    )


def test_they_are_fitted_again_to_verify(whole: Any) -> None:
    from tenfold.cli._tables import certificate_text

    results, _, _ = whole
    certificate = results.meta("certificate")
    assert certificate["Net"]["weights_float64"] < 1e-10
    for name in ("Forest", "Regression", "SVM", "Careless"):
        assert certificate[name]["predictions"] == pytest.approx(0, abs=1e-6)
        assert set(certificate[name]["scores"]) == {"accuracy", "f1", "loss", "auc"}
        assert max(certificate[name]["scores"].values()) < 1e-6
    assert "Forest: fitted again, alone, no prediction is further than 0.0e+00" in certificate_text(certificate, None)


def of_runs(arrays: Any) -> list[dict[str, Any]]:
    return [of_run(arrays, run) for run in range(len(next(iter(arrays.values()))))]


def test_the_twin_another_fit_is_noticed(engine: Any) -> None:
    task, job = engine.task(), job_of(FOREST)
    outcome = fit_runs(job, task)
    scores, runs = of_runs(outcome.scores), of_runs(outcome.predictions)
    found = verify_fit(job, task, runs, scores)
    assert found["predictions"] == 0
    assert found["failures"] == []
    other = of_runs(fit_runs(replace(job, seed=1), task).predictions)
    only_last = verify_fit(job, task, [*runs[:-1], other[-1]], scores)["failures"]
    assert {text.partition(":")[0] for text in only_last} == {f"repeat {len(runs) - 1}"}
    found = verify_fit(job, task, other, [own | {"loss": 9.0} for own in scores])
    assert found["predictions"] > 0.01
    assert found["scores"]["loss"] > 1


def test_the_report_is_written_with_and_without_a_network(whole: Any, folder: Path) -> None:
    _, _, record = whole
    page = tenfold.write_report(record).read_text(encoding="utf-8")
    assert all(name in page for name in ("Forest", "one fit a run", "Learning curves"))
    study = request(folder, {"name": "Forest", "module": "random-forest", "n_estimators": 3}, repeats=2)
    alone = tenfold.run(study, out=folder / "alone", placement="loop")
    assert alone.plans["Forest"]["reason"] == "one fit a run, one run after the other"
    assert curves.collect(alone) is None
    assert placement_rows(alone)[0]["placement"] == "fit"
    assert placement_rows(alone)[0]["epochs"] == "–"
    assert [row.label for row in metric_rows(alone, "accuracy")] == ["Forest"]


# -- the engine -------------------------------------------------------------------------------------------------------


def test_worker_processes_give_the_numbers_of_this_one(whole: Any, engine: Any, folder: Path) -> None:
    results, _, _ = whole
    job = replace(small(folder, "Careless"), model="Careless")
    here = fit_runs(job, engine.task())
    for name, values in here.scores.items():
        assert np.array_equal(results.scores(name)["Careless"], values)
    assert ("processes" in results.plans["Careless"]["reason"]) == (cores() > 1)


def test_runs_have_random_numbers_of_their_own_and_leave_the_others_alone(engine: Any, folder: Path) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    outcome = fit_runs(small(folder, "Careless"), engine.task())
    probability = outcome.predictions["probability"]
    assert len(np.unique(probability)) == 3  # one a run
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    try_estimator(small(folder, "Careless"), engine.task())  # and is the same when fitted again
    alone = fit_runs(replace(small(folder, "Careless"), runs=small(folder, "Careless").runs[1:2]), engine.task())
    assert np.array_equal(alone.predictions["probability"][0], probability[1])


def test_how_to_train_makes_no_variants_and_how_to_split_and_build_does() -> None:
    class Divided(Recipe):
        loss_values: ClassVar[tuple[str, ...]] = ("margin",)
        data_values: ClassVar[tuple[str, ...]] = ("split",)
        margin: float = 1.0
        split: str = "person"

    sweep = {"lr": [1e-3, 1e-2], "n_estimators": [5, 9], "margin": [1.0, 2.0], "split": ["person", "windows"]}
    model = ModelSettings("Forest", FOREST, Divided(), sweep)
    assert len(model.configs()) == 16
    assert [(config.label, config.data, config.options) for config in model.configs(fitted=True)] == [
        (f"n_estimators={n}, split={split}", {"split": split}, {"n_estimators": n})
        for n in (5, 9)
        for split in ("person", "windows")
    ]
    (only,) = replace(model, sweep={"lr": [1e-3, 1e-2]}).configs(fitted=True)
    assert only.label == ""


class Predicts:
    """Gives what it is told to, for three classes or some of them."""

    def __init__(self, name: str, rows: Any, classes: Any = None) -> None:
        setattr(self, name, lambda inputs: np.array(rows, dtype=float))
        if classes is not None:
            self.classes_ = np.array(classes)


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (Predicts("predict_log_proba", np.log([[0.2, 0.3, 0.5], [1 / 3] * 3])), [[0.2, 0.3, 0.5], [1 / 3] * 3]),
        (Predicts("predict_proba", [[0.0, 0.25, 0.75], [1, 0, 0]]), [[0, 0.25, 0.75], [1, 0, 0]]),
        (Predicts("predict_proba", [[0.4, 0.6], [1, 0]], [0, 2]), [[0.4, 0, 0.6], [1, 0, 0]]),
        (Predicts("predict_proba", [[1], [1]], [1]), [[0, 1, 0], [0, 1, 0]]),
        (Predicts("decision_function", [[0, math.log(2), 0], [5, 5, 5]]), [[0.25, 0.5, 0.25], [1 / 3] * 3]),
        (Predicts("decision_function", [math.log(3), 0], [0, 1]), [[0.25, 0.75, 0], [0.5, 0.5, 0]]),
        (Predicts("decision_function", [[-900, 0, 900], [0, 0, 0]]), [[0, 0, 1], [1 / 3] * 3]),
    ],
)
def test_what_it_predicts_becomes_finite_log_probabilities_of_all_classes(estimator: Any, expected: Any) -> None:
    from tenfold.execute._estimators import _log_probabilities

    found = _log_probabilities(estimator, np.zeros((2, 4)), 3)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.exp().numpy(), expected, atol=1e-12)
    assert found.isfinite().all()
    assert float(found.min()) >= math.log(2**-52) - 1e-9


def test_examples_that_are_none_are_not_learnt_from(engine: Any, folder: Path) -> None:
    class Padded(ComparePairs):
        def splits(self, *arguments: Any, **more: Any) -> dict[Part, Split]:
            found = super().splits(*arguments, **more)
            valid = torch.arange(40).expand(found["train"].index.shape[:2]) < 10
            return found | {"train": replace(found["train"], valid=valid)}

    task = Padded(engine.task().settings, engine.images)
    target = task.splits([0], seed=0)["train"].targets["target"][0, :10]
    share = fit_runs(small(folder, "Share"), task).predictions["probability"]
    assert share.shape == (3, 20)
    np.testing.assert_allclose(share[0], float(target.double().mean()), rtol=1e-6)


def test_a_run_whose_predictions_are_nan_is_lost_and_the_others_are_not(
    engine: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, job = engine.task(), small(folder, "Lost")
    sizes = [float(task.splits([run], seed=0)["test"].span(0, 20).inputs[0].abs().sum()) for run in range(3)]
    monkeypatch.setenv("TENFOLD_TEST_LIMIT", str((sorted(sizes)[1] + max(sizes)) / 2))
    lost = int(np.argmax(sizes))
    outcome = fit_runs(job, task)
    assert [status == "diverged" for status in outcome.status] == [run == lost for run in range(3)]
    assert outcome.messages[lost] == "log-probabilities on the test part are not finite"
    for values in outcome.scores.values():
        assert np.isnan(values).tolist() == [run == lost for run in range(3)]


def test_what_it_warns_of_is_an_event_once(folder: Path) -> None:
    events: list[Any] = []
    study = request(folder, mine("make_hasty"))
    results = tenfold.run(study, out=folder / "record", placement="loop", watch=events.append)
    (event,) = [event for event in results.events if event.kind == "warning"]
    assert event.text.startswith("lbfgs failed to converge")
    assert event.text.endswith("(3 of 3 runs)")
    assert [note.text for note in events if isinstance(note, Message)][-1] == f"warning: {event.text}"


# -- going on ---------------------------------------------------------------------------------------------------------


def test_what_was_fitted_before_an_end_is_not_fitted_again(folder: Path) -> None:
    study = request(folder, mine("Counted"), repeats=5)
    fits = folder / "fits.txt"
    (folder / "fail.txt").touch()
    message = r"^Counted: mine\.py:Counted failed in fitting repeat 2: MemoryError: too large \(mine\.py, line \d+\)$"
    with pytest.raises(TrainingError, match=message):
        tenfold.run(study, out=folder / "record", placement="loop")
    assert len(fits.read_text().splitlines()) == 3
    (folder / "fail.txt").unlink()
    results = tenfold.run(study, out=folder / "record", placement="loop")
    assert len(fits.read_text().splitlines()) == 3 + 3
    unbroken = tenfold.run(study, out=folder / "other", placement="loop")
    for name in ("accuracy", "loss"):
        assert np.array_equal(results.scores(name)["Counted"], unbroken.scores(name)["Counted"])
    assert results.runs[0].train_seconds is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda job: replace(job, seed=1), r"of other runs: its seed is 0, expected 1; delete it to fit its runs anew"),
        (lambda job: job.of_runs(job.runs[:2]), r"of other runs: its runs is "),
        (lambda job: replace(job, model="other"), r"of other runs: its model is 'model', expected 'other'"),
    ],
)
def test_a_checkpoint_of_other_runs_is_refused(
    engine: Any, tmp_path: Path, change: Callable[[Job], Job], message: str
) -> None:
    job = replace(job_of(FOREST), checkpoint=tmp_path / "model.0.safetensors")
    first = fit_runs(job, engine.task())
    assert np.array_equal(fit_runs(job, engine.task()).scores["loss"], first.scores["loss"])
    with pytest.raises(TrainingError, match=message):
        fit_runs(change(job), engine.task())


class TwoTests(ComparePairs):
    """With a second test set, whose name comes before "test"."""

    def splits(self, repeats: Any, *, seed: int, configs: Any = None) -> dict[Part, Split]:
        return (found := super().splits(repeats, seed=seed, configs=configs)) | {"aside": found["train"]}


def test_a_checkpoint_keeps_test_sets_apart(engine: Any, tmp_path: Path) -> None:
    plain = engine.task()
    task = TwoTests(plain.settings, tenfold.datasets.load("digits", base=Path()))
    job = replace(job_of(FOREST), checkpoint=tmp_path / "model.0.safetensors")
    first, again = fit_runs(job, task), fit_runs(job, task)
    for name, values in first.scores.items():
        assert np.array_equal(again.scores[name], values), name
    for name, kept in first.predictions.items():
        assert np.array_equal(again.predictions[name], kept), name


def test_a_damaged_checkpoint_is_said(engine: Any, tmp_path: Path) -> None:
    job = replace(job_of(FOREST), checkpoint=tmp_path / "model.0.safetensors")
    fit_runs(job, engine.task())
    path = tmp_path / "model.0.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(TrainingError, match=r"model\.0\.safetensors cannot be read .*delete it to fit its runs anew"):
        fit_runs(job, engine.task())


# -- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NoFit", r"estimator 'mine.py:NoFit': NoFit has no fit\(inputs, targets\)"),
        ("NoPrediction", r"NoPrediction has no predict_log_proba\(inputs\)"),
        ("Narrow", r"predict_log_proba: expected shape \(\d+ examples, 2 classes\), got \(\d+, 1\)"),
        ("Short", r"predict_log_proba: expected shape \(\d+ examples, 2 classes\), got \(\d+, 2\)"),
        ("Logits", r"probabilities of an example sum to 20.5, expected 1 \(logits are for decision_function\)"),
        ("Strange", r"expected classes_ to be some of 0 .. 1, got \[1, 2\]"),
        ("Raises", r"mine.py:Raises failed in fitting 40 examples: KeyError: 'no such feature' \(mine\.py, line \d+\)"),
        ("RaisesLater", r"failed in fitting 40 examples: ZeroDivisionError: in predicting \(mine\.py, line \d+\)"),
        ("Needs", r"missing 1 required positional argument: 'depth'"),
        ("Restless", r"mine.py:Restless predicts otherwise when it is fitted again from one seed; draw random numbers"),
    ],
)
def test_what_is_wrong_with_an_estimator_is_said_before_anything_is_trained(
    folder: Path, name: str, message: str
) -> None:
    study = request(folder, {"name": "good", "module": "baseline"}, mine(name))
    with pytest.raises(StudyError, match=message) as caught:
        tenfold.run(study, out=folder / "record")
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"models.{name}: ")
    assert not (folder / "record").exists()


def test_how_to_train_it_is_refused_in_its_own_table_and_not_in_the_studys(folder: Path) -> None:
    forest = {"name": "Forest", "module": "random-forest", "n_estimators": 3}
    with pytest.raises(StudyError) as caught:
        tenfold.run(request(folder, forest | {"epochs": 9, "sweep": {"lr": [1e-3, 1e-2]}}), out=folder / "record")
    assert list(caught.value.problems) == [
        "models.Forest.epochs: 'random-forest' is fitted, not trained; leave it out",
        "models.Forest.lr: 'random-forest' is fitted, not trained; leave it out",
    ]
    assert not (folder / "record").exists()


def test_windows_statistics_of_what_is_no_window_are_refused(folder: Path) -> None:
    study = request(folder, {"name": "Forest", "module": "random-forest", "features": "statistics"})
    with pytest.raises(
        StudyError, match=r"features 'statistics' need windows .*, got shape \(\d+, 2, 8, 8\): use 'flat'"
    ):
        tenfold.run(study, out=folder / "record")


def test_one_that_needs_more_than_a_few_examples_is_tried_on_all(engine: Any, folder: Path) -> None:
    """60 principal components are too many for 40 examples and right for 100."""
    job = job_of(ModelFactory("mine.py:make_components", {}, folder))
    with pytest.raises(RequestError, match=r"failed in fitting 50 examples: ValueError: n_components=60 must be"):
        try_estimator(job, engine.task(train=50))
    try_estimator(job, engine.task(train=100))


def test_a_task_without_classes_says_which_have_them(engine: Any) -> None:
    message = r"random-forest is an estimator, .*; the task 'match' has none \(tasks that have: .*compare-pairs"
    with pytest.raises(RequestError, match=message):
        try_estimator(job_of(FOREST), engine.match())
    assert "fit_targets" in vars(TASKS["compare-pairs"])
    assert issubclass(ShapeError, RequestError)
