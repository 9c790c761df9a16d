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
LEAST_SIDE_PX = 64  # of a trace
COLUMNS_PER_S = 120  # as many as a QRS complex needs; a finer strip is thinned
QRS_S, REFRACTORY_S = 0.09, 0.25
# A QRS complex goes up and down by this fraction of the strip's height; all on one strip alike; nothing else as much as
# the last part of it.
LEAST_TRAVEL, ALIKE, LEAST_ON_LINE, MOST_BESIDE = 0.08, 1.6, 0.9, 0.38
# Its spike is narrower than this at half its height; T waves and pulse curves are wider.
MOST_WIDE_S = 0.06
# Between two of them; the longest gap over the shortest, beyond which a beat may be missing. (In fibrillation there are
# such gaps, and no A to be told from E.)
INTERVAL_S, MOST_GAP = (0.3, 1.6), 1.7
LEVEL_S = 0.6  # over which the level of the line is the median: longer than any wave of it


def find_r_peaks(trace: NDArray, seconds_per_px: float) -> NDArray[np.float64]:
    """Return the columns of R peaks in a trace, in its pixels; none where there is no ECG that is clear.

    The ECG is the cheapest way from the left edge to the right through thin bright pixels, near the upper or lower
    edge. A QRS complex is where that way goes up and down the most within 90 ms. The line counts if it is unbroken and
    has two complexes or more, all narrow and of much the same size, none missing between them, and nothing else on it
    that is nearly as large: a line of text, a pulse curve or a wave of the spectrum in its place has not.

    Args:
        trace: (H, W) brightness in [0, 1].
        seconds_per_px: of the columns; NaN finds none.
    """
    is_usable = 0 < seconds_per_px < np.inf and min(trace.shape) >= LEAST_SIDE_PX and np.isfinite(trace).all()
    if not is_usable or trace.shape[1] * seconds_per_px < INTERVAL_S[0]:
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
    if len(inner) < 2:
        return np.empty(0)
    usual, gaps = np.median(travel[inner]), np.diff(inner)
    if (
        usual < LEAST_TRAVEL * strip_height
        or (line[rows, columns] >= max(ON_LINE, np.percentile(line, CROWD))).mean() < LEAST_ON_LINE
        or travel[window:-window][away[window:-window]].max(initial=0.0) > usual * MOST_BESIDE
        or not usual / ALIKE <= travel[inner].min() <= travel[inner].max() <= usual * ALIKE
        or not INTERVAL_S[0] <= np.median(gaps) * seconds_per_px <= INTERVAL_S[1]
        or gaps.max() > MOST_GAP * gaps.min()
    ):
        return np.empty(0)
    r_columns, wide = _extremes(rows, columns, inner, window, round(LEVEL_S / seconds_per_px))
    return r_columns if np.median(wide) * seconds_per_px <= MOST_WIDE_S else np.empty(0)


def _extremes(
    rows: NDArray, columns: NDArray, complexes: NDArray, window: int, level_px: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the columns where the line is furthest from its level, on the side of most complexes, and their widths."""
    from scipy import ndimage

    width = columns.max() + 1
    highest, lowest = np.full(width, np.inf), np.full(width, -np.inf)
    np.minimum.at(highest, columns, rows)
    np.maximum.at(lowest, columns, rows)
    level = ndimage.median_filter((highest + lowest) / 2, level_px)
    near = np.clip(complexes[:, None] + np.arange(-window, window + 1), 0, width - 1)
    above, below = (level - highest)[near], (lowest - level)[near]
    height = above if above.max(1).sum() >= below.max(1).sum() else below
    is_extreme = height >= height.max(1, keepdims=True) - 0.5
    wide = (height >= height.max(1, keepdims=True) / 2).sum(1)
    return (near * is_extreme).sum(1) / is_extreme.sum(1), wide


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
