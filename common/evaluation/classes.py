"""Scores of two classes, label 1 or 0; NaN where a score is not defined.

A bootstrap calls them thousands of times on small arrays, where scikit-learn's checks of each argument take 30 to 300
times as long as the counting; the tests compare the two.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve, ties counted half; NaN where one class is missing.

    References:
        Hanley and McNeil, The Meaning and Use of the Area under a ROC Curve, Radiology 1982 (equal to the Wilcoxon
        statistic).
    """
    positive = np.asarray(labels) == 1
    ones = int(positive.sum())
    above = rankdata(scores)[positive].sum() - ones * (ones + 1) / 2
    return _ratio(above, ones * (positive.size - ones))


def accuracy(labels: ArrayLike, called: ArrayLike) -> float:
    """Return the fraction of right calls."""
    return float(np.mean(np.asarray(labels) == np.asarray(called)))


def sensitivity(labels: ArrayLike, called: ArrayLike) -> float:
    """Return the fraction of label 1 that is called 1; NaN without any."""
    label, call = _both(labels, called)
    return _ratio(np.sum(label & call), label.sum())


def specificity(labels: ArrayLike, called: ArrayLike) -> float:
    """Return the fraction of label 0 that is called 0; NaN without any."""
    label, call = _both(labels, called)
    return _ratio(np.sum(~label & ~call), (~label).sum())


def precision(labels: ArrayLike, called: ArrayLike) -> float:
    """Return the fraction of calls of 1 whose label is 1; NaN without any call."""
    label, call = _both(labels, called)
    return _ratio(np.sum(label & call), call.sum())


def f1_score(labels: ArrayLike, called: ArrayLike) -> float:
    """Return 2 TP / (2 TP + FP + FN); NaN where nothing is labelled or called 1."""
    label, call = _both(labels, called)
    return _ratio(2 * np.sum(label & call), label.sum() + call.sum())


def _both(labels: ArrayLike, called: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(labels) == 1, np.asarray(called) == 1


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
