"""Predicted peaks against the reference, one to one: how often a wave is found, how far its velocity is off."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..evaluation.intervals import Interval, bootstrap_interval


class ImageCounts(NamedTuple):
    """What one image adds to a wave's scores.

    Attributes:
        matched: peaks found within the tolerance.
        false: peaks found where there is none in the reference.
        missed: reference peaks that were not found.
        differences_cm_s: predicted - reference velocity of each matched peak with a calibration.
    """

    matched: int
    false: int
    missed: int
    differences_cm_s: tuple[float, ...] = ()


def precision(matched: NDArray, false: NDArray) -> float:
    """Return the fraction of the found peaks that are right; NaN if none was found."""
    return _ratio(matched.sum(), matched.sum() + false.sum())


def recall(matched: NDArray, missed: NDArray) -> float:
    """Return the fraction of the reference peaks that were found; NaN if there is none."""
    return _ratio(matched.sum(), matched.sum() + missed.sum())


def f1_score(matched: NDArray, false: NDArray, missed: NDArray) -> float:
    """Return the harmonic mean of precision and recall; NaN if nothing was found and there was nothing to find."""
    return _ratio(2 * matched.sum(), 2 * matched.sum() + false.sum() + missed.sum())


def bias(count: NDArray, total: NDArray) -> float:
    """Return the mean difference from the number and the sum of the differences of each image."""
    return _ratio(total.sum(), count.sum())


def standard_deviation(count: NDArray, total: NDArray, squares: NDArray) -> float:
    """Return the standard deviation (n - 1) from number, sum and sum of squares of each image; NaN below 2."""
    n = count.sum()
    if n < 2:
        return float("nan")
    return float(np.sqrt(max(squares.sum() - total.sum() ** 2 / n, 0.0) / (n - 1)))


def wave_agreement(images: Sequence[ImageCounts], resamples: int = 2000, seed: int = 0) -> dict[str, Interval]:
    """Return precision, recall, f1, bias_cm_s and sd_cm_s of one wave, each with its interval over images.

    Peaks are pooled over images, as in the paper; the bootstrap draws whole images, because peaks of one image share
    its gain, scale and patient.

    Args:
        images: one entry an image, at least one.
        resamples: draws of the bootstrap.
        seed: seed of the draws.

    Raises:
        ValueError: if no image is given.
    """
    matched, false, missed = (np.array([image[index] for image in images], float) for index in range(3))
    count = np.array([len(image.differences_cm_s) for image in images], float)
    total = np.array([np.sum(image.differences_cm_s) for image in images], float)
    squares = np.array([np.sum(np.square(image.differences_cm_s)) for image in images], float)
    statistics: dict[str, tuple[Callable[..., float], tuple[NDArray, ...]]] = {
        "precision": (precision, (matched, false)),
        "recall": (recall, (matched, missed)),
        "f1": (f1_score, (matched, false, missed)),
        "bias_cm_s": (bias, (count, total)),
        "sd_cm_s": (standard_deviation, (count, total, squares)),
    }
    return {
        name: bootstrap_interval(statistic, *samples, resamples=resamples, seed=seed)
        for name, (statistic, samples) in statistics.items()
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


TYPICAL_BEAT_S = 0.8


class Tolerance(NamedTuple):
    """How far a predicted peak may be from the reference, in pixels: along time (x) and along velocity (y)."""

    x_px: float
    y_px: float


def match_peaks(predicted: ArrayLike, reference: ArrayLike, tolerance: Tolerance) -> list[tuple[int, int]]:
    """Return (index predicted, index reference) of the one-to-one pairs within the tolerance, sorted.

    Of all assignments with the most pairs, the one with the smallest sum of distances, each distance counted in units
    of the tolerance (Hungarian method).

    Args:
        predicted: (N, 2), x and y.
        reference: (M, 2).
        tolerance: largest |dx| and |dy| of a pair; positive.

    Raises:
        ValueError: if the tolerance is not positive.
    """
    from scipy.optimize import linear_sum_assignment

    if min(tolerance) <= 0:
        raise ValueError(f"tolerance: expected positive pixels, found {tuple(tolerance)}")
    first, second = (np.asarray(points, float).reshape(-1, 2) for points in (predicted, reference))
    if not len(first) or not len(second):
        return []
    offset = np.abs(first[:, None] - second[None]) / np.asarray(tolerance)
    distance = np.hypot(offset[..., 0], offset[..., 1])
    is_close = (offset <= 1).all(-1)
    # A forbidden pair costs more than all allowed ones together, so that it is taken only where none is left.
    forbidden = 2.0 * (len(first) + len(second))
    rows, columns = linear_sum_assignment(np.where(is_close, distance, forbidden))
    return sorted((int(i), int(j)) for i, j in zip(rows, columns, strict=True) if is_close[i, j])


def peak_tolerance(
    reference_peaks: Sequence[ArrayLike],
    trace_size: tuple[float, float],
    seconds_per_px: float = math.nan,
    beat_fraction: float = 0.1,
    velocity_fraction: float = 0.1,
) -> Tolerance:
    """Return a physical tolerance: a fraction of a beat along time, a fraction of the velocity range along velocity.

    The paper does not publish its own. A beat is the median interval between reference peaks of a wave; where no wave
    has two it is 0.8 s, and where time is unknown too, a quarter of the trace.

    Args:
        reference_peaks: (M, 2) points of each wave.
        trace_size: height and width of the trace in pixels.
        seconds_per_px: of the columns; NaN if unknown.
        beat_fraction: fraction of a beat; positive.
        velocity_fraction: fraction of the height of the trace; positive.
    """
    intervals = [np.diff(np.sort(np.asarray(points, float).reshape(-1, 2)[:, 0])) for points in reference_peaks]
    longest: NDArray = max(intervals, key=len) if intervals else np.zeros(0)
    if len(longest):
        beat_px = float(np.median(longest))
    elif math.isfinite(seconds_per_px):
        beat_px = TYPICAL_BEAT_S / seconds_per_px
    else:
        beat_px = trace_size[1] / 4
    return Tolerance(beat_fraction * beat_px, velocity_fraction * trace_size[0])
