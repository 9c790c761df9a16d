"""Found peaks against expert peaks, one to one within a tolerance."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

TYPICAL_BEAT_S = 0.8


class Tolerance(NamedTuple):
    """How far a found peak may be from the expert's, in pixels: along time (x) and along velocity (y)."""

    x_px: float
    y_px: float


def match_peaks(found: ArrayLike, expert: ArrayLike, tolerance: Tolerance) -> list[tuple[int, int]]:
    """Return (index found, index expert) of the one-to-one pairs within the tolerance, sorted.

    Of all assignments with the most pairs, the one with the smallest sum of distances, each distance counted in units
    of the tolerance (Hungarian method).

    Args:
        found: (N, 2), x and y.
        expert: (M, 2).
        tolerance: largest |dx| and |dy| of a pair; positive.

    Raises:
        ValueError: if the tolerance is not positive.
    """
    from scipy.optimize import linear_sum_assignment

    if min(tolerance) <= 0:
        raise ValueError(f"tolerance: expected positive pixels, found {tuple(tolerance)}")
    first, second = (np.asarray(points, float).reshape(-1, 2) for points in (found, expert))
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
    expert_peaks: Sequence[ArrayLike],
    trace_size: tuple[float, float],
    seconds_per_px: float = math.nan,
    beat_share: float = 0.1,
    velocity_share: float = 0.1,
) -> Tolerance:
    """Return a physical tolerance: a share of a beat along time, a share of the velocity range along velocity.

    The paper does not publish its own. A beat is the median interval between expert peaks of one wave; where no wave
    has two peaks it is 0.8 s, and where time is unknown too, a quarter of the trace.

    Args:
        expert_peaks: (M, 2) points of each wave.
        trace_size: height and width of the trace in pixels.
        seconds_per_px: of the columns; NaN if unknown.
        beat_share: share of a beat; positive.
        velocity_share: share of the height of the trace; positive.
    """
    intervals = [np.diff(np.sort(np.asarray(points, float).reshape(-1, 2)[:, 0])) for points in expert_peaks]
    longest: NDArray = max(intervals, key=len) if intervals else np.zeros(0)
    if len(longest):
        beat_px = float(np.median(longest))
    elif math.isfinite(seconds_per_px):
        beat_px = TYPICAL_BEAT_S / seconds_per_px
    else:
        beat_px = trace_size[1] / 4
    return Tolerance(beat_share * beat_px, velocity_share * trace_size[0])
