"""Intervals: bootstrap by case, plain and paired, and Student's t over seeds."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Statistic = Callable[..., float]


class Interval(NamedTuple):
    """A value with the bounds of its interval and the number of cases it rests on."""

    value: float
    low: float
    high: float
    cases: int


def bootstrap_interval(
    statistic: Statistic, *samples: ArrayLike, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Return `statistic(*samples)` with its percentile bootstrap interval, cases drawn with replacement.

    Args:
        statistic: function of as many arrays as there are samples; may return NaN (a draw of one class only has no
            AUC): such draws are left out.
        samples: arrays of shape (N, ...), one entry a case; the same cases are drawn from each.
        level: coverage, in (0, 1).
        resamples: number of draws, positive.
        seed: seed of the draws.

    Raises:
        ValueError: if no case is given, lengths differ, or `level` is outside (0, 1).

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile interval).
    """
    arrays = [np.asarray(sample) for sample in samples]
    count = _common_length(arrays)
    if not 0 < level < 1:
        raise ValueError(f"level: expected a coverage between 0 and 1, found {level}")
    draws = np.random.default_rng(seed).integers(0, count, (resamples, count))
    values = np.array([statistic(*(array[draw] for array in arrays)) for draw in draws], dtype=float)
    tail = 50 * (1 - level)
    usable = values[np.isfinite(values)]
    low, high = np.percentile(usable, [tail, 100 - tail]) if usable.size else (np.nan, np.nan)
    return Interval(float(statistic(*arrays)), float(low), float(high), count)


def paired_difference(
    first: ArrayLike, second: ArrayLike, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Return the mean of `first - second` over the same cases with its bootstrap interval.

    Args:
        first, second: (N,), one score a case, in the same order.
        level, resamples, seed: as in :func:`bootstrap_interval`.
    """
    return bootstrap_interval(_mean_difference, first, second, level=level, resamples=resamples, seed=seed)


def seed_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Return the mean of one figure a seed with Student's t interval of that mean; the count is that of the seeds.

    Args:
        values: (N,), a figure of N trainings that differ in their seed; N >= 2.
        level: coverage, in (0, 1).

    Raises:
        ValueError: if there are fewer than two seeds.
    """
    from scipy.stats import t

    sample = np.asarray(values, dtype=float)
    if sample.size < 2:
        raise ValueError(f"values: expected a figure of two seeds or more, found {sample.size}")
    arm = float(t.ppf((1 + level) / 2, sample.size - 1) * sample.std(ddof=1) / np.sqrt(sample.size))
    mean = float(sample.mean())
    return Interval(mean, mean - arm, mean + arm, sample.size)


def _mean_difference(first: NDArray, second: NDArray) -> float:
    return float(np.mean(first - second))


def _common_length(arrays: list[NDArray]) -> int:
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"samples: expected arrays of one length over 0, found lengths {sorted(lengths)}")
    return lengths.pop()
