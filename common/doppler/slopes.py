"""Deceleration time of E, duration of A, rise over fall: edges of the waves, extended to the baseline as readers do."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Times around a peak are looked at in steps of 2 ms, heights in steps of 1/50 of the peak's.
STEP_S, REACH_S = 0.002, 0.46
EARLY = 12  # steps before the peak
HEIGHTS = np.arange(0.9, 0.19, -0.02)
ALWAYS = 0.62  # above this height an edge is always looked at
SIDE_S = 0.008  # on each side of an edge
LEAST_EDGE = 0.7  # of the contrast of the edge's upper part, where it is followed further down
WALLS_CM_S = 18.0  # the band of moving walls hides edges below
LENGTHS_S = {"fall of E": (0.07, 0.45), "rise of A": (0.03, 0.14), "fall of A": (0.04, 0.18)}
# A straight edge begins beside the peak, by these parts of its length: below 0, the peak was found late.
ROUNDINGS = {"fall of E": (-0.05, 0.28), "rise of A": (0.0, 0.28), "fall of A": (0.0, 0.28)}
# Of a wave that may have the other name, or run backwards, as in a mirrored trace.
LENGTHS_S |= dict.fromkeys(("rise of any", "fall of any"), (0.03, 0.45))
ROUNDINGS |= dict.fromkeys(("rise of any", "fall of any"), (-0.05, 0.28))
SHARED, SHARED_SPREAD, SOFTNESS = 1.0, 0.06, 0.05
MOST_SPREAD_S = 0.012  # of a length that is given


def wave_durations_s(
    image: NDArray,
    peaks: Sequence[tuple[float, float]],
    wave: str,
    baseline_row: float,
    cm_s_per_px: float,
    seconds_per_px: float,
) -> NDArray[np.float64]:
    """Return the deceleration time of each E, or the duration of each A; NaN where the trace does not show it.

    Of an edge, straight lines of all lengths through the peak's rounded top are tried; that along which the trace is
    bright before and dark behind, as far down as the edge can be followed, is extended to the baseline. Edges of the
    same wave are alike in all beats of a trace, so each is weighed together with the mean over the others.

    Args:
        image: (H, W) brightness of the trace, in all its pixels.
        peaks: (x, y) of the waves, in its pixels.
        wave: "E" or "A".
        baseline_row: row of velocity 0.
        cm_s_per_px, seconds_per_px: of its rows and columns.

    References:
        Lang et al., J Am Soc Echocardiogr 2015; Nagueh et al., 2016: deceleration time is that from the peak of E along
        its slope to the baseline; the duration of A is taken at the baseline.
    """
    if not len(peaks):
        return np.zeros(0)
    if wave == "E":
        return _edge_lengths_s(image, peaks, "fall of E", baseline_row, cm_s_per_px, seconds_per_px)
    rise, fall = (
        _edge_lengths_s(image, peaks, f"{name} of A", baseline_row, cm_s_per_px, seconds_per_px)
        for name in ("rise", "fall")
    )
    return rise + fall


def log_rise_over_fall(
    image: NDArray,
    peaks: Sequence[tuple[float, float]],
    baseline_row: float,
    cm_s_per_px: float,
    seconds_per_px: float,
) -> NDArray[np.float64]:
    """Return the logarithm of the rise's time over the fall's of each wave; NaN where the trace does not show both.

    Arguments as those of :func:`wave_durations_s`; the peaks are of waves that are alike, whatever their name.
    """
    if not len(peaks):
        return np.zeros(0)
    rise, fall = (
        _edge_lengths_s(image, peaks, f"{name} of any", baseline_row, cm_s_per_px, seconds_per_px)
        for name in ("rise", "fall")
    )
    return np.log(rise / fall)


def _edge_lengths_s(
    image: NDArray,
    peaks: Sequence[tuple[float, float]],
    edge: str,
    baseline_row: float,
    cm_s_per_px: float,
    seconds_per_px: float,
) -> NDArray[np.float64]:
    from scipy import ndimage

    lengths_s, roundings = np.arange(*LENGTHS_S[edge], STEP_S), np.linspace(*ROUNDINGS[edge], 9)
    forward = -1 if edge.startswith("rise") else 1
    scores = np.array(
        [
            _scores(image, peak, lengths_s, roundings, baseline_row, cm_s_per_px, forward * seconds_per_px)
            for peak in peaks
        ]
    )  # fmt: skip
    alike = ndimage.gaussian_filter1d(scores.mean(0), SHARED_SPREAD * 0.5 * LENGTHS_S[edge][1] / STEP_S)
    scores = scores + SHARED * alike * (len(peaks) > 1)
    weights = np.exp((scores - scores.max(1, keepdims=True)) / SOFTNESS)
    weights /= weights.sum(1, keepdims=True)
    mean_s = weights @ lengths_s
    spread_s = np.sqrt(np.maximum(weights @ lengths_s**2 - mean_s**2, 0))
    margin_s = 2 * STEP_S
    is_inside = (mean_s > lengths_s[0] + margin_s) & (mean_s < lengths_s[-1] - margin_s)
    # An edge that leaves the trace is not seen to its end.
    ends = np.array([x for x, _ in peaks]) + 0.8 * mean_s / (forward * seconds_per_px)
    is_inside &= (ends > 0) & (ends < image.shape[1] - 1)
    return np.where(is_inside & (spread_s <= MOST_SPREAD_S), mean_s, math.nan)


def _scores(
    image: NDArray,
    peak: tuple[float, float],
    lengths_s: NDArray,
    roundings: NDArray,
    baseline_row: float,
    cm_s_per_px: float,
    seconds_per_px: float,
) -> NDArray[np.float64]:
    """Return (L,) how well an edge of each length from the peak to the baseline fits, about 1 at best."""
    contrast = _contrast(image, peak, baseline_row, seconds_per_px)
    rounding_s = roundings * lengths_s[:, None]
    times_s = rounding_s[..., None] + (1 - HEIGHTS) * (lengths_s[:, None] - rounding_s)[..., None]
    columns = np.rint(times_s / STEP_S).astype(int).clip(-EARLY, contrast.shape[1] - 1 - EARLY) + EARLY
    along = contrast[np.arange(len(HEIGHTS)), columns]
    upper = int(np.count_nonzero(HEIGHTS >= ALWAYS))
    best = max(float(along[..., :upper].mean(-1).max()), 1e-3)
    followed = np.cumsum(along - LEAST_EDGE * best, axis=-1)
    velocity = max(abs(peak[1] - baseline_row) * cm_s_per_px, 1.0)
    usable = min(max(HEIGHTS[-1], WALLS_CM_S / velocity), ALWAYS) <= HEIGHTS
    usable[: upper - 1] = False
    return np.where(usable, followed, -np.inf).max((1, 2)) / (best * upper)


def _contrast(
    image: NDArray, peak: tuple[float, float], baseline_row: float, seconds_per_px: float
) -> NDArray[np.float64]:
    """Return brightness just before less that just after, at each height (row) and time (column, from EARLY before)."""
    from scipy import ndimage

    side = round(SIDE_S / STEP_S)
    times_s = np.arange(-side - EARLY, round(REACH_S / STEP_S) + side + 1) * STEP_S
    rows = baseline_row + HEIGHTS * (peak[1] - baseline_row)
    grid = np.broadcast_arrays(rows[:, None], (peak[0] + times_s / seconds_per_px)[None])
    around = ndimage.map_coordinates(image, grid, order=1, mode="nearest")
    total = np.pad(np.cumsum(around, axis=1), ((0, 0), (1, 0)))
    at = np.arange(side, around.shape[1] - side)
    before, after = total[:, at + 1] - total[:, at + 1 - side], total[:, at + 1 + side] - total[:, at + 1]
    return (before - after) / side
