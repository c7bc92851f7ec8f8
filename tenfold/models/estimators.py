"""Models that are fitted, not trained by gradient descent: the baselines that a network must beat.

An estimator has scikit-learn's methods: ``fit(inputs, targets)`` and ``predict_log_proba(inputs)``. Inputs are an array
(n, ...), or a tuple of windows (n, steps, channels) and lengths (n,) if windows have unequal lengths.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Protocol, Self

import numpy as np

from tenfold.errors import RequestError

__all__ = ["Estimator", "LogisticRegression", "RandomForest", "as_features", "window_statistics"]

Features = Literal["auto", "statistics", "flat"]

_CHUNK = 512  # windows at a time: intermediate results take about ten times their memory
_BANDS = 6  # octaves of the spectrum below half the sampling rate, the lowest one down to 0
_QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_MIN_POWER = 1e-8  # power added before a logarithm


class Estimator(Protocol):
    """What tenfold needs from a model that is fitted."""

    def fit(self, inputs: Any, targets: np.ndarray, /) -> Any:
        """Fit to inputs (n, ...) and their classes, int64 (n,). The returned value is ignored."""
        ...

    def predict_log_proba(self, inputs: Any, /) -> np.ndarray:
        """Log-probabilities (n, classes), one column for each of ``classes_`` if the estimator has this attribute, else
        for each class from 0. ``predict_proba`` or ``decision_function`` also work: decision values are used as logits.
        """
        ...


class RandomForest:
    """A random forest on statistics of windows, or on the raw values.

    scikit-learn's RandomForestClassifier, with its names of the options. If no tree votes for a class, its probability
    would be 0, and one such example makes the mean loss infinite. So probabilities are (votes + 1/2) / (trees +
    classes/2), the estimator of Krichevsky and Trofimov (1981), which does not change their order.

    Args:
        features: "statistics" of each window, see ``window_statistics``; "flat": all values of an example as one row;
            "auto": statistics for windows (n, steps, channels), flat for anything else.
        n_estimators: number of trees.
        max_depth: of a tree; None: each tree grows until its leaves are pure.
        min_samples_leaf: smallest number of examples in a leaf.
        max_features: how many features a split considers: a fraction of them, "sqrt" or "log2".
        class_weight: "balanced" weights each class by one over its number of examples; None: all examples equally.
        random_state: seed; each run of a study passes its own.
    Source: Breiman, Random Forests, Machine Learning 45 (2001).
    """

    def __init__(
        self,
        *,
        features: Features = "auto",
        n_estimators: int = 300,
        max_depth: int | None = None,
        min_samples_leaf: int = 1,
        max_features: float | Literal["sqrt", "log2"] = "sqrt",
        class_weight: Literal["balanced"] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.features: Features = features
        self.n_estimators, self.max_depth = n_estimators, max_depth
        self.min_samples_leaf, self.max_features = min_samples_leaf, max_features
        self.class_weight, self.random_state = class_weight, random_state

    def fit(self, inputs: Any, targets: np.ndarray) -> Self:
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            self.n_estimators,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,  # pyright: ignore[reportArgumentType]  # its stub knows no float
            class_weight=self.class_weight,
            random_state=self.random_state,
        )
        self.forest_ = forest.fit(as_features(inputs, self.features), targets)
        self.classes_ = self.forest_.classes_
        return self

    def predict_log_proba(self, inputs: Any) -> np.ndarray:
        votes = self.n_estimators * self.forest_.predict_proba(as_features(inputs, self.features))
        return np.log((votes + 0.5) / (self.n_estimators + 0.5 * len(self.classes_)))


class LogisticRegression:
    """Multinomial logistic regression on standardised statistics of windows, or on the raw values.

    scikit-learn's LogisticRegression, with its names of the options. Each feature is standardised by its mean and
    standard deviation over the examples that the model is fitted to.

    Args:
        features: "statistics" of each window, see ``window_statistics``; "flat": all values of an example as one row;
            "auto": statistics for windows (n, steps, channels), flat for anything else.
        C: one over the strength of the L2 penalty.
        max_iter: largest number of iterations of the solver (L-BFGS).
        class_weight: "balanced" weights each class by one over its number of examples; None: all examples equally.
        random_state: not used, because the solution is unique; all built-in estimators have this argument.
    """

    def __init__(
        self,
        *,
        features: Features = "auto",
        C: float = 1.0,
        max_iter: int = 5000,
        class_weight: Literal["balanced"] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.features: Features = features
        self.C, self.max_iter, self.class_weight, self.random_state = C, max_iter, class_weight, random_state

    def fit(self, inputs: Any, targets: np.ndarray) -> Self:
        from sklearn import linear_model
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        regression = linear_model.LogisticRegression(C=self.C, max_iter=self.max_iter, class_weight=self.class_weight)
        self.pipeline_ = make_pipeline(StandardScaler(), regression)
        self.pipeline_.fit(as_features(inputs, self.features), targets)
        self.classes_ = self.pipeline_.classes_
        return self

    def predict_log_proba(self, inputs: Any) -> np.ndarray:
        return self.pipeline_.predict_log_proba(as_features(inputs, self.features))


def as_features(inputs: Any, features: Features = "auto") -> np.ndarray:
    """One row of numbers per example, float64 (n, features).

    Args:
        inputs: an array (n, ...), or windows (n, steps, channels) with lengths (n,).
        features: see ``RandomForest``.
    Raises:
        RequestError: for statistics of inputs that are not windows, or flat values of windows of unequal lengths.
    """
    array, lengths = inputs if isinstance(inputs, tuple) else (inputs, None)
    array = np.asarray(array)
    if features not in ("auto", "statistics", "flat"):
        raise RequestError(f"features: expected 'auto', 'statistics' or 'flat', got {features!r}")
    if features == "statistics" or (features == "auto" and array.ndim == 3):
        return window_statistics(array, lengths)
    if lengths is not None:
        raise RequestError("features: 'flat' needs windows of equal length; use 'statistics'")
    return array.reshape(len(array), -1).astype(np.float64)


def window_statistics(windows: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """Features of windows of any length that do not depend on the position of events in the window.

    Signals are the channels and, if their number is a multiple of three (x, y, z of sensors), the magnitude of each
    triple. Of each signal and of its differences between steps: mean, standard deviation, minimum, quartiles, maximum,
    mean absolute difference and mean square. Of the spectrum of each signal (unit of time: one step): the logarithm of
    the power in each of six octaves, centre, entropy and strongest frequency. Of each pair of channels: correlation.

    Similar to the features of Anguita et al. (ESANN 2013); the list is our choice.

    Args:
        windows: (n, steps, channels).
        lengths: (n,) int, how many steps of each window to use, from its start; None for all.
    Returns:
        (n, features) float64; for 9 channels 360 features.
    Raises:
        RequestError: if the inputs are not windows, or a length is not in 1 .. steps.
    Example:
        >>> window_statistics(np.zeros((5, 128, 9))).shape
        (5, 360)
        >>> window_statistics(np.ones((2, 50, 1)), np.array([50, 7])).shape
        (2, 27)
    """
    windows = np.asarray(windows)
    if windows.ndim != 3 or not windows.shape[2]:
        raise RequestError(
            f"features 'statistics' need windows (n, steps, channels), got shape {windows.shape}: use 'flat'"
        )
    n, steps, _ = windows.shape
    lengths = np.full(n, steps) if lengths is None else np.asarray(lengths)
    if lengths.shape != (n,) or (n and not 1 <= lengths.min() <= lengths.max() <= steps):
        raise RequestError(f"lengths: expected {n} integers from 1 to {steps}")
    features = np.empty((n, _statistics(np.zeros((1, 1, windows.shape[2]))).shape[1]))
    for rows, length in _of_equal_length(lengths):
        features[rows] = _statistics(windows[rows, :length].astype(np.float64))
    return features


def _of_equal_length(lengths: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Rows of windows of one length, up to ``_CHUNK`` at a time: without padding no mask is needed."""
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        for start in range(0, len(rows), _CHUNK):
            yield rows[start : start + _CHUNK], int(length)


def _statistics(windows: np.ndarray) -> np.ndarray:
    """The features of windows without padding, (n, steps, channels) float64."""
    n, steps, channels = windows.shape
    signals = windows
    if channels % 3 == 0:
        triples = windows.reshape(n, steps, channels // 3, 3)
        signals = np.concatenate([windows, np.sqrt((triples**2).sum(3))], axis=2)
    differences = np.diff(signals, axis=1) if steps > 1 else np.zeros_like(signals)
    parts = [*_of_values(signals), *_of_values(differences), *_of_spectrum(signals), _correlations(windows)]
    return np.concatenate(parts, axis=1)


def _of_values(signals: np.ndarray) -> list[np.ndarray]:
    """Nine features of each signal, (n, signals) each, from (n, steps, signals)."""
    steps = np.abs(np.diff(signals, axis=1)) if signals.shape[1] > 1 else np.zeros_like(signals)
    # Sorted once: np.quantile takes five times as long along this axis.
    ordered = np.sort(np.moveaxis(signals, 1, 2), axis=2)
    position = np.array(_QUARTILES) * (ordered.shape[2] - 1)
    low, weight = np.floor(position).astype(int), position - np.floor(position)
    high = np.minimum(low + 1, ordered.shape[2] - 1)
    quartiles = ordered[..., low] * (1 - weight) + ordered[..., high] * weight
    return [
        signals.mean(1),
        signals.std(1),
        *np.moveaxis(quartiles, 2, 0),
        steps.mean(1),
        (signals**2).mean(1),
    ]


def _of_spectrum(signals: np.ndarray) -> list[np.ndarray]:
    """Power by octave, centre, entropy and strongest frequency of each signal, (n, signals) each.

    For a window of one step or a constant signal, power, centre, entropy and strongest frequency are 0.
    """
    n, steps, count = signals.shape
    centred = signals - signals.mean(1, keepdims=True)
    # One-sided and without the mean, so that the powers sum to the variance (Parseval).
    power = (np.abs(np.fft.rfft(centred, axis=1)) ** 2)[:, 1:] * (2 / steps**2)
    if steps % 2 == 0:
        power[:, -1] /= 2
    frequency = np.arange(1, steps // 2 + 1) / steps
    octave = np.clip(np.floor(np.log2(0.5 / np.maximum(frequency, 1e-12)) + 1e-9), 0, _BANDS - 1)
    octaves = [np.log(power[:, octave == number].sum(1) + _MIN_POWER) for number in range(_BANDS)]
    total = power.sum(1, keepdims=True)
    if not len(frequency):
        return [*octaves, *(np.zeros((n, count)) for _ in range(3))]
    silent = total[:, 0] < 1e-20
    fraction = power / np.maximum(total, 1e-20)
    centre = (fraction * frequency[:, None]).sum(1)
    entropy = -(fraction * np.log(np.maximum(fraction, 1e-20))).sum(1)
    strongest = frequency[power.argmax(1)]
    return [*octaves, *(np.where(silent, 0.0, value) for value in (centre, entropy, strongest))]


def _correlations(windows: np.ndarray) -> np.ndarray:
    """The correlation of each pair of channels, (n, pairs); 0 if one of them is constant."""
    centred = windows - windows.mean(1, keepdims=True)
    norm = np.sqrt((centred**2).sum(1))
    scaled = centred / np.where(norm < 1e-10, np.inf, norm)[:, None]
    first, second = np.triu_indices(windows.shape[2], 1)
    return np.einsum("nti,ntj->nij", scaled, scaled)[:, first, second]
