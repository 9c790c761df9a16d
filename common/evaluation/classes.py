"""Scores of two classes: area under the ROC curve, and what calls of one class amount to."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def auc(labels: NDArray, scores: NDArray) -> float:
    """Return the area under the ROC curve, ties counted half; NaN where one class is missing."""
    from scipy.stats import rankdata

    positive = np.asarray(labels) == 1
    count, others = int(positive.sum()), int((~positive).sum())
    if count == 0 or others == 0:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


def accuracy(labels: NDArray, called: NDArray) -> float:
    """Return the share of right calls."""
    return float(np.mean(np.asarray(labels) == np.asarray(called)))


def sensitivity(labels: NDArray, called: NDArray) -> float:
    """Return the share of label 1 that is called 1; NaN without any."""
    positive = np.asarray(labels) == 1
    return float(np.mean(np.asarray(called)[positive] == 1)) if positive.any() else float("nan")


def specificity(labels: NDArray, called: NDArray) -> float:
    """Return the share of label 0 that is called 0; NaN without any."""
    return sensitivity(1 - np.asarray(labels), 1 - np.asarray(called))


def precision(labels: ArrayLike, called: ArrayLike) -> float:
    """Return the share of calls of 1 whose label is 1; NaN without any call."""
    return sensitivity(np.asarray(called), np.asarray(labels))


def f1_score(labels: ArrayLike, called: ArrayLike) -> float:
    """Return 2 TP / (2 TP + FP + FN); NaN where nothing is labelled or called 1."""
    actual, found = np.asarray(labels) == 1, np.asarray(called) == 1
    total = int(actual.sum() + found.sum())
    return float(2 * (actual & found).sum() / total) if total else float("nan")
