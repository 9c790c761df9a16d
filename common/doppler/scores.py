"""How often a wave is found and how far its velocity is off, with intervals by image: the numbers of table 1."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..evaluation.intervals import Interval, bootstrap_interval


class ImageCounts(NamedTuple):
    """What one image adds to a wave's scores.

    Attributes:
        matched: peaks found within the tolerance.
        false: peaks found where the expert has none.
        missed: expert peaks that were not found.
        differences_cm_s: found - expert velocity of each matched peak with a calibration.
    """

    matched: int
    false: int
    missed: int
    differences_cm_s: tuple[float, ...] = ()


def precision(matched: NDArray, false: NDArray) -> float:
    """Return the share of the found peaks that are right; NaN if none was found."""
    return _share(matched.sum(), matched.sum() + false.sum())


def recall(matched: NDArray, missed: NDArray) -> float:
    """Return the share of the expert's peaks that were found; NaN if there is none."""
    return _share(matched.sum(), matched.sum() + missed.sum())


def f1_score(matched: NDArray, false: NDArray, missed: NDArray) -> float:
    """Return the harmonic mean of precision and recall; NaN if nothing was found and there was nothing to find."""
    return _share(2 * matched.sum(), 2 * matched.sum() + false.sum() + missed.sum())


def bias(count: NDArray, total: NDArray) -> float:
    """Return the mean difference from the number and the sum of the differences of each image."""
    return _share(total.sum(), count.sum())


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


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
