"""Metrics of classifiers, compared with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from tenfold.errors import DataError, ShapeError
from tenfold.metrics import (
    accuracy,
    balanced_accuracy,
    confusion_counts,
    f1_binary,
    f1_macro,
    precision_and_recall,
)

N_CLASSES = 5


def drawn(n_classes: int = N_CLASSES) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, predictions and valid examples of 6 runs: one lacks a class in targets, one in both."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, n_classes, (6, 60))
    prediction = np.where(rng.random((6, 60)) < 0.6, target, rng.integers(0, n_classes, (6, 60)))
    target[1][target[1] == 0] = 1
    for values in (target, prediction):
        values[2][values[2] == 0] = 1
    return target, prediction, rng.random((6, 60)) < 0.8


def test_counts_and_scores_are_those_of_scikit_learn() -> None:
    target, prediction, valid = drawn()
    counts = confusion_counts(target, prediction, N_CLASSES, valid)
    precision, recall = precision_and_recall(counts)
    for run in range(len(target)):
        true, said = target[run, valid[run]], prediction[run, valid[run]]
        labels = list(range(N_CLASSES))
        assert (counts[run] == sklearn_metrics.confusion_matrix(true, said, labels=labels)).all()
        assert accuracy(counts)[run] == pytest.approx(sklearn_metrics.accuracy_score(true, said))
        assert f1_macro(counts)[run] == pytest.approx(sklearn_metrics.f1_score(true, said, average="macro"))
        expected = sklearn_metrics.recall_score(
            true, said, labels=np.unique(true), average="macro", zero_division=0
        )  # balanced_accuracy_score warns about classes that are predicted only
        assert balanced_accuracy(counts)[run] == pytest.approx(expected)
        per_class = {"labels": labels, "average": None, "zero_division": np.nan}
        np.testing.assert_allclose(precision[run], sklearn_metrics.precision_score(true, said, **per_class))
        np.testing.assert_allclose(recall[run], sklearn_metrics.recall_score(true, said, **per_class))
    assert np.isnan(recall[1, 0])
    assert np.isnan([precision[2, 0], recall[2, 0]]).all()


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    target, prediction, _ = drawn()
    counts = confusion_counts(target[3:], prediction[3:], N_CLASSES)
    expected = [sklearn_metrics.balanced_accuracy_score(*pair) for pair in zip(target[3:], prediction[3:], strict=True)]
    np.testing.assert_allclose(balanced_accuracy(counts), expected)


def test_f1_of_two_classes_is_that_of_scikit_learn() -> None:
    target, prediction, _ = drawn(2)
    target[4], prediction[4] = 0, 0
    expected = [sklearn_metrics.f1_score(*pair, zero_division=0) for pair in zip(target, prediction, strict=True)]
    np.testing.assert_allclose(f1_binary(confusion_counts(target, prediction, 2)), expected)
    assert expected[4] == 0
    with pytest.raises(ShapeError, match="two|2, 2"):
        f1_binary(np.zeros((1, 3, 3), dtype=np.int64))


def test_an_index_below_0_is_not_counted() -> None:
    target, prediction, valid = drawn()
    marked = np.where(valid, target, -1)
    expected = confusion_counts(target, prediction, N_CLASSES, valid)
    assert (confusion_counts(marked, prediction, N_CLASSES) == expected).all()
    assert (confusion_counts(target, np.where(valid, prediction, -1), N_CLASSES) == expected).all()
    assert (confusion_counts(marked.astype(np.int16), prediction.astype(np.uint8), N_CLASSES) == expected).all()
    assert (confusion_counts(target, prediction, N_CLASSES) != expected).any()


def test_counts_of_batches_can_be_summed() -> None:
    target, prediction, _ = drawn()
    first, second = (
        confusion_counts(target[:, part], prediction[:, part], N_CLASSES) for part in np.split(np.arange(60), 2)
    )
    assert (first + second == confusion_counts(target, prediction, N_CLASSES)).all()


def test_a_run_without_an_example_is_nan_without_a_warning() -> None:
    counts = confusion_counts(np.array([[-1, -1], [0, 1]]), np.array([[0, 1], [0, 1]]), 2)
    for metric in (accuracy, f1_macro, balanced_accuracy):
        assert np.isnan(metric(counts)).tolist() == [True, False]


def test_wrong_arrays_are_refused() -> None:
    ones = np.ones((2, 3), dtype=np.int64)
    with pytest.raises(ShapeError, match="one shape"):
        confusion_counts(ones, ones[:, :2], 2)
    with pytest.raises(ShapeError, match="one shape"):
        confusion_counts(ones, ones, 2, ones[:1])
    with pytest.raises(DataError, match="class index 1: expected 0 to 0"):
        confusion_counts(ones, ones, 1)
    with pytest.raises(DataError, match="integers"):
        confusion_counts(ones, ones * 1.0, 2)
    assert confusion_counts(ones, ones, 1, np.zeros((2, 3), dtype=bool)).sum() == 0
