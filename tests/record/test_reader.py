"""The read side: scores aligned by repeat, tables, verdicts in words."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from tenfold import stats
from tenfold.errors import RecordError, RequestError
from tenfold.record import Rank, Reader, Record, RunRow, Variant, remedies
from tenfold.record._sentences import rank_sentence

METRICS = [
    {"name": "accuracy", "label": "Accuracy", "unit": "%", "higher_is_better": True, "primary": True},
    {"name": "digit_accuracy", "label": "Digit accuracy", "unit": "%", "higher_is_better": True, "primary": False},
    {"name": "loss", "label": "Mean loss", "unit": "nats", "higher_is_better": False, "primary": False},
]
PUBLISHED = {"accuracy": [81.03, 2.98], "loss": 0.5, "repeats": 10, "note": "from the report"}
REPEATS = 8
MEANS = {"Small": 0.75, "Large": 0.85, "Twin": 0.851}


def scores_of(model: str) -> np.ndarray:
    """The same noise of the repeat for every model, a little of its own."""
    common = np.random.default_rng(0).normal(0, 0.02, REPEATS)
    own = np.random.default_rng(len(model)).normal(0, 0.004, REPEATS)
    return MEANS[model] + common + own


def build(
    folder: Path, models=tuple(MEANS), *, resampling=None, quick=False, diverged=(), finish=True, verdict=None
) -> Reader:
    entries = [{"name": name, **({"published": PUBLISHED} if name == "Large" else {})} for name in models]
    study = {"name": "toy", "repeats": REPEATS, "models": entries}
    if resampling:
        study["resampling"] = resampling
    if verdict:
        study["verdict"] = verdict
    with Record.create(
        folder, study_toml="", study=study, environment={"a": 1}, metrics=METRICS, command="c", quick=quick
    ) as record:
        for model in models:
            rows = []
            for repeat, score in enumerate(scores_of(model)):
                if (model, repeat) in diverged:
                    rows.append(RunRow(variant=0, repeat=repeat, status="diverged", epochs=1, scores={"accuracy": 0.5}))
                else:
                    scores = {"accuracy": score, "loss": 1 - score}
                    if model != "Small":
                        scores["digit_accuracy"] = score
                    rows.append(RunRow(variant=0, repeat=repeat, status="finished", epochs=2, scores=scores))
            record.finish_runs(model, rows)
        if finish:
            record.finish()
    return Reader(folder)


def test_scores_are_aligned_by_repeat_whatever_the_order_of_saving(tmp_path):
    study = {"name": "s", "repeats": 3, "models": [{"name": "b"}, {"name": "a"}]}
    with Record.create(
        tmp_path, study_toml="", study=study, environment={}, metrics=METRICS, command="", quick=False
    ) as record:
        for model, repeats in (("a", [2, 0]), ("b", [1])):
            rows = [
                RunRow(variant=0, repeat=r, status="stopped", epochs=1, scores={"accuracy": r / 10}) for r in repeats
            ]
            record.finish_runs(model, rows)
        results = Reader(tmp_path)  # while the record is open for writing
    assert results.repeats == (0, 1, 2)
    assert list(results.scores()) == ["b", "a"]
    np.testing.assert_array_equal(results.scores("accuracy")["a"], [0.0, math.nan, 0.2])
    np.testing.assert_array_equal(results.scores()["b"], [math.nan, 0.1, math.nan])
    assert results.scores("loss") == {}
    assert results.status == "unfinished"
    assert results.counts(Variant("a")) == {"planned": 3, "ended": 2, "finished": 0, "stopped": 2, "diverged": 0}
    assert "a: 1 of 3 runs have not ended yet." in results.missing_sentences()
    assert "The study has not finished: what is shown is what had ended by now." in results.limits()
    assert repr(results) == "<Results of 's': 2 variants, 3 runs, unfinished>"


def test_every_combination_of_swept_values_is_a_variant(tmp_path):
    study = {"name": "s", "repeats": 2, "models": [{"name": "CNN"}, {"name": "later"}]}
    with Record.create(
        tmp_path,
        study_toml="",
        study=study,
        environment={},
        metrics=METRICS,
        command="",
        quick=False,
        variants={"CNN": [{"swept": {"lr": lr}} for lr in (0.1, 0.01, 0.001)]},
    ) as record:
        for index in (1, 0):
            rows = [
                RunRow(variant=index, repeat=r, status="finished", epochs=1, scores={"accuracy": 0.5}) for r in (0, 1)
            ]
            record.finish_runs("CNN", rows)
    results = Reader(tmp_path)
    labels = ["CNN (lr=0.1)", "CNN (lr=0.01)", "CNN (lr=0.001)", "later"]
    assert [variant.label for variant in results.variants] == labels
    table = results.table("accuracy")
    assert table["model"].tolist() == ["CNN", "CNN", "CNN", "later"]
    assert table["setting"].tolist() == ["lr=0.1", "lr=0.01", "lr=0.001", ""]
    assert table["n"].tolist() == [2, 2, 0, 0]
    assert results.protocols == dict.fromkeys(labels, ())


def test_the_table_holds_the_numbers_of_stats_and_published_as_fractions(tmp_path):
    results = build(tmp_path)
    table = results.table()
    assert list(table.columns) == [
        *("model", "setting", "metric", "n", "mean", "std", "low", "high"),
        *("published_mean", "published_std", "published_n", "published_note", "diverged"),
    ]
    assert len(table) == 3 + 2 + 3  # no digit accuracy for the model without digits
    row = table[(table.model == "Large") & (table.metric == "accuracy")].iloc[0]
    expected = stats.summarise(scores_of("Large"), bounds=(0, 1))
    assert (row["mean"], row["std"], row["low"], row["high"]) == (
        expected.mean, expected.std, expected.low, expected.high
    )  # fmt: skip
    assert (row["published_mean"], row["published_std"], row["published_n"]) == (0.8103, 0.0298, 10)
    assert row["published_note"] == "from the report"
    loss = table[(table.model == "Large") & (table.metric == "loss")].iloc[0]
    assert loss["published_mean"] == 0.5
    assert math.isnan(loss["published_std"])


def test_the_printed_table_has_its_numbers_at_80_columns(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    results = build(tmp_path)
    text = str(results.table("accuracy"))
    assert max(map(len, text.splitlines())) <= 80
    assert "..." not in text
    for label, summary in results.summaries().items():
        line = next(line for line in text.splitlines() if line.split()[0] == label)
        numbers = [f"{value:.4f}" for value in (summary.mean, summary.std, summary.low, summary.high)]
        assert line.split()[1:7] == ["accuracy", str(summary.n), *numbers]
    assert "0.8103" in text  # published
    assert "setting" not in text  # nothing was swept
    assert type(results.table("accuracy")[["model", "mean"]]).__name__ == "DataFrame"


def test_against_published_by_welch_or_by_place(tmp_path):
    results = build(tmp_path)
    accuracy, loss = results.against()["Large"], results.against("loss")["Large"]
    assert isinstance(accuracy, stats.AgainstPublished)
    assert accuracy.outcome == "higher"
    assert isinstance(loss, stats.AgainstSingle)
    assert loss.value == 0.5
    assert list(results.against()) == ["Large"]


def test_compare_gives_the_verdicts_of_stats(tmp_path):
    results = build(tmp_path)
    pairs = {(v.first, v.second): v for v in results.compare("accuracy")}
    assert list(pairs) == [("Small", "Large"), ("Small", "Twin"), ("Large", "Twin")]
    assert pairs["Small", "Large"].winner == "Large"
    assert pairs["Small", "Large"].test == "permutation"
    loss = {(v.first, v.second): v for v in results.compare("loss")}
    assert loss["Small", "Large"].winner == "Large"
    assert loss["Small", "Large"].difference > 0


def test_shared_training_data_choose_the_corrected_test(tmp_path):
    resampling = {"protocol": {}, "overlap": 1 / 3, "one_pool": True, "reason": "repeats draw from the same pool"}
    results = build(tmp_path, resampling=[resampling])
    assert {v.test for v in results.compare()} == {"corrected-t"}
    plain = stats.summarise(scores_of("Large"))
    assert results.summaries()["Large"].high - results.summaries()["Large"].low > plain.high - plain.low
    assert "Repeats: repeats draw from the same pool." in results.limits()


def test_diverged_runs_are_kept_counted_named_and_in_no_mean(tmp_path):
    results = build(tmp_path, diverged={("Large", 3)})
    assert math.isnan(results.scores()["Large"][3])
    assert results.summaries()["Large"].n == REPEATS - 1
    row = results.table("accuracy").set_index("model").loc["Large"]
    assert (row["n"], row["diverged"]) == (REPEATS - 1, 1)
    assert (
        "Large: 7 of 8 runs finished, 1 diverged (repeat 3). In means it is left out; in verdicts it counts with the "
        "worst score of all."
    ) in results.verdict_sentences()


def test_everything_diverged_is_said(tmp_path):
    results = build(tmp_path, diverged={(model, repeat) for model in MEANS for repeat in range(REPEATS)})
    assert results.ranking() == []
    sentences = results.verdict_sentences()
    assert sentences[0] == "No run has ended with a score: there is nothing to compare."
    assert sum("8 diverged" in sentence for sentence in sentences) == 3
    assert results.table("accuracy")["n"].tolist() == [0, 0, 0]
    assert isinstance(results.limits(), list)


def test_the_verdict_in_words(tmp_path):
    sentences = build(tmp_path).verdict_sentences()
    assert sentences[0].startswith("Twin has the highest accuracy: 8")
    assert "mean of 8 repeats, 95 % interval " in sentences[0]
    assert sentences[1].startswith("Twin is better than Small; not told apart from Large (")
    assert sentences[2] == "Large is better than Small."
    assert sentences[3].startswith("Of 3 pairs, 2 differ")
    assert sentences[4] == "Measured against published accuracy (Welch's test): higher for Large."
    assert build(tmp_path / "loss").verdict_sentences("loss")[0].startswith("Twin has the lowest mean loss: 0.1")


def test_one_model_has_nothing_to_compare_with(tmp_path):
    results = build(tmp_path, ("Small",))
    assert results.compare() == []
    assert len(results.verdict_sentences()) == 1
    assert results.verdict_sentences()[0].startswith("Small: accuracy 7")
    assert results.verdict_sentences()[0].endswith(". With one model there is nothing to compare.")


def test_two_models_speak_of_the_other(tmp_path):
    sentences = build(tmp_path, ("Small", "Large")).verdict_sentences()
    assert sentences[1] == "Large is better than Small."
    assert not any(sentence.startswith("Of ") for sentence in sentences)


def test_quick_is_the_first_limit(tmp_path):
    assert build(tmp_path, quick=True).limits()[0].startswith("This is a quick study")


def test_curves_are_rectangles_with_gaps(tmp_path):
    study = {"name": "s", "repeats": 2, "models": [{"name": "a"}, {"name": "b"}]}
    with Record.create(
        tmp_path, study_toml="", study=study, environment={}, metrics=METRICS, command="", quick=False
    ) as record:
        record.save_epochs("b", [(0, 0, 2, "train", "loss", 0.7)])
        record.save_epochs("a", [(0, 1, 5, "test", "loss", math.nan), (0, 0, 5, "test", "loss", 0.3)])
        record.save_epochs("a", [(0, 0, 10, "test", "loss", 0.2), (0, 0, 5, "train", "accuracy", 0.5)])
    curves = Reader(tmp_path).curves("loss")
    assert [(curve.variant.model, curve.part) for curve in curves] == [("a", "test"), ("b", "train")]
    np.testing.assert_array_equal(curves[0].epochs, [5, 10])
    np.testing.assert_array_equal(curves[0].values, [[0.3, 0.2], [math.nan, math.nan]])
    assert curves[1].values.shape == (2, 1)


def test_files_of_the_record(tmp_path):
    study = {"name": "s", "repeats": 2, "models": [{"name": "A b"}]}
    with Record.create(
        tmp_path, study_toml="", study=study, environment={"python": "3.11"}, metrics=METRICS, command="", quick=False
    ) as record:
        record.save_predictions("A b", {"target": np.ones((2, 3))})
        record.save_weights("A b", {"w": np.ones((2, 3))})
        record.save_meta("certificate", [1])
        record.event("resumed", "text", "A b")
        record.save_plan("A b", {"placement": "loop"})
    results = Reader(tmp_path)
    assert results.predictions("A b")["target"].shape == (2, 3)
    assert results.weights("A b")["w"].shape == (2, 3)
    assert results.gallery() is None
    assert results.meta("certificate") == [1]
    assert results.meta("nothing") is None
    assert [(event.kind, event.model) for event in results.events] == [("resumed", "A b")]
    assert results.plans == {"A b": {"placement": "loop"}}
    assert results.environment == {"python": "3.11"}


def test_what_is_missing_or_wrong_is_named(tmp_path):
    results = build(tmp_path / "study")
    assert results.predictions("Small") is None
    with pytest.raises(RequestError, match="no metric 'acuracy'.*did you mean 'accuracy'"):
        results.scores("acuracy")
    with pytest.raises(RequestError, match="no model 'small'.*did you mean 'Small'"):
        results.predictions("small")
    (tmp_path / "study" / "environment.json").write_text("{")
    with pytest.raises(RecordError, match="environment.json is damaged"):
        _ = results.environment
    (tmp_path / "study" / "environment.json").unlink()
    with pytest.raises(RecordError, match="no file .*environment.json"):
        _ = results.environment
    with pytest.raises(RecordError, match="no record in"):
        Reader(tmp_path)


def test_verdicts_travel_as_json(tmp_path):
    answers = [verdict.as_dict() for verdict in build(tmp_path).compare()]
    assert json.loads(json.dumps(answers, allow_nan=False))[0]["first"] == "Small"


def open_verdict(remedy: str = "", fewest: int | None = None, seen: int | None = None) -> stats.Verdict:
    (verdict,) = stats.verdicts({"a": [0.1, 0.2], "b": [0.2, 0.1]})
    return dataclasses.replace(verdict, remedy=remedy, repeats_fewest=fewest, repeats_needed=seen)


def test_many_undecided_pairs_do_not_drown_the_verdict():
    repeats = {"e": open_verdict("more repeats", 12, 40), "f": open_verdict("more repeats", 20, 60)}
    rank = Rank(label="a", place=1, groups=(0,), better_than=("b",), worse_than=(), equal=("c", "d"), undecided=repeats)
    assert rank_sentence(rank, "abcdef") == (
        "a is better than b; not told apart from c and d (practically equal), "
        "nor from e and f (cannot tell: 12 to 60 repeats might)."
    )
    assert remedies([*repeats.values(), open_verdict("more repeats", 8, None)]) == ": 8 repeats or more might"
    assert remedies([open_verdict("more data")]) == ": only more data can"
    assert remedies([repeats["e"], open_verdict("more data")]) == (
        ": 12 to 40 repeats might, for some only more data can"
    )
    assert remedies([open_verdict()]) == ""


def test_an_interval_of_a_share_ends_at_100_percent(tmp_path):
    study = {"name": "s", "repeats": 3, "models": [{"name": "a"}]}
    with Record.create(
        tmp_path, study_toml="", study=study, environment={}, metrics=METRICS, command="", quick=False
    ) as record:
        values = (0.999, 1.0, 0.95)
        rows = [
            RunRow(variant=0, repeat=r, status="finished", epochs=1, scores={"accuracy": v, "loss": 10 * v})
            for r, v in enumerate(values)
        ]
        record.finish_runs("a", rows)
    results = Reader(tmp_path)
    assert results.summaries()["a"].high == 1.0
    assert results.summaries("loss")["a"].high > 10.0


def test_variants_of_two_protocols_are_compared_within_each_and_with_themselves(tmp_path):
    metrics = [{"name": "accuracy", "label": "Accuracy", "unit": "%", "higher_is_better": True, "primary": True}]
    rng = np.random.default_rng(0)
    with Record.create(
        tmp_path / "r",
        study_toml="",
        study={"name": "s", "repeats": 10, "models": [{"name": "A"}, {"name": "B"}]},
        environment={},
        metrics=metrics,
        command="",
        quick=False,
        variants={
            model: [{"swept": {"lr": 0.1, "split": s}, "protocol": {"split": s}} for s in ("group", "window")]
            for model in "AB"
        },
    ) as record:
        for model, mean in (("A", 0.8), ("B", 0.9)):
            for index, (_, more) in enumerate((("group", 0.0), ("window", 0.09))):
                record.finish_runs(
                    model,
                    [
                        RunRow(
                            variant=index,
                            repeat=repeat,
                            status="finished",
                            epochs=1,
                            scores={"accuracy": mean + more + 0.005 * rng.normal()},
                        )
                        for repeat in range(10)
                    ],
                )
        record.finish()
    results = Reader(tmp_path / "r")
    assert set(results.protocols.values()) == {(("split", "group"),), (("split", "window"),)}
    a_group, a_window, b_group, b_window = (variant.label for variant in results.variants)
    pairs = {frozenset((v.first, v.second)): v for v in results.compare()}
    assert set(pairs) == {
        frozenset(pair) for pair in ((a_group, b_group), (a_window, b_window), (a_group, a_window), (b_group, b_window))
    }
    # The random split is easier: the best under it is not the best.
    assert [entry.label for entry in results.ranking()] == [b_group, a_group, b_window, a_window]
    words = results.verdict_words()
    assert words.headline.startswith(f"{b_group} has the highest accuracy of those with split=group: 90.")
    assert words.best == f"{b_group} is better than {a_group}."
    assert words.others == (f"{b_window} is better than {a_window}.",)
    assert words.protocols == (
        pairs[frozenset((a_group, a_window))].sentence,
        pairs[frozenset((b_group, b_window))].sentence,
    )
    assert words.protocols[0] in words.all()


def test_one_outcome_for_all_of_many_is_said_without_their_names():
    rank = Rank(
        label="a", place=1, groups=(0,), better_than=(), worse_than=(), equal=("b", "c", "d", "e"), undecided={}
    )
    assert rank_sentence(rank, "abcde") == "a is not told apart from any of the 4 others (practically equal)."


def test_one_repeat_of_many_models_is_one_sentence(tmp_path):
    study = {"name": "s", "repeats": 1, "models": [{"name": name} for name in "abc"]}
    with Record.create(
        tmp_path, study_toml="", study=study, environment={}, metrics=METRICS, command="", quick=False
    ) as record:
        for at, name in enumerate("abc"):
            scores = {"accuracy": 0.9 - 0.1 * at, "loss": 1.0}
            record.finish_runs(name, [RunRow(variant=0, repeat=0, status="finished", epochs=1, scores=scores)])
    words = Reader(tmp_path).verdict_words()
    assert (words.best, words.others, words.protocols) == ("", (), ())
    assert words.tally.startswith("None of the 3 pairs can be told apart: 6 repeats or more might.")


# -- how repeats share test examples ----------------------------------------------------------------------------------


def people_record(folder, ahead, *, keep_clusters=True, n_runs=4):
    """Two models on one test set of nine people: in every run, A is ahead on each person by so much."""
    study = {
        "name": "s",
        "repeats": n_runs,
        "models": [{"name": name} for name in "AB"],
        "resampling": [
            {
                "protocol": {}, "overlap": 1.0, "one_pool": False, "reason": "one test set", "more": "people",
                "tested_on": "these 9 people", "beyond": "other people than these 9",
            }
        ],
    }  # fmt: skip
    with Record.create(
        folder, study_toml="", study=study, environment={}, metrics=METRICS, command="", quick=False
    ) as record:
        for name, gain in (("A", ahead), ("B", np.zeros(9))):
            people = np.tile(0.8 + gain, (n_runs, 1))
            scores = people.mean(axis=1)
            if keep_clusters:
                parts = (people - scores[:, None]) / 9
                arrays = {"accuracy": parts, "examples": np.full((n_runs, 9), 10), "repeat": np.arange(n_runs)}
                record.save_clusters(name, {key: value[::-1] for key, value in arrays.items()})
            record.finish_runs(
                name,
                [
                    RunRow(variant=0, repeat=at, status="finished", epochs=1, scores={"accuracy": score, "loss": 1.0})
                    for at, score in enumerate(scores)
                ],
            )
    return Reader(folder)


def test_one_test_set_is_judged_by_its_people(tmp_path):
    ahead = np.array([0.05, -0.02, 0.04, 0.01, -0.03, 0.06, 0.02, 0.00, 0.01])
    (verdict,) = people_record(tmp_path / "few", ahead).compare("accuracy")
    assert verdict.p == pytest.approx(scipy.stats.ttest_1samp(ahead, 0).pvalue)
    assert (verdict.test, verdict.outcome, verdict.beyond) == (
        "clustered-t",
        "cannot tell",
        "other people than these 9",
    )
    (verdict,) = people_record(tmp_path / "clear", ahead + 0.05).compare("accuracy")
    assert verdict.winner == "A"
    assert "for other people than these 9" in verdict.sentence


def test_one_test_set_without_clusters_says_nothing_of_other_data(tmp_path):
    (verdict,) = people_record(tmp_path, np.full(9, 0.1), keep_clusters=False).compare("accuracy")
    assert (verdict.outcome, verdict.here) == ("cannot tell", None)
    assert any("identical repeats are no replication" in note for note in verdict.notes)


# -- what [verdict] says before training ------------------------------------------------------------------------------


def test_against_compares_one_model_with_each_of_the_others(tmp_path):
    every, results = build(tmp_path / "every"), build(tmp_path / "one", verdict={"against": "Small"})
    found = results.compare()
    assert [(v.first, v.second) for v in found] == [("Small", "Large"), ("Small", "Twin")]
    assert {v.n_pairs for v in found} == {2}
    assert {v.n_pairs for v in every.compare()} == {3}
    sentences = results.verdict_sentences()
    assert sentences[1] == "Twin is better than Small."
    assert not any("not told apart" in sentence for sentence in sentences)  # the others were not compared


def test_a_margin_calls_two_models_practically_equal(tmp_path):
    (pair,) = build(tmp_path / "wide", ("Large", "Twin"), verdict={"equal_within": 3}).compare()
    assert (pair.outcome, pair.equal_within) == ("practically equal", 0.03)  # points -> fraction
    assert "within 3.0 percentage points" in pair.sentence
    results = build(tmp_path / "narrow", ("Large", "Twin"), verdict={"equal_within": 0.01})
    assert results.compare()[0].outcome == "cannot tell"
    assert results.compare("loss")[0].equal_within is None  # the margin is that of the primary metric


def test_metrics_named_in_advance_share_the_error_rate(tmp_path):
    alone, named = build(tmp_path / "alone"), build(tmp_path / "named", verdict={"metrics": ["loss"]})
    for metric in ("accuracy", "loss"):
        for one, two in zip(alone.compare(metric), named.compare(metric), strict=True):
            assert two.p_corrected == min(2 * one.p_corrected, 1)
            assert two.high - two.low >= one.high - one.low
    assert any("chosen after training" in limit for limit in alone.limits("loss"))
    assert not any("chosen after training" in limit for limit in named.limits("loss"))
