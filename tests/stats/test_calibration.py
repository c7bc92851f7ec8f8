"""Calibration by simulation: what is stated is what happens, and each check has a twin that shows it can fail.

Two copies of one model are called different at about the stated rate; intervals cover at about the stated level;
a real difference is found. 2000 simulated studies put a true rate of 5 % within 3.5 to 6.5 % almost surely.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from tenfold.stats import (
    against_published,
    compare_pair,
    corrected_t_test,
    holm,
    max_t,
    paired_t_test,
    permutation_test,
    repeats_needed,
    shared_pool_ratio,
    summarise,
    verdicts,
)

STUDIES = 2000
REPEATS = 10
Scores = NDArray[np.float64]


def normal_scores(rng: np.random.Generator, models: int) -> Scores:
    """Copies that share the difficulty of each repeat's split; shape (studies, models, runs)."""
    split = rng.normal(0.8, 0.02, (STUDIES, 1, REPEATS))
    return split + rng.normal(0, 0.01, (STUDIES, models, REPEATS))


def accuracies(rng: np.random.Generator, models: int) -> Scores:
    """Shares of 1000 test examples: coarse numbers, with ties."""
    chance = rng.normal(0.9, 0.01, (STUDIES, 1, REPEATS))
    return rng.binomial(1000, np.broadcast_to(chance, (STUDIES, models, REPEATS))) / 1000


def skewed_losses(rng: np.random.Generator, models: int) -> Scores:
    """Most runs well, a few badly."""
    return rng.gamma(2.0, 0.1, (STUDIES, models, REPEATS))


KINDS = [normal_scores, accuracies, skewed_losses]


def rate_called(scores: Scores, **options) -> float:
    """Share of studies in which any pair of models is called different."""
    called = 0
    for study in scores:
        answers = verdicts({f"copy {i}": runs for i, runs in enumerate(study)}, **options)
        called += any(answer.outcome == "better" for answer in answers)
    return called / len(scores)


def all_pairs(study: Scores) -> Scores:
    """Differences of all pairs of one study, shape (runs, pairs); rounded, so that ties are ties."""
    first, second = np.transpose(list(combinations(range(len(study)), 2)))
    return np.round(study[first] - study[second], 9).T


# --- independent repeats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_two_copies_are_called_different_at_the_stated_rate(kind: Callable[..., Scores]) -> None:
    rate = rate_called(kind(np.random.default_rng(1), 2))
    print(f"two copies, permutation, {kind.__name__}: {rate:.4f}")
    assert 0.03 <= rate <= 0.07


def test_level_90_calls_twice_as_many() -> None:
    rate = rate_called(normal_scores(np.random.default_rng(2), 2), level=0.9)
    assert 0.08 <= rate <= 0.12


@pytest.mark.parametrize("test", ["wilcoxon", "t"])
def test_the_other_tests_hold_the_rate_too(test: str) -> None:
    rate = rate_called(normal_scores(np.random.default_rng(3), 2), test=test)
    print(f"two copies, {test}: {rate:.4f}")
    assert 0.03 <= rate <= 0.07


@pytest.mark.parametrize("kind", KINDS)
def test_any_call_among_five_copies_is_as_rare_with_max_t(kind: Callable[..., Scores]) -> None:
    scores = kind(np.random.default_rng(4), 5)
    rate = np.mean([max_t(all_pairs(study)).min() <= 0.05 for study in scores])
    print(f"five copies, max-T, {kind.__name__}: {rate:.4f}")
    assert 0.03 <= rate <= 0.07


def test_the_whole_way_through_verdicts_with_four_copies() -> None:
    scores = normal_scores(np.random.default_rng(5), 4)
    corrected = rate_called(scores[:1000])
    cautious = rate_called(scores[:500], correction="holm")
    print(f"four copies, verdicts: max-T {corrected:.4f}, Holm {cautious:.4f}")
    assert 0.03 <= corrected <= 0.07
    assert 0.01 <= cautious <= 0.07


def test_ten_copies_with_max_t_and_what_happens_without_a_correction() -> None:
    scores = normal_scores(np.random.default_rng(6), 10)
    gaps = [all_pairs(study) for study in scores]
    rate = np.mean([max_t(gap).min() <= 0.05 for gap in gaps])
    plain = np.mean([scipy_stats.ttest_1samp(gap, 0).pvalue.min() <= 0.05 for gap in gaps])
    cautious = np.mean([holm(scipy_stats.ttest_1samp(gap, 0).pvalue).min() <= 0.05 for gap in gaps])
    print(f"ten copies: max-T {rate:.4f}, Holm over t tests {cautious:.4f}, no correction {plain:.4f}")
    assert 0.03 <= rate <= 0.07
    assert cautious <= 0.07
    assert plain > 0.5  # the twin: the same data, judged pair by pair


def test_copies_among_real_differences_are_called_no_more_often() -> None:
    rng = np.random.default_rng(7)
    scores = normal_scores(rng, 5) + np.array([0.0, 0.0, 0.0, 0.02, 0.05])[:, None]
    copies = [i for i, (a, b) in enumerate(combinations(range(5), 2)) if b < 3]
    p = np.array([max_t(all_pairs(study)) for study in scores])
    false, true = np.mean(p[:, copies].min(axis=1) <= 0.05), np.mean(np.delete(p, copies, axis=1) <= 0.05)
    print(f"three copies beside two better models: false {false:.4f}, true {true:.4f}")
    assert 0.01 <= false <= 0.07
    assert true > 0.7


# --- power: the same tests do find what is there ----------------------------------------------------------------


def test_a_real_difference_is_found() -> None:
    scores = normal_scores(np.random.default_rng(8), 2)
    scores[:, 0] += 0.0141  # one deviation of the paired difference
    rate = rate_called(scores)
    print(f"d_z = 1, 10 repeats: {rate:.4f}")
    assert 0.74 <= rate <= 0.84  # paired_power says 0.80


@pytest.mark.parametrize(
    ("repeats", "effect", "by_holm_exact", "by_holm_t", "by_max_t"),
    [(8, 2.0, 0.0, 0.65, 0.63), (10, 1.5, 0.0, 0.59, 0.60), (10, 2.0, 0.0, 0.89, 0.90), (15, 1.0, 0.41, 0.46, 0.50)],
)
def test_the_table_of_docs_statistics(
    repeats: int, effect: float, by_holm_exact: float, by_holm_t: float, by_max_t: float
) -> None:
    """Ten models, the first better than nine equal ones: share of its nine differences that each way finds."""
    rng = np.random.default_rng(9)
    signs = np.array([[1, *rest] for rest in product([1, -1], repeat=repeats - 1)], dtype=float)
    found = np.zeros(3)
    for _ in range(100):
        scores = rng.normal(size=(10, repeats))
        scores[0] += effect * np.sqrt(2)  # a difference of two such scores deviates by sqrt 2
        gap = all_pairs(scores)
        exact = np.mean(np.abs(signs @ gap) >= np.abs(gap.sum(axis=0)) - 1e-9, axis=0)
        student = scipy_stats.ttest_1samp(gap, 0).pvalue
        found += [np.mean(p[:9] <= 0.05) / 100 for p in (holm(exact), holm(student), max_t(gap))]
    print(f"{repeats} repeats, d_z = {effect}: Holm exact {found[0]:.3f}, Holm t {found[1]:.3f}, max-T {found[2]:.3f}")
    assert found == pytest.approx([by_holm_exact, by_holm_t, by_max_t], abs=0.05)


@pytest.mark.parametrize("effect", [0.6, 1.0])
def test_the_repeats_asked_for_do_settle_it(effect: float) -> None:
    n = repeats_needed(effect, 1.0)
    assert n is not None
    rng = np.random.default_rng(10)
    rate = np.mean([permutation_test(d).p <= 0.05 for d in rng.normal(effect, 1, (1000, n))])
    print(f"d_z = {effect}, {n} repeats: power {rate:.4f}")
    assert 0.74 <= rate <= 0.88


# --- repeats that share training data ---------------------------------------------------------------------------


def resampled(rng: np.random.Generator, models: int, n_train: int, n_test: int, n_pool: int) -> Scores:
    """Accuracies (models, runs) of real classifiers on random splits of one small pool.

    Each model is the nearest class mean on two features of its own, all equally good: copies in distribution. Which is
    ahead on this pool is an accident of the pool that every repeat shares.
    """
    side = np.where(rng.permutation(n_pool) % 2, 1.0, -1.0)
    features = rng.normal(size=(models, n_pool, 2)) + 0.6 * side[:, None]
    order = np.argsort(rng.random((REPEATS, n_pool)), axis=1)
    train, test = np.zeros((2, REPEATS, n_pool))
    np.put_along_axis(train, order[:, :n_train], 1.0, axis=1)
    np.put_along_axis(test, order[:, n_train : n_train + n_test], 1.0, axis=1)
    up, down = train * (side > 0), train * (side < 0)  # (runs, pool)
    mean_up = up @ features / up.sum(axis=1)[:, None]  # (models, runs, features)
    mean_down = down @ features / down.sum(axis=1)[:, None]
    weight = mean_up - mean_down
    offset = (weight * (mean_up + mean_down) / 2).sum(axis=-1, keepdims=True)
    margin = weight @ features.transpose(0, 2, 1) - offset  # (models, runs, pool)
    return ((margin * side > 0) * test).sum(axis=-1) / n_test


def test_corrected_t_on_repeats_correlated_as_nadeau_and_bengio_model_them() -> None:
    ratio = 1 / 3
    rho = ratio / (1 + ratio)
    rng = np.random.default_rng(11)
    common = rng.normal(0, np.sqrt(rho), (STUDIES, 2, 1))
    scores = 0.8 + 0.01 * (common + rng.normal(0, np.sqrt(1 - rho), (STUDIES, 2, REPEATS)))
    rate = rate_called(scores, test_over_train=ratio)
    plain = rate_called(scores, test="t")
    print(f"correlated repeats: corrected t {rate:.4f}, plain t {plain:.4f}")
    assert 0.03 <= rate <= 0.07
    assert plain > 0.2  # the twin: the same data, taken for independent


@pytest.mark.parametrize(("n_train", "n_test", "n_pool"), [(180, 20, 200), (150, 50, 200), (80, 40, 400)])
def test_corrected_t_on_real_splits_of_a_pool(n_train: int, n_test: int, n_pool: int) -> None:
    rng = np.random.default_rng(12)
    scores = np.array([resampled(rng, 2, n_train, n_test, n_pool) for _ in range(STUDIES)])
    rate = rate_called(scores, test_over_train=shared_pool_ratio(n_test=n_test, n_pool=n_pool))
    gaps = np.round(scores[:, 0] - scores[:, 1], 9)
    plain = np.mean([paired_t_test(d).p <= 0.05 for d in gaps])
    careful = np.mean([corrected_t_test(d, test_over_train=n_test / n_train).p <= 0.05 for d in gaps])
    told = f"{n_train} + {n_test} of {n_pool}"
    print(f"{told}: corrected t {rate:.4f}, with n_test / n_train {careful:.4f}, plain t {plain:.4f}")
    assert 0.03 <= rate <= 0.07
    assert careful <= 0.07
    assert plain > 0.1


def test_corrected_t_with_holm_over_four_copies() -> None:
    rng = np.random.default_rng(13)
    scores = np.array([resampled(rng, 4, 150, 50, 200) for _ in range(1000)])
    rate = rate_called(scores, test_over_train=shared_pool_ratio(n_test=50, n_pool=200))
    print(f"four copies on one pool, corrected t with Holm: {rate:.4f}")
    assert 0.005 <= rate <= 0.07


def test_corrected_t_finds_a_real_difference() -> None:
    rng = np.random.default_rng(14)
    scores = np.array([resampled(rng, 2, 180, 20, 200) for _ in range(200)])
    scores[:, 0] += 0.25
    assert rate_called(scores, test_over_train=1 / 9) > 0.8


# --- intervals --------------------------------------------------------------------------------------------------

SHAPES: dict[str, tuple[Callable[[np.random.Generator], Scores], float]] = {
    "normal": (lambda rng: rng.normal(0.8, 0.02, (STUDIES, REPEATS)), 0.8),
    "skew 0.7 to the left": (lambda rng: 1 - rng.gamma(8, 0.02, (STUDIES, REPEATS)), 1 - 0.16),
    "skew 1 to the right": (lambda rng: rng.gamma(4, 0.1, (STUDIES, REPEATS)), 0.4),
    "accuracy near the top": (lambda rng: rng.beta(40, 2, (STUDIES, REPEATS)), 40 / 42),
    "share of 1000": (lambda rng: rng.binomial(1000, 0.98, (STUDIES, REPEATS)) / 1000, 0.98),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_interval_of_one_model_covers(shape: str) -> None:
    draw, truth = SHAPES[shape]
    answers = [summarise(row) for row in draw(np.random.default_rng(15))]
    rate = np.mean([answer.low <= truth <= answer.high for answer in answers])
    print(f"interval of one model, {shape}: covers {rate:.4f}")
    assert 0.93 <= rate <= 0.97


def test_the_percentile_bootstrap_does_not() -> None:
    rng = np.random.default_rng(16)
    scores = rng.normal(0.8, 0.02, (STUDIES, REPEATS))
    draws = rng.multinomial(REPEATS, np.full(REPEATS, 1 / REPEATS), size=1000) / REPEATS
    low, high = np.quantile(scores @ draws.T, [0.025, 0.975], axis=1)
    rate = np.mean((low <= 0.8) & (high >= 0.8))
    print(f"percentile bootstrap, normal: covers {rate:.4f}")
    assert rate < 0.92  # the twin: the coverage test can fail


@pytest.mark.parametrize("test", ["permutation", "wilcoxon", "t"])
def test_the_interval_of_a_difference_covers(test: str) -> None:
    scores = normal_scores(np.random.default_rng(17), 2)
    scores[:, 0] += 0.013
    answers = [compare_pair(first, second, test=test) for first, second in scores]
    rate = np.mean([answer.low <= 0.013 <= answer.high for answer in answers])
    print(f"interval of a difference, {test}: covers {rate:.4f}")
    assert 0.93 <= rate <= 0.97


def test_the_corrected_interval_covers_where_repeats_share_training_data() -> None:
    rng = np.random.default_rng(18)
    scores = np.array([resampled(rng, 2, 150, 50, 200) for _ in range(STUDIES)])
    ratio = shared_pool_ratio(n_test=50, n_pool=200)
    pairs = [compare_pair(*study, test_over_train=ratio) for study in scores]
    of_pairs = np.mean([pair.low <= 0 <= pair.high for pair in pairs])
    truth = float(scores.mean())  # 40,000 runs know it well
    singles = [summarise(study[0], test_over_train=ratio) for study in scores]
    of_singles = np.mean([single.low <= truth <= single.high for single in singles])
    plain = np.mean([single.low <= truth <= single.high for single in map(summarise, scores[:, 0])])
    print(f"shared data: difference {of_pairs:.4f}, one model {of_singles:.4f}, uncorrected {plain:.4f}")
    assert 0.93 <= of_pairs <= 0.97
    assert 0.93 <= of_singles <= 0.97
    assert plain < 0.8


def test_welch_against_published_figures_of_the_same_model() -> None:
    rng = np.random.default_rng(19)
    ours, theirs = rng.normal(0.8, 0.02, (STUDIES, 10)), rng.normal(0.8, 0.02, (STUDIES, 12))
    answers = [
        against_published(a, mean=float(b.mean()), std=float(b.std(ddof=1)), n=12)
        for a, b in zip(ours, theirs, strict=True)
    ]
    rate = np.mean([answer.outcome != "no difference found" for answer in answers])
    covers = np.mean([answer.low <= 0 <= answer.high for answer in answers])
    print(f"Welch: called {rate:.4f}, covers {covers:.4f}")
    assert 0.03 <= rate <= 0.07
    assert 0.93 <= covers <= 0.97
