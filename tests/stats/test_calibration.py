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
    Clusters,
    Design,
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
    rate = rate_called(scores, design=Design.from_ratio(ratio))
    plain = rate_called(scores, test="t")
    print(f"correlated repeats: corrected t {rate:.4f}, plain t {plain:.4f}")
    assert 0.03 <= rate <= 0.07
    assert plain > 0.2  # the twin: the same data, taken for independent


@pytest.mark.parametrize(("n_train", "n_test", "n_pool"), [(180, 20, 200), (150, 50, 200), (80, 40, 400)])
def test_corrected_t_on_real_splits_of_a_pool(n_train: int, n_test: int, n_pool: int) -> None:
    rng = np.random.default_rng(12)
    scores = np.array([resampled(rng, 2, n_train, n_test, n_pool) for _ in range(STUDIES)])
    rate = rate_called(scores, design=Design(n_test / n_pool, one_pool=True))
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
    rate = rate_called(scores, design=Design(50 / 200, one_pool=True))
    print(f"four copies on one pool, corrected t with Holm: {rate:.4f}")
    assert 0.005 <= rate <= 0.07


def test_corrected_t_finds_a_real_difference() -> None:
    rng = np.random.default_rng(14)
    scores = np.array([resampled(rng, 2, 180, 20, 200) for _ in range(200)])
    scores[:, 0] += 0.25
    assert rate_called(scores, design=Design(0.1, one_pool=True)) > 0.8


# --- one test set for all repeats -------------------------------------------------------------------------------


def on_one_test_set(
    rng: np.random.Generator, models: int, n_clusters: int, n_runs: int, sizes: tuple[float, float, float]
) -> tuple[dict[str, Scores], Clusters]:
    """Equal models on the same clusters (people): each is a little better or worse on each cluster, and in each run.

    ``sizes`` are the deviations of a run, of a cluster (in every run) and of a cluster in one run, all for the mean.
    """
    of_runs = sizes[0] * np.sqrt(n_runs) * rng.normal(size=(models, n_runs, 1))
    of_clusters = sizes[1] * np.sqrt(n_clusters) * rng.normal(size=(models, 1, n_clusters))
    of_both = sizes[2] * np.sqrt(n_runs * n_clusters) * rng.normal(size=(models, n_runs, n_clusters))
    cells = 0.8 + 0.01 * (of_runs + of_clusters + of_both)
    scores = cells.mean(axis=2)
    names = [f"copy {i}" for i in range(models)]
    parts = (cells - scores[:, :, None]) / n_clusters
    clusters = Clusters(dict(zip(names, parts, strict=True)), np.full(n_clusters, 1 / n_clusters))
    return dict(zip(names, scores, strict=True)), clusters


@pytest.mark.parametrize(
    ("n_clusters", "n_runs", "sizes"),
    [(9, 10, (0.0, 1.0, 0.0)), (9, 10, (1.0, 1.0, 0.5)), (200, 10, (0.3, 1.0, 1.0)), (30, 5, (1.0, 0.0, 0.3))],
    ids=["deterministic, 9 people", "seeds and 9 people", "200 clusters of items", "seeds alone"],
)
def test_equal_models_on_one_test_set_are_called_at_most_at_the_stated_rate(
    n_clusters: int, n_runs: int, sizes: tuple[float, float, float]
) -> None:
    rng = np.random.default_rng(20)
    called = here = 0
    for _ in range(1000):
        scores, clusters = on_one_test_set(rng, 2, n_clusters, n_runs, sizes)
        (verdict,) = verdicts(scores, design=Design(1.0), clusters=clusters)
        called += verdict.outcome == "better"
        here += verdict.here is not None
    print(
        f"{n_clusters} clusters, {n_runs} runs, {sizes}: other data {called / 1000:.3f}, these alone {here / 1000:.3f}"
    )
    assert called / 1000 <= 0.07
    if sizes[1] > 0 and sizes[0] > 0 and n_runs > 5:
        assert here / 1000 > 0.08  # the twin: on these very clusters one of the two is better


def test_five_equal_models_on_nine_people() -> None:
    rng = np.random.default_rng(21)
    called = 0
    for _ in range(300):
        scores, clusters = on_one_test_set(rng, 5, 9, 10, (0.5, 1.0, 0.5))
        called += any(v.outcome == "better" for v in verdicts(scores, design=Design(1.0), clusters=clusters))
    print(f"five copies, nine people: {called / 300:.3f}")
    assert called / 300 <= 0.08


def test_a_real_difference_between_people_is_found() -> None:
    rng = np.random.default_rng(22)
    found = 0
    for _ in range(200):
        scores, clusters = on_one_test_set(rng, 2, 9, 10, (0.5, 1.0, 0.5))
        scores["copy 0"] = scores["copy 0"] + 0.07  # 4 deviations of the mean difference
        found += verdicts(scores, design=Design(1.0), clusters=clusters)[0].winner == "copy 0"
    assert found / 200 > 0.8


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_repeats_that_share_a_part_of_a_test_pool(share: float) -> None:
    """Test sets drawn from 100 clusters that are never trained on: one rule from nearly none shared to all."""
    rng = np.random.default_rng(23)
    n_drawn = round(100 * share)
    called = plain = 0
    for _ in range(1000):
        of_clusters = rng.normal(size=(2, 1, 100))
        cells = of_clusters + 0.5 * rng.normal(size=(2, 10, 100)) + 0.1 * rng.normal(size=(2, 10, 1))
        drawn = np.argsort(rng.random((10, 100)), axis=1) < n_drawn
        scores = (cells * drawn).sum(axis=2) / n_drawn
        parts = (cells - scores[:, :, None]) * drawn / n_drawn
        clusters = Clusters({"a": parts[0], "b": parts[1]}, np.full(100, 0.01))
        named = {"a": scores[0], "b": scores[1]}
        called += verdicts(named, design=Design(share), clusters=clusters)[0].outcome == "better"
        plain += verdicts(named)[0].outcome == "better"
    print(f"{share:.0%} of the test pool in each repeat: {called / 1000:.3f}, taken for independent {plain / 1000:.3f}")
    assert called / 1000 <= 0.07
    assert plain > called


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


@pytest.mark.parametrize("step", [0.0, 0.01])
def test_the_intervals_of_all_pairs_hold_together(step: float) -> None:
    rng = np.random.default_rng(24)
    pairs = list(combinations(range(5), 2))
    truth = np.array([step * (a - b) for a, b in pairs])
    together, alone = 0, 0
    for study in normal_scores(rng, 5)[:500] + step * np.arange(5)[:, None]:
        found = verdicts({str(i): runs for i, runs in enumerate(study)})
        low, high = (np.array([getattr(v, name) for v in found]) for name in ("low", "high"))
        together += bool(((low <= truth + 1e-12) & (truth <= high + 1e-12)).all())
        low, high = (np.array([getattr(v, name) for v in found]) for name in ("alone_low", "alone_high"))
        alone += bool(((low <= truth) & (truth <= high)).all())
    print(f"ten pairs, step {step}: hold together {together / 500:.3f}, those of the pairs alone {alone / 500:.3f}")
    assert together / 500 >= 0.92
    assert alone / 500 < 0.85  # the twin


def test_equal_within_a_margin_is_wrong_at_most_at_the_stated_rate() -> None:
    """Models that differ by exactly the margin: called practically equal in at most 5 %; equal ones often enough."""
    rng = np.random.default_rng(25)
    scores = normal_scores(rng, 2)
    wrong = np.mean([_equal(study[0] + 0.02, study[1]) for study in scores[:1000]])
    right = np.mean([_equal(study[0], study[1]) for study in scores[:1000]])
    print(f"margin of 2 points: wrong {wrong:.3f}, right {right:.3f}")
    assert wrong <= 0.07
    assert right > 0.9


def _equal(first: Scores, second: Scores) -> bool:
    return verdicts({"a": first, "b": second}, equal_within=0.02)[0].outcome == "practically equal"
