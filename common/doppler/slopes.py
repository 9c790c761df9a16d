"""Deceleration time of an E and duration of an A, from the edges of the wave as a reader extends them to the baseline."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Times are looked at in steps of 2 ms, heights in steps of 1/50 of the peak.
STEP_S, HEIGHTS = 0.002, np.arange(0.94, 0.19, -0.02)
BEFORE_S, AFTER_S = 0.16, 0.42
BLUR_S = 0.012


class WaveImage(NamedTuple):
    """Brightness around a wave: a row a height (fraction of the peak, HEIGHTS), a column a time from the peak."""

    brightness: NDArray
    times_s: NDArray


def wave_image(
    image: NDArray, peak: tuple[float, float], baseline_row: float, seconds_per_px: float, heights: NDArray = HEIGHTS
) -> WaveImage:
    """Return the wave with its peak at (x, y) of an (H, W) image; beyond the image it is black."""
    from scipy import ndimage

    times_s = np.arange(-BEFORE_S, AFTER_S, STEP_S)
    x, y = peak
    rows = baseline_row + heights * (y - baseline_row)
    columns = x + times_s / seconds_per_px
    grid = np.broadcast_arrays(rows[:, None], columns[None])
    return WaveImage(ndimage.map_coordinates(image, grid, order=1, mode="constant"), times_s)
