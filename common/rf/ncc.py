"""Displacement of RF frames by the peak of the normalised cross-correlation of windows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter

# Variance of a window over that of the liveliest one (-90 dB) at which it counts as constant.
_LEAST_VARIANCE = 1e-9


class Track(NamedTuple):
    """Displacement and its quality on the grid of the first frame.

    Attributes:
        axial, lateral: (H, W) displacement in samples and lines, such that first(p) corresponds to second(p + d).
        correlation: (H, W) normalised correlation at that displacement, in [-1, 1].
    """

    axial: NDArray
    lateral: NDArray
    correlation: NDArray


def track_by_correlation(
    first: NDArray,
    second: NDArray,
    window: tuple[int, int] = (81, 3),
    search: tuple[int, int] = (60, 0),
    step: int = 8,
    median: tuple[int, int] = (9, 9),
) -> Track:
    """Return the displacement of the best correlated window within the search range at each position.

    Every lag is one product of whole frames, summed over steps of rows, and one running mean of the sums, so the time
    grows with the number of lags and not with the size of the windows. The peak is refined by fitting a cosine to three
    neighbouring lags, outliers are replaced by the median of the neighbourhood.

    Args:
        first, second: RF frames (H, W) of one size, axial first.
        window: samples, rounded to an odd number of steps, and lines of a window; about 10 periods of the pulse by 3.
        search: largest displacement in samples and lines.
        step: samples between window centres; the field between them is interpolated linearly.
        median: windows and lines of the median filter, odd numbers; (1, 1) for none.

    Raises:
        ValueError: if the frames are not two-dimensional, differ in size, or are shorter than a window.

    References:
        Ophir et al., Elastography, Ultrasonic Imaging 13, 1991 (method); Cespedes et al., Methods for estimation of
        subsample time delays, Ultrasonic Imaging 17, 1995 (cosine fit).
    """
    _check(first, second, window)
    axial_lags, lateral_lags = (np.arange(-reach, reach + 1) for reach in search)
    scores = _scores(first, second, window, axial_lags, lateral_lags, step)
    best = scores.reshape(-1, *scores.shape[2:]).argmax(0)
    peak_axial, peak_lateral = np.divmod(best, len(lateral_lags))
    axial = axial_lags[peak_axial] + _refinement(scores, peak_axial, peak_lateral, 0)
    lateral = lateral_lags[peak_lateral] + _refinement(scores, peak_axial, peak_lateral, 1)
    quality = np.take_along_axis(scores.reshape(-1, *best.shape), best[None], 0)[0]
    fields = (median_filter(axial, median, mode="nearest"), median_filter(lateral, median, mode="nearest"), quality)
    middles = np.arange(len(quality)) * step + (step - 1) / 2
    return Track(*(spread(field, middles, first.shape[0]) for field in fields))


def local_correlation(first: NDArray, second: NDArray, window: tuple[int, int] = (81, 3)) -> NDArray:
    """Return the correlation coefficient of two frames (H, W) in a window around each pixel.

    It is 0 where a window of either frame is constant, and where its variance is 90 dB below the largest one.
    """

    def mean(values: NDArray) -> NDArray:
        return uniform_filter(values, window)

    a, b = (np.asarray(frame, dtype=float) for frame in (first, second))
    mean_a, mean_b = mean(a), mean(b)
    variances = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    alive = np.logical_and(*(v > _LEAST_VARIANCE * max(float(v.max()), 1e-300) for v in variances))
    covariance = mean(a * b) - mean_a * mean_b
    return np.where(alive, covariance / np.sqrt(np.where(alive, variances[0] * variances[1], 1.0)), 0.0)


def _check(first: NDArray, second: NDArray, window: tuple[int, int]) -> None:
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"first, second: expected two frames (H, W) of one size, found {first.shape}, {second.shape}")
    if first.shape[0] < window[0] or first.shape[1] < window[1]:
        raise ValueError(f"window: {window} is larger than the frames of {first.shape}")


def _scores(
    first: NDArray, second: NDArray, window: tuple[int, int], axial: NDArray, lateral: NDArray, step: int
) -> NDArray:
    """Return the correlation (axial lags, lateral lags, steps of rows, W); 0 where a window leaves the frame."""
    # Scaled so that products neither vanish nor overflow; the correlation does not depend on it.
    a, b = (_unit(np.asarray(frame, dtype=np.float32)) for frame in (first, second))
    steps, width = a.shape[0] // step, a.shape[1]
    reach = (int(axial.max()), int(lateral.max()))
    wide = np.pad(b, [(reach[0], reach[0]), (reach[1], reach[1])])
    blocks = (2 * round((window[0] / step - 1) / 2) + 1, window[1])
    a = a[: steps * step].reshape(steps, step, width)
    power_a = _mean((a * a).sum(1), blocks)
    # A window of an odd number of steps around the middle of one: `uniform_filter` counts an even size from half of it.
    power_wide = step * _mean(wide * wide, (step * blocks[0], blocks[1]))
    middles = np.arange(steps) * step + step // 2
    scores = np.zeros((len(axial), len(lateral), steps, width), dtype=np.float32)
    for i in range(len(axial)):
        for j in range(len(lateral)):
            moved = wide[i : i + steps * step, j : j + width].reshape(steps, step, width)
            product = _mean(np.einsum("bsw,bsw->bw", a, moved), blocks)
            # Running sums may end a rounding error below 0 where there is no signal.
            power = np.maximum(power_a * power_wide[i + middles, j : j + width], 0)
            np.divide(product, np.sqrt(power), out=scores[i, j], where=power > _LEAST_VARIANCE**2)
    return scores


def _unit(frame: NDArray) -> NDArray:
    largest = float(np.abs(frame).max())
    return frame / largest if largest > 0 else frame


def _mean(values: NDArray, window: tuple[int, int]) -> NDArray:
    return uniform_filter(values, window, mode="constant")


def _refinement(scores: NDArray, axial: NDArray, lateral: NDArray, along: int) -> NDArray:
    """Return the offset of the peak of the cosine through three lags along one direction, within half a lag."""
    count = scores.shape[along]
    if count < 3:
        return np.zeros(axial.shape)
    rows, columns = np.indices(axial.shape)
    at = (axial, lateral)[along]
    inner = np.clip(at, 1, count - 2)
    below, peak, above = (
        scores[(inner + s, lateral, rows, columns) if along == 0 else (axial, inner + s, rows, columns)].astype(float)
        for s in (-1, 0, 1)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        frequency = np.arccos((below + above) / (2 * peak))
        offset = -np.arctan((below - above) / (2 * peak * np.sin(frequency))) / frequency
    usable = np.isfinite(offset) & (at == inner) & (np.abs(offset) <= 1)
    return np.where(usable, offset, 0.0)


def spread(field: NDArray, rows: NDArray, height: int) -> NDArray:
    """Return `field`, known at evenly spaced `rows`, on all rows: linear between, slope kept beyond the outer ones."""
    if len(rows) == 1:
        return np.repeat(field, height, axis=0)
    place = (np.arange(height) - rows[0]) / (rows[1] - rows[0])
    base = np.clip(np.floor(place).astype(int), 0, len(rows) - 2)
    fraction = (place - base)[:, None]
    return (1 - fraction) * field[base] + fraction * field[base + 1]
