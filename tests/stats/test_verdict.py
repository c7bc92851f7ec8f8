"""Verdicts: outcomes, words, notes, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from tenfold.errors import RequestError, ShapeError
from tenfold.stats import (
    MAX_REPEATS,
    Clusters,
    Design,
    Verdict,
    holm,
    max_t,
    paired_t_test,
    permutation_test,
    verdicts,
)

RNG = np.random.default_rng(3)
BASE = RNG.normal(0.80, 0.015, 10)
CLEAR = BASE + 0.03 + RNG.normal(0, 0.008, 10)
STEP = np.array([1, -1, 1, 1, -1, 1, 1, -1, 1, 1]) * 0.01  # mean 0.004, deviation 0.0097: d_z 0.41


def judge(scores: dict, **options) -> list[Verdict]:
    return verdicts(scores, **{"metric": "accuracy", "unit": "%"} | options)


def one(first: np.ndarray, second: np.ndarray, **options) -> Verdict:
    (verdict,) = judge({"A": first, "B": second}, **options)
    return verdict


def test_better_says_who_by_how_much_and_how_sure() -> None:
    verdict = one(BASE, CLEAR)
    assert (verdict.outcome, verdict.winner, verdict.repeats_needed) == ("better", "B", None)
    assert verdict.difference < 0
    assert (verdict.correction, verdict.n_pairs, verdict.p, verdict.p_corrected) == ("none", 1, 2 / 1024, 2 / 1024)
    assert verdict.sentence == (
        "B is better than A on accuracy: 2.9 percentage points higher (95 % interval 2.6 to 3.2, p = 0.002)."
    )


def test_a_lower_loss_wins() -> None:
    verdict = one(BASE, CLEAR, metric="loss", unit="", higher_is_better=False)
    assert (verdict.winner, verdict.superiority) == ("A", 1.0)
    assert verdict.effect_size < 0  # first minus second, whatever is better
    assert verdict.sentence.startswith("A is better than B on loss: 0.0288 lower (95 % interval 0.0255 to 0.0322, p")


def test_cannot_tell_names_numbers_of_repeats() -> None:
    verdict = one(BASE + STEP, BASE)
    assert (verdict.outcome, verdict.winner, verdict.remedy) == ("cannot tell", None, "more repeats")
    assert verdict.repeats_needed == 48  # power.t.test(delta = 0.4140, power = 0.8, type = "one.sample"): 47.7
    assert verdict.repeats_fewest == 11  # d_z of the upper end, 1.1: 9 would be enough, and there are 10
    assert verdict.sentence == (
        "Cannot tell which of A and B is better on accuracy: A measured 0.40 percentage points higher (95 % interval: "
        "between 0.33 percentage points lower and 1.0 higher; p = 0.34). 11 to 48 repeats would, if the true "
        "difference is the one seen or larger."
    )


def test_a_tiny_difference_is_open_and_says_what_is_still_possible() -> None:
    tiny = STEP - 0.0035
    verdict = one(BASE + tiny, BASE)
    assert (verdict.outcome, verdict.winner, verdict.repeats_needed) == ("cannot tell", None, None)
    assert "A measured 0.05 percentage points higher (95 % interval: between" in verdict.sentence
    assert verdict.sentence.endswith(f" {verdict.repeats_fewest} repeats or more might tell, or none would.")
    assert verdict.low < 0 < verdict.high


def test_no_sentence_ever_says_that_there_is_no_difference() -> None:
    for scores in (ten(), {"A": BASE, "B": BASE.copy(), "C": BASE + STEP}):
        assert not any("no difference" in v.sentence.lower() for v in judge(scores))


def test_more_repeats_are_asked_for_the_smaller_the_difference() -> None:
    needed = []
    for shift in np.linspace(0, 0.004, 60):
        verdict = one(BASE + STEP - 0.004 + shift, BASE)
        assert (verdict.outcome, verdict.remedy) == ("cannot tell", "more repeats")
        needed.append(verdict.repeats_needed)
    told = [number for number in needed if number is not None]
    assert needed[0] is None
    assert max(told) <= MAX_REPEATS
    assert told == sorted(told, reverse=True)


def test_copies_are_open_without_nan_or_warning_and_equal_with_a_margin() -> None:
    verdict = one(BASE, BASE.copy())
    assert (verdict.outcome, verdict.p, verdict.low, verdict.high) == ("cannot tell", 1.0, 0.0, 0.0)
    assert verdict.sentence == (
        "Cannot tell which of A and B is better on accuracy: the same score in all 10 repeats (p = 1)."
    )
    assert one(BASE, BASE.copy(), equal_within=0.001).outcome == "practically equal"


def test_practically_equal_is_an_interval_within_the_margin() -> None:
    verdict = one(BASE + STEP, BASE, equal_within=0.011)
    assert (verdict.outcome, verdict.winner, verdict.remedy) == ("practically equal", None, "")
    assert verdict.sentence == (
        "A and B are practically equal on accuracy, within 1.1 percentage points (90 % interval: between 0.20 "
        "percentage points lower and 1.0 higher)."
    )
    alone = permutation_test(STEP, level=0.9)
    assert (alone.low, alone.high) == pytest.approx((-0.002, 0.010))  # the two one-sided tests
    assert (verdict.low, verdict.high) == pytest.approx((-1 / 300, 0.010))
    assert one(BASE + STEP, BASE, equal_within=0.009).outcome == "cannot tell"


def test_a_real_difference_within_the_margin_is_practically_equal() -> None:
    assert one(BASE, CLEAR).outcome == "better"
    assert one(BASE, CLEAR, equal_within=0.04).outcome == "practically equal"
    assert one(BASE, CLEAR, equal_within=0.02).outcome == "better"


def test_a_constant_difference_is_called() -> None:
    verdict = one(BASE + 0.1, BASE)
    assert (verdict.outcome, verdict.p, verdict.effect_size) == ("better", 2 / 1024, math.inf)
    assert "95 % interval 10.0 to 10.0" in verdict.sentence


@pytest.mark.parametrize("n", [2, 3, 5])
def test_below_6_repeats_the_level_is_out_of_reach(n: int) -> None:
    verdict = one(BASE[:n], CLEAR[:n] + 0.2)
    assert verdict.outcome == "cannot tell"
    assert verdict.repeats_fewest == 6
    assert verdict.low <= 0 <= verdict.high
    assert "At least 6 repeats are needed." in verdict.sentence
    smallest = f"{2 / 2**n:.2g}"
    assert f"0.05 is out of reach below 6 repeats: with {n} the smallest possible p is {smallest}." in verdict.notes
    assert one(BASE[:n], BASE[:n]).outcome == "cannot tell"


def test_6_repeats_can_call() -> None:
    assert one(BASE[:6], CLEAR[:6] + 0.2).outcome == "better"
    assert one(BASE[:5], CLEAR[:5] + 0.2, level=0.9).outcome == "better"


@pytest.mark.parametrize(("n", "have"), [(0, "no repeat has"), (1, "only one repeat has")])
def test_one_common_repeat_or_none(n: int, have: str) -> None:
    second = CLEAR.copy()
    second[n:] = np.nan
    verdict = one(BASE, second)
    assert verdict.outcome == "cannot tell"
    assert verdict.sentence == f"Cannot tell which of A and B is better on accuracy: {have} a score of both."
    assert verdict.notes[0].startswith(f"{10 - n} of 10 repeats lack a score of one or both models")


def ten(seed: int = 0, step: float = 0.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"m{i}": 0.8 + step * i + rng.normal(0, 0.005, 10) for i in range(10)}


def test_max_t_is_the_default_and_joint() -> None:
    scores = ten(step=0.02)
    answers = judge(scores)
    assert [(v.first, v.second) for v in answers][:2] == [("m0", "m1"), ("m0", "m2")]
    assert len(answers) == 45
    gaps = np.column_stack([scores[v.first] - scores[v.second] for v in answers])
    assert [v.p_corrected for v in answers] == max_t(gaps).tolist()
    assert {v.correction for v in answers} == {"max-t"}
    assert min(v.p_corrected for v in answers) == 2 / 1024
    assert "after correction for 45 pairs" in answers[0].sentence


def test_holm_over_45_pairs_is_out_of_reach_and_says_so() -> None:
    answers = judge(ten(step=0.02), correction="holm")
    assert {v.outcome for v in answers} == {"cannot tell"}
    assert min(v.p_corrected for v in answers) == pytest.approx(45 * 2 / 1024)
    assert {v.repeats_fewest for v in answers} == {11}
    assert (
        "0.05 is out of reach below 11 repeats with Holm over 45 pairs: with 10 the smallest possible p is 0.002 "
        "before the correction."
    ) in answers[0].notes


def test_holm_out_of_reach_for_ever() -> None:
    rng = np.random.default_rng(0)
    scores = {f"m{i}": rng.normal(i, 1, 20) for i in range(33)}  # 528 pairs at 1 in 10,001: 0.053
    verdict = judge(scores, correction="holm")[0]
    assert (verdict.outcome, verdict.repeats_needed) == ("cannot tell", None)
    assert "More repeats cannot settle it with this test" in verdict.sentence
    assert "use the max-t correction" in verdict.notes[0]


def test_repeats_of_one_pool_use_the_corrected_test_with_holm() -> None:
    scores = {"A": BASE, "B": CLEAR, "C": BASE + STEP}
    answers = judge(scores, design=Design.from_ratio(0.2))
    assert {(v.test, v.correction) for v in answers} == {("corrected-t", "holm")}
    assert [v.p_corrected for v in answers] == pytest.approx(holm([v.p for v in answers]).tolist())
    assert answers[0].p > paired_t_test(BASE - CLEAR).p


def test_only_more_data_can_settle_what_repeats_of_one_pool_share() -> None:
    verdict = one(BASE + STEP, BASE, design=Design.from_ratio(3.0, more="images"))
    assert (verdict.outcome, verdict.remedy, verdict.repeats_fewest) == ("cannot tell", "more data", None)
    assert verdict.sentence.endswith("Only more images can tell: more repeats share what these had.")
    assert one(BASE + STEP + 0.002, BASE, design=Design.from_ratio(0.02)).remedy == "more repeats"


def test_a_pool_says_what_holds_for_other_data_and_what_for_new_draws_from_it() -> None:
    pool = Design.from_ratio(1.0, beyond="other images", tested_on="these 400 images", more="images")
    d = 0.01 + RNG.normal(0, 0.01, 10)
    verdict = one(BASE + d, BASE, design=pool)
    assert verdict.outcome == "cannot tell"
    assert verdict.here == "A"
    assert verdict.sentence.startswith("Cannot tell which of A and B is better on accuracy for other images: A")
    assert "On these 400 images alone, A is better in new training runs (" in verdict.sentence


def test_repeats_of_one_pool_without_spread_count_signs() -> None:
    verdict = one(np.full(10, 0.9), np.full(10, 0.8), design=Design.from_ratio(1 / 9))
    assert (verdict.outcome, verdict.p) == ("cannot tell", 2 / 2**4)


def test_a_pair_that_only_the_correction_holds_back_is_told_so() -> None:
    rng = np.random.default_rng(12)
    scores = {f"m{i}": rng.normal(0.8, 0.01, 10) for i in range(10)}
    held = [v for v in judge(scores) if v.p <= 0.05 < v.p_corrected]
    assert held
    for verdict in held:
        assert verdict.outcome != "better"
        assert verdict.notes[-1].startswith("This pair alone would be called (p = 0.0")
        assert verdict.notes[-1].endswith("but 45 were compared.")


def test_wilcoxon_against_the_mean_is_not_called() -> None:
    d = np.array([0.02, 0.01, 0.03, 0.021, 0.015, 0.025, 0.012, 0.018, 0.022, 0.011, 0.013, -0.9])
    verdict = one(0.5 + d, np.full(12, 0.5), test="wilcoxon")
    assert verdict.p < 0.05
    assert verdict.difference < 0 < verdict.alone_low
    assert verdict.outcome != "better"
    assert verdict.notes[0].startswith("The mean and the ranks point in different directions")


def test_repeats_asked_for_are_more_than_there_are() -> None:
    for seed in range(20):
        for verdict in judge(ten(seed)):
            assert verdict.repeats_needed is None or verdict.repeats_needed > verdict.n


def test_order_swapped_is_the_same_verdict() -> None:
    a, b = one(BASE, CLEAR), judge({"B": CLEAR, "A": BASE})[0]
    assert a.sentence == b.sentence
    assert (a.winner, a.p, a.difference, a.superiority) == (b.winner, b.p, -b.difference, 1 - b.superiority)


def test_as_dict_is_strict_json() -> None:
    scores = {"A": BASE, "B": BASE + 0.1, "C": np.full(10, np.nan)}
    for verdict in judge(scores):
        text = json.dumps(verdict.as_dict(), allow_nan=False)
        assert json.loads(text)["sentence"] == verdict.sentence
    assert judge(scores)[0].as_dict()["effect_size"] is None


def test_a_model_without_scores_takes_no_part_in_the_correction() -> None:
    scores = {"A": BASE, "B": CLEAR, "C": BASE + STEP}
    for correction in ("max-t", "holm"):
        alone = judge(scores, correction=correction)
        beside = judge(scores | {"gone": np.full(10, np.nan)}, correction=correction)
        same = [v for v in beside if "gone" not in (v.first, v.second)]
        assert same == alone
        assert {v.p_corrected for v in beside if v not in same} == {1.0}


def test_the_correction_never_lowers_p() -> None:
    rng = np.random.default_rng(4)
    scores = {f"m{i}": rng.normal(0.8 + 0.006 * i, 0.01, 20) for i in range(4)}
    scores["m1"][3] = math.nan
    for verdict in judge(scores):
        assert verdict.p_corrected >= verdict.p


def test_names_with_underscores_are_spoken() -> None:
    assert "on digit accuracy" in one(BASE, CLEAR, metric="digit_accuracy").sentence


def test_fewer_than_two_models_have_no_pair() -> None:
    assert judge({}) == judge({"A": BASE}) == []


def test_wrong_requests() -> None:
    scores = {"A": BASE, "B": CLEAR}
    with pytest.raises(ShapeError, match="expected as many for every model, got 'A' 10, 'B' 9"):
        judge({"A": BASE, "B": CLEAR[:9]})
    with pytest.raises(ShapeError, match=r"scores of 'B': expected one number per run"):
        judge({"A": BASE, "B": 0.5})
    with pytest.raises(RequestError, match="Unknown correction 'hol': did you mean 'holm'"):
        judge(scores, correction="hol")
    with pytest.raises(RequestError, match="Unknown test 'bayes': known: auto, corrected-t, permutation, t, wilcoxon"):
        judge(scores, test="bayes")
    with pytest.raises(RequestError, match="level: .* got 95"):
        judge(scores, level=95)


# -- one test set -----------------------------------------------------------------------------------------------------

PEOPLE = Design(overlap=1, tested_on="these 9 people", beyond="other people than these 9", more="people")


def by_cluster(clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of runs, and what each cluster adds, from scores of shape (runs, clusters) on clusters of equal size."""
    scores = clusters.mean(axis=1)
    return scores, (clusters - scores[:, None]) / clusters.shape[1]


def on_clusters(first: np.ndarray, second: np.ndarray, **options) -> Verdict:
    (a, of_a), (b, of_b) = by_cluster(first), by_cluster(second)
    n_clusters = first.shape[1]
    clusters = Clusters({"A": of_a, "B": of_b}, np.full(n_clusters, 1 / n_clusters))
    return one(a, b, **{"design": PEOPLE, "clusters": clusters} | options)


def test_identical_runs_on_one_test_set_are_judged_by_its_people() -> None:
    ahead = np.array([0.05, -0.02, 0.04, 0.01, -0.03, 0.06, 0.02, 0.00, 0.01])
    second = np.tile(RNG.normal(0.8, 0.05, 9), (10, 1))
    verdict = on_clusters(second + ahead, second)
    plain = stats.ttest_1samp(ahead, 0)  # ten equal repeats are one
    assert verdict.p == pytest.approx(plain.pvalue)
    assert (verdict.alone_low, verdict.alone_high) == pytest.approx(tuple(plain.confidence_interval(0.95)))
    assert (verdict.outcome, verdict.here, verdict.test) == ("cannot tell", None, "clustered-t")
    assert any(note.endswith("identical repeats are no replication, however many there are.") for note in verdict.notes)
    assert on_clusters(second + ahead + 0.04, second).outcome == "better"  # it can be called


def test_one_item_of_thousands_is_no_evidence() -> None:
    second = np.full((10, 200), 0.9)
    first = second.copy()
    first[:, 7] += 1 / 15  # one of fifteen items of one cluster, in every run
    verdict = on_clusters(first, second)
    assert verdict.outcome == "cannot tell"
    assert verdict.p == pytest.approx(0.32, abs=0.01)
    assert one(first.mean(axis=1), second.mean(axis=1), design=PEOPLE).outcome == "cannot tell"  # without clusters too


def test_new_runs_on_these_people_and_other_people_are_two_sentences() -> None:
    people = np.array([0.15, -0.10, 0.12, 0.01, -0.08, 0.16, 0.02, 0.00, 0.01])
    second = RNG.normal(0.8, 0.01, (10, 9))
    verdict = on_clusters(second + people + RNG.normal(0, 0.01, (10, 9)), second)
    assert (verdict.outcome, verdict.winner, verdict.here, verdict.remedy) == ("cannot tell", None, "A", "more data")
    assert verdict.sentence.startswith(
        "Cannot tell which of A and B is better on accuracy for other people than these 9: A measured"
    )
    assert " Only more people can tell: more repeats share what these had. On these 9 people alone, A is" in (
        verdict.sentence
    )


def test_without_blocks_nothing_is_said_of_other_data() -> None:
    verdict = one(CLEAR, BASE, design=PEOPLE)
    assert (verdict.outcome, verdict.winner, verdict.here) == ("cannot tell", None, "A")
    assert any("nothing can be said of other data" in note for note in verdict.notes)


def test_blocks_that_no_two_repeats_share_add_nothing() -> None:
    first, second = RNG.normal(0.8, 0.05, (10, 1, 3)), RNG.normal(0.82, 0.05, (10, 1, 3))
    parts = {}
    for name, scores in (("A", first), ("B", second)):
        own = np.zeros((10, 30))
        for run in range(10):
            own[run, 3 * run : 3 * run + 3] = (scores[run, 0] - scores[run, 0].mean()) / 3
        parts[name] = own
    clusters = Clusters(parts, np.full(30, 1 / 30))
    a, b = first.mean(axis=(1, 2)), second.mean(axis=(1, 2))
    verdict = one(a, b, design=Design(overlap=0.01), clusters=clusters)
    assert verdict.p == pytest.approx(paired_t_test(a - b).p, rel=1e-6)


# -- runs that fail ---------------------------------------------------------------------------------------------------


def test_a_run_that_failed_counts_and_is_in_the_sentence() -> None:
    failed = np.zeros(10, dtype=bool)
    failed[[2, 5, 7]] = True
    scores = np.where(failed, np.nan, CLEAR)
    left_out = one(BASE, scores)
    verdict = one(BASE, scores, failed={"B": failed}, failed_score=0.1)
    assert left_out.outcome == "better"
    assert verdict.outcome == "cannot tell"
    assert verdict.n == 10
    assert verdict.sentence.endswith("B diverged in 3 of 10 runs.")
    assert one(BASE, scores, failed={"B": failed}).difference < left_out.difference + 0.03  # worst of all, not left out


def test_a_collapsed_run_is_named_with_what_typical_runs_say() -> None:
    scores = CLEAR.copy()
    scores[4] = 0.4
    note = one(BASE, scores).notes[-1]
    assert note.startswith("1 of 10 runs of B collapsed (40.0 %; the others ")
    assert "In typical (median) runs A is" in note


def test_intervals_of_all_pairs_never_contradict_their_verdicts() -> None:
    for seed in range(10):
        for verdict in judge(ten(seed, step=0.004)):
            outside = verdict.low > 0 or verdict.high < 0
            assert outside <= (verdict.outcome == "better")
            if verdict.outcome == "better":
                assert verdict.low >= 0 or verdict.high <= 0
            assert verdict.high - verdict.low >= verdict.alone_high - verdict.alone_low - 0.02


def test_a_margin_that_is_no_margin_is_refused() -> None:
    with pytest.raises(RequestError, match="equal_within: expected a number above 0"):
        one(BASE, CLEAR, equal_within=0.0)
    with pytest.raises(RequestError, match="assumes independent repeats, but they share 100 %"):
        one(BASE, CLEAR, design=PEOPLE, test="wilcoxon")
