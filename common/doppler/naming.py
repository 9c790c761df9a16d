"""Which of the tops in the heat maps are waves, and of which name: decided for all beats of a trace together."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Seconds from one wave to the next, by their names, at heart rates of 45 to 120: shortest and longest usual ones. From
# A to the next E systole passes, which varies little.
INTERVALS = {"EA": (0.1, 0.75), "AE": (0.42, 0.68), "EE": (0.6, 1.4), "AA": (0.6, 1.4)}
# The same at 100 to 200 a minute, and the log odds against so fast a heart before anything is seen.
FAST_INTERVALS = {"EA": (0.08, 0.25), "AE": (0.22, 0.42), "EE": (0.3, 0.6), "AA": (0.3, 0.6)}
FAST_COSTS = 2.0
# A heart in sinus rhythm has an A in each beat, one in fibrillation has none: between two E of the first an A is
# missing, and between two A an E.
SINUS = {"EA": 0.0, "AE": 0.0, "EE": 1.0, "AA": 1.5}
FIBRILLATION = {"EE": 0.0}
# Log odds against fibrillation before anything is seen: one patient in seven has it.
FIBRILLATION_COSTS = 1.8
# Seconds from the R peak to E, at a heart rate, and from A to the R peak. Systole: Weissler et al. 1968, men, from Q to
# the aortic valve's closure; E peaks about 0.15 s after that.
SYSTOLE_S, SYSTOLE_S_BPM, TO_E_S, A_TO_R_S = 0.506, 0.0021, 0.15, 0.04
# They may be off by the first without a cost; beyond, half the square in units of the second, at most ECG_COSTS. A
# trace whose ECG says nothing of its waves costs the last, less than one of them can: it may lag, or be no ECG.
ECG_FREE_S, ECG_UNIT_S, ECG_COSTS, NO_ECG_COSTS = 0.06, 0.06, 4.0, 3.0
# Beats from an R peak within which it says something of an E, and of an A: further away one was missed.
ECG_E_BEATS, ECG_A_BEATS = 1.2, 0.6
# Others cost half the square of the logarithm's distance in these units, at most: too short an interval is none, in a
# long one waves may have been missed.
UNIT, SHORT_COSTS, LONG_COSTS = 0.15, 8.0, 2.0
# A second look takes intervals that occur this often in the trace from the trace: their median times these.
OFTEN, OWN = 3, (0.8, 1.25)
CLIP = 0.02
EDGE_S, EDGE_PX = 0.025, 3.0
LEAST_CM_S = 15.0


class Tops(NamedTuple):
    """Tops of the heat maps in order of time.

    Attributes:
        points: (N, 2, 2), x and y in the map of E and in that of A; of a top in one map only, the same twice.
        heights: (N, 2) in both maps, 0 where there is none.
    """

    points: NDArray
    heights: NDArray


class Choice(NamedTuple):
    """A top taken as a wave: which, its wave (0 is E, 1 is A), and by how much it beats the best other reading."""

    top: int
    wave: int
    margin: float


def merged_tops(points: NDArray, heights: NDArray, distance_px: float) -> Tops:
    """Return the tops of both maps, a top of E and one of A within `distance_px` along x and y as one.

    Args:
        points: (2, K, 2) x and y in each map, NaN where there is none.
        heights: (2, K).
        distance_px: at least 0.
    """
    (e, a), (of_e, of_a) = ([one[~np.isnan(one[:, 0])] for one in points], [one[one > 0] for one in heights])
    apart = np.abs(e[:, None] - a[None]).max(-1, initial=0.0)
    pairs: list[tuple[int, int]] = []
    for i, j in zip(*np.unravel_index(np.argsort(apart, axis=None, kind="stable"), apart.shape), strict=True):
        if apart[i, j] <= distance_px and i not in {k for k, _ in pairs} and j not in {k for _, k in pairs}:
            pairs.append((int(i), int(j)))
    rows = [(e[i], a[j], of_e[i], of_a[j]) for i, j in pairs]
    rows += [(e[i], e[i], of_e[i], 0.0) for i in set(range(len(e))) - {i for i, _ in pairs}]
    rows += [(a[j], a[j], 0.0, of_a[j]) for j in set(range(len(a))) - {j for _, j in pairs}]
    rows.sort(key=lambda row: float(row[0][0] + row[1][0]))
    return Tops(
        np.array([row[:2] for row in rows], float).reshape(-1, 2, 2),
        np.array([row[2:] for row in rows], float).reshape(-1, 2),
    )


def name_waves(
    x: NDArray, heights: NDArray, seconds_per_px: float, threshold: float, r_columns: Sequence[float] | NDArray = ()
) -> list[Choice]:
    """Return the most likely waves among tops, each E, A or none, in order of time.

    A height counts as the log odds of being a wave, less those of the `threshold`; what two neighbours of one trace
    cannot be, by the time between them, is penalised. The sum is maximised by dynamic programming, once over E and A of
    sinus rhythm, once over the E of fibrillation alone, which is rarer, and both again at the rates of a fast heart,
    which are rarer still; the largest counts. With R peaks, an E comes as long after one as systole and the E's rise
    last, and an A just before one; all is read with them, and once more without, in case they are none. The margin of a
    choice is how much the sum loses if just this top must be something else.

    Args:
        x: (N, 2) columns as E and as A, in order of time.
        heights: (N, 2) in the map of E and in that of A.
        seconds_per_px: of the columns; NaN leaves the times out.
        threshold: height at which a top by itself is as likely a wave as not, in (0, 1).
        r_columns: of R peaks, in order of time; fewer than two say nothing.
    """
    gains = _log_odds(heights) - float(_log_odds(threshold))
    gaps_s = (x[None, :, None, :] - x[:, None, :, None]) * seconds_per_px
    against = against_ecg(x * seconds_per_px, np.asarray(r_columns, float) * seconds_per_px)
    against -= against.min(1, keepdims=True)  # it tells E from A, and takes no wave away: it may lag behind
    ecgs = [(gains - against, 0.0), (gains, NO_ECG_COSTS)] if against.any() else [(gains, 0.0)]
    readings = [
        (own, _steps_in(own, gaps_s, intervals, rhythm), cost + rhythm_costs + ecg_costs)
        for of_ecg, ecg_costs in ecgs
        for intervals, cost in ((INTERVALS, 0.0), (FAST_INTERVALS, FAST_COSTS))
        for own, rhythm, rhythm_costs in (
            (of_ecg, SINUS, 0.0),
            (np.where([True, False], of_ecg, -math.inf), FIBRILLATION, FIBRILLATION_COSTS),
        )
    ]

    def best(without: NDArray | float = 0.0) -> tuple[float, list[tuple[int, int]]]:
        found = [(_best(own + without, steps), cost) for own, steps, cost in readings]
        return max(((total - cost, chosen) for (total, chosen), cost in found), key=lambda one: one[0])

    total, chosen = best()
    choices = []
    for index, wave in chosen:
        without = np.zeros(gains.shape)
        without[index, wave] = -math.inf
        choices.append(Choice(index, wave, total - best(without)[0]))
    return choices


def against_ecg(times_s: NDArray, r_times_s: NDArray) -> NDArray[np.float64]:
    """Return what it costs to take tops as E and as A, by the ECG; 0 where it says nothing or an R peak was missed.

    Args:
        times_s: (N, 2) as E and as A.
        r_times_s: (M,) in order; fewer than two say nothing.

    Returns:
        (N, 2), at most 4.
    """
    if len(r_times_s) < 2 or not np.isfinite(times_s).all():
        return np.zeros(times_s.shape)
    beat_s = float(np.median(np.diff(r_times_s)))
    since_s = times_s[:, 0] - np.append(-math.inf, r_times_s)[np.searchsorted(r_times_s, times_s[:, 0], "right")]
    nearest_s = r_times_s[np.abs(times_s[:, 1, None] - r_times_s).argmin(1)]
    e_off_s = since_s - (SYSTOLE_S - SYSTOLE_S_BPM * 60 / beat_s + TO_E_S)
    a_off_s = nearest_s - times_s[:, 1] - A_TO_R_S
    says = np.stack([since_s < ECG_E_BEATS * beat_s, np.abs(nearest_s - times_s[:, 1]) < ECG_A_BEATS * beat_s], -1)
    off_s = np.maximum(np.abs(np.stack([e_off_s, a_off_s], -1)) - ECG_FREE_S, 0)
    return np.where(says, np.minimum((off_s / ECG_UNIT_S) ** 2 / 2, ECG_COSTS), 0.0)


def _log_odds(height: float | NDArray) -> NDArray[np.float64]:
    clipped = np.clip(height, CLIP, 1 - CLIP)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _steps_in(
    gains: NDArray, gaps_s: NDArray, intervals: Mapping[str, tuple[float, float]], rhythm: Mapping[str, float]
) -> NDArray[np.float64]:
    """Return (N, N, 2, 2) penalties of a rhythm, with intervals of the trace where a first look finds enough."""
    _, first_look = _best(gains, _steps(gaps_s, intervals, rhythm))
    return _steps(gaps_s, _own_intervals(gaps_s, first_look, intervals), rhythm)


def _steps(
    gaps_s: NDArray, intervals: Mapping[str, tuple[float, float]], rhythm: Mapping[str, float]
) -> NDArray[np.float64]:
    """Return (N, N, 2, 2) penalties, at most 0, for a wave at one top and the next wave at another."""
    steps = np.zeros(gaps_s.shape)
    for pair, penalty in rhythm.items():
        shortest_s, longest_s = intervals[pair]
        at = (..., "EA".index(pair[0]), "EA".index(pair[1]))
        steps[at] = -penalty
        if np.isfinite(gaps_s).all():
            gaps = np.maximum(gaps_s[at], 1e-3)
            short, long = (np.log(np.maximum(ratio, 1)) / UNIT for ratio in (shortest_s / gaps, gaps / longest_s))
            steps[at] -= np.minimum(short**2 / 2, SHORT_COSTS) + np.minimum(long**2 / 2, LONG_COSTS)
    return steps


def _own_intervals(
    gaps_s: NDArray, series: Sequence[tuple[int, int]], usual: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Return the usual intervals with the medians of those pairs that are neighbours often enough in a series."""
    intervals = dict(usual)
    for pair in usual:
        found = [
            gaps_s[first, second, wave, next_wave]
            for (first, wave), (second, next_wave) in itertools.pairwise(series)
            if "EA"[wave] + "EA"[next_wave] == pair
        ]
        if len(found) >= OFTEN and min(found) > 0:
            typical_s = float(np.median(found))
            intervals[pair] = (OWN[0] * typical_s, OWN[1] * typical_s)
    return intervals


def _best(gains: NDArray, steps: NDArray) -> tuple[float, list[tuple[int, int]]]:
    """Return the largest sum of gains and penalties over all series of tops and waves, and that series."""
    count = len(gains)
    sums = np.zeros((count, 2))
    before: list[list[tuple[int, int] | None]] = []
    for index in range(count):
        came: list[tuple[int, int] | None] = []
        for wave in range(2):
            through = sums[:index] + steps[:index, index, :, wave]
            at = np.unravel_index(through.argmax(), through.shape) if index else None
            is_first = at is None or through[at] <= 0
            sums[index, wave] = gains[index, wave] + (0.0 if is_first else through[at])
            came.append(None if is_first or at is None else (int(at[0]), int(at[1])))
        before.append(came)
    if not count or sums.max() <= 0:
        return 0.0, []
    last = np.unravel_index(sums.argmax(), sums.shape)
    where: tuple[int, int] | None = (int(last[0]), int(last[1]))
    series = []
    while where is not None:
        series.append(where)
        where = before[where[0]][where[1]]
    return float(sums.max()), series[::-1]


def usable_tops(
    points: NDArray, heights: NDArray, box: Sequence[float], calibration: Sequence[float]
) -> NDArray[np.bool_]:
    """Return which tops can be peaks of one trace of inflow.

    A peak that is nearer to the left or right edge of the trace than 25 ms and 3 pixels may be the slope of a wave
    that is cut, and is left out; so are tops outside the trace, tops slower than 15 cm/s, and those on the other side
    of the baseline than most of the height of all.

    Args:
        points: (N, 2, 2) x and y in image pixels, as E and as A.
        heights: (N, 2).
        box: min_x, min_y, max_x, max_y of the trace.
        calibration: baseline row, cm/s a row, seconds a column; NaN where unknown.
    """
    left, top, right, bottom = (float(value) for value in box)
    zero, cm_s_per_px, seconds_per_px = (float(value) for value in calibration)
    edge = max(EDGE_PX, EDGE_S / seconds_per_px) if math.isfinite(seconds_per_px) else EDGE_PX
    is_e = heights[:, 0] >= heights[:, 1]
    x, y = np.where(is_e[:, None], points[:, 0], points[:, 1]).T
    usable = (x >= left + edge) & (x <= right - edge) & (y >= top) & (y <= bottom)
    if math.isfinite(zero):
        side = np.sign(zero - y)
        upward = float((side * heights.max(1, initial=0.0))[usable].sum()) >= 0
        usable &= side == (1 if upward else -1)
        usable &= np.abs(zero - y) * cm_s_per_px >= LEAST_CM_S
    return usable
