"""How well a number is predicted: errors, their distribution by bands, and whether features are ordered as it is."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Reduced, mildly reduced, and preserved EF (2021 ESC guidelines for heart failure), in percent.
EF_BANDS = ((0.0, 40.0), (40.0, 50.0), (50.0, 100.0))


def mean_absolute_error(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Return the mean of |predicted - actual| over (N,) cases."""
    first, second = _pair(predicted, actual)
    return float(np.abs(first - second).mean())


def root_mean_square_error(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Return the root of the mean of (predicted - actual)^2 over (N,) cases."""
    first, second = _pair(predicted, actual)
    return float(np.sqrt(np.square(first - second).mean()))


def r_squared(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Return 1 - sum (predicted - actual)^2 / sum (actual - mean)^2; 0 for the mean itself; NaN for one value only."""
    first, second = _pair(predicted, actual)
    spread = np.square(second - second.mean()).sum()
    return float(1 - np.square(first - second).sum() / spread) if spread else float("nan")


def pearson_correlation(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Return Pearson's correlation of (N,) values; NaN where one of the two is constant."""
    first, second = _pair(predicted, actual)
    first, second = first - first.mean(), second - second.mean()
    norm = np.sqrt(np.square(first).sum() * np.square(second).sum())
    return float((first * second).sum() / norm) if norm else float("nan")


class Agreement(NamedTuple):
    """Data of a Bland-Altman plot: means and differences of pairs, the bias and the 95 % limits of agreement."""

    means: NDArray
    differences: NDArray
    bias: float
    lower: float
    upper: float


def bland_altman(predicted: ArrayLike, actual: ArrayLike) -> Agreement:
    """Return the agreement of two ways of measuring, differences as predicted - actual.

    References:
        Bland and Altman, Statistical methods for assessing agreement, Lancet 1986
    """
    first, second = _pair(predicted, actual)
    differences = first - second
    bias = float(differences.mean())
    spread = 1.96 * float(differences.std(ddof=1)) if len(differences) > 1 else float("nan")
    return Agreement((first + second) / 2, differences, bias, bias - spread, bias + spread)


class Band(NamedTuple):
    """The mean absolute error over the cases whose actual value is in [low, high)."""

    low: float
    high: float
    cases: int
    mean_absolute_error: float


def error_by_band(
    predicted: ArrayLike, actual: ArrayLike, bands: tuple[tuple[float, float], ...] = EF_BANDS
) -> list[Band]:
    """Return the mean absolute error in each band of actual values; the last band holds its upper end too."""
    first, second = _pair(predicted, actual)
    found = []
    for low, high in bands:
        inside = (second >= low) & ((second < high) | ((second == high) & (high == bands[-1][1])))
        error = float(np.abs(first - second)[inside].mean()) if inside.any() else float("nan")
        found.append(Band(low, high, int(inside.sum()), error))
    return found


def area_under_curve_below(predicted: ArrayLike, actual: ArrayLike, threshold: float) -> float:
    """Return how often a case under the threshold is predicted lower than one at or over it (ties count half).

    This is the area under the ROC curve of "actual < threshold" by the predicted value; NaN if one side is empty.

    References:
        Hanley and McNeil, The meaning and use of the area under a ROC curve, Radiology 1982
    """
    from scipy.stats import rankdata

    first, second = _pair(predicted, actual)
    below = second < threshold
    positives, negatives = int(below.sum()), int((~below).sum())
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(-first)
    return float((ranks[below].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def feature_order_correlation(features: ArrayLike, actual: ArrayLike) -> float:
    """Return Spearman's correlation of the distances between features with those between values, over all pairs.

    1: the farther apart two cases are in the value, the farther are their features; 0: no such order.

    Args:
        features: (N, F), N at least 3.
        actual: (N,).

    References:
        Zha et al., Rank-N-Contrast, NeurIPS 2023, https://arxiv.org/abs/2210.01189 (figure 1 shows this order)
    """
    from scipy.spatial.distance import pdist
    from scipy.stats import rankdata

    points, values = np.asarray(features, float), np.asarray(actual, float).reshape(-1, 1)
    if len(points) != len(values) or len(points) < 3:
        raise ValueError(f"features, actual: expected as many of each, at least 3, found {len(points)}, {len(values)}")
    return pearson_correlation(rankdata(pdist(points)), rankdata(pdist(values)))


def _pair(predicted: ArrayLike, actual: ArrayLike) -> tuple[NDArray, NDArray]:
    first, second = np.asarray(predicted, float).ravel(), np.asarray(actual, float).ravel()
    if first.shape != second.shape or not first.size:
        raise ValueError(
            f"predicted, actual: expected as many of each, at least one, found {first.size} and {second.size}"
        )
    return first, second
