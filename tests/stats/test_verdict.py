"""Verdicts: outcomes, words, notes, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tenfold.errors import RequestError, ShapeError
from tenfold.stats import MAX_REPEATS, Verdict, holm, max_t, paired_t_test, verdicts

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


def test_cannot_tell_yet_names_a_number_of_repeats() -> None:
    verdict = one(BASE + STEP, BASE)
    assert (verdict.outcome, verdict.winner) == ("cannot tell yet", None)
    assert verdict.repeats_needed == 48  # power.t.test(delta = 0.4140, power = 0.8, type = "one.sample"): 47.7
    assert verdict.sentence.startswith(
        "Cannot tell yet between A and B on accuracy, about 48 repeats would: A measured"
    )


def test_no_difference_says_what_is_still_possible() -> None:
    tiny = STEP - 0.0035
    verdict = one(BASE + tiny, BASE)
    assert (verdict.outcome, verdict.winner, verdict.repeats_needed) == ("no difference found", None, None)
    assert "A measured 0.05 percentage points higher (95 % interval: between" in verdict.sentence
    assert verdict.low < 0 < verdict.high


def test_the_cap_divides_the_two() -> None:
    needed = []
    for shift in np.linspace(0, 0.004, 60):
        verdict = one(BASE + STEP - 0.004 + shift, BASE)
        assert (verdict.outcome == "no difference found") == (verdict.repeats_needed is None)
        needed.append(verdict.repeats_needed)
    told = [number for number in needed if number is not None]
    assert needed[0] is None
    assert max(told) <= MAX_REPEATS
    assert told == sorted(told, reverse=True)


def test_copies_are_no_difference_without_nan_or_warning() -> None:
    verdict = one(BASE, BASE.copy())
    assert (verdict.outcome, verdict.p, verdict.low, verdict.high) == ("no difference found", 1.0, 0.0, 0.0)
    assert verdict.sentence == (
        "No difference found between A and B on accuracy: the same score in all 10 repeats (p = 1)."
    )


def test_a_constant_difference_is_called() -> None:
    verdict = one(BASE + 0.1, BASE)
    assert (verdict.outcome, verdict.p, verdict.effect_size) == ("better", 2 / 1024, math.inf)
    assert "95 % interval 10.0 to 10.0" in verdict.sentence


@pytest.mark.parametrize("n", [2, 3, 5])
def test_below_6_repeats_the_level_is_out_of_reach(n: int) -> None:
    verdict = one(BASE[:n], CLEAR[:n] + 0.2)
    assert verdict.outcome == "cannot tell yet"
    assert verdict.repeats_needed == 6
    assert "at least 6 repeats are needed" in verdict.sentence
    smallest = f"{2 / 2**n:.2g}"
    assert f"0.05 is out of reach below 6 repeats: with {n} the smallest possible p is {smallest}." in verdict.notes
    assert one(BASE[:n], BASE[:n]).outcome == "cannot tell yet"


def test_6_repeats_can_call() -> None:
    assert one(BASE[:6], CLEAR[:6] + 0.2).outcome == "better"
    assert one(BASE[:5], CLEAR[:5] + 0.2, level=0.9).outcome == "better"


@pytest.mark.parametrize(("n", "have"), [(0, "no repeat has"), (1, "only one repeat has")])
def test_one_common_repeat_or_none(n: int, have: str) -> None:
    second = CLEAR.copy()
    second[n:] = np.nan
    verdict = one(BASE, second)
    assert verdict.outcome == "cannot tell yet"
    assert verdict.sentence == f"Cannot tell yet between A and B on accuracy: {have} a score of both."
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
    assert {v.outcome for v in answers} == {"cannot tell yet"}
    assert min(v.p_corrected for v in answers) == pytest.approx(45 * 2 / 1024)
    assert {v.repeats_needed for v in answers} == {11}
    assert (
        "0.05 is out of reach below 11 repeats with Holm over 45 pairs: with 10 the smallest possible p is 0.002 "
        "before the correction."
    ) in answers[0].notes


def test_holm_out_of_reach_for_ever() -> None:
    rng = np.random.default_rng(0)
    scores = {f"m{i}": rng.normal(i, 1, 20) for i in range(33)}  # 528 pairs at 1 in 10,001: 0.053
    verdict = judge(scores, correction="holm")[0]
    assert (verdict.outcome, verdict.repeats_needed) == ("cannot tell yet", None)
    assert "more repeats cannot settle it with this test" in verdict.sentence
    assert "use the max-t correction" in verdict.notes[0]


def test_resampled_repeats_use_the_corrected_test_with_holm() -> None:
    scores = {"A": BASE, "B": CLEAR, "C": BASE + STEP}
    answers = judge(scores, test_over_train=0.2)
    assert {(v.test, v.correction) for v in answers} == {("corrected-t", "holm")}
    assert [v.p_corrected for v in answers] == pytest.approx(holm([v.p for v in answers]).tolist())
    assert answers[0].p > paired_t_test(BASE - CLEAR).p


def test_resampled_repeats_that_can_never_settle_it_say_so() -> None:
    verdict = one(BASE + STEP, BASE, test_over_train=0.5)
    assert (verdict.outcome, verdict.repeats_needed) == ("no difference found", None)
    assert verdict.notes[-1].endswith("even 100 of them would not: only more data can.")
    assert one(BASE + STEP - 0.0039, BASE, test_over_train=0.5).notes == ()  # too small for any design


def test_resampled_repeats_without_spread_count_signs() -> None:
    verdict = one(np.full(10, 0.9), np.full(10, 0.8), test_over_train=1 / 9)
    assert (verdict.outcome, verdict.p, verdict.repeats_needed) == ("cannot tell yet", 2 / 2**4, 18)


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
    assert verdict.difference < 0 < verdict.low
    assert verdict.outcome != "better"
    assert verdict.notes[-1].startswith("The mean and the ranks point in different directions")


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
