"""Area under the ROC curve, compared with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tenfold.errors import DataError, ShapeError
from tenfold.metrics import roc_auc


def test_it_is_that_of_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(0)
    target, valid = rng.integers(0, 2, (5, 80)), rng.random((5, 80)) < 0.7
    score = np.round(target + rng.normal(size=(5, 80)), 1)  # with ties
    expected = [roc_auc_score(target[run], score[run]) for run in range(5)]
    np.testing.assert_allclose(roc_auc(score, target), expected)
    expected = [roc_auc_score(target[run, valid[run]], score[run, valid[run]]) for run in range(5)]
    np.testing.assert_allclose(roc_auc(score, target, valid), expected)


def test_one_class_or_a_score_that_is_not_finite_is_nan() -> None:
    score = np.array([[0.1, 0.2], [0.1, 0.2], [np.inf, 0.2], [0.1, np.nan], [0.1, 0.2]])
    target = np.array([[1, 1], [0, 0], [0, 1], [0, 1], [0, 1]])
    assert np.isnan(roc_auc(score, target)).tolist() == [True, True, True, True, False]
    valid = np.array([[True, False]] * 5)
    assert np.isnan(roc_auc(score, target, valid)).all()


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(ShapeError, match="one shape"):
        roc_auc(np.ones((2, 3)), np.ones((2, 2)))
    with pytest.raises(DataError, match="expected 0 or 1, got 2"):
        roc_auc(np.ones((1, 2)), np.array([[1, 2]]))
