"""Estimators: statistics of windows against slow loops, the built-in ones against scikit-learn, seeds."""

from __future__ import annotations

import inspect
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import linear_model
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import StandardScaler

from tenfold.errors import RequestError
from tenfold.models import ESTIMATORS, LogisticRegression, ModelFactory, RandomForest, estimators, find_module
from tenfold.models.estimators import as_features, window_statistics

NAMES = sorted(ESTIMATORS)


def windows_of(n: int, steps: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, steps, channels)).astype(np.float32)


def three_classes(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Windows (n, 20, 3) whose classes differ in level, size and frequency, with noise; and the classes."""
    numbers = np.random.default_rng(seed)
    targets = numbers.integers(3, size=n)
    time = np.arange(20)[None, :, None]
    waves = (1 + targets[:, None, None]) * np.sin(2 * np.pi * (0.1 + 0.1 * targets[:, None, None]) * time)
    return (waves + numbers.normal(scale=2.0, size=(n, 20, 3))).astype(np.float32), targets


# -- statistics of windows --------------------------------------------------------------------------------------------


def slow_statistics(window: np.ndarray) -> list[float]:
    """The same of one window (steps, channels), number by number, with the Fourier transform written out."""
    window = window.astype(np.float64)
    steps, channels = window.shape
    signals = [window[:, c] for c in range(channels)]
    if channels % 3 == 0:
        for c in range(0, channels, 3):
            signals.append(np.array([np.linalg.norm(row[c : c + 3]) for row in window]))

    def of_values(signal: np.ndarray) -> list[float]:
        moves = [abs(b - a) for a, b in itertools.pairwise(signal)] or [0.0]
        levels = [np.quantile(signal, share) for share in (0, 0.25, 0.5, 0.75, 1)]
        return [np.mean(signal), np.std(signal), *levels, np.mean(moves), np.mean(np.square(signal))]

    def of_spectrum(signal: np.ndarray) -> list[float]:
        power, places = [], [k / steps for k in range(1, steps // 2 + 1)]
        for place in places:
            wave = np.exp(-2j * np.pi * place * np.arange(steps))
            both_sides = 1 if place == 0.5 else 2
            power.append(both_sides * abs((signal - signal.mean()) @ wave) ** 2 / steps**2)
        # Octaves (0.25, 0.5], (0.125, 0.25], ... and all below the fifth.
        edges = [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0]
        bands = [
            np.log(1e-8 + sum(p for p, f in zip(power, places, strict=True) if low < f <= high))
            for high, low in itertools.pairwise(edges)
        ]
        total = sum(power)
        if total < 1e-20:
            return [*bands, 0.0, 0.0, 0.0]
        share = [p / total for p in power]
        centre = sum(p * f for p, f in zip(share, places, strict=True))
        entropy = -sum(p * np.log(p) for p in share if p > 0)
        return [*bands, centre, entropy, places[int(np.argmax(power))]]

    differences = [np.diff(signal) if steps > 1 else np.zeros(1) for signal in signals]
    pairs = [(i, j) for i in range(channels) for j in range(i + 1, channels)]
    constant = [window[:, c].std() < 1e-12 for c in range(channels)]
    together = [
        0.0 if constant[i] or constant[j] else float(np.corrcoef(window[:, i], window[:, j])[0, 1]) for i, j in pairs
    ]
    # Number by number over signals, as the fast ones come.
    parts = [np.array([f(s) for s in which]).T.ravel() for f, which in
             ((of_values, signals), (of_values, differences), (of_spectrum, signals))]  # fmt: skip
    return [*np.concatenate(parts), *together]


@pytest.mark.parametrize(("steps", "channels"), [(32, 3), (31, 6), (2, 2), (1, 3), (128, 1), (7, 4)])
def test_statistics_are_those_of_slow_loops(steps: int, channels: int) -> None:
    windows = windows_of(4, steps, channels)
    expected = np.array([slow_statistics(window) for window in windows])
    np.testing.assert_allclose(window_statistics(windows), expected, rtol=1e-6, atol=1e-8)


def test_a_constant_channel_has_no_power_and_no_correlation() -> None:
    windows = windows_of(2, 16, 2)
    windows[:, :, 1] = 5.0
    found = window_statistics(windows)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, [slow_statistics(window) for window in windows], rtol=1e-6, atol=1e-8)
    assert (found[:, -1] == 0).all()


def test_only_the_valid_steps_count_whatever_the_padding_holds() -> None:
    windows, lengths = windows_of(6, 40, 3), np.array([40, 7, 7, 1, 25, 40])
    expected = np.concatenate([window_statistics(window[None, :n]) for window, n in zip(windows, lengths, strict=True)])
    for padding in (0.0, 1e6, np.nan):
        padded = windows.copy()
        for window, length in zip(padded, lengths, strict=True):
            window[length:] = padding
        np.testing.assert_array_equal(window_statistics(padded, lengths), expected)


def test_more_windows_than_are_taken_at_a_time() -> None:
    windows = windows_of(1100, 8, 2)
    np.testing.assert_array_equal(
        window_statistics(windows), np.concatenate([window_statistics(windows[:300]), window_statistics(windows[300:])])
    )


def test_magnitudes_do_not_know_how_the_sensor_is_turned() -> None:
    windows = windows_of(3, 30, 3).astype(np.float64)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    n_values = 9 * 4  # nine numbers of three channels and their magnitude
    magnitude = np.arange(3, n_values, 4)
    here, there = window_statistics(windows), window_statistics(windows @ turn)
    np.testing.assert_allclose(here[:, magnitude], there[:, magnitude], atol=1e-12)
    assert np.abs(here - there).max() > 0.1


@pytest.mark.parametrize(
    ("inputs", "features", "message"),
    [
        (np.zeros((2, 8, 8, 1)), "statistics", r"need windows \(n, steps, channels\), got shape \(2, 8, 8, 1\)"),
        (np.zeros((2, 8, 0)), "statistics", r"shape \(2, 8, 0\)"),
        ((np.zeros((2, 8, 1)), np.array([8, 0])), "auto", r"lengths: expected 2 integers from 1 to 8"),
        ((np.zeros((2, 8, 1)), np.array([8, 9])), "auto", r"lengths: expected 2 integers from 1 to 8"),
        ((np.zeros((2, 8, 1)), np.array([8])), "auto", r"lengths: expected 2"),
        ((np.zeros((2, 8, 1)), np.array([8, 8])), "flat", r"'flat' needs windows of equal length"),
        (np.zeros((2, 8)), "spectrum", r"features: expected 'auto', 'statistics' or 'flat', got 'spectrum'"),
    ],
)
def test_what_has_no_such_features_is_refused(inputs: Any, features: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        as_features(inputs, features)


def test_pixels_are_laid_side_by_side() -> None:
    pairs = windows_of(5, 2 * 4, 4).reshape(5, 2, 4, 4)
    np.testing.assert_array_equal(as_features(pairs), pairs.reshape(5, 32))
    assert as_features(windows_of(5, 8, 4)).shape != (5, 32)  # windows have statistics


# -- the built-in ones ------------------------------------------------------------------------------------------------


def test_the_list_of_estimators_is_what_the_file_holds() -> None:
    found = {
        value for value in vars(estimators).values()
        if inspect.isclass(value) and value.__module__ == estimators.__name__ and value.__name__ != "Estimator"
    }  # fmt: skip
    assert set(ESTIMATORS.values()) == found
    assert all(find_module(name, base=Path()) is kind for name, kind in ESTIMATORS.items())


@pytest.mark.parametrize("name", NAMES)
def test_options_are_keywords_with_defaults_and_are_described(name: str) -> None:
    described = (inspect.getdoc(ESTIMATORS[name]) or "").partition("Args:")[2]
    made = ESTIMATORS[name]()
    for option in inspect.signature(ESTIMATORS[name]).parameters.values():
        assert option.kind is option.KEYWORD_ONLY
        assert f"{option.name}:" in described
        assert getattr(made, option.name) == option.default


@pytest.mark.parametrize("name", NAMES)
def test_they_learn_what_is_there(name: str) -> None:
    (windows, targets), (others, truth) = three_classes(150), three_classes(90, seed=1)
    found = ModelFactory(name, {}).build_estimator(0).fit(windows, targets).predict_log_proba(others)
    assert found.shape == (90, 3)
    np.testing.assert_allclose(np.exp(found).sum(1), 1, atol=1e-9)
    assert (found.argmax(1) == truth).mean() > 0.8
    lengths = np.full(150, 20)
    again = ModelFactory(name, {}).build_estimator(0).fit((windows, lengths), targets)
    np.testing.assert_array_equal(again.predict_log_proba((others, lengths[:90])), found)


def test_the_forest_is_scikit_learns_with_half_a_vote_more_for_each_class() -> None:
    (windows, targets), (others, _) = three_classes(100), three_classes(60, seed=1)
    found = RandomForest(n_estimators=20, random_state=3).fit(windows, targets).predict_log_proba(others)
    forest = RandomForestClassifier(20, random_state=3).fit(window_statistics(windows), targets)
    share = forest.predict_proba(window_statistics(others))
    np.testing.assert_allclose(np.exp(found), (20 * share + 0.5) / 21.5, atol=1e-12)
    assert (share == 0).any()
    assert np.isfinite(found).all()


def test_the_regression_is_scikit_learns_on_features_standardised_by_the_examples_it_learns_from() -> None:
    (windows, targets), (others, _) = three_classes(100), three_classes(60, seed=1)
    found = LogisticRegression(C=0.1).fit(windows, targets).predict_log_proba(others)
    scale = StandardScaler().fit(window_statistics(windows))
    plain = linear_model.LogisticRegression(C=0.1, max_iter=5000).fit(
        scale.transform(window_statistics(windows)), targets
    )
    np.testing.assert_allclose(found, plain.predict_log_proba(scale.transform(window_statistics(others))), atol=1e-9)
    metres, millimetres = (
        LogisticRegression(features="flat").fit(windows * unit, targets).predict_log_proba(others * unit)
        for unit in (1, 1000)
    )
    np.testing.assert_allclose(metres, millimetres, atol=1e-2)


def test_balanced_classes_weigh_the_rare_ones_up() -> None:
    windows, targets = three_classes(400)
    few = np.flatnonzero((targets != 2) | (np.arange(400) % 20 == 0))
    others, _ = three_classes(200, seed=1)
    plain, balanced = (
        LogisticRegression(class_weight=weight).fit(windows[few], targets[few]).predict_log_proba(others)
        for weight in (None, "balanced")
    )
    assert np.exp(balanced)[:, 2].mean() > np.exp(plain)[:, 2].mean()


# -- built for a run --------------------------------------------------------------------------------------------------

MINE = """
import numpy as np
import torch
from torch import nn
from sklearn.svm import SVC
from sklearn.pipeline import make_pipeline
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, BaggingClassifier
from sklearn.tree import DecisionTreeClassifier

def make_pipe(**options):
    return make_pipeline(PCA(2), RandomForestClassifier(5, **options))

def make_bags():
    return BaggingClassifier(DecisionTreeClassifier(random_state=7))

class Mine:
    def __init__(self, hidden=3, random_state=None):
        self.random_state = random_state
    def fit(self, inputs, targets):
        return self
    def predict_proba(self, inputs):
        return np.full((len(inputs), 2), 0.5)

class NoFit:
    def predict_proba(self, inputs):
        return inputs

class FitOnly:
    def fit(self, inputs, targets):
        return self

class Neither:
    pass

class Net(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
    def fit(self, inputs, targets):
        return self
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def source(folder: Path, name: str, **options: Any) -> ModelFactory:
    return ModelFactory(f"mine.py:{name}", options, folder)


def test_what_is_an_estimator(folder: Path) -> None:
    kinds = {"Mine": True, "make_pipe": True, "NoFit": True, "FitOnly": True, "Neither": False, "Net": False}
    assert {name: source(folder, name).is_estimator for name in kinds} == kinds
    assert all(ModelFactory(name).is_estimator for name in ESTIMATORS)
    assert not ModelFactory("baseline").is_estimator
    assert ModelFactory(RandomForestClassifier).is_estimator


def test_the_seed_reaches_every_open_random_state(folder: Path) -> None:
    assert source(folder, "Mine").build_estimator(2**40 + 5).random_state == 5
    assert source(folder, "Mine", random_state=1).build_estimator(5).random_state == 1
    states = [
        {name: value for name, value in made.get_params().items() if name.endswith("random_state")}
        for made in (source(folder, "make_pipe").build_estimator(seed) for seed in (5, 5, 6))
    ]
    assert set(states[0]) == {"pca__random_state", "randomforestclassifier__random_state"}
    assert states[0] == states[1]
    assert all(states[0][name] != states[2][name] for name in states[0])
    assert states[0]["pca__random_state"] != states[0]["randomforestclassifier__random_state"]
    bags = source(folder, "make_bags").build_estimator(5).get_params()
    assert bags["estimator__random_state"] == 7  # what is set stays
    assert bags["random_state"] is not None


def test_a_seed_decides_the_forest_and_nothing_else_does() -> None:
    windows, targets = three_classes(80)

    def predictions(seed: int) -> np.ndarray:
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        made = ModelFactory("random-forest", {"n_estimators": 5}).build_estimator(seed)
        np.random.rand()  # noqa: NPY002
        return made.fit(windows, targets).predict_log_proba(windows)

    np.testing.assert_array_equal(predictions(1), predictions(1))
    assert not np.array_equal(predictions(1), predictions(2))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NoFit", r"estimator 'mine.py:NoFit': NoFit has no fit\(inputs, targets\)$"),
        ("FitOnly", r"estimator 'mine.py:FitOnly': FitOnly has no predict_log_proba\(inputs\)$"),
        ("Neither", r"Neither has no fit\(inputs, targets\) and no predict_log_proba\(inputs\)"),
        ("Net", r"estimator 'mine.py:Net': Net is an nn.Module$"),
    ],
)
def test_what_is_missing_is_said(folder: Path, name: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        source(folder, name).build_estimator(0)


def test_estimators_are_not_built_as_modules_and_are_found_by_their_names(folder: Path) -> None:
    with pytest.raises(RequestError, match=r"expected an nn.Module, got RandomForest"):
        ModelFactory("random-forest").build(0)
    with pytest.raises(RequestError, match=r"module 'random-forrest' is not built in; did you mean 'random-forest'\?"):
        find_module("random-forrest", base=folder)
    with pytest.raises(RequestError, match=r"mine.py has no 'Mines'; did you mean 'Mine'\?"):
        find_module("mine.py:Mines", base=folder)
