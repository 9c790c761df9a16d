"""Scores of two classes, label 1 or 0, by scikit-learn; NaN where a score is not defined."""

from collections.abc import Callable

import numpy as np
import sklearn
from numpy.typing import ArrayLike


def _without_checks(score: Callable[..., float], first: ArrayLike, second: ArrayLike, **options: float) -> float:
    """Return `score` without scikit-learn's checks of each argument: a bootstrap calls it thousands of times."""
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        return float(score(np.asarray(first), np.asarray(second), **options))


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve, ties counted half; NaN where one class is missing."""
    from sklearn.metrics import roc_auc_score

    return _without_checks(roc_auc_score, labels, scores) if len(np.unique(labels)) == 2 else float("nan")


def accuracy(labels: ArrayLike, called: ArrayLike) -> float:
    """Return the fraction of right calls."""
    return float(np.mean(np.asarray(labels) == np.asarray(called)))


def sensitivity(labels: ArrayLike, called: ArrayLike) -> float:
    """Return the fraction of label 1 that is called 1; NaN without any."""
    from sklearn.metrics import recall_score

    return _without_checks(recall_score, labels, called, zero_division=np.nan)


def specificity(labels: ArrayLike, called: ArrayLike) -> float:
    """Return the fraction of label 0 that is called 0; NaN without any."""
    from sklearn.metrics import recall_score

    return _without_checks(recall_score, labels, called, pos_label=0, zero_division=np.nan)


def precision(labels: ArrayLike, called: ArrayLike) -> float:
    """Return the fraction of calls of 1 whose label is 1; NaN without any call."""
    from sklearn.metrics import precision_score

    return _without_checks(precision_score, labels, called, zero_division=np.nan)


def f1_score(labels: ArrayLike, called: ArrayLike) -> float:
    """Return 2 TP / (2 TP + FP + FN); NaN where nothing is labelled or called 1."""
    from sklearn import metrics

    return _without_checks(metrics.f1_score, labels, called, zero_division=np.nan)
