"""Scores of called classes beside sensitivity and specificity."""

import numpy as np
from numpy.typing import ArrayLike

from common.metrics.heart_failure import sensitivity


def precision(labels: ArrayLike, called: ArrayLike) -> float:
    """Return the share of calls of 1 whose label is 1; NaN without any call."""
    return sensitivity(np.asarray(called), np.asarray(labels))


def f1_score(labels: ArrayLike, called: ArrayLike) -> float:
    """Return 2 TP / (2 TP + FP + FN); NaN where nothing is labelled or called 1."""
    actual, found = np.asarray(labels) == 1, np.asarray(called) == 1
    total = int(actual.sum() + found.sum())
    return float(2 * (actual & found).sum() / total) if total else float("nan")
