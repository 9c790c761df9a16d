"""Displacement of RF frames by the peak of the normalised cross-correlation of windows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter


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

    Every lag is one product of whole frames and one running mean, so the time grows with the number of lags and not
    with the size of the windows. The peak is refined by fitting a cosine to three neighbouring lags, outliers are
    replaced by the median of the neighbourhood.

    Args:
        first, second: RF frames (H, W) of one size, axial first.
        window: samples and lines of a window, odd numbers; about 10 periods of the pulse by 3 lines.
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
    rows = np.arange(step // 2, first.shape[0], step)
    scores = _scores(first, second, window, axial_lags, lateral_lags, rows)
    best = scores.reshape(-1, *scores.shape[2:]).argmax(0)
    peak_axial, peak_lateral = np.divmod(best, len(lateral_lags))
    axial = axial_lags[peak_axial] + _refinement(scores, peak_axial, peak_lateral, 0)
    lateral = lateral_lags[peak_lateral] + _refinement(scores, peak_axial, peak_lateral, 1)
    quality = np.take_along_axis(scores.reshape(-1, *best.shape), best[None], 0)[0]
    fields = (median_filter(axial, median, mode="nearest"), median_filter(lateral, median, mode="nearest"), quality)
    return Track(*(_spread(field, rows, first.shape[0]) for field in fields))


def local_correlation(first: NDArray, second: NDArray, window: tuple[int, int] = (81, 3)) -> NDArray:
    """Return the normalised correlation of two frames (H, W) in a window around each pixel, 0 where one is constant."""
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    power = uniform_filter(a * a, window) * uniform_filter(b * b, window)
    product = uniform_filter(a * b, window)
    floor = 1e-12 * float(power.max()) + 1e-300
    return np.where(power > floor, product / np.sqrt(np.maximum(power, floor)), 0.0)


def _check(first: NDArray, second: NDArray, window: tuple[int, int]) -> None:
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"first, second: expected two frames (H, W) of one size, found {first.shape}, {second.shape}")
    if first.shape[0] < window[0] or first.shape[1] < window[1]:
        raise ValueError(f"window: {window} is larger than the frames of {first.shape}")


def _scores(
    first: NDArray, second: NDArray, window: tuple[int, int], axial: NDArray, lateral: NDArray, rows: NDArray
) -> NDArray:
    """Return the correlation (axial lags, lateral lags, window rows, W); 0 where a window leaves the frame."""
    a, b = np.asarray(first, dtype=np.float32), np.asarray(second, dtype=np.float32)
    # Scaled so that products neither vanish nor overflow; the correlation does not depend on it.
    a, b = _unit(a), _unit(b)
    reach = (int(axial.max()), int(lateral.max()))
    wide = np.pad(b, [(reach[0], reach[0]), (reach[1], reach[1])])
    power_a = _mean(a * a, window)[rows]
    power_wide = _mean(wide * wide, window)
    height, width = a.shape
    scores = np.zeros((len(axial), len(lateral), len(rows), width), dtype=np.float32)
    for i in range(len(axial)):
        for j in range(len(lateral)):
            product = _mean(a * wide[i : i + height, j : j + width], window)[rows]
            # Running sums may end a rounding error below 0 where there is no signal.
            power = np.maximum(power_a * power_wide[i + rows, j : j + width], 0)
            np.divide(product, np.sqrt(power), out=scores[i, j], where=power > 1e-12)
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


def _spread(field: NDArray, rows: NDArray, height: int) -> NDArray:
    """Return `field`, known at `rows`, on all rows: linear between, constant slope kept beyond the outer ones."""
    if len(rows) == 1:
        return np.repeat(field, height, axis=0)
    place = (np.arange(height) - rows[0]) / (rows[1] - rows[0])
    base = np.clip(np.floor(place).astype(int), 0, len(rows) - 2)
    share = (place - base)[:, None]
    return (1 - share) * field[base] + share * field[base + 1]
