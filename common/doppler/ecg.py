"""R peaks of the ECG that is drawn along the upper or lower edge of a Doppler strip."""

import numpy as np
from numpy.typing import NDArray

# Parts of the strip's height in which the line is looked for: the upper edge first.
BANDS = ((0.0, 0.3), (0.7, 1.0))
# A line is thinner than this, in pixels, and brighter than what is beside it by this, in [0, 1].
THICK_PX, BRIGHT = 7, 0.25
# Of BRIGHT, what a pixel of the line has at least; and this percentile of the pixels around.
ON_LINE, CROWD = 0.35, 90
OFF_LINE_COST = 0.02  # of a pixel on the line, where one off it costs 1: the way up a spike and down is not cut short
COLUMNS_PER_S = 120  # as many as a QRS complex needs; a finer strip is thinned
QRS_S, REFRACTORY_S = 0.09, 0.25
# A QRS complex goes up and down by this fraction of the strip's height; all on one strip alike; nothing else by half.
LEAST_TRAVEL, ALIKE, LEAST_ON_LINE = 0.08, 1.6, 0.9


def find_r_peaks(trace: NDArray, seconds_per_px: float) -> NDArray[np.float64]:
    """Return the columns of R peaks in a trace, in its pixels; none where there is no ECG that is clear.

    The ECG is the cheapest way from the left edge to the right through thin bright pixels, near the upper or lower
    edge. A QRS complex is where that way goes up and down the most within 90 ms. The line counts if it is unbroken and
    has two complexes or more, all of much the same size, and nothing else on it that is half as large: a line of text
    or a wave of the spectrum in its place has not.

    Args:
        trace: (H, W) brightness in [0, 1].
        seconds_per_px: of the columns; NaN finds none.
    """
    if not np.isfinite(seconds_per_px) or min(trace.shape) < 2 * THICK_PX:
        return np.empty(0)
    factor = max(1, min(3, int(1 / seconds_per_px / COLUMNS_PER_S)))
    for begin, end in BANDS:
        line = _thinned(_thin_and_bright(trace[int(begin * len(trace)) : int(end * len(trace))]), factor)
        columns = _r_columns(line, seconds_per_px * factor, len(trace) / factor)
        if len(columns):
            return factor * columns + (factor - 1) / 2
    return np.empty(0)


def _thin_and_bright(band: NDArray) -> NDArray[np.float64]:
    from scipy import ndimage

    return np.clip((band - ndimage.grey_opening(band, (THICK_PX, THICK_PX))) / BRIGHT, 0, 1).astype(float)


def _thinned(line: NDArray, factor: int) -> NDArray:
    """Return the largest value of each square of `factor` pixels."""
    height, width = (length // factor for length in line.shape)
    return line[: height * factor, : width * factor].reshape(height, factor, width, factor).max((1, 3))


def _r_columns(line: NDArray, seconds_per_px: float, strip_height: float) -> NDArray[np.float64]:
    from scipy import ndimage

    rows, columns = _cheapest_way(line)
    width = line.shape[1]
    window = max(3, round(QRS_S / seconds_per_px) | 1)
    travel = np.bincount(columns[1:], np.abs(np.diff(rows)), width)
    travel = ndimage.uniform_filter1d(travel, window, mode="constant") * window
    refractory = max(1, int(REFRACTORY_S / seconds_per_px))
    is_top = (travel == ndimage.maximum_filter1d(travel, 2 * refractory + 1)) & (travel >= 0.5 * travel.max())
    tops = np.flatnonzero(is_top)
    found = np.array([int(group.mean()) for group in np.split(tops, np.flatnonzero(np.diff(tops) > refractory) + 1)])
    away = ndimage.distance_transform_cdt(~np.isin(np.arange(width), found)) > window
    inner = found[(found > window) & (found < width - window)]
    usual = np.median(travel[inner]) if len(inner) > 1 else 0.0
    if (
        usual < LEAST_TRAVEL * strip_height
        or (line[rows, columns] >= max(ON_LINE, np.percentile(line, CROWD))).mean() < LEAST_ON_LINE
        or travel[window:-window][away[window:-window]].max(initial=0.0) > usual / 2
        or not usual / ALIKE <= travel[inner].min() <= travel[inner].max() <= usual * ALIKE
    ):
        return np.empty(0)
    return _extremes(rows, columns, inner, window)


def _extremes(rows: NDArray, columns: NDArray, complexes: NDArray, window: int) -> NDArray[np.float64]:
    """Return the columns where the line is the furthest from its level, on the side on which all complexes are."""
    from scipy import ndimage

    width = columns.max() + 1
    highest, lowest = np.full(width, np.inf), np.full(width, -np.inf)
    np.minimum.at(highest, columns, rows)
    np.maximum.at(lowest, columns, rows)
    level = ndimage.median_filter((highest + lowest) / 2, 2 * window + 1)
    near = np.clip(complexes[:, None] + np.arange(-window // 2, window // 2 + 1), 0, width - 1)
    above, below = (level - highest)[near], (lowest - level)[near]
    height = above if above.max(1).sum() >= below.max(1).sum() else below
    is_extreme = height >= height.max(1, keepdims=True) - 0.5
    return np.asarray((near * is_extreme).sum(1) / is_extreme.sum(1))


def _cheapest_way(line: NDArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the pixels on the cheapest way from the left edge to the right."""
    from skimage.graph import MCP_Geometric

    height, width = line.shape
    costs = np.full((height, width + 2), OFF_LINE_COST)  # a free column at each side: the way begins and ends anywhere
    costs[:, 1:-1] += 1 - line
    ways = MCP_Geometric(costs)
    ends = [(row, width + 1) for row in range(height)]
    totals, _ = ways.find_costs([(row, 0) for row in range(height)], ends, find_all_ends=False)
    way = np.array(ways.traceback(ends[int(totals[:, -1].argmin())]))
    rows, columns = way[(way[:, 1] > 0) & (way[:, 1] <= width)].T
    return rows, columns - 1
